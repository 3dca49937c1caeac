/* SPDX-License-Identifier: MIT */
#include "figures.h"

#include <math.h>
#include <stdlib.h>

/* Exact up to HISTOGRAM_EXACT, then within 0.4 %. */
static unsigned bucket_of(uint64_t ns)
{
        unsigned octave;

        if (ns < HISTOGRAM_EXACT)
                return (unsigned)ns;
        octave = 63u - (unsigned)__builtin_clzll(ns) - 9u;
        if (octave >= HISTOGRAM_OCTAVES)
                return HISTOGRAM_BUCKETS - 1;
        return HISTOGRAM_EXACT + octave * HISTOGRAM_STEPS + (unsigned)(ns >> (octave + 1)) -
               HISTOGRAM_STEPS;
}

static double middle_of(unsigned bucket)
{
        const unsigned octave = (bucket - HISTOGRAM_EXACT) / HISTOGRAM_STEPS;
        const unsigned step = (bucket - HISTOGRAM_EXACT) % HISTOGRAM_STEPS + HISTOGRAM_STEPS;

        return bucket < HISTOGRAM_EXACT ? (double)bucket
                                        : (step + 0.5) * (double)(UINT64_C(2) << octave);
}

void histogram_add(struct histogram *h, int64_t ns)
{
        const uint64_t value = ns > 0 ? (uint64_t)ns : 0;

        h->bucket[bucket_of(value)]++;
        h->count++;
        if (value > h->max_ns)
                h->max_ns = value;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
        to->count += from->count;
        if (from->max_ns > to->max_ns)
                to->max_ns = from->max_ns;
        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
                to->bucket[i] += from->bucket[i];
}

double histogram_percentile(const struct histogram *h, double percent)
{
        const double wanted = (double)h->count * percent / 100;
        const double most = (double)h->max_ns;
        double seen = 0;

        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
                seen += h->bucket[i];
                if (seen > 0 && seen >= wanted)
                        return middle_of(i) < most ? middle_of(i) : most;
        }
        return NAN;
}

static int by_value(const void *a, const void *b)
{
        const double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

void figures_sort(double *values, size_t n)
{
        qsort(values, n, sizeof *values, by_value);
}

double figures_percentile(const double *sorted, size_t n, double percent)
{
        const double at = n > 0 ? percent / 100 * (double)(n - 1) : 0;
        const size_t low = (size_t)at;

        if (n == 0)
                return NAN;
        if (low + 1 >= n)
                return sorted[n - 1];
        return sorted[low] + (at - (double)low) * (sorted[low + 1] - sorted[low]);
}
