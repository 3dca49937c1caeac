/* SPDX-License-Identifier: MIT */
/* How a consumer chooses among its ways to treat cache lines, by prices that
 * are made up here; and that advice changes nothing but speed. */
#include <stdbool.h>

#include "check.h"

enum { TOUCH = SLUICE_PRIV_TOUCH, DEMOTE = SLUICE_PRIV_DEMOTE };

/* ---- The choice --------------------------------------------------- */

/* A machine: what a byte costs with each way, and a window of it. */
static uint64_t cost[4];
static unsigned windows_in[4];

static void begin(struct sluice_priv_pace *pace, unsigned available)
{
        memset(pace, 0, sizeof *pace);
        pace->available = available;
        pace->differs = DEMOTE;
        pace->gap = pace->left = 1;
        memset(windows_in, 0, sizeof windows_in);
}

static void pass(struct sluice_priv_pace *pace, unsigned windows)
{
        for (unsigned i = 0; i < windows; i++) {
                windows_in[pace->way]++;
                sluice_priv_window(pace, 65536, 65536 * cost[pace->way]);
        }
}

/* Until no comparison is being made. */
static unsigned way_of(struct sluice_priv_pace *pace)
{
        while (pace->step != SLUICE_PRIV_STEADY)
                pass(pace, 1);
        return pace->way;
}

static void prices(uint64_t plain, uint64_t touch, uint64_t demote, uint64_t both)
{
        cost[0] = plain;
        cost[TOUCH] = touch;
        cost[DEMOTE] = demote;
        cost[TOUCH | DEMOTE] = both;
}

Test(pace, keeps_what_is_faster)
{
        struct sluice_priv_pace pace;

        begin(&pace, TOUCH);
        prices(80, 10, 1, 1);
        pass(&pace, 10); /* twice 5 */
        test_eq(way_of(&pace), TOUCH);
        pass(&pace, 10000);
        test_eq(way_of(&pace), TOUCH);
        test_check(windows_in[0] < 100);
        test_eq(windows_in[DEMOTE] + windows_in[TOUCH | DEMOTE], 0); /* not available */
}

Test(pace, leaves_what_is_slower)
{
        struct sluice_priv_pace pace;

        begin(&pace, TOUCH);
        prices(10, 80, 1, 1);
        pass(&pace, 10000);
        test_eq(way_of(&pace), 0);
        test_check(windows_in[TOUCH] > 2);
        test_check(windows_in[TOUCH] < 100);
}

Test(pace, does_not_change_for_a_trifle)
{
        struct sluice_priv_pace pace;

        begin(&pace, TOUCH);
        prices(100, 89, 1, 1);
        pass(&pace, 10000);
        test_eq(way_of(&pace), 0);
}

Test(pace, finds_the_best_of_all_ways)
{
        struct sluice_priv_pace pace;

        begin(&pace, TOUCH | DEMOTE);
        for (unsigned best = 0; best < 4; best++) {
                begin(&pace, TOUCH | DEMOTE);
                for (unsigned way = 0; way < 4; way++)
                        cost[way] = (way & TOUCH) == (best & TOUCH) ? 100 : 200;
                for (unsigned way = 0; way < 4; way++)
                        cost[way] *= (way & DEMOTE) == (best & DEMOTE) ? 1 : 2;
                pass(&pace, 100);
                test_eq(way_of(&pace), best);
        }
}

/* Traffic that changes is noticed by its price, long before the next
 * comparison would be due. */
Test(pace, compares_again_when_traffic_has_changed)
{
        struct sluice_priv_pace pace;

        begin(&pace, TOUCH);
        prices(80, 10, 1, 1);
        pass(&pace, 10000);
        prices(300, 900, 1, 1);
        pass(&pace, SLUICE_PRIV_GAP_MOST / 8 + 20);
        test_eq(way_of(&pace), 0);
}

/* Something takes the processor away in one window of eight. */
Test(pace, is_not_misled_by_disturbances)
{
        struct sluice_priv_pace pace;
        uint64_t random = 1;

        begin(&pace, TOUCH);
        for (unsigned i = 0; i < 20000; i++) {
                const uint64_t times = test_random(&random) % 8 == 0 ? 50 : 1;

                prices(20 * times, 10 * times, 1, 1);
                pass(&pace, 1);
        }
        test_eq(way_of(&pace), TOUCH);
        test_check(windows_in[0] < 2000);
}

/* ---- In the ring -------------------------------------------------- */

static void messages(struct test_rig *r, uint64_t *number, unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                test_eq(test_send(r, *number, 20), 0);
                test_expect(r, *number, 20);
                ++*number;
        }
}

TEST_EACH(pace, measures_a_window_of_some_laps, 64)
{
        const unsigned enough = 4 * SLUICE_PRIV_WINDOW / 32;
        uint64_t number = 0;

        if (sluice_priv_ticks() == 0)
                cr_skip_test("a counter that programs may read");
        messages(r, &number, enough);
        test_check(r->c.pace.price != 0);
        test_check(r->c.pace.step != SLUICE_PRIV_STEADY || r->c.pace.gap > 1);
}

TEST_EACH(pace, tells_the_producer_when_lines_are_to_be_demoted, 64)
{
        const sluice_word *const hint = &test_consumer_half(r)->doorbell.hint;
        uint64_t number = 0;
        bool told = false;

        if (sluice_priv_ticks() == 0)
                cr_skip_test("a counter that programs may read");
        r->c.pace.available = DEMOTE;
        for (unsigned i = 0; i < 16 * SLUICE_PRIV_WINDOW / 32; i++) {
                messages(r, &number, 1);
                test_eq(sluice_priv_load_relaxed(hint),
                        (r->c.pace.way & DEMOTE) ? SLUICE_LAYOUT_SPARSE : 0);
                told |= (r->c.pace.way & DEMOTE) != 0;
        }
        test_check(told);
        sluice_consumer_detach(&r->c);
        test_eq(sluice_consumer_attach(&r->c, r->mem, r->bytes), 0);
        test_eq(sluice_priv_load_relaxed(hint), 0);
}

/* Messages of all lengths, alone and in batches, round the end of the ring. */
static void exchange(struct test_rig *r, uint64_t advice)
{
        uint64_t number = 0;

        for (size_t len = 0; len <= test_longest(r); len += 1 + len / 8)
                for (unsigned n = 1; n <= 3; n++) {
                        if (n * test_record(r, len) > r->geometry.capacity / 2)
                                break;
                        test_poke(&test_consumer_half(r)->doorbell.hint, advice);
                        for (unsigned i = 0; i < n - 1; i++)
                                test_eq(test_stage(r, number + i, len), 0);
                        test_eq(test_send(r, number + n - 1, len), 0);
                        for (unsigned i = 0; i < n; i++)
                                test_expect(r, number + i, len);
                        number += n;
                }
        test_expect_empty(r);
}

TEST_EACH(pace, advice_changes_no_message, 64)
{
        exchange(r, 0);
        r->c.pace.way = TOUCH;
        exchange(r, SLUICE_LAYOUT_SPARSE);
        exchange(r, UINT64_MAX);
}

/* A tag of 32 bits beside the longest length, first and last in a lap. */
TEST_EACH(tag, travels_with_every_message, 8)
{
        const uint32_t tags[] = {UINT32_MAX, 0, 0x80000000u, 1};
        const size_t lens[] = {test_longest(r), 0, test_longest(r) / 2, 1};
        struct sluice_message m;
        void *payload;

        for (unsigned i = 0; i < 64; i++) {
                const uint32_t tag = tags[i % 4];
                const size_t len = lens[i / 4 % 4];

                test_eq(sluice_reserve(&r->p, len, &payload, SLUICE_NOW), 0);
                sluice_set_tag(&r->p, ~tag);
                sluice_set_tag(&r->p, tag);
                test_fill(payload, len, i);
                if (i / 16 % 2)
                        test_eq(sluice_commit(&r->p, len), 0);
                else
                        test_check(sluice_stage(&r->p, len) == 0 && sluice_publish(&r->p) == 0);
                test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
                test_eq(m.tag, tag);
                test_eq(m.len, len);
                test_check(test_matches(m.data, len, i));
                test_eq(sluice_release(&r->c), 0);
        }
        /* Without a reservation it is nobody's, and it is no reservation. */
        sluice_set_tag(&r->p, UINT32_MAX);
        test_eq(sluice_commit(&r->p, 0), -EINVAL);
        test_eq(test_send(r, 1, 1), 0);
}
