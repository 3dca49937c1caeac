/* SPDX-License-Identifier: MIT */
/*
 * Does the benchmark measure what it says? A contender against itself gives
 * 1.00, a line that both sides write is visible, a damaged payload is seen,
 * the statistics and the two placements come out right.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rings.h"

static unsigned passed, failed;

static void check(bool good, const char *what, double figure)
{
        printf("%-4s %s (%.3f)\n", good ? "ok" : "FAIL", what, figure);
        passed += good;
        failed += !good;
}

/* ---- Statistics --------------------------------------------------- */

static void statistics(void)
{
        double list[101], yards[400];
        struct bench_spread s;
        bool measured;
        double t;

        for (int i = 0; i <= 100; i++)
                list[(i * 37) % 101] = i;
        s = bench_spread_of(list, 101);
        check(s.low > 9.99 && s.low < 10.01, "p10 of 0..100", s.low);
        check(s.median > 49.99 && s.median < 50.01, "median of 0..100", s.median);
        check(s.high > 89.99 && s.high < 90.01, "p90 of 0..100", s.high);
        check(bench_percentile(list, 1, 99.9) < 1, "percentile of one value", list[0]);

        for (int i = 0; i < 400; i++)
                yards[i] = (i % 2 ? 90 : 240) + i % 13;
        t = bench_placement_threshold(yards, 400, &measured);
        check(measured && t > 103 && t < 240, "two placements are told apart", t);
        for (int i = 0; i < 400; i++)
                yards[i] = 240 + i % 50;
        t = bench_placement_threshold(yards, 400, &measured);
        check(!measured, "one placement is not torn apart", t);
}

static void payload(void)
{
        unsigned char message[64];
        int seen = 0;

        bench_fill(message, 7, sizeof message);
        check(bench_good(message, 7, sizeof message), "a payload is what was written", 7);
        check(!bench_good(message, 8, sizeof message), "a payload of another message is not", 8);
        for (size_t i = 0; i < sizeof message; i++) {
                message[i] ^= 1;
                seen += !bench_good(message, 7, sizeof message);
                message[i] ^= 1;
        }
        check(seen == sizeof message, "a damaged byte is seen, whichever", seen);
}

/* ---- A contender against itself ----------------------------------- */

static double stream(const struct bench_case *c, uint64_t n)
{
        const struct bench_loops *l = c->ctx;
        void *ring = l->open();
        const double ns = bench_threads(l->put, l->get, ring, NULL, n);

        l->close(ring);
        return ns;
}

/* ---- Two counters: on one line, or apart -------------------------- */

struct counters {
        BENCH_APART uint64_t mine;
        uint64_t near;
        BENCH_APART uint64_t far;
};

static BENCH_NOINLINE void count_mine(struct bench_side *s)
{
        struct counters *c = s->a;

        for (uint64_t i = 0; i < s->n; i++)
                (void)__atomic_fetch_add(&c->mine, 1, __ATOMIC_RELAXED);
}

static BENCH_NOINLINE void count_near(struct bench_side *s)
{
        struct counters *c = s->a;

        for (uint64_t i = 0; i < s->n; i++)
                (void)__atomic_fetch_add(&c->near, 1, __ATOMIC_RELAXED);
}

static BENCH_NOINLINE void count_far(struct bench_side *s)
{
        struct counters *c = s->a;

        for (uint64_t i = 0; i < s->n; i++)
                (void)__atomic_fetch_add(&c->far, 1, __ATOMIC_RELAXED);
}

static double counting(const struct bench_case *c, uint64_t n)
{
        struct counters *words = bench_shared(sizeof *words);
        const double ns =
                bench_threads(count_mine, c->arg ? count_near : count_far, words, NULL, n);

        bench_unshare(words, sizeof *words);
        return ns;
}

static void measure(void)
{
        struct bench_case c = {.contender = "index",
                               .metric = "itself",
                               .label = "56",
                               .x = 56,
                               .kind = BENCH_RATE,
                               .base = true,
                               .trial = stream,
                               .ctx = &bench_peer_index.loops[5]};

        (void)bench_add(&c);
        c.contender = "index again";
        c.base = false;
        (void)bench_add(&c);
        c = (struct bench_case){.contender = "apart",
                                .metric = "sharing",
                                .label = "a line",
                                .kind = BENCH_RATE,
                                .base = true,
                                .trial = counting};
        (void)bench_add(&c);
        c.contender = "one line";
        c.base = false;
        c.arg = 1;
        (void)bench_add(&c);
        bench_run(bench_options.seconds, 3e6);
}

int main(int argc, char **argv)
{
        double itself = -1, shared = -1;

        bench_begin(argc, argv, "self-test", 5);
        statistics();
        payload();
        /* On a busy machine all trials may have to be dropped: again, then. */
        for (int i = 0; i < 5 && !(itself > 0 && shared > 0); i++) {
                measure();
                itself = bench_ratio("itself", "index again", "56");
                shared = bench_ratio("sharing", "one line", "a line");
        }
        if (itself > 0 && shared > 0) {
                check(itself > 0.93 && itself < 1.07, "a contender against itself", itself);
                check(shared < 0.67, "two writers of one line are visible", shared);
        } else {
                printf("skip: the machine is too busy to measure anything\n");
        }
        bench_end();
        printf("%u passed, %u failed\n", passed, failed);
        return failed != 0;
}
