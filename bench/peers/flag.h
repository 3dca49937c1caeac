/* SPDX-License-Identifier: MIT */
/* The other textbook: slots with a word in front that is 0 or, once the message
 * is there, its length; written and read in place. No index is shared: the
 * fastest published rings of slots are built so. Both sides pause between two
 * looks; PEER_WAIT: otherwise. */
#include <stdatomic.h>

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

MEASURE_INLINE _Atomic uint64_t *slot(struct ring *r, uint64_t i, size_t max)
{
        return (void *)(r->slots + (i & r->mask) * SLOT(max));
}

MEASURE_INLINE void *place(void *ring, size_t max)
{
        struct ring *r = ring;
        _Atomic uint64_t *flag = slot(r, r->tail, max);

        return atomic_load_explicit(flag, memory_order_acquire) == 0 ? (void *)(flag + 1) : NULL;
}

MEASURE_INLINE void show(void *ring, size_t max, size_t len)
{
        struct ring *r = ring;

        atomic_store_explicit(slot(r, r->tail++, max), len, memory_order_release);
}

MEASURE_INLINE const void *look(void *ring, size_t max, size_t len)
{
        struct ring *r = ring;
        _Atomic uint64_t *flag = slot(r, r->head, max);
        const uint64_t seen = atomic_load_explicit(flag, memory_order_acquire);

        if (seen == 0)
                return NULL;
        if (seen != len)
                bench_corrupt("flag in slot", r->head);
        return (void *)(flag + 1);
}

MEASURE_INLINE void give_back(void *ring, size_t max)
{
        struct ring *r = ring;

        atomic_store_explicit(slot(r, r->head++, max), 0, memory_order_release);
}

#ifndef PEER_WAIT
#define PEER_WAIT bench_relax()
#endif
#define PEER_OPEN(MAX, MIX)            ring_open(MAX)
#define PEER_CLOSE(r, MAX, MIX)        ring_close(r, MAX)
#define PEER_RESERVE(r, MAX, MIX, len) place(r, MAX)
#define PEER_COMMIT(r, MAX, MIX, len)  show(r, MAX, len)
#define PEER_PEEK(r, MAX, MIX, len)    look(r, MAX, len)
#define PEER_RELEASE(r, MAX, MIX, len) give_back(r, MAX)
#include "loops.h"
