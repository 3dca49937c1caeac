/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_MEASURE_CPUS_H
#define SLUICE_MEASURE_CPUS_H
/* On which processors the two sides run. */
#ifndef _GNU_SOURCE
#error "cpus.h needs _GNU_SOURCE"
#endif
#include <sched.h>
#include <stdbool.h>

enum { CPUS_MAX = 8192 };

struct cpus {
        cpu_set_t set[CPUS_MAX / CPU_SETSIZE];
};

/* Those that this process may use: 0 or a negative errno. */
int cpus_get(struct cpus *c);
int cpus_set(const struct cpus *c);
int cpus_pin(int cpu);
bool cpus_has(const struct cpus *c, int cpu);
/* The first, and the next that is on another core, if there is one. Twice the
 * same: there is only one. */
void cpus_choose(const struct cpus *allowed, int cpu[2]);
/* How two of them are related (same core, other core), for people. */
const char *cpus_placement(int a, int b);

#endif
