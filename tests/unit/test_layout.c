/* SPDX-License-Identifier: MIT */
/* The shared memory byte by byte: the numbers here are the ABI. */
#include "check.h"

#define AT(type, field) offsetof(struct sluice_layout_##type, field)

static uint64_t u64_at(const unsigned char *mem, size_t off)
{
        uint64_t value;

        memcpy(&value, mem + off, sizeof value);
        return value;
}

static uint32_t u32_at(const unsigned char *mem, size_t off)
{
        uint32_t value;

        memcpy(&value, mem + off, sizeof value);
        return value;
}

Test(layout, places_the_parts_on_pages)
{
        test_eq(SLUICE_LAYOUT_PAGE, 4096);
        test_eq(SLUICE_LAYOUT_CONSUMER, 4096);
        test_eq(SLUICE_LAYOUT_PRODUCER, 8192);
        test_eq(SLUICE_LAYOUT_RING, 12288);
}

Test(layout, places_every_header_field)
{
        test_eq(AT(header, magic), 0);
        test_eq(AT(header, version), 8);
        test_eq(AT(header, byte_order), 12);
        test_eq(AT(header, capacity_bytes), 16);
        test_eq(AT(header, record_align), 24);
        test_eq(AT(header, first_position), 32);
        test_eq(AT(header, consumer_offset), 40);
        test_eq(AT(header, producer_offset), 48);
        test_eq(AT(header, ring_offset), 56);
        test_eq(AT(header, total_bytes), 64);
        test_eq(AT(header, generation), 72);
        test_eq(AT(header, device), 80);
        test_eq(AT(header, inode), 88);
        test_eq(AT(header, name), 256);
        test_eq(sizeof(struct sluice_layout_header), 1280);
}

Test(layout, places_every_word_of_the_halves)
{
        test_eq(AT(consumer, position), 0);
        test_eq(AT(consumer, doorbell.parked), 128);
        test_eq(AT(consumer, doorbell.state), 136);
        test_eq(AT(consumer, doorbell.hint), 144);
        test_eq(AT(consumer, progress.slot[0].messages), 256);
        test_eq(AT(consumer, progress.slot[0].position), 264);
        test_eq(AT(consumer, progress.slot[1].messages), 272);
        test_eq(AT(consumer, progress.slot[1].position), 280);
        test_eq(AT(consumer, counters.pid), 384);
        test_eq(AT(consumer, counters.stalls), 392);
        test_eq(AT(consumer, counters.parks), 400);
        test_eq(AT(consumer, counters.wakes), 408);
        test_eq(AT(consumer, counters.high_water), 416);
        test_eq(AT(consumer, counters.torn), 424);
        test_eq(AT(producer, doorbell.parked), 0);
        test_eq(AT(producer, doorbell.state), 8);
        test_eq(AT(producer, doorbell.hint), 16);
        test_eq(AT(producer, progress.slot[0].messages), 128);
        test_eq(AT(producer, progress.slot[1].position), 152);
        test_eq(AT(producer, counters.pid), 256);
}

Test(layout, gives_every_flag_its_value)
{
        test_eq(SLUICE_LAYOUT_MAGIC, 0x00656369756c7300);
        test_eq(SLUICE_LAYOUT_VERSION, 1);
        test_eq(SLUICE_LAYOUT_BYTE_ORDER, 0x01020304);
        test_eq(SLUICE_LAYOUT_PARKED, 1);
        test_eq(SLUICE_LAYOUT_BY_FIFO, 2);
        test_eq(SLUICE_LAYOUT_ATTACHED, 1);
        test_eq(SLUICE_LAYOUT_CLOSED, 2);
        test_eq(SLUICE_LAYOUT_FENCELESS, 4);
        test_eq(SLUICE_LAYOUT_MUTE, 8);
        test_eq(SLUICE_LAYOUT_EPOCH, 256);
        test_eq(SLUICE_LAYOUT_POSITION_CLOSED, 1);
        test_eq(SLUICE_LAYOUT_WHOLE, 1);
        test_eq(SLUICE_LAYOUT_FIRST, 2);
        test_eq(SLUICE_LAYOUT_MIDDLE, 3);
        test_eq(SLUICE_LAYOUT_LAST, 4);
        test_eq(SLUICE_LAYOUT_PADDING, 5);
        test_eq(SLUICE_LAYOUT_PACKED, 6);
        test_eq(SLUICE_LAYOUT_KIND, 7);
        test_eq(SLUICE_LAYOUT_END, 8);
        test_eq(SLUICE_LAYOUT_SPARSE, 1);
        test_eq(SLUICE_WHOLE, 0);
        test_eq(SLUICE_FIRST, 1);
        test_eq(SLUICE_MIDDLE, 2);
        test_eq(SLUICE_LAST, 3);
}

Test(layout, packs_kind_length_and_tag)
{
        test_eq(sluice_priv_header_word(1, 0, 0), 1);
        test_eq(sluice_priv_header_word(1, 1, 0), 9);
        test_eq(sluice_priv_header_word(5, 56, 0), 453);
        test_eq(sluice_priv_header_word(1, 0x17ffffff, 0x89abcdef), 0x89abcdefbffffff9);
        test_eq(sluice_priv_header_len(0x89abcdefbffffff9), 0x17ffffff);
        test_eq(sluice_priv_header_len(UINT64_MAX), 0x1fffffff);
        test_eq(sluice_priv_header_len(UINT64_C(0xffffffff00000007)), 0);
}

Test(layout, tells_messages_from_the_other_kinds)
{
        for (uint64_t kind = 0; kind < 8; kind++) {
                test_at("kind %llu", (unsigned long long)kind);
                test_eq(sluice_priv_is_data(kind), kind >= 1 && kind <= 4);
                test_eq(sluice_priv_is_data(UINT64_C(0x89abcdefbffffff8) | kind),
                        kind >= 1 && kind <= 4);
        }
        test_eq(sluice_priv_message_kind(1), SLUICE_WHOLE);
        test_eq(sluice_priv_message_kind(UINT64_MAX - 5), SLUICE_FIRST);
        test_eq(sluice_priv_message_kind(3), SLUICE_MIDDLE);
        test_eq(sluice_priv_message_kind(4), SLUICE_LAST);
        test_eq(sluice_priv_message_kind(6), SLUICE_WHOLE);
}

/* Wherever it begins: a packed one at a multiple of 8, others at one of the
 * alignment. */
Test(layout, ends_records_at_the_alignment_or_packed)
{
        for (uint64_t align = 8; align <= 128; align *= 2) {
                const uint64_t from = UINT64_MAX - 1023;

                test_at("align %llu", (unsigned long long)align);
                test_eq(sluice_priv_record_end(0, 1, align - 1), align);
                test_eq(sluice_priv_record_end(0, (align - 7) << 3 | 4, align - 1), 2 * align);
                test_eq(sluice_priv_record_end(align - 8, 5, align - 1), align);
                test_eq(sluice_priv_record_end(align, 6, align - 1), align + 8);
                test_eq(sluice_priv_record_end(0, 9 << 3 | 6, align - 1), 24);
                test_eq(sluice_priv_record_end(from + 8, 6, align - 1), from + 16);
                test_eq(sluice_priv_record_end(from + 896, 120 << 3 | 3, align - 1), 0);
        }
}

Test(layout, rounds_records_up_to_the_alignment)
{
        for (uint64_t align = 8; align <= 128; align *= 2) {
                test_at("align %llu", (unsigned long long)align);
                test_eq(sluice_priv_record_bytes(0, align - 1), align);
                test_eq(sluice_priv_record_bytes(align - 8, align - 1), align);
                test_eq(sluice_priv_record_bytes(align - 7, align - 1), 2 * align);
                test_eq(sluice_priv_record_bytes(align, align - 1), 2 * align);
                test_eq(sluice_priv_record_bytes((1u << 30) - 8, align - 1), 1 << 30);
        }
}

static void formatted_header_says_what_it_is(const struct test_rig *r)
{
        const unsigned char *h = r->mem;

        test_check(memcmp(h, "\0sluice\0", 8) == 0);
        test_eq(u32_at(h, 8), 1);
        test_check(memcmp(h + 12, "\4\3\2\1", 4) == 0);
        test_eq(u64_at(h, 16), r->geometry.capacity);
        test_eq(u32_at(h, 24), r->geometry.record_align);
        test_eq(u32_at(h, 28), 0);
        test_eq(u64_at(h, 32), r->geometry.first_position);
        test_eq(u64_at(h, 40), 4096);
        test_eq(u64_at(h, 48), 8192);
        test_eq(u64_at(h, 56), 12288);
        test_eq(u64_at(h, 64), 12288 + r->geometry.capacity);
        for (size_t i = 72; i < 4096; i++)
                test_eq(h[i], 0);
}

/* Zero but for the words that start at the first position. */
static void formatted_halves_are_empty(const struct test_rig *r)
{
        const size_t position[] = {4096 + 0, 4096 + 264, 4096 + 280, 8192 + 136, 8192 + 152};

        for (size_t i = 4096; i < 12288; i += 8) {
                uint64_t expected = 0;

                for (size_t k = 0; k < sizeof position / sizeof *position; k++)
                        if (position[k] == i)
                                expected = r->geometry.first_position;
                test_at("offset %zu, first %#llx", i,
                        (unsigned long long)r->geometry.first_position);
                test_eq(u64_at(r->mem, i), expected);
        }
}

TEST_EACH(format, writes_what_the_layout_says, 4)
{
        const size_t bytes = sluice_ring_bytes(&r->geometry);

        test_eq(bytes, 12288 + r->geometry.capacity);
        memset(r->mem, 0xa5, bytes);
        test_eq(sluice_ring_format(r->mem, bytes, &r->geometry), 0);
        formatted_header_says_what_it_is(r);
        formatted_halves_are_empty(r);
        test_eq(test_peek_word(r, r->geometry.first_position), 0);
}

Test(format, takes_defaults_for_zero_and_null)
{
        const struct sluice_geometry zero = {0, 0, 0, 0, 0, 0};
        const size_t bytes = sluice_ring_bytes(NULL);
        unsigned char *mem = test_memory(bytes);

        test_eq(bytes, 12288 + 262144);
        test_eq(sluice_ring_bytes(&zero), bytes);
        test_eq(sluice_ring_format(mem, bytes, NULL), 0);
        test_eq(u64_at(mem, 16), 262144);
        test_eq(u32_at(mem, 24), 64);
        test_eq(u64_at(mem, 32), 0);
        test_memory_free(mem);
}

TEST_EACH(layout, publishes_records_as_documented, 8)
{
        const uint64_t first = r->geometry.first_position, align = r->geometry.record_align;
        const uint64_t align_mask = align - 1;
        uint64_t at = first;

        for (unsigned i = 0; i < 20; i++) {
                const size_t len = i % 3 == 0 ? 5 : (size_t)align_mask;
                const uint64_t bytes = test_record(r, len), cap = r->geometry.capacity;
                uint64_t rest = cap - at % cap;

                test_eq(test_send(r, i, len), 0);
                if (bytes > rest) {
                        test_eq(test_peek_word(r, at), (rest - 8) << 3 | 5);
                        at += rest;
                }
                test_eq(test_peek_word(r, at), (uint64_t)i << 32 | len << 3 | 1);
                test_check(test_matches((const unsigned char *)test_word(r, at) + 8, len, i));
                at += bytes;
                test_eq(test_peek_word(r, at), 0);
                test_eq(sluice_producer_position(&r->p), at);
                test_expect(r, i, len);
                test_eq(u64_at(r->mem, 4096), at);
        }
        sluice_producer_detach(&r->p);
        test_eq(test_peek_word(r, at), 8);
        test_eq(u64_at(r->mem, 8192 + 8) & 3, SLUICE_LAYOUT_ATTACHED | SLUICE_LAYOUT_CLOSED);
        sluice_consumer_detach(&r->c);
        test_eq(u64_at(r->mem, 4096), at | 1);
        test_eq(u64_at(r->mem, 4096 + 136) & 3, SLUICE_LAYOUT_ATTACHED | SLUICE_LAYOUT_CLOSED);
}
