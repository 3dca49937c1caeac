/* SPDX-License-Identifier: MIT */
/* The other textbook: slots with a word in front that says whose turn it is.
 * No index is shared: the fastest published rings of slots are built so. */
#include <stdatomic.h>
#include <string.h>

#include "rings.h"

struct ring {
        MEASURE_APART uint64_t tail; /* the producer's own */
        MEASURE_APART uint64_t head; /* the consumer's own */
        MEASURE_APART uint64_t mask;
        MEASURE_APART unsigned char slots[];
};

/* A flag and the message. */
#define SLOT(max) ((max) + 8)

static void *ring_open(size_t max)
{
        struct ring *r = bench_shared(sizeof *r + bench_slots(SLOT(max)) * SLOT(max));

        r->mask = bench_slots(SLOT(max)) - 1;
        return r;
}

static void ring_close(void *ring, size_t max)
{
        bench_unshare(ring, sizeof(struct ring) + bench_slots(SLOT(max)) * SLOT(max));
}

MEASURE_INLINE int push(void *ring, size_t max, const void *msg, size_t len)
{
        struct ring *r = ring;
        unsigned char *slot = r->slots + (r->tail & r->mask) * SLOT(max);
        _Atomic uint64_t *flag = (void *)slot;

        if (atomic_load_explicit(flag, memory_order_acquire) != 0)
                return 0;
        memcpy(slot + 8, msg, len);
        atomic_store_explicit(flag, 1, memory_order_release);
        r->tail++;
        return 1;
}

MEASURE_INLINE int pop(void *ring, size_t max, int mix, void *msg)
{
        struct ring *r = ring;
        unsigned char *slot = r->slots + (r->head & r->mask) * SLOT(max);
        _Atomic uint64_t *flag = (void *)slot;

        if (atomic_load_explicit(flag, memory_order_acquire) == 0)
                return 0;
        memcpy(msg, slot + 8, mix ? *(const payload_word *)(const void *)(slot + 8) + 8 : max);
        atomic_store_explicit(flag, 0, memory_order_release);
        r->head++;
        return 1;
}

#define PEER                             flag
#define PEER_NAME                        "flag in slot"
#define PEER_OPEN(MAX, MIX)              ring_open(MAX)
#define PEER_CLOSE(r, MAX, MIX)          ring_close(r, MAX)
#define PEER_PUSH(r, MAX, MIX, msg, len) push(r, MAX, msg, len)
#define PEER_POP(r, MAX, MIX, msg)       pop(r, MAX, MIX, msg)
#include "loops.h"
