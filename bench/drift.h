/* SPDX-License-Identifier: MIT */
#ifndef BENCH_DRIFT_H
#define BENCH_DRIFT_H
/* Of the suite growth, with --long: 10^9 messages through one ring. */
void bench_drift(void);
#endif
