/* SPDX-License-Identifier: MIT */
/*
 * Records of any length with a header word in front, which the consumer polls:
 * 0, or that of a lap before, until the record is complete. Only the consumer's
 * position is shared beside it. The adapter defines
 *
 *      RECORD_ALIGN    bytes: a record begins at a multiple of this
 *      RECORD_ONE_LENGTH  all messages of a ring have the same
 *      RECORD_HOW      who makes a header word invalid for the next lap, and
 *                      what else is done to the lines:
 *        ZERO    the producer zeroes the word behind a record before it shows it
 *        WIPE    the consumer zeroes every record that it has read
 *        CLEAR   the consumer zeroes its header only: with messages of one
 *                length headers are where they were
 *        STAMP   nobody: the header has the number of the lap; likewise
 *        TOUCH   the consumer stores to each line that it has read, before it
 *                releases it, the value that is there: it takes the line over
 *
 * Both sides pause between two looks, a producer without room for long: it would
 * only take the consumer's position away from it. PEER_WAIT: otherwise.
 */
#include <stdatomic.h>
#include <string.h>

#include "rings.h"

enum { ZERO = 1, WIPE = 2, CLEAR = 4, STAMP = 8, TOUCH = 16 };
enum { MESSAGE = 1, FILLER = 2, KINDS = 3, LINE = 64, MASK = BENCH_RING_BYTES - 1 };

struct ring {
        MEASURE_APART _Atomic uint64_t released; /* the consumer's position */
        MEASURE_APART unsigned char data[BENCH_RING_BYTES];
};

/* What a side knows: in registers, while it runs. */
struct end {
        struct ring *ring;
        uint64_t at, limit; /* its position; the producer's room ends here */
};

struct both {
        struct end p, c;
};

static void *ring_open(void)
{
        struct both *b = bench_shared(sizeof *b);

        b->p.ring = b->c.ring = bench_shared(sizeof(struct ring));
        return b;
}

static void ring_close(struct both *b)
{
        bench_unshare(b->p.ring, sizeof(struct ring));
        bench_unshare(b, sizeof *b);
}

MEASURE_INLINE uint64_t record_bytes(uint64_t len)
{
        return (len + 8 + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

/* Do all records have this length, and fill the ring without a rest? */
MEASURE_INLINE int fits_evenly(uint64_t bytes)
{
        return RECORD_ONE_LENGTH && BENCH_RING_BYTES % bytes == 0;
}

MEASURE_INLINE _Atomic uint64_t *header(struct ring *r, uint64_t at)
{
        return (void *)(r->data + (at & MASK));
}

MEASURE_INLINE uint64_t lap(uint64_t at)
{
        return RECORD_HOW & STAMP ? (at / BENCH_RING_BYTES + 1) << 32 : 0;
}

/* Shows what begins here, and is `bytes` long. */
MEASURE_INLINE void show(struct end *p, uint64_t bytes, uint64_t word)
{
        if (RECORD_HOW & ZERO)
                atomic_store_explicit(header(p->ring, p->at + bytes), 0, memory_order_relaxed);
        atomic_store_explicit(header(p->ring, p->at), lap(p->at) | word, memory_order_release);
        p->at += bytes;
}

/* A record is in one piece. There is always room for one more header. */
MEASURE_INLINE void *place(struct end *p, uint64_t len)
{
        const uint64_t bytes = record_bytes(len), left = BENCH_RING_BYTES - (p->at & MASK);
        const uint64_t skip = fits_evenly(bytes) || left >= bytes ? 0 : left;

        if (p->at + skip + bytes >= p->limit) {
                p->limit = atomic_load_explicit(&p->ring->released, memory_order_acquire) +
                           BENCH_RING_BYTES;
                if (p->at + skip + bytes >= p->limit)
                        return NULL;
        }
        if (skip)
                show(p, skip, skip << 2 | FILLER);
        return (void *)(header(p->ring, p->at) + 1);
}

MEASURE_INLINE void pass(struct end *c, uint64_t bytes)
{
        unsigned char *record = c->ring->data + (c->at & MASK);

        if (RECORD_HOW & CLEAR)
                atomic_store_explicit(header(c->ring, c->at), 0, memory_order_relaxed);
        if (RECORD_HOW & WIPE)
                memset(record, 0, bytes);
        for (uint64_t i = 0; RECORD_HOW & TOUCH && i < bytes; i += LINE) {
                volatile uint64_t *word = (volatile uint64_t *)(void *)(record + i);

                *word = *word;
        }
        c->at += bytes;
        atomic_store_explicit(&c->ring->released, c->at, memory_order_release);
}

/* The header at the consumer's position; 0: there is none yet. */
MEASURE_INLINE uint64_t poll(const struct end *c)
{
        const uint64_t word =
                atomic_load_explicit(header(c->ring, c->at), memory_order_acquire) ^ lap(c->at);

        return word < UINT64_C(1) << 32 ? word : 0;
}

MEASURE_INLINE const void *look(struct end *c, uint64_t len)
{
        uint64_t word = poll(c);

        if (!fits_evenly(record_bytes(len)) && (word & KINDS) == FILLER) {
                pass(c, word >> 2);
                word = poll(c);
        }
        if (word == 0)
                return NULL;
        if (word != (len << 2 | MESSAGE))
                bench_corrupt(PEER_NAME, c->at);
        return (void *)(header(c->ring, c->at) + 1);
}

MEASURE_INLINE void pause_long(void)
{
        for (int i = 0; i < 64; i++)
                bench_relax();
}

#ifndef PEER_WAIT
#define PEER_WAIT      bench_relax()
#define PEER_WAIT_ROOM pause_long()
#endif
#define PEER_HANDLE                    struct both
#define PEER_OPEN(MAX, MIX)            ring_open()
#define PEER_CLOSE(r, MAX, MIX)        ring_close(r)
#define PEER_RESERVE(r, MAX, MIX, len) place(&(r)->p, len)
#define PEER_COMMIT(r, MAX, MIX, len)  show(&(r)->p, record_bytes(len), (len) << 2 | MESSAGE)
#define PEER_PEEK(r, MAX, MIX, len)    look(&(r)->c, len)
#define PEER_RELEASE(r, MAX, MIX, len) pass(&(r)->c, record_bytes(len))
#include "loops.h"
