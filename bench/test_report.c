/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark makes of its measurements: statistics, placements, ratios to
 * the base and to the best of a league come out right for figures that are made up.
 */
#define _GNU_SOURCE
#include <math.h>

#include "../src/measure/figures.h"
#include "harness.h"
#include "test_harness.h"

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

void test_report(void)
{
        statistics();
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
