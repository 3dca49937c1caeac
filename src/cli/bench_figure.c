/* SPDX-License-Identifier: MIT */
/* sluice bench: medians over the rounds. */
#include <math.h>

#include "bench.h"

double bench_median(const double *values, unsigned n)
{
        double sorted[BENCH_ROUNDS_MAX];
        unsigned known = 0;

        for (unsigned i = 0; i < n; i++)
                if (!isnan(values[i]))
                        sorted[known++] = values[i];
        figures_sort(sorted, known);
        return figures_percentile(sorted, known, 50);
}

double bench_ratio(const double *values, const double *base, unsigned n)
{
        double ratios[BENCH_ROUNDS_MAX];

        for (unsigned i = 0; i < n; i++)
                ratios[i] = values[i] / base[i];
        return bench_median(ratios, n);
}
