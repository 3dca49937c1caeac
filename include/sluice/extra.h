/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_EXTRA_H
#define SLUICE_EXTRA_H
/*
 * Calls beside reserve to publish and peek to release, for either side: a
 * tag in one call, a part of what was passed released, the latest message
 * only, messages that may be dropped, how full the ring is. Part of ring.h,
 * which says what they promise; all are wait-free but where they take a
 * deadline.
 *
 * Several messages may be under way at a producer: what is staged has its
 * length and its place, and its payload may be written until it is
 * published.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "atomic.h"
#include "consumer.h"
#include "handle.h"
#include "layout.h"
#include "producer.h"
#include "wait.h"

SLUICE_PRIV_BEGIN

/* ---- A tag in one call -------------------------------------------- */

/* sluice_send with a tag. */
SLUICE_NODISCARD SLUICE_INLINE int sluice_send_tagged(struct sluice_producer *p, const void *buf,
                                                      size_t len, uint32_t tag,
                                                      sluice_deadline until)
{
        return sluice_priv_send(p, buf, len, tag, until);
}

/* sluice_sendv with a tag. */
SLUICE_NODISCARD SLUICE_INLINE int sluice_sendv_tagged(struct sluice_producer *p,
                                                       const struct iovec *iov, int n, uint32_t tag,
                                                       sluice_deadline until)
{
        return sluice_priv_send_pieces(p, iov, n, tag, until);
}

/* ---- A producer that must never wait ------------------------------ */

/* Counts n messages that this producer did not send for want of room; `sluice
 * stat` shows the sum. For those who decide themselves what to drop. */
SLUICE_INLINE void sluice_count_dropped(struct sluice_producer *p, uint64_t n)
{
        if (p->own) /* Relaxed: a count for people to look at. */
                sluice_priv_store_relaxed(&p->own->counters.dropped,
                                          sluice_priv_load_relaxed(&p->own->counters.dropped) + n);
}

/*
 * Sends the message if there is room, and drops and counts it if not: the
 * newest is lost, never one that was published, and no call waits.
 * -EAGAIN: dropped. -EPIPE, -EOWNERDEAD: dropped, and the consumer is gone,
 * as of sluice_reserve. Others, of sluice_reserve, are not counted.
 */
SLUICE_INLINE int sluice_offer(struct sluice_producer *p, const void *buf, size_t len, uint32_t tag)
{
        const int r = sluice_send_tagged(p, buf, len, tag, SLUICE_NOW);

        if (r == -EAGAIN || r == -EPIPE || r == -EOWNERDEAD)
                sluice_count_dropped(p, 1);
        return r;
}

/* ---- A part of what was passed ------------------------------------ */

/* How many messages lie between the released position and this one, at which
 * a passed one begins; -1: none does. UNTRUSTED: the headers were checked, and
 * may have changed; they decide here only what is released of our own. */
static __attribute__((noinline, unused)) int64_t
sluice_priv_passed_before(const struct sluice_consumer *c, uint64_t position)
{
        uint64_t at = sluice_priv_released(c), n = 0;

        while (at != position) {
                /* Relaxed: PUBLISH:load was when it was peeked. */
                const uint64_t word = sluice_priv_load_relaxed(sluice_priv_consumer_word(c, at));
                const uint64_t end = sluice_priv_record_end(at, word, c->unit_mask);

                if (end - at > position - at)
                        return -1;
                n += (word & SLUICE_LAYOUT_KIND) != SLUICE_LAYOUT_PADDING;
                at = end;
        }
        return n < c->held ? (int64_t)n : -1;
}

/*
 * Gives back all messages before the one at this position, which is the
 * current one's or that of a message passed by advance: that one and those
 * behind it are kept, and stay valid. Without effect where nothing lies
 * before it. O(1) for the current one, else a step for each message that is
 * released. -EINVAL: no message that is kept begins there.
 */
SLUICE_INLINE int sluice_release_to(struct sluice_consumer *c, uint64_t position)
{
        const uint64_t from = sluice_priv_released(c);
        int64_t n = 0;

        if (!c->own || c->base.err || position - from > c->behind)
                return c->base.err ? c->base.err : -EINVAL;
        if (position == c->next)
                n = (int64_t)c->held;
        else if (position != from)
                n = sluice_priv_passed_before(c, position);
        if (n < 0 || (c->held | c->word) == 0)
                return -EINVAL;
        if (n == 0)
                return 0;
        c->behind = c->next - position;
        c->held -= (uint64_t)n;
        sluice_priv_release_records(c, from, position, (uint64_t)n);
        return 0;
}

/* Where the current message ends, and without one, the last that was passed. */
static inline uint64_t sluice_priv_behind_current(const struct sluice_consumer *c)
{
        return c->next + (c->word != 0 ? c->bytes : 0);
}

/* Is a message behind the current one? (Padding is followed by one.) */
static inline int sluice_priv_has_behind(const struct sluice_consumer *c)
{
        /* PUBLISH:load is of the next peek, so relaxed. UNTRUSTED: decides only
         * whether that is called. */
        const uint64_t word = sluice_priv_load_relaxed(
                sluice_priv_consumer_word(c, sluice_priv_behind_current(c)));

        return word != 0 && word != SLUICE_LAYOUT_END;
}

/*
 * The newest message that is there, in place, for those who need no other:
 * all before it, kept ones included, are released. Sleeps until the deadline
 * when there is none. Goes on for a lap of the ring at most, as sluice_drain
 * does. sluice_consumer_messages tells how many were passed over. Errors as of
 * sluice_peek.
 */
SLUICE_NODISCARD SLUICE_INLINE int
sluice_peek_latest(struct sluice_consumer *c, struct sluice_message *m, sluice_deadline until)
{
        const uint64_t from = sluice_consumer_position(c);
        int r = sluice_peek(c, m, until);

        while (r == 0 && sluice_priv_behind_current(c) - from <= c->mask - c->unit_mask &&
               sluice_priv_has_behind(c)) {
                sluice_advance(c);
                r = sluice_peek(c, m, SLUICE_NOW);
        }
        return r ? r : sluice_release_to(c, m->position);
}

/* ---- How full the ring is ----------------------------------------- */

/* The later slot: what its endpoint says of itself. UNTRUSTED, and of two
 * moments while that endpoint is at work: for the calls below, whose results
 * nothing here depends on. */
static inline void sluice_priv_progress_seen(const struct sluice_layout_progress *progress,
                                             uint64_t *position, uint64_t *messages)
{
        uint64_t at[2];
        int later;

        /* PROGRESS:load */
        at[0] = sluice_priv_load_acquire(&progress->slot[0].position);
        at[1] = sluice_priv_load_acquire(&progress->slot[1].position);
        later = (int64_t)(at[1] - at[0]) > 0;
        *position = at[later];
        *messages = sluice_priv_load_relaxed(&progress->slot[later].messages);
}

/* Not below what is known, nor above what can be. */
static inline uint64_t sluice_priv_within(uint64_t n, uint64_t least, uint64_t most)
{
        return n > most ? least : n < least ? least : n;
}

/* From one record to the next, up to what is not published, and a lap from the
 * released position at most. UNTRUSTED: as sluice_priv_progress_seen. */
static inline void sluice_priv_walk_published(const struct sluice_consumer *c, uint64_t *position,
                                              uint64_t *messages)
{
        const uint64_t limit = sluice_priv_consumer_limit(c);

        for (;;) {
                /* PUBLISH:load */
                const uint64_t word =
                        sluice_priv_load_acquire(sluice_priv_consumer_word(c, *position));
                const uint64_t end = sluice_priv_record_end(*position, word, c->unit_mask);

                if ((word & SLUICE_LAYOUT_KIND) == 0 || end - *position > limit - *position)
                        return;
                *messages += (word & SLUICE_LAYOUT_KIND) != SLUICE_LAYOUT_PADDING;
                *position = end;
        }
}

/* What is published as the consumer sees it, whose producer tells only now and
 * then how far it is: from there, or from where this consumer is if that is
 * further, the headers tell the rest. */
static __attribute__((noinline, unused)) void
sluice_priv_published_seen(const struct sluice_consumer *c, uint64_t *position, uint64_t *messages)
{
        const uint64_t own = sluice_priv_behind_current(c);

        sluice_priv_progress_seen(&c->peer->progress, position, messages);
        if (*position - own > sluice_priv_consumer_limit(c) - own ||
            (*position & SLUICE_LAYOUT_FLAGS) != 0) {
                *position = own;
                *messages = c->messages + c->held + (c->word != 0);
        }
        sluice_priv_walk_published(c, position, messages);
}

/*
 * Bytes that are published and not released. Of the other side each call
 * reads what that says of itself, a line or two that are not read otherwise,
 * and a consumer also the headers of messages that came since its producer last
 * told how many there are, up to 16 with the present one: ask now and then,
 * not for every message. While the other side is at work the answer was true a
 * moment ago; a hostile one can make it any number from what this side knows to
 * the size of the ring, and the consumer's call as long as a lap of 8-byte
 * records takes.
 */
SLUICE_INLINE uint64_t sluice_producer_used(const struct sluice_producer *p)
{
        if (!p->own)
                return 0;
        /* RELEASE:load. UNTRUSTED: as sluice_priv_progress_seen. */
        return sluice_priv_within(
                sluice_priv_published(p) -
                        (sluice_priv_load_acquire(&p->peer->position) & ~SLUICE_LAYOUT_FLAGS),
                0, p->mask - p->unit_mask);
}

SLUICE_INLINE uint64_t sluice_consumer_used(const struct sluice_consumer *c)
{
        uint64_t position, messages;

        if (!c->own || c->base.err)
                return 0;
        sluice_priv_published_seen(c, &position, &messages);
        return position - sluice_priv_released(c);
}

/* Messages that are published and not released, likewise. */
SLUICE_INLINE uint64_t sluice_producer_pending(const struct sluice_producer *p)
{
        uint64_t position, messages;

        if (!p->own)
                return 0;
        sluice_priv_progress_seen(&p->peer->progress, &position, &messages);
        return sluice_priv_within(p->messages - messages, 0, p->mask / SLUICE_LAYOUT_HEADER_BYTES);
}

SLUICE_INLINE uint64_t sluice_consumer_pending(const struct sluice_consumer *c)
{
        uint64_t position, messages;

        if (!c->own || c->base.err)
                return 0;
        sluice_priv_published_seen(c, &position, &messages);
        return sluice_priv_within(messages - c->messages, c->held + (c->word != 0),
                                  c->mask / SLUICE_LAYOUT_HEADER_BYTES);
}

/* Bytes of the ring that a producer may still fill, or could as this consumer
 * sees it. A message takes its length and 8 bytes, up to a multiple of
 * record_align; and, if it does not fit there, what is left of the lap. */
SLUICE_INLINE uint64_t sluice_producer_room(const struct sluice_producer *p)
{
        if (!p->own)
                return 0;
        return sluice_priv_within(p->mask - p->unit_mask - sluice_producer_used(p) -
                                          (p->tail - sluice_priv_published(p)),
                                  0, p->mask);
}

SLUICE_INLINE uint64_t sluice_consumer_room(const struct sluice_consumer *c)
{
        if (!c->own || c->base.err)
                return 0;
        return c->mask - c->unit_mask - sluice_consumer_used(c);
}

/* 1: all that was published is released. 0: not yet, as far as can be seen. */
SLUICE_INLINE int sluice_producer_is_empty(const struct sluice_producer *p)
{
        return sluice_producer_used(p) == 0;
}

/* 1: sluice_peek would find no message now. Reads the next header only, and
 * reports no end. */
SLUICE_INLINE int sluice_consumer_is_empty(const struct sluice_consumer *c)
{
        return c->word == 0 && !sluice_priv_has_behind(c);
}

SLUICE_PRIV_END

#endif
