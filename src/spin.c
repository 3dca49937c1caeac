/* SPDX-License-Identifier: MIT */
/*
 * What a wait does before it sleeps. By default it follows from what earlier
 * waits have shown (habit.c), and from where the peer was when it last woke us:
 *
 *   on another CPU  we spin: the peer needs nothing of us;
 *   on this CPU     we yield, since the peer cannot go on while we run.
 *
 * An endpoint notes its CPU and the time in its `hint` whenever it wakes its
 * peer: outside of the fast path, and just when the peer has to know. A peer that
 * has moved meanwhile is found: when we spin in vain we sleep, and the next
 * note tells; when our yields give the CPU to nobody, it is not here.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/resource.h>

#include "endpoint.h"

enum {
        LOOKS = 32, /* between two looks at the clock */
        CPU_MOST = 0xfffe,
        YIELDS_PER_CHECK = 64 /* that they have given the CPU to somebody */
};

#define NOTE_TIME (UINT64_MAX >> SLUICE_LAYOUT_WAKE_TIME_SHIFT)

/* ---- Notes -------------------------------------------------------- */

/* This CPU in its place in a note. 0: not known. */
static uint64_t this_cpu(void)
{
        const int cpu = sched_getcpu();

        return cpu < 0 || cpu > CPU_MOST ? 0 : (uint64_t)(cpu + 1) << SLUICE_LAYOUT_WAKE_CPU_SHIFT;
}

void sluice_priv_note_wake(struct sluice_priv_queue *q)
{
        sluice_word *const hint = &q->own_doorbell->hint;
        const uint64_t time = (uint64_t)sluice_now_ns() << SLUICE_LAYOUT_WAKE_TIME_SHIFT;

        /* Relaxed: advice, which protects nothing. */
        sluice_priv_store_relaxed(hint, (sluice_priv_load_relaxed(hint) & SLUICE_LAYOUT_HINTS) |
                                                this_cpu() | time);
}

static uint64_t peer_note(const struct sluice_priv_queue *q)
{
        /* Relaxed, UNTRUSTED: advice, which changes only how a wait is spent. */
        return sluice_priv_load_relaxed(&q->peer_doorbell->hint) & ~SLUICE_LAYOUT_HINTS;
}

/* Is the peer on this CPU, as far as is known? */
static bool is_together(const struct sluice_priv_queue *q)
{
        const uint64_t note = peer_note(q), cpu = note & SLUICE_LAYOUT_WAKE_CPU;

        return cpu != 0 && note != q->stale_note && cpu == this_cpu();
}

/* ---- Spinning and yielding ---------------------------------------- */

/* true: ready, or interrupted. */
static bool look(const struct sluice_priv_queue *q, const struct sluice_priv_await *a, int looks)
{
        uint64_t value;

        for (int i = 0; i < looks; i++) {
                if (sluice_priv_is_ready(q, a, &value))
                        return true;
                sluice_priv_pause();
        }
        /* Relaxed: the caller takes it, INTERRUPT:load. */
        return sluice_priv_load_relaxed(&q->interrupt) != 0;
}

/* As long as the caller has asked for. */
static bool spin_as_told(const struct sluice_priv_queue *q, const struct sluice_priv_await *a,
                         int64_t *now, int64_t until)
{
        if (q->spin_ns < until - *now)
                until = *now + q->spin_ns;
        while (*now < until) {
                if (look(q, a, LOOKS))
                        return true;
                *now = sluice_now_ns();
                if (q->spin_ns == SLUICE_SPIN_FOREVER && *now - q->checked_ns >= q->slice_ns)
                        return false;
        }
        return false;
}

/* A yield that gives the CPU to nobody is no switch of context. */
static void check_yields(struct sluice_priv_queue *q)
{
        struct rusage use;
        long switches;

        if (++q->yields % YIELDS_PER_CHECK != 0 || getrusage(RUSAGE_THREAD, &use) != 0)
                return;
        switches = use.ru_nvcsw + use.ru_nivcsw;
        if (switches - q->switches < YIELDS_PER_CHECK / 2)
                q->stale_note = peer_note(q);
        q->switches = switches;
}

/* Keeps *now. Returns the time that was wasted if it was in vain: a yield that
 * takes longer than a sleep costs has let somebody run. */
static int64_t yield_cpu(struct sluice_priv_queue *q, int64_t *now)
{
        const int64_t before = *now;
        int64_t took;

        sched_yield();
        *now = sluice_now_ns();
        took = *now - before;
        sluice_priv_habit_yielded(&q->habit, *now, took);
        check_yields(q);
        return took < q->habit.price_ns[true] ? took : 0;
}

/* Yields in vain waste as much as a sleep costs, then it sleeps. */
static bool spin_by_habit(struct sluice_priv_queue *q, const struct sluice_priv_await *a,
                          int64_t *now, int64_t until)
{
        const int64_t end = sluice_priv_later(*now, sluice_priv_habit_budget_ns(&q->habit));
        int64_t wasted = 0;

        for (; *now < until; q->together = is_together(q)) {
                if (!q->together) {
                        if (*now >= end)
                                return false;
                        if (look(q, a, LOOKS))
                                return true;
                        *now = sluice_now_ns();
                        continue;
                }
                if (look(q, a, 1))
                        return true;
                if (wasted > q->habit.price_ns[true] || !sluice_priv_habit_yields(&q->habit, *now))
                        return false;
                wasted += yield_cpu(q, now);
        }
        return false;
}

bool sluice_priv_spin_until(struct sluice_priv_queue *q, const struct sluice_priv_await *a,
                            int64_t *now, int64_t until)
{
        if (!q->by_habit)
                return spin_as_told(q, a, now, until);
        if (q->together)
                q->together = is_together(q);
        return spin_by_habit(q, a, now, until);
}

/* ---- What a wait has shown ---------------------------------------- */

void sluice_priv_spin_learn(struct sluice_priv_queue *q, int64_t begin, int64_t slept, int64_t now,
                            int result)
{
        /* Since the peer called to wake us, if it did. */
        const int64_t woken =
                (int64_t)(((uint64_t)now - (peer_note(q) >> SLUICE_LAYOUT_WAKE_TIME_SHIFT)) &
                          NOTE_TIME);
        int64_t needed = now - begin;

        if (!q->by_habit || (result != 0 && needed <= q->habit.usual_ns))
                return;
        if (slept) {
                q->together = is_together(q);
                if (result == 0 && woken <= now - slept) {
                        sluice_priv_habit_slept(&q->habit, q->together, woken);
                        needed -= woken;
                }
        }
        sluice_priv_habit_waited(&q->habit, q->together, needed);
}
