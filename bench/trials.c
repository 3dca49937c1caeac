/* SPDX-License-Identifier: MIT */
/* Trials: each between two yardsticks, contenders in random order. */
#define _GNU_SOURCE
#include "harness.h"

#include <stdlib.h>
#include <string.h>

enum { TRIES = 3 }; /* for one trial, when it is disturbed */

static bool agree(double y0, double y1)
{
        return y0 <= BENCH_DISAGREE * y1 && y1 <= BENCH_DISAGREE * y0;
}

/* The yardstick behind one trial serves as the one before the next, while it
 * is fresh. */
static double yard_last, yard_time;

static double yard_before(void)
{
        if (yard_last > 0 && bench_now() - yard_time < 3e6)
                return yard_last;
        return bench_yardstick();
}

static double yard_behind(void)
{
        yard_last = bench_yardstick();
        yard_time = bench_now();
        return yard_last;
}

double bench_bracket(double (*fn)(void *), void *ctx, double *result)
{
        const double y0 = yard_before();
        enum bench_fate fate;
        double y1;

        bench_fate = BENCH_FINE;
        *result = fn(ctx);
        fate = bench_fate;
        y1 = yard_behind();
        return fate == BENCH_FINE && agree(y0, y1) ? (y0 + y1) / 2 : -1;
}

/* ---- Cases -------------------------------------------------------- */

static struct bench_case *cases;
static size_t case_count, case_room;
static int group_count;
static unsigned trials, dropped, fates[BENCH_FATES];

struct bench_case *bench_add(const struct bench_case *c)
{
        if (bench_options.only && !c->base && !strstr(c->contender, bench_options.only))
                return NULL;
        if (case_count == case_room) {
                case_room = case_room ? 2 * case_room : 64;
                cases = realloc(cases, case_room * sizeof *cases);
                if (!cases)
                        bench_die("no memory");
        }
        cases[case_count] = *c;
        cases[case_count].group = group_count;
        for (size_t i = 0; i < case_count; i++)
                if (strcmp(cases[i].metric, c->metric) == 0 &&
                    (c->across || strcmp(cases[i].label, c->label) == 0))
                        cases[case_count].group = cases[i].group;
        if (cases[case_count].group == group_count)
                group_count++;
        return &cases[case_count++];
}

static void keep(struct bench_case *c, struct bench_sample s)
{
        if (c->count == c->room) {
                c->room = c->room ? 2 * c->room : 32;
                c->samples = realloc(c->samples, c->room * sizeof *c->samples);
                if (!c->samples)
                        bench_die("no memory");
        }
        c->samples[c->count++] = s;
        trials++;
        dropped += !s.kept;
}

/* It is not tried again, and none of its figures are reported. */
static void leave_out(struct bench_case *c)
{
        c->impossible = true;
        c->count = 0;
        if (bench_fate == BENCH_FAILED)
                bench_note("left out, because it failed: %s, %s, %s\n", c->contender, c->metric,
                           c->label);
}

/* How many operations last target_ns: doubled until a trial is long enough to
 * tell. These trials are not kept. */
static void calibrate(struct bench_case *c, double target_ns)
{
        bench_fate = BENCH_FINE;
        c->n = 64;
        for (;;) {
                const double ns = c->trial(c, c->n);
                double n;

                if (ns < 0) {
                        leave_out(c);
                        return;
                }
                n = target_ns / (ns > 0.1 ? ns : 0.1);
                if (ns * (double)c->n >= target_ns / 16 || (c->most && c->n >= c->most)) {
                        c->n = (uint64_t)(n < 16 ? 16 : n);
                        break;
                }
                c->n *= 4;
        }
        if (c->most && c->n > c->most)
                c->n = c->most;
}

static bool try_once(struct bench_case *c, uint32_t round)
{
        struct bench_sample s = {.round = round};
        const double y0 = yard_before();
        enum bench_fate fate;
        double y1;

        bench_fate = BENCH_FINE;
        s.ns = c->trial(c, c->n);
        fate = bench_fate;
        if (s.ns < 0) {
                leave_out(c);
                return false;
        }
        y1 = yard_behind();
        s.yard = (y0 + y1) / 2;
        if (fate == BENCH_FINE && !agree(y0, y1))
                fate = BENCH_DISAGREED;
        s.kept = s.ns > 0 && fate == BENCH_FINE;
        keep(c, s);
        fates[fate]++;
        return s.kept;
}

static void one_trial(struct bench_case *c, uint32_t round, double target_ns)
{
        bench_running = c->contender;
        if (c->n == 0)
                calibrate(c, target_ns);
        for (int i = 0; i < TRIES && !c->impossible; i++)
                if (try_once(c, round))
                        break;
}

static void shuffle(size_t *order, size_t n)
{
        for (size_t i = n; i > 1; i--) {
                const size_t j = bench_random() % i, t = order[i - 1];

                order[i - 1] = order[j];
                order[j] = t;
        }
}

/* All cases of one group, in random order. */
static void one_round(int group, uint32_t round, double target_ns)
{
        size_t *order = malloc((case_count + 1) * sizeof *order), n = 0;

        if (!order)
                bench_die("no memory");
        for (size_t i = 0; i < case_count; i++)
                if (cases[i].group == group)
                        order[n++] = i;
        shuffle(order, n);
        for (size_t i = 0; i < n; i++)
                one_trial(&cases[order[i]], round, target_ns);
        free(order);
}

void bench_run(double seconds, double target_ns)
{
        const double begin = bench_now(), end = begin + seconds * 1e9;
        size_t *order = malloc(((size_t)group_count + 1) * sizeof *order);
        uint32_t round = 0;

        if (!order)
                bench_die("no memory");
        while (bench_now() < end && group_count > 0) {
                for (size_t i = 0; i < (size_t)group_count; i++)
                        order[i] = i;
                shuffle(order, (size_t)group_count);
                for (int i = 0; i < group_count; i++) {
                        const double part = (bench_now() - begin) / (end - begin);

                        if (part >= 3 || (part >= 1 && round >= (uint32_t)group_count))
                                break; /* every group has had its round */
                        one_round((int)order[i], round++, target_ns);
                        bench_progress(bench_running, part < 0.99 ? part : 0.99, trials, dropped);
                }
        }
        bench_progress("done", 1, trials, dropped);
        free(order);
        if (trials > 0)
                bench_note("%u trials; dropped: %u preempted, %u by page faults, %u by their "
                           "yardsticks\n",
                           trials, fates[BENCH_PREEMPTED], fates[BENCH_FAULTED],
                           fates[BENCH_DISAGREED]);
        bench_report_cases(cases, case_count, bench_where());
        for (size_t i = 0; i < case_count; i++)
                free(cases[i].samples);
        free(cases);
        cases = NULL;
        case_count = case_room = 0;
        group_count = 0;
        trials = dropped = 0;
        memset(fates, 0, sizeof fates);
}
