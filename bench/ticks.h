/* SPDX-License-Identifier: MIT */
#ifndef BENCH_TICKS_H
#define BENCH_TICKS_H
/* The finest clock that both sides share: the time stamp counter where it runs
 * at one rate, and never stops; elsewhere CLOCK_MONOTONIC. */
#include <stdbool.h>
#include <stdint.h>

#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

extern bool bench_has_tsc;

/* Finds the clock, and its rate; before there is a second side. */
void bench_ticks_begin(void);
extern double bench_tick_ns;

/* How far the second processor's clock is ahead of the first's, in ns, by
 * round trips that take as long there as back; *error: half of the shortest. */
double bench_ticks_apart(double *error);

/* Not before all loads that precede it are complete. */
static inline uint64_t bench_ticks(void)
{
#if defined __x86_64__ || defined __i386__
        unsigned processor;

        if (bench_has_tsc)
                return __builtin_ia32_rdtscp(&processor);
#endif
        return (uint64_t)bench_now();
}

#ifdef __cplusplus
}
#endif
#endif
