/* SPDX-License-Identifier: MIT */
/*
 * The loops of a contender of the suite many that is one queue for all
 * producers. Before this is included, the contender defines
 *
 *   MANY, MANY_NAME            its variable, and what tables call it
 *   MANY_OPEN(producers), MANY_CLOSE(q)
 *   MANY_PUSH(q, k, message)   by producer k; false: no room
 *   MANY_POP(q, message)       false: empty
 */

static MEASURE_NOINLINE void put(struct bench_side *s)
{
        MEASURE_APART unsigned char m[MANY_LEN];
        const unsigned k = s->number;
        void *const q = s->a;

        for (uint64_t i = 0; i < s->n; i++) {
                many_fill(m, k, i);
                while (!MANY_PUSH(q, k, m))
                        many_wait(s);
        }
}

static MEASURE_NOINLINE void get(struct bench_side *s)
{
        static struct many_seen seen;
        MEASURE_APART unsigned char m[MANY_LEN];
        void *const q = s->a;

        memset(&seen, 0, sizeof seen);
        for (uint64_t i = 0; i < s->n; i++) {
                while (!MANY_POP(q, m))
                        bench_relax();
                many_check(&seen, m, MANY_NAME);
        }
}

/* Has had a first lap. */
static void *open_queue(unsigned producers)
{
        MEASURE_APART unsigned char m[MANY_LEN] = {0};
        void *q;

        bench_trial_memory(true);
        q = MANY_OPEN(producers);
        bench_trial_memory(false);
        for (unsigned k = 0; k < producers; k++)
                for (int i = 0; i < MANY_SLOTS && MANY_PUSH(q, k, m); i++)
                        continue;
        while (MANY_POP(q, m))
                continue;
        return q;
}

static void close_queue(void *q)
{
        MANY_CLOSE(q);
}

const struct many_peer MANY = {MANY_NAME, open_queue, close_queue, put, get};
