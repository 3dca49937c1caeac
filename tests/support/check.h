/* SPDX-License-Identifier: MIT */
#ifndef TEST_CHECK_H
#define TEST_CHECK_H
/*
 * Assertions that are cheap enough for inner loops and say in which
 * geometry and at which step they failed. Criterion shows the line.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "util.h"

/* Where the test is, shown with a failure. */
static char test_context[400] = "start";
/* Writes the context only once it is needed, where it changes often. */
static void (*test_locate)(void);

static __attribute__((unused)) const char *test_where(void)
{
        if (test_locate)
                test_locate();
        return test_context;
}

static __attribute__((format(printf, 1, 2), unused)) void test_at(const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(test_context, sizeof test_context, format, arguments);
        va_end(arguments);
}

#define test_check(condition)                                                  \
        do {                                                                   \
                if (!(condition))                                              \
                        cr_fatal("[%s] not so: %s", test_where(), #condition); \
        } while (0)

#define test_eq(actual, expected)                                                             \
        do {                                                                                  \
                const long long test_a = (long long)(actual), test_e = (long long)(expected); \
                if (test_a != test_e)                                                         \
                        cr_fatal("[%s] %s is %lld (%#llx), expected %s = %lld (%#llx)",       \
                                 test_where(), #actual, test_a, (unsigned long long)test_a,   \
                                 #expected, test_e, (unsigned long long)test_e);              \
        } while (0)

static __attribute__((unused)) void test_open(struct test_rig *r, size_t units, uint32_t align,
                                              uint64_t first)
{
        test_at("capacity %zu, align %u, first %#llx", units * align, (unsigned)align,
                (unsigned long long)first);
        test_eq(test_rig_open(r, units * align, align, first), 0);
}

/* Calls body with a fresh rig for every alignment and first position. */
static __attribute__((unused)) void test_each(size_t units, void (*body)(struct test_rig *r))
{
        for (int a = 0; a < TEST_ALIGNS; a++) {
                for (int f = 0; f < TEST_FIRSTS; f++) {
                        struct test_rig r;

                        test_open(&r, units, test_align[a], test_first(f, test_align[a]));
                        body(&r);
                        test_rig_close(&r);
                }
        }
}

/* A test that runs in rings of so many records of the smallest size, for
 * every alignment and first position; r is the rig. */
#define TEST_EACH(suite, name, units)                   \
        static void suite##_##name(struct test_rig *r); \
        Test(suite, name)                               \
        {                                               \
                test_each(units, suite##_##name);       \
        }                                               \
        static void suite##_##name(struct test_rig *r)

/* Sends message `number`, in place, tagged with its number. */
static __attribute__((unused)) int test_send(struct test_rig *r, uint64_t number, size_t len)
{
        void *payload;
        const int e = sluice_reserve(&r->p, len, &payload, SLUICE_NOW);

        if (e)
                return e;
        test_fill(payload, len, number);
        sluice_set_tag(&r->p, (uint32_t)number);
        return sluice_commit(&r->p, len);
}

/* The same, but only finished. */
static __attribute__((unused)) int test_stage(struct test_rig *r, uint64_t number, size_t len)
{
        void *payload;
        const int e = sluice_reserve(&r->p, len, &payload, SLUICE_NOW);

        if (e)
                return e;
        test_fill(payload, len, number);
        sluice_set_tag(&r->p, (uint32_t)number);
        return sluice_stage(&r->p, len);
}

/* The next message is this one; it is released. Returns its position. */
static __attribute__((unused)) uint64_t test_expect(struct test_rig *r, uint64_t number, size_t len)
{
        struct sluice_message m;

        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
        test_eq(m.len, len);
        test_eq(m.tag, (uint32_t)number);
        test_check(test_matches(m.data, m.len, number));
        test_check((const unsigned char *)m.data >= r->mem + 12288);
        test_check((const unsigned char *)m.data + len <= r->mem + r->bytes);
        test_check(((uintptr_t)m.data & 7) == 0);
        test_eq(sluice_release(&r->c), 0);
        return m.position;
}

static __attribute__((unused)) void test_expect_empty(struct test_rig *r)
{
        struct sluice_message m;

        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), -EAGAIN);
}

/* Moves both endpoints on by one message of so many units. */
static __attribute__((unused)) void test_pass(struct test_rig *r, size_t units)
{
        const size_t len = units * r->geometry.record_align - 8;

        test_eq(test_send(r, 77, len), 0);
        test_expect(r, 77, len);
}

/* Publishes n messages, all but the last of them packed, as no producer does
 * today, at a place where the ring does not end. A new producer then joins. */
static __attribute__((unused)) void test_send_packed(struct test_rig *r, uint64_t number,
                                                     const size_t *len, size_t n)
{
        const uint64_t align = r->geometry.record_align, begin = sluice_producer_position(&r->p);
        uint64_t at = begin, first = 0;

        for (size_t i = 0; i < n; i++) {
                const int packed = i + 1 < n;
                const uint64_t word = (number + i) << 32 | len[i] << 3 | (packed ? 6 : 1);

                test_fill((unsigned char *)test_word(r, at) + 8, len[i], number + i);
                if (i == 0)
                        first = word;
                else
                        test_poke(test_word(r, at), word);
                at = packed ? (at + len[i] + 15) / 8 * 8
                            : (at + len[i] + 8 + align - 1) & ~(align - 1);
        }
        test_check(begin % r->geometry.capacity < at % r->geometry.capacity);
        test_poke(test_word(r, at), 0);
        test_poke(test_word(r, begin), first);
        test_eq(sluice_producer_attach(&r->p, r->mem, r->bytes), 0);
        test_eq(sluice_producer_position(&r->p), at);
}

/* Until the next record would begin at this offset, counted in units. */
static __attribute__((unused)) void test_go_to(struct test_rig *r, size_t unit)
{
        const uint64_t off = unit * r->geometry.record_align;
        size_t steps = 0;

        while (sluice_producer_position(&r->p) % r->geometry.capacity != off) {
                test_check(steps++ < test_rig_units(r));
                test_pass(r, 1);
        }
}

#endif
