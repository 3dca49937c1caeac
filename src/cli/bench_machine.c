/* SPDX-License-Identifier: MIT */
/* sluice bench: which processors, and how they lie to each other. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "bench.h"

enum { CPUS_MAX = 8192 };

struct cpus {
        cpu_set_t set[CPUS_MAX / CPU_SETSIZE];
};

static int is_allowed(const struct cpus *c, int cpu)
{
        return cpu >= 0 && cpu < CPUS_MAX && CPU_ISSET_S((size_t)cpu, sizeof c->set, c->set);
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

static const char *placement(int a, int b)
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

/* The first, and the next that is on another core, if there is one. */
static void choose(const struct cpus *allowed, int cpu[2])
{
        cpu[0] = cpu[1] = -1;
        for (int i = 0; i < CPUS_MAX; i++) {
                if (!is_allowed(allowed, i))
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

int bench_choose_cpus(struct bench *b)
{
        const int *const asked = b->cli->cpu;
        struct cpus allowed;

        memset(&allowed, 0, sizeof allowed);
        if (sched_getaffinity(0, sizeof allowed.set, allowed.set) != 0)
                return cli_fail_io(b->cli, "tell which processors may be used", errno);
        choose(&allowed, b->cpu);
        for (int i = 0; i < 2 && asked[0] != asked[1]; i++) {
                if (!is_allowed(&allowed, asked[i])) {
                        cli_say(b->cli,
                                "--cpus: this process may not run on processor %d (taskset -p $$ "
                                "shows where it may)",
                                asked[i]);
                        return CLI_USAGE;
                }
                b->cpu[i] = asked[i];
        }
        b->placement = placement(b->cpu[0], b->cpu[1]);
        if (b->cpu[0] == b->cpu[1])
                cli_note(b->cli,
                         "only processor %d may be used: round trips and streams between two "
                         "cannot be measured, sleeping and waking can",
                         b->cpu[0]);
        return 0;
}

int bench_pin(const struct bench *b, int cpu)
{
        struct cpus one;

        memset(&one, 0, sizeof one);
        CPU_SET_S((size_t)cpu, sizeof one.set, one.set);
        if (sched_setaffinity(0, sizeof one.set, one.set) == 0)
                return 0;
        return cli_fail_io(b->cli, "run on the chosen processor", errno);
}
