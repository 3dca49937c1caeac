/* SPDX-License-Identifier: MIT */
#ifndef BENCH_LARGE_H
#define BENCH_LARGE_H
/* Messages of 1 KiB to 1 MiB: the metrics "large copied" and "large in
 * place" of the suite stream. */
void bench_large_add(void);
#endif
