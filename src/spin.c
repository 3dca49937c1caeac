/* SPDX-License-Identifier: MIT */
/*
 * Spinning before a sleep: how long, which adapts after each wait, and
 * yielding when both endpoints may have to share one CPU.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "internal.h"

/* A yield that takes longer than this shows that a busy thread needs the CPU.
 * Then it is better to sleep, because the scheduler prefers a thread that has
 * slept to one that yields: a number of waits do not spin, and twice as many
 * each time that it happens again. */
#define TURN_NS INT64_C(500000)
enum { SPIN_SKIPS_MOST = 65536 };

static void yield_cpu(struct sluice_priv_queue *q)
{
        const int64_t before = sluice_now_ns();

        sched_yield();
        if (sluice_now_ns() - before < TURN_NS)
                return;
        q->spin_skips_left = q->spin_skips_next;
        if (q->spin_skips_next < SPIN_SKIPS_MOST)
                q->spin_skips_next *= 2;
}

bool sluice_priv_spin_until(struct sluice_priv_queue *q, const struct sluice_priv_await *a,
                            int64_t *now, int64_t until)
{
        const int64_t begin = *now;
        unsigned turn = 0;
        uint64_t value;

        if (q->spin_skips_left > 0) {
                q->spin_skips_left--;
                return false;
        }
        if (q->spin_budget_ns < until - begin)
                until = begin + q->spin_budget_ns;
        while (*now < until && q->spin_skips_left == 0) {
                for (int i = 0; i < 32; i++) {
                        if (sluice_priv_is_ready(q, a, &value)) {
                                if (q->spin_skips_next > SLUICE_PRIV_SPIN_SKIPS_LEAST)
                                        q->spin_skips_next--;
                                return true;
                        }
                        sluice_priv_pause();
                }
                /* Relaxed: the caller takes it, INTERRUPT:load. */
                if (sluice_priv_load_relaxed(&q->interrupt) != 0)
                        return true;
                if (q->shares_cpu && (turn & (turn + 1)) == 0) /* turn 0, 1, 3, 7 ... */
                        yield_cpu(q);
                turn++;
                *now = sluice_now_ns();
                if (q->spin_ns == SLUICE_SPIN_FOREVER && *now - q->checked_ns >= q->slice_ns)
                        return false;
        }
        return false;
}

/* After a wait no longer than spin_ns the next one spins twice as long, up to
 * spin_ns; after a longer one half as long, down to a sixteenth. */
void sluice_priv_spin_adapt(struct sluice_priv_queue *q, int64_t waited_ns)
{
        if (q->spin_ns == SLUICE_SPIN_FOREVER)
                return;
        if (waited_ns <= q->spin_ns)
                q->spin_budget_ns =
                        q->spin_budget_ns < q->spin_ns / 2 ? q->spin_budget_ns * 2 : q->spin_ns;
        else if (q->spin_budget_ns / 2 >= q->spin_ns / 16)
                q->spin_budget_ns /= 2;
}
