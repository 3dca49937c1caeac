/* SPDX-License-Identifier: MIT */
/* Queues of one type: what their calls do, who may open them, and where their
 * payloads stand. */
#include "check.h"
#include "queue_util.h"

#include "sluice/typed.h"

struct price {
        uint64_t number;
        double bid, ask;
};
struct wide {
        _Alignas(64) unsigned char bytes[64];
};
struct tiny {
        unsigned char byte;
};

SLUICE_TYPED(price, struct price);
SLUICE_TYPED_AS(price_2, struct price, 2);
SLUICE_TYPED(wide, struct wide);
SLUICE_TYPED(tiny, struct tiny);

static const struct price example = {7, 1.25, 1.5};

static void is_example(const struct price *value, uint64_t number)
{
        test_eq(value->number, number);
        test_check(value->bid == 1.25 && value->ask == 1.5);
}

static void open_rig(struct test_rig *r, size_t capacity, uint32_t align, uint64_t first)
{
        memset(r, 0, sizeof *r);
        r->geometry.capacity = capacity;
        r->geometry.record_align = align;
        r->geometry.first_position = first;
        r->bytes = 12288 + 120 + capacity;
        r->mem = test_memory(r->bytes);
}

/* ---- The calls ---------------------------------------------------- */

static int count_up(void *ctx, const struct price *value)
{
        uint64_t *const next = ctx;

        is_example(value, (*next)++);
        return value->number == 104 ? -77 : 0;
}

static void pass_prices(struct test_rig *r)
{
        const struct price *seen;
        struct price value = example, *place;
        uint64_t next = 100;

        for (uint64_t i = 0; i < 50; i++) {
                value.number = i;
                test_eq(price_send(&r->p, &value, SLUICE_NOW), 0);
                test_eq(price_reserve(&r->p, &place, SLUICE_NOW), 0);
                *place = example;
                test_eq(price_commit(&r->p), 0);
                test_eq(price_peek(&r->c, &seen, SLUICE_NOW), 0);
                is_example(seen, i);
                test_eq(sluice_release(&r->c), 0);
                test_eq(price_recv(&r->c, &value, SLUICE_NOW), 0);
                is_example(&value, 7);
                test_eq(price_recv(&r->c, &value, SLUICE_NOW), -EAGAIN);
                test_eq(price_peek(&r->c, &seen, 1), -ETIMEDOUT);
        }
        for (uint64_t i = 100; i < 106; i++) {
                test_eq(price_reserve(&r->p, &place, SLUICE_NOW), 0);
                *place = example;
                place->number = i;
                test_eq(price_stage(&r->p), 0);
        }
        test_eq(price_peek(&r->c, &seen, SLUICE_NOW), -EAGAIN);
        test_eq(sluice_publish(&r->p), 0);
        test_eq(price_drain(&r->c, count_up, &next, 3), 3);
        test_eq(price_drain(&r->c, count_up, &next, 9), 1);
        next = 104;
        test_eq(price_drain(&r->c, count_up, &next, 9), -77);
        test_eq(sluice_consumer_messages(&r->c), 104);
}

/* In every geometry, from every first position. */
Test(typed, sends_and_receives_by_value_and_in_place)
{
        for (int a = 0; a < TEST_ALIGNS; a++) {
                for (int f = 0; f < TEST_FIRSTS; f++) {
                        struct test_rig r;

                        test_at("align %u, first %d", test_align[a], f);
                        open_rig(&r, 1024, test_align[a], test_first(f, test_align[a]));
                        test_eq(price_ring_format(r.mem, r.bytes, &r.geometry), 0);
                        test_eq(price_producer_attach(&r.p, r.mem, r.bytes), 0);
                        test_eq(price_consumer_attach(&r.c, r.mem, r.bytes), 0);
                        pass_prices(&r);
                        test_rig_close(&r);
                }
        }
}

Test(typed, reports_what_is_wrong_with_a_handle)
{
        struct sluice_producer p;
        struct sluice_consumer c;
        struct price value, *place;
        const struct price *seen;

        memset((void *)&p, 0, sizeof p);
        memset((void *)&c, 0, sizeof c);
        test_eq(price_send(&p, &example, SLUICE_NOW), -EINVAL);
        test_eq(price_reserve(&p, &place, SLUICE_NOW), -EINVAL);
        test_eq(price_commit(&p), -EINVAL);
        test_eq(price_stage(&p), -EINVAL);
        test_eq(price_peek(&c, &seen, SLUICE_NOW), -EINVAL);
        test_eq(price_recv(&c, &value, SLUICE_NOW), -EINVAL);
        test_eq(price_drain(&c, count_up, NULL, 1), -EINVAL);
}

/* Sent by a program that has given no type: seen, refused, passed over. */
Test(typed, refuses_a_message_of_another_length)
{
        const size_t lens[] = {0, sizeof(struct price) - 1, sizeof(struct price) + 1};
        const struct price *seen;
        struct price value;
        struct test_rig r;
        uint64_t next = 7;

        open_rig(&r, 1024, 64, 0);
        test_eq(price_ring_format(r.mem, r.bytes, &r.geometry), 0);
        test_eq(sluice_producer_attach(&r.p, r.mem, r.bytes), 0);
        test_eq(price_consumer_attach(&r.c, r.mem, r.bytes), 0);
        for (size_t i = 0; i < 3; i++) {
                test_eq(test_send(&r, i, lens[i]), 0);
                test_eq(price_send(&r.p, &example, SLUICE_NOW), 0);
                for (int again = 0; again < 2; again++) {
                        test_eq(price_peek(&r.c, &seen, SLUICE_NOW), -EBADMSG);
                        test_eq(price_recv(&r.c, &value, SLUICE_NOW), -EBADMSG);
                        test_eq(price_drain(&r.c, count_up, &next, 1), -EBADMSG);
                }
                test_eq(sluice_release(&r.c), 0);
                test_eq(price_recv(&r.c, &value, SLUICE_NOW), 0);
                is_example(&value, 7);
        }
        test_rig_close(&r);
}

/* ---- Who may open it ---------------------------------------------- */

Test(typed, attaches_as_its_own_type_only)
{
        struct test_rig r;

        open_rig(&r, 1024, 64, 0);
        test_eq(price_ring_format(r.mem, r.bytes, &r.geometry), 0);
        test_eq(price_2_producer_attach(&r.p, r.mem, r.bytes), -EMEDIUMTYPE);
        test_eq(price_2_consumer_attach(&r.c, r.mem, r.bytes), -EMEDIUMTYPE);
        test_eq(wide_producer_attach(&r.p, r.mem, r.bytes), -EMEDIUMTYPE);
        test_eq(sluice_ring_format(r.mem, r.bytes, &r.geometry), 0);
        test_eq(price_producer_attach(&r.p, r.mem, r.bytes), -EMEDIUMTYPE);
        test_eq(price_ring_format(r.mem, r.bytes, NULL), -ENOSPC);
        r.geometry.capacity = 32;
        r.geometry.record_align = 8;
        test_eq(price_ring_format(r.mem, r.bytes, &r.geometry), 0);
        test_eq(price_producer_attach(&r.p, r.mem, r.bytes), -EMSGSIZE);
        test_eq(wide_ring_format(r.mem, r.bytes, &r.geometry), -EINVAL); /* align 8 */
        test_eq(tiny_ring_format(r.mem, r.bytes, &r.geometry), 0);
        test_eq(tiny_producer_attach(&r.p, r.mem, r.bytes), 0);
        test_eq(price_producer_attach(&r.p, NULL, 0), -EINVAL);
        test_rig_close(&r);
}

/* Same number, another size, or less aligned. */
Test(typed, is_told_by_size_and_alignment_too)
{
        struct test_rig r;

        open_rig(&r, 1024, 64, 0);
        r.geometry.type_id = 2;
        r.geometry.type_size = sizeof(struct price) + 8;
        test_eq(sluice_ring_format(r.mem, r.bytes, &r.geometry), 0);
        test_eq(price_2_producer_attach(&r.p, r.mem, r.bytes), -EMEDIUMTYPE);
        r.geometry.type_size = sizeof(struct price);
        test_eq(sluice_ring_format(r.mem, r.bytes, &r.geometry), 0);
        test_eq(price_2_producer_attach(&r.p, r.mem, r.bytes), 0);
        r.geometry.type_id = wide_sluice_type().id;
        r.geometry.type_size = sizeof(struct wide);
        r.geometry.payload_align = 32;
        test_eq(sluice_ring_format(r.mem, r.bytes, &r.geometry), 0);
        test_eq(wide_producer_attach(&r.p, r.mem, r.bytes), -EMEDIUMTYPE);
        test_rig_close(&r);
}

static void opens_only_as_price(void)
{
        struct sluice_producer p;
        struct sluice_consumer c;
        struct price value;

        refused(wide_producer_open(&p, "q", NULL), -EMEDIUMTYPE);
        refused(price_2_consumer_open(&c, "q", NULL), -EMEDIUMTYPE);
        call(price_producer_open(&p, "q", NULL), 0);
        call(price_consumer_open(&c, "q", NULL), 0);
        call(price_send(&p, &example, SLUICE_NOW), 0);
        call(price_recv(&c, &value, SLUICE_NOW), 0);
        eq(value.number, 7);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
}

QTest(typed, opens_a_named_queue_as_its_own_type_only)
{
        struct sluice_options o = opt(4096);
        struct sluice_queue_stat st;
        struct sluice_consumer c;
        struct sluice_producer p;

        call(price_create("q", &o), 0);
        opens_only_as_price();
        o.flags = SLUICE_CREATE;
        refused(wide_producer_open(&p, "q", &o), -EMEDIUMTYPE);
        st = look("q");
        eq(st.type_size, sizeof(struct price));
        eq(st.payload_align, 8);
        check(st.type_id == price_sluice_type().id && st.type_id != 0);
        call(sluice_consumer_open(&c, "q", NULL), 0); /* without a type: a tool */
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
        call(sluice_create("q", NULL), 0);
        refused(price_producer_open(&p, "q", NULL), -EMEDIUMTYPE);
        call(sluice_remove("q"), 0);
        o.size--;
        refused(price_create("q", &o), -EINVAL);
        refused(price_producer_open(&p, "q", &o), -EINVAL);
        refused(price_consumer_open(&c, "q", &o), -EINVAL);
}

/* Whatever was in its memory before. */
QTest(typed, handle_that_could_not_be_opened_may_be_closed)
{
        struct sluice_options o = opt(4096);
        struct sluice_producer p;
        struct sluice_consumer c;

        o.size--;
        memset((void *)&p, 0xa5, sizeof p);
        memset((void *)&c, 0xa5, sizeof c);
        refused(price_producer_open(&p, "q", &o), -EINVAL);
        refused(price_consumer_open(&c, "q", &o), -EINVAL);
        call(sluice_producer_close(&p), -EINVAL);
        call(sluice_consumer_close(&c), -EINVAL);
        memset((void *)&p, 0xa5, sizeof p);
        memset((void *)&c, 0xa5, sizeof c);
        refused(price_producer_attach(&p, NULL, 0), -EINVAL);
        refused(price_consumer_attach(&c, NULL, 0), -EINVAL);
        sluice_producer_detach(&p);
        sluice_consumer_detach(&c);
        call(sluice_producer_close(&p), -EINVAL);
        call(sluice_consumer_close(&c), -EINVAL);
}

QTest(typed, is_too_long_for_a_queue_that_is_too_small)
{
        struct sluice_options o = opt(32);
        struct sluice_producer p;

        o.record_align = 8;
        call(price_create("q", &o), 0);
        refused(price_producer_open(&p, "q", NULL), -EMSGSIZE);
        call(sluice_remove("q"), 0);
}

/* ---- Alignment ---------------------------------------------------- */

static void pass_aligned(struct test_rig *r)
{
        const uint32_t align = r->geometry.payload_align;

        for (unsigned i = 0; i < 3 * test_rig_units(r); i++) {
                const size_t len = i * 5 % (test_longest(r) + 1);
                struct sluice_message m;
                void *payload;

                test_eq(sluice_reserve(&r->p, len, &payload, SLUICE_NOW), 0);
                test_eq((uintptr_t)payload % align, 0);
                test_fill(payload, len, i);
                test_eq(sluice_commit(&r->p, len), 0);
                test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
                test_eq((uintptr_t)m.data % align, 0);
                test_check(test_matches(m.data, m.len, i));
                test_check((const unsigned char *)m.data + len <= r->mem + r->bytes);
                test_eq(sluice_release(&r->c), 0);
        }
}

/* Each up to that of records, at every offset; memory ends where the ring ends. */
Test(payload_align, is_that_of_every_payload)
{
        for (uint32_t unit = 8; unit <= 128; unit *= 2) {
                for (uint32_t align = 8; align <= unit; align *= 2) {
                        struct test_rig r;

                        test_at("records aligned to %u, payloads to %u", unit, align);
                        memset(&r, 0, sizeof r);
                        r.geometry.capacity = 8 * (size_t)unit;
                        r.geometry.record_align = unit;
                        r.geometry.payload_align = align;
                        r.geometry.first_position = 0 - 3 * (uint64_t)unit;
                        r.bytes = sluice_ring_bytes(&r.geometry);
                        test_eq(r.bytes, 12288 + align - 8 + 8 * unit);
                        r.mem = test_memory(r.bytes);
                        test_eq(sluice_ring_format(r.mem, r.bytes - 1, &r.geometry), -ENOSPC);
                        test_eq(sluice_ring_format(r.mem, r.bytes, &r.geometry), 0);
                        test_eq(sluice_producer_attach(&r.p, r.mem, r.bytes), 0);
                        test_eq(sluice_consumer_attach(&r.c, r.mem, r.bytes), 0);
                        pass_aligned(&r);
                        test_rig_close(&r);
                }
        }
}

Test(payload_align, is_a_power_of_two_up_to_that_of_records)
{
        const uint32_t bad[] = {1, 4, 7, 12, 24, 128, 256, UINT32_MAX};
        struct sluice_geometry g = {1024, 64, 0, 0, 0, 0};

        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                g.payload_align = bad[i];
                test_eq(sluice_ring_bytes(&g), 0);
        }
        g.payload_align = 64;
        test_eq(sluice_ring_bytes(&g), 12288 + 56 + 1024);
}

Test(payload_align, is_checked_when_a_ring_is_joined)
{
        const uint32_t bad[] = {0, 8, 4, 32, 128, UINT32_MAX};
        struct test_rig r;

        open_rig(&r, 1024, 64, 0);
        r.geometry.payload_align = 64;
        test_eq(sluice_ring_format(r.mem, r.bytes, &r.geometry), 0);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                memcpy(r.mem + 28, &bad[i], 4);
                test_eq(sluice_producer_attach(&r.p, r.mem, r.bytes), -EBADMSG);
                test_eq(sluice_consumer_attach(&r.c, r.mem, r.bytes), -EBADMSG);
        }
        test_rig_close(&r);
}

/* The segment is found by its size as before, and a sleeper is woken. */
static void *await_end(void *ctx)
{
        struct sluice_consumer c;
        const struct wide *seen;

        (void)ctx;
        call(wide_consumer_open(&c, "q", NULL), 0);
        call(wide_peek(&c, &seen, soon()), 0);
        check((uintptr_t)seen % 64 == 0);
        eq(seen->bytes[5], 5);
        call(sluice_release(&c), 0);
        call(wide_peek(&c, &seen, soon()), -ESTALE);
        call(sluice_consumer_close(&c), 0);
        return NULL;
}

QTest(payload_align, holds_in_a_named_queue)
{
        struct sluice_options o = opt(1024);
        struct sluice_producer p;
        struct wide *place;
        pthread_t t;
        int64_t before;

        o.slice_ns = INT64_MAX;
        o.flags = SLUICE_CREATE;
        call(wide_producer_open(&p, "q", &o), 0);
        eq(look("q").payload_align, 64);
        t = thread_start(await_end, NULL);
        until_asleep("q", CONSUMER);
        call(wide_reserve(&p, &place, SLUICE_NOW), 0);
        check((uintptr_t)place % 64 == 0);
        memset(place, 5, sizeof *place);
        call(wide_commit(&p), 0);
        until(look("q").consumer.messages == 1);
        until_asleep("q", CONSUMER);
        before = sluice_now_ns();
        call(sluice_remove("q"), 0);
        thread_join(t);
        check(sluice_now_ns() - before < MS(90)); /* woken, not at the end of a slice */
        call(sluice_producer_close(&p), 0);
}
