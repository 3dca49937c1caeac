/* SPDX-License-Identifier: MIT */
/* From the samples of cases to rows, for each placement. */
#include "harness.h"

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

/* Negative: there is none. base: NULL for a latency. */
static double ratio_of(const struct report *r, const struct bench_case *c,
                       const struct bench_sample *s, const struct bench_case *base)
{
        const double ns = base ? ns_in_round(r, base, s->round) : -1;

        if (c->kind == BENCH_LATENCY)
                return s->ns / s->yard;
        if (ns <= 0)
                return -1;
        return c->kind == BENCH_RATE ? ns / s->ns : s->ns / ns;
}

static void report_case(const struct report *r, const struct bench_case *c)
{
        const struct bench_case *base = base_of(r, c);
        double *value = malloc((c->count + 1) * sizeof *value);
        double *ratio = malloc((c->count + 1) * sizeof *ratio);
        size_t values = 0, ratios = 0;
        struct bench_row row = {.metric = c->metric,
                                .contender = c->contender,
                                .label = c->label,
                                .placement = bench_placement_name(r->placement),
                                .yard = r->where->at[r->placement].yard.median,
                                .x = c->x,
                                .bytes = c->bytes,
                                .unit = "ns",
                                .rate = c->kind == BENCH_RATE,
                                .ratio_of = c->kind == BENCH_LATENCY ? "yardstick"
                                            : base                   ? base->contender
                                                                     : ""};

        if (!value || !ratio)
                bench_die("no memory");
        for (size_t i = 0; i < c->count; i++) {
                const struct bench_sample *s = &c->samples[i];

                row.dropped += !s->kept;
                if (!belongs(r, s))
                        continue;
                value[values++] = s->ns;
                ratio[ratios] = ratio_of(r, c, s, base);
                ratios += ratio[ratios] >= 0;
        }
        row.trials = (unsigned)values;
        row.value = bench_spread_of(value, values);
        row.ratio = bench_spread_of(ratio, ratios);
        if (values > 0)
                bench_add_row(&row);
        free(value);
        free(ratio);
}

void bench_report_cases(const struct bench_case *cases, size_t n,
                        const struct bench_placements *where)
{
        struct report r = {.cases = cases, .count = n, .where = where};

        for (; r.placement < where->count; r.placement++)
                for (size_t i = 0; i < n; i++)
                        report_case(&r, &cases[i]);
}
