/* SPDX-License-Identifier: MIT */
#ifndef BENCH_PACED_H
#define BENCH_PACED_H
/* Suite paced: a message each 1, 10 and 100 us, one-way latency. */
#include "rings.h"

void bench_paced_add(const struct bench_contender *who);
void bench_paced_run(double seconds);
#endif
