/* SPDX-License-Identifier: MIT */
/*
 * Two processes that may have to share a processor, with defaults:
 *
 *   unpinned   neither is pinned: the scheduler places them
 *   one-cpu    both on one processor
 *   rhythm     apart, or together on one: is the default wait as good as the
 *              better of always spinning and always sleeping?
 *
 * One-cpu and rhythm pin each side once it has joined: an endpoint opens without
 * knowing where it will run, as if the scheduler placed it.
 *
 * The first two also with a third process that computes all the time, where
 * the two are. Round trips and streams, and requests that the other side
 * computes for a while before it answers. Base: the pipe in the same round; of
 * rhythm the better of the two fixed kinds of waiting. No trial is dropped: that
 * processors are taken away is what is measured. So the worst trial is
 * reported, too, and `together`: in how many of a hundred looks both sides were on
 * one processor.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../src/measure/figures.h"
#include "bench_ipc.h"

#define LAST   (UINT64_C(1) << 63) /* the number of the message that ends a trial */
#define EACH   30e6                /* ns of a trial */
#define LONGER 90e6                /* ... beside a third process, whose turns take milliseconds */

enum { LOOK_EVERY = 64, ROUNDS = 512, CONTENDERS = 8, SLEEPY = 20, SETTLE = 10 };

/* One column of a table: what both sides do in a trial. */
struct cell {
        const char *metric, *label;
        double x, think_ns;
        size_t len;
        bool stream, busy, after_sleep, apart;
};

static const struct cell shared_cells[] = {
        {"round trip", "64 B", 1, 0, 64, false, false, false, false},
        {"round trip", "1 KiB", 2, 0, 1024, false, false, false, false},
        {"round trip", "5 us", 3, 5e3, 64, false, false, false, false},
        {"round trip", "20 us", 4, 2e4, 64, false, false, false, false},
        {"round trip", "100 us", 5, 1e5, 64, false, false, false, false},
        {"stream", "64 B", 1, 0, 64, true, false, false, false},
        {"stream", "1 KiB", 2, 0, 1024, true, false, false, false},
        {"busy trip", "64 B", 1, 0, 64, false, true, false, false},
        {"busy trip", "1 KiB", 2, 0, 1024, false, true, false, false},
        {"busy trip", "5 us", 3, 5e3, 64, false, true, false, false},
        {"busy trip", "20 us", 4, 2e4, 64, false, true, false, false},
        {"busy trip", "100 us", 5, 1e5, 64, false, true, false, false},
        {"busy stream", "64 B", 1, 0, 64, true, true, false, false},
        {"busy stream", "1 KiB", 2, 0, 1024, true, true, false, false}};

static const struct cell rhythm_cells[] = {
        {"apart", "1 us", 1, 1e3, 64, false, false, true, true},
        {"apart", "5 us", 5, 5e3, 64, false, false, true, true},
        {"apart", "20 us", 20, 2e4, 64, false, false, true, true},
        {"apart", "50 us", 50, 5e4, 64, false, false, true, true},
        {"apart", "100 us", 100, 1e5, 64, false, false, true, true},
        {"apart", "200 us", 200, 2e5, 64, false, false, true, true},
        {"together", "1 us", 1, 1e3, 64, false, false, true, false},
        {"together", "5 us", 5, 5e3, 64, false, false, true, false},
        {"together", "20 us", 20, 2e4, 64, false, false, true, false},
        {"together", "50 us", 50, 5e4, 64, false, false, true, false},
        {"together", "100 us", 100, 1e5, 64, false, false, true, false},
        {"together", "200 us", 200, 2e5, 64, false, false, true, false}};

static const char *const shared_names[] = {"sluice, futex",  "sluice, FIFO",  "pipe",
                                           "AF_UNIX stream", "eventfd + shm", "bare futex"};
static const char *const rhythm_names[] = {"sluice, futex", "sluice, spin",
                                           "sluice, futex, no spin", "pipe", "bare futex"};

enum suite { UNPINNED, ONE_CPU, RHYTHM };

static enum suite suite;
static const struct cell *cells;
static size_t cell_count, contender_count;
static const struct bench_ipc *contenders[CONTENDERS];

/* What one trial leaves. ns: negative, there was none. */
struct outcome {
        double ns, p99, together;
};

static struct outcome (*outcomes)[CONTENDERS][ROUNDS]; /* of a cell */
static size_t rounds;

/* ---- One trial ---------------------------------------------------- */

struct talk {
        const struct bench_ipc *ipc;
        void *ctx;
        const struct cell *cell;
        struct histogram *trips;               /* shared */
        double *looks, *together;              /* likewise */
        MEASURE_APART _Atomic int *theirs_cpu; /* where the other side is */
        double duration;
};

static unsigned char *message(struct bench_side *s)
{
        return s->buf + BENCH_IPC_FRONT;
}

static void say(struct bench_side *s, const struct talk *t, int which, uint64_t number, size_t len)
{
        payload_fill(message(s), number, len);
        t->ipc->send(t->ctx, which, message(s), len);
}

/* The number that came, which is the expected one but for the flag LAST. */
static uint64_t hear(struct bench_side *s, const struct talk *t, int which, uint64_t expected,
                     size_t len)
{
        uint64_t number;

        t->ipc->recv(t->ctx, which, message(s), len);
        number = *(payload_word *)(void *)message(s);
        if ((number & ~LAST) != expected || !payload_good(message(s), number, len))
                bench_corrupt(t->ipc->name, expected);
        return number;
}

static void compute(double ns)
{
        for (const double end = bench_now() + ns; bench_now() < end;)
                ;
}

/* Requests 1 to SLEEPY are answered late, so that both sides have slept. */
static double think_ns(const struct cell *c, uint64_t number)
{
        return c->after_sleep && number <= SLEEPY ? 5e5 : c->think_ns;
}

static void look_where(const struct talk *t)
{
        t->looks[0]++;
        t->together[0] += sched_getcpu() == atomic_load(t->theirs_cpu);
}

static void join(struct bench_side *s, const struct talk *t)
{
        const int side = s == bench_theirs;

        if (t->ipc->begin)
                t->ipc->begin(t->ctx, side);
        if (suite != UNPINNED)
                bench_pin(bench_options.cpu[side && t->cell->apart]);
        if (side == 0)
                say(s, t, 0, 0, t->cell->len);
        (void)hear(s, t, side ? 0 : 1, 0, t->cell->len);
        if (side == 1)
                say(s, t, 1, 0, t->cell->len);
}

static void leave(struct bench_side *s, const struct talk *t)
{
        if (t->ipc->end)
                t->ipc->end(t->ctx, s == bench_theirs);
}

/* Until the time is over, or the contender has no more room. */
static bool is_over(const struct talk *t, uint64_t number, double now, double end)
{
        return now >= end || (t->ipc->most && number >= BENCH_BARE_MESSAGES - 2);
}

static void ask(struct bench_side *s)
{
        const struct talk *t = s->a;
        uint64_t i = 0, untimed = t->cell->after_sleep ? SLEEPY + SETTLE : 0;
        double end, before;
        bool over = false;

        join(s, t);
        s->begin = before = bench_now();
        for (end = before + t->duration; !over;) {
                double now;

                over = is_over(t, ++i, before, end) && i > untimed;
                say(s, t, 0, over ? i | LAST : i, t->cell->len);
                (void)hear(s, t, 1, i, t->cell->len);
                now = bench_now();
                if (i > untimed)
                        histogram_add(t->trips, (int64_t)(now - before));
                else
                        s->begin = now, end = now + t->duration;
                if (i % LOOK_EVERY == 1)
                        look_where(t);
                before = now;
        }
        s->end = before;
        s->n = i - untimed;
        leave(s, t);
}

static void answer(struct bench_side *s)
{
        const struct talk *t = s->a;
        uint64_t number = 0;

        join(s, t);
        for (uint64_t i = 1; !(number & LAST); i++) {
                const double ns = think_ns(t->cell, i);

                number = hear(s, t, 0, i, t->cell->len);
                if (ns > 0)
                        compute(ns);
                if (i % LOOK_EVERY == 1)
                        atomic_store(t->theirs_cpu, sched_getcpu());
                say(s, t, 1, i, t->cell->len);
        }
        leave(s, t);
}

static void pour(struct bench_side *s)
{
        const struct talk *t = s->a;
        uint64_t i = 0;
        double end;
        bool over = false;

        join(s, t);
        s->begin = bench_now();
        for (end = s->begin + t->duration; !over;) {
                i++;
                over = (i % LOOK_EVERY == 0 && is_over(t, i, bench_now(), end)) ||
                       is_over(t, i, 0, end);
                say(s, t, 0, over ? i | LAST : i, t->cell->len);
                if (i % (LOOK_EVERY * LOOK_EVERY) == 1)
                        look_where(t);
        }
        (void)hear(s, t, 1, i + 1, t->cell->len); /* all has arrived */
        s->end = bench_now();
        s->n = i;
        leave(s, t);
}

static void drain(struct bench_side *s)
{
        const struct talk *t = s->a;
        uint64_t i = 0, number = 0;

        join(s, t);
        while (!(number & LAST)) {
                number = hear(s, t, 0, ++i, t->cell->len);
                if (i % (LOOK_EVERY * LOOK_EVERY) == 1)
                        atomic_store(t->theirs_cpu, sched_getcpu());
        }
        say(s, t, 1, i + 1, t->cell->len);
        leave(s, t);
}

/* ---- The third process -------------------------------------------- */

static pid_t third_start(void)
{
        const pid_t pid = fork();

        if (pid < 0)
                bench_die("fork: %s", strerror(errno));
        if (pid > 0)
                return pid;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (suite == UNPINNED)
                bench_unpin();
        else
                bench_pin(bench_options.cpu[0]);
        for (;;)
                compute(1e9);
}

static void third_stop(pid_t pid)
{
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

/* ---- Trials ------------------------------------------------------- */

static struct outcome run(struct talk *t)
{
        const bool stream = t->cell->stream;
        const pid_t third = t->cell->busy ? third_start() : 0;
        struct outcome o = {-1, NAN, NAN};

        memset(t->trips, 0, sizeof *t->trips);
        *t->looks = *t->together = 0;
        if (bench_children(stream ? pour : ask, stream ? drain : answer, t, NULL, 1) >= 0) {
                o.ns = (bench_mine->end - bench_mine->begin) / (double)bench_mine->n;
                o.p99 = histogram_percentile(t->trips, 99);
                o.together = 100 * *t->together / *t->looks;
        }
        if (third)
                third_stop(third);
        return o;
}

static struct outcome trial(const struct bench_ipc *ipc, const struct cell *c)
{
        static struct talk t;
        struct outcome o = {-1, NAN, NAN};

        if (!t.trips) {
                t.trips = bench_shared(sizeof *t.trips);
                t.looks = bench_shared(2 * sizeof *t.looks);
                t.theirs_cpu = bench_shared(sizeof *t.theirs_cpu);
        }
        t.together = t.looks + 1;
        t.ipc = ipc;
        t.cell = c;
        t.duration = c->busy ? LONGER : EACH;
        if (ipc->most && c->len > ipc->most)
                return o;
        bench_running = ipc->name;
        t.ctx = ipc->open(c->len);
        if (!t.ctx)
                return o;
        o = run(&t);
        ipc->close(t.ctx);
        return o;
}

static void shuffle(int *order, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                const size_t j = (size_t)(bench_random() % (i + 1));

                order[i] = order[j];
                order[j] = (int)i;
        }
}

/* To spin for ever where the other side needs the processor takes a turn of the
 * scheduler for each message. */
static bool is_pointless(size_t contender, const struct cell *c)
{
        return !c->apart && strcmp(contenders[contender]->name, "sluice, spin") == 0;
}

static void one_round(size_t cell)
{
        const struct cell *c = &cells[cell];
        int order[CONTENDERS];

        shuffle(order, contender_count);
        for (size_t i = 0; i < contender_count; i++) {
                const struct outcome none = {-1, NAN, NAN};
                const int k = order[i];

                outcomes[cell][k][rounds] =
                        is_pointless((size_t)k, c) ? none : trial(contenders[k], c);
        }
}

static void run_rounds(double seconds)
{
        const double begin = bench_now(), end = begin + seconds * 1e9;
        int *order = malloc(cell_count * sizeof *order);

        if (!order)
                bench_die("no memory");
        for (double took = 0; rounds < ROUNDS && bench_now() + took <= end; rounds++) {
                const double before = bench_now();

                shuffle(order, cell_count);
                for (size_t i = 0; i < cell_count; i++) {
                        one_round((size_t)order[i]);
                        bench_progress(cells[order[i]].label,
                                       (bench_now() - begin) / (end - begin) * 0.99,
                                       (unsigned)rounds, 0);
                }
                took = bench_now() - before;
        }
        bench_progress("done", 1, (unsigned)rounds, 0);
        free(order);
}

/* ---- Rows --------------------------------------------------------- */

static int index_of(const char *name)
{
        for (size_t k = 0; k < contender_count; k++)
                if (strcmp(contenders[k]->name, name) == 0)
                        return (int)k;
        return -1;
}

static double ns_of(size_t cell, const char *name, size_t round)
{
        const int k = index_of(name);

        return k < 0 ? -1 : outcomes[cell][k][round].ns;
}

/* Of that round; negative: there is none. */
static double base_ns(size_t cell, size_t round)
{
        const double spins = ns_of(cell, "sluice, spin", round);
        const double sleeps = ns_of(cell, "sluice, futex, no spin", round);

        if (suite != RHYTHM)
                return ns_of(cell, "pipe", round);
        return spins > 0 && spins < sleeps ? spins : sleeps;
}

static struct bench_row row_of(size_t cell, size_t contender)
{
        const struct cell *c = &cells[cell];
        const struct bench_row r = {.metric = c->metric,
                                    .contender = contenders[contender]->name,
                                    .label = c->label,
                                    .placement = "any",
                                    .x = c->x,
                                    .bytes = (double)c->len,
                                    .unit = "ns",
                                    .rate = c->stream,
                                    .ratio_of =
                                            suite == RHYTHM ? "better of spin and no spin" : "pipe",
                                    .ratio = {NAN, NAN, NAN}};

        return r;
}

static const char *worst_of(const char *metric)
{
        static const struct {
                const char *metric, *worst;
        } names[] = {{"round trip", "worst trip"}, {"busy trip", "busy worst trip"},
                     {"stream", "worst stream"},   {"busy stream", "busy worst stream"},
                     {"apart", "worst apart"},     {"together", "worst together"}};
        size_t i = 0;

        while (strcmp(names[i].metric, metric) != 0)
                i++;
        return names[i].worst;
}

static void add_side_row(struct bench_row r, const char *metric, struct bench_spread v)
{
        r.metric = metric;
        r.value = v;
        r.rate = false;
        r.ratio_of = "";
        if (!isnan(v.median))
                bench_add_row(&r);
}

/* Its worst trial: the longest time, and the ratio that is furthest to the bad. */
static void add_worst(struct bench_row r, double ns, double ratio)
{
        r.metric = worst_of(r.metric);
        r.value.low = r.value.median = r.value.high = ns;
        r.ratio.low = r.ratio.median = r.ratio.high = ratio;
        bench_add_row(&r);
}

static void report(size_t cell, size_t contender)
{
        static double ns[ROUNDS], ratio[ROUNDS], p99[ROUNDS], together[ROUNDS];
        const struct cell *c = &cells[cell];
        struct bench_row r = row_of(cell, contender);
        size_t n = 0;

        for (size_t round = 0; round < rounds; round++) {
                const struct outcome o = outcomes[cell][contender][round];
                const double base = base_ns(cell, round);

                if (o.ns < 0 || base < 0)
                        continue;
                ns[n] = o.ns;
                p99[n] = o.p99;
                together[n] = o.together;
                ratio[n++] = c->stream ? base / o.ns : o.ns / base;
        }
        if (n == 0)
                return;
        r.trials = (unsigned)n;
        r.value = bench_spread_of(ns, n);
        r.ratio = bench_spread_of(ratio, n);
        bench_add_row(&r);
        add_worst(r, ns[n - 1], ratio[c->stream ? 0 : n - 1]);
        if (!c->stream)
                add_side_row(r, c->busy ? "busy trip p99" : "p99", bench_spread_of(p99, n));
        if (suite == UNPINNED)
                add_side_row(r,
                             c->stream ? "stream on one CPU, %"
                             : c->busy ? "busy trip on one CPU, %"
                                       : "trip on one CPU, %",
                             bench_spread_of(together, n));
}

/* ---- Suites ------------------------------------------------------- */

static const struct bench_ipc *find(const char *name)
{
        static const struct bench_ipc *const lists[] = {bench_ipc_sluice_wakes, bench_ipc_kernel,
                                                        bench_ipc_shm, bench_ipc_bare};

        for (size_t l = 0; l < sizeof lists / sizeof *lists; l++)
                for (const struct bench_ipc *ipc = lists[l]; ipc->name; ipc++)
                        if (strcmp(ipc->name, name) == 0)
                                return ipc;
        bench_die("no contender called %s", name);
}

static void choose(const char *const *names, size_t n, const struct cell *list, size_t count)
{
        const char *only = bench_options.only;

        cells = list;
        cell_count = count;
        for (size_t i = 0; i < n; i++)
                if (!only || strstr(names[i], only) || strcmp(names[i], "pipe") == 0)
                        contenders[contender_count++] = find(names[i]);
        outcomes = calloc(count, sizeof *outcomes);
        if (!outcomes)
                bench_die("no memory");
}

int main(int argc, char **argv)
{
        bench_begin(argc, argv, "unpinned", 60);
        suite = strcmp(bench_options.suite, "rhythm") == 0    ? RHYTHM
                : strcmp(bench_options.suite, "one-cpu") == 0 ? ONE_CPU
                                                              : UNPINNED;
        if (suite == RHYTHM)
                choose(rhythm_names, sizeof rhythm_names / sizeof *rhythm_names, rhythm_cells,
                       sizeof rhythm_cells / sizeof *rhythm_cells);
        else
                choose(shared_names, sizeof shared_names / sizeof *shared_names, shared_cells,
                       sizeof shared_cells / sizeof *shared_cells);
        bench_place(BENCH_ANYWHERE, BENCH_ANYWHERE);
        run_rounds(bench_options.seconds);
        for (size_t cell = 0; cell < cell_count; cell++)
                for (size_t k = 0; k < contender_count; k++)
                        report(cell, k);
        free(outcomes);
        bench_end();
        return 0;
}
