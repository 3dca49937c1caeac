/* SPDX-License-Identifier: MIT */
/*
 * Does the benchmark measure what it says? A contender against itself gives
 * 1.00, in processes and against threads; a line that both sides write is
 * visible, a damaged payload is seen, another program on a side's processor
 * is noticed; both processes have the same memory, malloc's included, and no
 * page of it is missing when the clock starts; the statistics and the
 * placements come out right.
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

#include "../src/measure/figures.h"
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
        double list[101];
        struct bench_spread s;

        for (int i = 0; i <= 100; i++)
                list[(i * 37) % 101] = i;
        s = bench_spread_of(list, 101);
        check(s.low > 9.99 && s.low < 10.01, "p10 of 0..100", s.low);
        check(s.median > 49.99 && s.median < 50.01, "median of 0..100", s.median);
        check(s.high > 89.99 && s.high < 90.01, "p90 of 0..100", s.high);
        check(figures_percentile(list, 1, 99.9) < 1, "percentile of one value", list[0]);
}

/* ---- Placements --------------------------------------------------- */

enum { YARDS = 1000 };

static double uniform(void)
{
        return (double)(bench_random() >> 11) / 9007199254740992.0;
}

/* About `median`, p10 to p90 a range of 25 %: as much as was ever measured. */
static double around(double median)
{
        double sum = -6;

        for (int i = 0; i < 12; i++)
                sum += uniform();
        return median * exp(0.1 * sum);
}

/* Percent of the yardsticks about each median; `strays` percent of all are
 * anywhere from the lowest median to three times the highest. */
static struct bench_placements made_up(const double *medians, const int *percent, int n, int strays)
{
        static double yards[YARDS];

        for (int i = 0, k = 0, left = 0; i < YARDS; i++, left--) {
                if (left == 0 && i > 0)
                        k++;
                if (left == 0)
                        left = YARDS / 100 * percent[k];
                yards[i] = around(medians[k]);
                if (i % 100 < strays)
                        yards[i] = medians[0] * pow(3 * medians[n - 1] / medians[0], uniform());
        }
        return bench_find_placements(yards, YARDS);
}

static void clusters(int n, const char *what, int strays)
{
        static const double medians[3][3] = {{284}, {130, 500}, {54, 133, 503}};
        static const int percent[3][3] = {{100}, {90, 10}, {20, 70, 10}};
        int wrong = 0;

        for (int i = 0; i < 100; i++) {
                const struct bench_placements p =
                        made_up(medians[n - 1], percent[n - 1], n, strays);

                wrong += p.count != n;
                for (int k = 0; k < n && p.count == n; k++)
                        wrong += fabs(log(p.at[k].yard.median / medians[n - 1][k])) > 0.1 ||
                                 bench_placement_of(&p, medians[n - 1][k]) != k;
        }
        check(wrong == 0, what, wrong);
}

static void no_clusters(void)
{
        static const double medians[2] = {130, 500};
        static const int percent[2] = {98, 2};
        struct bench_placements p = made_up(medians, percent, 2, 0);
        double yards[YARDS];

        check(p.count == 1 && bench_placement_of(&p, 500) == -1,
              "a fiftieth of the yardsticks is no placement, and in none", p.count);
        for (int i = 0; i < YARDS; i++)
                yards[i] = 100 * pow(4, uniform());
        p = bench_find_placements(yards, YARDS);
        check(p.count == 1, "yardsticks without a gap are one placement", p.count);
        p = bench_find_placements(yards, 1);
        check(p.count == 1 && bench_placement_of(&p, yards[0]) == 0, "and so is a single one",
              p.count);
        p = bench_find_placements(yards, 0);
        check(p.count == 1 && bench_placement_of(&p, 100) == -1, "and none", p.count);
}

/* Far from each other, twice as slow as the base; near, three times. */
static void ratios_by_placement(void)
{
        enum { ROUNDS = 60 };
        static struct bench_sample fast[ROUNDS], slow[ROUNDS];
        const struct bench_case cases[] = {{.contender = "fast",
                                            .metric = "made up",
                                            .label = "1",
                                            .kind = BENCH_RATE,
                                            .base = true,
                                            .samples = fast,
                                            .count = ROUNDS},
                                           {.contender = "slow",
                                            .metric = "made up",
                                            .label = "1",
                                            .kind = BENCH_RATE,
                                            .samples = slow,
                                            .count = ROUNDS}};
        const struct bench_placements where = {
                .count = 2, .at = {{.yard = {120, 130, 140}}, {.yard = {450, 500, 550}}}};
        double near, far;

        for (uint32_t i = 0; i < ROUNDS; i++) {
                const bool is_far = i % 2, moves = i % 5 != 0;

                fast[i] = (struct bench_sample){
                        .ns = is_far ? 40 : 10, .yard = is_far ? 510 : 125, .round = i, .kept = 1};
                slow[i] = (struct bench_sample){.ns = is_far != moves ? 80 : 30,
                                                .yard = is_far != moves ? 490 : 135,
                                                .round = i,
                                                .kept = 1};
        }
        bench_report_cases(cases, 2, &where);
        near = bench_ratio("made up", "slow", "1", "1");
        far = bench_ratio("made up", "slow", "1", "2");
        check(fabs(near - 1 / 3.0) < 1e-9, "a ratio is to the base in the same placement", near);
        check(fabs(far - 0.5) < 1e-9, "... the farther one, too", far);
}

static struct bench_case made_up_case(const char *contender, enum bench_role role, int league,
                                      struct bench_sample *samples, double ns)
{
        for (uint32_t i = 0; i < 20; i++)
                samples[i] = (struct bench_sample){.ns = ns, .yard = 130, .round = i, .kept = 1};
        return (struct bench_case){.contender = contender,
                                   .metric = "leagues",
                                   .label = "1",
                                   .kind = BENCH_RATE,
                                   .role = role,
                                   .league = league,
                                   .samples = samples,
                                   .count = 20};
}

/* The best is a rival, of the same league; and a model is not. */
static void leagues(void)
{
        static struct bench_sample samples[5][20];
        const struct bench_placements where = {.count = 1, .at = {{.yard = {120, 130, 140}}}};
        const struct bench_case cases[] = {
                made_up_case("ours", BENCH_OURS, 0, samples[0], 20),
                made_up_case("slow", BENCH_RIVAL, 0, samples[1], 40),
                made_up_case("good", BENCH_RIVAL, 0, samples[2], 10),
                made_up_case("other league", BENCH_RIVAL, 1, samples[3], 2),
                made_up_case("model", BENCH_MODEL, 0, samples[4], 5)};
        double best, slow, model;

        bench_report_cases(cases, 5, &where);
        best = bench_ratio("leagues / best", "ours", "1", NULL);
        slow = bench_ratio("leagues / best", "slow", "1", NULL);
        model = bench_ratio("leagues / model", "ours", "1", NULL);
        check(fabs(best - 0.5) < 1e-9, "a ratio to the best rival of the league", best);
        check(fabs(slow - 0.25) < 1e-9, "... of a rival", slow);
        check(fabs(model - 0.25) < 1e-9, "a ratio to the best model", model);
}

static void placements(void)
{
        clusters(1, "one placement is not torn apart", 0);
        clusters(1, "... by strays", 3);
        clusters(2, "two placements are told apart", 0);
        clusters(2, "... with strays between them", 3);
        clusters(3, "three placements are told apart", 0);
        clusters(3, "... with strays between them", 3);
        no_clusters();
        ratios_by_placement();
        leagues();
}

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
        statistics();
        placements();
        payload();
        memory();
        pages();
        company();
        crowds();
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
