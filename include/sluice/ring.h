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
 * sluice_priv_give_way. */
struct sluice_priv_pace {
        uint64_t passed;  /* messages, when the ring was last found empty behind one */
        int64_t since_ns; /* when that was */
        unsigned near;    /* how often in a row they have come close together */
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
        uint64_t limit;     /* tail must not pass this position */
        uint64_t position;  /* end of the last published record */
        uint64_t record;    /* where the reserved record begins */
        uint64_t reserved;  /* its length + 1, 0: nothing is reserved */
        uint64_t first;     /* header of the first staged record, stored last */
        uint64_t messages;  /* published, ever */
        uint64_t staged;    /* messages finished and not published */
        struct sluice_priv_door door;
        struct sluice_layout_producer *own;
        const struct sluice_layout_consumer *peer;
        const struct sluice_priv_sleep *sleep;
        void *queue;        /* of a named queue, else NULL */
        uint64_t seen;      /* the consumer's position when last looked at */
        uint32_t tag;       /* of the record being reserved */
        uint32_t slot;      /* PROGRESS: the one that is not in force */
        unsigned polls;     /* looks in vain */
        int err;            /* the handle is poisoned with this, or 0 */
        unsigned char unused[128];
};

struct sluice_consumer {
        const unsigned char *ring;
        uint64_t mask;
        uint64_t unit_mask;
        uint64_t max_len;
        uint64_t next;     /* where the current or next message begins */
        uint64_t word;     /* header of the current message, checked; 0: none */
        uint64_t limit;    /* no message of an honest producer ends beyond */
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
        sluice_word nothing; /* 0: what a poisoned handle polls */
        unsigned char unused[128];
};

/* ---- Internals ---------------------------------------------------- */

enum {
        SLUICE_PRIV_NEAR_NS = 40,  /* messages that come closer than this on average ... */
        SLUICE_PRIV_NEAR = 4,      /* ... so often in a row: a stream, just caught up with */
        SLUICE_PRIV_GIVE_WAY = 48 /* pauses */
};

static inline sluice_word *sluice_priv_word(unsigned char *ring, uint64_t off)
{
        return (sluice_word *)(void *)(ring + off);
}

static inline const sluice_word *sluice_priv_peer_word(const unsigned char *ring, uint64_t off)
{
        return (const sluice_word *)(const void *)(ring + off);
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
        p->tail = p->limit = p->position;
        p->reserved = 0;
        p->staged = 0;
        p->door.open = 0;
        return err;
}

static inline int sluice_priv_consumer_poison(struct sluice_consumer *c, int err)
{
        c->err = err;
        c->ring = (const unsigned char *)&c->nothing;
        c->mask = 0;
        c->word = 0;
        c->held = 0;
        c->door.open = 0;
        return err;
}

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

/* ---- Producer ----------------------------------------------------- */

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

/* ---- Consumer ----------------------------------------------------- */

/* A data header at next: checks it and makes it current. All that
 * follows uses the checked copy. 0 or -EBADMSG. */
static inline int sluice_priv_accept(struct sluice_consumer *c, uint64_t word)
{
        const uint64_t len = sluice_priv_header_len(word);
        const uint64_t bytes = sluice_priv_record_bytes(len, c->unit_mask);

        if (sluice_priv_unlikely(len > c->max_len || bytes > c->mask + 1 - (c->next & c->mask) ||
                                 bytes > c->limit - c->next))
                return sluice_priv_consumer_poison(c, -EBADMSG);
        c->word = word;
        return 0;
}

/* Anything but a data header at next. */
static inline int sluice_priv_accept_other(struct sluice_consumer *c, uint64_t word)
{
        const uint64_t rest = c->mask + 1 - (c->next & c->mask);

        if (word == SLUICE_LAYOUT_END)
                return -EPIPE;
        /* Padding fills the ring to its end, and is shown together with
         * the data record behind it. */
        if (word != sluice_priv_header_word(SLUICE_LAYOUT_PADDING,
                                            rest - SLUICE_LAYOUT_HEADER_BYTES, 0) ||
            rest > c->limit - c->next)
                return sluice_priv_consumer_poison(c, -EBADMSG);
        c->next += rest;
        /* UNTRUSTED. Relaxed would do, PUBLISH was the padding's header;
         * a successor that begins here needs the acquire. */
        word = sluice_priv_load_acquire(sluice_priv_peer_word(c->ring, 0));
        if ((word & SLUICE_LAYOUT_KIND) != SLUICE_LAYOUT_DATA)
                return sluice_priv_consumer_poison(c, -EBADMSG);
        return sluice_priv_accept(c, word);
}

/*
 * A consumer that polls right behind the producer takes away the line
 * that the producer is about to write, again and again, and both crawl.
 * It shows in messages that come close together although the ring is
 * found empty between them: then the consumer gives way for a moment,
 * and finds many. It stops when that was in vain. A reply, or a message
 * at leisure, is not kept waiting. Reads the clock once for each time
 * that the ring is found empty, not for each look. 1: has given way.
 */
static inline int sluice_priv_give_way(struct sluice_consumer *c)
{
        struct sluice_priv_pace *pace = &c->pace;
        const uint64_t passed = c->messages + c->held, burst = passed - pace->passed;
        int64_t now;

        if (burst == 0)
                return 0;
        now = sluice_now_ns();
        pace->near = (uint64_t)(now - pace->since_ns) < burst * SLUICE_PRIV_NEAR_NS ? pace->near + 1
                                                                                     : 0;
        pace->passed = passed;
        pace->since_ns = now;
        if (pace->near < SLUICE_PRIV_NEAR)
                return 0;
        for (int i = 0; i < SLUICE_PRIV_GIVE_WAY; i++)
                sluice_priv_relax();
        return 1;
}

static __attribute__((noinline, unused)) int sluice_priv_look(struct sluice_consumer *c,
                                                              sluice_deadline until)
{
        unsigned turn = 0;
        int given_up = 0;

        for (;;) {
                uint64_t word;
                int r;

                if (c->err)
                        return c->err;
                /* PUBLISH, consumer's side. UNTRUSTED. */
                word = sluice_priv_load_acquire(
                        sluice_priv_peer_word(c->ring, c->next & c->mask));
                if ((word & SLUICE_LAYOUT_KIND) == SLUICE_LAYOUT_DATA)
                        return sluice_priv_accept(c, word);
                if (word != 0)
                        return sluice_priv_accept_other(c, word);
                if (given_up)
                        return given_up;
                if (sluice_priv_give_way(c) && until != SLUICE_NOW)
                        continue;
                if (turn == 0 && until != SLUICE_NOW)
                        sluice_priv_count(&c->own->counters.stalls);
                if (until <= SLUICE_NOW) {
                        given_up = -EAGAIN;
                        if (!c->sleep || ++c->polls % 64 != 0)
                                return given_up;
                        r = c->sleep->check(c);
                        if (!r)
                                return given_up;
                        given_up = r;
                } else if (c->sleep) {
                        turn = 1;
                        given_up = c->sleep->wait(c, 0, until);
                } else {
                        given_up = sluice_priv_spin(&turn, until, -ETIMEDOUT);
                }
                if (given_up == -ECANCELED)
                        return given_up;
        }
}

/*
 * The next message, in place. Sleeps until the deadline when there is
 * none. Peeking again without advance or release gives the same one.
 *
 * -EAGAIN, -ETIMEDOUT: none. -EPIPE: the producer has closed and all is
 * drained. -EOWNERDEAD: it died and all is drained; messages of a
 * successor are found by the next call. -EBADMSG, -ESTALE, -ECANCELED.
 */
static inline int sluice_peek(struct sluice_consumer *c, struct sluice_message *m,
                              sluice_deadline until)
{
        if (c->word == 0) {
                /* PUBLISH, consumer's side. UNTRUSTED: checked by accept. */
                const uint64_t word = sluice_priv_load_acquire(
                        sluice_priv_peer_word(c->ring, c->next & c->mask));
                const int r = sluice_priv_likely((word & SLUICE_LAYOUT_KIND) == SLUICE_LAYOUT_DATA)
                                      ? sluice_priv_accept(c, word)
                                      : sluice_priv_look(c, until);

                if (sluice_priv_unlikely(r != 0))
                        return r;
        }
        m->data = c->ring + (c->next & c->mask) + SLUICE_LAYOUT_HEADER_BYTES;
        m->len = (size_t)sluice_priv_header_len(c->word);
        m->tag = (uint32_t)(c->word >> 32);
        m->position = c->next;
        return 0;
}

/* Goes on to the message behind the current one, which stays valid and
 * is kept until release. -EINVAL: no message has been peeked. */
static inline int sluice_advance(struct sluice_consumer *c)
{
        if (sluice_priv_unlikely(c->word == 0))
                return c->err ? c->err : -EINVAL;
        c->next += sluice_priv_record_bytes(sluice_priv_header_len(c->word), c->unit_mask);
        c->word = 0;
        c->held++;
        return 0;
}

/*
 * Gives back the current message and all before it; with none peeked
 * since the last advance, all that were passed. Wait-free; wakes the
 * producer if it sleeps and has now the room that it asked for.
 * -EINVAL: there is nothing to release.
 */
static inline int sluice_release(struct sluice_consumer *c)
{
        uint64_t parked;

        if (c->word != 0)
                sluice_advance(c);
        if (sluice_priv_unlikely(c->held == 0))
                return c->err ? c->err : -EINVAL;
        c->messages += c->held;
        c->held = 0;
        c->position = c->next;
        c->limit = c->position + c->mask - c->unit_mask;
        /* PROGRESS: in force once the position below is stored. */
        sluice_priv_store_relaxed(&c->own->progress.slot[c->slot].messages, c->messages);
        sluice_priv_store_release(&c->own->progress.slot[c->slot].position, c->position);
        c->slot ^= 1;
        /* RELEASE, consumer's side. */
        sluice_priv_store_release(&c->own->position, c->position);
        parked = sluice_priv_door_due(&c->door, c->position);
        if (sluice_priv_unlikely(parked != 0))
                c->sleep->wake(c, parked);
        return 0;
}

/*
 * Copies the next message to buf and releases it; returns its length.
 * -EMSGSIZE: it is longer than cap; it stays, and peek shows it. Others
 * as of sluice_peek.
 */
static inline ssize_t sluice_recv(struct sluice_consumer *c, void *buf, size_t cap,
                                  sluice_deadline until)
{
        struct sluice_message m;
        int r = sluice_peek(c, &m, until);

        if (sluice_priv_unlikely(r != 0))
                return r;
        if (sluice_priv_unlikely(m.len > cap))
                return -EMSGSIZE;
        if (m.len != 0)
                sluice_priv_copy_out(buf, m.data, m.len);
        r = sluice_release(c);
        return r ? r : (ssize_t)m.len;
}

/* Called by sluice_drain for each message. 0: released, go on. Positive:
 * released, stop. Negative: not released, stop, and drain returns it. */
typedef int sluice_handler(void *ctx, const struct sluice_message *m);

/*
 * Hands what is there, at most max messages, to fn, and releases each
 * after fn has seen it. Never sleeps. Returns how many were released;
 * with none released, the handler's or peek's error instead, but 0 for
 * -EAGAIN.
 */
static inline ssize_t sluice_drain(struct sluice_consumer *c, sluice_handler *fn, void *ctx,
                                   size_t max)
{
        struct sluice_message m;
        ssize_t n = 0;
        int r = 0;

        while ((size_t)n < max && r == 0) {
                r = sluice_peek(c, &m, SLUICE_NOW);
                if (r == 0)
                        r = fn(ctx, &m);
                if (r >= 0) {
                        const int released = sluice_release(c);

                        n += released == 0;
                }
        }
        if (r == -EAGAIN || n > 0)
                r = 0;
        return r < 0 ? r : n;
}

/* Bytes of the longest message that can ever come: enough for recv. */
static inline size_t sluice_consumer_max_len(const struct sluice_consumer *c)
{
        return (size_t)c->max_len;
}

/* Up to where all is released, and how many messages that were, ever,
 * by all consumers. Exact after a take-over. */
static inline uint64_t sluice_consumer_position(const struct sluice_consumer *c)
{
        return c->position;
}

static inline uint64_t sluice_consumer_messages(const struct sluice_consumer *c)
{
        return c->messages;
}

#include "attach.h"

#endif
