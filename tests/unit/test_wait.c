/* SPDX-License-Identifier: MIT */
/* Deadlines, whether a peer has to be woken, and two threads over a ring
 * whose handles cannot sleep. */
#include <pthread.h>

#include "check.h"

#define MS INT64_C(1000000)

Test(after, saturates_at_forever)
{
        test_eq(sluice_after(INT64_MAX), SLUICE_FOREVER);
        test_eq(sluice_after(INT64_MAX - 1), SLUICE_FOREVER);
        test_check(sluice_after(INT64_MAX / 2) < SLUICE_FOREVER);
        test_check(sluice_after(0) > SLUICE_NOW);
        test_check(sluice_after(INT64_MIN) < sluice_now_ns());
}

Test(after, counts_from_now)
{
        const int64_t before = sluice_now_ns();
        const sluice_deadline until = sluice_after(5 * MS);
        const int64_t behind = sluice_now_ns();

        test_check(until >= before + 5 * MS);
        test_check(until <= behind + 5 * MS);
}

TEST_EACH(deadline, passed_still_looks_once, 4)
{
        char got[8];

        test_eq(sluice_send(&r->p, "x", 1, 1), 0);
        test_eq(sluice_recv(&r->c, got, sizeof got, 1), 1);
        test_eq(sluice_send(&r->p, "y", 1, -5), 0);
        test_eq(sluice_recv(&r->c, got, sizeof got, -5), 1);
        /* Room and messages that are only found by looking again. */
        for (uint64_t i = 0; i < 3; i++)
                test_eq(test_send(r, i, 0), 0);
        test_expect(r, 0, 0);
        test_eq(sluice_send(&r->p, "", 0, 1), 0);
        test_expect(r, 1, 0);
        test_expect(r, 2, 0);
        test_eq(sluice_recv(&r->c, got, sizeof got, 1), 0);
        test_expect_empty(r);
}

TEST_EACH(deadline, now_returns_eagain_and_passed_returns_etimedout, 4)
{
        struct sluice_message m;

        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), -EAGAIN);
        test_eq(sluice_peek(&r->c, &m, 1), -ETIMEDOUT);
        test_eq(sluice_peek(&r->c, &m, sluice_now_ns()), -ETIMEDOUT);
        for (uint64_t i = 0; i < 3; i++)
                test_eq(test_send(r, i, 0), 0);
        test_eq(sluice_send(&r->p, "", 0, SLUICE_NOW), -EAGAIN);
        test_eq(sluice_send(&r->p, "", 0, 1), -ETIMEDOUT);
        for (uint64_t i = 0; i < 3; i++)
                test_expect(r, i, 0);
}

Test(deadline, is_kept_by_spinning)
{
        struct test_rig r;
        struct sluice_message m;
        int64_t began;

        test_open(&r, 4, 8, 0);
        began = sluice_now_ns();
        test_eq(sluice_peek(&r.c, &m, sluice_after(30 * MS)), -ETIMEDOUT);
        test_check(sluice_now_ns() - began >= 30 * MS);
        test_check(sluice_now_ns() - began < 2000 * MS);
        for (uint64_t i = 0; i < 3; i++)
                test_eq(test_send(&r, i, 0), 0);
        began = sluice_now_ns();
        test_eq(sluice_send(&r.p, "", 0, sluice_after(30 * MS)), -ETIMEDOUT);
        test_check(sluice_now_ns() - began >= 30 * MS);
        test_check(sluice_now_ns() - began < 2000 * MS);
        test_rig_close(&r);
}

/* ---- the peer's parked word --------------------------------------- */

static struct sluice_priv_doorbell doorbell_over(const sluice_word *word, uint64_t answered)
{
        const struct sluice_priv_doorbell doorbell = {word, answered, 1, 1};

        return doorbell;
}

Test(doorbell, is_due_when_the_awaited_position_is_reached)
{
        sluice_word parked = 0;

        for (int f = 0; f < TEST_FIRSTS; f++) {
                const uint64_t at = test_first(f, 8) + 64;
                struct sluice_priv_doorbell doorbell = doorbell_over(&parked, 0);

                test_poke(&parked, at | SLUICE_LAYOUT_PARKED);
                for (int fence = 0; fence < 2; fence++) {
                        doorbell.fence = fence;
                        test_eq(sluice_priv_doorbell_due(&doorbell, at - 8), 0);
                        test_eq(sluice_priv_doorbell_due(&doorbell, at - 64), 0);
                        test_eq(sluice_priv_doorbell_due(&doorbell, at), at | 1);
                        test_eq(sluice_priv_doorbell_due(&doorbell, at + 4096), at | 1);
                }
                test_poke(&parked, at | SLUICE_LAYOUT_PARKED | SLUICE_LAYOUT_BY_FIFO);
                test_eq(sluice_priv_doorbell_due(&doorbell, at), at | 3);
                test_poke(&parked, at);
                test_eq(sluice_priv_doorbell_due(&doorbell, at), 0);
        }
}

Test(doorbell, answers_each_parked_word_once)
{
        sluice_word parked = 0;
        struct sluice_priv_doorbell doorbell = doorbell_over(&parked, 129);

        test_poke(&parked, 129);
        test_eq(sluice_priv_doorbell_due(&doorbell, 256), 0);
        test_poke(&parked, 137);
        test_eq(sluice_priv_doorbell_due(&doorbell, 256), 137);
}

Test(doorbell, stays_shut_when_the_endpoint_wakes_nobody)
{
        sluice_word parked = 0;
        struct sluice_priv_doorbell doorbell = doorbell_over(&parked, 0);

        test_poke(&parked, 1);
        doorbell.open = 0;
        test_eq(sluice_priv_doorbell_due(&doorbell, 256), 0);
        doorbell.open = 1;
        test_eq(sluice_priv_doorbell_due(&doorbell, 256), 1);
}

/* ---- two threads -------------------------------------------------- */

#define EXCHANGED 4000

static size_t length_of(uint64_t number, const struct test_rig *r)
{
        return (size_t)(number * 37 % (test_longest(r) + 1));
}

static void *produce(void *arg)
{
        struct test_rig *r = arg;
        void *payload;

        for (uint64_t i = 0; i < EXCHANGED; i++) {
                const size_t len = length_of(i, r);

                if (sluice_reserve(&r->p, len, &payload, sluice_after(20000 * MS)) != 0)
                        return NULL;
                test_fill(payload, len, i);
                sluice_set_tag(&r->p, (uint32_t)i);
                if (sluice_commit(&r->p, len) != 0)
                        return NULL;
        }
        return arg;
}

static void exchange(struct test_rig *r)
{
        struct sluice_message m;
        pthread_t thread;
        void *result;

        test_eq(pthread_create(&thread, NULL, produce, r), 0);
        for (uint64_t i = 0; i < EXCHANGED; i++) {
                test_eq(sluice_peek(&r->c, &m, sluice_after(20000 * MS)), 0);
                test_eq(m.tag, (uint32_t)i);
                test_eq(m.len, length_of(i, r));
                test_check(test_matches(m.data, m.len, i));
                test_eq(sluice_release(&r->c), 0);
        }
        test_eq(pthread_join(thread, &result), 0);
        test_check(result == r);
        test_expect_empty(r);
}

Test(threads, exchange_messages_through_the_bare_ring, .timeout = 60)
{
        for (int f = 0; f < TEST_FIRSTS; f++) {
                for (int a = 0; a < 2; a++) {
                        struct test_rig r;

                        test_open(&r, f == 0 ? 4 : 16, test_align[a], test_first(f, test_align[a]));
                        exchange(&r);
                        test_rig_close(&r);
                }
        }
}
