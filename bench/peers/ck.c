/* SPDX-License-Identifier: MIT */
/* Concurrency Kit's ring, elements by value. */
#include "rings.h"

#if __has_include(<ck_ring.h>)
#include <ck_ring.h>
#include <string.h>

struct rig {
        MEASURE_APART ck_ring_t ring;
        MEASURE_APART unsigned char slots[];
};

#define ELEMENT(TAG, MAX, MIX)            \
        struct element_##MAX {            \
                unsigned char bytes[MAX]; \
        };                                \
        CK_RING_PROTOTYPE(e##MAX, element_##MAX)

/* clang-format would lay these out in two ways in turn. */
/* clang-format off */
#define BENCH_FIXED(X) \
        X(, 8, 0) X(, 16, 0) X(, 24, 0) X(, 32, 0) X(, 48, 0) X(, 56, 0) X(, 64, 0) X(, 120, 0) \
        X(, 248, 0) X(, 504, 0) X(, 1016, 0) X(, 4088, 0) X(, 1024, 1)
/* clang-format on */
BENCH_FIXED(ELEMENT)

static void *rig_open(size_t max)
{
        struct rig *r = bench_shared(sizeof *r + bench_slots(max) * max);

        ck_ring_init(&r->ring, (unsigned)bench_slots(max));
        return r;
}

static void rig_close(void *r, size_t max)
{
        bench_unshare(r, sizeof(struct rig) + bench_slots(max) * max);
}

#define RIG(r)                  ((struct rig *)(r))
#define SLOTS(r, MAX)           ((struct element_##MAX *)(void *)RIG(r)->slots)
#define ENTRY(msg, MAX)         ((struct element_##MAX *)(void *)(msg))

#define PEER                    ck
#define PEER_NAME               "ck_ring"
#define PEER_OPEN(MAX, MIX)     rig_open(MAX)
#define PEER_CLOSE(r, MAX, MIX) rig_close(r, MAX)
#define PEER_PUSH(r, MAX, MIX, msg, len) \
        CK_RING_ENQUEUE_SPSC(e##MAX, &RIG(r)->ring, SLOTS(r, MAX), ENTRY(msg, MAX))
#define PEER_POP(r, MAX, MIX, msg) \
        CK_RING_DEQUEUE_SPSC(e##MAX, &RIG(r)->ring, SLOTS(r, MAX), ENTRY(msg, MAX))
#include "loops.h"
#else
const struct bench_peer bench_peer_ck = {"ck_ring", NULL, 0};
#endif
