/* SPDX-License-Identifier: MIT */
/* From the samples of cases to rows, for each placement. */
#define _GNU_SOURCE
#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The cases of a run, and the placement that is reported. */
struct report {
        const struct bench_case *cases;
        size_t count;
        const struct bench_placements *where;
        int placement;
};

static bool belongs(const struct report *r, const struct bench_sample *s)
{
        return s->kept && bench_placement_of(r->where, s->yard) == r->placement;
}

/* Its time in this round and placement, or a negative number. */
static double ns_in_round(const struct report *r, const struct bench_case *c, uint32_t round)
{
        for (size_t i = 0; i < c->count; i++)
                if (c->samples[i].round == round && belongs(r, &c->samples[i]))
                        return c->samples[i].ns;
        return -1;
}

static const struct bench_case *base_of(const struct report *r, const struct bench_case *c)
{
        for (size_t i = 0; i < r->count; i++)
                if (r->cases[i].base && r->cases[i].group == c->group)
                        return &r->cases[i];
        return NULL;
}

/* To what a row compares. */
struct measure {
        const char *metric;           /* of the row */
        const char *ratio_of;         /* "": nothing */
        const struct bench_case *one; /* NULL: the yardstick, or nothing */
        bool ratio_only;
};

/* Negative: there is none. */
static double ratio_of(const struct report *r, const struct bench_case *c,
                       const struct bench_sample *s, const struct measure *to)
{
        const double ns = to->one ? ns_in_round(r, to->one, s->round) : s->yard;

        if (!to->ratio_of[0] || ns <= 0)
                return -1;
        return c->kind == BENCH_RATE ? ns / s->ns : s->ns / ns;
}

static double *list_for(const struct bench_case *c)
{
        double *list = malloc((c->count + 1) * sizeof *list);

        if (!list)
                bench_die("no memory");
        return list;
}

static void report_case(const struct report *r, const struct bench_case *c,
                        const struct measure *to)
{
        double *value = list_for(c), *ratio = list_for(c);
        size_t values = 0, ratios = 0;
        struct bench_row row = {.metric = to->metric,
                                .contender = c->contender,
                                .label = c->label,
                                .placement = bench_placement_name(r->placement),
                                .yard = r->where->at[r->placement].yard.median,
                                .x = c->x,
                                .bytes = c->bytes,
                                .unit = "ns",
                                .rate = c->kind == BENCH_RATE,
                                .ratio_of = to->ratio_of,
                                .ratio_only = to->ratio_only};

        for (size_t i = 0; i < c->count; i++) {
                const struct bench_sample *s = &c->samples[i];

                row.dropped += !s->kept;
                if (!belongs(r, s))
                        continue;
                value[values++] = s->ns;
                ratio[ratios] = ratio_of(r, c, s, to);
                ratios += ratio[ratios] >= 0;
        }
        row.trials = (unsigned)(to->ratio_only ? ratios : values);
        row.value = bench_spread_of(value, values);
        row.ratio = bench_spread_of(ratio, ratios);
        if (row.trials > 0)
                bench_add_row(&row);
        free(value);
        free(ratio);
}

/* ---- Ratios to the best ------------------------------------------- */

static double median_ns(const struct report *r, const struct bench_case *c)
{
        double *value = list_for(c), median;
        size_t n = 0;

        for (size_t i = 0; i < c->count; i++)
                if (belongs(r, &c->samples[i]))
                        value[n++] = c->samples[i].ns;
        median = bench_spread_of(value, n).median;
        free(value);
        return median;
}

static bool same_league(const struct bench_case *a, const struct bench_case *b)
{
        return a->league == b->league && strcmp(a->metric, b->metric) == 0 &&
               strcmp(a->label, b->label) == 0;
}

/* With the lowest median, of those with this role in the league of c; NULL: none. */
static const struct bench_case *best_of(const struct report *r, const struct bench_case *c,
                                        enum bench_role role)
{
        const struct bench_case *best = NULL;
        double least = 0;

        for (size_t i = 0; i < r->count; i++) {
                const struct bench_case *other = &r->cases[i];
                double ns;

                if (other->role != role || !same_league(other, c))
                        continue;
                ns = median_ns(r, other);
                if (isnan(ns) || (best && ns >= least))
                        continue;
                best = other;
                least = ns;
        }
        return best;
}

/* "a / b", the same string each time. */
static const char *quotient(const char *a, const char *b)
{
        static char *known[256];
        char text[64];
        size_t i = 0;

        snprintf(text, sizeof text, "%s / %s", a, b);
        while (known[i] && strcmp(known[i], text) != 0)
                i++;
        if (i + 1 == sizeof known / sizeof *known)
                bench_die("too many metrics");
        if (!known[i])
                known[i] = strdup(text);
        if (!known[i])
                bench_die("no memory");
        return known[i];
}

static void report_to_best(const struct report *r, const struct bench_case *c, enum bench_role role,
                           const char *name)
{
        const struct bench_case *best = best_of(r, c, role);

        if (best)
                report_case(r, c,
                            &(struct measure){.metric = quotient(c->metric, name),
                                              .ratio_of = best->contender,
                                              .one = best,
                                              .ratio_only = true});
}

/* ---- All of a run ------------------------------------------------- */

static void report_itself(const struct report *r, const struct bench_case *c)
{
        const struct bench_case *base = base_of(r, c);
        const struct measure to = {.metric = c->metric,
                                   .ratio_of = c->kind == BENCH_LATENCY ? "yardstick"
                                               : base                   ? base->contender
                                                                        : "",
                                   .one = base};

        report_case(r, c, &to);
}

void bench_report_cases(const struct bench_case *cases, size_t n,
                        const struct bench_placements *where)
{
        struct report r = {.cases = cases, .count = n, .where = where};

        for (; r.placement < where->count; r.placement++) {
                for (size_t i = 0; i < n; i++)
                        report_itself(&r, &cases[i]);
                for (size_t i = 0; i < n; i++)
                        if (cases[i].role != BENCH_ALONE)
                                report_to_best(&r, &cases[i], BENCH_RIVAL, "best");
                for (size_t i = 0; i < n; i++)
                        if (cases[i].role == BENCH_OURS)
                                report_to_best(&r, &cases[i], BENCH_MODEL, "model");
        }
}
