/* SPDX-License-Identifier: MIT */
#ifndef BENCH_CALLS_H
#define BENCH_CALLS_H
#include <stdint.h>

/* System calls of this process so far: of the objects that are linked with
 * the wrappers of calls.c, by the functions that it names. */
uint64_t bench_calls(void);

#endif
