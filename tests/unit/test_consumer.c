/* SPDX-License-Identifier: MIT */
/* The consumer's calls, and what each side does when the other half
 * holds something that no honest endpoint writes. */
#include "check.h"

TEST_EACH(peek, gives_the_same_message_again, 8)
{
        struct sluice_message a, b;

        test_eq(test_send(r, 0, 6), 0);
        test_eq(test_send(r, 1, 7), 0);
        test_eq(sluice_peek(&r->c, &a, SLUICE_NOW), 0);
        for (int i = 0; i < 3; i++) {
                test_eq(sluice_peek(&r->c, &b, SLUICE_FOREVER), 0);
                test_check(a.data == b.data && a.len == b.len && a.position == b.position);
        }
        test_eq(sluice_consumer_messages(&r->c), 0);
        test_expect(r, 0, 6);
        test_expect(r, 1, 7);
}

TEST_EACH(advance, keeps_messages_until_release, 8)
{
        struct sluice_message m[3];
        const uint64_t before = sluice_consumer_position(&r->c);

        for (uint64_t i = 0; i < 3; i++)
                test_eq(test_send(r, i, 5), 0);
        for (uint64_t i = 0; i < 3; i++) {
                test_eq(sluice_peek(&r->c, &m[i], SLUICE_NOW), 0);
                test_eq(sluice_advance(&r->c), 0);
        }
        test_expect_empty(r);
        while (test_send(r, 9, 0) == 0)
                ;
        for (uint64_t i = 0; i < 3; i++)
                test_check(test_matches(m[i].data, m[i].len, i));
        test_eq(sluice_consumer_position(&r->c), before);
        test_eq(sluice_release(&r->c), 0);
        test_eq(sluice_consumer_position(&r->c), m[2].position + test_record(r, 5));
        test_eq(sluice_consumer_messages(&r->c), 3);
        test_eq(test_send(r, 9, 0), 0);
}

TEST_EACH(advance, returns_einval_without_peek, 8)
{
        struct sluice_message m;

        test_eq(sluice_advance(&r->c), -EINVAL);
        test_eq(test_send(r, 0, 0), 0);
        test_eq(sluice_advance(&r->c), -EINVAL);
        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
        test_eq(sluice_advance(&r->c), 0);
        test_eq(sluice_advance(&r->c), -EINVAL);
        test_eq(sluice_release(&r->c), 0);
        test_eq(sluice_advance(&r->c), -EINVAL);
}

TEST_EACH(release, returns_einval_without_peek, 8)
{
        struct sluice_message m;

        test_eq(sluice_release(&r->c), -EINVAL);
        test_eq(test_send(r, 0, 0), 0);
        test_eq(sluice_release(&r->c), -EINVAL);
        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
        test_eq(sluice_release(&r->c), 0);
        test_eq(sluice_release(&r->c), -EINVAL);
        test_eq(sluice_consumer_messages(&r->c), 1);
}

/* With one peeked: that too. With none: those passed, and no more. */
TEST_EACH(release, gives_back_the_current_message_and_all_before_it, 8)
{
        struct sluice_message m;

        for (uint64_t i = 0; i < 3; i++)
                test_eq(test_send(r, i, 0), 0);
        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
        test_eq(sluice_advance(&r->c), 0);
        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
        test_eq(sluice_release(&r->c), 0);
        test_eq(sluice_consumer_messages(&r->c), 2);
        test_expect(r, 2, 0);
        for (uint64_t i = 0; i < 2; i++)
                test_eq(test_send(r, i, 0), 0);
        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
        test_eq(sluice_advance(&r->c), 0);
        test_eq(sluice_release(&r->c), 0);
        test_eq(sluice_consumer_messages(&r->c), 4);
        test_expect(r, 1, 0);
}

TEST_EACH(recv, returns_emsgsize_and_keeps_the_message_when_cap_is_too_small, 8)
{
        unsigned char buf[64] = {0};

        test_eq(test_send(r, 0, 7), 0);
        for (int i = 0; i < 3; i++)
                test_eq(sluice_recv(&r->c, buf, 6, SLUICE_NOW), -EMSGSIZE);
        test_eq(buf[0], 0);
        test_eq(sluice_consumer_messages(&r->c), 0);
        test_eq(sluice_recv(&r->c, buf, 7, SLUICE_NOW), 7);
        test_check(test_matches(buf, 7, 0));
        test_eq(buf[7], 0);
}

/* ---- drain -------------------------------------------------------- */

struct tally {
        uint64_t next;
        int answer; /* to message number `at` */
        uint64_t at;
};

static int count(void *ctx, const struct sluice_message *m)
{
        struct tally *t = ctx;

        test_eq(m->tag, t->next);
        test_check(test_matches(m->data, m->len, t->next));
        t->next++;
        return m->tag == t->at ? t->answer : 0;
}

static void refill(struct test_rig *r, struct tally *t)
{
        struct sluice_message m;

        while (sluice_peek(&r->c, &m, SLUICE_NOW) == 0)
                test_eq(sluice_release(&r->c), 0);
        for (uint64_t i = 0; i < 4; i++)
                test_eq(test_send(r, i, 0), 0);
        memset(t, 0, sizeof *t);
        t->at = UINT64_MAX;
}

TEST_EACH(drain, hands_over_what_is_there, 8)
{
        struct tally t;

        refill(r, &t);
        test_eq(sluice_drain(&r->c, count, &t, SIZE_MAX), 4);
        test_eq(t.next, 4);
        test_eq(sluice_drain(&r->c, count, &t, SIZE_MAX), 0);
        test_expect_empty(r);
        refill(r, &t);
        test_eq(sluice_drain(&r->c, count, &t, 0), 0);
        test_eq(sluice_drain(&r->c, count, &t, 3), 3);
        test_eq(sluice_drain(&r->c, count, &t, 3), 1);
        test_eq(t.next, 4);
}

TEST_EACH(drain, stops_behind_the_message_at_a_positive_answer, 8)
{
        struct tally t;

        refill(r, &t);
        t.at = 1;
        t.answer = 5;
        test_eq(sluice_drain(&r->c, count, &t, 9), 2);
        test_eq(sluice_drain(&r->c, count, &t, 9), 2);
        test_eq(t.next, 4);
}

TEST_EACH(drain, keeps_the_message_at_a_negative_answer, 8)
{
        struct tally t;

        refill(r, &t);
        t.at = 2;
        t.answer = -EIO;
        test_eq(sluice_drain(&r->c, count, &t, 9), 2);
        t.next = 2;
        test_eq(sluice_drain(&r->c, count, &t, 9), -EIO);
        t.next = 2;
        t.answer = 0;
        test_eq(sluice_drain(&r->c, count, &t, 9), 2);
        test_eq(t.next, 4);
        sluice_producer_detach(&r->p);
        test_eq(sluice_drain(&r->c, count, &t, 9), -EPIPE);
}

/* ---- a hostile producer ------------------------------------------- */

/* Every call says so, for ever, whatever the ring holds by now, and the
 * caller's own half is left as it was. */
static void consumer_is_poisoned(struct test_rig *r)
{
        const uint64_t position = sluice_consumer_position(&r->c);
        struct sluice_message m = {NULL, 7, 7, SLUICE_LAST, 7};
        struct tally t = {0, 0, 0};
        char buf[8];

        for (int i = 0; i < 3; i++) {
                test_eq(sluice_peek(&r->c, &m, i ? SLUICE_FOREVER : SLUICE_NOW), -EBADMSG);
                test_check(m.data == NULL && m.len == 7);
                test_eq(sluice_recv(&r->c, buf, sizeof buf, SLUICE_NOW), -EBADMSG);
                test_eq(sluice_drain(&r->c, count, &t, 3), -EBADMSG);
                test_eq(sluice_advance(&r->c), -EBADMSG);
                test_eq(sluice_release(&r->c), -EBADMSG);
                for (uint64_t at = 0; at < r->geometry.capacity; at += 8)
                        test_poke(test_word(r, at), i ? 1 : 0);
        }
        test_eq(sluice_consumer_position(&r->c), position);
}

/* Puts words at the consumer's position, and at the ring's start. */
static void refuses(uint32_t align, uint64_t first, size_t unit, uint64_t word, uint64_t behind)
{
        struct test_rig r;

        test_eq(test_rig_open(&r, (size_t)16 * align, align, first), 0);
        test_go_to(&r, unit);
        test_at("align %u, first %#llx, unit %zu, word %#llx, then %#llx", align,
                (unsigned long long)first, unit, (unsigned long long)word,
                (unsigned long long)behind);
        test_poke(test_word(&r, 0), behind);
        test_poke(test_word(&r, sluice_consumer_position(&r.c)), word);
        consumer_is_poisoned(&r);
        test_rig_close(&r);
}

#define EACH_PLACE(align, first)                                                         \
        for (int a_ = 0; a_ < TEST_ALIGNS; a_++)                                         \
                for (int f_ = 0; f_ < TEST_FIRSTS; f_++)                                 \
                        for (uint64_t align = test_align[a_],                            \
                                      first = test_first(f_, test_align[a_]), once_ = 1; \
                             once_; once_ = 0)

static uint64_t data(uint64_t len)
{
        return len << 3 | 1;
}

static uint64_t padding(uint64_t len)
{
        return len << 3 | 5;
}

Test(hostile_header, is_refused_when_too_long)
{
        EACH_PLACE(align, first)
        {
                const uint64_t longest = 8 * align - 8;

                for (uint64_t over = 1; over < 1u << 28; over *= 2)
                        refuses((uint32_t)align, first, 0, data(longest + over), 0);
                refuses((uint32_t)align, first, 0, data((1u << 29) - 1), 0);
                refuses((uint32_t)align, first, 0, UINT64_MAX - 6, 0);
                /* Where all of it would fit. */
                for (size_t unit = 1; unit < 8; unit++)
                        refuses((uint32_t)align, first, unit, data(longest + 1), 0);
        }
}

Test(hostile_header, is_refused_when_it_runs_over_the_end_of_the_ring)
{
        EACH_PLACE(align, first)
        {
                for (size_t unit = 9; unit < 16; unit++) {
                        refuses((uint32_t)align, first, unit, data((16 - unit) * align - 7), 0);
                        refuses((uint32_t)align, first, unit, data((17 - unit) * align - 8), 0);
                }
        }
}

Test(hostile_header, is_refused_when_padding_has_another_length_or_a_tag)
{
        EACH_PLACE(align, first)
        {
                for (size_t unit = 1; unit < 16; unit += 3) {
                        const uint64_t rest = (16 - unit) * align;

                        refuses((uint32_t)align, first, unit, padding(rest), data(0));
                        refuses((uint32_t)align, first, unit, padding(rest - 9), data(0));
                        refuses((uint32_t)align, first, unit, padding(rest - 7), data(0));
                        refuses((uint32_t)align, first, unit, padding(rest - 8) | 1ull << 32,
                                data(0));
                        refuses((uint32_t)align, first, unit, padding((1u << 29) - 1), data(0));
                        if (unit != 15)
                                refuses((uint32_t)align, first, unit, padding(0), data(0));
                }
        }
}

Test(hostile_header, is_refused_when_padding_is_followed_by_anything_but_data)
{
        EACH_PLACE(align, first)
        {
                for (size_t unit = 1; unit < 16; unit += 2) {
                        const uint64_t rest = padding((16 - unit) * align - 8);

                        refuses((uint32_t)align, first, unit, rest, 0);
                        refuses((uint32_t)align, first, unit, rest, padding(16 * align - 8));
                        refuses((uint32_t)align, first, unit, rest, rest);
                        refuses((uint32_t)align, first, unit, rest, 8);
                        refuses((uint32_t)align, first, unit, rest, 7);
                        refuses((uint32_t)align, first, unit, rest, 16);
                        refuses((uint32_t)align, first, unit, rest, data(8 * align - 7));
                }
                refuses((uint32_t)align, first, 0, padding(16 * align - 8), data(0));
        }
}

/* A consumer's idea of how far a record may reach is of the lap in which it
 * was formed. */
Test(hostile_header, is_refused_when_it_runs_over_the_end_of_the_next_ring)
{
        EACH_PLACE(align, first)
        {
                struct sluice_message m;
                struct test_rig r;
                uint64_t at;

                test_open(&r, 16, (uint32_t)align, first);
                test_go_to(&r, 8);
                at = sluice_consumer_position(&r.c);
                test_poke(test_word(&r, at), padding(8 * align - 8));
                test_poke(test_word(&r, at + 8 * align), data(0));
                test_poke(test_word(&r, at + 9 * align), data(8 * align - 8));
                test_poke(test_word(&r, at + 17 * align), data(8 * align - 8));
                for (int i = 0; i < 2; i++) {
                        test_eq(sluice_peek(&r.c, &m, SLUICE_NOW), 0);
                        test_eq(sluice_release(&r.c), 0);
                }
                consumer_is_poisoned(&r);
                test_rig_close(&r);
        }
}

Test(hostile_header, is_refused_when_its_kind_is_none_of_ours)
{
        EACH_PLACE(align, first)
        {
                refuses((uint32_t)align, first, 3, 16, 0);
                refuses((uint32_t)align, first, 3, UINT64_C(1) << 32, 0);
                refuses((uint32_t)align, first, 3, UINT64_C(0xfffffff8), 0);
                refuses((uint32_t)align, first, 3, UINT64_C(1) << 32 | 8, 0);
                refuses((uint32_t)align, first, 3, 7, 0);
                refuses((uint32_t)align, first, 3, 15, 0);
                refuses((uint32_t)align, first, 3, UINT64_C(1) << 32 | 7, 0);
        }
}

/* More messages than an honest producer could have put there: the header
 * behind the last of them is not there yet. */
TEST_EACH(hostile_header, is_refused_when_it_laps_the_consumer, 16)
{
        struct sluice_message m;

        for (uint64_t at = 0; at < r->geometry.capacity; at += r->geometry.record_align)
                test_poke(test_word(r, at), 1);
        for (int i = 0; i < 15; i++) {
                test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
                test_eq(sluice_advance(&r->c), 0);
        }
        consumer_is_poisoned(r);
}

/* The same with padding, when most of the ring is held already. */
TEST_EACH(hostile_header, is_refused_when_padding_laps_the_consumer, 16)
{
        const uint64_t align = r->geometry.record_align;
        struct sluice_message m;

        test_go_to(r, 2);
        for (uint64_t at = 0; at < r->geometry.capacity; at += align)
                test_poke(test_word(r, at), 1);
        test_poke(test_word(r, align), padding(15 * align - 8));
        for (int i = 0; i < 15; i++) {
                test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
                test_eq(sluice_advance(&r->c), 0);
        }
        consumer_is_poisoned(r);
}

/* A message once given does not change its place or length. */
TEST_EACH(hostile_header, changed_behind_peek_is_not_looked_at_again, 16)
{
        struct sluice_message a, b;
        const uint64_t at = sluice_consumer_position(&r->c);
        char buf[64];

        test_eq(test_send(r, 0, 5), 0);
        test_eq(sluice_peek(&r->c, &a, SLUICE_NOW), 0);
        test_poke(test_word(r, at), UINT64_MAX);
        test_eq(sluice_peek(&r->c, &b, SLUICE_NOW), 0);
        test_check(a.data == b.data && a.len == b.len);
        test_eq(a.kind, b.kind);
        test_eq(sluice_recv(&r->c, buf, 5, SLUICE_NOW), 5);
        test_eq(sluice_consumer_position(&r->c), at + test_record(r, 5));
        test_expect_empty(r);
}

/* ---- a hostile consumer ------------------------------------------- */

static void producer_is_poisoned(struct test_rig *r)
{
        const uint64_t published = sluice_producer_messages(&r->p);
        void *payload = NULL;
        char buf[8] = {0};
        struct iovec iov = {buf, 1};

        for (int i = 0; i < 3; i++) {
                test_eq(sluice_reserve(&r->p, test_longest(r), &payload, SLUICE_NOW), -EBADMSG);
                test_eq(sluice_reserve(&r->p, 0, &payload, SLUICE_FOREVER), -EBADMSG);
                test_eq(sluice_reserve(&r->p, SIZE_MAX, &payload, SLUICE_NOW), -EBADMSG);
                test_check(payload == NULL);
                test_eq(sluice_stage(&r->p, 0), -EBADMSG);
                test_eq(sluice_commit(&r->p, 0), -EBADMSG);
                test_eq(sluice_publish(&r->p), -EBADMSG);
                test_eq(sluice_send(&r->p, buf, 1, SLUICE_NOW), -EBADMSG);
                test_eq(sluice_sendv(&r->p, &iov, 1, SLUICE_NOW), -EBADMSG);
                test_poke(&test_consumer_half(r)->position, sluice_producer_position(&r->p));
        }
        test_eq(sluice_producer_messages(&r->p), published);
}

/* A full ring whose consumer has released some, with a record staged and
 * one reserved; then its position says something else. */
static void poisons(uint64_t align, uint64_t first, uint64_t offset_from_published)
{
        struct test_rig r;
        void *payload;
        uint64_t n = 0;

        test_eq(test_rig_open(&r, (size_t)(16 * align), (uint32_t)align, first), 0);
        for (uint64_t i = 0; i < 5; i++)
                test_pass(&r, 1);
        while (test_send(&r, n, 0) == 0)
                n++;
        test_eq(n, 15);
        test_expect(&r, 0, 0);
        test_expect(&r, 1, 0);
        test_eq(test_stage(&r, 15, 0), 0);
        test_eq(sluice_reserve(&r.p, 0, &payload, SLUICE_NOW), 0);
        test_at("align %llu, first %#llx, position %lld behind what is published",
                (unsigned long long)align, (unsigned long long)first,
                (long long)offset_from_published);
        test_poke(&test_consumer_half(&r)->position,
                  sluice_producer_position(&r.p) + offset_from_published);
        producer_is_poisoned(&r);
        test_rig_close(&r);
}

Test(hostile_position, is_refused_when_beyond_what_is_published)
{
        EACH_PLACE(align, first)
        {
                for (uint64_t over = align; over != 0; over *= 2)
                        poisons(align, first, over);
                poisons(align, first, 15 * align);
                poisons(align, first, 16 * align);
        }
}

Test(hostile_position, is_refused_when_it_goes_back)
{
        EACH_PLACE(align, first)
        {
                poisons(align, first, 0 - 15 * align);
                poisons(align, first, 0 - 16 * align);
                poisons(align, first, 0 - 17 * align);
                poisons(align, first, 0 - (UINT64_C(1) << 40));
        }
}

Test(hostile_position, is_refused_when_flagged)
{
        EACH_PLACE(align, first)
        {
                for (uint64_t flags = 2; flags < 8; flags++)
                        poisons(align, first, 0 - 3 * align + flags);
        }
}
