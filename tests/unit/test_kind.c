/* SPDX-License-Identifier: MIT */
/* Pieces of long messages, and packed records. */
#include "check.h"

/* ---- Kinds -------------------------------------------------------- */

static void finish_as(struct test_rig *r, uint64_t number, enum sluice_kind kind, int publish)
{
        void *payload;

        test_eq(sluice_reserve(&r->p, 5, &payload, SLUICE_NOW), 0);
        test_fill(payload, 5, number);
        sluice_set_tag(&r->p, (uint32_t)number);
        test_eq(sluice_set_kind(&r->p, SLUICE_LAST), 0);
        test_eq(sluice_set_kind(&r->p, kind), 0);
        test_eq(publish ? sluice_commit(&r->p, 5) : sluice_stage(&r->p, 5), 0);
}

static void arrives_as(struct test_rig *r, uint64_t number, enum sluice_kind kind)
{
        struct sluice_message m;

        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
        test_eq(m.kind, kind);
        test_eq(test_peek_word(r, m.position), number << 32 | 5 << 3 | (uint64_t)(kind + 1));
        test_expect(r, number, 5);
}

/* At every place of the ring, alone and in a batch. */
TEST_EACH(set_kind, travels_with_the_message, 8)
{
        for (unsigned i = 0; i < 43; i++) {
                const enum sluice_kind kind = (enum sluice_kind)(i % 4);

                finish_as(r, i, kind, 1);
                arrives_as(r, i, kind);
                finish_as(r, i, kind, 0);
                finish_as(r, i + 1, SLUICE_MIDDLE, 1);
                arrives_as(r, i, kind);
                arrives_as(r, i + 1, SLUICE_MIDDLE);
        }
}

TEST_EACH(set_kind, is_forgotten_by_the_next_reserve, 8)
{
        void *payload;

        test_eq(sluice_reserve(&r->p, 5, &payload, SLUICE_NOW), 0);
        test_eq(sluice_set_kind(&r->p, SLUICE_MIDDLE), 0);
        test_eq(test_send(r, 1, 5), 0);
        arrives_as(r, 1, SLUICE_WHOLE);
        finish_as(r, 2, SLUICE_FIRST, 1);
        arrives_as(r, 2, SLUICE_FIRST);
        test_eq(test_send(r, 3, 5), 0);
        arrives_as(r, 3, SLUICE_WHOLE);
}

TEST_EACH(set_kind, returns_einval_for_what_is_none_and_without_reserve, 8)
{
        struct sluice_producer none;
        void *payload;

        test_eq(sluice_set_kind(&r->p, SLUICE_FIRST), -EINVAL);
        test_eq(sluice_commit(&r->p, 0), -EINVAL);
        test_eq(sluice_reserve(&r->p, 5, &payload, SLUICE_NOW), 0);
        test_eq(sluice_set_kind(&r->p, (enum sluice_kind)4), -EINVAL);
        sluice_abort(&r->p);
        test_eq(sluice_set_kind(&r->p, SLUICE_FIRST), -EINVAL);
        memset((void *)&none, 0, sizeof none);
        test_eq(sluice_set_kind(&none, SLUICE_FIRST), -EINVAL);
        test_poke(&test_consumer_half(r)->position, 2);
        while (test_send(r, 0, 0) == 0)
                ;
        test_eq(sluice_set_kind(&r->p, SLUICE_FIRST), -EBADMSG);
}

static int note_kind(void *ctx, const struct sluice_message *m)
{
        unsigned *const seen = ctx;

        test_eq(m->kind, *seen % 4);
        ++*seen;
        return 0;
}

TEST_EACH(drain, hands_over_each_piece_as_a_message, 16)
{
        unsigned seen = 0;

        for (unsigned i = 0; i < 4; i++)
                finish_as(r, i, (enum sluice_kind)i, 1);
        test_eq(sluice_drain(&r->c, note_kind, &seen, 9), 4);
        test_eq(seen, 4);
        test_eq(sluice_consumer_messages(&r->c), 4);
}

/* A successor counts pieces as its predecessor did. */
TEST_EACH(successor, counts_pieces, 16)
{
        const uint64_t slots = sizeof test_producer_half(r)->progress.slot;
        unsigned char before[32];

        test_eq(slots, sizeof before);
        memcpy(before, r->mem + 8192 + 128, sizeof before);
        for (unsigned i = 0; i < 4; i++)
                finish_as(r, i, (enum sluice_kind)i, 1);
        memcpy(r->mem + 8192 + 128, before, sizeof before); /* none was told */
        test_eq(sluice_producer_attach(&r->p, r->mem, r->bytes), 0);
        test_eq(sluice_producer_messages(&r->p), 4);
        for (unsigned i = 0; i < 4; i++)
                arrives_as(r, i, (enum sluice_kind)i);
}

/* ---- Packed records ----------------------------------------------- */

static const size_t lens[] = {3, 0, 8, 17, 1, 5};
enum { BATCH = sizeof lens / sizeof *lens };

TEST_EACH(packed, are_read_one_by_one, 32)
{
        for (unsigned round = 0; round < 8; round++) {
                if (sluice_producer_position(&r->p) % r->geometry.capacity >
                    r->geometry.capacity / 2)
                        test_go_to(r, 0);
                test_send_packed(r, 10, lens, BATCH);
                for (unsigned i = 0; i < BATCH; i++)
                        test_expect(r, 10 + i, lens[i]);
                test_expect_empty(r);
                test_eq(sluice_consumer_position(&r->c), sluice_producer_position(&r->p));
                test_eq(sluice_consumer_messages(&r->c), sluice_producer_messages(&r->p));
                test_pass(r, 1);
        }
}

TEST_EACH(packed, are_whole_messages_of_a_kind, 32)
{
        struct sluice_message m;

        test_go_to(r, 0);
        test_send_packed(r, 10, lens, BATCH);
        for (unsigned i = 0; i < BATCH; i++) {
                test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
                test_eq(m.kind, SLUICE_WHOLE);
                test_eq(m.position % 8, 0);
                test_eq(sluice_advance(&r->c), 0);
        }
        test_eq(sluice_release(&r->c), 0);
        test_eq(sluice_consumer_messages(&r->c), sluice_producer_messages(&r->p));
}

/* Wherever in the batch its predecessor has stopped. */
TEST_EACH(packed, are_read_by_a_successor, 32)
{
        test_go_to(r, 0);
        const uint64_t before = sluice_consumer_messages(&r->c);

        test_send_packed(r, 10, lens, BATCH);
        for (unsigned i = 0; i < BATCH; i++) {
                test_eq(sluice_consumer_attach(&r->c, r->mem, r->bytes), 0);
                test_eq(sluice_consumer_messages(&r->c), before + i);
                test_expect(r, 10 + i, lens[i]);
                test_eq(sluice_producer_attach(&r->p, r->mem, r->bytes), 0);
                test_eq(sluice_producer_messages(&r->p), before + BATCH);
        }
}

/* The producer goes on while the consumer stands in the midst of a batch. */
TEST_EACH(packed, give_back_their_room, 32)
{
        uint64_t sent = 0;

        test_go_to(r, 8);
        test_send_packed(r, 10, lens, BATCH);
        test_expect(r, 10, lens[0]);
        while (test_send(r, sent, 5) == 0)
                sent++;
        test_check(sent > 7);
        test_check(sluice_producer_position(&r->p) - sluice_consumer_position(&r->c) <=
                   r->geometry.capacity - r->geometry.record_align);
        for (unsigned i = 1; i < BATCH; i++)
                test_expect(r, 10 + i, lens[i]);
        for (uint64_t i = 0; i < sent; i++)
                test_expect(r, i, 5);
        test_expect_empty(r);
}

/* Padding behind a packed record, and a packed one behind padding. */
TEST_EACH(packed, go_over_the_end_of_the_ring, 32)
{
        const uint64_t align = r->geometry.record_align, capacity = r->geometry.capacity;
        uint64_t at;

        test_go_to(r, 31);
        at = sluice_producer_position(&r->p);
        test_poke(test_word(r, at + align), (uint64_t)1 << 32 | 6);
        test_poke(test_word(r, at + align + 8), (uint64_t)2 << 32 | 1);
        test_poke(test_word(r, at + 2 * align + (align == 8 ? 8 : 0)), 0);
        if (align == 8) {
                test_poke(test_word(r, at), 6);
        } else {
                test_poke(test_word(r, at + 8), (align - 16) << 3 | 5);
                test_poke(test_word(r, at), 6);
        }
        test_expect(r, 0, 0);
        test_expect(r, 1, 0);
        test_expect(r, 2, 0);
        test_expect_empty(r);
        test_eq(sluice_producer_attach(&r->p, r->mem, r->bytes), 0);
        test_eq(sluice_producer_position(&r->p), sluice_consumer_position(&r->c));
        test_eq((at + align) % capacity, 0);
        test_eq(sluice_producer_messages(&r->p), sluice_consumer_messages(&r->c));
        test_pass(r, 1);
}

static void refused(uint32_t align, uint64_t first, size_t unit, uint64_t word, uint64_t behind)
{
        const size_t len = word >> 3 & 0xff;
        struct sluice_message m;
        struct test_rig r;

        test_open(&r, 16, align, first);
        test_go_to(&r, unit);
        test_at("align %u, first %#llx, unit %zu, word %#llx, then %#llx", align,
                (unsigned long long)first, unit, (unsigned long long)word,
                (unsigned long long)behind);
        test_poke(test_word(&r, sluice_consumer_position(&r.c) + (len + 15) / 8 * 8), behind);
        test_poke(test_word(&r, sluice_consumer_position(&r.c)), word);
        test_eq(sluice_peek(&r.c, &m, SLUICE_NOW), -EBADMSG);
        if ((len + 15) / 8 * 8 % align != 0) /* else a batch may end there */
                test_eq(sluice_producer_attach(&r.p, r.mem, r.bytes), -EBADMSG);
        test_rig_close(&r);
}

/* What no producer may write: packed, and nothing or the end behind it; too
 * long; over the end of the ring. */
Test(packed, are_refused_when_last_or_too_long)
{
        for (int a = 1; a < TEST_ALIGNS; a++) {
                for (int f = 0; f < TEST_FIRSTS; f++) {
                        const uint32_t align = test_align[a];
                        const uint64_t first = test_first(f, align);

                        for (uint64_t len = 0; len < 12; len += 4) {
                                refused(align, first, 3, len << 3 | 6, 0);
                                refused(align, first, 3, len << 3 | 6, 8);
                        }
                        refused(align, first, 15, (align - 7) << 3 | 6, 0);
                }
        }
}

/* A record behind a packed one reaches as far as another: to the end of the
 * ring and no further. */
static void passes_the_end(struct test_rig *r, uint64_t kind)
{
        const uint64_t align = r->geometry.record_align;
        struct sluice_message m;

        test_go_to(r, 14);
        const uint64_t at = sluice_consumer_position(&r->c);

        test_poke(test_word(r, at + 2 * align + 8), 1); /* behind it, if that is packed */
        test_poke(test_word(r, at + 8), (2 * align - 15) << 3 | kind);
        test_poke(test_word(r, at), 6);
        test_expect(r, 0, 0);
        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), -EBADMSG);
}

/* The longest message behind a packed one ends up to an alignment further than half
 * a ring: what a hostile producer writes behind that is checked as ever. */
Test(packed, let_nothing_hostile_pass_the_end_of_the_ring)
{
        for (int a = 0; a < TEST_ALIGNS; a++) {
                const uint64_t align = test_align[a], longest = 8 * align - 8;
                const uint64_t whole = longest << 3 | 1;
                const uint64_t at = (8 + 8 * align + align - 1) / align * align;
                struct sluice_message m;
                struct test_rig r;

                test_open(&r, 16, test_align[a], 0);
                test_poke(test_word(&r, at), whole);
                test_poke(test_word(&r, 8), whole);
                test_poke(test_word(&r, 0), 6);
                for (int i = 0; i < 2; i++) {
                        test_eq(sluice_peek(&r.c, &m, SLUICE_NOW), 0);
                        test_eq(sluice_release(&r.c), 0);
                }
                test_eq(sluice_consumer_position(&r.c), at);
                test_eq(sluice_peek(&r.c, &m, SLUICE_NOW), -EBADMSG);
                test_rig_close(&r);
        }
}

TEST_EACH(packed, let_nothing_behind_them_pass_the_end_of_the_ring, 16)
{
        passes_the_end(r, 1);
}

TEST_EACH(packed, let_no_packed_one_pass_the_end_of_the_ring, 16)
{
        passes_the_end(r, 6);
}
