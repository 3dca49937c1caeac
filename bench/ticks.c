/* SPDX-License-Identifier: MIT */
#include "ticks.h"

#include <stdatomic.h>
#include <string.h>

enum { EXCHANGES = 2000 };

bool bench_has_tsc;
double bench_tick_ns = 1;

/* One exchange: when it was sent, when it arrived there, when it was back. */
struct meeting {
        MEASURE_APART _Atomic uint64_t there, back;
        MEASURE_APART uint64_t sent[EXCHANGES], returned[EXCHANGES];
        MEASURE_APART uint64_t arrived[EXCHANGES];
};

static bool tsc_is_steady(void)
{
        FILE *f = fopen("/proc/cpuinfo", "r");
        char line[8192];
        bool steady = false;

        while (f && !steady && fgets(line, sizeof line, f))
                steady = strncmp(line, "flags", 5) == 0 && strstr(line, " constant_tsc") &&
                         strstr(line, " nonstop_tsc") && strstr(line, " rdtscp");
        if (f)
                fclose(f);
        return steady;
}

struct moment {
        double ns;
        uint64_t ticks;
};

/* Both clocks at once: the closest of some attempts, as one may be interrupted. */
static struct moment moment(void)
{
        struct moment best = {0, 0};
        uint64_t least = UINT64_MAX;

        for (int i = 0; i < 20; i++) {
                const uint64_t before = bench_ticks();
                const double ns = bench_now();
                const uint64_t took = bench_ticks() - before;

                if (took >= least)
                        continue;
                least = took;
                best = (struct moment){ns, before + took / 2};
        }
        return best;
}

void bench_ticks_begin(void)
{
        struct moment begin, end;

        bench_has_tsc = tsc_is_steady();
        if (!bench_has_tsc)
                return;
        begin = moment();
        while (bench_now() - begin.ns < 5e7)
                ;
        end = moment();
        bench_tick_ns = (end.ns - begin.ns) / (double)(end.ticks - begin.ticks);
}

static void ask(struct bench_side *s)
{
        struct meeting *m = s->a;

        for (uint64_t i = 0; i < EXCHANGES; i++) {
                m->sent[i] = bench_ticks();
                atomic_store_explicit(&m->there, i + 1, memory_order_release);
                while (atomic_load_explicit(&m->back, memory_order_acquire) != i + 1)
                        ;
                m->returned[i] = bench_ticks();
        }
}

static void tell(struct bench_side *s)
{
        struct meeting *m = s->a;

        for (uint64_t i = 0; i < EXCHANGES; i++) {
                while (atomic_load_explicit(&m->there, memory_order_acquire) != i + 1)
                        ;
                m->arrived[i] = bench_ticks();
                atomic_store_explicit(&m->back, i + 1, memory_order_release);
        }
}

double bench_ticks_apart(double *error)
{
        struct meeting *m;
        size_t best = 0;

        bench_trial_memory(true);
        m = bench_shared(sizeof *m);
        bench_trial_memory(false);
        (void)bench_processes(ask, tell, m, NULL, EXCHANGES);
        for (size_t i = 1; i < EXCHANGES; i++)
                if (m->returned[i] - m->sent[i] < m->returned[best] - m->sent[best])
                        best = i;
        *error = (double)(m->returned[best] - m->sent[best]) / 2 * bench_tick_ns;
        return (double)(int64_t)(m->arrived[best] - m->sent[best]) * bench_tick_ns - *error;
}
