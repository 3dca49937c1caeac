/* SPDX-License-Identifier: MIT */
/* sluice bench: on which processors its sides run. */
#define _GNU_SOURCE
#include "../measure/cpus.h"
#include "bench.h"

int bench_choose_cpus(struct bench *b)
{
        const int *const asked = b->cli->cpu;
        struct cpus allowed;
        const int r = cpus_get(&allowed);

        if (r)
                return cli_fail_io(b->cli, "determine the allowed processors", -r);
        cpus_choose(&allowed, b->cpu);
        for (int i = 0; i < 2 && asked[0] != asked[1]; i++) {
                if (!cpus_has(&allowed, asked[i])) {
                        cli_say(b->cli,
                                "--cpus: this process may not run on processor %d (taskset -p $$ "
                                "shows the allowed ones)",
                                asked[i]);
                        return CLI_USAGE;
                }
                b->cpu[i] = asked[i];
        }
        b->placement = cpus_placement(b->cpu[0], b->cpu[1]);
        if (b->cpu[0] == b->cpu[1])
                cli_note(b->cli,
                         "only processor %d may be used: round trips and streams need two "
                         "processors and are left out",
                         b->cpu[0]);
        return 0;
}

int bench_pin(const struct bench *b, int cpu)
{
        const int r = cpus_pin(cpu);

        return r ? cli_fail_io(b->cli, "run on the chosen processor", -r) : 0;
}
