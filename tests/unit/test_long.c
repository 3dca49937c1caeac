/* SPDX-License-Identifier: MIT */
/* Messages longer than the ring, in pieces. */
#include <stdlib.h>

#include "check.h"

static uint64_t torn(const struct test_rig *r)
{
        return sluice_priv_load_relaxed(&test_consumer_half(r)->counters.torn);
}

static void put(struct test_rig *r, uint64_t number, size_t len, enum sluice_kind kind)
{
        void *payload;

        test_eq(sluice_reserve(&r->p, len, &payload, SLUICE_NOW), 0);
        test_fill(payload, len, number);
        sluice_set_tag(&r->p, (uint32_t)number);
        test_eq(sluice_set_kind(&r->p, kind), 0);
        test_eq(sluice_commit(&r->p, len), 0);
}

/* A receiver with a buffer of so many bytes. */
static struct sluice_long room_for(size_t cap)
{
        struct sluice_long l;

        memset(&l, 0, sizeof l);
        l.buf = malloc(cap + 1);
        l.cap = cap;
        test_check(l.buf);
        return l;
}

static void received(struct test_rig *r, struct sluice_long *l, uint64_t number, size_t len)
{
        test_eq(sluice_recv_long(&r->c, l, SLUICE_NOW), len);
        test_eq(l->len, len);
        test_eq(l->tag, (uint32_t)number);
        test_check(test_matches(l->buf, len, number));
        test_eq(l->open, 0);
}

/* As much as there is room for, and as much as there is, in turn. */
static void pass_long(struct test_rig *r, struct sluice_long *l, uint64_t number, size_t len)
{
        unsigned char *const bytes = malloc(len + 1);
        size_t sent = 0;
        ssize_t n;
        int s;

        test_check(bytes);
        test_fill(bytes, len, number);
        do {
                s = sluice_send_long(&r->p, bytes, len, (uint32_t)number, &sent, SLUICE_NOW);
                test_check(s == 0 || s == -EAGAIN);
                test_check(sent <= len && (s != 0 || sent == len));
                n = sluice_recv_long(&r->c, l, SLUICE_NOW);
                test_check(n == -EAGAIN || n == (ssize_t)len);
        } while (n < 0 || s < 0);
        test_eq(l->len, len);
        test_eq(l->tag, (uint32_t)number);
        test_check(test_matches(l->buf, len, number));
        free(bytes);
}

/* ---- Whole -------------------------------------------------------- */

/* Lengths around the longest, and around every number of pieces. */
static void pass_all_lengths(struct test_rig *r)
{
        const size_t longest = test_longest(r), most = 5 * r->geometry.capacity;
        struct sluice_long l = room_for(most + 2);
        uint64_t number = 0;

        for (size_t len = 0; len <= most; len += len < 2 * longest + 4 ? 1 : longest / 4 + 1)
                pass_long(r, &l, number++, len);
        test_eq(torn(r), 0);
        test_expect_empty(r);
        free(l.buf);
}

TEST_EACH(long, passes_every_length_through_4_units, 4)
{
        pass_all_lengths(r);
}

TEST_EACH(long, passes_every_length_through_16_units, 16)
{
        pass_all_lengths(r);
}

TEST_EACH(send_long, sends_what_fits_whole, 16)
{
        unsigned char bytes[1024];
        struct sluice_message m;
        size_t sent = 0;

        for (uint64_t i = 0; i < 2; i++) {
                const size_t len = i ? test_longest(r) : 3;

                test_fill(bytes, len, i);
                sent = 0;
                test_eq(sluice_send_long(&r->p, bytes, len, (uint32_t)i, i ? NULL : &sent,
                                         SLUICE_NOW),
                        0);
                test_eq(sent, i ? 0 : 3);
                test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
                test_eq(m.kind, SLUICE_WHOLE);
                test_expect(r, i, len);
        }
}

TEST_EACH(send_long, goes_on_where_it_stopped, 8)
{
        const size_t len = 3 * r->geometry.capacity;
        struct sluice_long l = room_for(len);
        unsigned char *const bytes = malloc(len);
        size_t sent = 0;

        test_check(bytes);
        test_fill(bytes, len, 7);
        test_eq(sluice_send_long(&r->p, bytes, len, 7, &sent, SLUICE_NOW), -EAGAIN);
        test_check(sent > 0 && sent < len);
        const size_t before = sent;

        test_eq(sluice_send_long(&r->p, bytes, len, 7, &sent, sluice_after(1000)), -ETIMEDOUT);
        test_eq(sent, before);
        test_eq(sluice_recv_long(&r->c, &l, SLUICE_NOW), -EAGAIN);
        test_eq(l.len, before);
        test_eq(l.open, 1);
        test_eq(sluice_recv_long(&r->c, &l, sluice_after(1000)), -ETIMEDOUT);
        test_eq(l.len, before);
        for (unsigned turns = 0; sent < len; turns++) {
                const int s = sluice_send_long(&r->p, bytes, len, 7, &sent, SLUICE_NOW);
                const ssize_t n = sluice_recv_long(&r->c, &l, SLUICE_NOW);

                test_eq(s, sent < len ? -EAGAIN : 0);
                test_eq(n, sent < len ? -EAGAIN : (ssize_t)len);
                test_check(turns < 1000);
        }
        test_check(test_matches(l.buf, len, 7));
        test_eq(sluice_send_long(&r->p, bytes, len, 7, &sent, SLUICE_NOW), 0); /* all is sent */
        test_expect_empty(r);
        sent = 4;
        test_eq(sluice_send_long(&r->p, bytes, 3, 7, &sent, SLUICE_NOW), -EINVAL);
        free(bytes);
        free(l.buf);
}

TEST_EACH(send_long, reports_the_end_of_the_receiver, 8)
{
        const size_t len = 3 * r->geometry.capacity;
        unsigned char *const bytes = calloc(1, len);
        size_t sent = 0;

        test_check(bytes);
        sluice_consumer_detach(&r->c);
        test_eq(sluice_send_long(&r->p, bytes, len, 7, &sent, SLUICE_FOREVER), -EPIPE);
        test_poke(&test_consumer_half(r)->position, 2);
        test_eq(sluice_send_long(&r->p, bytes, len, 7, &sent, SLUICE_FOREVER), -EBADMSG);
        free(bytes);
}

Test(send_long, returns_einval_for_what_was_never_attached)
{
        struct sluice_long l = room_for(8);
        struct sluice_producer p;
        struct sluice_consumer c;
        struct sluice_message m;
        size_t sent = 1;

        memset((void *)&p, 0, sizeof p);
        memset((void *)&c, 0, sizeof c);
        test_eq(sluice_send_long(&p, "abc", 3, 0, NULL, SLUICE_NOW), -EINVAL);
        test_eq(sluice_send_long(&p, "abc", 3, 0, &sent, SLUICE_NOW), -EINVAL);
        test_eq(sluice_send_long(&p, "", 0, 0, NULL, SLUICE_NOW), -EINVAL);
        test_eq(sluice_recv_long(&c, &l, SLUICE_NOW), -EINVAL);
        test_eq(sluice_peek_piece(&c, &l, &m, SLUICE_NOW), -EINVAL);
        test_eq(sluice_skip_long(&c, &l), 0);
        free(l.buf);
}

/* ---- Torn --------------------------------------------------------- */

/* What comes behind a beginning without an end is received, and that counts. */
TEST_EACH(torn, is_dropped_when_another_message_begins, 16)
{
        struct sluice_long l = room_for(64);

        put(r, 1, 5, SLUICE_FIRST);
        put(r, 1, 5, SLUICE_MIDDLE);
        put(r, 2, 7, SLUICE_WHOLE);
        received(r, &l, 2, 7);
        test_eq(torn(r), 1);
        put(r, 3, 5, SLUICE_FIRST);
        test_eq(sluice_recv_long(&r->c, &l, SLUICE_NOW), -EAGAIN);
        test_eq(l.len, 5);
        put(r, 4, 5, SLUICE_FIRST);
        put(r, 4, 0, SLUICE_LAST);
        received(r, &l, 4, 5);
        test_eq(torn(r), 2);
        test_eq(l.position,
                sluice_consumer_position(&r->c) - test_record(r, 5) - test_record(r, 0));
        free(l.buf);
}

/* A receiver that comes in the middle. */
TEST_EACH(torn, is_counted_once_by_a_successor, 16)
{
        struct sluice_long l = room_for(64);

        put(r, 1, 5, SLUICE_FIRST);
        test_eq(sluice_recv_long(&r->c, &l, SLUICE_NOW), -EAGAIN);
        test_eq(sluice_consumer_attach(&r->c, r->mem, r->bytes), 0);
        free(l.buf);
        l = room_for(64);
        for (int i = 0; i < 5; i++) {
                put(r, 1, 5, SLUICE_MIDDLE);
                if (i % 2)
                        test_eq(sluice_recv_long(&r->c, &l, SLUICE_NOW), -EAGAIN);
        }
        put(r, 1, 3, SLUICE_LAST);
        put(r, 2, 3, SLUICE_WHOLE);
        received(r, &l, 2, 3);
        test_eq(torn(r), 1);
        put(r, 3, 5, SLUICE_LAST); /* of another one: nothing was seen of it before */
        test_eq(sluice_recv_long(&r->c, &l, SLUICE_NOW), -EAGAIN);
        test_eq(torn(r), 2);
        put(r, 4, 5, SLUICE_MIDDLE);
        put(r, 5, 5, SLUICE_FIRST);
        put(r, 5, 0, SLUICE_LAST);
        received(r, &l, 5, 5);
        test_eq(torn(r), 3);
        free(l.buf);
}

/* Not released, so it is there for the successor. */
TEST_EACH(torn, is_nothing_of_which_no_piece_was_released, 16)
{
        struct sluice_long l = room_for(4), other = room_for(64);

        put(r, 1, 5, SLUICE_FIRST);
        put(r, 1, 0, SLUICE_LAST);
        test_eq(sluice_recv_long(&r->c, &l, SLUICE_NOW), -EMSGSIZE);
        test_eq(sluice_consumer_attach(&r->c, r->mem, r->bytes), 0);
        received(r, &other, 1, 5);
        test_eq(torn(r), 0);
        free(l.buf);
        free(other.buf);
}

TEST_EACH(torn, is_what_a_sender_leaves_that_closes_half_way, 16)
{
        struct sluice_long l = room_for(64);

        put(r, 1, 5, SLUICE_FIRST);
        sluice_producer_detach(&r->p);
        test_eq(sluice_recv_long(&r->c, &l, SLUICE_NOW), -EPIPE);
        test_eq(torn(r), 1);
        test_eq(l.open, 0);
        test_eq(sluice_recv_long(&r->c, &l, SLUICE_NOW), -EPIPE);
        test_eq(torn(r), 1);
        test_eq(sluice_producer_attach(&r->p, r->mem, r->bytes), 0);
        put(r, 2, 5, SLUICE_WHOLE);
        received(r, &l, 2, 5);
        test_eq(torn(r), 1);
        free(l.buf);
}

/* Killed and succeeded before the receiver looked. */
TEST_EACH(torn, is_what_a_sender_leaves_that_a_successor_follows, 16)
{
        const size_t len = 3 * r->geometry.capacity;
        struct sluice_long l = room_for(len);
        unsigned char *const bytes = malloc(len);

        test_check(bytes);
        test_fill(bytes, len, 1);
        test_eq(sluice_send_long(&r->p, bytes, len, 1, NULL, SLUICE_NOW), -EAGAIN);
        test_eq(sluice_producer_attach(&r->p, r->mem, r->bytes), 0);
        test_eq(sluice_recv_long(&r->c, &l, SLUICE_NOW), -EAGAIN);
        pass_long(r, &l, 2, len);
        test_eq(torn(r), 1);
        free(bytes);
        free(l.buf);
}

/* ---- Buffers that are too small ----------------------------------- */

TEST_EACH(recv_long, returns_emsgsize_and_goes_on_with_a_larger_buffer, 16)
{
        struct sluice_long l = room_for(7);

        put(r, 1, 5, SLUICE_FIRST);
        put(r, 1, 5, SLUICE_MIDDLE);
        put(r, 1, 0, SLUICE_LAST);
        for (int i = 0; i < 2; i++) {
                test_eq(sluice_recv_long(&r->c, &l, SLUICE_NOW), -EMSGSIZE);
                test_eq(l.len, 5);
                test_eq(sluice_consumer_messages(&r->c), 1);
        }
        l.buf = realloc(l.buf, 10);
        test_check(l.buf);
        l.cap = 10;
        test_eq(sluice_recv_long(&r->c, &l, SLUICE_NOW), 10);
        test_check(test_matches(l.buf, 5, 1));
        test_check(test_matches((unsigned char *)l.buf + 5, 5, 1));
        test_eq(torn(r), 0);
        free(l.buf);
}

/* At each piece that does not fit, and with one that does. */
static void skip_at(struct test_rig *r, size_t cap, uint64_t released)
{
        const uint64_t before = torn(r), messages = sluice_consumer_messages(&r->c);
        struct sluice_long l = room_for(cap);

        put(r, 1, 5, SLUICE_FIRST);
        put(r, 1, 5, SLUICE_MIDDLE);
        put(r, 1, 5, SLUICE_LAST);
        test_eq(sluice_recv_long(&r->c, &l, SLUICE_NOW), -EMSGSIZE);
        test_eq(sluice_consumer_messages(&r->c) - messages, released);
        test_eq(sluice_skip_long(&r->c, &l), 0);
        test_eq(sluice_consumer_messages(&r->c) - messages, released + 1);
        test_eq(sluice_skip_long(&r->c, &l), 0);
        put(r, 2, 1, SLUICE_WHOLE);
        l.cap = 1;
        received(r, &l, 2, 1);
        test_eq(torn(r), before + 1);
        free(l.buf);
}

TEST_EACH(skip_long, passes_over_the_rest_and_counts_it, 16)
{
        for (int lap = 0; lap < 4; lap++) {
                skip_at(r, 1, 0);
                skip_at(r, 5, 1);
                skip_at(r, 10, 2);
        }
}

TEST_EACH(skip_long, gives_up_what_is_open_and_whole_ones_without_a_count, 16)
{
        struct sluice_long l = room_for(5);

        put(r, 1, 5, SLUICE_FIRST);
        test_eq(sluice_recv_long(&r->c, &l, SLUICE_NOW), -EAGAIN);
        test_eq(sluice_skip_long(&r->c, &l), 0);
        test_eq(l.len, 0);
        test_eq(torn(r), 1);
        put(r, 1, 5, SLUICE_LAST);
        put(r, 2, 7, SLUICE_WHOLE);
        test_eq(sluice_recv_long(&r->c, &l, SLUICE_NOW), -EMSGSIZE);
        test_eq(sluice_skip_long(&r->c, &l), 0);
        test_expect_empty(r);
        test_eq(torn(r), 1);
        free(l.buf);
}

/* ---- In place ----------------------------------------------------- */

TEST_EACH(peek_piece, gives_the_same_piece_until_release, 16)
{
        struct sluice_long l = room_for(0);
        struct sluice_message m;

        for (unsigned i = 0; i < 12; i++) {
                const enum sluice_kind kind = (enum sluice_kind)(i % 4);

                put(r, i, 5, kind);
                for (int again = 0; again < 3; again++) {
                        test_eq(sluice_peek_piece(&r->c, &l, &m, SLUICE_NOW), 0);
                        test_eq(m.kind, kind);
                        test_eq(m.tag, i);
                        test_eq(l.open, kind == SLUICE_FIRST || kind == SLUICE_MIDDLE);
                }
                test_eq(sluice_release(&r->c), 0);
                test_eq(sluice_peek_piece(&r->c, &l, &m, SLUICE_NOW), -EAGAIN);
        }
        test_eq(torn(r), 0);
        put(r, 20, 5, SLUICE_MIDDLE);
        test_eq(sluice_peek_piece(&r->c, &l, &m, SLUICE_NOW), -EAGAIN);
        test_eq(torn(r), 1);
        free(l.buf);
}

/* ---- A producer that never ends ----------------------------------- */

/* A ring in which an empty piece follows another for ever. */
static void endless(int open)
{
        struct sluice_long l = room_for(8);
        struct test_rig r;

        test_open(&r, 64, 8, 0);
        for (uint64_t at = 8; at < 64 * 8; at += 8)
                test_poke(test_word(&r, at), 3);
        test_poke(test_word(&r, 0), open ? 2 : 3);
        test_eq(sluice_recv_long(&r.c, &l, SLUICE_NOW), -EAGAIN);
        test_check(sluice_consumer_messages(&r.c) >= 60);
        test_check(sluice_consumer_messages(&r.c) < 3 * 64);
        test_poke(test_word(&r, 0), 3);
        test_eq(sluice_recv_long(&r.c, &l, sluice_after(1000)), -ETIMEDOUT);
        test_eq(torn(&r), !open);
        test_eq(l.len, 0);
        free(l.buf);
        test_rig_close(&r);
}

/* Whatever comes, a call ends: after a lap, or at its deadline. */
Test(recv_long, ends_at_its_deadline_whatever_comes, .timeout = 10)
{
        endless(1);
        endless(0);
}
