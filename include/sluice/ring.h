/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_RING_H
#define SLUICE_RING_H
/*
 * A ring of variable-length messages from one producer to one consumer
 * over any memory that both can see: threads of one process, memfd, a
 * System V segment. Everything here is inline; a user of this header
 * alone links nothing, and no call makes a system call but a wait that
 * has spun for long (sched_yield).
 *
 *      consumer position          producer position
 *            v                           v
 *      ------[hdr|payload..|pad][hdr|..]0-----------------
 *            released, not yet          the next header
 *
 * The header word of a record is its commit point: the consumer polls
 * the word at its own position, so that a short message crosses between
 * two cores in a single cache-line transfer. The word behind the last
 * published record is always 0.
 *
 * A message's life: reserve room, write the payload in place, commit.
 * Peek sees it in place, release gives the room back. stage() instead of
 * commit() finishes a message without showing it; publish() shows all
 * that are staged at once. advance() goes on to the next message while
 * the earlier ones are kept until release().
 *
 * Who may call: a handle belongs to one thread at a time. One producer
 * and one consumer at a time per ring; through named queues (queue.h)
 * that is enforced, here it is up to the caller.
 *
 * Guarantees
 *   1. Messages arrive once, in order, whole, with their length and tag.
 *   2. A staged batch appears at once, or, if its producer dies first,
 *      not at all.
 *   3. A message is given to the consumer (and to its successors) until
 *      it is released, always with the same position; after release,
 *      never again.
 *   4. Whatever the peer writes into its half, no call reads or writes
 *      outside the ring and the caller's buffers, loops for longer than
 *      a constant, or changes what earlier calls have returned. A rule
 *      that is seen broken poisons the handle: -EBADMSG from then on.
 *   5. With SLUICE_NOW every call is wait-free.
 *   6. A handle that was never attached, all zero, is answered -EINVAL by
 *      every call; those that return nothing do nothing.
 * Not promised: that payload bytes do not change under a reader whose
 * peer is hostile. Who must rely on them copies first (sluice_recv).
 *
 * Returns: 0 or a count, or a negative errno; errno itself is untouched.
 * After an error nothing has changed unless it is said.
 *
 * Limits: capacity is a power of two from 4 record alignments to 2 GiB;
 * the longest message is capacity / 2 - 8 bytes, which fits from any
 * offset once the ring has drained.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "atomic.h"
#include "cpu.h"
#include "layout.h"
#include "wait.h"

struct sluice_geometry {
        size_t capacity;         /* bytes; 0: SLUICE_CAPACITY_DEFAULT */
        uint32_t record_align;   /* bytes; 0: SLUICE_RECORD_ALIGN_DEFAULT */
        uint64_t first_position; /* a multiple of record_align */
};

/* A message in place. data is valid until the message is released. */
struct sluice_message {
        const void *data;
        size_t len;        /* bytes */
        uint32_t tag;      /* the producer's own, 0 by default */
        uint64_t position; /* identity: the same again for a successor */
};

/* How a consumer that polls has lately found the producer: see
 * sluice_priv_judge and sluice_priv_give_way. */
struct sluice_priv_pace {
        uint64_t passed; /* messages, when the ring was last found empty behind one */
        int64_t since_ns;
        uint64_t from_passed, from_position; /* likewise, when this period began */
        int64_t from_ns;
        unsigned times;   /* that the ring was found empty */
        unsigned leisure; /* periods in a row, modulo SLUICE_PRIV_TRIAL */
        int64_t way_ns;   /* a stream: how long to give way to it; else 0 */
};

/* Handles are the caller's memory and must stay where they are while
 * they are attached or open. All fields are private. The last field
 * keeps two handles that stand side by side off each other's lines. */
struct sluice_producer {
        unsigned char *ring;
        uint64_t mask;      /* capacity - 1 */
        uint64_t unit_mask; /* record alignment - 1 */
        uint64_t max_len;   /* bytes */
        uint64_t tail;      /* end of the last staged record */
        uint64_t edge;      /* how far a record at tail may reach without further ado */
        uint64_t limit;     /* tail must not pass this position */
        uint64_t position;  /* end of the last published record */
        uint64_t reserved;  /* SLUICE_PRIV_RESERVED, 0: nothing is */
        uint64_t first;     /* header of the first staged record, stored last */
        uint64_t messages;  /* published, ever */
        uint64_t staged;    /* messages finished and not published */
        struct sluice_priv_door door;
        struct sluice_layout_producer *own;
        const struct sluice_layout_consumer *peer;
        const struct sluice_priv_sleep *sleep;
        void *queue;    /* of a named queue, else NULL */
        uint64_t seen;  /* the consumer's position when last looked at */
        uint32_t slot;  /* PROGRESS: the one that is not in force */
        unsigned polls; /* looks in vain */
        int err;        /* the handle is poisoned with this, or 0 */
        unsigned char unused[128];
};

struct sluice_consumer {
        sluice_word nothing; /* 0: what a handle polls that is poisoned, or all zero */
        uintptr_t ring;      /* where it begins, counted from `nothing` */
        uint64_t mask;
        uint64_t unit_mask;
        uint64_t max_len;
        uint64_t next;     /* where the current or next message begins */
        uint64_t end;      /* of the current message; next: there is none */
        uint64_t word;     /* its header, checked */
        uint64_t edge;     /* how far a record at next may reach without further ado */
        uint64_t stride;   /* bytes of the latest record, as the next may have */
        uint64_t position; /* released */
        uint64_t held;     /* messages passed by advance, not released */
        uint64_t messages; /* released, ever */
        struct sluice_priv_door door;
        struct sluice_layout_consumer *own;
        const struct sluice_layout_producer *peer;
        const struct sluice_priv_sleep *sleep;
        void *queue;
        uint32_t slot;
        unsigned polls;
        int err;
        struct sluice_priv_pace pace;
        unsigned char unused[128];
};

/* ---- Internals ---------------------------------------------------- */

static inline sluice_word *sluice_priv_word(unsigned char *ring, uint64_t off)
{
        return (sluice_word *)(void *)(ring + off);
}

static inline const sluice_word *sluice_priv_peer_word(const unsigned char *ring, uint64_t off)
{
        return (const sluice_word *)(const void *)(ring + off);
}

/* A handle that is all zero has its ring of one word in itself, so peek
 * needs no test for it. Integers, because ring and handle are two objects;
 * hidden, because the compiler would add in an order that takes two
 * instructions more. */
static inline const unsigned char *sluice_priv_consumer_ring(const struct sluice_consumer *c,
                                                             uint64_t off)
{
        const uintptr_t from = sluice_priv_hide_address(c->ring + (uintptr_t)off);

        return (const unsigned char *)((uintptr_t)&c->nothing + from);
}

/* The header word of the current or next message. */
static inline const sluice_word *sluice_priv_next_word(const struct sluice_consumer *c)
{
        return (const sluice_word *)(const void *)sluice_priv_consumer_ring(c, c->next & c->mask);
}

/* One writer, for people to look at: relaxed, and no read-modify-write. */
static inline void sluice_priv_count(sluice_word *counter)
{
        sluice_priv_store_relaxed(counter, sluice_priv_load_relaxed(counter) + 1);
}

/* From now on every call returns err. The fast paths need no test for
 * it: a poisoned producer has no room, a poisoned consumer no message. */
static inline int sluice_priv_producer_poison(struct sluice_producer *p, int err)
{
        p->err = err;
        p->tail = p->edge = p->limit = p->position;
        p->reserved = 0;
        p->staged = 0;
        p->door.open = 0;
        return err;
}

static inline int sluice_priv_consumer_poison(struct sluice_consumer *c, int err)
{
        c->err = err;
        c->ring = 0;
        c->mask = 0;
        c->end = c->next;
        c->held = 0;
        c->door.open = 0;
        return err;
}

#include "attach.h"
#include "consumer.h"
#include "producer.h"

#endif
