/* SPDX-License-Identifier: MIT */
/*
 * Suite paced: a message each 1, 10 or 100 us, from when it should have been sent to
 * when it had been read. Should have been: the schedule is absolute, so a
 * sender that is held up makes all messages late that it holds up.
 *
 * The median is that of each trial, and compared like all figures. Tails need
 * more messages than a trial has: they are percentiles of all trials in a
 * placement. In them is whatever took a processor away, too; so they are also
 * given without the trials in which either side was switched out ("calm"), and
 * a note says how many of the latest messages were in those.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../src/measure/figures.h"
#include "paced.h"

enum { GAPS = 3, SIZES = 3, TAILS = 4, WARM = 16, CASES = 32 * GAPS * SIZES };

static const struct {
        double ns;
        uint64_t messages; /* of a trial */
        const char *median, *tail[TAILS];
} gaps[GAPS] = {{1e3,
                 3000,
                 "paced 1 us, p50",
                 {"paced 1 us, p99", "paced 1 us, p99 calm", "paced 1 us, p99.9",
                  "paced 1 us, p99.9 calm"}},
                {1e4,
                 400,
                 "paced 10 us, p50",
                 {"paced 10 us, p99", "paced 10 us, p99 calm", "paced 10 us, p99.9",
                  "paced 10 us, p99.9 calm"}},
                {1e5,
                 100,
                 "paced 100 us, p50",
                 {"paced 100 us, p99", "paced 100 us, p99 calm", "paced 100 us, p99.9",
                  "paced 100 us, p99.9 calm"}}};

static const struct {
        size_t len;
        const char *label;
} sizes[SIZES] = {{8, "8"}, {56, "56"}, {248, "248"}};

/* Messages that tell a percentile: two or more are beyond it. */
static const struct {
        double percent;
        size_t least;
} tails[TAILS] = {{99, 200}, {99, 200}, {99.9, 2000}, {99.9, 2000}};

struct trial {
        double yard;
        size_t first, count; /* in the case's latencies */
        bool calm;
};

struct paced {
        const struct bench_loops *loops;
        int gap;
        float *late; /* ns */
        size_t late_count;
        struct trial *trials;
        size_t trial_count;
};

static struct paced all[CASES];
static struct bench_case cases[CASES]; /* their medians */
static size_t count;

static void add(const struct bench_contender *who, const struct bench_loops *l, int size)
{
        for (int g = 0; g < GAPS; g++) {
                if (count == CASES)
                        bench_die("too many contenders");
                all[count] = (struct paced){.loops = l, .gap = g};
                cases[count++] = (struct bench_case){.contender = who->peer->name,
                                                     .metric = gaps[g].median,
                                                     .label = sizes[size].label,
                                                     .x = (double)l->max,
                                                     .bytes = (double)l->max,
                                                     .kind = BENCH_COST,
                                                     .role = who->role,
                                                     .league = who->league,
                                                     .group = g * SIZES + size};
        }
}

void bench_paced_add(const struct bench_contender *who)
{
        if (bench_options.only && !strstr(who->peer->name, bench_options.only))
                return;
        for (size_t j = 0; j < who->peer->count; j++)
                for (int s = 0; s < SIZES; s++)
                        if (who->peer->loops[j].max == sizes[s].len && who->peer->loops[j].paced)
                                add(who, &who->peer->loops[j], s);
}

/* ---- Trials ------------------------------------------------------- */

struct request {
        struct paced *paced;
        struct trial *trial;
        double *sorted; /* as many as a trial has messages */
};

static void *enlarge(void *list, size_t bytes)
{
        list = realloc(list, bytes);
        if (!list)
                bench_die("no memory");
        return list;
}

/* The median; the trial's latencies stand behind those of the case. */
static double run(void *arg)
{
        struct request *q = arg;
        struct paced *p = q->paced;
        const uint64_t n = gaps[p->gap].messages;
        struct bench_pace *pace;
        void *ring;

        bench_trial_memory(true);
        ring = p->loops->open();
        pace = bench_shared(sizeof *pace);
        pace->late = bench_shared((n + WARM) * sizeof *pace->late);
        bench_trial_memory(false);
        pace->gap = (uint64_t)(gaps[p->gap].ns / bench_tick_ns);
        bench_processes(p->loops->paced, p->loops->clocked, ring, pace, n + WARM);
        p->loops->close(ring);
        q->trial->calm = bench_mine->preempted == 0 && bench_theirs->preempted == 0;
        if (bench_fate == BENCH_PREEMPTED) /* kept, but not calm */
                bench_fate = BENCH_FINE;
        p->late = enlarge(p->late, (p->late_count + n) * sizeof *p->late);
        for (uint64_t i = 0; i < n; i++) {
                p->late[p->late_count + i] = (float)(pace->late[i + WARM] * bench_tick_ns);
                q->sorted[i] = (double)p->late[p->late_count + i];
        }
        return bench_spread_of(q->sorted, n).median;
}

static void one_trial(size_t i, uint32_t round, double *sorted)
{
        struct paced *p = &all[i];
        struct bench_case *c = &cases[i];
        struct trial t = {.first = p->late_count, .count = gaps[p->gap].messages};
        struct request q = {p, &t, sorted};
        struct bench_sample s = {.round = round};

        bench_running = c->contender;
        s.yard = t.yard = bench_bracket(run, &q, &s.ns);
        s.kept = t.yard > 0;
        c->samples = enlarge(c->samples, (c->count + 1) * sizeof *c->samples);
        c->samples[c->count++] = s;
        if (!s.kept)
                return;
        p->late_count += t.count;
        p->trials = enlarge(p->trials, (p->trial_count + 1) * sizeof *p->trials);
        p->trials[p->trial_count++] = t;
}

/* All contenders of one gap and size, in random order. */
static void one_round(int group, uint32_t round, double *sorted)
{
        size_t order[CASES], n = 0;

        for (size_t i = 0; i < count; i++)
                if (cases[i].group == group)
                        order[n++] = i;
        for (size_t i = n; i > 0; i--) {
                const size_t j = bench_random() % i, chosen = order[j];

                order[j] = order[i - 1];
                one_trial(chosen, round, sorted);
        }
}

/* ---- Rows --------------------------------------------------------- */

static bool belongs(const struct trial *t, int where, bool only_calm)
{
        return bench_placement_of(bench_where(), t->yard) == where && (t->calm || !only_calm);
}

/* The latencies of all trials there to `list`, the percentile of each to `each`;
 * returns how many messages, *trials. */
static size_t collect(const struct paced *p, int where, int tail, double *list, double *each,
                      size_t *trials)
{
        size_t n = 0;

        *trials = 0;
        for (size_t k = 0; k < p->trial_count; k++) {
                const struct trial *t = &p->trials[k];

                if (!belongs(t, where, tail % 2))
                        continue;
                for (size_t j = 0; j < t->count; j++)
                        list[n + j] = (double)p->late[t->first + j];
                figures_sort(list + n, t->count);
                each[(*trials)++] = figures_percentile(list + n, t->count, tails[tail].percent);
                n += t->count;
        }
        figures_sort(list, n);
        return n;
}

/* The percentile of all messages; its spread is that of the trials'. */
static void report_tail(size_t i, int where, int tail)
{
        const struct paced *p = &all[i];
        double *list = enlarge(NULL, (p->late_count + 1) * sizeof *list);
        double *each = enlarge(NULL, (p->trial_count + 1) * sizeof *each);
        size_t trials;
        const size_t n = collect(p, where, tail, list, each, &trials);
        struct bench_row row = {.metric = gaps[p->gap].tail[tail],
                                .contender = cases[i].contender,
                                .label = cases[i].label,
                                .placement = bench_placement_name(where),
                                .yard = bench_where()->at[where].yard.median,
                                .x = cases[i].x,
                                .bytes = cases[i].bytes,
                                .unit = "ns",
                                .value = bench_spread_of(each, trials),
                                .ratio_of = "",
                                .ratio = {NAN, NAN, NAN},
                                .trials = (unsigned)n};

        row.value.median = figures_percentile(list, n, tails[tail].percent);
        if (n >= tails[tail].least)
                bench_add_row(&row);
        free(list);
        free(each);
}

struct outliers {
        size_t trials, not_calm, messages, late, late_not_calm;
};

/* Ten times as late as the case's median trial. */
static void count_outliers(const struct paced *p, double median, int where, struct outliers *o)
{
        for (size_t k = 0; k < p->trial_count; k++) {
                const struct trial *t = &p->trials[k];

                if (!belongs(t, where, false))
                        continue;
                o->trials++;
                o->not_calm += !t->calm;
                o->messages += t->count;
                for (size_t j = 0; j < t->count; j++) {
                        const bool late = (double)p->late[t->first + j] > 10 * median;

                        o->late += late;
                        o->late_not_calm += late && !t->calm;
                }
        }
}

static double median_of(const struct bench_case *c)
{
        double *ns = enlarge(NULL, (c->count + 1) * sizeof *ns), median;
        size_t n = 0;

        for (size_t i = 0; i < c->count; i++)
                if (c->samples[i].kept)
                        ns[n++] = c->samples[i].ns;
        median = bench_spread_of(ns, n).median;
        free(ns);
        return median;
}

static void report(int where)
{
        struct outliers o = {0};

        for (int tail = 0; tail < TAILS; tail++)
                for (size_t i = 0; i < count; i++)
                        report_tail(i, where, tail);
        for (size_t i = 0; i < count; i++)
                count_outliers(&all[i], median_of(&cases[i]), where, &o);
        bench_note("placement %s: %zu trials, either side switched out in %zu; %zu messages, %zu "
                   "later than ten medians, %zu of these in trials with a switch\n",
                   bench_placement_name(where), o.trials, o.not_calm, o.messages, o.late,
                   o.late_not_calm);
}

void bench_paced_run(double seconds)
{
        const double begin = bench_now(), end = begin + seconds * 1e9;
        double *sorted = enlarge(NULL, gaps[0].messages * sizeof *sorted), error, apart;
        uint32_t round = 0;

        apart = bench_ticks_apart(&error);
        bench_note("clock: %s; the second processor's is %.0f ns ahead (+- %.0f)\n",
                   bench_has_tsc ? "time stamp counter" : "CLOCK_MONOTONIC", apart, error);
        while (count > 0 && (bench_now() < end || round < GAPS * SIZES)) {
                one_round((int)(round % (GAPS * SIZES)), round, sorted);
                bench_progress("paced", fmin(0.99, (bench_now() - begin) / (end - begin)), ++round,
                               0);
        }
        bench_progress("done", 1, round, 0);
        free(sorted);
        bench_report_cases(cases, count, bench_where());
        for (int where = 0; where < bench_where()->count; where++)
                report(where);
}
