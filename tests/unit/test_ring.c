/* SPDX-License-Identifier: MIT */
/* Messages one at a time: what is sent is received, and every error. */
#include "check.h"

/* Not constants for the compiler, which warns about them. */
static volatile size_t huge = SIZE_MAX;
static void *volatile nowhere;

TEST_EACH(send, delivers_one_message, 4)
{
        const char text[] = "through";
        char got[sizeof text];

        test_eq(sluice_send(&r->p, text, sizeof text, SLUICE_NOW), 0);
        test_eq(sluice_recv(&r->c, got, sizeof got, SLUICE_NOW), sizeof text);
        test_eq(memcmp(got, text, sizeof text), 0);
        test_eq(sluice_recv(&r->c, got, sizeof got, SLUICE_NOW), -EAGAIN);
}

TEST_EACH(send, delivers_an_empty_message, 4)
{
        test_eq(sluice_send(&r->p, NULL, 0, SLUICE_NOW), 0);
        test_eq(sluice_recv(&r->c, nowhere, 0, SLUICE_NOW), 0);
        test_eq(sluice_consumer_messages(&r->c), 1);
        test_expect_empty(r);
}

TEST_EACH(send, keeps_order_over_many_laps, 16)
{
        uint64_t sent = 0, got = 0, seed = 1;

        while (got < 2000) {
                const size_t len = (size_t)(sent * 7 % (test_longest(r) + 1));

                if (test_random(&seed) % 2) {
                        const int e = test_send(r, sent, len);

                        test_check(e == 0 || e == -EAGAIN);
                        sent += e == 0;
                }
                if (test_random(&seed) % 2 && got < sent) {
                        test_expect(r, got, (size_t)(got * 7 % (test_longest(r) + 1)));
                        got++;
                }
        }
        test_eq(sluice_producer_messages(&r->p), sent);
        test_eq(sluice_consumer_messages(&r->c), got);
}

TEST_EACH(send, returns_emsgsize_for_ever_when_too_long, 8)
{
        static const char big[4096];

        test_eq(sluice_producer_max_len(&r->p), test_longest(r));
        test_eq(sluice_consumer_max_len(&r->c), test_longest(r));
        test_eq(sluice_send(&r->p, big, test_longest(r) + 1, SLUICE_NOW), -EMSGSIZE);
        test_eq(sluice_send(&r->p, big, test_longest(r) + 1, SLUICE_FOREVER), -EMSGSIZE);
        test_eq(sluice_send(&r->p, big, huge, SLUICE_NOW), -EMSGSIZE);
        test_eq(sluice_send(&r->p, big, huge - 8, SLUICE_NOW), -EMSGSIZE);
        test_expect_empty(r);
        test_eq(sluice_send(&r->p, big, test_longest(r), SLUICE_NOW), 0);
}

TEST_EACH(reserve, returns_eagain_when_full, 4)
{
        void *payload;

        for (uint64_t i = 0; i < 3; i++)
                test_eq(test_send(r, i, 0), 0);
        for (int i = 0; i < 3; i++)
                test_eq(sluice_reserve(&r->p, 0, &payload, SLUICE_NOW), -EAGAIN);
        test_expect(r, 0, 0);
        test_eq(sluice_reserve(&r->p, 0, &payload, SLUICE_NOW), 0);
        test_eq(sluice_commit(&r->p, 0), 0);
        test_eq(sluice_reserve(&r->p, 0, &payload, SLUICE_NOW), -EAGAIN);
}

TEST_EACH(reserve, gives_room_in_place_aligned_to_eight, 8)
{
        unsigned char *payload;
        void *room;

        for (unsigned i = 0; i < 30; i++) {
                const size_t len = i % (test_longest(r) + 1);

                test_eq(sluice_reserve(&r->p, len, &room, SLUICE_NOW), 0);
                payload = room;
                test_eq((uintptr_t)payload % 8, 0);
                test_check(payload >= r->mem + 12288 + 8);
                test_check(payload + len <= r->mem + r->bytes);
                test_fill(payload, len, i);
                sluice_set_tag(&r->p, (uint32_t)i);
                test_eq(sluice_commit(&r->p, len), 0);
                test_expect(r, i, len);
        }
}

TEST_EACH(reserve, shows_nothing_before_commit, 4)
{
        void *payload;

        test_eq(sluice_reserve(&r->p, 5, &payload, SLUICE_NOW), 0);
        memset(payload, 0xff, 5);
        test_expect_empty(r);
        test_eq(sluice_producer_messages(&r->p), 0);
        test_eq(sluice_commit(&r->p, 5), 0);
        test_eq(sluice_producer_messages(&r->p), 1);
}

TEST_EACH(reserve, forgets_an_earlier_one, 8)
{
        void *first, *second;

        test_eq(sluice_reserve(&r->p, test_longest(r), &first, SLUICE_NOW), 0);
        sluice_set_tag(&r->p, 99);
        test_eq(sluice_reserve(&r->p, 3, &second, SLUICE_NOW), 0);
        test_check(first == second || test_record(r, test_longest(r)) > 3);
        test_eq(sluice_commit(&r->p, 4), -EINVAL);
        test_fill(second, 3, 0);
        test_eq(sluice_commit(&r->p, 3), 0);
        test_expect(r, 0, 3); /* with tag 0 */
        test_expect_empty(r);
}

TEST_EACH(reserve, keeps_the_earlier_one_when_it_fails, 4)
{
        void *payload, *other = NULL;

        test_eq(sluice_reserve(&r->p, 2, &payload, SLUICE_NOW), 0);
        test_eq(sluice_reserve(&r->p, test_longest(r) + 1, &other, SLUICE_NOW), -EMSGSIZE);
        test_check(other == NULL);
        test_fill(payload, 2, 0);
        test_eq(sluice_commit(&r->p, 2), 0);
        test_expect(r, 0, 2);
}

TEST_EACH(commit, returns_einval_without_reserve, 4)
{
        void *payload;

        test_eq(sluice_commit(&r->p, 0), -EINVAL);
        test_eq(sluice_stage(&r->p, 0), -EINVAL);
        test_eq(sluice_reserve(&r->p, 0, &payload, SLUICE_NOW), 0);
        test_eq(sluice_commit(&r->p, 0), 0);
        test_eq(sluice_commit(&r->p, 0), -EINVAL);
        test_eq(sluice_reserve(&r->p, 0, &payload, SLUICE_NOW), 0);
        sluice_abort(&r->p);
        test_eq(sluice_commit(&r->p, 0), -EINVAL);
        test_eq(sluice_producer_messages(&r->p), 1);
}

TEST_EACH(commit, returns_einval_when_longer_than_reserved, 8)
{
        void *payload;

        test_eq(sluice_reserve(&r->p, 6, &payload, SLUICE_NOW), 0);
        test_fill(payload, 6, 3);
        sluice_set_tag(&r->p, 3);
        test_eq(sluice_commit(&r->p, 7), -EINVAL);
        test_eq(sluice_stage(&r->p, 7), -EINVAL);
        test_eq(sluice_commit(&r->p, SIZE_MAX), -EINVAL);
        test_expect_empty(r);
        test_eq(sluice_commit(&r->p, 6), 0); /* the reservation has stayed */
        test_expect(r, 3, 6);
}

TEST_EACH(commit, may_be_shorter_than_reserved, 8)
{
        const size_t longest = test_longest(r);
        void *payload;

        for (size_t len = 0; len <= longest; len += len < 20 ? 1 : 13) {
                const uint64_t from = sluice_producer_position(&r->p);

                test_eq(sluice_reserve(&r->p, longest, &payload, SLUICE_NOW), 0);
                test_fill(payload, longest, len);
                sluice_set_tag(&r->p, (uint32_t)len);
                test_eq(sluice_commit(&r->p, len), 0);
                test_check(sluice_producer_position(&r->p) - from < r->geometry.capacity);
                test_expect(r, len, len);
                test_expect_empty(r);
        }
}

TEST_EACH(abort, forgets_the_reserved_message, 4)
{
        void *payload, *again;
        const uint64_t at = sluice_producer_position(&r->p);

        for (int i = 0; i < 100; i++) {
                test_eq(sluice_reserve(&r->p, test_longest(r), &payload, SLUICE_NOW), 0);
                memset(payload, 0xff, test_longest(r));
                sluice_abort(&r->p);
                sluice_abort(&r->p);
        }
        test_expect_empty(r);
        test_eq(sluice_producer_position(&r->p), at);
        test_eq(sluice_reserve(&r->p, 0, &again, SLUICE_NOW), 0);
        test_fill(again, 0, 0);
        test_eq(sluice_commit(&r->p, 0), 0);
        test_expect(r, 0, 0);
        test_expect_empty(r);
}

TEST_EACH(set_tag, travels_with_its_message_only, 16)
{
        const uint32_t tag[] = {0, 1, 0x80000000, UINT32_MAX};
        struct sluice_message m;
        void *payload;

        for (int i = 0; i < 4; i++) {
                test_eq(sluice_reserve(&r->p, 1, &payload, SLUICE_NOW), 0);
                sluice_set_tag(&r->p, tag[i]);
                test_eq(sluice_commit(&r->p, 1), 0);
                test_eq(sluice_send(&r->p, "x", 1, SLUICE_NOW), 0);
                test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
                test_eq(m.tag, tag[i]);
                test_eq(m.len, 1);
                test_eq(sluice_release(&r->c), 0);
                test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
                test_eq(m.tag, 0);
                test_eq(sluice_release(&r->c), 0);
        }
}

TEST_EACH(sendv, gathers_pieces_into_one_message, 16)
{
        char a[] = "one", b[] = "two", got[64];
        struct iovec iov[4] = {{a, 3}, {NULL, 0}, {b, 3}, {a, 1}};

        test_eq(sluice_sendv(&r->p, iov, 4, SLUICE_NOW), 0);
        test_eq(sluice_sendv(&r->p, iov, 1, SLUICE_NOW), 0);
        test_eq(sluice_sendv(&r->p, NULL, 0, SLUICE_NOW), 0);
        test_eq(sluice_recv(&r->c, got, sizeof got, SLUICE_NOW), 7);
        test_eq(memcmp(got, "onetwoo", 7), 0);
        test_eq(sluice_recv(&r->c, got, sizeof got, SLUICE_NOW), 3);
        test_eq(sluice_recv(&r->c, got, sizeof got, SLUICE_NOW), 0);
        test_expect_empty(r);
}

TEST_EACH(sendv, returns_its_errors_without_effect, 8)
{
        static char big[4096];
        struct iovec iov[3] = {{big, test_longest(r)}, {big, 1}, {big, huge}};

        test_eq(sluice_sendv(&r->p, iov, -1, SLUICE_NOW), -EINVAL);
        test_eq(sluice_sendv(&r->p, iov, 2, SLUICE_NOW), -EMSGSIZE);
        test_eq(sluice_sendv(&r->p, iov + 1, 2, SLUICE_NOW), -EMSGSIZE);
        test_eq(sluice_sendv(&r->p, iov + 2, 1, SLUICE_NOW), -EMSGSIZE);
        test_expect_empty(r);
        test_eq(sluice_sendv(&r->p, iov, 1, SLUICE_NOW), 0);
        test_eq(sluice_sendv(&r->p, iov, 1, SLUICE_NOW), -EAGAIN);
        test_eq(sluice_producer_messages(&r->p), 1);
}

TEST_EACH(position, is_the_identity_of_a_message, 8)
{
        uint64_t expected = r->geometry.first_position;
        struct sluice_message m;

        for (uint64_t i = 0; i < 40; i++) {
                test_eq(sluice_producer_position(&r->p), expected);
                test_eq(test_send(r, i, 0), 0);
                test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
                test_eq(m.position, expected);
                test_eq(sluice_consumer_position(&r->c), expected);
                test_eq(sluice_release(&r->c), 0);
                expected += r->geometry.record_align;
                test_eq(sluice_consumer_position(&r->c), expected);
        }
}

TEST_EACH(every_call, leaves_errno_alone, 4)
{
        struct sluice_message m;
        void *payload;

        errno = 12345;
        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), -EAGAIN);
        test_eq(sluice_reserve(&r->p, SIZE_MAX, &payload, SLUICE_NOW), -EMSGSIZE);
        test_eq(sluice_commit(&r->p, 1), -EINVAL);
        test_eq(sluice_release(&r->c), -EINVAL);
        test_eq(sluice_ring_format(NULL, 0, NULL), -EINVAL);
        test_eq(errno, 12345);
}
