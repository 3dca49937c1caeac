/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_PRODUCER_H
#define SLUICE_PRODUCER_H
/*
 * The producer's calls. Part of ring.h, which says what they promise and
 * includes this.
 */
#include "ring.h"

/* Re-reads the consumer's position. 0, or -EPIPE when it has closed. */
static inline int sluice_priv_producer_refresh(struct sluice_producer *p)
{
        /* RELEASE, producer's side. UNTRUSTED: checked on the next lines. */
        const uint64_t word = sluice_priv_load_acquire(&p->peer->position);
        const uint64_t seen = word & ~SLUICE_LAYOUT_FLAGS;
        const uint64_t used = p->position - seen;

        /* It only grows, and never beyond what is published. */
        if (seen - p->seen > p->position - p->seen || (seen & p->unit_mask) != 0 ||
            (word & SLUICE_LAYOUT_FLAGS & ~SLUICE_LAYOUT_POSITION_CLOSED) != 0)
                return sluice_priv_producer_poison(p, -EBADMSG);
        if (used > sluice_priv_load_relaxed(&p->own->counters.high_water))
                sluice_priv_store_relaxed(&p->own->counters.high_water, used);
        p->seen = seen;
        if (word & SLUICE_LAYOUT_POSITION_CLOSED)
                return -EPIPE; /* and no room, so that it stays so */
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
                int r = p->err ? p->err : sluice_priv_producer_refresh(p);

                if (r)
                        return r;
                if (p->limit - p->tail >= need)
                        return 0;
                if (given_up)
                        return given_up;
                if (p->tail - p->position + need > p->mask - p->unit_mask)
                        return -EMSGSIZE; /* not even beside the staged ones in an empty ring */
                if (turn == 0 && until != SLUICE_NOW)
                        sluice_priv_count(&p->own->counters.stalls);
                if (until <= SLUICE_NOW) {
                        /* Full: leave the consumer's line alone for a moment. */
                        for (int i = 0; i < 64; i++)
                                sluice_priv_relax();
                        given_up = -EAGAIN;
                        if (!p->sleep || ++p->polls % 64 != 0)
                                return given_up;
                        r = p->sleep->check(p);
                        if (!r)
                                return given_up;
                        given_up = r;
                } else if (p->sleep) {
                        turn = 1;
                        given_up = p->sleep->wait(p, need, until);
                } else {
                        given_up = sluice_priv_spin(&turn, until, -ETIMEDOUT);
                }
                if (given_up == -ECANCELED)
                        return given_up; /* at once, or the interrupt would be lost */
        }
}

/*
 * Room for a message of up to len bytes; *payload is where to write it,
 * valid until commit, stage or abort, 8 bytes aligned. A second reserve
 * forgets the first. Sleeps until the deadline when the ring is full.
 *
 * -EMSGSIZE: longer than capacity / 2 - 8, or it cannot fit beside what
 * is staged however much the consumer reads: publish first. -EAGAIN,
 * -ETIMEDOUT: full. -EPIPE: the consumer has closed. -EOWNERDEAD: it
 * died, and the ring is full. -EBADMSG, -ESTALE, -ECANCELED.
 */
static inline int sluice_reserve(struct sluice_producer *p, size_t len, void **payload,
                                 sluice_deadline until)
{
        const uint64_t bytes = sluice_priv_record_bytes(len, p->unit_mask);
        const uint64_t rest = p->mask + 1 - (p->tail & p->mask);
        uint64_t skip = 0;

        if (sluice_priv_unlikely(len > p->max_len))
                return p->err ? p->err : -EMSGSIZE;
        if (sluice_priv_unlikely(bytes > rest))
                skip = rest; /* a padding record fills the end of the ring */
        if (sluice_priv_unlikely(p->limit - p->tail < skip + bytes)) {
                const int r = sluice_priv_make_room(p, skip + bytes, until);

                if (r)
                        return r;
        }
        p->record = p->tail + skip;
        p->reserved = (uint64_t)len + 1;
        p->tag = 0;
        *payload = p->ring + (p->record & p->mask) + SLUICE_LAYOUT_HEADER_BYTES;
        return 0;
}

/* The tag of the message being reserved: 32 bits that travel in the
 * header, 0 by default. Between reserve and commit or stage. */
static inline void sluice_set_tag(struct sluice_producer *p, uint32_t tag)
{
        p->tag = tag;
}

/* Forgets the reserved message; staged ones stay staged. */
static inline void sluice_abort(struct sluice_producer *p)
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
static inline int sluice_stage(struct sluice_producer *p, size_t len)
{
        uint64_t word = sluice_priv_header_word(SLUICE_LAYOUT_DATA, len, p->tag);
        const uint64_t next = p->record + sluice_priv_record_bytes(len, p->unit_mask);

        if (sluice_priv_unlikely(len >= p->reserved))
                return p->err ? p->err : -EINVAL;
        /* Close the next header before this one may open. Relaxed, like
         * every store here: PUBLISH orders them. */
        sluice_priv_store_relaxed(sluice_priv_word(p->ring, next & p->mask), 0);
        if (sluice_priv_unlikely(p->record != p->tail)) {
                const uint64_t skip = p->record - p->tail;

                sluice_priv_store_relaxed(sluice_priv_word(p->ring, p->record & p->mask), word);
                word = sluice_priv_header_word(SLUICE_LAYOUT_PADDING,
                                               skip - SLUICE_LAYOUT_HEADER_BYTES, 0);
        }
        if (p->staged == 0)
                p->first = word;
        else
                sluice_priv_store_relaxed(sluice_priv_word(p->ring, p->tail & p->mask), word);
        p->tail = next;
        p->staged++;
        p->reserved = 0;
        return 0;
}

/*
 * Shows all staged messages at once, and wakes the consumer if it sleeps
 * (the only system call). Wait-free otherwise. A message that is still
 * reserved is forgotten. Nothing staged: 0, no effect.
 */
static inline int sluice_publish(struct sluice_producer *p)
{
        const uint64_t begin = p->position;
        uint64_t parked;

        p->reserved = 0;
        if (p->staged == 0)
                return p->err;
        /* PUBLISH, producer's side. */
        sluice_priv_store_release(sluice_priv_word(p->ring, begin & p->mask), p->first);
        p->position = p->tail;
        p->messages += p->staged;
        p->staged = 0;
        /* PROGRESS, writer's side. */
        sluice_priv_store_relaxed(&p->own->progress.slot[p->slot].messages, p->messages);
        sluice_priv_store_release(&p->own->progress.slot[p->slot].position, p->position);
        p->slot ^= 1;
        parked = sluice_priv_door_due(&p->door, p->position);
        if (sluice_priv_unlikely(parked != 0))
                p->sleep->wake(p, parked);
        /* The line behind the next header is written next: make it ours
         * while there is time. The next header's own is being polled. */
        sluice_priv_prefetch_write(
                p->ring + ((p->position + SLUICE_RECORD_ALIGN_DEFAULT) & p->mask));
        return 0;
}

/* stage, then publish: this message and all staged before it. */
static inline int sluice_commit(struct sluice_producer *p, size_t len)
{
        const int r = sluice_stage(p, len);

        return sluice_priv_unlikely(r != 0) ? r : sluice_publish(p);
}

/*
 * The line that bears the header is written last. The consumer polls it:
 * as soon as anything is written there, the consumer fetches it, and it
 * had to be fetched back for the header if other lines came in between.
 */
static inline void sluice_priv_fill(void *payload, const void *buf, size_t len)
{
        const size_t first = SLUICE_RECORD_ALIGN_DEFAULT - SLUICE_LAYOUT_HEADER_BYTES;
        unsigned char *const to = (unsigned char *)payload;
        const unsigned char *const from = (const unsigned char *)buf;

        if (len > first) {
                sluice_priv_copy_in(to + first, from + first, len - first);
                sluice_priv_fence_compiler();
                sluice_priv_copy_in(to, from, first);
        } else if (len != 0) {
                sluice_priv_copy_in(to, from, len);
        }
}

/* reserve, copy, commit. Errors as of sluice_reserve. */
static inline int sluice_send(struct sluice_producer *p, const void *buf, size_t len,
                              sluice_deadline until)
{
        void *payload;
        const int r = sluice_reserve(p, len, &payload, until);

        if (sluice_priv_unlikely(r != 0))
                return r;
        sluice_priv_fill(payload, buf, len);
        return sluice_commit(p, len);
}

/* One message gathered from n pieces. -EINVAL: n is negative. */
static inline int sluice_sendv(struct sluice_producer *p, const struct iovec *iov, int n,
                               sluice_deadline until)
{
        unsigned char *to;
        void *payload;
        size_t len = 0;
        int r;

        if (n < 0)
                return p->err ? p->err : -EINVAL;
        for (int i = 0; i < n; i++) {
                if (iov[i].iov_len > p->max_len - len)
                        return p->err ? p->err : -EMSGSIZE;
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
static inline size_t sluice_producer_max_len(const struct sluice_producer *p)
{
        return (size_t)p->max_len;
}

/* Where the next message to be published will begin, and how many have
 * been published, ever, by all producers. Exact after a take-over. */
static inline uint64_t sluice_producer_position(const struct sluice_producer *p)
{
        return p->position;
}

static inline uint64_t sluice_producer_messages(const struct sluice_producer *p)
{
        return p->messages;
}

#endif
