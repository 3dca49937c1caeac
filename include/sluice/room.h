/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_ROOM_H
#define SLUICE_ROOM_H
/*
 * Room for messages: what a producer knows of it, asking the consumer for more,
 * and waiting until there is more. Part of producer.h; no public call is here.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "atomic.h"
#include "cpu.h"
#include "handle.h"
#include "layout.h"
#include "wait.h"
#include "wait_step.h"

SLUICE_PRIV_BEGIN

/* The end of the last published record. */
static inline uint64_t sluice_priv_published(const struct sluice_producer *p)
{
        return p->staged ? p->batch : p->tail;
}

/* From now on every call returns err. The fast paths need no test for
 * it: a poisoned producer has no room. */
static inline int sluice_priv_producer_poison(struct sluice_producer *p, int err)
{
        p->base.err = err;
        p->tail = p->contiguous_end = p->limit = sluice_priv_published(p);
        p->reserved = 0;
        p->staged = 0;
        p->usual = SLUICE_LAYOUT_WHOLE;
        p->base.doorbell.open = 0;
        return err;
}

/* What a call is refused with: this, unless something else is the matter
 * with the handle. */
static inline int sluice_priv_producer_refusal(const struct sluice_producer *p, int error)
{
        return p->base.err ? p->base.err : p->own ? error : -EINVAL;
}

/* Re-reads the consumer's position. 0, or -EPIPE when it has closed and
 * that has not been reported yet. */
static inline int sluice_priv_producer_refresh(struct sluice_producer *p)
{
        /* RELEASE:load. UNTRUSTED: checked on the next lines. */
        const uint64_t word = sluice_priv_load_acquire(&p->peer->position);
        const uint64_t seen = word & ~SLUICE_LAYOUT_FLAGS;
        const uint64_t published = sluice_priv_published(p);
        const uint64_t used = published - seen;

        /* It only grows, and never beyond what is published. */
        if (seen - p->seen > published - p->seen ||
            (word & SLUICE_LAYOUT_FLAGS & ~SLUICE_LAYOUT_POSITION_CLOSED) != 0)
                return sluice_priv_producer_poison(p, -EBADMSG);
        /* Relaxed: a count for people to look at. */
        if (used > sluice_priv_load_relaxed(&p->own->counters.high_water))
                sluice_priv_store_relaxed(&p->own->counters.high_water, used);
        p->seen = seen;
        if ((word & SLUICE_LAYOUT_POSITION_CLOSED) &&
            (!p->base.sleep || p->base.sleep->end(p) != 0))
                return -EPIPE;                    /* and no room, so that it stays so */
        p->limit = seen + p->mask - p->unit_mask; /* a unit stays free for the next header */
        return 0;
}

/* Pauses of a producer that has found the ring nearly full. */
enum { SLUICE_PRIV_REST = 64 };

/*
 * Before the consumer's position is read again: a rest, if the ring was nearly
 * full the last time. Each reading takes the line away from the consumer, who
 * is the slower side then, and who has so much to read before it comes to the
 * next message that a rest delays none.
 */
static inline void sluice_priv_rest_if_full(const struct sluice_producer *p, sluice_deadline until)
{
        const uint64_t used = sluice_priv_published(p) - p->seen;

        if (used < p->mask - p->mask / 4)
                return;
        for (unsigned i = until > SLUICE_NOW ? SLUICE_PRIV_REST : SLUICE_PRIV_REST / 4; i > 0; i--)
                sluice_priv_pause();
}

/* Room for need bytes behind tail: slow, because none is known. */
static __attribute__((noinline, unused)) int
sluice_priv_make_room(struct sluice_producer *p, uint64_t need, sluice_deadline until)
{
        unsigned turn = 0, looks = until > SLUICE_NOW ? p->base.looks : 0;
        int given_up = 0;

        for (;;) {
                int r;

                sluice_priv_rest_if_full(p, until);
                r = p->base.err ? p->base.err : sluice_priv_producer_refresh(p);
                if (r)
                        return r == -EPIPE && p->base.sleep ? p->base.sleep->tell(p, r, until) : r;
                if (p->limit - p->tail >= need)
                        return 0;
                if (given_up)
                        return p->base.sleep ? p->base.sleep->tell(p, given_up, until) : given_up;
                if (p->tail - sluice_priv_published(p) + need > p->mask - p->unit_mask)
                        return -EMSGSIZE; /* not even beside the staged ones in an empty ring */
                if (looks > 0) {
                        looks--;
                        continue;
                }
                given_up = sluice_priv_wait_step(&p->base, &p->own->counters, &turn, need, until);
                if (sluice_priv_is_final(given_up))
                        return given_up;
        }
}

/* Bytes behind tail that a message takes, with the padding that fills the end
 * of the ring where it does not fit there. */
static inline uint64_t sluice_priv_room_needed(const struct sluice_producer *p, size_t len)
{
        const uint64_t bytes = sluice_priv_record_bytes(len, p->unit_mask);
        const uint64_t rest = sluice_priv_rest(p->tail, p->mask);

        return bytes > rest ? rest + bytes : bytes;
}

/* Is this length no record's, whatever room there is? Of a constant that is
 * small the run says it: sluice_priv_run. */
static inline int sluice_priv_is_too_long(const struct sluice_producer *p, size_t len)
{
        return !(__builtin_constant_p(len) && len < (size_t)1 << 28) && len > p->max_len;
}

/* Is there room for a message of len bytes beside what is staged? Looks at the
 * consumer's position if it is not known, and tells no end: that is for the
 * next call that waits. */
static inline int sluice_priv_has_room(struct sluice_producer *p, size_t len)
{
        const uint64_t need = sluice_priv_room_needed(p, len);

        if (sluice_priv_is_too_long(p, len))
                return 0;
        return p->limit - p->tail >= need ||
               (sluice_priv_producer_refresh(p) == 0 && p->limit - p->tail >= need);
}

SLUICE_PRIV_END

#endif
