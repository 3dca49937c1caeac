/* SPDX-License-Identifier: MIT */
/* How an endpoint adapts to its waits, with made-up times. */
#define _GNU_SOURCE
#include "../../src/endpoint.h"
#include "check.h"

#define US INT64_C(1000)
#define MS INT64_C(1000000)

enum { SETTLES = 10 }; /* waits after which it has adapted */

static struct sluice_priv_habit h;

static void begin(void)
{
        sluice_priv_habit_begin(&h);
}

static void price(bool together, int64_t ns)
{
        for (int i = 0; i < 100; i++)
                sluice_priv_habit_slept(&h, together, ns);
}

static void waits(int n, int64_t ns)
{
        for (int i = 0; i < n; i++)
                sluice_priv_habit_waited(&h, false, ns);
}

static bool spins(void)
{
        return sluice_priv_habit_budget_ns(&h) > 0;
}

/* ---- Whether to spin ---------------------------------------------- */

Test(habit, begins_by_spinning)
{
        begin();
        test_check(spins());
        test_check(sluice_priv_habit_yields(&h, 0));
}

/* Spinning for T is better than sleeping by price / T: a fifth or more, or not. */
Test(habit, follows_the_rhythm_whatever_it_was_before)
{
        static const int64_t prices[] = {500, 3 * US, 15 * US, 60 * US};
        static const int64_t before[] = {0, 1 * US, 40 * US, 1 * MS, 100 * MS};

        for (size_t p = 0; p < 4; p++)
                for (size_t b = 0; b < 5; b++)
                        for (int percent = 5; percent < 1000; percent += percent / 4 + 1) {
                                const int64_t t = prices[p] * percent / 100;

                                if (percent > 400 && percent < 600)
                                        continue; /* either will do */
                                begin();
                                price(false, prices[p]);
                                waits(1000, before[b]);
                                waits(SETTLES, t);
                                test_at("price %lld, wait %lld after %lld", (long long)prices[p],
                                        (long long)t, (long long)before[b]);
                                test_eq(spins(), percent <= 500);
                                test_check(!spins() || sluice_priv_habit_budget_ns(&h) > t);
                        }
}

Test(habit, one_wait_that_is_different_changes_nothing)
{
        begin();
        waits(1000, 2 * US);
        waits(1, 3600 * 1000 * MS);
        test_check(spins());
        waits(2, 3600 * 1000 * MS);
        test_check(!spins());
        waits(1000, 10 * MS);
        waits(1, 2 * US);
        test_check(!spins());
}

Test(habit, sleeps_that_take_no_time_leave_nothing_to_spin_for)
{
        begin();
        price(false, 0);
        waits(SETTLES, 1 * US);
        test_check(!spins());
        test_check(sluice_priv_habit_worth_ns(&h, false) >= 0);
        price(false, 5 * US);
        waits(SETTLES, 1 * US);
        test_check(spins());
}

/* ---- The price of a sleep ----------------------------------------- */

Test(habit, the_price_is_measured)
{
        begin();
        for (int i = 0; i < SETTLES; i++)
                sluice_priv_habit_slept(&h, false, 40 * US);
        test_check(sluice_priv_habit_worth_ns(&h, false) > 5 * 30 * US);
        test_eq(sluice_priv_habit_worth_ns(&h, true), 5 * 10 * US); /* a price of its own */
        for (int i = 0; i < SETTLES; i++)
                sluice_priv_habit_slept(&h, true, 2 * US);
        test_check(sluice_priv_habit_worth_ns(&h, true) < 5 * 3 * US);
}

Test(habit, one_late_wake_up_hardly_changes_the_price)
{
        int64_t worth;

        begin();
        price(false, 4 * US);
        worth = sluice_priv_habit_worth_ns(&h, false);
        sluice_priv_habit_slept(&h, false, 4000 * MS);
        test_check(sluice_priv_habit_worth_ns(&h, false) <= worth * 5 / 4 + 5);
        for (int i = 0; i < 4; i++)
                sluice_priv_habit_slept(&h, false, 4 * US);
        test_check(sluice_priv_habit_worth_ns(&h, false) <= worth * 11 / 10);
}

/* Of a peer that lies, or on a machine that is overloaded. */
Test(habit, spinning_never_takes_more_than_a_millisecond)
{
        begin();
        price(false, 1000 * MS);
        test_check(sluice_priv_habit_budget_ns(&h) <= MS);
        test_check(sluice_priv_habit_budget_ns(&h) > MS * 9 / 10);
}

/* ---- Yielding ----------------------------------------------------- */

static int64_t pause_after(int64_t now, int64_t took)
{
        int64_t until = now;

        sluice_priv_habit_yielded(&h, now, took);
        while (!sluice_priv_habit_yields(&h, until))
                until += 100 * US;
        return until - now;
}

Test(habit, a_late_yield_stops_yields_for_a_while)
{
        const int64_t usual = 5 * US, turn = 3 * MS;
        int64_t now = 77 * MS, first, second;

        begin();
        price(true, 3 * US);
        waits(SETTLES, usual);
        test_eq(pause_after(now, 2 * usual), 0);
        first = pause_after(now, turn);
        test_check(first >= 8 * turn && first <= 9 * turn);
        now += first + turn;
        second = pause_after(now, turn); /* again, soon */
        test_check(second >= 2 * first - MS && second <= 2 * first + MS);
        now += second + 100 * second; /* long after that */
        first = pause_after(now, turn);
        test_check(first >= 8 * turn && first <= 9 * turn);
}

Test(habit, yields_are_tried_again_within_a_second)
{
        int64_t now = 0;

        begin();
        for (int i = 0; i < 100; i++) {
                const int64_t pause = pause_after(now, 4 * MS);

                test_check(pause > 0 && pause <= 1001 * MS);
                now += pause;
        }
        test_check(pause_after(now, 100000 * MS) <= 1001 * MS);
}

/* A peer that computes for a while on our CPU is not another program. */
Test(habit, a_yield_as_long_as_the_waits_are_is_not_late)
{
        begin();
        price(true, 3 * US);
        for (int i = 0; i < 100; i++)
                sluice_priv_habit_waited(&h, true, 100 * US);
        test_eq(pause_after(0, 110 * US), 0);
}
