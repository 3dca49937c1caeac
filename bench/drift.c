/* SPDX-License-Identifier: MIT */
/*
 * 10^9 messages of 8 bytes through one ring, between two processes, numbered
 * throughout and compared: does the last one cost what the first one does? In
 * 100 parts, each between two yardsticks: the machine drifts, too. Positions
 * pass 2^32 three times.
 *
 *   drift        the cost of a message, for each tenth of the run
 *   drift slope  of all parts: the median of the slopes between any two of
 *                them, so a part in which something else happened has no
 *                weight; the same of the yardstick
 *   drift parts, drift yard  each part (in the files, in no table)
 */
#include "drift.h"

#include <math.h>
#include <stdlib.h>

#include "harness.h"
#include "sluice/ring.h"

enum { LEN = 8, PARTS = 100, TENTH = PARTS / 10, PART = 10000000 };

struct rig {
        MEASURE_APART struct sluice_producer p;
        MEASURE_APART struct sluice_consumer c;
        MEASURE_APART uint64_t first; /* number of the part's first message */
};

static MEASURE_NOINLINE void put(struct bench_side *s)
{
        struct rig *r = s->a;
        const uint64_t end = r->first + s->n;
        void *to;

        for (uint64_t i = r->first; i < end; i++) {
                while (sluice_reserve(&r->p, LEN, &to, SLUICE_NOW) != 0)
                        bench_relax();
                payload_fill(to, i, LEN);
                (void)sluice_commit(&r->p, LEN);
        }
}

static MEASURE_NOINLINE void get(struct bench_side *s)
{
        struct rig *r = s->a;
        const uint64_t end = r->first + s->n;
        struct sluice_message m;

        for (uint64_t i = r->first; i < end; i++) {
                while (sluice_peek(&r->c, &m, SLUICE_NOW) != 0)
                        bench_relax();
                if (m.len != LEN || !payload_good(m.data, i, LEN))
                        bench_corrupt("sluice", i);
                (void)sluice_release(&r->c);
        }
}

static struct rig *rig_open(void)
{
        const size_t bytes = sluice_ring_bytes(NULL);
        struct rig *r;
        void *mem;

        bench_trial_memory(true);
        r = bench_shared(sizeof *r);
        mem = bench_shared(bytes);
        bench_trial_memory(false);
        if (sluice_ring_format(mem, bytes, NULL) != 0 ||
            sluice_producer_attach(&r->p, mem, bytes) != 0 ||
            sluice_consumer_attach(&r->c, mem, bytes) != 0)
                bench_die("sluice: cannot make a ring");
        return r;
}

/* Percent of the median over all parts. */
static double slope(const double *part)
{
        static double slopes[PARTS * (PARTS - 1) / 2];
        double sorted[PARTS];
        size_t n = 0;

        for (int i = 0; i < PARTS; i++) {
                sorted[i] = part[i];
                for (int j = 0; j < i; j++)
                        slopes[n++] = (part[i] - part[j]) / (i - j);
        }
        return 100 * PARTS * bench_spread_of(slopes, n).median /
               bench_spread_of(sorted, PARTS).median;
}

static void row(const char *metric, const char *contender, const char *label, int x,
                const char *unit, struct bench_spread v, bool series)
{
        const struct bench_row r = {.metric = metric,
                                    .contender = contender,
                                    .label = label,
                                    .placement = "any",
                                    .x = x,
                                    .bytes = LEN,
                                    .unit = unit,
                                    .value = v,
                                    .ratio_of = "",
                                    .ratio = {NAN, NAN, NAN},
                                    .trials = 1,
                                    .series = series};

        bench_add_row(&r);
}

static void report(const char *contender, const char *parts, double *part)
{
        static const char *const labels[] = {"1 e8", "2 e8", "3 e8", "4 e8", "5 e8",
                                             "6 e8", "7 e8", "8 e8", "9 e8", "10 e8"};
        const double all = slope(part);

        for (int i = 0; i < PARTS; i++)
                row(parts, contender, "", i + 1, "ns",
                    (struct bench_spread){part[i], part[i], part[i]}, true);
        row("drift slope", contender, "slope", 1, "% over 10^9 messages",
            (struct bench_spread){all, all, all}, false);
        for (int i = 0; i < 10; i++) /* sorts */
                row("drift", contender, labels[i], i + 1, "ns",
                    bench_spread_of(part + i * TENTH, TENTH), false);
}

void bench_drift(void)
{
        static double ns[PARTS], yard[PARTS], sorted[PARTS];
        struct rig *r = rig_open();
        struct bench_spread all;
        double before = bench_yardstick(), after;
        unsigned preempted = 0;

        for (int i = 0; i < PARTS; i++) {
                r->first = 1 + (uint64_t)i * PART;
                ns[i] = bench_processes(put, get, r, NULL, PART);
                preempted += bench_fate != BENCH_FINE;
                after = bench_yardstick();
                yard[i] = (before + after) / 2;
                sorted[i] = ns[i];
                before = after;
                bench_progress("10^9 messages", (i + 1.0) / PARTS, (unsigned)i + 1, preempted);
        }
        all = bench_spread_of(sorted, PARTS);
        bench_note("10^9 messages of %d B: %.2f ns (%.2f .. %.2f in 100 parts, %u of them "
                   "preempted); slope %+.1f %% over all, yardstick %+.1f %%\n",
                   LEN, all.median, all.low, all.high, preempted, slope(ns), slope(yard));
        report("sluice", "drift parts", ns);
        report("yardstick", "drift yard", yard);
}
