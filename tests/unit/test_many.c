/* SPDX-License-Identifier: MIT */
/* Many messages in one call, in either direction. */
#include <errno.h>

#include "check.h"

enum { MANY = 160 };

static unsigned char bytes[MANY][256];
static struct iovec iov[MANY];
static struct sluice_message m[MANY];

static void prepare(uint64_t number, size_t len)
{
        for (uint64_t i = 0; i < MANY; i++) {
                test_fill(bytes[i], len, number + i);
                iov[i].iov_base = bytes[i];
                iov[i].iov_len = len;
        }
}

/* A message of this length fills a unit, and is never packed. */
static size_t unit_len(const struct test_rig *r)
{
        return r->geometry.record_align - 8;
}

/* So many of them fit into an empty ring, beside the unit that stays free. */
static int fit(const struct test_rig *r)
{
        return (int)test_rig_units(r) - 1;
}

static void expect_all(struct test_rig *r, uint64_t number, int n, size_t len)
{
        for (int i = 0; i < n; i++) {
                struct sluice_message got;

                test_eq(sluice_peek(&r->c, &got, SLUICE_NOW), 0);
                test_eq(got.len, len);
                test_check(test_matches(got.data, len, number + (uint64_t)i));
                test_eq(sluice_release(&r->c), 0);
        }
        test_expect_empty(r);
}

TEST_EACH(send_many, sends_all_or_what_fits, 16)
{
        prepare(0, 8);
        for (int n = 1; n < MANY; n++) {
                const int sent = sluice_send_many(&r->p, iov, n, SLUICE_NOW);

                test_check(sent == n || (sent >= fit(r) / 2 && sent < n));
                if (sent < n)
                        test_eq(sluice_send_many(&r->p, iov, 1, SLUICE_NOW), -EAGAIN);
                test_eq(sluice_producer_messages(&r->p) - sluice_consumer_messages(&r->c),
                        (uint64_t)sent);
                expect_all(r, 0, sent, 8);
        }
}

/* Packed to multiples of 8, but for the last; what is not shorter that way is
 * as it is alone. */
TEST_EACH(send_many, packs_messages, 64)
{
        static const size_t lens[] = {3, 0, 8, 17, 1, 120, 1, 5};
        const uint64_t align = r->geometry.record_align;

        for (int n = 1; n <= 8; n++) {
                uint64_t at;

                test_go_to(r, 0);
                at = sluice_producer_position(&r->p);
                prepare(0, 120);
                for (int i = 0; i < n; i++)
                        iov[i].iov_len = lens[i];
                test_eq(sluice_send_many(&r->p, iov, n, SLUICE_NOW), n);
                for (int i = 0; i < n; i++) {
                        const uint64_t packed = (at + lens[i] + 15) / 8 * 8;
                        const int as_alone = i + 1 == n || (at | packed) % align == 0;

                        test_at("message %d of %d", i, n);
                        test_eq(test_peek_word(r, at), lens[i] << 3 | (as_alone ? 1 : 6));
                        test_eq(memcmp((char *)test_word(r, at) + 8, bytes[i], lens[i]), 0);
                        at = as_alone ? (at + lens[i] + 8 + align - 1) / align * align : packed;
                }
                test_eq(test_peek_word(r, at), 0);
                test_eq(sluice_producer_position(&r->p), at);
                for (int i = 0; i < n; i++)
                        test_eq(sluice_recv(&r->c, bytes[MANY - 1], 120, SLUICE_NOW), lens[i]);
                test_expect_empty(r);
                test_eq(sluice_consumer_position(&r->c), at);
        }
}

/* Nor are messages packed whose payloads are aligned to more than 8. */
Test(send_many, keeps_the_alignment_of_payloads)
{
        for (uint32_t align = 16; align <= 128; align *= 2) {
                const struct sluice_geometry g = {
                        .capacity = 1024, .record_align = 128, .payload_align = align};
                struct test_rig r = {.geometry = g, .bytes = sluice_ring_bytes(&g)};

                r.mem = test_memory(r.bytes);
                test_eq(sluice_ring_format(r.mem, r.bytes, &g), 0);
                test_eq(sluice_producer_attach(&r.p, r.mem, r.bytes), 0);
                test_eq(sluice_consumer_attach(&r.c, r.mem, r.bytes), 0);
                prepare(0, 8);
                test_eq(sluice_send_many(&r.p, iov, 3, SLUICE_NOW), 3);
                test_eq(sluice_producer_position(&r.p), 3 * 128);
                test_eq(sluice_peek_many(&r.c, m, 3, SLUICE_NOW), 3);
                for (int i = 0; i < 3; i++)
                        test_eq((uintptr_t)m[i].data % align, 0);
                test_rig_close(&r);
        }
}

/* Behind staged ones, whichever of them is the last. */
TEST_EACH(send_many, packs_behind_what_is_staged, 32)
{
        for (int n = 1; n <= 3; n++) {
                test_go_to(r, 0);
                prepare(1, 8);
                test_eq(test_stage(r, 0, 8), 0);
                test_eq(sluice_send_many(&r->p, iov, n, SLUICE_NOW), n);
                test_eq(test_peek_word(r, sluice_consumer_position(&r->c)), 8 << 3 | 1);
                expect_all(r, 0, n + 1, 8);
                test_eq(sluice_consumer_position(&r->c), sluice_producer_position(&r->p));
        }
}

TEST_EACH(send_many, shows_all_at_once, 16)
{
        prepare(0, 8);
        test_eq(test_stage(r, 99, 8), 0);
        test_expect_empty(r);
        test_eq(sluice_send_many(&r->p, iov, 3, SLUICE_NOW), 3);
        test_expect(r, 99, 8);
        expect_all(r, 0, 3, 8);
        test_eq(test_stage(r, 98, 8), 0);
        test_eq(sluice_send_many(&r->p, iov, 0, SLUICE_NOW), 0); /* publishes */
        expect_all(r, 98, 1, 8);
}

TEST_EACH(send_many, goes_on_round_the_end_of_the_ring, 64)
{
        for (size_t len = 0; len < sizeof bytes[0]; len += 1 + len / 4) {
                uint64_t number = 0;

                if (len > test_longest(r))
                        break;
                for (int i = 0; i < 40; i++) {
                        int sent;

                        prepare(number, len);
                        sent = sluice_send_many(&r->p, iov, 3, SLUICE_NOW);
                        test_check(sent >= 1 && sent <= 3);
                        expect_all(r, number, sent, len);
                        number += (uint64_t)sent;
                }
        }
}

TEST_EACH(send_many, says_why_the_first_is_not_sent, 16)
{
        const size_t len = unit_len(r);
        const int most = fit(r);

        prepare(0, len);
        test_eq(sluice_send_many(&r->p, iov, -1, SLUICE_NOW), -EINVAL);
        iov[0].iov_len = test_longest(r) + 1;
        test_eq(sluice_send_many(&r->p, iov, 2, SLUICE_NOW), -EMSGSIZE);
        iov[0].iov_len = len;
        iov[1].iov_len = test_longest(r) + 1;
        test_eq(sluice_send_many(&r->p, iov, 3, SLUICE_NOW), 1); /* up to the one too long */
        expect_all(r, 0, 1, len);
        iov[1].iov_len = len;
        test_eq(sluice_send_many(&r->p, iov, most, SLUICE_NOW), most);
        test_eq(sluice_send_many(&r->p, iov, 1, SLUICE_NOW), -EAGAIN);
        test_eq(sluice_send_many(&r->p, iov, 1, 1), -ETIMEDOUT);
        expect_all(r, 0, most, len);
}

/* A consumer that closes while the ring is full is told to the call that waits,
 * not swallowed by one that has sent something. */
TEST_EACH(send_many, leaves_an_end_to_the_next_call, 16)
{
        const size_t len = unit_len(r);
        const int most = fit(r);

        prepare(0, len);
        test_eq(sluice_send_many(&r->p, iov, most - 1, SLUICE_NOW), most - 1);
        sluice_consumer_detach(&r->c);
        test_eq(sluice_send_many(&r->p, iov, 2, SLUICE_NOW), 1);
        test_eq(sluice_send_many(&r->p, iov, 1, SLUICE_NOW), -EPIPE);
}

TEST_EACH(peek_many, shows_what_is_there_and_keeps_it, 16)
{
        const size_t len = unit_len(r);
        const int most = fit(r);
        ssize_t n;

        prepare(0, len);
        test_eq(sluice_peek_many(&r->c, m, 0, SLUICE_NOW), -EINVAL);
        test_eq(sluice_peek_many(&r->c, m, MANY, SLUICE_NOW), -EAGAIN);
        test_eq(sluice_peek_many(&r->c, m, MANY, 1), -ETIMEDOUT);
        for (int max = 1; max <= most + 1; max++) {
                test_eq(sluice_send_many(&r->p, iov, most, SLUICE_NOW), most);
                for (int seen = 0; seen < most; seen += (int)n) {
                        n = sluice_peek_many(&r->c, m, (size_t)max, SLUICE_NOW);
                        test_eq(n, most - seen < max ? most - seen : max);
                        for (int i = 0; i < (int)n; i++) {
                                test_eq(m[i].len, len);
                                test_check(test_matches(m[i].data, len, (uint64_t)(seen + i)));
                        }
                        test_eq(sluice_send_many(&r->p, iov, 1, SLUICE_NOW), -EAGAIN);
                }
                test_eq(sluice_release(&r->c), 0); /* all of them */
                test_eq(sluice_release(&r->c), -EINVAL);
        }
}

TEST_EACH(peek_many, begins_with_the_current_message, 16)
{
        prepare(0, 8);
        test_eq(sluice_send_many(&r->p, iov, 3, SLUICE_NOW), 3);
        test_eq(sluice_peek(&r->c, m, SLUICE_NOW), 0);
        test_eq(sluice_peek_many(&r->c, m, MANY, SLUICE_NOW), 3);
        test_check(test_matches(m[0].data, 8, 0));
        test_eq(sluice_release(&r->c), 0);
        test_eq(sluice_consumer_messages(&r->c), sluice_producer_messages(&r->p));
}

TEST_EACH(peek_many, leaves_an_end_to_the_next_call, 16)
{
        prepare(0, 8);
        test_eq(sluice_send_many(&r->p, iov, 2, SLUICE_NOW), 2);
        sluice_producer_detach(&r->p);
        test_eq(sluice_peek_many(&r->c, m, MANY, SLUICE_NOW), 2);
        test_eq(sluice_peek_many(&r->c, m, MANY, SLUICE_NOW), -EPIPE);
        test_eq(sluice_release(&r->c), 0);
}

TEST_EACH(peek_many, stops_before_a_violation_and_then_tells, 16)
{
        prepare(0, 8);
        test_eq(sluice_send_many(&r->p, iov, 2, SLUICE_NOW), 2);
        test_poke(test_word(r, sluice_producer_position(&r->p)), 7);
        test_eq(sluice_peek_many(&r->c, m, MANY, SLUICE_NOW), 2);
        test_eq(sluice_peek_many(&r->c, m, MANY, SLUICE_NOW), -EBADMSG);
}

/* ---- Runs of equal headers, and packed records --------------------- */

static const size_t lens[] = {8, 8, 8, 3, 3, 0, 17, 17, 17, 1, 1, 1};
enum { LENS = sizeof lens / sizeof *lens };

static void is_message(const struct test_rig *r, const struct sluice_message *got, uint64_t number,
                       size_t len)
{
        test_at("message %u", (unsigned)number);
        test_eq(got->len, len);
        test_eq(got->tag, number);
        test_eq(got->kind, SLUICE_WHOLE);
        test_check((const unsigned char *)got->data ==
                   (const unsigned char *)test_word(r, got->position) + 8);
        test_check(test_matches(got->data, len, number));
}

/* However many are asked for at a time, wherever the consumer stops, and beside
 * those peeked alone. */
TEST_EACH(peek_many, reads_packed_messages, 64)
{
        for (size_t max = 1; max <= LENS + 1; max++) {
                ssize_t n;

                if (sluice_producer_position(&r->p) % r->geometry.capacity >
                    r->geometry.capacity / 4)
                        test_go_to(r, 0);
                test_send_packed(r, 10, lens, LENS);
                for (size_t seen = 0; seen < LENS; seen += (size_t)n) {
                        n = sluice_peek_many(&r->c, m, max, SLUICE_NOW);
                        test_eq(n, LENS - seen < max ? LENS - seen : max);
                        for (size_t i = 0; i < (size_t)n; i++)
                                is_message(r, &m[i], 10 + seen + i, lens[seen + i]);
                        if (seen % 2 == 0)
                                test_eq(sluice_release(&r->c), 0);
                        if (seen + (size_t)n == LENS)
                                break;
                        test_eq(sluice_peek(&r->c, &m[0], SLUICE_NOW), 0);
                        is_message(r, &m[0], 10 + seen + (size_t)n, lens[seen + (size_t)n]);
                }
                (void)sluice_release(&r->c);
                test_eq(sluice_consumer_position(&r->c), sluice_producer_position(&r->p));
                test_eq(sluice_consumer_messages(&r->c), sluice_producer_messages(&r->p));
        }
}

/* Whole again behind packed ones, and as long: a record of another length. */
TEST_EACH(peek_many, reads_equal_messages_behind_packed_ones, 32)
{
        static const size_t equal[] = {1, 1, 1};

        test_go_to(r, 0);
        test_send_packed(r, 10, equal, 3);
        for (uint64_t i = 13; i < 16; i++)
                test_eq(test_send(r, i, 1), 0);
        test_eq(sluice_peek_many(&r->c, m, MANY, SLUICE_NOW), 6);
        for (unsigned i = 0; i < 6; i++)
                is_message(r, &m[i], 10 + i, 1);
        test_eq(sluice_release(&r->c), 0);
}

TEST_EACH(peek_many, stops_before_a_packed_message_with_nothing_behind, 32)
{
        static const uint64_t nothing[] = {0, 8};

        for (unsigned i = 0; i < 2; i++) {
                test_go_to(r, 0);
                const uint64_t at = sluice_consumer_position(&r->c);

                test_poke(test_word(r, at + 32), nothing[i]);
                test_poke(test_word(r, at + 16), 8 << 3 | 6);
                test_poke(test_word(r, at), 8 << 3 | 6);
                test_eq(sluice_peek_many(&r->c, m, MANY, SLUICE_NOW), 1);
                test_eq(m[0].position, at);
                test_eq(sluice_peek_many(&r->c, m, MANY, SLUICE_NOW), -EBADMSG);
                test_poke(test_word(r, at), 0);
                test_eq(sluice_consumer_attach(&r->c, r->mem, r->bytes), 0);
        }
}

/* A header that is as the one before, and whose record is not all there. */
TEST_EACH(peek_many, lets_no_equal_header_pass_the_end_of_the_ring, 16)
{
        const uint64_t align = r->geometry.record_align, word = (2 * align - 8) << 3 | 1;

        test_go_to(r, 11);
        for (uint64_t at = sluice_consumer_position(&r->c), i = 0; i < 5; i += 2)
                test_poke(test_word(r, at + i * align), word);
        test_eq(sluice_peek_many(&r->c, m, MANY, SLUICE_NOW), 2);
        test_eq(sluice_peek_many(&r->c, m, MANY, SLUICE_NOW), -EBADMSG);
}

TEST_EACH(peek_many, lets_no_equal_headers_fill_the_ring, 16)
{
        for (uint64_t i = 0; i < 16; i++)
                test_poke(test_word(r, i * r->geometry.record_align), 1);
        test_eq(sluice_peek_many(&r->c, m, MANY, SLUICE_NOW), 15);
        test_eq(sluice_peek_many(&r->c, m, MANY, SLUICE_NOW), -EBADMSG);
}
