/* SPDX-License-Identifier: MIT */
#ifndef BENCH_TEST_HARNESS_H
#define BENCH_TEST_HARNESS_H
/* What the files of test_harness know of each other. */
#include <stdbool.h>

/* Counts a check and prints it, with the figure that it looked at. */
void check(bool good, const char *what, double figure);

/* test_report.c */
void test_report(void);

#endif
