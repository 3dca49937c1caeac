/* SPDX-License-Identifier: MIT */
/* How a consumer that polls advises its producer of sparse messages, and that
 * the advice changes nothing but speed. */
#include "check.h"

enum { PERIOD = SLUICE_PRIV_PERIOD, TRIAL = SLUICE_PRIV_TRIAL };

static uint64_t hint(const struct test_rig *r)
{
        return sluice_priv_load_relaxed(&test_consumer_half(r)->doorbell.hint);
}

static void pass_ns(int64_t ns)
{
        const int64_t begin = sluice_now_ns();

        while (sluice_now_ns() - begin < ns)
                ;
}

static void messages(struct test_rig *r, uint64_t *number, unsigned n)
{
        for (unsigned i = 0; i < n; i++)
                test_eq(test_send(r, *number + i, 20), 0);
        for (unsigned i = 0; i < n; i++)
                test_expect(r, *number + i, 20);
        *number += n;
}

/* n messages, then an empty ring, as a waiting call finds it. */
static void burst(struct test_rig *r, uint64_t *number, unsigned n)
{
        struct sluice_message m;

        messages(r, number, n);
        test_eq(sluice_peek(&r->c, &m, 1), -ETIMEDOUT);
}

/* Until the consumer has set the SPARSE flag for the producer. */
static void become_sparse(struct test_rig *r, uint64_t *number)
{
        for (unsigned i = 0; i < 2 * PERIOD; i++) {
                pass_ns(2000);
                burst(r, number, 1);
        }
        test_eq(hint(r), SLUICE_LAYOUT_SPARSE);
}

TEST_EACH(pace, is_leisure_when_messages_come_alone_and_late, 64)
{
        uint64_t number = 0;
        unsigned with = 0, without = 0;

        for (unsigned i = 0; i < PERIOD * (TRIAL + 4); i++) {
                pass_ns(2000);
                burst(r, &number, 1);
                with += hint(r) == SLUICE_LAYOUT_SPARSE;
                without += hint(r) == 0;
        }
        test_eq(with + without, PERIOD * (TRIAL + 4));
        test_check(without >= 2 * PERIOD - 1); /* to begin with, and one trial */
        test_check(without < 5 * PERIOD);
}

/* A polling consumer classifies the traffic only now and then, but does. */
TEST_EACH(pace, is_leisure_for_one_who_polls, 64)
{
        uint64_t number = 0;
        unsigned looks = 0;

        while (hint(r) == 0 && looks < 4 * SLUICE_PRIV_POLLS_PER_CHECK) {
                pass_ns(2000);
                messages(r, &number, 1);
                test_expect_empty(r);
                looks++;
        }
        test_eq(hint(r), SLUICE_LAYOUT_SPARSE);
        test_check(looks % SLUICE_PRIV_POLLS_PER_CHECK == 0);
}

TEST_EACH(pace, is_no_leisure_when_many_come_together, 64)
{
        uint64_t number = 0;

        become_sparse(r, &number);
        for (unsigned i = 0; i < 2 * PERIOD; i++) {
                pass_ns(2000);
                burst(r, &number, SLUICE_PRIV_ALONE + 1);
        }
        test_eq(hint(r), 0);
}

TEST_EACH(pace, begins_anew_with_each_consumer, 64)
{
        uint64_t number = 0;

        become_sparse(r, &number);
        sluice_consumer_detach(&r->c);
        test_eq(sluice_consumer_attach(&r->c, r->mem, r->bytes), 0);
        test_eq(hint(r), 0);
}

/* A stream is given way to for no longer than half the ring lasts. */
TEST_EACH(pace, of_a_stream_fits_the_ring, 8)
{
        struct sluice_priv_pace *pace = &r->c.pace;

        test_eq(test_send(r, 0, 0), 0);
        test_expect(r, 0, 0);
        for (uint64_t ns_each = 0; ns_each < 2 * SLUICE_PRIV_NEAR_NS; ns_each++) {
                const uint64_t n = 1000, bytes = n * test_record(r, 0);
                const uint64_t half = 3 * ns_each; /* records before the half of 8 is used */
                const uint64_t expected = ns_each >= SLUICE_PRIV_NEAR_NS ? 0 : half;

                pace->from_passed = sluice_consumer_messages(&r->c) - n;
                pace->from_position = sluice_consumer_position(&r->c) - bytes;
                pace->from_ns = 0;
                sluice_priv_classify(&r->c, sluice_consumer_messages(&r->c),
                                     (int64_t)(n * ns_each));
                test_eq(pace->backoff_ns, expected);
        }
}

/* What the half says of earlier consumers is no measure of anything. */
TEST_EACH(pace, is_of_this_consumer_alone, 64)
{
        struct sluice_layout_progress *progress = &test_consumer_half(r)->progress;
        uint64_t number = 0;

        for (uint64_t messages = UINT64_MAX; messages != 0; messages >>= 3) {
                sluice_consumer_detach(&r->c);
                for (int i = 0; i < 2; i++)
                        test_poke(&progress->slot[i].messages, messages);
                test_eq(sluice_consumer_attach(&r->c, r->mem, r->bytes), 0);
                for (unsigned i = 0; i < 2 * PERIOD; i++)
                        burst(r, &number, 1);
                test_eq(sluice_consumer_messages(&r->c), messages + 2 * PERIOD);
        }
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
