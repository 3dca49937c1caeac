/* SPDX-License-Identifier: MIT */
/* SLUICE_NOW returns at once: what a look in vain costs is counted, pauses
 * (which are compiler fences here, see sluice/cpu.h) and readings of the clock. */
#include <time.h>

#define SLUICE_ATOMIC_HEADER "atomic_hook.h"
#include "check.h"

enum { PER_CHECK = SLUICE_PRIV_POLLS_PER_CHECK };

static unsigned pauses, clocks, checks;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
        clocks++;
        return __real_clock_gettime(clock, now);
}

static void count_pause(void)
{
        pauses++;
}

static void count_from_here(void)
{
        test_hook_fenced = count_pause;
        pauses = clocks = 0;
}

static void expect_cost(unsigned most_pauses, unsigned most_clocks)
{
        test_hook_fenced = NULL;
        test_check(pauses <= most_pauses);
        test_check(clocks <= most_clocks);
}

static void pass_messages(struct test_rig *r, uint64_t *number, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                test_eq(test_send(r, *number + i, 0), 0);
        for (unsigned i = 0; i < n; i++)
                test_expect(r, *number + i, 0);
        *number += n;
}

TEST_EACH(poll, for_a_message_costs_a_pause_at_most_and_no_clock, 64)
{
        uint64_t number = 0;

        for (unsigned i = 0; i < 4 * PER_CHECK; i++) {
                const unsigned asks = i % PER_CHECK == PER_CHECK - 1;

                pass_messages(r, &number, 4);
                count_from_here();
                test_expect_empty(r);
                expect_cost(1, asks);
        }
}

/* A rest, which leaves the consumer's line alone. */
TEST_EACH(poll, for_room_costs_a_short_rest_and_no_clock, 8)
{
        for (uint64_t i = 0; i < 7; i++)
                test_eq(test_send(r, i, 0), 0);
        for (unsigned i = 0; i < 4 * PER_CHECK; i++) {
                count_from_here();
                test_eq(sluice_send(&r->p, "", 0, SLUICE_NOW), -EAGAIN);
                expect_cost(SLUICE_PRIV_REST / 4, 0);
        }
}

static int no_wait(void *handle, uint64_t need, sluice_deadline until)
{
        (void)handle, (void)need, (void)until;
        return -EDEADLK; /* a poller never sleeps */
}

static int count_check(void *handle)
{
        (void)handle;
        checks++;
        return 0;
}

static int interrupted(void *handle)
{
        (void)handle;
        return -ECANCELED;
}

static int removed(void *handle)
{
        (void)handle;
        return -ESTALE;
}

static int pass_on(void *handle, int error, sluice_deadline until)
{
        (void)handle, (void)until;
        return error;
}

static void look_in_vain(struct test_rig *r, int consumer, int expected)
{
        if (consumer) {
                struct sluice_message m;

                test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), expected);
        } else {
                test_eq(sluice_send(&r->p, "", 0, SLUICE_NOW), expected);
        }
}

/* Both endpoints, by the same rule. */
static void asks_at_each(struct test_rig *r, int consumer)
{
        struct sluice_priv_endpoint *const e = consumer ? &r->c.base : &r->p.base;
        struct sluice_priv_sleep sleep = {no_wait, count_check, NULL, NULL, pass_on};

        e->sleep = &sleep;
        checks = 0;
        for (unsigned i = 0; i < 4 * PER_CHECK; i++) {
                test_eq(checks, i / PER_CHECK);
                look_in_vain(r, consumer, -EAGAIN);
        }
        test_eq(checks, 4);
        sluice_priv_check_next(&e->polls);
        look_in_vain(r, consumer, -EAGAIN);
        test_eq(checks, 5);
        sleep.check = interrupted;
        sluice_priv_check_next(&e->polls);
        look_in_vain(r, consumer, -ECANCELED);
        look_in_vain(r, consumer, -EAGAIN);
        sleep.check = removed;
        sluice_priv_check_next(&e->polls);
        look_in_vain(r, consumer, -ESTALE);
        e->sleep = NULL;
}

TEST_EACH(poll, for_a_message_asks_after_the_producer_now_and_then, 8)
{
        asks_at_each(r, 1);
}

TEST_EACH(poll, for_room_asks_after_the_consumer_now_and_then, 8)
{
        for (uint64_t i = 0; i < 7; i++)
                test_eq(test_send(r, i, 0), 0);
        asks_at_each(r, 0);
}
