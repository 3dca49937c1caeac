/* SPDX-License-Identifier: MIT */
#ifndef CROSS_CRITERION_HOOKS_H
#define CROSS_CRITERION_HOOKS_H
/* So much of it as tests/support uses: what runs before the first test and
 * behind the last one, in the process that runs them all. */
#include <criterion/criterion.h>

struct criterion_test_set;
struct criterion_global_stats;

void cross_report_PRE_ALL(struct criterion_test_set *);
void cross_report_POST_ALL(struct criterion_global_stats *);

#define ReportHook(when) void cross_report_##when

#endif
