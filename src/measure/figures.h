/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_MEASURE_FIGURES_H
#define SLUICE_MEASURE_FIGURES_H
/* Histograms of durations, and percentiles of lists. */
#include <stddef.h>
#include <stdint.h>

enum {
        HISTOGRAM_EXACT = 512,  /* ns, a bucket for each; then */
        HISTOGRAM_STEPS = 256,  /* ... so many in each octave */
        HISTOGRAM_OCTAVES = 31, /* ... up to 2^40 ns */
        HISTOGRAM_BUCKETS = HISTOGRAM_EXACT + HISTOGRAM_STEPS * HISTOGRAM_OCTAVES
};

struct histogram {
        uint64_t count, max_ns;
        uint32_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, int64_t ns);
void histogram_merge(struct histogram *to, const struct histogram *from);
/* percent: 0 to 100. NAN: it is empty. */
double histogram_percentile(const struct histogram *h, double percent);

void figures_sort(double *values, size_t n);
/* Of sorted values; between two of them, in proportion. NAN: there are none. */
double figures_percentile(const double *sorted, size_t n, double percent);

#endif
