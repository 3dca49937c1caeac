/* SPDX-License-Identifier: MIT */
/* The textbook: slots, one index word for each side, each keeps a copy of the
 * other's and looks again when that does not suffice. */
#include <stdatomic.h>
#include <string.h>

#include "rings.h"

struct ring {
        MEASURE_APART _Atomic uint64_t tail; /* the producer's */
        MEASURE_APART _Atomic uint64_t head; /* the consumer's */
        MEASURE_APART struct {
                uint64_t tail, head;
        } p; /* the producer's own */
        MEASURE_APART struct {
                uint64_t tail, head;
        } c;
        MEASURE_APART uint64_t mask;
        MEASURE_APART unsigned char slots[];
};

static void *ring_open(size_t max)
{
        struct ring *r = bench_shared(sizeof *r + bench_slots(max) * max);

        r->mask = bench_slots(max) - 1;
        return r;
}

static void ring_close(void *ring, size_t max)
{
        bench_unshare(ring, sizeof(struct ring) + bench_slots(max) * max);
}

MEASURE_INLINE int push(void *ring, size_t max, const void *msg, size_t len)
{
        struct ring *r = ring;

        if (r->p.tail - r->p.head > r->mask) {
                r->p.head = atomic_load_explicit(&r->head, memory_order_acquire);
                if (r->p.tail - r->p.head > r->mask)
                        return 0;
        }
        memcpy(r->slots + (r->p.tail & r->mask) * max, msg, len);
        atomic_store_explicit(&r->tail, ++r->p.tail, memory_order_release);
        return 1;
}

MEASURE_INLINE int pop(void *ring, size_t max, int mix, void *msg)
{
        struct ring *r = ring;
        const unsigned char *slot;

        if (r->c.head == r->c.tail) {
                r->c.tail = atomic_load_explicit(&r->tail, memory_order_acquire);
                if (r->c.head == r->c.tail)
                        return 0;
        }
        slot = r->slots + (r->c.head & r->mask) * max;
        memcpy(msg, slot, mix ? *(const payload_word *)(const void *)slot + 8 : max);
        atomic_store_explicit(&r->head, ++r->c.head, memory_order_release);
        return 1;
}

#define PEER                             index
#define PEER_NAME                        "index"
#define PEER_OPEN(MAX, MIX)              ring_open(MAX)
#define PEER_CLOSE(r, MAX, MIX)          ring_close(r, MAX)
#define PEER_PUSH(r, MAX, MIX, msg, len) push(r, MAX, msg, len)
#define PEER_POP(r, MAX, MIX, msg)       pop(r, MAX, MIX, msg)
#include "loops.h"
