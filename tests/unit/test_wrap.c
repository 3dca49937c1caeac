/* SPDX-License-Identifier: MIT */
/* Every length around every boundary, from every offset in the ring. */
#include "check.h"

/* Lengths 0, 1, and around each multiple of the alignment up to beyond
 * the longest; in the smallest rings that is every length. */
static size_t next_length(const struct test_rig *r, size_t len)
{
        const size_t align = r->geometry.record_align, near = (len + 8) % align;

        if (align <= 16 || near <= 1 || near >= align - 2 || len < 1)
                return len + 1;
        return len + (align - 2 - near);
}

/* From this offset, with a message behind it: both arrive, and a padding
 * record is used exactly when the first does not fit before the end. */
static void pass_from(struct test_rig *r, size_t unit, size_t len)
{
        const uint64_t capacity = r->geometry.capacity, bytes = test_record(r, len);
        uint64_t at, left;

        test_go_to(r, unit);
        at = sluice_producer_position(&r->p);
        left = capacity - at % capacity;
        test_eq(test_send(r, len, len), 0);
        if (bytes > left) {
                test_eq(test_peek_word(r, at), (left - 8) << 3 | 5);
                at += left;
        }
        test_eq(sluice_producer_position(&r->p), at + bytes);
        test_eq(test_peek_word(r, at + bytes), 0);
        test_eq(test_expect(r, len, len), at);
        test_eq(sluice_consumer_position(&r->c), at + bytes);
        test_expect_empty(r);
        test_eq(test_send(r, 1, 0), 0);
        test_expect(r, 1, 0);
}

static void all_lengths(struct test_rig *r)
{
        char where[sizeof test_context];
        size_t longest = 0;
        void *payload;

        snprintf(where, sizeof where, "%.100s", test_context);
        for (size_t unit = 0; unit < test_rig_units(r); unit++) {
                for (size_t len = 0; len <= test_longest(r); len = next_length(r, len)) {
                        test_at("%.100s, unit %zu, len %zu", where, unit, len);
                        pass_from(r, unit, len);
                        longest = len;
                }
                test_eq(longest, test_longest(r));
                for (size_t i = 1; i < 10; i++)
                        test_eq(sluice_reserve(&r->p, longest + i, &payload, SLUICE_NOW),
                                -EMSGSIZE);
        }
}

TEST_EACH(wrap, passes_every_length_from_every_offset_in_4_units, 4)
{
        all_lengths(r);
}

TEST_EACH(wrap, passes_every_length_from_every_offset_in_8_units, 8)
{
        all_lengths(r);
}

TEST_EACH(wrap, passes_every_length_from_every_offset_in_32_units, 32)
{
        all_lengths(r);
}

/* Fills from an offset with messages of one size, drains half of it,
 * fills again: nothing is overwritten that was not released. */
static void fill_from(struct test_rig *r, size_t unit, size_t len)
{
        const uint64_t bytes = test_record(r, len), capacity = r->geometry.capacity;
        const uint64_t align = r->geometry.record_align;
        uint64_t sent = 0, got = 0;

        test_go_to(r, unit);
        for (int round = 0; round < 4; round++) {
                int e;

                while ((e = test_send(r, sent, len)) == 0)
                        sent++;
                test_eq(e, -EAGAIN);
                /* It is full: not one more of these would leave the unit
                 * that the next header needs. */
                const uint64_t at = sluice_producer_position(&r->p);
                const uint64_t left = capacity - at % capacity;
                const uint64_t need = bytes + (bytes > left ? left : 0);

                test_check(at - sluice_consumer_position(&r->c) + need > capacity - align);
                test_check(at - sluice_consumer_position(&r->c) <= capacity - align);
                test_check(sent > got);
                for (uint64_t half = got + (sent - got + 1) / 2; got < half;)
                        test_expect(r, got++, len);
        }
        while (got < sent)
                test_expect(r, got++, len);
        test_expect_empty(r);
}

static void full_and_empty(struct test_rig *r)
{
        const size_t align = r->geometry.record_align;
        char where[sizeof test_context];

        snprintf(where, sizeof where, "%.100s", test_context);
        for (size_t unit = 0; unit < test_rig_units(r); unit++) {
                for (size_t units = 1; units <= test_rig_units(r) / 2; units++) {
                        test_at("%.100s, from unit %zu, %zu units each", where, unit, units);
                        fill_from(r, unit, units * align - 8);
                }
        }
}

TEST_EACH(wrap, is_full_and_empty_from_every_offset_in_4_units, 4)
{
        full_and_empty(r);
}

TEST_EACH(wrap, is_full_and_empty_from_every_offset_in_8_units, 8)
{
        full_and_empty(r);
}

TEST_EACH(wrap, is_full_and_empty_from_every_offset_in_16_units, 16)
{
        full_and_empty(r);
}

/* The longest message fits into a drained ring at every position, and
 * beside nothing else where padding is needed. */
TEST_EACH(wrap, takes_the_longest_from_every_offset_once_drained, 8)
{
        for (size_t unit = 0; unit < 8; unit++) {
                test_go_to(r, unit);
                test_eq(test_send(r, 1, test_longest(r)), 0);
                test_expect(r, 1, test_longest(r));
        }
}

/* A shorter commit would have fitted before the end of the ring: it
 * stays where its room was reserved. */
TEST_EACH(wrap, keeps_padding_when_the_commit_is_shorter, 8)
{
        const size_t align = r->geometry.record_align;
        void *payload;

        for (int staged = 0; staged < 2; staged++) {
                test_go_to(r, 6);
                const uint64_t at = sluice_producer_position(&r->p);

                test_eq(sluice_reserve(&r->p, 3 * align - 8, &payload, SLUICE_NOW), 0);
                test_check((unsigned char *)payload == r->mem + 12288 + 8);
                test_eq(staged ? sluice_stage(&r->p, 0) : sluice_commit(&r->p, 0), 0);
                test_eq(sluice_publish(&r->p), 0);
                test_eq(test_peek_word(r, at), (2 * align - 8) << 3 | 5);
                test_eq(sluice_producer_position(&r->p), at + 3 * align);
                test_eq(test_expect(r, 0, 0), at + 2 * align);
        }
}

/* An aborted message whose room was at the start of the ring leaves no
 * padding behind. */
TEST_EACH(wrap, forgets_padding_on_abort, 8)
{
        const size_t align = r->geometry.record_align;
        void *payload;

        test_go_to(r, 7);
        const uint64_t at = sluice_producer_position(&r->p);

        test_eq(sluice_reserve(&r->p, 2 * align - 8, &payload, SLUICE_NOW), 0);
        memset(payload, 0xff, 2 * align - 8);
        sluice_abort(&r->p);
        test_expect_empty(r);
        test_eq(test_send(r, 3, 0), 0);
        test_eq(test_expect(r, 3, 0), at);
        test_expect_empty(r);
}

/* Positions pass 2^32 and 2^64 without a trace. */
TEST_EACH(wrap, carries_positions_across_their_own_ends, 4)
{
        uint64_t expected = r->geometry.first_position;

        for (uint64_t i = 0; i < 12; i++) {
                test_eq(test_send(r, i, 0), 0);
                test_eq(test_expect(r, i, 0), expected);
                expected += r->geometry.record_align;
                test_eq(sluice_producer_position(&r->p), expected);
        }
        test_check(expected < UINT64_C(1) << 40);
        test_check(r->geometry.first_position == 0 || (expected & UINT32_MAX) < 4096);
}
