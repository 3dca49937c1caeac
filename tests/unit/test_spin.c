/* SPDX-License-Identifier: MIT */
/*
 * What a wait does before it sleeps, by where the peer is. The system calls are
 * this file's: on which CPU we are, what a yield does, how often the thread was
 * switched. What sleeps cost is set so high that no real time matters.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/resource.h>

#include "../../src/endpoint.h"
#include "check.h"

enum { HERE = 5, THERE = 6, UNKNOWN = -1, NEVER = -1 };

#define DEAR   INT64_C(1000000000000) /* ns */
#define CPU(n) ((uint64_t)((n) + 1) << SLUICE_LAYOUT_WAKE_CPU_SHIFT)

int __wrap_sched_getcpu(void);
int __wrap_sched_yield(void);
int __wrap_getrusage(int who, struct rusage *use);

static struct {
        int cpu;                       /* where we are, and ... */
        int cpu_asked, moved_at, then; /* after so many questions */
        int yields, ready_at;          /* yields until the message is there */
        int ready_when_asked;          /* ... or questions */
        bool switches;                 /* each yield gives the CPU to somebody */
        struct sluice_layout_doorbell own, peer;
        sluice_word word;
        struct sluice_priv_queue q;
} world;

int __wrap_sched_getcpu(void)
{
        world.cpu_asked++;
        if (world.cpu_asked == world.ready_when_asked)
                sluice_priv_store_relaxed(&world.word, 1);
        return world.cpu_asked > world.moved_at && world.moved_at != NEVER ? world.then : world.cpu;
}

int __wrap_sched_yield(void)
{
        if (++world.yields == world.ready_at)
                sluice_priv_store_relaxed(&world.word, 1);
        return 0;
}

int __wrap_getrusage(int who, struct rusage *use)
{
        test_eq(who, RUSAGE_THREAD);
        memset(use, 0, sizeof *use);
        use->ru_nvcsw = 100;
        use->ru_nivcsw = world.switches ? world.yields : 0;
        return 0;
}

static void begin(int cpu, uint64_t note)
{
        memset(&world, 0, sizeof world);
        world.cpu = cpu;
        world.moved_at = world.ready_at = world.ready_when_asked = NEVER;
        world.q.role = SLUICE_PRIV_ROLE_CONSUMER;
        world.q.own_doorbell = &world.own;
        world.q.peer_doorbell = &world.peer;
        world.q.by_habit = true;
        sluice_priv_habit_begin(&world.q.habit);
        world.q.habit.price_ns[0] = world.q.habit.price_ns[1] = DEAR;
        sluice_priv_store_relaxed(&world.peer.hint, note);
}

static bool spin_until(int64_t until)
{
        const struct sluice_priv_await a = {&world.word, false, 0, 0};
        int64_t now = sluice_now_ns();

        return sluice_priv_spin_until(&world.q, &a, &now, until);
}

static bool spin(void)
{
        return spin_until(SLUICE_FOREVER);
}

/* ---- Where the peer is -------------------------------------------- */

Test(spin, yields_to_a_peer_on_this_cpu)
{
        begin(HERE, CPU(HERE) | SLUICE_LAYOUT_SPARSE);
        world.ready_at = 3;
        test_check(spin());
        test_eq(world.yields, 3);
        sluice_priv_store_relaxed(&world.word, 0);
        world.ready_at = 4;
        world.q.habit.usual_ns = DEAR; /* from the start, as the last wait ended */
        world.q.habit.price_ns[0] = 0;
        test_check(spin());
        test_eq(world.yields, 4);
}

Test(spin, does_not_yield_to_a_peer_on_another_cpu)
{
        const struct {
                int cpu;
                uint64_t note;
        } apart[] = {{HERE, CPU(THERE)},      {HERE, 0},
                     {UNKNOWN, CPU(UNKNOWN)}, {UNKNOWN, UINT64_MAX},
                     {0xffff, UINT64_MAX},    {HERE, UINT64_MAX}};

        for (size_t i = 0; i < sizeof apart / sizeof *apart; i++) {
                begin(apart[i].cpu, apart[i].note);
                world.ready_when_asked = apart[i].note & SLUICE_LAYOUT_WAKE_CPU ? 20 : NEVER;
                test_eq(spin_until(sluice_now_ns() + 10000000), world.ready_when_asked == 20);
                test_eq(world.yields, 0);
        }
}

Test(spin, notices_that_it_was_moved_to_the_peers_cpu)
{
        begin(THERE, CPU(HERE));
        world.moved_at = 10;
        world.then = HERE;
        world.ready_at = 2;
        test_check(spin());
        test_eq(world.yields, 2);
        test_check(world.q.together);
}

Test(spin, notices_that_it_was_moved_away)
{
        begin(HERE, CPU(HERE));
        world.q.together = true;
        world.moved_at = 5;
        world.then = THERE;
        world.ready_when_asked = 10;
        test_check(spin());
        test_eq(world.yields, 5);
        test_check(!world.q.together);
}

/* The note is old: the peer has moved. */
Test(spin, stops_yielding_when_nobody_takes_the_cpu)
{
        begin(HERE, CPU(HERE));
        test_check(!spin_until(sluice_now_ns() + 20000000));
        test_eq(world.yields, 128); /* the first check has nothing to compare with */
        world.yields = 0;
        sluice_priv_store_relaxed(&world.peer.hint, CPU(HERE) | UINT64_C(1) << 40);
        world.ready_at = 1; /* a new note counts again */
        test_check(spin());
        test_eq(world.yields, 1);
}

Test(spin, goes_on_yielding_while_somebody_takes_the_cpu)
{
        begin(HERE, CPU(HERE));
        world.switches = true;
        world.ready_at = 1000;
        test_check(spin());
        test_eq(world.yields, 1000);
}

/* ---- How long ----------------------------------------------------- */

Test(spin, sleeps_at_once_when_waits_are_long)
{
        begin(HERE, CPU(THERE));
        world.q.habit.price_ns[0] = 1000;
        world.q.habit.usual_ns = 6000;
        test_check(!spin());
        test_eq(world.cpu_asked, 0);
}

Test(spin, ends_when_the_budget_is_spent)
{
        begin(HERE, CPU(THERE));
        world.q.habit.price_ns[0] = 100000;
        test_check(!spin());
        test_check(world.cpu_asked > 0);
}

Test(spin, yields_in_vain_are_few)
{
        begin(HERE, CPU(HERE));
        world.q.together = world.switches = true;
        world.q.habit.price_ns[1] = 50000;
        test_check(!spin());
        test_check(world.yields > 0);
}

Test(spin, does_not_yield_in_a_pause)
{
        begin(HERE, CPU(HERE));
        world.q.together = true;
        world.q.habit.paused_until_ns = INT64_MAX;
        test_check(!spin());
        test_eq(world.yields, 0);
}

Test(spin, obeys_a_deadline_and_an_interrupt)
{
        begin(HERE, CPU(HERE));
        test_check(!spin_until(1));
        test_eq(world.yields, 0);
        sluice_priv_store_relaxed(&world.q.interrupt, 1);
        world.q.together = true;
        test_check(spin());
        world.cpu = THERE;
        test_check(spin());
        test_eq(world.yields, 0);
}

/* ---- Notes -------------------------------------------------------- */

Test(note, keeps_the_flags_and_tells_cpu_and_time)
{
        uint64_t hint, age;

        begin(HERE, 0);
        sluice_priv_store_relaxed(&world.own.hint, UINT64_MAX);
        sluice_priv_note_wake(&world.q);
        hint = sluice_priv_load_relaxed(&world.own.hint);
        test_eq(hint & SLUICE_LAYOUT_HINTS, 255);
        test_eq(hint & SLUICE_LAYOUT_WAKE_CPU, CPU(HERE));
        age = ((uint64_t)sluice_now_ns() << 24 >> 24) - (hint >> SLUICE_LAYOUT_WAKE_TIME_SHIFT);
        test_check((age & UINT64_C(0xffffffffff)) < UINT64_C(100000000000));
        world.cpu = UNKNOWN;
        sluice_priv_note_wake(&world.q);
        test_eq(sluice_priv_load_relaxed(&world.own.hint) & SLUICE_LAYOUT_WAKE_CPU, 0);
}

/* Began at 1,000, slept from 2,000 to 30,000. */
static void learn(uint64_t woken_at, int result)
{
        sluice_priv_store_relaxed(&world.peer.hint,
                                  CPU(HERE) | woken_at << SLUICE_LAYOUT_WAKE_TIME_SHIFT);
        sluice_priv_spin_learn(&world.q, 1000, 2000, 30000, result);
}

Test(note, tells_what_a_sleep_has_cost)
{
        begin(HERE, 0);
        sluice_priv_habit_begin(&world.q.habit);
        learn(22000, 0); /* 8 us for the wake-up, 21 until it was there */
        test_eq(world.q.habit.price_ns[1], 9500);
        test_eq(world.q.habit.price_ns[0], 10000);
        test_eq(world.q.habit.usual_ns, 5250);
        test_check(world.q.together);
        world.cpu = THERE;
        learn(22000, 0);
        test_eq(world.q.habit.price_ns[0], 9500);
        test_check(!world.q.together);
}

Test(note, is_ignored_when_it_is_not_of_this_sleep)
{
        static const uint64_t of_others[] = {0, 1999, 30001, UINT64_C(0xffffffffff)};

        for (size_t i = 0; i < sizeof of_others / sizeof *of_others; i++) {
                begin(HERE, 0);
                sluice_priv_habit_begin(&world.q.habit);
                learn(of_others[i], 0);
                test_eq(world.q.habit.price_ns[1], 10000);
                test_eq(world.q.habit.usual_ns, 7250);
        }
}

/* It was at least so long. */
Test(note, a_wait_in_vain_counts_when_it_is_longer_than_usual)
{
        begin(HERE, 0);
        sluice_priv_habit_begin(&world.q.habit);
        learn(22000, -ETIMEDOUT);
        test_eq(world.q.habit.price_ns[1], 10000);
        test_eq(world.q.habit.usual_ns, 7250);
        world.q.habit.usual_ns = 29000;
        learn(22000, -ETIMEDOUT);
        test_eq(world.q.habit.usual_ns, 29000);
}

Test(note, nothing_is_learned_where_the_caller_has_said_how_long)
{
        begin(HERE, 0);
        sluice_priv_habit_begin(&world.q.habit);
        world.q.by_habit = false;
        learn(22000, 0);
        test_eq(world.q.habit.usual_ns, 0);
}

/* ---- A handle that cannot sleep ----------------------------------- */

Test(bare, gives_way_after_1024_looks)
{
        static const int at[] = {1024, 2048, 4096, 4160, 4224, INT32_MAX};
        unsigned turn = 0;

        begin(HERE, 0);
        for (int i = 1, next = 0; i < 4288; i++) {
                test_eq(sluice_priv_spin(&turn, SLUICE_FOREVER, -ETIMEDOUT), 0);
                next += i == at[next];
                test_eq(world.yields, next);
        }
        turn = 63;
        test_eq(sluice_priv_spin(&turn, 1, -ETIMEDOUT), -ETIMEDOUT);
}
