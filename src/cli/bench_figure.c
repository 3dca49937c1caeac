/* SPDX-License-Identifier: MIT */
/* sluice bench: histograms of durations, medians. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* Exact up to BENCH_EXACT, then within 0.4 %. */
static unsigned bucket_of(uint64_t ns)
{
        unsigned octave;

        if (ns < BENCH_EXACT)
                return (unsigned)ns;
        octave = 63u - (unsigned)__builtin_clzll(ns) - 9u;
        if (octave >= BENCH_OCTAVES)
                return BENCH_BUCKETS - 1;
        return BENCH_EXACT + octave * BENCH_STEPS + (unsigned)(ns >> (octave + 1)) - BENCH_STEPS;
}

static double middle_of(unsigned bucket)
{
        const unsigned octave = (bucket - BENCH_EXACT) / BENCH_STEPS;
        const unsigned step = (bucket - BENCH_EXACT) % BENCH_STEPS + BENCH_STEPS;

        return bucket < BENCH_EXACT ? (double)bucket
                                    : (step + 0.5) * (double)(UINT64_C(2) << octave);
}

void bench_histogram_add(struct bench_histogram *h, int64_t ns)
{
        const uint64_t value = ns > 0 ? (uint64_t)ns : 0;

        h->bucket[bucket_of(value)]++;
        h->count++;
        if (value > h->max_ns)
                h->max_ns = value;
}

void bench_histogram_merge(struct bench_histogram *to, const struct bench_histogram *from)
{
        to->count += from->count;
        if (from->max_ns > to->max_ns)
                to->max_ns = from->max_ns;
        for (unsigned i = 0; i < BENCH_BUCKETS; i++)
                to->bucket[i] += from->bucket[i];
}

double bench_percentile(const struct bench_histogram *h, double percent)
{
        const double wanted = (double)h->count * percent / 100;
        const double most = (double)h->max_ns;
        double seen = 0;

        for (unsigned i = 0; i < BENCH_BUCKETS; i++) {
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

double bench_median(const double *values, unsigned n)
{
        double sorted[BENCH_ROUNDS_MAX];
        unsigned known = 0;

        for (unsigned i = 0; i < n; i++)
                if (!isnan(values[i]))
                        sorted[known++] = values[i];
        if (known == 0)
                return NAN;
        qsort(sorted, known, sizeof *sorted, by_value);
        return (sorted[(known - 1) / 2] + sorted[known / 2]) / 2;
}

double bench_ratio(const double *values, const double *base, unsigned n)
{
        double ratios[BENCH_ROUNDS_MAX];

        for (unsigned i = 0; i < n; i++)
                ratios[i] = values[i] / base[i];
        return bench_median(ratios, n);
}
