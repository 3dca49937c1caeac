/* SPDX-License-Identifier: MIT */
/* Tags in one call, messages that may be dropped, a part released, the latest
 * message, how full the ring is. */
#include "check.h"

static void pass_all(struct test_rig *r, struct sluice_message *m, uint64_t n)
{
        for (uint64_t i = 0; i < n; i++) {
                test_eq(sluice_peek(&r->c, &m[i], SLUICE_NOW), 0);
                test_eq(m[i].tag, i);
                test_eq(sluice_advance(&r->c), 0);
        }
}

static void is_counted(struct test_rig *r, uint64_t released, uint64_t position)
{
        struct sluice_consumer successor;

        test_eq(sluice_consumer_messages(&r->c), released);
        test_eq(sluice_consumer_position(&r->c), position);
        test_eq(sluice_consumer_attach(&successor, r->mem, r->bytes), 0);
        test_eq(sluice_consumer_messages(&successor), released);
        test_eq(sluice_consumer_position(&successor), position);
}

/* ---- Tags --------------------------------------------------------- */

TEST_EACH(send_tagged, travels_with_tag_and_length, 8)
{
        unsigned char bytes[256];
        struct iovec iov[3] = {{bytes, 3}, {NULL, 0}, {bytes + 3, 4}};

        for (uint64_t i = 0; i < 21; i++) {
                test_fill(bytes, 7, i);
                if (i % 2)
                        test_eq(sluice_send_tagged(&r->p, bytes, 7, (uint32_t)i, SLUICE_NOW), 0);
                else
                        test_eq(sluice_sendv_tagged(&r->p, iov, 3, (uint32_t)i, SLUICE_NOW), 0);
                test_expect(r, i, 7);
        }
        test_eq(sluice_send_tagged(&r->p, NULL, 0, 9, SLUICE_NOW), 0);
        test_expect(r, 9, 0);
}

TEST_EACH(send_tagged, returns_what_reserve_does, 4)
{
        unsigned char bytes[512] = {0};
        struct iovec iov[2] = {{bytes, test_longest(r)}, {bytes, 1}};
        struct sluice_producer none;

        test_eq(sluice_send_tagged(&r->p, bytes, test_longest(r) + 1, 0, SLUICE_NOW), -EMSGSIZE);
        test_eq(sluice_sendv_tagged(&r->p, iov, 2, 0, SLUICE_NOW), -EMSGSIZE);
        test_eq(sluice_sendv_tagged(&r->p, iov, -1, 0, SLUICE_NOW), -EINVAL);
        while (sluice_send_tagged(&r->p, NULL, 0, 0, SLUICE_NOW) == 0)
                ;
        test_eq(sluice_send_tagged(&r->p, bytes, 0, 0, SLUICE_NOW), -EAGAIN);
        test_eq(sluice_sendv_tagged(&r->p, iov, 0, 0, 1), -ETIMEDOUT);
        memset((void *)&none, 0, sizeof none);
        test_eq(sluice_send_tagged(&none, bytes, 0, 0, SLUICE_NOW), -EINVAL);
        test_eq(sluice_sendv_tagged(&none, iov, 0, 0, SLUICE_NOW), -EINVAL);
}

/* Several messages under way: what is staged is written later. */
TEST_EACH(stage, lets_the_payload_be_written_until_publish, 16)
{
        void *payload[3];

        for (unsigned i = 0; i < 3; i++) {
                test_eq(sluice_reserve(&r->p, 5, &payload[i], SLUICE_NOW), 0);
                sluice_set_tag(&r->p, i);
                test_eq(sluice_stage(&r->p, 5), 0);
        }
        for (unsigned i = 3; i-- > 0;)
                test_fill(payload[i], 5, i);
        test_eq(sluice_publish(&r->p), 0);
        for (unsigned i = 0; i < 3; i++)
                test_expect(r, i, 5);
}

/* ---- Drops -------------------------------------------------------- */

static uint64_t dropped(struct test_rig *r)
{
        return sluice_priv_load_relaxed(&test_producer_half(r)->counters.dropped);
}

TEST_EACH(offer, drops_the_newest_and_counts_it, 8)
{
        const unsigned char bytes[512] = {0};
        uint64_t sent = 0;

        while (sluice_offer(&r->p, NULL, 0, (uint32_t)sent) == 0)
                sent++;
        test_eq(sent, test_rig_units(r) - 1);
        test_eq(dropped(r), 1);
        test_eq(sluice_offer(&r->p, NULL, 0, 99), -EAGAIN);
        sluice_count_dropped(&r->p, 5);
        test_eq(dropped(r), 7);
        for (uint64_t i = 0; i < sent; i++)
                test_expect(r, i, 0);
        test_expect_empty(r);
        test_eq(sluice_offer(&r->p, NULL, 0, 100), 0);
        test_expect(r, 100, 0);
        test_eq(sluice_offer(&r->p, bytes, test_longest(r) + 1, 0), -EMSGSIZE);
        test_eq(dropped(r), 7);
        while (sluice_offer(&r->p, NULL, 0, 0) == 0)
                ;
        sluice_consumer_detach(&r->c);
        test_eq(sluice_offer(&r->p, NULL, 0, 0), -EPIPE);
        test_eq(dropped(r), 9);
        test_eq(sluice_producer_attach(&r->p, r->mem, r->bytes), 0); /* a successor counts on */
        test_eq(sluice_offer(&r->p, NULL, 0, 0), -EPIPE);
        test_eq(dropped(r), 10);
}

Test(offer, returns_einval_for_what_was_never_attached)
{
        struct sluice_producer none;

        memset((void *)&none, 0, sizeof none);
        test_eq(sluice_offer(&none, NULL, 0, 0), -EINVAL);
        sluice_count_dropped(&none, 1);
}

/* ---- A part released ---------------------------------------------- */

TEST_EACH(release_to, keeps_the_current_message, 16)
{
        struct sluice_message m[4], again;

        for (uint64_t i = 0; i < 5; i++)
                test_eq(test_send(r, i, (size_t)i), 0);
        pass_all(r, m, 3);
        test_eq(sluice_peek(&r->c, &m[3], SLUICE_NOW), 0);
        test_eq(sluice_release_to(&r->c, m[3].position), 0);
        is_counted(r, 3, m[3].position);
        test_eq(sluice_release_to(&r->c, m[3].position), 0);
        is_counted(r, 3, m[3].position);
        test_eq(sluice_peek(&r->c, &again, SLUICE_NOW), 0);
        test_check(again.data == m[3].data && again.position == m[3].position);
        test_check(test_matches(m[3].data, m[3].len, 3));
        test_expect(r, 3, 3);
        test_expect(r, 4, 4);
        test_expect_empty(r);
        test_eq(sluice_consumer_messages(&r->c), 5);
}

/* From every offset, up to every one of those that were passed, paddings
 * included; a successor finds the same. */
static void release_each(struct test_rig *r, size_t unit, unsigned upto)
{
        struct sluice_message m[4];
        uint64_t before;

        test_go_to(r, unit);
        before = sluice_consumer_messages(&r->c);
        for (unsigned i = 0; i < 4; i++)
                test_eq(test_send(r, i, i * r->geometry.record_align / 2), 0);
        pass_all(r, m, 4);
        test_eq(sluice_release_to(&r->c, m[upto].position), 0);
        test_eq(sluice_consumer_messages(&r->c), before + upto);
        test_eq(sluice_consumer_position(&r->c) == m[upto].position,
                upto != 0 || m[0].position == sluice_consumer_position(&r->c));
        for (unsigned i = upto; i < 4; i++)
                test_check(test_matches(m[i].data, m[i].len, i));
        test_expect_empty(r);
        test_eq(sluice_release(&r->c), 0);
        test_eq(sluice_consumer_messages(&r->c), before + 4);
        test_eq(sluice_consumer_position(&r->c), sluice_producer_position(&r->p));
}

TEST_EACH(release_to, releases_up_to_any_message_that_was_passed, 32)
{
        for (size_t unit = 0; unit < 32; unit++)
                for (unsigned upto = 0; upto < 4; upto++)
                        release_each(r, unit, upto);
}

/* Nothing lies before the first one, be it current or passed, also where padding
 * does. */
TEST_EACH(release_to, does_nothing_for_the_first_one, 32)
{
        const size_t len = test_longest(r);
        struct sluice_message m;

        for (size_t unit = 0; unit < 32; unit++) {
                uint64_t before;

                test_go_to(r, unit);
                before = sluice_consumer_messages(&r->c);
                test_eq(test_send(r, 7, len), 0);
                test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
                test_eq(sluice_release_to(&r->c, m.position), 0);
                test_eq(sluice_consumer_used(&r->c), sluice_producer_used(&r->p));
                test_eq(sluice_advance(&r->c), 0);
                test_eq(sluice_release_to(&r->c, m.position), 0);
                test_eq(sluice_consumer_messages(&r->c), before);
                test_eq(sluice_consumer_pending(&r->c), 1);
                test_check(test_matches(m.data, m.len, 7));
                test_eq(sluice_release(&r->c), 0);
                test_eq(sluice_consumer_messages(&r->c), before + 1);
        }
}

TEST_EACH(release_to, returns_einval_where_no_kept_message_begins, 16)
{
        struct sluice_message m[3];
        struct sluice_consumer none;
        const uint64_t begin = sluice_consumer_position(&r->c);

        test_eq(sluice_release_to(&r->c, begin), -EINVAL);
        for (uint64_t i = 0; i < 4; i++)
                test_eq(test_send(r, i, 0), 0);
        test_eq(sluice_release_to(&r->c, begin), -EINVAL);
        pass_all(r, m, 3);
        test_eq(sluice_release_to(&r->c, m[1].position + 1), -EINVAL);
        test_eq(sluice_release_to(&r->c, m[1].position - 1), -EINVAL);
        test_eq(sluice_release_to(&r->c, begin - 8), -EINVAL);
        test_eq(sluice_release_to(&r->c, m[2].position + 2 * test_record(r, 0)), -EINVAL);
        test_eq(sluice_consumer_messages(&r->c), 0);
        test_eq(sluice_release_to(&r->c, begin), 0); /* nothing lies before it */
        test_eq(sluice_consumer_messages(&r->c), 0);
        test_eq(sluice_release_to(&r->c, m[2].position + test_record(r, 0)), 0);
        test_eq(sluice_consumer_messages(&r->c), 3);
        memset((void *)&none, 0, sizeof none);
        test_eq(sluice_release_to(&none, 0), -EINVAL);
}

/* A producer that rewrites headers while they are kept: no more is released
 * than was passed, and nothing outside. */
TEST_EACH(release_to, believes_no_header_that_has_changed, 16)
{
        struct sluice_message m[3];
        const uint64_t words[] = {0, UINT64_MAX, 7, 5, UINT64_C(0xfffffff9), 6};

        for (unsigned w = 0; w < sizeof words / sizeof *words; w++) {
                const uint64_t before = sluice_consumer_messages(&r->c);

                for (uint64_t i = 0; i < 3; i++)
                        test_eq(test_send(r, i, 16), 0);
                pass_all(r, m, 3);
                test_poke(test_word(r, m[0].position), words[w]);
                if (sluice_release_to(&r->c, m[2].position) == 0)
                        test_check(sluice_consumer_messages(&r->c) - before <= 2);
                test_eq(sluice_release(&r->c), 0);
                test_eq(sluice_consumer_messages(&r->c), before + 3);
        }
}

/* Nor more messages than were passed, where one was cut into many. */
Test(release_to, releases_no_more_messages_than_were_passed)
{
        struct sluice_message m[3];
        struct test_rig r;

        test_open(&r, 16, 8, 0);
        for (uint64_t i = 0; i < 3; i++)
                test_eq(test_send(&r, i, 16), 0);
        pass_all(&r, m, 3);
        for (uint64_t at = 0; at < 24; at += 8)
                test_poke(test_word(&r, m[0].position + at), 1);
        test_eq(sluice_release_to(&r.c, m[2].position), -EINVAL);
        test_eq(sluice_consumer_messages(&r.c), 0);
        test_rig_close(&r);
}

/* ---- The latest --------------------------------------------------- */

TEST_EACH(peek_latest, passes_over_all_older_ones, 16)
{
        const unsigned most =
                (unsigned)(test_rig_units(r) / (test_record(r, 3) / r->geometry.record_align)) - 1;
        struct sluice_message m;

        for (unsigned n = 1; n <= most; n++) {
                for (unsigned i = 1; i <= n; i++)
                        test_eq(test_send(r, i, 3), 0);
                for (int again = 0; again < 2; again++) {
                        test_eq(sluice_peek_latest(&r->c, &m, SLUICE_NOW), 0);
                        test_eq(m.tag, n);
                        test_check(test_matches(m.data, m.len, n));
                        test_eq(sluice_consumer_position(&r->c), m.position);
                }
                test_eq(sluice_release(&r->c), 0);
                test_eq(sluice_consumer_messages(&r->c), sluice_producer_messages(&r->p));
                test_expect_empty(r);
        }
}

TEST_EACH(peek_latest, releases_kept_ones_and_reports_what_peek_does, 8)
{
        struct sluice_message m;
        struct sluice_consumer none;

        test_eq(sluice_peek_latest(&r->c, &m, SLUICE_NOW), -EAGAIN);
        test_eq(sluice_peek_latest(&r->c, &m, 1), -ETIMEDOUT);
        test_eq(test_send(r, 1, 0), 0);
        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
        test_eq(sluice_advance(&r->c), 0);
        test_eq(test_send(r, 2, 0), 0);
        test_eq(sluice_peek_latest(&r->c, &m, SLUICE_NOW), 0);
        test_eq(m.tag, 2);
        test_eq(sluice_consumer_messages(&r->c), 1);
        sluice_producer_detach(&r->p);
        test_eq(sluice_peek_latest(&r->c, &m, SLUICE_NOW), 0);
        test_eq(sluice_release(&r->c), 0);
        test_eq(sluice_peek_latest(&r->c, &m, SLUICE_NOW), -EPIPE);
        memset((void *)&none, 0, sizeof none);
        test_eq(sluice_peek_latest(&none, &m, SLUICE_NOW), -EINVAL);
}

TEST_EACH(peek_latest, reports_a_violation_behind_the_first, 8)
{
        struct sluice_message m;

        test_eq(test_send(r, 1, 0), 0);
        test_poke(test_word(r, sluice_producer_position(&r->p)), 7);
        test_eq(sluice_peek_latest(&r->c, &m, SLUICE_NOW), -EBADMSG);
        test_eq(sluice_peek_latest(&r->c, &m, SLUICE_NOW), -EBADMSG);
}

/* ---- How full ----------------------------------------------------- */

static void is_as_full(struct test_rig *r, uint64_t bytes, uint64_t messages)
{
        const uint64_t most = r->geometry.capacity - r->geometry.record_align;

        test_eq(sluice_producer_used(&r->p), bytes);
        test_eq(sluice_consumer_used(&r->c), bytes);
        test_eq(sluice_producer_pending(&r->p), messages);
        test_eq(sluice_consumer_pending(&r->c), messages);
        test_eq(sluice_producer_room(&r->p), most - bytes);
        test_eq(sluice_consumer_room(&r->c), most - bytes);
        test_eq(sluice_producer_is_empty(&r->p), bytes == 0);
        test_eq(sluice_consumer_is_empty(&r->c), bytes == 0);
}

TEST_EACH(used, counts_what_is_published_and_not_released, 8)
{
        const uint64_t each = test_record(r, 0);

        for (unsigned lap = 0; lap < 5; lap++) {
                uint64_t n = 0;

                is_as_full(r, 0, 0);
                while (test_send(r, n, 0) == 0) {
                        n++;
                        is_as_full(r, n * each, n);
                }
                test_eq(sluice_producer_room(&r->p), 0);
                for (uint64_t i = 0; n > 0; i++, n--) {
                        is_as_full(r, n * each, n);
                        test_expect(r, i, 0);
                }
        }
}

TEST_EACH(used, leaves_staged_and_passed_ones_where_they_are, 8)
{
        const uint64_t each = test_record(r, 0), most = test_rig_units(r) - 1;
        struct sluice_message m;

        test_eq(test_stage(r, 0, 0), 0);
        test_eq(sluice_producer_used(&r->p), 0);
        test_eq(sluice_producer_room(&r->p), most * r->geometry.record_align - each);
        test_eq(sluice_consumer_is_empty(&r->c), 1);
        test_eq(sluice_publish(&r->p), 0);
        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
        test_eq(sluice_consumer_is_empty(&r->c), 0);
        test_eq(sluice_advance(&r->c), 0);
        test_eq(sluice_consumer_is_empty(&r->c), 1);
        test_eq(sluice_consumer_used(&r->c), each);
        test_eq(sluice_consumer_pending(&r->c), 1);
        test_eq(test_send(r, 1, 0), 0);
        test_eq(sluice_consumer_pending(&r->c), 2);
        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
        test_eq(test_send(r, 2, 0), 0);
        test_eq(sluice_consumer_pending(&r->c), 3);
        test_eq(sluice_consumer_used(&r->c), 3 * each);
        test_eq(sluice_advance(&r->c), 0);
        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
        test_eq(sluice_advance(&r->c), 0);
        test_eq(sluice_producer_is_empty(&r->p), 0);
        sluice_producer_detach(&r->p);
        test_eq(sluice_consumer_is_empty(&r->c), 1);
}

/* Whatever the other half says, the answer lies within the ring. */
TEST_EACH(used, stays_within_the_ring_whatever_the_peer_says, 8)
{
        const uint64_t lies[] = {0, 1, UINT64_MAX, INT64_MAX, UINT64_C(1) << 63, 12345};
        const uint64_t most = r->geometry.capacity;

        test_eq(test_send(r, 0, 0), 0);
        for (unsigned i = 0; i < 6; i++) {
                for (int s = 0; s < 2; s++) {
                        test_poke(&test_producer_half(r)->progress.slot[s].position, lies[i]);
                        test_poke(&test_producer_half(r)->progress.slot[s].messages, lies[i]);
                        test_poke(&test_consumer_half(r)->progress.slot[s].position, lies[i]);
                        test_poke(&test_consumer_half(r)->progress.slot[s].messages, lies[i]);
                }
                test_check(sluice_producer_used(&r->p) <= most);
                test_check(sluice_consumer_used(&r->c) <= most);
                test_check(sluice_producer_room(&r->p) <= most);
                test_check(sluice_consumer_room(&r->c) <= most);
                test_check(sluice_producer_pending(&r->p) <= most / 8);
                test_check(sluice_consumer_pending(&r->c) <= most / 8);
        }
}

/* Also where there is a header at every word of the ring. */
TEST_EACH(used, ends_within_the_ring_where_no_header_ends_it, 8)
{
        const uint64_t most = r->geometry.capacity - r->geometry.record_align;
        const uint64_t words[] = {1, 5, 6, 7, UINT64_MAX};

        for (unsigned w = 0; w < sizeof words / sizeof *words; w++) {
                for (uint64_t at = 0; at < r->geometry.capacity; at += 8)
                        test_poke(test_word(r, at), words[w]);
                test_check(sluice_consumer_used(&r->c) <= most);
                test_check(sluice_consumer_pending(&r->c) <= most / 8);
        }
}

Test(used, is_nothing_where_nothing_was_attached)
{
        struct sluice_producer p;
        struct sluice_consumer c;

        memset((void *)&p, 0, sizeof p);
        memset((void *)&c, 0, sizeof c);
        test_eq(sluice_producer_used(&p) + sluice_producer_room(&p) + sluice_producer_pending(&p),
                0);
        test_eq(sluice_consumer_used(&c) + sluice_consumer_room(&c) + sluice_consumer_pending(&c),
                0);
        test_eq(sluice_producer_is_empty(&p), 1);
        test_eq(sluice_consumer_is_empty(&c), 1);
}
