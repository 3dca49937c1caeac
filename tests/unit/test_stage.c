/* SPDX-License-Identifier: MIT */
/* Batches: finished one by one, seen all at once. */
#include "check.h"

TEST_EACH(stage, shows_nothing_until_publish, 16)
{
        for (unsigned i = 0; i < 5; i++) {
                test_eq(test_stage(r, i, i), 0);
                test_expect_empty(r);
        }
        test_eq(sluice_producer_messages(&r->p), 0);
        test_eq(sluice_producer_position(&r->p), r->geometry.first_position);
        test_eq(sluice_publish(&r->p), 0);
        test_eq(sluice_producer_messages(&r->p), 5);
        for (unsigned i = 0; i < 5; i++)
                test_expect(r, i, i);
        test_expect_empty(r);
}

TEST_EACH(stage, is_published_by_commit_too, 16)
{
        test_eq(test_stage(r, 0, 2), 0);
        test_eq(test_stage(r, 1, 0), 0);
        test_eq(test_send(r, 2, 3), 0);
        test_expect(r, 0, 2);
        test_expect(r, 1, 0);
        test_expect(r, 2, 3);
        test_expect_empty(r);
}

/* Batches of every size from every offset; the words behind a staged
 * first message are never seen as headers. */
TEST_EACH(stage, crosses_the_wrap_at_once_from_every_offset, 8)
{
        const size_t units = test_rig_units(r), align = r->geometry.record_align;
        uint64_t n = 0;

        for (size_t unit = 0; unit < units; unit++) {
                for (size_t batch = 1; batch < units; batch++) {
                        test_go_to(r, unit);
                        for (size_t i = 0; i < batch; i++) {
                                test_eq(test_stage(r, n + i, i % 2 ? 0 : align - 8), 0);
                                test_expect_empty(r);
                        }
                        test_eq(sluice_publish(&r->p), 0);
                        for (size_t i = 0; i < batch; i++, n++)
                                test_expect(r, n, i % 2 ? 0 : align - 8);
                        test_expect_empty(r);
                }
        }
}

/* The first of the batch begins with padding; or a later one does. */
TEST_EACH(stage, carries_padding_inside_the_batch, 8)
{
        const size_t units = test_rig_units(r), longest = test_longest(r);
        uint64_t n = 0;

        for (size_t unit = 0; unit < units; unit++) {
                for (int before = 0; before < 3; before++) {
                        int staged = 0;

                        test_go_to(r, unit);
                        for (int i = 0; i < before; i++)
                                test_eq(test_stage(r, n + (uint64_t)i, 0), 0);
                        while (test_stage(r, n + (uint64_t)(before + staged), longest) == 0)
                                staged++;
                        test_check(staged <= 2);
                        test_expect_empty(r);
                        test_eq(sluice_publish(&r->p), 0);
                        for (int i = 0; i < before; i++)
                                test_expect(r, n++, 0);
                        for (int i = 0; i < staged; i++)
                                test_expect(r, n++, longest);
                        test_expect_empty(r);
                }
        }
}

TEST_EACH(stage, fills_the_ring_to_the_last_unit, 4)
{
        void *payload;

        for (uint64_t i = 0; i < 3; i++)
                test_eq(test_stage(r, i, 0), 0);
        test_eq(sluice_reserve(&r->p, 0, &payload, SLUICE_NOW), -EMSGSIZE);
        test_expect_empty(r);
        test_eq(sluice_publish(&r->p), 0);
        test_eq(sluice_reserve(&r->p, 0, &payload, SLUICE_NOW), -EAGAIN);
        for (uint64_t i = 0; i < 3; i++)
                test_expect(r, i, 0);
        test_expect_empty(r);
}

/* Waiting would never help: the consumer can't see what is in the
 * way. Not even with a deadline far away. */
TEST_EACH(stage, makes_reserve_return_emsgsize_when_it_cannot_fit_beside, 8)
{
        void *payload;
        uint64_t n = 0;

        test_go_to(r, 0);
        while (test_stage(r, n, test_longest(r) / 2) == 0)
                n++;
        test_check(n >= 2);
        test_eq(sluice_reserve(&r->p, test_longest(r), &payload, SLUICE_NOW), -EMSGSIZE);
        test_eq(sluice_reserve(&r->p, test_longest(r), &payload, SLUICE_FOREVER), -EMSGSIZE);
        test_eq(sluice_publish(&r->p), 0);
        for (uint64_t i = 0; i < n; i++)
                test_expect(r, i, test_longest(r) / 2);
        test_eq(sluice_reserve(&r->p, test_longest(r), &payload, SLUICE_NOW), 0);
}

/* Full now, but beside the staged ones there would be room. */
TEST_EACH(stage, makes_reserve_return_eagain_while_the_consumer_holds_the_room, 8)
{
        const size_t two = 2 * r->geometry.record_align - 8;
        void *payload;

        test_go_to(r, 0);
        for (uint64_t i = 0; i < 5; i++)
                test_eq(test_send(r, i, 0), 0);
        test_eq(test_stage(r, 5, 0), 0);
        test_eq(sluice_reserve(&r->p, two, &payload, SLUICE_NOW), -EAGAIN);
        test_expect(r, 0, 0);
        test_eq(sluice_reserve(&r->p, two, &payload, SLUICE_NOW), 0);
        test_fill(payload, two, 6);
        sluice_set_tag(&r->p, 6);
        test_eq(sluice_commit(&r->p, two), 0);
        for (uint64_t i = 1; i < 6; i++)
                test_expect(r, i, 0);
        test_expect(r, 6, two);
        test_expect_empty(r);
}

TEST_EACH(stage, returns_einval_and_keeps_the_reservation_when_misused, 8)
{
        void *payload;

        test_eq(sluice_stage(&r->p, 0), -EINVAL);
        test_eq(sluice_reserve(&r->p, 5, &payload, SLUICE_NOW), 0);
        test_eq(sluice_stage(&r->p, 6), -EINVAL);
        test_fill(payload, 5, 0);
        test_eq(sluice_stage(&r->p, 5), 0);
        test_eq(sluice_stage(&r->p, 5), -EINVAL);
        test_eq(sluice_publish(&r->p), 0);
        test_expect(r, 0, 5);
        test_expect_empty(r);
}

TEST_EACH(stage, may_be_shorter_than_reserved, 16)
{
        const size_t longest = test_longest(r);
        void *payload;

        for (uint64_t n = 0; n < 200; n += 2) {
                const size_t len = (size_t)n % (longest + 1);

                for (uint64_t i = n; i < n + 2; i++) {
                        test_eq(sluice_reserve(&r->p, i == n ? longest : 8, &payload, SLUICE_NOW),
                                0);
                        test_fill(payload, i == n ? len : 3, i);
                        sluice_set_tag(&r->p, (uint32_t)i);
                        test_eq(sluice_stage(&r->p, i == n ? len : 3), 0);
                        if (i == n && test_record(r, len) > r->geometry.capacity / 2 - 32)
                                break;
                }
                test_expect_empty(r);
                test_eq(sluice_publish(&r->p), 0);
                test_expect(r, n, len);
                if (test_record(r, len) <= r->geometry.capacity / 2 - 32)
                        test_expect(r, n + 1, 3);
                test_expect_empty(r);
        }
}

TEST_EACH(abort, keeps_what_is_staged, 8)
{
        void *payload;

        test_eq(test_stage(r, 0, 1), 0);
        test_eq(sluice_reserve(&r->p, 4, &payload, SLUICE_NOW), 0);
        memset(payload, 0xff, 4);
        sluice_abort(&r->p);
        test_expect_empty(r);
        test_eq(test_stage(r, 1, 2), 0);
        test_eq(sluice_publish(&r->p), 0);
        test_expect(r, 0, 1);
        test_expect(r, 1, 2);
        test_expect_empty(r);
}

TEST_EACH(publish, with_nothing_staged_has_no_effect, 4)
{
        static unsigned char before[1 << 15];

        memcpy(before, r->mem, r->bytes);
        for (int i = 0; i < 3; i++)
                test_eq(sluice_publish(&r->p), 0);
        test_check(memcmp(before, r->mem, r->bytes) == 0);
        test_expect_empty(r);
}

TEST_EACH(publish, forgets_what_is_only_reserved, 8)
{
        void *payload;

        test_eq(test_stage(r, 0, 3), 0);
        test_eq(sluice_reserve(&r->p, 1, &payload, SLUICE_NOW), 0);
        test_eq(sluice_publish(&r->p), 0);
        test_eq(sluice_commit(&r->p, 1), -EINVAL);
        test_expect(r, 0, 3);
        test_expect_empty(r);
        test_eq(sluice_reserve(&r->p, 1, &payload, SLUICE_NOW), 0);
        test_eq(sluice_publish(&r->p), 0);
        test_eq(sluice_stage(&r->p, 1), -EINVAL);
        test_expect_empty(r);
}
