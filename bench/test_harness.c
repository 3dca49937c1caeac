/* SPDX-License-Identifier: MIT */
/*
 * Does the benchmark measure what it says? A contender against itself gives
 * 1.00, in processes and against threads; a line that both sides write is
 * visible, a damaged payload is seen, another program on a side's processor
 * is noticed; both processes have the same memory, malloc's included, and no
 * page of it is missing when the clock starts. test_report.c: what is made of
 * the measurements.
 */
#define _GNU_SOURCE
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "many.h"
#include "rings.h"
#include "test_harness.h"

static unsigned passed, failed;

void check(bool good, const char *what, double figure)
{
        printf("%-4s %s (%.3f)\n", good ? "ok" : "FAIL", what, figure);
        passed += good;
        failed += !good;
}

/* ---- Payloads ----------------------------------------------------- */

static void payload(void)
{
        unsigned char message[64];
        int seen = 0;

        payload_fill(message, 7, sizeof message);
        check(payload_good(message, 7, sizeof message), "a payload is what was written", 7);
        check(!payload_good(message, 8, sizeof message), "a payload of another message is not", 8);
        for (size_t i = 0; i < sizeof message; i++) {
                message[i] ^= 1;
                seen += !payload_good(message, 7, sizeof message);
                message[i] ^= 1;
        }
        check(seen == sizeof message, "a damaged byte is seen, whichever", seen);
}

/* ---- Two processes ------------------------------------------------ */

enum { BLOCKS = 6, BLOCK = 70000 };

struct blocks {
        unsigned char *at[BLOCKS];
        pid_t theirs;
};

static void nothing(struct bench_side *s)
{
        (void)s;
}

static void fill_blocks(struct bench_side *s)
{
        struct blocks *b = s->a;

        for (int i = 0; i < BLOCKS; i++)
                memset(b->at[i], i + 1, BLOCK);
        b->theirs = getpid();
}

static bool all(const unsigned char *mem, int value, size_t bytes)
{
        for (size_t i = 0; i < bytes; i++)
                if (mem[i] != value)
                        return false;
        return true;
}

static void memory(void)
{
        struct blocks *b;
        unsigned char *own = malloc(16);
        void *aligned = NULL;
        bool apart = true, seen = true;

        bench_trial_memory(true);
        b = bench_shared(sizeof *b);
        b->at[0] = malloc(BLOCK);
        b->at[1] = calloc(BLOCK / 10, 10);
        b->at[2] = realloc(memset(malloc(100), 9, 100), BLOCK);
        b->at[3] = aligned_alloc(4096, BLOCK);
        seen = posix_memalign(&aligned, 256, BLOCK) == 0;
        b->at[4] = aligned;
        b->at[5] = bench_shared(BLOCK);
        own = realloc(own, 1000); /* of before: stays where such memory is */
        bench_trial_memory(false);
        check(all(b->at[1], 0, BLOCK) && all(b->at[5], 0, BLOCK), "calloc and shared are zeroed",
              0);
        check(all(b->at[2], 9, 100), "realloc keeps what was there", 9);
        check((uintptr_t)b->at[3] % 4096 == 0 && (uintptr_t)b->at[4] % 256 == 0,
              "alignment is as asked for", 4096);
        for (int i = 0; i < BLOCKS; i++)
                for (int j = 0; j < BLOCKS; j++)
                        apart &= i == j || b->at[i] >= b->at[j] + BLOCK + 64 ||
                                 b->at[j] >= b->at[i] + BLOCK;
        check(apart && !bench_is_trial_memory(own), "blocks are apart", BLOCKS);
        free(own);
        (void)bench_processes(nothing, fill_blocks, b, NULL, 1);
        for (int i = 0; i < BLOCKS; i++)
                seen &= all(b->at[i], i + 1, BLOCK);
        check(seen && b->theirs != getpid(), "the other process has the same memory", BLOCKS);
        for (int i = 0; i < BLOCKS - 1; i++)
                free(b->at[i]);
}

/* At other places of the arena than before. */
static void pages(void)
{
        long faults = 0;

        for (int k = 0; k < 10; k++) {
                struct blocks *b;

                bench_trial_memory(true);
                b = bench_shared(sizeof *b);
                for (int i = 0; i < BLOCKS; i++)
                        b->at[i] = malloc(BLOCK);
                bench_trial_memory(false);
                (void)bench_processes(nothing, fill_blocks, b, NULL, 1);
                faults += bench_theirs->faults;
        }
        check(faults <= BENCH_FAULTS, "and no page of it is missing", (double)faults);
}

static void turn(struct bench_side *s)
{
        const double until = bench_now() + 1e6 * (double)s->n;

        while (bench_now() < until)
                ;
}

static void nap(struct bench_side *s)
{
        const struct timespec t = {.tv_nsec = (long)(1000000 * s->n)};

        bench_timed_begin(s);
        nanosleep(&t, NULL);
        turn(s);
        bench_timed_end(s);
}

/* Is another program on the second processor noticed? */
static bool noticed(double run(bench_side_fn *, bench_side_fn *, void *, void *, uint64_t),
                    bench_side_fn *fn)
{
        bool seen = false;
        const pid_t other = fork();

        if (other == 0) {
                bench_pin(bench_options.cpu[1]);
                for (;;)
                        ;
        }
        for (int i = 0; i < 3 && !seen; i++) {
                (void)run(fn, fn, NULL, NULL, 50);
                seen = bench_fate == BENCH_PREEMPTED;
        }
        kill(other, SIGKILL);
        waitpid(other, NULL, 0);
        return seen;
}

static void company(void)
{
        bool alone = false;

        check(noticed(bench_processes, turn), "company of the partner is noticed", 1);
        check(noticed(bench_threads, turn), "company of a thread is noticed", 1);
        check(noticed(bench_children, nap), "company of a child is noticed", 1);
        for (int i = 0; i < 100 && !alone; i++) { /* the machine may be busy */
                (void)bench_children(nap, nap, NULL, NULL, 2);
                alone = bench_fate == BENCH_FINE;
        }
        check(alone, "a child that sleeps is not disturbed by that", 1);
}

/* ---- A contender against itself ----------------------------------- */

static double stream(const struct bench_case *c, uint64_t n)
{
        const struct bench_loops *l = c->ctx;
        void *ring;
        double ns;

        bench_trial_memory(true);
        ring = l->open();
        bench_trial_memory(false);
        ns = (c->arg ? bench_threads : bench_processes)(l->put, l->get, ring, NULL, n);
        l->close(ring);
        return ns;
}

/* Batches that fill no ring evenly, and a rest: all arrives, or bench_corrupt. */
struct crowded {
        MEASURE_APART _Atomic uint64_t shares[BENCH_CROWD];
        MEASURE_APART _Atomic unsigned strangers;
};

static void share_out(struct bench_side *s)
{
        struct crowded *const c = s->a;

        c->shares[s->number] += s->n;
        c->strangers += sched_getcpu() != bench_other_cpu(s->number);
}

static void await_shares(struct bench_side *s)
{
        struct crowded *const c = s->a;

        for (uint64_t sum = 0; sum < s->n;) {
                sum = 0;
                for (int i = 0; i < BENCH_CROWD; i++)
                        sum += c->shares[i];
        }
}

static void crowds(void)
{
        struct crowded *const c = bench_shared(sizeof *c);
        bool even = true;

        (void)bench_crowd(await_shares, share_out, 5, c, 52);
        for (int i = 0; i < BENCH_CROWD; i++)
                even &= c->shares[i] == (i < 5 ? 10 : 0);
        check(even, "each of a crowd has its share", 5);
        check(c->strangers == 0 && bench_other_cpu(0) == bench_options.cpu[1],
              "... on a processor that is not the first side's", c->strangers);
        bench_unshare(c, sizeof *c);
}

static void batches(void)
{
        const struct bench_peer *const peers[] = {&bench_peer_sluice_batch,
                                                  &bench_peer_dpdk_zc_batch, &bench_peer_dpdk_batch,
                                                  &bench_peer_boost_batch};
        static const uint64_t sizes[] = {1, 7, 64};
        unsigned runs = 0;

        for (int i = 0; i < 4; i++)
                for (size_t j = 0; j < peers[i]->count; j++)
                        for (int k = 0; k < 3; k++, runs++) {
                                struct bench_case c = {.ctx = &peers[i]->loops[j]};

                                bench_running = peers[i]->name;
                                bench_mine->batch = bench_theirs->batch = sizes[k];
                                (void)stream(&c, 10001);
                        }
        check(true, "batches of 1, 7 and 64 arrive", runs);
}

static void burst(const struct bench_peer *peer, const struct bench_loops *l, uint64_t size)
{
        void *a, *b;

        bench_running = peer->name;
        bench_mine->batch = bench_theirs->batch = size;
        bench_trial_memory(true);
        a = l->open();
        b = peer->loops[0].open();
        bench_trial_memory(false);
        (void)bench_processes(l->burst, l->answer, a, b, 300 * size);
        l->close(a);
        peer->loops[0].close(b);
}

/* Streams of several laps, of all lengths, and bursts that fill the ring. */
static void own_contenders(void)
{
        const struct bench_peer *const peers[] = {
                &bench_peer_sluice_wait,       &bench_peer_flag,
                &bench_peer_flag_tight,        &bench_peer_record,
                &bench_peer_record_tight,      &bench_peer_record_wipe,
                &bench_peer_record_wipe_tight, &bench_peer_quarter_zero,
                &bench_peer_quarter_stamp,     &bench_peer_quarter_touch,
                &bench_peer_quarter_clear};
        unsigned runs = 0;

        for (size_t i = 0; i < sizeof peers / sizeof *peers; i++)
                for (size_t j = 0; j < peers[i]->count; j++, runs++) {
                        const struct bench_case c = {.ctx = &peers[i]->loops[j]};

                        bench_running = peers[i]->name;
                        (void)stream(&c, 100001);
                        burst(peers[i], c.ctx, 1);
                        burst(peers[i], c.ctx, 64);
                }
        check(true, "streams and bursts of our own contenders arrive", runs);
}

/* ---- A pace ------------------------------------------------------- */

enum { PACED = 2000 };

/* Latencies of messages of 8 B; the median in ns. */
static double at_pace(uint64_t gap, float *late)
{
        const struct bench_loops *l = &bench_peer_flag.loops[0];
        struct bench_pace *pace;
        double sorted[PACED];
        void *ring;

        bench_trial_memory(true);
        ring = l->open();
        pace = bench_shared(sizeof *pace);
        pace->late = bench_shared(PACED * sizeof *pace->late);
        bench_trial_memory(false);
        pace->gap = gap;
        (void)bench_processes(l->paced, l->clocked, ring, pace, PACED);
        for (int i = 0; i < PACED; i++) {
                late[i] = pace->late[i] * (float)bench_tick_ns;
                sorted[i] = (double)late[i];
        }
        l->close(ring);
        return bench_spread_of(sorted, PACED).median;
}

/* ns by the ticks for one by the clock. */
static double tick_rate(void)
{
        const double begin = bench_now();
        const uint64_t ticks = bench_ticks();

        while (bench_now() - begin < 2e7)
                ;
        return (double)(bench_ticks() - ticks) * bench_tick_ns / (bench_now() - begin);
}

/* Again, where the machine is busy. */
static void paces(void)
{
        static float late[PACED];
        double rate = 0, ns = 1e9, error, apart;

        for (int i = 0; i < 10 && fabs(rate - 1) > 1e-3; i++)
                rate = tick_rate();
        check(fabs(rate - 1) <= 1e-3, "the ticks' rate is known", rate);
        apart = bench_ticks_apart(&error);
        check(fabs(apart) <= error + bench_tick_ns, "both processors have the same ticks", apart);
        for (int i = 0; i < 10 && ns > 1e4; i++)
                ns = at_pace((uint64_t)(1e4 / bench_tick_ns), late);
        check(ns > 0 && ns < 1e4, "a message each 10 us arrives before the next", ns);
        (void)at_pace(1, late);
        check(late[PACED - 1] > PACED / 2 && late[PACED - 1] > 2 * late[PACED / 10],
              "messages behind their schedule count as late", (double)late[PACED - 1]);
}

/* ---- Two counters: on one line, or apart -------------------------- */

struct counters {
        MEASURE_APART uint64_t mine;
        uint64_t near;
        MEASURE_APART uint64_t far;
};

static MEASURE_NOINLINE void count_mine(struct bench_side *s)
{
        struct counters *c = s->a;

        for (uint64_t i = 0; i < s->n; i++)
                (void)__atomic_fetch_add(&c->mine, 1, __ATOMIC_RELAXED);
}

static MEASURE_NOINLINE void count_initiator(struct bench_side *s)
{
        struct counters *c = s->a;

        for (uint64_t i = 0; i < s->n; i++)
                (void)__atomic_fetch_add(&c->near, 1, __ATOMIC_RELAXED);
}

static MEASURE_NOINLINE void count_reflector(struct bench_side *s)
{
        struct counters *c = s->a;

        for (uint64_t i = 0; i < s->n; i++)
                (void)__atomic_fetch_add(&c->far, 1, __ATOMIC_RELAXED);
}

static double counting(const struct bench_case *c, uint64_t n)
{
        struct counters *words;

        bench_trial_memory(true);
        words = bench_shared(sizeof *words);
        bench_trial_memory(false);
        return bench_processes(count_mine, c->arg ? count_initiator : count_reflector, words, NULL,
                               n);
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
        c.contender = "index in threads";
        c.arg = 1;
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
        double itself = -1, threads = -1, shared = -1;

        bench_begin(argc, argv, "self-test", 5);
        test_report();
        payload();
        memory();
        pages();
        company();
        crowds();
        many_self_test(check);
        batches();
        own_contenders();
        paces();
        /* On a busy machine all trials may have to be dropped: again, then. */
        for (int i = 0; i < 5 && !(itself > 0 && threads > 0 && shared > 0); i++) {
                measure();
                itself = bench_ratio("itself", "index again", "56", NULL);
                threads = bench_ratio("itself", "index in threads", "56", NULL);
                shared = bench_ratio("sharing", "one line", "a line", NULL);
        }
        if (itself > 0 && threads > 0 && shared > 0) {
                check(itself > 0.93 && itself < 1.07, "a contender against itself", itself);
                check(threads > 0.93 && threads < 1.07, "... against threads", threads);
                check(shared < 0.67, "two writers of one line are visible", shared);
        } else {
                printf("skip: the machine is too busy to measure anything\n");
        }
        bench_end();
        printf("%u passed, %u failed\n", passed, failed);
        return failed != 0;
}
