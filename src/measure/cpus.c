/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "cpus.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int cpus_get(struct cpus *c)
{
        memset(c, 0, sizeof *c);
        return sched_getaffinity(0, sizeof c->set, c->set) == 0 ? 0 : -errno;
}

int cpus_set(const struct cpus *c)
{
        return sched_setaffinity(0, sizeof c->set, c->set) == 0 ? 0 : -errno;
}

int cpus_pin(int cpu)
{
        struct cpus one;

        if (cpu < 0 || cpu >= CPUS_MAX)
                return -EINVAL;
        memset(&one, 0, sizeof one);
        CPU_SET_S((size_t)cpu, sizeof one.set, one.set);
        return cpus_set(&one);
}

bool cpus_has(const struct cpus *c, int cpu)
{
        return cpu >= 0 && cpu < CPUS_MAX && CPU_ISSET_S((size_t)cpu, sizeof c->set, c->set) != 0;
}

/* One line of /sys about a processor; "" when there is none. */
static void topology(int cpu, const char *what, char line[256])
{
        char path[128];
        FILE *file;

        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, what);
        line[0] = '\0';
        file = fopen(path, "re");
        if (!file)
                return;
        if (!fgets(line, 256, file))
                line[0] = '\0';
        fclose(file);
        line[strcspn(line, "\n")] = '\0';
}

/* Two processors with the same list are threads of the same core. */
static int are_same(int a, int b, const char *what)
{
        char x[256], y[256];

        topology(a, what, x);
        topology(b, what, y);
        return x[0] != '\0' && strcmp(x, y) == 0;
}

const char *cpus_placement(int a, int b)
{
        char known[256];

        topology(a, "thread_siblings_list", known);
        if (a == b)
                return "the only one";
        if (known[0] == '\0')
                return "placement unknown";
        if (are_same(a, b, "thread_siblings_list"))
                return "two threads of one core";
        return are_same(a, b, "physical_package_id") ? "separate cores" : "separate packages";
}

void cpus_choose(const struct cpus *allowed, int cpu[2])
{
        cpu[0] = cpu[1] = -1;
        for (int i = 0; i < CPUS_MAX; i++) {
                if (!cpus_has(allowed, i))
                        continue;
                if (cpu[0] < 0) {
                        cpu[0] = cpu[1] = i;
                } else if (!are_same(cpu[0], i, "thread_siblings_list")) {
                        cpu[1] = i;
                        return;
                } else if (cpu[1] == cpu[0]) {
                        cpu[1] = i;
                }
        }
}
