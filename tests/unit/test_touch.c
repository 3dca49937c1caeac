/* SPDX-License-Identifier: MIT */
/* A consumer that takes lines over stores to what it has read and not yet
 * released, once to each line, the value that is there; and nowhere else. */
#define SLUICE_ATOMIC_HEADER "atomic_hook.h"
#include "check.h"

static struct {
        const unsigned char *ring;
        size_t capacity;
        const void *position; /* of the consumer, in its half */
        uint64_t from, to;    /* what may be touched */
        unsigned lines, released;
} t;

static void stored(const void *where, size_t len)
{
        const size_t off = (size_t)((const unsigned char *)where - t.ring);

        if (where == t.position)
                t.released++;
        if (off >= t.capacity) /* not in the ring */
                return;
        test_eq(len, 8);
        test_eq(off % 8, 0);
        test_eq(t.released, 0); /* the producer's again */
        test_check(((off - t.from) & (t.capacity - 1)) < t.to - t.from);
        t.lines++;
}

static unsigned lines_of(uint64_t from, uint64_t to)
{
        return (unsigned)((to + 63) / 64 - from / 64);
}

/* Releases what was received since, and watches. */
static void expect_release(struct test_rig *r, unsigned char *before)
{
        t.ring = r->mem + 12288;
        t.capacity = r->geometry.capacity;
        t.position = &test_consumer_half(r)->position;
        t.from = sluice_consumer_position(&r->c);
        t.to = r->c.next + r->c.bytes;
        t.lines = t.released = 0;
        memcpy(before, t.ring, t.capacity);
        test_hook_stored = stored;
        test_eq(sluice_release(&r->c), 0);
        test_hook_stored = NULL;
        test_check(memcmp(before, t.ring, t.capacity) == 0);
        test_eq(t.released, 1);
}

TEST_EACH(touch, stores_once_to_each_line_and_changes_nothing, 64)
{
        unsigned char *const before = test_memory(r->geometry.capacity);
        struct sluice_message m;
        uint64_t number = 0;

        r->c.pace.way = SLUICE_PRIV_TOUCH;
        for (size_t len = 0; len <= test_longest(r); len += 1 + len / 8)
                for (unsigned n = 1; n <= 3; n++) {
                        if (n * test_record(r, len) > r->geometry.capacity / 2)
                                break;
                        for (unsigned i = 0; i < n; i++)
                                test_eq(test_send(r, number + i, len), 0);
                        for (unsigned i = 0; i < n; i++) {
                                test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
                                test_check(test_matches(m.data, len, number + i));
                                if (i + 1 < n)
                                        test_eq(sluice_advance(&r->c), 0);
                        }
                        expect_release(r, before);
                        test_eq(t.lines, lines_of(t.from, t.to));
                        number += n;
                }
        test_memory_free(before);
}

TEST_EACH(touch, is_not_done_by_others, 64)
{
        unsigned char *const before = test_memory(r->geometry.capacity);
        struct sluice_message m;

        test_eq(test_send(r, 1, 100), 0);
        test_eq(sluice_peek(&r->c, &m, SLUICE_NOW), 0);
        expect_release(r, before);
        test_eq(t.lines, 0);
        test_memory_free(before);
}
