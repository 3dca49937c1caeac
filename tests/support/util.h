/* SPDX-License-Identifier: MIT */
#ifndef TEST_UTIL_H
#define TEST_UTIL_H
/*
 * A ring on the heap with both its endpoints, in every geometry that the
 * tests care for, and message contents that betray a byte out of place.
 * Knows no test framework: the fuzz harnesses use it too.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sluice/ring.h"

struct test_rig {
        unsigned char *mem;
        size_t bytes;
        struct sluice_geometry geometry;
        struct sluice_producer p;
        struct sluice_consumer c;
};

/* Memory aligned to 128 and not a byte longer than asked for, filled with
 * garbage. Never NULL. */
unsigned char *test_memory(size_t bytes);
void test_memory_free(unsigned char *mem);

/* Where a queue begins: 0, just below 2^32, just below 2^64. */
#define TEST_FIRSTS 3
uint64_t test_first(int which, uint32_t align);

#define TEST_ALIGNS 4
extern const uint32_t test_align[TEST_ALIGNS];

/* The contents of message `number`. */
unsigned char test_byte(uint64_t number, size_t i);
void test_fill(void *to, size_t len, uint64_t number);
/* 1: these are the contents of that message. */
int test_matches(const void *from, size_t len, uint64_t number);

/* A repeatable stream of numbers. */
uint64_t test_random(uint64_t *state);

/* Formats and joins both sides; 0 or what failed. */
static inline int test_rig_open(struct test_rig *r, size_t capacity, uint32_t align, uint64_t first)
{
        int e;

        memset(r, 0, sizeof *r);
        r->geometry.capacity = capacity;
        r->geometry.record_align = align;
        r->geometry.first_position = first;
        r->bytes = sluice_ring_bytes(&r->geometry);
        r->mem = test_memory(r->bytes);
        e = sluice_ring_format(r->mem, r->bytes, &r->geometry);
        if (e == 0)
                e = sluice_producer_attach(&r->p, r->mem, r->bytes);
        if (e == 0)
                e = sluice_consumer_attach(&r->c, r->mem, r->bytes);
        return e;
}

static inline void test_rig_close(struct test_rig *r)
{
        test_memory_free(r->mem);
        r->mem = NULL;
}

static inline size_t test_rig_units(const struct test_rig *r)
{
        return r->geometry.capacity / r->geometry.record_align;
}

/* Bytes that a message of len takes, said without the library. */
static inline uint64_t test_record(const struct test_rig *r, size_t len)
{
        const uint64_t align = r->geometry.record_align;

        return (len + 8 + align - 1) / align * align;
}

static inline size_t test_longest(const struct test_rig *r)
{
        return r->geometry.capacity / 2 - 8;
}

static inline struct sluice_layout_consumer *test_consumer_half(const struct test_rig *r)
{
        return (struct sluice_layout_consumer *)(void *)(r->mem + 4096);
}

static inline struct sluice_layout_producer *test_producer_half(const struct test_rig *r)
{
        return (struct sluice_layout_producer *)(void *)(r->mem + 8192);
}

/* The shared word at a position. */
static inline sluice_word *test_word(const struct test_rig *r, uint64_t position)
{
        const uint64_t off = position % r->geometry.capacity;

        return (sluice_word *)(void *)(r->mem + 12288 + off);
}

static inline uint64_t test_peek_word(const struct test_rig *r, uint64_t position)
{
        uint64_t word;

        memcpy(&word, (const void *)test_word(r, position), sizeof word);
        return word;
}

/* What a hostile peer does. */
static inline void test_poke(sluice_word *word, uint64_t value)
{
        memcpy((void *)word, &value, sizeof value);
}

#endif
