/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_PRODUCER_H
#define SLUICE_PRODUCER_H
/*
 * The producer's calls. Part of ring.h, which says what they promise.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "atomic.h"
#include "cpu.h"
#include "handle.h"
#include "layout.h"
#include "pace.h"
#include "wait.h"
#include "wait_step.h"

SLUICE_PRIV_BEGIN

/* The reserved message: length + 1, kind, does it begin a new lap, tag << 32.
 * What is usual is 0, and one test finds what is not. */
#define SLUICE_PRIV_RESERVED (UINT64_C(0x1fffffff))
#define SLUICE_PRIV_PIECE    (UINT64_C(3) << 29)
#define SLUICE_PRIV_WRAPPED  (UINT64_C(1) << 31)

/* As of a whole message. */
static inline uint64_t sluice_priv_data_word(uint64_t reserved, size_t len)
{
        return sluice_priv_header_word(SLUICE_LAYOUT_WHOLE, len, (uint32_t)(reserved >> 32));
}

/* From now on every call returns err. The fast paths need no test for
 * it: a poisoned producer has no room. */
static inline int sluice_priv_producer_poison(struct sluice_producer *p, int err)
{
        p->base.err = err;
        p->tail = p->contiguous_end = p->limit = p->position;
        p->reserved = 0;
        p->staged = 0;
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
        const uint64_t used = p->position - seen;

        /* It only grows, and never beyond what is published. */
        if (seen - p->seen > p->position - p->seen ||
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

/* Room for need bytes behind tail: slow, because none is known. */
static __attribute__((noinline, unused)) int
sluice_priv_make_room(struct sluice_producer *p, uint64_t need, sluice_deadline until)
{
        unsigned turn = 0;
        int given_up = 0;

        for (;;) {
                int r = p->base.err ? p->base.err : sluice_priv_producer_refresh(p);

                if (r)
                        return r == -EPIPE && p->base.sleep ? p->base.sleep->tell(p, r) : r;
                if (p->limit - p->tail >= need)
                        return 0;
                if (given_up)
                        return p->base.sleep ? p->base.sleep->tell(p, given_up) : given_up;
                if (p->tail - p->position + need > p->mask - p->unit_mask)
                        return -EMSGSIZE; /* not even beside the staged ones in an empty ring */
                if (until <= SLUICE_NOW)
                        sluice_priv_pause(); /* leaves the consumer's line alone for a moment */
                given_up = sluice_priv_wait_step(&p->base, &p->own->counters, &turn, need, until);
                if (sluice_priv_is_final(given_up))
                        return given_up;
        }
}

/* Room for a message that does not fit between tail and contiguous_end: in a new lap,
 * or the consumer has to be asked. */
static __attribute__((noinline, unused)) int sluice_priv_reserve_slow(struct sluice_producer *p,
                                                                      size_t len, void **payload,
                                                                      sluice_deadline until)
{
        const uint64_t bytes = sluice_priv_record_bytes(len, p->unit_mask);
        const uint64_t rest = sluice_priv_rest(p->tail, p->mask);
        /* A padding record fills the end of the ring. */
        const uint64_t skip = bytes > rest ? rest : 0;

        if (len > p->max_len)
                return sluice_priv_producer_refusal(p, -EMSGSIZE);
        if (!p->own)
                return sluice_priv_producer_refusal(p, -EINVAL);
        if (p->limit - p->tail < skip + bytes) {
                const int r = sluice_priv_make_room(p, skip + bytes, until);

                if (r)
                        return r;
        }
        p->contiguous_end = p->tail + (p->limit - p->tail < rest ? p->limit - p->tail : rest);
        p->reserved = (skip != 0 ? SLUICE_PRIV_WRAPPED : 0) | ((uint64_t)len + 1);
        *payload = p->ring + ((p->tail + skip) & p->mask) + SLUICE_LAYOUT_HEADER_BYTES;
        return 0;
}

/*
 * Room for a message of up to len bytes; *payload is where to write it,
 * valid until commit, stage or abort, 8 bytes aligned. A second reserve
 * forgets the first. Sleeps until the deadline when the ring is full.
 *
 * -EMSGSIZE: longer than capacity / 2 - 8, or it cannot fit beside what
 * is staged however much the consumer reads: publish first. -EAGAIN,
 * -ETIMEDOUT: full. -EPIPE: the consumer has closed. -EOWNERDEAD: it
 * died, and the ring is full. -EINVAL: never attached. -EBADMSG, -ESTALE,
 * -ECANCELED.
 *
 * An end of the consumer is reported once. After it the ring may be filled
 * for a successor; when it is full, a call waits for room, and gives the
 * same error again, in the place of -ETIMEDOUT or -EAGAIN, for as long as
 * there has been no successor. (A handle of ring.h alone answers -EPIPE
 * until a successor has attached.)
 */
SLUICE_NODISCARD SLUICE_INLINE int sluice_reserve(struct sluice_producer *p, size_t len,
                                                  void **payload, sluice_deadline until)
{
        const uint64_t bytes = sluice_priv_record_bytes(len, p->unit_mask);
        unsigned char *record;

        if (sluice_priv_unlikely(len > p->max_len || p->contiguous_end - p->tail < bytes))
                return sluice_priv_reserve_slow(p, len, payload, until);
        record = p->ring + (p->tail & p->mask);
        sluice_priv_pace_before_write(p, record, bytes);
        p->reserved = (uint64_t)len + 1;
        *payload = record + SLUICE_LAYOUT_HEADER_BYTES;
        return 0;
}

/* The tag of the message being reserved: 32 bits that travel in the
 * header, 0 by default. Between reserve and commit or stage. */
SLUICE_INLINE void sluice_set_tag(struct sluice_producer *p, uint32_t tag)
{
        p->reserved = (p->reserved & UINT32_MAX) | (uint64_t)tag << 32;
}

/*
 * The kind of the message being reserved: whole by default, or the first, a
 * middle or the last piece of a long one. It travels in the header, and
 * nobody here puts pieces together: for the ring each is a message of its
 * own. Between reserve and commit or stage. Wait-free. -EINVAL: nothing is
 * reserved, or no such kind.
 */
SLUICE_INLINE int sluice_set_kind(struct sluice_producer *p, enum sluice_kind kind)
{
        const uint64_t bits = (uint64_t)kind;

        if ((p->reserved & SLUICE_PRIV_RESERVED) == 0 || bits > SLUICE_LAST)
                return sluice_priv_producer_refusal(p, -EINVAL);
        p->reserved = (p->reserved & ~SLUICE_PRIV_PIECE) | bits << 29;
        return 0;
}

/* Forgets the reserved message; staged ones stay staged. */
SLUICE_INLINE void sluice_abort(struct sluice_producer *p)
{
        p->reserved = 0;
}

/*
 * Finishes the reserved message with len bytes, at most as many as were
 * reserved, without showing it. Wait-free. Staged messages are shown
 * together by publish or commit; should the producer die before, none
 * is. -EINVAL: nothing is reserved, or less than len; the reservation
 * stays.
 */
SLUICE_INLINE int sluice_stage(struct sluice_producer *p, size_t len)
{
        const uint64_t reserved = p->reserved;
        const uint64_t bytes = sluice_priv_record_bytes(len, p->unit_mask);
        uint64_t record = p->tail;
        uint64_t word = sluice_priv_data_word(reserved, len);

        if (sluice_priv_unlikely(len >= (reserved & SLUICE_PRIV_RESERVED)))
                return p->base.err ? p->base.err : -EINVAL;
        if (sluice_priv_unlikely((reserved & (SLUICE_PRIV_WRAPPED | SLUICE_PRIV_PIECE)) != 0)) {
                word += (reserved & SLUICE_PRIV_PIECE) >> 29;
                if (reserved & SLUICE_PRIV_WRAPPED) {
                        const uint64_t rest = sluice_priv_rest(p->tail, p->mask);

                        record += rest;
                        /* Relaxed, like every store of a header but the first:
                         * PUBLISH:store comes after it. */
                        sluice_priv_store_relaxed(sluice_priv_word(p->ring, record & p->mask),
                                                  word);
                        word = sluice_priv_header_word(SLUICE_LAYOUT_PADDING,
                                                       rest - SLUICE_LAYOUT_HEADER_BYTES, 0);
                        p->contiguous_end = record + bytes;
                }
        }
        sluice_priv_pace_after_write(p, record, bytes);
        /* Relaxed: PUBLISH:store comes after it. */
        if (p->staged == 0)
                p->first = word;
        else
                sluice_priv_store_relaxed(sluice_priv_word(p->ring, p->tail & p->mask), word);
        p->tail = record + bytes;
        p->staged++;
        p->reserved = 0;
        return 0;
}

/* Publishes what stands between position and tail: n messages, the first of
 * them, or the padding before it, with this header. */
static inline void sluice_priv_publish_batch(struct sluice_producer *p, uint64_t word, uint64_t n)
{
        /* In locals: the stores below might change anything, for all that the
         * compiler knows. */
        struct sluice_layout_producer *const own = p->own;
        unsigned char *const ring = p->ring;
        const uint64_t position = p->tail, messages = p->messages + n, mask = p->mask;
        const uint32_t slot = p->base.slot;
        uint64_t parked;

        /* The word behind the batch says "nothing yet" before the batch appears:
         * relaxed, for PUBLISH:store comes after it. */
        sluice_priv_store_relaxed(sluice_priv_word(ring, position & mask), 0);
        sluice_priv_store_release(sluice_priv_word(ring, p->position & mask), word);
        p->position = position;
        p->messages = messages;
        p->reserved = 0;
        p->base.slot = slot ^ 1;
        /* OBSERVE:store, then PROGRESS:store. */
        sluice_priv_store_release(&own->progress.slot[slot].messages, messages);
        sluice_priv_store_release(&own->progress.slot[slot].position, position);
        parked = sluice_priv_doorbell_due(&p->base.doorbell, position);
        if (sluice_priv_unlikely(parked != 0))
                p->base.sleep->wake(p, parked);
        sluice_priv_pace_published(ring, position, mask);
}

/*
 * Publishes all staged messages at once, and wakes the consumer if it sleeps
 * (the only system call). Wait-free otherwise. A message that is still
 * reserved is forgotten. Nothing staged: 0, no effect.
 */
SLUICE_INLINE int sluice_publish(struct sluice_producer *p)
{
        const uint64_t n = p->staged;

        if (n == 0) {
                p->reserved = 0;
                return p->own ? p->base.err : sluice_priv_producer_refusal(p, -EINVAL);
        }
        p->staged = 0;
        sluice_priv_publish_batch(p, p->first, n);
        return 0;
}

/* Beside staged messages, at the beginning of a lap, a piece, or without a right. */
static __attribute__((noinline, unused)) int sluice_priv_commit_slow(struct sluice_producer *p,
                                                                     size_t len)
{
        const int r = sluice_stage(p, len);

        return r ? r : sluice_publish(p);
}

/* stage, then publish: this message and all staged before it. */
SLUICE_INLINE int sluice_commit(struct sluice_producer *p, size_t len)
{
        const uint64_t reserved = p->reserved;
        const uint64_t bytes = sluice_priv_record_bytes(len, p->unit_mask);

        if (sluice_priv_unlikely(len >= (reserved & SLUICE_PRIV_RESERVED) || p->staged != 0 ||
                                 (reserved & (SLUICE_PRIV_WRAPPED | SLUICE_PRIV_PIECE)) != 0))
                return sluice_priv_commit_slow(p, len);
        /* The same for one message in its usual place, with fewer stores. */
        sluice_priv_pace_after_write(p, p->tail, bytes);
        p->tail += bytes;
        sluice_priv_publish_batch(p, sluice_priv_data_word(reserved, len), 1);
        return 0;
}

/* reserve, copy, commit. Errors as of sluice_reserve. */
SLUICE_NODISCARD SLUICE_INLINE int sluice_send(struct sluice_producer *p, const void *buf,
                                               size_t len, sluice_deadline until)
{
        void *payload;
        const int r = sluice_reserve(p, len, &payload, until);

        if (sluice_priv_unlikely(r != 0))
                return r;
        if (len != 0)
                sluice_priv_copy_in(payload, buf, len);
        return sluice_commit(p, len);
}

/* One message gathered from n pieces. -EINVAL: n is negative. */
SLUICE_NODISCARD SLUICE_INLINE int sluice_sendv(struct sluice_producer *p, const struct iovec *iov,
                                                int n, sluice_deadline until)
{
        unsigned char *to;
        void *payload;
        size_t len = 0;
        int r;

        if (n < 0)
                return sluice_priv_producer_refusal(p, -EINVAL);
        for (int i = 0; i < n; i++) {
                if (iov[i].iov_len > p->max_len - len)
                        return sluice_priv_producer_refusal(p, -EMSGSIZE);
                len += iov[i].iov_len;
        }
        r = sluice_reserve(p, len, &payload, until);
        if (r)
                return r;
        to = (unsigned char *)payload;
        for (int i = 0; i < n; i++) {
                if (iov[i].iov_len != 0)
                        sluice_priv_copy_in(to, iov[i].iov_base, iov[i].iov_len);
                to += iov[i].iov_len;
        }
        return sluice_commit(p, len);
}

/* Bytes of the longest message that can ever be sent. */
SLUICE_INLINE size_t sluice_producer_max_len(const struct sluice_producer *p)
{
        return (size_t)p->max_len;
}

/* Where the next message to be published will begin, and how many have
 * been published, ever, by all producers. Exact after a take-over. */
SLUICE_INLINE uint64_t sluice_producer_position(const struct sluice_producer *p)
{
        return p->position;
}

SLUICE_INLINE uint64_t sluice_producer_messages(const struct sluice_producer *p)
{
        return p->messages;
}

SLUICE_PRIV_END

#endif
