/* SPDX-License-Identifier: MIT */
/* One sender, several queues. */
#define _GNU_SOURCE
#include "queue_util.h"

#include "sluice/fanout.h"

enum { N = 3 };

static struct sluice_producer p[N];
static struct sluice_consumer c[N];
static struct sluice_producer *const out[N] = {&p[0], &p[1], &p[2]};
static const char *const names[N] = {"a", "b", "c"};

static void open_one(int i, struct sluice_options o)
{
        o.flags = SLUICE_CREATE;
        call(sluice_producer_open(&p[i], names[i], &o), 0);
        call(sluice_consumer_open(&c[i], names[i], &o), 0);
}

static struct sluice_fanout open_all(size_t capacity, int wake)
{
        const struct sluice_fanout f = {out, N, 0};
        struct sluice_options o = opt(capacity);

        o.wake = wake;
        for (int i = 0; i < N; i++)
                open_one(i, o);
        return f;
}

static void close_all(void)
{
        for (int i = 0; i < N; i++) {
                sluice_producer_close(&p[i]);
                sluice_consumer_close(&c[i]);
                call(sluice_remove(names[i]), 0);
        }
}

/* The next message of a queue is this one. */
static void has(int i, uint64_t number)
{
        struct sluice_message m;
        uint64_t seen;

        call(sluice_peek(&c[i], &m, SLUICE_NOW), 0);
        eq(m.len, 8);
        memcpy(&seen, m.data, 8);
        eq(seen, number);
        eq(m.tag, number);
        call(sluice_release(&c[i]), 0);
}

static void all_empty(void)
{
        for (int i = 0; i < N; i++)
                eq(sluice_consumer_is_empty(&c[i]), 1);
}

static void fill_up(int i)
{
        while (sluice_send(&p[i], "", 0, SLUICE_NOW) == 0)
                ;
}

static void empty(int i)
{
        struct sluice_message m;

        while (sluice_peek(&c[i], &m, SLUICE_NOW) == 0)
                sluice_release(&c[i]);
}

static int to_all(struct sluice_fanout *f, uint64_t n, sluice_deadline until)
{
        return sluice_fanout_send_all(f, &n, 8, (uint32_t)n, until);
}

static int to_any(struct sluice_fanout *f, uint64_t n, sluice_deadline until)
{
        return sluice_fanout_send_any(f, &n, 8, (uint32_t)n, until);
}

static int to_next(struct sluice_fanout *f, uint64_t n, sluice_deadline until)
{
        return sluice_fanout_send_next(f, &n, 8, (uint32_t)n, until);
}

/* ---- To one ------------------------------------------------------- */

QTest(send_key, is_the_same_queue_for_the_same_key_and_spreads)
{
        struct sluice_fanout f = open_all(1 << 16, 0);
        uint64_t before[N], n[N];

        for (uint64_t key = 0; key < 30; key++) {
                int where = -1;

                for (int again = 0; again < 3; again++) {
                        call(sluice_fanout_send_key(&f, key, &key, 8, (uint32_t)key, SLUICE_NOW),
                             0);
                        for (int i = 0; i < N; i++)
                                if (!sluice_consumer_is_empty(&c[i])) {
                                        check(where < 0 || where == i);
                                        where = i;
                                }
                        has(where, key);
                        all_empty();
                }
        }
        for (int i = 0; i < N; i++)
                before[i] = sluice_producer_messages(&p[i]);
        for (uint64_t key = 0; key < 300; key++)
                call(sluice_fanout_send_key(&f, key << 20, &key, 8, 0, SLUICE_NOW), 0);
        for (int i = 0; i < N; i++) {
                n[i] = sluice_producer_messages(&p[i]) - before[i];
                check(n[i] > 60 && n[i] < 140);
        }
        close_all();
}

QTest(send_next, takes_each_in_turn_and_keeps_the_turn_after_an_error)
{
        struct sluice_fanout f = open_all(1024, 0);

        for (uint64_t i = 0; i < 7; i++) {
                call(to_next(&f, i, SLUICE_NOW), 0);
                has((int)(i % N), i);
                all_empty();
        }
        fill_up(1);
        call(to_next(&f, 7, SLUICE_NOW), -EAGAIN);
        call(to_next(&f, 7, sluice_after(1000)), -ETIMEDOUT);
        empty(1);
        call(to_next(&f, 8, SLUICE_NOW), 0);
        has(1, 8);
        close_all();
}

/* ---- To any ------------------------------------------------------- */

QTest(send_any, passes_over_those_that_are_full)
{
        struct sluice_fanout f = open_all(1024, 0);

        call(to_any(&f, 0, SLUICE_NOW), 0);
        call(to_any(&f, 1, SLUICE_NOW), 1);
        fill_up(2);
        call(to_any(&f, 2, SLUICE_NOW), 0);
        fill_up(0);
        call(to_any(&f, 3, SLUICE_NOW), 1);
        fill_up(1);
        call(to_any(&f, 4, SLUICE_NOW), -EAGAIN);
        call(to_any(&f, 4, sluice_after(MS(3))), -ETIMEDOUT);
        has(0, 0);
        call(to_any(&f, 5, SLUICE_FOREVER), 0);
        close_all();
}

static void *empty_one(void *wake)
{
        if (wake)
                until_asleep("b", PRODUCER);
        else
                pause_ms(5);
        empty(1);
        return NULL;
}

static void wait_for_any(int wake)
{
        struct sluice_fanout f = open_all(1024, wake);
        int64_t soonest = INT64_MAX;
        pthread_t t;

        for (int round = 0; round < 5; round++) {
                const int64_t before = sluice_now_ns();

                for (int i = 0; i < N; i++)
                        fill_up(i);
                t = thread_start(empty_one, wake ? &f : NULL);
                call(to_any(&f, 7, soon()), 1);
                thread_join(t);
                if (sluice_now_ns() - before < soonest)
                        soonest = sluice_now_ns() - before;
        }
        check(soonest < MS(60)); /* woken, not at the end of a slice */
        close_all();
}

QTest(send_any, wakes_up_for_room_in_any)
{
        wait_for_any(SLUICE_WAKE_FIFO);
        wait_for_any(SLUICE_WAKE_FUTEX);
}

static void *interrupt_two(void *ctx)
{
        (void)ctx;
        until_asleep("a", PRODUCER);
        call(sluice_producer_interrupt(&p[0]), 0);
        return NULL;
}

QTest(send_any, is_interrupted_once)
{
        struct sluice_fanout f = open_all(1024, SLUICE_WAKE_FIFO);
        pthread_t t;

        for (int i = 0; i < N; i++)
                fill_up(i);
        t = thread_start(interrupt_two, NULL);
        call(to_any(&f, 7, SLUICE_FOREVER), -ECANCELED);
        thread_join(t);
        call(to_any(&f, 7, sluice_after(MS(2))), -ETIMEDOUT);
        close_all();
}

QTest(send_any, says_what_all_say)
{
        struct sluice_fanout f = open_all(1024, 0);
        static const char big[1024];

        call(sluice_fanout_send_any(&f, big, 1024, 0, SLUICE_FOREVER), -EMSGSIZE);
        for (int i = 0; i < N; i++) {
                fill_up(i);
                call(sluice_consumer_close(&c[i]), 0);
        }
        call(to_any(&f, 7, SLUICE_FOREVER), -EPIPE);
        close_all();
}

/* A queue for which the message is too long tells an event loop at once that there
 * is nothing to wait for: others are waited for all the same. */
QTest(send_any, sleeps_beside_a_queue_for_shorter_messages)
{
        struct sluice_fanout f = {out, N, 0};
        static const char big[600];
        struct sluice_options o = opt(1024);
        int64_t before;

        o.wake = SLUICE_WAKE_FIFO;
        for (int i = 0; i < N; i++) {
                open_one(i, o);
                o.capacity = 4096;
        }
        fill_up(1);
        fill_up(2);
        before = sluice_now_ns();
        call(sluice_fanout_send_any(&f, big, sizeof big, 0, sluice_after(MS(30))), -ETIMEDOUT);
        /* It slept for a millisecond at least, but for the first time. */
        check((int64_t)look("b").producer.parks <= (sluice_now_ns() - before) / MS(1) + 2);
        close_all();
}

/* ---- To all ------------------------------------------------------- */

QTest(send_all, sends_to_all_or_none)
{
        struct sluice_fanout f = open_all(1024, 0);

        call(to_all(&f, 1, SLUICE_NOW), 0);
        for (int i = 0; i < N; i++)
                has(i, 1);
        for (int full = 0; full < N; full++) {
                fill_up(full);
                call(to_all(&f, 2, SLUICE_NOW), -EAGAIN);
                call(to_all(&f, 2, sluice_after(1000)), -ETIMEDOUT);
                for (int i = 0; i < N; i++)
                        if (i != full)
                                eq(sluice_consumer_is_empty(&c[i]), 1);
                call(sluice_commit(&p[full], 0), -EINVAL); /* nothing is left reserved */
                call(sluice_commit(&p[0], 0), -EINVAL);
                empty(full);
        }
        for (uint64_t i = 0; i < 50; i++) {
                call(to_all(&f, i, SLUICE_NOW), 0);
                for (int k = 0; k < N; k++)
                        has(k, i);
        }
        call(sluice_fanout_send_all(&f, NULL, 0, 0, SLUICE_NOW), 0);
        call(sluice_fanout_send_all(&f, names, 1024, 0, SLUICE_NOW), -EMSGSIZE);
        close_all();
}

QTest(send_all, publishes_what_was_staged)
{
        struct sluice_fanout f = open_all(1024, 0);
        const uint64_t first = 5;
        void *payload;

        call(sluice_reserve(&p[1], 8, &payload, SLUICE_NOW), 0);
        memcpy(payload, &first, 8);
        sluice_set_tag(&p[1], 5);
        call(sluice_stage(&p[1], 8), 0);
        call(to_all(&f, 6, SLUICE_NOW), 0);
        has(1, 5);
        for (int i = 0; i < N; i++)
                has(i, 6);
        close_all();
}

/* A consumer that breaks the rules: nothing is sent to the others. */
QTest(send_all, sends_nothing_when_a_consumer_breaks_the_rules)
{
        struct sluice_fanout f = open_all(1024, 0);
        const uint64_t position = 8 << 20;

        fill_up(2);
        poke(key_of("c"), 4096, &position, 8);
        for (int again = 0; again < 2; again++) {
                call(to_all(&f, 1, SLUICE_NOW), -EBADMSG);
                eq(sluice_consumer_is_empty(&c[0]) + sluice_consumer_is_empty(&c[1]), 2);
        }
        call(to_any(&f, 2, SLUICE_NOW), 0);
        has(0, 2);
        call(to_any(&f, 3, SLUICE_NOW), 1);
        call(to_any(&f, 4, SLUICE_NOW), 0);
        fill_up(0);
        fill_up(1);
        call(to_any(&f, 5, sluice_after(MS(2))), -ETIMEDOUT);
        close_all();
}

/* Three records fit; positions pass 2^32 and 2^64. */
QTest(fanout, works_in_the_smallest_rings)
{
        const uint64_t firsts[] = {0, UINT64_C(0xffffffe8), UINT64_C(0xffffffffffffffe8)};
        struct sluice_fanout f = {out, N, 0};

        for (int i = 0; i < 3; i++) {
                struct sluice_options o = opt(64);

                o.record_align = 8;
                for (int k = 0; k < N; k++) {
                        o.first_position = firsts[(i + k) % 3];
                        open_one(k, o);
                }
                for (uint64_t n = 0; n < 13 * N; n++) {
                        call(to_all(&f, n, SLUICE_NOW), 0);
                        call(to_any(&f, n, SLUICE_NOW), n % N);
                        for (int k = 0; k < N; k++)
                                has(k, n);
                        has((int)(n % N), n);
                        all_empty();
                }
                close_all();
        }
}

static int use_of_a_parent(void *ctx)
{
        struct sluice_fanout *f = ctx;

        call(sluice_fanout_send_key(f, 1, "", 0, 0, SLUICE_NOW), -EPERM);
        call(to_next(f, 1, SLUICE_NOW), -EPERM);
        call(to_any(f, 1, SLUICE_FOREVER), -EPERM);
        call(to_all(f, 1, SLUICE_FOREVER), -EPERM);
        return 0;
}

QTest(fanout, is_not_inherited)
{
        struct sluice_fanout f = open_all(1024, SLUICE_WAKE_FIFO);

        run(use_of_a_parent, &f);
        all_empty();
        call(to_all(&f, 1, SLUICE_NOW), 0);
        close_all();
}

QTest(fanout, needs_a_queue)
{
        struct sluice_fanout f = {out, 0, 0};

        call(sluice_fanout_send_key(&f, 1, "", 0, 0, SLUICE_NOW), -EINVAL);
        call(to_next(&f, 1, SLUICE_NOW), -EINVAL);
        call(to_any(&f, 1, SLUICE_NOW), -EINVAL);
        call(to_all(&f, 1, SLUICE_NOW), -EINVAL);
        memset((void *)p, 0, sizeof p);
        f.n = N;
        call(sluice_fanout_send_key(&f, 1, "", 0, 0, SLUICE_NOW), -EINVAL);
        call(to_next(&f, 1, SLUICE_NOW), -EINVAL);
        call(to_any(&f, 1, SLUICE_FOREVER), -EINVAL);
        call(to_all(&f, 1, SLUICE_NOW), -EINVAL);
}
