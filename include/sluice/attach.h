/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_ATTACH_H
#define SLUICE_ATTACH_H
/*
 * Making a ring in memory, joining it, leaving it; and the recovery that
 * every joining does, whether its predecessor closed or was
 * killed at any instruction. Part of ring.h, which says what is promised.
 *
 * Recovery. The producer's progress slot tells a position up to which
 * all is published; it is stored now and then, after the header words
 * that publish, so it is behind by what was published since. A successor
 * walks the headers from there to the first zero word: exactly what the
 * consumer can see. The consumer's released position is a single word;
 * its slot that bears that position holds the count that belongs to it.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "atomic.h"
#include "consumer.h"
#include "handle.h"
#include "layout.h"
#include "pace.h"
#include "producer.h"

struct sluice_geometry {
        size_t capacity;         /* bytes; 0: SLUICE_CAPACITY_DEFAULT */
        uint32_t record_align;   /* bytes; 0: SLUICE_RECORD_ALIGN_DEFAULT */
        uint64_t first_position; /* a multiple of record_align */
        uint32_t payload_align;  /* of every message, bytes, up to record_align; 0: 8 */
        uint32_t type_size;      /* with type_id: bytes of each message */
        uint64_t type_id;        /* of what is sent, for typed.h; 0: anything */
};

SLUICE_PRIV_BEGIN

/* A copy of the header's geometry, checked. */
struct sluice_priv_shape {
        uint64_t capacity;
        uint64_t unit;
        uint64_t first_position;
        uint64_t total_bytes;
        uint64_t consumer, producer, ring; /* offsets */
        uint64_t type_id;
        uint32_t type_size;
        uint32_t payload_align;
};

/* A power of two up to the alignment of records, in which a payload stands 8
 * bytes behind the beginning. */
static inline int sluice_priv_payload_align_is_valid(const struct sluice_priv_shape *s)
{
        return s->payload_align >= SLUICE_LAYOUT_HEADER_BYTES && s->payload_align <= s->unit &&
               (s->payload_align & (s->payload_align - 1)) == 0;
}

/* Fills in defaults. -EINVAL: no power of two, bad alignment, or a first
 * position off it. -ERANGE: capacity too small. -EFBIG: too large. */
static inline int sluice_priv_shape_of(struct sluice_priv_shape *s, const struct sluice_geometry *g)
{
        s->capacity = g && g->capacity ? g->capacity : SLUICE_CAPACITY_DEFAULT;
        s->unit = g && g->record_align ? g->record_align : SLUICE_RECORD_ALIGN_DEFAULT;
        s->first_position = g ? g->first_position : 0;
        s->consumer = SLUICE_LAYOUT_CONSUMER;
        s->producer = SLUICE_LAYOUT_PRODUCER;
        s->type_id = g ? g->type_id : 0;
        s->type_size = g ? g->type_size : 0;
        s->payload_align = g && g->payload_align ? g->payload_align : SLUICE_LAYOUT_HEADER_BYTES;
        s->ring = SLUICE_LAYOUT_RING + s->payload_align - SLUICE_LAYOUT_HEADER_BYTES;
        s->total_bytes = s->ring + s->capacity;
        if (s->unit < SLUICE_RECORD_ALIGN_MIN || s->unit > SLUICE_RECORD_ALIGN_MAX ||
            (s->unit & (s->unit - 1)) != 0)
                return -EINVAL;
        if (s->capacity > SLUICE_CAPACITY_MAX)
                return -EFBIG;
        if (s->capacity < SLUICE_CAPACITY_MIN_UNITS * s->unit)
                return -ERANGE;
        if ((s->capacity & (s->capacity - 1)) != 0 || (s->first_position & (s->unit - 1)) != 0 ||
            !sluice_priv_payload_align_is_valid(s))
                return -EINVAL;
        return 0;
}

/* Bytes of memory that a ring of this geometry takes, control words
 * included; 0 when the geometry is not valid. NULL: the defaults. */
SLUICE_INLINE size_t sluice_ring_bytes(const struct sluice_geometry *g)
{
        struct sluice_priv_shape s;

        if (sluice_priv_shape_of(&s, g) != 0 || s.total_bytes > SIZE_MAX)
                return 0;
        return (size_t)s.total_bytes;
}

static inline struct sluice_layout_header *sluice_priv_header(void *mem)
{
        return (struct sluice_layout_header *)mem;
}

/* Both halves, which are 0, and the first header word. */
static inline void sluice_priv_format_halves(unsigned char *base, const struct sluice_priv_shape *s)
{
        struct sluice_layout_consumer *c =
                (struct sluice_layout_consumer *)(void *)(base + s->consumer);
        struct sluice_layout_producer *p =
                (struct sluice_layout_producer *)(void *)(base + s->producer);

        /* Relaxed, all: READY:store comes after them. */
        sluice_priv_store_relaxed(&c->position, s->first_position);
        for (int i = 0; i < 2; i++) {
                sluice_priv_store_relaxed(&c->progress.slot[i].position, s->first_position);
                sluice_priv_store_relaxed(&p->progress.slot[i].position, s->first_position);
        }
        /* Relaxed, too. */
        sluice_priv_store_relaxed(
                sluice_priv_word(base + s->ring, s->first_position & (s->capacity - 1)), 0);
}

/* Everything but the magic: nobody can attach yet. */
static inline int sluice_priv_format(void *mem, size_t bytes, const struct sluice_geometry *g)
{
        struct sluice_layout_header *h = sluice_priv_header(mem);
        unsigned char *base = (unsigned char *)mem;
        struct sluice_priv_shape s;
        const int r = sluice_priv_shape_of(&s, g);

        if (r)
                return r;
        if (!mem || ((uintptr_t)mem & 127) != 0)
                return -EINVAL;
        if (bytes < s.total_bytes)
                return -ENOSPC;
        /* Relaxed, here and below: READY:store comes last. */
        sluice_priv_store_relaxed(&h->magic, 0);
        memset(base + sizeof h->magic, 0, (size_t)s.ring - sizeof h->magic);
        /* version and byte_order, at once and before all others: they say what
         * a ring is that was left half made. Relaxed: whoever finds them after a
         * kill is ordered by the kernel. */
        sluice_priv_store_relaxed(
                sluice_priv_word(base, offsetof(struct sluice_layout_header, version)),
                (uint64_t)SLUICE_LAYOUT_BYTE_ORDER << 32 | SLUICE_LAYOUT_VERSION);
        sluice_priv_fence_compiler();
        h->capacity_bytes = s.capacity;
        h->record_align = (uint32_t)s.unit;
        h->payload_align = g ? g->payload_align : 0;
        h->type_id = s.type_id;
        h->type_size = s.type_size;
        h->first_position = s.first_position;
        h->consumer_offset = s.consumer;
        h->producer_offset = s.producer;
        h->ring_offset = s.ring;
        h->total_bytes = s.total_bytes;
        sluice_priv_format_halves(base, &s);
        return 0;
}

/*
 * Makes an empty ring in mem, which is aligned to 128 bytes and of at
 * least sluice_ring_bytes(g) bytes. Whoever may be attached to an older
 * ring there is not asked. NULL geometry: the defaults.
 *
 * -EINVAL: capacity no power of two, record_align not 8 to 128 or no
 * power of two, payload_align greater or no power of two, first_position no
 * multiple of record_align, mem misaligned.
 * -ERANGE: capacity below 4 records. -EFBIG: above 1 GiB. -ENOSPC: mem
 * is too small.
 */
SLUICE_NODISCARD SLUICE_INLINE int sluice_ring_format(void *mem, size_t bytes,
                                                      const struct sluice_geometry *g)
{
        const int r = sluice_priv_format(mem, bytes, g);

        if (r)
                return r;
        /* READY:store */
        sluice_priv_store_release(&sluice_priv_header(mem)->magic, SLUICE_LAYOUT_MAGIC);
        return 0;
}

/* Reads the header once, checks all of it. */
static inline int sluice_priv_shape_read(struct sluice_priv_shape *s, const void *mem, size_t bytes)
{
        const struct sluice_layout_header *h = (const struct sluice_layout_header *)mem;
        struct sluice_geometry g;
        uint64_t magic;
        uint32_t unit;
        int r;

        if (!mem || ((uintptr_t)mem & 127) != 0)
                return -EINVAL;
        if (bytes < SLUICE_LAYOUT_RING)
                return -EPROTO;
        magic = sluice_priv_load_acquire(&h->magic); /* READY:load. UNTRUSTED, as all below. */
        if (magic == 0)
                return -EINPROGRESS;
        if (magic == __builtin_bswap64(SLUICE_LAYOUT_MAGIC))
                return -EPROTOTYPE;
        if (magic != SLUICE_LAYOUT_MAGIC)
                return -EPROTO;
        if (h->byte_order != SLUICE_LAYOUT_BYTE_ORDER)
                return -EPROTOTYPE;
        if (h->version != SLUICE_LAYOUT_VERSION)
                return -EPROTONOSUPPORT;
        unit = h->record_align;
        s->capacity = h->capacity_bytes;
        s->first_position = h->first_position;
        if (unit == 0 || s->capacity == 0 || s->capacity > SIZE_MAX)
                return -EBADMSG;
        g.capacity = (size_t)s->capacity;
        g.record_align = unit;
        g.first_position = s->first_position;
        g.payload_align = h->payload_align;
        g.type_id = h->type_id;
        g.type_size = h->type_size;
        r = sluice_priv_shape_of(s, &g);
        /* Version 1 knows this arrangement only. */
        if (r || h->consumer_offset != s->consumer || h->producer_offset != s->producer ||
            h->ring_offset != s->ring || h->total_bytes != s->total_bytes || bytes < s->total_bytes)
                return -EBADMSG;
        return 0;
}

/* Published positions and counts as a successor finds them. */
struct sluice_priv_found {
        uint64_t position;
        uint64_t messages;
        uint32_t slot; /* the one not in force */
};

static inline uint64_t sluice_priv_consumer_position(const struct sluice_layout_consumer *c)
{
        /* RELEASE:load, for an observer; for a successor SUCCEED orders it. UNTRUSTED. */
        return sluice_priv_load_acquire(&c->position) & ~SLUICE_LAYOUT_FLAGS;
}

/* UNTRUSTED: a predecessor may have been hostile. 0 or -EBADMSG: either is valid
 * for an observer if the position is the same afterwards. */
static inline int sluice_priv_consumer_find(struct sluice_priv_found *f,
                                            const struct sluice_layout_consumer *c)
{
        f->position = sluice_priv_consumer_position(c);
        for (uint32_t i = 0; i < 2; i++) {
                /* PROGRESS:load, then OBSERVE:load. */
                if (sluice_priv_load_acquire(&c->progress.slot[i].position) != f->position)
                        continue;
                f->messages = sluice_priv_load_acquire(&c->progress.slot[i].messages);
                f->slot = i ^ 1;
                return 0;
        }
        return -EBADMSG;
}

/* Is there no record at this position? 1: so a batch ends here, which is a
 * multiple of the alignment. 0, or -EBADMSG. */
static inline int sluice_priv_is_open(uint64_t position, uint64_t word,
                                      const struct sluice_priv_shape *s)
{
        if (word != 0 && word != SLUICE_LAYOUT_END)
                return 0;
        return (position & (s->unit - 1)) == 0 ? 1 : -EBADMSG;
}

/* Over the record at f->position, which has this header. 0 or -EBADMSG. */
static inline int sluice_priv_step_over(struct sluice_priv_found *f, uint64_t word,
                                        const struct sluice_priv_shape *s)
{
        const uint64_t kind = word & SLUICE_LAYOUT_KIND;
        const uint64_t end = sluice_priv_record_end(f->position, word, s->unit - 1);

        if (end - f->position > sluice_priv_rest(f->position, s->capacity - 1) || kind == 0 ||
            kind > SLUICE_LAYOUT_PACKED)
                return -EBADMSG;
        f->messages += kind != SLUICE_LAYOUT_PADDING;
        f->position = end;
        return 0;
}

/* Walks from the slot in force to the first word that publishes nothing.
 * consumer is the released position, read before: it may lie beyond the
 * slot, when the producer was killed between publishing and telling, and
 * is never further behind the end than the ring is long. The walk ends
 * within one lap, that is, capacity / 8 steps, whatever the ring holds. */
static inline int sluice_priv_producer_find(struct sluice_priv_found *f,
                                            const struct sluice_layout_producer *p,
                                            const unsigned char *ring, uint64_t consumer,
                                            const struct sluice_priv_shape *s)
{
        uint64_t at[2], from;

        /* PROGRESS:load, both. Which of them is in force is seen by their
         * values, so it does not matter which is loaded first. */
        at[0] = sluice_priv_load_acquire(&p->progress.slot[0].position);
        at[1] = sluice_priv_load_acquire(&p->progress.slot[1].position);
        f->slot = (int64_t)(at[0] - at[1]) >= 0 ? 1 : 0;
        f->position = from = at[f->slot ^ 1];
        f->messages = sluice_priv_load_relaxed(&p->progress.slot[f->slot ^ 1].messages);
        for (;;) {
                uint64_t word;
                int r;

                if ((f->position & SLUICE_LAYOUT_FLAGS) != 0 ||
                    f->position - from > s->capacity - s->unit)
                        return -EBADMSG;
                /* PUBLISH:load, for an observer; for a successor SUCCEED orders it. */
                word = sluice_priv_load_acquire(
                        sluice_priv_peer_word(ring, f->position & (s->capacity - 1)));
                r = sluice_priv_is_open(f->position, word, s);
                if (r == 1)
                        return f->position - consumer > s->capacity - s->unit ? -EBADMSG : 0;
                if (r != 0 || sluice_priv_step_over(f, word, s) != 0)
                        return -EBADMSG;
        }
}

/* The state word of a new holder of a role. */
static inline uint64_t sluice_priv_next_state(const struct sluice_layout_doorbell *own,
                                              uint64_t flags)
{
        const uint64_t before = sluice_priv_load_relaxed(&own->state) & ~(SLUICE_LAYOUT_EPOCH - 1);

        return (before + SLUICE_LAYOUT_EPOCH) | SLUICE_LAYOUT_ATTACHED | flags;
}

/* The first stores of a new producer, whose handle is filled in. */
static inline void sluice_priv_producer_begin(struct sluice_producer *p, uint64_t state)
{
        sluice_word *next = sluice_priv_word(p->ring, p->tail & p->mask);

        /* For observers: the slot may be read while it is brought up to date. */
        sluice_priv_tell_progress(p);
        /* A predecessor may have been killed in its sleep. Relaxed: a peer that
         * finds its word once more makes one needless wake-up. */
        sluice_priv_store_relaxed(&p->own->doorbell.parked, 0);
        /* The stream goes on. ENDING:store of this holder; the load is relaxed, for
         * nobody but the producer writes here: SUCCEED. */
        if (sluice_priv_load_relaxed(next) != 0)
                sluice_priv_store_release(next, 0);
        sluice_priv_store_release(&p->own->doorbell.state, /* STATE:store, ENDING:store */
                                  sluice_priv_next_state(&p->own->doorbell, state));
}

static inline int sluice_priv_producer_join(struct sluice_producer *p, void *mem, size_t bytes,
                                            uint64_t state)
{
        unsigned char *base = (unsigned char *)mem;
        struct sluice_priv_found found;
        struct sluice_priv_shape s;
        int r = sluice_priv_shape_read(&s, mem, bytes);

        memset((void *)p, 0, sizeof *p);
        if (r)
                return sluice_priv_producer_poison(p, r);
        p->ring = base + s.ring;
        p->own = (struct sluice_layout_producer *)(void *)(base + s.producer);
        p->peer = (const struct sluice_layout_consumer *)(const void *)(base + s.consumer);
        /* The first records are written where it has read. */
        p->seen = sluice_priv_consumer_position(p->peer);
        r = sluice_priv_producer_find(&found, p->own, p->ring, p->seen, &s);
        if (r) {
                p->own = NULL;
                return sluice_priv_producer_poison(p, r);
        }
        p->mask = s.capacity - 1;
        p->unit_mask = s.unit - 1;
        p->max_len = s.capacity / 2 - SLUICE_LAYOUT_HEADER_BYTES;
        p->tail = p->contiguous_end = found.position;
        p->messages = found.messages;
        p->usual = SLUICE_LAYOUT_WHOLE;
        p->base.looks = SLUICE_PRIV_FIRST_LOOKS;
        p->base.slot = found.slot;
        p->told = sluice_priv_load_relaxed(&p->own->progress.slot[found.slot ^ 1].position);
        p->limit = p->seen + p->mask - p->unit_mask;
        p->base.doorbell.peer_parked = &p->peer->doorbell.parked;
        sluice_priv_producer_begin(p, state);
        return 0;
}

static inline int sluice_priv_consumer_join(struct sluice_consumer *c, void *mem, size_t bytes,
                                            uint64_t state)
{
        unsigned char *base = (unsigned char *)mem;
        struct sluice_priv_found found;
        struct sluice_priv_shape s;
        int r = sluice_priv_shape_read(&s, mem, bytes);

        memset((void *)c, 0, sizeof *c);
        if (r)
                return sluice_priv_consumer_poison(c, r);
        c->own = (struct sluice_layout_consumer *)(void *)(base + s.consumer);
        c->peer = (const struct sluice_layout_producer *)(const void *)(base + s.producer);
        r = sluice_priv_consumer_find(&found, c->own);
        if (r) {
                c->own = NULL;
                return sluice_priv_consumer_poison(c, r);
        }
        c->ring = (uintptr_t)(base + s.ring) - (uintptr_t)&c->base.nothing;
        c->mask = s.capacity - 1;
        c->unit_mask = s.unit - 1;
        c->max_len = s.capacity / 2 - SLUICE_LAYOUT_HEADER_BYTES;
        c->next = c->contiguous_end = found.position;
        c->messages = found.messages;
        sluice_priv_pace_begin(c);
        c->base.looks = SLUICE_PRIV_FIRST_LOOKS;
        c->base.slot = found.slot;
        c->base.doorbell.peer_parked = &c->peer->doorbell.parked;
        /* Relaxed: as in sluice_priv_producer_join, and advice. */
        sluice_priv_store_relaxed(&c->own->doorbell.parked, 0);
        sluice_priv_store_relaxed(&c->own->doorbell.hint, 0);
        /* No longer closed. RELEASE:store: a predecessor that was killed may have
         * read on behind the position that it stored. */
        sluice_priv_store_release(&c->own->position, c->next);
        sluice_priv_store_release(&c->own->doorbell.state, /* STATE:store, ENDING:store */
                                  sluice_priv_next_state(&c->own->doorbell, state));
        return 0;
}

/*
 * Joins the ring in mem as its producer, or consumer; goes on where the
 * predecessor stopped. At most one of each at a time: that is the
 * caller's care here. Such an endpoint makes no system call, so it never
 * wakes a peer that sleeps, and says so: that peer sleeps in slices of a
 * millisecond.
 *
 * -EINPROGRESS: not formatted yet. -EPROTO: something else. -EPROTOTYPE:
 * other byte order. -EPROTONOSUPPORT: other version. -EBADMSG: the
 * contents contradict themselves. -EINVAL: mem is not aligned. After an
 * error the handle may be detached or closed like any other: nothing happens.
 */
SLUICE_NODISCARD SLUICE_INLINE int sluice_producer_attach(struct sluice_producer *p, void *mem,
                                                          size_t bytes)
{
        return sluice_priv_producer_join(p, mem, bytes, SLUICE_LAYOUT_MUTE);
}

SLUICE_NODISCARD SLUICE_INLINE int sluice_consumer_attach(struct sluice_consumer *c, void *mem,
                                                          size_t bytes)
{
        return sluice_priv_consumer_join(c, mem, bytes, SLUICE_LAYOUT_MUTE);
}

/*
 * Leaves in order: the consumer drains what is published, then sees
 * -EPIPE; what is staged is forgotten. The handle may be attached again,
 * by anybody. (A named queue is left by sluice_producer_close.)
 */
SLUICE_INLINE void sluice_producer_detach(struct sluice_producer *p)
{
        uint64_t parked;

        if (!p->own)
                return;
        sluice_priv_tell_progress(p);
        /* PUBLISH:store: the end takes the place of the next header, which has
         * room. */
        sluice_priv_store_release(sluice_priv_word(p->ring, sluice_priv_published(p) & p->mask),
                                  SLUICE_LAYOUT_END);
        /* STATE:store: whoever finds the role free has seen how it was left. */
        sluice_priv_store_release(&p->own->doorbell.state,
                                  sluice_priv_load_relaxed(&p->own->doorbell.state) |
                                          SLUICE_LAYOUT_CLOSED);
        /* DOORBELL:fence, waker. The load is relaxed: the fence orders it. */
        sluice_priv_fence_full();
        parked = sluice_priv_load_relaxed(p->base.doorbell.peer_parked);
        if (p->base.sleep && (parked & SLUICE_LAYOUT_PARKED) && parked != p->base.doorbell.answered)
                p->base.sleep->wake(p, parked);
        p->own = NULL;
        sluice_priv_producer_poison(p, -EINVAL);
}

/* Leaves in order: the producer sees -EPIPE when it next looks for room.
 * What is not released is found by the next consumer. */
SLUICE_INLINE void sluice_consumer_detach(struct sluice_consumer *c)
{
        uint64_t parked;

        if (!c->own)
                return;
        /* RELEASE:store, once more, with the flag. */
        sluice_priv_store_release(&c->own->position,
                                  sluice_priv_released(c) | SLUICE_LAYOUT_POSITION_CLOSED);
        /* STATE:store: whoever finds the role free has seen how it was left. */
        sluice_priv_store_release(&c->own->doorbell.state,
                                  sluice_priv_load_relaxed(&c->own->doorbell.state) |
                                          SLUICE_LAYOUT_CLOSED);
        /* DOORBELL:fence, waker. The load is relaxed: the fence orders it. */
        sluice_priv_fence_full();
        parked = sluice_priv_load_relaxed(c->base.doorbell.peer_parked);
        if (c->base.sleep && (parked & SLUICE_LAYOUT_PARKED) && parked != c->base.doorbell.answered)
                c->base.sleep->wake(c, parked);
        c->own = NULL;
        sluice_priv_consumer_poison(c, -EINVAL);
}

SLUICE_PRIV_END

#endif
