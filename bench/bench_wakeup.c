/* SPDX-License-Identifier: MIT */
/*
 * Suite wakeup: a consumer that sleeps, a message now and then.
 *
 *   wake ...   the gap between messages swept from 1 us to 100 ms: latency
 *              from just before the send to the return of the receive, in
 *              percentiles over all messages; the consumer's CPU time and
 *              context switches, and the system calls of either side, each
 *              for one message
 *   parked     round trip when nobody spins, as a multiple of the bare
 *              mechanism's
 *   idle       CPU time of an endpoint that waits for what never comes
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../src/measure/figures.h"
#include "bench_ipc.h"
#include "calls.h"

enum { LEN = 56, GAPS = 11, CONTENDERS = 10, SPIN_BELOW = 200000 };

static const struct {
        const char *label;
        double ns;
} gaps[GAPS] = {{"1 us", 1e3},   {"3 us", 3e3},   {"10 us", 1e4}, {"30 us", 3e4},
                {"100 us", 1e5}, {"300 us", 3e5}, {"1 ms", 1e6},  {"3 ms", 3e6},
                {"10 ms", 1e7},  {"30 ms", 3e7},  {"100 ms", 1e8}};

/* Figures of one slice: some seconds of one contender at one gap. */
struct slice {
        double yard, cpu, switches, calls[2]; /* of the producer, of the consumer */
        size_t first, count;                  /* in the list of latencies */
};

struct pool {
        const struct bench_ipc *ipc;
        double *latency;
        size_t count;
        struct slice *slices;
        unsigned slice_count, dropped;
};

static struct pool pools[CONTENDERS][GAPS];

/* ---- One slice ---------------------------------------------------- */

struct pace {
        const struct bench_ipc *ipc;
        void *ctx;
        double gap;
        double *latency, *calls; /* shared */
};

static void wait_until(double when)
{
        const double early = when - bench_now() - SPIN_BELOW / 2.0;

        if (early > SPIN_BELOW / 2.0) {
                const struct timespec t = {.tv_sec = (time_t)(early / 1e9),
                                           .tv_nsec = (long)fmod(early, 1e9)};

                nanosleep(&t, NULL);
        }
        while (bench_now() < when)
                bench_relax();
}

static void pace_out(struct bench_side *s)
{
        const struct pace *p = s->a;
        payload_word *w = (void *)s->buf;
        uint64_t calls;

        if (p->ipc->begin)
                p->ipc->begin(p->ctx, 0);
        p->ipc->recv(p->ctx, 1, s->buf, LEN); /* the other side is there */
        calls = bench_calls();
        for (uint64_t i = 1; i <= s->n; i++) {
                wait_until(bench_now() + p->gap);
                payload_fill(w, i, LEN);
                ((double *)(void *)s->buf)[1] = bench_now();
                p->ipc->send(p->ctx, 0, s->buf, LEN);
        }
        p->calls[0] = (double)(bench_calls() - calls);
        p->ipc->recv(p->ctx, 1, s->buf, LEN);
        if (p->ipc->end)
                p->ipc->end(p->ctx, 0);
}

static void take_in(struct bench_side *s)
{
        const struct pace *p = s->a;
        const payload_word *w = (void *)s->buf;
        uint64_t calls;

        if (p->ipc->begin)
                p->ipc->begin(p->ctx, 1);
        payload_fill(s->buf, 0, LEN);
        p->ipc->send(p->ctx, 1, s->buf, LEN);
        bench_timed_begin(s);
        calls = bench_calls(); /* not what the harness just made */
        for (uint64_t i = 1; i <= s->n; i++) {
                p->ipc->recv(p->ctx, 0, s->buf, LEN);
                p->latency[i - 1] = bench_now() - ((double *)(void *)s->buf)[1];
                if (w[0] != i || !payload_good(w + 2, i + 2, LEN - 16))
                        bench_corrupt(p->ipc->name, i);
        }
        p->calls[1] = (double)(bench_calls() - calls);
        bench_timed_end(s);
        p->ipc->send(p->ctx, 1, s->buf, LEN);
        if (p->ipc->end)
                p->ipc->end(p->ctx, 1);
}

struct request {
        struct pool *pool;
        double gap;
        uint64_t n;
        double *latency, *calls;
        double busy, slept;
};

static double run_slice(void *arg)
{
        struct request *q = arg;
        const struct bench_ipc *ipc = q->pool->ipc;
        struct pace p = {ipc, ipc->open(LEN), q->gap, q->latency, q->calls};

        bench_children(pace_out, take_in, &p, NULL, q->n);
        q->busy = bench_theirs->busy; /* the yardstick will run on these sides */
        q->slept = bench_theirs->slept;
        ipc->close(p.ctx);
        return 0;
}

static void slice(struct pool *pool, double gap, double seconds, double *latency)
{
        struct request q = {.pool = pool,
                            .gap = gap,
                            .latency = latency,
                            .calls = latency + BENCH_BARE_MESSAGES};
        double unused, n = seconds * 1e9 / (gap + 2e3);
        struct slice s = {.first = pool->count};

        n = n < 4 ? 4 : n;
        q.n = n > BENCH_BARE_MESSAGES ? BENCH_BARE_MESSAGES : (uint64_t)n;
        s.yard = bench_bracket(run_slice, &q, &unused);
        if (s.yard < 0) {
                pool->dropped++;
                return;
        }
        s.count = q.n;
        s.cpu = q.busy / (double)q.n;
        s.switches = q.slept / (double)q.n;
        for (int side = 0; side < 2; side++)
                s.calls[side] = q.calls[side] / (double)q.n;
        pool->slices = realloc(pool->slices, (pool->slice_count + 1) * sizeof s);
        pool->latency = realloc(pool->latency, (pool->count + q.n) * sizeof *latency);
        if (!pool->slices || !pool->latency)
                bench_die("no memory");
        memcpy(pool->latency + pool->count, latency, q.n * sizeof *latency);
        pool->slices[pool->slice_count++] = s;
        pool->count += q.n;
}

/* ---- Rows --------------------------------------------------------- */

static void row(const struct pool *p, int g, int where, const char *metric, const char *unit,
                struct bench_spread v, unsigned n)
{
        const struct bench_row r = {.metric = metric,
                                    .contender = p->ipc->name,
                                    .label = gaps[g].label,
                                    .placement = bench_placement_name(where),
                                    .yard = bench_where()->at[where].yard.median,
                                    .x = gaps[g].ns,
                                    .bytes = LEN,
                                    .unit = unit,
                                    .value = v,
                                    .ratio_of = "",
                                    .ratio = {NAN, NAN, NAN},
                                    .trials = n,
                                    .dropped = p->dropped};

        if (!isnan(v.median))
                bench_add_row(&r);
}

static const struct {
        const char *metric;
        double p;
        size_t least; /* messages to tell it */
} percentiles[] = {{"wake p50", 50, 1},
                   {"wake p90", 90, 20},
                   {"wake p99", 99, 200},
                   {"wake p99.9", 99.9, 2000},
                   {"wake max", 100, 1}};

static bool of(const struct slice *s, int where)
{
        return bench_placement_of(bench_where(), s->yard) == where;
}

/* Pooled percentiles; the spread is that of the slices. */
static void report_latency(const struct pool *p, int g, int where)
{
        double *all = malloc((p->count + 1) * sizeof *all);
        double *each = malloc((p->slice_count + 1) * sizeof *each);
        size_t n = 0, slices = 0;

        if (!all || !each)
                bench_die("no memory");
        for (unsigned k = 0; k < sizeof percentiles / sizeof *percentiles; k++) {
                struct bench_spread v;

                n = slices = 0;
                for (unsigned i = 0; i < p->slice_count; i++) {
                        const struct slice *s = &p->slices[i];

                        if (!of(s, where))
                                continue;
                        memcpy(all + n, p->latency + s->first, s->count * sizeof *all);
                        (void)bench_spread_of(all + n, s->count); /* sorts */
                        each[slices++] = figures_percentile(all + n, s->count, percentiles[k].p);
                        n += s->count;
                }
                if (n < percentiles[k].least)
                        continue;
                v = bench_spread_of(each, slices);
                (void)bench_spread_of(all, n);
                v.median = figures_percentile(all, n, percentiles[k].p);
                row(p, g, where, percentiles[k].metric, "ns", v, (unsigned)n);
        }
        free(all);
        free(each);
}

static void report_slices(const struct pool *p, int g, int where)
{
        static const char *const metric[] = {"wake CPU", "wake switches", "producer calls",
                                             "consumer calls"};
        static const char *const unit[] = {"ns of the consumer for a message",
                                           "context switches of the consumer for a message",
                                           "system calls of the producer for a message",
                                           "system calls of the consumer for a message"};
        double *each = malloc((p->slice_count + 1) * sizeof *each);

        if (!each)
                bench_die("no memory");
        for (int k = 0; k < 4; k++) {
                size_t n = 0;

                for (unsigned i = 0; i < p->slice_count; i++) {
                        const struct slice *s = &p->slices[i];
                        const double v[] = {s->cpu, s->switches, s->calls[0], s->calls[1]};

                        if (of(s, where))
                                each[n++] = v[k];
                }
                row(p, g, where, metric[k], unit[k], bench_spread_of(each, n), (unsigned)n);
        }
        free(each);
}

static void sweep(double seconds)
{
        const double end = bench_now() + seconds * 1e9, begin = bench_now();
        /* The counts of calls stand behind. */
        double *latency = bench_shared((BENCH_BARE_MESSAGES + 2) * sizeof *latency);
        /* About four rounds; most of a round goes to gaps of 1 ms and more. */
        const double unit = seconds / 4 / CONTENDERS;
        unsigned done = 0;

        while (bench_now() < end) {
                int order[CONTENDERS * GAPS];

                for (int i = 0; i < CONTENDERS * GAPS; i++) {
                        const int j = (int)(bench_random() % (uint64_t)(i + 1));

                        order[i] = order[j];
                        order[j] = i;
                }
                for (int i = 0; i < CONTENDERS * GAPS && bench_now() < end; i++) {
                        const int k = order[i] / GAPS, g = order[i] % GAPS;

                        if (!pools[k][g].ipc)
                                continue;
                        slice(&pools[k][g], gaps[g].ns, unit * (g < 6 ? 0.06 : 0.13), latency);
                        bench_progress(pools[k][g].ipc->name, (bench_now() - begin) / (end - begin),
                                       ++done, 0);
                }
        }
        bench_unshare(latency, (BENCH_BARE_MESSAGES + 2) * sizeof *latency);
        for (int where = 0; where < bench_where()->count; where++)
                for (int k = 0; k < CONTENDERS; k++)
                        for (int g = 0; g < GAPS; g++)
                                if (pools[k][g].slice_count) {
                                        report_latency(&pools[k][g], g, where);
                                        report_slices(&pools[k][g], g, where);
                                }
}

/* ---- Parked round trip -------------------------------------------- */

static double parked(const struct bench_case *c, uint64_t n)
{
        return bench_ipc_roundtrip(c->ctx, LEN, n);
}

static const struct bench_ipc *find(const struct bench_ipc *list, const char *name)
{
        while (list->name && strcmp(list->name, name) != 0)
                list++;
        return list->name ? list : NULL;
}

static void add_parked(void)
{
        static const struct {
                const char *label, *contender;
                bool base;
        } lines[] = {{"futex", "bare futex", true},
                     {"futex", "sluice, futex, no spin", false},
                     {"futex", "sluice, futex", false},
                     {"FIFO", "bare FIFO", true},
                     {"FIFO", "sluice, FIFO, no spin", false},
                     {"FIFO", "sluice, epoll", false},
                     {"FIFO", "bare pipe", false},
                     {"FIFO", "bare eventfd", false}};

        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
                const struct bench_ipc *ipc = find(bench_ipc_bare, lines[i].contender);
                struct bench_case c = {.contender = lines[i].contender,
                                       .metric = "parked",
                                       .label = lines[i].label,
                                       .x = (double)i,
                                       .kind = BENCH_COST,
                                       .base = lines[i].base,
                                       .trial = parked,
                                       .most = BENCH_BARE_MESSAGES};

                c.ctx = ipc ? ipc : find(bench_ipc_sluice_wakes, lines[i].contender);
                (void)bench_add(&c);
        }
}

/* ---- Idle --------------------------------------------------------- */

static void idle_sleeper(struct bench_side *s)
{
        const struct pace *p = s->a;

        p->ipc->begin(p->ctx, 1);
        p->ipc->send(p->ctx, 1, s->buf, LEN);
        bench_timed_begin(s);
        p->ipc->recv(p->ctx, 0, s->buf, LEN);
        bench_timed_end(s);
        p->ipc->end(p->ctx, 1);
}

static void idle_waker(struct bench_side *s)
{
        const struct pace *p = s->a;

        p->ipc->begin(p->ctx, 0);
        p->ipc->recv(p->ctx, 1, s->buf, LEN);
        wait_until(bench_now() + p->gap);
        payload_fill(s->buf, 0, LEN);
        p->ipc->send(p->ctx, 0, s->buf, LEN);
        p->ipc->end(p->ctx, 0);
}

static void idle(const char *name, double seconds)
{
        struct pace p = {.ipc = find(bench_ipc_sluice_wakes, name), .gap = seconds * 1e9};
        struct bench_row r = {.metric = "idle",
                              .contender = name,
                              .label = "1 endpoint",
                              .placement = "any",
                              .unit = "% of a core",
                              .ratio_of = "",
                              .ratio = {NAN, NAN, NAN},
                              .trials = 1};

        p.ctx = p.ipc->open(LEN);
        if (bench_children(idle_waker, idle_sleeper, &p, NULL, 1) < 0)
                bench_die("%s: the idle endpoint failed", name);
        p.ipc->close(p.ctx);
        r.value.low = r.value.median = r.value.high =
                100 * bench_theirs->busy / (bench_theirs->end - bench_theirs->begin);
        bench_add_row(&r);
}

int main(int argc, char **argv)
{
        int k = 0;

        bench_begin(argc, argv, "wakeup", 100);
        for (int list = 0; list < 2; list++) {
                const struct bench_ipc *ipc = list ? bench_ipc_bare : bench_ipc_sluice_wakes;

                for (; ipc->name; ipc++, k++)
                        for (int g = 0; g < GAPS; g++)
                                pools[k][g].ipc =
                                        !bench_options.only || strstr(ipc->name, bench_options.only)
                                                ? ipc
                                                : NULL;
        }
        sweep(bench_options.seconds * 0.75);
        add_parked();
        bench_run(bench_options.seconds * 0.15, 2e7);
        idle("sluice, futex", bench_options.seconds * 0.05);
        idle("sluice, FIFO", bench_options.seconds * 0.05);
        bench_end();
        return 0;
}
