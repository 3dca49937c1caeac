/* SPDX-License-Identifier: MIT */
/* Every way in which making or joining a ring can fail, and what a
 * successor continues with. */
#include "check.h"

static int format_with(size_t capacity, uint32_t align, uint64_t first)
{
        const struct sluice_geometry g = {capacity, align, first, 0, 0, 0};
        static _Alignas(128) unsigned char mem[12288 + 4096];

        return sluice_ring_format(mem, sizeof mem, &g);
}

Test(format, returns_einval_when_capacity_is_no_power_of_two)
{
        const size_t capacity[] = {33, 40, 96, 1000, 4095, 3u << 20};

        for (size_t i = 0; i < sizeof capacity / sizeof *capacity; i++) {
                const struct sluice_geometry g = {capacity[i], 8, 0, 0, 0, 0};

                test_at("capacity %zu", capacity[i]);
                test_eq(format_with(capacity[i], 8, 0), -EINVAL);
                test_eq(sluice_ring_bytes(&g), 0);
        }
}

Test(format, returns_erange_when_capacity_is_too_small)
{
        for (uint32_t align = 8; align <= 128; align *= 2) {
                const struct sluice_geometry g = {2 * align, align, 0, 0, 0, 0};

                test_at("align %u", align);
                test_eq(format_with(1, align, 0), -ERANGE);
                test_eq(format_with(2 * align, align, 0), -ERANGE);
                test_eq(format_with(4 * align - 1, align, 0), -ERANGE);
                test_eq(format_with(4 * align, align, 0), 0);
                test_eq(sluice_ring_bytes(&g), 0);
        }
        test_eq(format_with(128, 0, 0), -ERANGE);
}

Test(format, returns_efbig_when_capacity_is_too_large)
{
        const struct sluice_geometry largest = {(size_t)1 << 30, 64, 0, 0, 0, 0};

        test_eq(format_with(((size_t)1 << 30) + 1, 64, 0), -EFBIG);
        test_eq(format_with((size_t)1 << 31, 64, 0), -EFBIG);
        test_eq(format_with((size_t)1 << 31 << 1, 64, 0), sizeof(size_t) > 4 ? -EFBIG : -ENOSPC);
        test_eq(format_with(SIZE_MAX, 64, 0), -EFBIG);
        test_eq(format_with(SIZE_MAX - 12287, 64, 0), -EFBIG);
        test_eq(sluice_ring_bytes(&largest), ((size_t)1 << 30) + 12288);
}

Test(format, returns_einval_when_alignment_is_bad)
{
        const uint32_t align[] = {1, 2, 4, 7, 9, 12, 24, 65, 96, 127, 129, 256, UINT32_MAX};

        for (size_t i = 0; i < sizeof align / sizeof *align; i++) {
                test_at("align %u", align[i]);
                test_eq(format_with(4096, align[i], 0), -EINVAL);
        }
}

Test(format, returns_einval_when_first_position_is_off_the_alignment)
{
        test_eq(format_with(4096, 64, 8), -EINVAL);
        test_eq(format_with(4096, 64, 63), -EINVAL);
        test_eq(format_with(4096, 8, 4), -EINVAL);
        test_eq(format_with(4096, 8, UINT64_MAX), -EINVAL);
        test_eq(format_with(4096, 64, UINT64_MAX - 63), 0);
        test_eq(format_with(4096, 8, 8), 0);
}

Test(format, returns_enospc_and_writes_nothing_when_memory_is_too_small)
{
        const struct sluice_geometry g = {256, 64, 0, 0, 0, 0};
        const size_t bytes = sluice_ring_bytes(&g);
        unsigned char *mem = test_memory(bytes);

        test_eq(sluice_ring_format(mem, bytes - 1, &g), -ENOSPC);
        test_eq(sluice_ring_format(mem, 0, &g), -ENOSPC);
        test_eq(sluice_ring_format(mem, 12288, NULL), -ENOSPC);
        for (size_t i = 0; i < bytes; i++)
                test_eq(mem[i], 0xa5);
        test_memory_free(mem);
}

Test(format, returns_einval_when_memory_is_missing_or_misaligned)
{
        const struct sluice_geometry g = {256, 8, 0, 0, 0, 0};
        unsigned char *mem = test_memory(32768);

        test_eq(sluice_ring_format(NULL, 32768, &g), -EINVAL);
        for (size_t off = 1; off < 128; off += off < 8 ? 1 : 8)
                test_eq(sluice_ring_format(mem + off, 32000, &g), -EINVAL);
        test_memory_free(mem);
}

/* ---- joining ------------------------------------------------------ */

static unsigned char *ring_bytes;
static const struct sluice_geometry ring_geometry = {512, 64, 128, 0, 0, 0};
#define RING_BYTES ((size_t)12288 + 512)

static void fresh(void)
{
        if (!ring_bytes)
                ring_bytes = test_memory(RING_BYTES);
        test_eq(sluice_ring_format(ring_bytes, RING_BYTES, &ring_geometry), 0);
}

/* Both roles get this answer, and neither writes anything before it. */
static void both_get(void *mem, size_t bytes, int expected)
{
        static unsigned char before[RING_BYTES];
        struct sluice_producer p;
        struct sluice_consumer c;

        memcpy(before, ring_bytes, RING_BYTES);
        test_eq(sluice_producer_attach(&p, mem, bytes), expected);
        test_eq(sluice_consumer_attach(&c, mem, bytes), expected);
        if (expected != 0)
                test_check(memcmp(before, ring_bytes, RING_BYTES) == 0);
}

static void put(size_t off, uint64_t value, size_t len)
{
        memcpy(ring_bytes + off, &value, len);
}

Test(attach, succeeds_on_what_format_has_made)
{
        fresh();
        both_get(ring_bytes, RING_BYTES, 0);
        both_get(ring_bytes, RING_BYTES, 0);
}

Test(attach, returns_einval_when_memory_is_missing_or_misaligned)
{
        fresh();
        both_get(NULL, RING_BYTES, -EINVAL);
        both_get(ring_bytes + 8, RING_BYTES - 8, -EINVAL);
        both_get(ring_bytes + 64, RING_BYTES - 64, -EINVAL);
}

Test(attach, returns_einprogress_before_format_is_done)
{
        fresh();
        put(0, 0, 8);
        both_get(ring_bytes, RING_BYTES, -EINPROGRESS);
}

Test(attach, returns_eproto_on_something_else)
{
        fresh();
        both_get(ring_bytes, 12287, -EPROTO);
        both_get(ring_bytes, 0, -EPROTO);
        put(0, 1, 8);
        both_get(ring_bytes, RING_BYTES, -EPROTO);
        put(0, SLUICE_LAYOUT_MAGIC ^ UINT64_C(1) << 63, 8);
        both_get(ring_bytes, RING_BYTES, -EPROTO);
        put(0, UINT64_MAX, 8);
        both_get(ring_bytes, RING_BYTES, -EPROTO);
}

Test(attach, returns_eprototype_on_another_byte_order)
{
        fresh();
        put(12, 0x04030201, 4);
        both_get(ring_bytes, RING_BYTES, -EPROTOTYPE);
        fresh();
        memcpy(ring_bytes, "\0eciuls\0", 8);
        both_get(ring_bytes, RING_BYTES, -EPROTOTYPE);
        fresh();
        put(0, __builtin_bswap64(SLUICE_LAYOUT_MAGIC), 8);
        put(8, __builtin_bswap32(1), 4);
        put(12, __builtin_bswap32(SLUICE_LAYOUT_BYTE_ORDER), 4);
        both_get(ring_bytes, RING_BYTES, -EPROTOTYPE);
}

Test(attach, returns_eprotonosupport_on_another_version)
{
        const uint64_t version[] = {0, 2, 256, UINT32_MAX};

        for (size_t i = 0; i < 4; i++) {
                fresh();
                put(8, version[i], 4);
                both_get(ring_bytes, RING_BYTES, -EPROTONOSUPPORT);
        }
}

Test(attach, returns_ebadmsg_when_the_geometry_contradicts_itself)
{
        static const struct {
                size_t off, len;
                uint64_t value;
        } lie[] = {
                {16, 8, 0},          {16, 8, 256},        {16, 8, 511},        {16, 8, 1024},
                {16, 8, 64},         {16, 8, 1ull << 31}, {16, 8, 1ull << 32}, {16, 8, UINT64_MAX},
                {24, 4, 0},          {24, 4, 4},          {24, 4, 48},         {24, 4, 256},
                {24, 4, UINT32_MAX}, {32, 8, 8},          {32, 8, 129},        {40, 8, 8192},
                {40, 8, 0},          {48, 8, 4096},       {48, 8, UINT64_MAX}, {56, 8, 0},
                {56, 8, 12280},      {56, 8, 12800},      {64, 8, 0},          {64, 8, 12288},
                {64, 8, 12801},      {64, 8, UINT64_MAX},
        };

        for (size_t i = 0; i < sizeof lie / sizeof *lie; i++) {
                test_at("offset %zu, value %#llx", lie[i].off, (unsigned long long)lie[i].value);
                fresh();
                put(lie[i].off, lie[i].value, lie[i].len);
                both_get(ring_bytes, RING_BYTES, -EBADMSG);
        }
        test_at("memory shorter than the header says");
        fresh();
        both_get(ring_bytes, RING_BYTES - 1, -EBADMSG);
        both_get(ring_bytes, 12288, -EBADMSG);
}

Test(attach, returns_ebadmsg_when_a_half_contradicts_itself)
{
        struct sluice_producer p;
        struct sluice_consumer c;
        char buf[8];
        void *payload;

        fresh();
        put(4096, 128 + 64, 8); /* a released position that is in no slot */
        test_eq(sluice_consumer_attach(&c, ring_bytes, RING_BYTES), -EBADMSG);
        test_eq(sluice_recv(&c, buf, sizeof buf, SLUICE_NOW), -EBADMSG);
        test_eq(sluice_advance(&c), -EBADMSG);
        test_eq(sluice_release(&c), -EBADMSG);
        test_eq(sluice_producer_attach(&p, ring_bytes, RING_BYTES), -EBADMSG);
        test_eq(sluice_reserve(&p, 0, &payload, SLUICE_NOW), -EBADMSG);
        test_eq(sluice_reserve(&p, SIZE_MAX, &payload, SLUICE_NOW), -EBADMSG);
        test_eq(sluice_commit(&p, 0), -EBADMSG);
        test_eq(sluice_publish(&p), -EBADMSG);
        test_eq(sluice_send(&p, buf, sizeof buf, SLUICE_FOREVER), -EBADMSG);
        fresh();
        put(4096, 128 + 8, 8);
        test_eq(sluice_consumer_attach(&c, ring_bytes, RING_BYTES), -EBADMSG);
        for (int slot = 0; slot < 2; slot++) {
                fresh();
                put(8192 + 136 + (size_t)slot * 16, 128 + 8, 8); /* off the alignment */
                put(8192 + 136 + (size_t)(slot ^ 1) * 16, 0, 8);
                test_eq(sluice_producer_attach(&p, ring_bytes, RING_BYTES), -EBADMSG);
        }
        fresh();
        put(8192 + 136, 128 + 512, 8); /* a whole ring is published */
        put(12288 + 128, 0, 8);
        test_eq(sluice_producer_attach(&p, ring_bytes, RING_BYTES), -EBADMSG);
}

/* Words in the ring that no producer has left there. */
Test(attach, returns_ebadmsg_when_the_published_headers_make_no_sense)
{
        const uint64_t word[] = {16,
                                 UINT64_C(1) << 32,
                                 UINT64_C(1) << 32 | 8,
                                 7,
                                 (uint64_t)512 << 3 | 1,
                                 (uint64_t)512 << 3 | 4,
                                 (uint64_t)512 << 3 | 6,
                                 6, /* packed, and nothing behind it */
                                 UINT64_C(0xfffffff9),
                                 (uint64_t)1024 << 3 | 5};
        struct sluice_producer p;

        for (size_t i = 0; i < sizeof word / sizeof *word; i++) {
                test_at("word %#llx", (unsigned long long)word[i]);
                fresh();
                put(12288 + 128, word[i], 8);
                put(12288 + 136, 0, 8);
                test_eq(sluice_producer_attach(&p, ring_bytes, RING_BYTES), -EBADMSG);
        }
        test_at("a record over the end of the ring, and then nothing");
        fresh();
        put(12288 + 64, 0, 8);
        put(12288 + 128, (uint64_t)385 << 3 | 1, 8);
        test_eq(sluice_producer_attach(&p, ring_bytes, RING_BYTES), -EBADMSG);
        test_at("no end");
        fresh();
        for (size_t off = 0; off < 512; off += 64)
                put(12288 + off, 1, 8);
        test_eq(sluice_producer_attach(&p, ring_bytes, RING_BYTES), -EBADMSG);
}

Test(attach, leaves_a_refused_handle_harmless)
{
        struct sluice_producer p;
        struct sluice_consumer c;

        fresh();
        put(4096, 128 + 64, 8);
        test_eq(sluice_producer_attach(&p, ring_bytes, RING_BYTES), -EBADMSG);
        test_eq(sluice_consumer_attach(&c, ring_bytes, RING_BYTES), -EBADMSG);
        const uint64_t before = *(uint64_t *)(void *)(ring_bytes + 12288);
        sluice_producer_detach(&p);
        sluice_consumer_detach(&c);
        test_eq(*(uint64_t *)(void *)(ring_bytes + 12288), before);
        test_eq(*(uint64_t *)(void *)(ring_bytes + 4096), 128 + 64);
        put(0, 0, 8);
        test_eq(sluice_producer_attach(&p, ring_bytes, RING_BYTES), -EINPROGRESS);
        test_eq(sluice_consumer_attach(&c, ring_bytes, RING_BYTES), -EINPROGRESS);
        sluice_producer_detach(&p);
        sluice_consumer_detach(&c);
}

/* ---- leaving and coming back -------------------------------------- */

TEST_EACH(detach, lets_the_consumer_drain_then_returns_epipe, 8)
{
        struct sluice_message m;

        test_eq(test_send(r, 0, 3), 0);
        test_eq(test_send(r, 1, 4), 0);
        test_eq(test_stage(r, 2, 5), 0);
        sluice_producer_detach(&r->p);
        test_expect(r, 0, 3);
        test_expect(r, 1, 4);
        for (int i = 0; i < 3; i++) {
                test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), -EPIPE);
                test_eq(sluice_peek(&r->c, &m, SLUICE_FOREVER), -EPIPE);
                test_eq(sluice_recv(&r->c, &m, sizeof m, SLUICE_NOW), -EPIPE);
                test_eq(sluice_release(&r->c), -EINVAL);
        }
        test_eq(sluice_producer_attach(&r->p, r->mem, r->bytes), 0);
        test_eq(sluice_producer_messages(&r->p), 2);
        test_expect_empty(r);
        test_eq(test_send(r, 2, 6), 0);
        test_expect(r, 2, 6);
}

TEST_EACH(detach, shows_epipe_from_every_offset, 4)
{
        for (size_t unit = 0; unit < 4; unit++) {
                struct sluice_message m;

                test_go_to(r, unit);
                sluice_producer_detach(&r->p);
                test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), -EPIPE);
                test_eq(sluice_producer_attach(&r->p, r->mem, r->bytes), 0);
                test_expect_empty(r);
        }
}

TEST_EACH(detach, of_the_consumer_returns_epipe_when_room_is_looked_for, 4)
{
        uint64_t n = 0;
        int e;

        sluice_consumer_detach(&r->c);
        while ((e = test_send(r, n, 0)) == 0)
                test_check(++n < 4);
        test_eq(n, 3);
        test_eq(e, -EPIPE);
        test_eq(sluice_send(&r->p, "", 0, SLUICE_FOREVER), -EPIPE);
        test_eq(sluice_consumer_attach(&r->c, r->mem, r->bytes), 0);
        test_eq(test_send(r, n, 0), -EAGAIN);
        for (uint64_t i = 0; i < n; i++)
                test_expect(r, i, 0);
        test_eq(test_send(r, n, 0), 0);
        test_expect(r, n, 0);
}

TEST_EACH(detach, keeps_refusing_while_the_consumer_is_gone, 4)
{
        for (uint64_t i = 0; i < 3; i++)
                test_eq(test_send(r, i, 0), 0);
        for (uint64_t i = 0; i < 3; i++)
                test_expect(r, i, 0);
        sluice_consumer_detach(&r->c);
        for (int i = 0; i < 5; i++)
                test_eq(test_send(r, 3, 0), -EPIPE);
}

TEST_EACH(detach, leaves_a_handle_that_answers_einval, 4)
{
        struct sluice_message m;
        void *payload;

        for (uint64_t i = 0; i < 2; i++) {
                test_eq(test_send(r, i, 0), 0);
                test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
                if (i == 0)
                        test_eq(sluice_advance(&r->c), 0);
        }
        test_eq(sluice_reserve(&r->p, 0, &payload, SLUICE_NOW), 0);
        sluice_producer_detach(&r->p);
        sluice_producer_detach(&r->p);
        sluice_consumer_detach(&r->c);
        sluice_consumer_detach(&r->c);
        test_eq(sluice_reserve(&r->p, 0, &payload, SLUICE_NOW), -EINVAL);
        test_eq(sluice_stage(&r->p, 0), -EINVAL);
        test_eq(sluice_commit(&r->p, 0), -EINVAL);
        test_eq(sluice_publish(&r->p), -EINVAL);
        test_eq(sluice_peek(&r->c, &m, SLUICE_FOREVER), -EINVAL);
        test_eq(sluice_advance(&r->c), -EINVAL);
        test_eq(sluice_release(&r->c), -EINVAL);
}

TEST_EACH(successor, of_the_consumer_gets_what_was_not_released, 16)
{
        struct sluice_message m;
        uint64_t position[3];

        for (unsigned i = 0; i < 4; i++)
                test_eq(test_send(r, i, i), 0);
        test_expect(r, 0, 0);
        for (int i = 0; i < 3; i++) {
                test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
                position[i] = m.position;
                test_eq(sluice_advance(&r->c), 0);
        }
        test_expect_empty(r);
        test_eq(sluice_consumer_attach(&r->c, r->mem, r->bytes), 0);
        test_eq(sluice_consumer_messages(&r->c), 1);
        for (unsigned i = 1; i < 4; i++)
                test_eq(test_expect(r, i, i), position[i - 1]);
}

TEST_EACH(successor, of_the_producer_forgets_what_was_staged, 16)
{
        test_eq(test_send(r, 0, 1), 0);
        test_eq(test_stage(r, 7, 2), 0);
        test_eq(test_stage(r, 8, 3), 0);
        test_eq(sluice_producer_attach(&r->p, r->mem, r->bytes), 0);
        test_eq(sluice_producer_messages(&r->p), 1);
        test_eq(sluice_publish(&r->p), 0);
        test_expect(r, 0, 1);
        test_expect_empty(r);
        test_eq(test_send(r, 1, 9), 0);
        test_expect(r, 1, 9);
        test_expect_empty(r);
}
