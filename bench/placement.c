/* SPDX-License-Identifier: MIT */
/* Where the two processors were: clusters of the yardsticks. */
#include "../src/measure/figures.h"
#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Neighbouring clusters are at least this far apart, as a ratio; what is this
 * far from the bulk of its cluster belongs to none. A yardstick in one
 * placement varies by a fifth (harness.h). */
#define GAP BENCH_DISAGREE

static double *yards;
static size_t yard_count, yard_room;
static bool yards_are_new;

void bench_note_yard(double ns)
{
        if (yard_count == yard_room) {
                yard_room = yard_room ? 2 * yard_room : 256;
                yards = realloc(yards, yard_room * sizeof *yards);
                if (!yards)
                        bench_die("no memory");
        }
        yards[yard_count++] = ns;
        yards_are_new = true;
}

/* Is there a cluster's worth of values on either side of the stretch from
 * first to last, up to the next cut? cuts: where clusters begin, the first 0,
 * one behind the last n. */
static bool has_room(const size_t *cuts, int clusters, size_t first, size_t last, size_t least)
{
        for (int k = 0; k < clusters; k++)
                if (first >= cuts[k] && last < cuts[k + 1])
                        return first + 1 >= cuts[k] + least && last + least <= cuts[k + 1];
        return false;
}

/* The widest stretch that holds hardly a value, as the index of its first
 * value; n: there is none. A processor that moves during a yardstick leaves
 * values between the clusters: up to `strays` of them are no cluster. */
static size_t widest(const double *list, size_t n, const size_t *cuts, int clusters, size_t strays)
{
        const size_t least = n / 20 + 5;
        double most = GAP;
        size_t found = n;

        for (size_t i = 0; i + strays < n; i++) {
                const double ratio = list[i + strays] / list[i];

                if (ratio <= most || !has_room(cuts, clusters, i, i + strays, least))
                        continue;
                most = ratio;
                found = i;
        }
        return found;
}

static void insert(size_t *cuts, int clusters, size_t cut)
{
        int k = clusters + 1;

        for (; cuts[k - 1] > cut; k--)
                cuts[k] = cuts[k - 1];
        cuts[k] = cut;
}

/* The first value above the middle of the stretch. */
static size_t behind_middle(const double *list, size_t first, size_t last)
{
        const double middle = sqrt(list[first] * list[last]);

        while (list[first] <= middle)
                first++;
        return first;
}

struct bench_placements bench_find_placements(double *list, size_t n)
{
        const size_t strays = 1 + n / 50;
        size_t cuts[BENCH_PLACEMENTS + 1] = {0, n};
        struct bench_placements p = {.count = 1};

        figures_sort(list, n);
        for (; p.count < BENCH_PLACEMENTS; p.count++) {
                const size_t i = widest(list, n, cuts, p.count, strays);

                if (i == n)
                        break;
                insert(cuts, p.count, behind_middle(list, i, i + strays));
        }
        for (int k = 0; k < p.count; k++) {
                p.at[k].count = cuts[k + 1] - cuts[k];
                p.at[k].yard = bench_spread_of(list + cuts[k], p.at[k].count);
        }
        return p;
}

int bench_placement_of(const struct bench_placements *p, double yard)
{
        for (int k = 0; k < p->count; k++)
                if (yard >= p->at[k].yard.low / GAP && yard <= p->at[k].yard.high * GAP &&
                    (k + 1 == p->count || yard < sqrt(p->at[k].yard.high * p->at[k + 1].yard.low)))
                        return k;
        return -1;
}

const struct bench_placements *bench_where(void)
{
        static struct bench_placements found = {.count = 1, .at = {{.yard = {NAN, NAN, NAN}}}};

        if (yards_are_new)
                found = bench_find_placements(yards, yard_count);
        yards_are_new = false;
        return &found;
}

const char *bench_placement_name(int k)
{
        static const char *const names[BENCH_PLACEMENTS] = {"1", "2", "3", "4"};

        return names[k];
}
