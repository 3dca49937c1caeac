/* SPDX-License-Identifier: MIT */
/*
 * Property: whatever both endpoints do, in any order and with any
 * lengths, alignment, capacity and first position, each call answers
 * what the array model answers, every message arrives once, in order,
 * whole, and nothing outside the ring is touched.
 *
 * Input: 3 bytes of geometry, then operations of 3 bytes each.
 */
#include <stdio.h>
#include <stdlib.h>

#include "model.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                  \
        do {                                                                                \
                if (!(condition)) {                                                         \
                        fprintf(stderr, "fuzz_model: line %d: %s\n", __LINE__, #condition); \
                        abort();                                                            \
                }                                                                           \
        } while (0)

struct run {
        struct test_rig rig;
        struct model m;
        unsigned char *payload;
        unsigned char *scratch; /* exactly as long as the longest message */
};

static int open_rig(struct run *t, const uint8_t *geometry)
{
        static const uint32_t aligns[] = {8, 16, 32, 64, 128};
        const uint32_t align = aligns[geometry[0] % 5];
        const size_t capacity = (size_t)align << (2 + geometry[1] % 5); /* 4 to 64 units */
        uint64_t first = test_first(geometry[2] % TEST_FIRSTS, align);

        first += (uint64_t)(geometry[2] / TEST_FIRSTS) * align;
        REQUIRE(test_rig_open(&t->rig, capacity, align, first) == 0);
        model_init(&t->m, capacity, align, first);
        REQUIRE(sluice_producer_max_len(&t->rig.p) == model_longest(&t->m));
        t->scratch = malloc(model_longest(&t->m) + 1);
        REQUIRE(t->scratch);
        return 0;
}

/* Any length; often one at a boundary. */
static size_t length(const struct run *t, unsigned a, unsigned b)
{
        const size_t longest = model_longest(&t->m), align = (size_t)t->m.align;

        switch (a % 8) {
        case 0:
                return 0;
        case 1:
                return longest;
        case 2:
                return longest + b % 4;
        case 3:
                return align * (b % 8) + align - 8;
        case 4:
                return align * (b % 8) + align - 7;
        case 5:
                return b % 16;
        default:
                return (a * 256u + b) % (longest + 1);
        }
}

static uint64_t next_number(const struct run *t)
{
        return t->m.messages_released + t->m.finished;
}

static void reserve(struct run *t, size_t len)
{
        const int expected = model_reserve(&t->m, len);
        void *payload = NULL;

        REQUIRE(sluice_reserve(&t->rig.p, len, &payload, SLUICE_NOW) == expected);
        if (expected != 0)
                return;
        t->payload = payload;
        REQUIRE(t->payload == t->rig.mem + 12288 + model_place(&t->m, len) % t->m.capacity + 8);
        memset(payload, 0xee, len);
}

static void finish(struct run *t, size_t len, int publish)
{
        const uint64_t number = next_number(t);
        const uint32_t tag = (uint32_t)(number * 2654435761u);
        const int allowed = t->m.have_reserved && len <= t->m.reserved;

        if (allowed) {
                test_fill(t->payload, len, number);
                sluice_set_tag(&t->rig.p, tag);
        }
        if (publish)
                REQUIRE(sluice_commit(&t->rig.p, len) == model_commit(&t->m, len, tag));
        else
                REQUIRE(sluice_stage(&t->rig.p, len) == model_stage(&t->m, len, tag));
}

static void send_copy(struct run *t, size_t len, size_t cut)
{
        const uint64_t number = next_number(t);
        struct iovec iov[2] = {{t->scratch, len}, {NULL, 0}};
        const int expected = model_reserve(&t->m, len);
        int r;

        if (len <= model_longest(&t->m)) {
                test_fill(t->scratch, len, number);
                if (cut <= len) {
                        iov[0].iov_len = cut;
                        iov[1].iov_base = t->scratch + cut;
                        iov[1].iov_len = len - cut;
                }
        }
        r = cut % 2 ? sluice_sendv(&t->rig.p, iov, 2, SLUICE_NOW)
                    : sluice_send(&t->rig.p, t->scratch, len, SLUICE_NOW);
        REQUIRE(r == expected);
        if (r == 0)
                REQUIRE(model_commit(&t->m, len, 0) == 0);
}

static void compare(const struct run *t, const struct sluice_message *m,
                    const struct model_message *expected)
{
        REQUIRE(m->len == expected->len && m->tag == expected->tag);
        REQUIRE(m->position == expected->position);
        REQUIRE((const unsigned char *)m->data ==
                t->rig.mem + 12288 + m->position % t->m.capacity + 8);
        REQUIRE(test_matches(m->data, m->len, expected->number));
}

static void peek(struct run *t)
{
        struct model_message expected;
        struct sluice_message m;
        const int r = model_peek(&t->m, &expected);

        REQUIRE(sluice_peek(&t->rig.c, &m, SLUICE_NOW) == r);
        if (r == 0)
                compare(t, &m, &expected);
}

static void receive(struct run *t, unsigned shorter)
{
        struct model_message expected;
        const int r = model_peek(&t->m, &expected);
        unsigned char *buf;
        size_t cap;
        ssize_t n;

        if (r != 0) {
                REQUIRE(sluice_recv(&t->rig.c, t->scratch, model_longest(&t->m), SLUICE_NOW) == r);
                return;
        }
        cap = expected.len - (shorter <= expected.len ? shorter : 0);
        buf = malloc(cap ? cap : 1);
        REQUIRE(buf);
        n = sluice_recv(&t->rig.c, buf, cap, SLUICE_NOW);
        if (cap < expected.len) {
                REQUIRE(n == -EMSGSIZE);
        } else {
                REQUIRE(n == (ssize_t)expected.len && test_matches(buf, cap, expected.number));
                REQUIRE(model_release(&t->m) == 0);
        }
        free(buf);
}

struct draining {
        struct run *t;
        unsigned left; /* stop when it is 0 */
        int answer;
};

static int handle(void *ctx, const struct sluice_message *m)
{
        struct draining *d = ctx;
        struct model_message expected;

        REQUIRE(model_peek(&d->t->m, &expected) == 0);
        compare(d->t, m, &expected);
        if (d->left-- == 0) {
                if (d->answer >= 0)
                        REQUIRE(model_release(&d->t->m) == 0);
                return d->answer;
        }
        REQUIRE(model_release(&d->t->m) == 0);
        return 0;
}

static void drain(struct run *t, unsigned a, unsigned b)
{
        struct draining d = {t, a % 8, b % 2 ? 1 : -EIO};
        const unsigned there = t->m.visible - t->m.passed, max = b / 2 % 16;
        const ssize_t n = sluice_drain(&t->rig.c, handle, &d, max);
        unsigned expected = there < max ? there : max;

        if (a % 8 < expected) {
                expected = a % 8 + (d.answer > 0);
                REQUIRE(n == (expected ? (ssize_t)expected : -EIO));
        } else if (expected == 0 && max > 0 && t->m.producer_left) {
                REQUIRE(n == -EPIPE);
        } else {
                REQUIRE(n == (ssize_t)expected);
        }
}

/* Killed, or closed; and a successor, perhaps after a while. */
static void change_producer(struct run *t, unsigned how)
{
        if (t->m.producer_left || how % 2) {
                REQUIRE(sluice_producer_attach(&t->rig.p, t->rig.mem, t->rig.bytes) == 0);
                model_producer_joins(&t->m);
        } else {
                sluice_producer_detach(&t->rig.p);
                model_producer_leaves(&t->m);
        }
}

static void change_consumer(struct run *t, unsigned how)
{
        if (t->m.consumer_left || how % 2) {
                REQUIRE(sluice_consumer_attach(&t->rig.c, t->rig.mem, t->rig.bytes) == 0);
                model_consumer_joins(&t->m);
        } else {
                sluice_consumer_detach(&t->rig.c);
                model_consumer_leaves(&t->m);
        }
}

static void produce(struct run *t, unsigned op, unsigned a, unsigned b)
{
        if (t->m.producer_left) {
                void *payload;

                REQUIRE(sluice_reserve(&t->rig.p, a, &payload, SLUICE_NOW) == -EINVAL);
                REQUIRE(sluice_publish(&t->rig.p) == -EINVAL);
                return;
        }
        switch (op) {
        case 0:
        case 1:
                reserve(t, length(t, a, b));
                break;
        case 2:
                finish(t, t->m.reserved, 1);
                break;
        case 3:
                finish(t, t->m.reserved, 0);
                break;
        case 4:
                finish(t, (a * 256u + b) % (t->m.reserved + 2), a % 2 != 0);
                break;
        case 5:
                REQUIRE(sluice_publish(&t->rig.p) == model_publish(&t->m));
                break;
        case 6:
                sluice_abort(&t->rig.p);
                model_abort(&t->m);
                break;
        default:
                send_copy(t, length(t, a, b), a);
                break;
        }
        REQUIRE(sluice_producer_position(&t->rig.p) == t->m.published);
        REQUIRE(sluice_producer_messages(&t->rig.p) == t->m.messages_published);
}

static void consume(struct run *t, unsigned op, unsigned a, unsigned b)
{
        struct sluice_message m;

        if (t->m.consumer_left) {
                REQUIRE(sluice_peek(&t->rig.c, &m, SLUICE_NOW) == -EINVAL);
                REQUIRE(sluice_release(&t->rig.c) == -EINVAL);
                return;
        }
        switch (op) {
        case 0:
                peek(t);
                break;
        case 1:
                REQUIRE(sluice_advance(&t->rig.c) == model_advance(&t->m));
                break;
        case 2:
                REQUIRE(sluice_release(&t->rig.c) == model_release(&t->m));
                break;
        case 3:
                receive(t, a % 4 == 0 ? b : 0);
                break;
        default:
                drain(t, a, b);
                break;
        }
        REQUIRE(sluice_consumer_position(&t->rig.c) == t->m.released);
        REQUIRE(sluice_consumer_messages(&t->rig.c) == t->m.messages_released);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct run t;

        if (size < 3 || size > 3 + 3 * 4096)
                return 0;
        open_rig(&t, data);
        for (size_t i = 3; i + 3 <= size; i += 3) {
                const unsigned op = data[i] % 16, a = data[i + 1], b = data[i + 2];

                if (op < 8)
                        produce(&t, op, a, b);
                else if (op < 13)
                        consume(&t, op - 8, a, b);
                else if (op == 13)
                        change_producer(&t, a);
                else if (op == 14 || t.m.consumer_left)
                        change_consumer(&t, a);
                else
                        receive(&t, 0);
        }
        test_rig_close(&t.rig);
        free(t.scratch);
        return 0;
}
