/* SPDX-License-Identifier: MIT */
/*
 * The ring against the array model, over all sequences of operations up
 * to a depth. After each operation everything that can be seen is
 * compared. An operation that fails must leave no trace, and ends its
 * branch. States that were met before with as many operations still to
 * go are not entered again: a state is the bytes of the shared memory
 * and of both handles, so nothing is lost by that.
 */
#include <stdlib.h>

#include "check.h"
#include "model.h"

enum operation {
        RESERVE_EMPTY,
        RESERVE_UNIT, /* fills one unit exactly */
        RESERVE_OVER, /* one byte more */
        RESERVE_LONGEST,
        RESERVE_TOO_LONG,
        COMMIT,
        COMMIT_SHORT,
        COMMIT_TOO_LONG,
        STAGE,
        STAGE_SHORT,
        PUBLISH,
        ABORT,
        PEEK,
        ADVANCE,
        RELEASE,
        RECV,
        RECV_TOO_LONG,
        DRAIN,
        NEW_PRODUCER,
        NEW_CONSUMER,
        OPERATIONS
};

static const char *const operation_name[OPERATIONS] = {
        "reserve 0", "reserve unit", "reserve unit+1", "reserve longest", "reserve too long",
        "commit",    "commit short", "commit longer",  "stage",           "stage short",
        "publish",   "abort",        "peek",           "advance",         "release",
        "recv",      "recv small",   "drain",          "new producer",    "new consumer"};

#define DEEPEST    24
#define RING_MAX   2048
#define SEEN_SLOTS (1u << 21)

struct state {
        struct sluice_producer p;
        struct sluice_consumer c;
        struct model m;
        void *payload;
        unsigned char halves[8192];
        unsigned char ring[RING_MAX];
};

static struct {
        struct test_rig rig;
        struct model m;
        void *payload; /* of the reserved message */
        struct state saved[DEEPEST];
        enum operation path[DEEPEST];
        unsigned depth;
        uint64_t run;
        struct {
                uint64_t state;
                unsigned left;
        } * seen;
} t;

static void save(struct state *to)
{
        to->p = t.rig.p;
        to->c = t.rig.c;
        to->m = t.m;
        to->payload = t.payload;
        memcpy(to->halves, t.rig.mem + 4096, 512);
        memcpy(to->halves + 4096, t.rig.mem + 8192, 384);
        memcpy(to->ring, t.rig.mem + 12288, t.rig.geometry.capacity);
}

static void restore(const struct state *from)
{
        t.rig.p = from->p;
        t.rig.c = from->c;
        t.m = from->m;
        t.payload = from->payload;
        memcpy(t.rig.mem + 4096, from->halves, 512);
        memcpy(t.rig.mem + 8192, from->halves + 4096, 384);
        memcpy(t.rig.mem + 12288, from->ring, t.rig.geometry.capacity);
}

static uint64_t hash_of(uint64_t hash, const void *from, size_t len)
{
        const unsigned char *bytes = from;
        uint64_t word;

        for (size_t i = 0; i + 8 <= len; i += 8) {
                memcpy(&word, bytes + i, 8);
                hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
                hash ^= hash >> 29;
        }
        return hash;
}

/* All that decides what later operations do: not the counters, and not
 * the epochs. */
static uint64_t state_hash(void)
{
        uint64_t h = 1;

        h = hash_of(h, &t.rig.p, offsetof(struct sluice_producer, unused));
        h = hash_of(h, &t.rig.c, offsetof(struct sluice_consumer, unused));
        h = hash_of(h, t.rig.mem + 4096, 8);
        h = hash_of(h, t.rig.mem + 4096 + 256, 32);
        h = hash_of(h, t.rig.mem + 8192 + 128, 32);
        h = hash_of(h, t.rig.mem + 12288, t.rig.geometry.capacity);
        h = hash_of(h, &t.m.published, sizeof t.m - offsetof(struct model, published));
        return h ? h : 1;
}

static int enter(unsigned left)
{
        const uint64_t h = state_hash();

        for (uint64_t i = h;; i++) {
                const uint64_t at = i % SEEN_SLOTS;

                if (t.seen[at].state == 0 || (t.seen[at].state == h && t.seen[at].left < left)) {
                        t.seen[at].state = h;
                        t.seen[at].left = left;
                        return 1;
                }
                if (t.seen[at].state == h)
                        return 0;
                if (i - h > 64)
                        return 1; /* long run of used entries: a duplicate does no harm */
        }
}

static void compare_message(const struct sluice_message *m, const struct model_message *expected)
{
        test_eq(m->len, expected->len);
        test_eq(m->tag, expected->tag);
        test_eq(m->position, expected->position);
        test_check((const unsigned char *)m->data ==
                   t.rig.mem + 12288 + expected->position % t.m.capacity + 8);
        test_check(test_matches(m->data, m->len, expected->number));
}

static int reserve(size_t len)
{
        void *payload = NULL;
        const int expected = model_reserve(&t.m, len);

        test_eq(sluice_reserve(&t.rig.p, len, &payload, SLUICE_NOW), expected);
        if (expected == 0) {
                t.payload = payload;
                test_check((unsigned char *)payload ==
                           t.rig.mem + 12288 + model_place(&t.m, len) % t.m.capacity + 8);
        }
        return expected;
}

/* Finishes the reserved message; a refused one leaves its tag alone. */
static int end_message(int publish, size_t len)
{
        const uint64_t number = t.m.messages_released + t.m.finished;
        const uint32_t tag = (uint32_t)number;
        const int expected = publish ? model_commit(&t.m, len, tag) : model_stage(&t.m, len, tag);

        if (expected == 0) {
                test_fill(t.payload, len, number);
                sluice_set_tag(&t.rig.p, tag);
        }
        test_eq(publish ? sluice_commit(&t.rig.p, len) : sluice_stage(&t.rig.p, len), expected);
        return expected;
}

static int peek(void)
{
        struct model_message expected;
        struct sluice_message m;
        const int r = model_peek(&t.m, &expected);

        test_eq(sluice_peek(&t.rig.c, &m, SLUICE_NOW), r);
        if (r == 0)
                compare_message(&m, &expected);
        return r;
}

static int receive(int too_small)
{
        unsigned char buf[RING_MAX];
        struct model_message expected;
        const int r = model_peek(&t.m, &expected);

        if (r != 0) {
                test_eq(sluice_recv(&t.rig.c, buf, sizeof buf, SLUICE_NOW), r);
                return r;
        }
        if (too_small && expected.len > 0) {
                test_eq(sluice_recv(&t.rig.c, buf, expected.len - 1, SLUICE_NOW), -EMSGSIZE);
                return 0; /* it is peeked now */
        }
        test_eq(sluice_recv(&t.rig.c, buf, expected.len, SLUICE_NOW), expected.len);
        test_check(test_matches(buf, expected.len, expected.number));
        test_eq(model_release(&t.m), 0);
        return 0;
}

static int handler(void *ctx, const struct sluice_message *m)
{
        struct model_message expected;

        (void)ctx;
        test_eq(model_peek(&t.m, &expected), 0);
        compare_message(m, &expected);
        test_eq(model_release(&t.m), 0);
        return 0;
}

static int drain(void)
{
        const unsigned there = t.m.visible - t.m.passed;

        test_eq(sluice_drain(&t.rig.c, handler, NULL, 2), there < 2 ? there : 2);
        return there ? 0 : -EAGAIN;
}

static int take_over(int producer)
{
        if (producer) {
                model_producer_joins(&t.m);
                test_eq(sluice_producer_attach(&t.rig.p, t.rig.mem, t.rig.bytes), 0);
        } else {
                model_consumer_joins(&t.m);
                test_eq(sluice_consumer_attach(&t.rig.c, t.rig.mem, t.rig.bytes), 0);
        }
        return 0;
}

static int perform(enum operation o)
{
        const size_t longest = model_longest(&t.m), unit = (size_t)t.m.align - 8;
        int expected;

        switch (o) {
        case RESERVE_EMPTY:
                return reserve(0);
        case RESERVE_UNIT:
                return unit == 0 ? -EAGAIN : reserve(unit);
        case RESERVE_OVER:
                return reserve(unit + 1);
        case RESERVE_LONGEST:
                return reserve(longest);
        case RESERVE_TOO_LONG:
                return reserve(longest + 1);
        case COMMIT:
                return end_message(1, t.m.reserved);
        case COMMIT_SHORT:
                return end_message(1, t.m.reserved / 3);
        case COMMIT_TOO_LONG:
                return end_message(1, t.m.reserved + 1);
        case STAGE:
                return end_message(0, t.m.reserved);
        case STAGE_SHORT:
                return end_message(0, t.m.reserved / 3);
        case PUBLISH:
                test_eq(sluice_publish(&t.rig.p), model_publish(&t.m));
                return 0;
        case ABORT:
                sluice_abort(&t.rig.p);
                model_abort(&t.m);
                return 0;
        case PEEK:
                return peek();
        case ADVANCE:
                expected = model_advance(&t.m);
                test_eq(sluice_advance(&t.rig.c), expected);
                return expected;
        case RELEASE:
                expected = model_release(&t.m);
                test_eq(sluice_release(&t.rig.c), expected);
                return expected;
        case RECV:
                return receive(0);
        case RECV_TOO_LONG:
                return receive(1);
        case DRAIN:
                return drain();
        case NEW_PRODUCER:
                return take_over(1);
        default:
                return take_over(0);
        }
}

static void compare(void)
{
        test_eq(sluice_producer_position(&t.rig.p), t.m.published);
        test_eq(sluice_producer_messages(&t.rig.p), t.m.messages_published);
        test_eq(sluice_consumer_position(&t.rig.c), t.m.released);
        test_eq(sluice_consumer_messages(&t.rig.c), t.m.messages_released);
        test_eq(test_peek_word(&t.rig, t.m.published), 0);
        /* Messages that the consumer has not released lie as they were. */
        for (unsigned i = 0; i < t.m.visible; i++) {
                const struct model_message *m = &t.m.message[i];

                test_eq(test_peek_word(&t.rig, m->position),
                        (uint64_t)m->tag << 32 | m->len << 3 | 1);
                test_check(test_matches((const unsigned char *)test_word(&t.rig, m->position) + 8,
                                        m->len, m->number));
        }
}

/* Nothing but what nobody promises has changed. */
static void compare_untouched(const struct state *before)
{
        test_check(memcmp(before->ring, t.rig.mem + 12288, t.rig.geometry.capacity) == 0);
        test_check(memcmp(before->halves, t.rig.mem + 4096, 384) == 0);
        test_check(memcmp(before->halves + 4096, t.rig.mem + 8192, 256) == 0);
        test_eq(t.rig.p.tail, before->p.tail);
        test_eq(sluice_producer_position(&t.rig.p), sluice_producer_position(&before->p));
        test_eq(t.rig.p.reserved, before->p.reserved);
        test_eq(t.rig.p.staged, before->p.staged);
        test_eq(t.rig.c.next, before->c.next);
        test_eq(t.rig.c.held, before->c.held);
        test_eq(t.rig.c.word, before->c.word);
}

static void say_path(void)
{
        size_t n = (size_t)snprintf(
                test_context, sizeof test_context,
                "capacity %zu, align %u, first %#llx: ", t.rig.geometry.capacity,
                t.rig.geometry.record_align, (unsigned long long)t.rig.geometry.first_position);

        for (unsigned i = 0; i <= t.depth && n < sizeof test_context; i++)
                n += (size_t)snprintf(test_context + n, sizeof test_context - n, "%s%s",
                                      i ? ", " : "", operation_name[t.path[i]]);
}

static void descend(unsigned depth, unsigned deepest)
{
        struct state *here = &t.saved[depth];

        save(here);
        for (enum operation o = 0; o < OPERATIONS; o++) {
                t.path[depth] = o;
                t.depth = depth;
                t.run++;
                if (perform(o) != 0) {
                        compare_untouched(here);
                        restore(here);
                        continue;
                }
                memset(&t.rig.c.pace, 0, sizeof t.rig.c.pace);
                t.rig.p.base.polls = t.rig.c.base.polls = 0;
                compare();
                if (depth + 1 < deepest && enter(deepest - depth - 1))
                        descend(depth + 1, deepest);
                restore(here);
        }
}

static void explore(size_t units, uint32_t align, uint64_t first, unsigned deepest)
{
        test_open(&t.rig, units, align, first);
        t.seen = calloc(SEEN_SLOTS, sizeof *t.seen);
        test_check(t.seen != NULL);
        model_init(&t.m, units * align, align, first);
        t.run = 0;
        test_locate = say_path;
        descend(0, deepest);
        test_locate = NULL;
        test_check(t.run > 10000);
        free(t.seen);
        test_rig_close(&t.rig);
}

#ifndef DEPTH
#define DEPTH 10
#endif

Test(model, agrees_over_all_sequences_in_the_smallest_ring)
{
        for (int f = 0; f < TEST_FIRSTS; f++) {
                explore(4, 8, test_first(f, 8), DEPTH);
                explore(4, 64, test_first(f, 64), DEPTH);
        }
}

Test(model, agrees_over_all_sequences_in_a_ring_of_eight_units)
{
        explore(8, 8, test_first(0, 8), DEPTH - 1);
        explore(8, 64, test_first(2, 64), DEPTH - 1);
}
