/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_LONG_H
#define SLUICE_LONG_H
/*
 * Messages longer than the ring, in pieces: a first one, any number in the
 * middle, a last one. Each piece is a message of its own, with its kind in
 * the header (sluice_set_kind, sluice_message.kind), and is released by
 * itself: that is how a message can be longer than the ring. Part of ring.h,
 * which says what its calls promise.
 *
 * What a receiver gets is whole or is not there. A long message of which it
 * can get only a part is dropped whole, and counted once: `torn` in struct
 * sluice_queue_stat. So it is
 *   - when the sender dies half way, closes, or begins another message, be
 *     it whole or a first piece: that is how a sender gives one up;
 *   - when the receiver dies half way, for its successor: it finds a piece
 *     that is not the first, and goes on to the next message.
 * A long message arrives at most once across a receiver's death, where a
 * whole one arrives again: its pieces were released as they came.
 *
 * To send piece by piece in place: sluice_reserve, sluice_set_kind, write,
 * sluice_commit; all pieces with the same tag.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "atomic.h"
#include "consumer.h"
#include "handle.h"
#include "layout.h"
#include "producer.h"
#include "wait.h"

/*
 * How far a receiver has come; all zero at first, and again after its handle
 * was closed. buf and cap are the caller's, all others are written by the
 * calls below.
 */
struct sluice_long {
        void *buf;         /* where sluice_recv_long puts the message together */
        size_t cap;        /* bytes of it; may be enlarged, with what is there, at any time */
        size_t len;        /* bytes of the message so far */
        uint64_t position; /* of its first piece */
        uint32_t tag;      /* likewise */
        int open;          /* 1: begun, and not complete */
        int skipping;      /* 1: the rest of one that is dropped may follow */
        int kept;          /* 1: the latest piece found no room in buf, and is there still */
        int shown;         /* 1: there was a piece, the latest ... */
        int kind;          /* ... of this kind ... */
        uint64_t at;       /* ... at this position */
        uint64_t unused[4];
};

SLUICE_PRIV_BEGIN

/* ---- Sending ------------------------------------------------------ */

/* Bytes of a piece: the ring holds several, so that one side writes while the
 * other reads. Records of a sixteenth of the ring fill its laps without padding. */
static inline size_t sluice_priv_piece(size_t longest)
{
        const size_t record = (longest + SLUICE_LAYOUT_HEADER_BYTES) / 8;

        return record < SLUICE_RECORD_ALIGN_MAX ? longest : record - SLUICE_LAYOUT_HEADER_BYTES;
}

/* Of the n bytes behind `before`, of len. */
static inline enum sluice_kind sluice_priv_piece_kind(size_t before, size_t n, size_t len)
{
        if (before == 0)
                return n == len ? SLUICE_WHOLE : SLUICE_FIRST;
        return before + n == len ? SLUICE_LAST : SLUICE_MIDDLE;
}

/*
 * Sends a message of any length. One that fits the queue is sent whole, as by
 * sluice_send; a longer one in pieces, for each of which the call waits until
 * the deadline. *sent is how many bytes were sent: 0 at first.
 *
 * After an error (those of sluice_reserve: -EAGAIN, -ETIMEDOUT, -ECANCELED,
 * the end of the receiver) *sent may have grown: the same call again, with
 * *sent as it is, goes on. Any other message gives this one up. NULL: as 0,
 * and an error gives up what was begun. After the end of a receiver that had
 * begun to read the message its successor drops what follows: send it
 * again, from 0.
 *
 * -EINVAL: *sent is greater than len.
 */
SLUICE_NODISCARD SLUICE_INLINE int sluice_send_long(struct sluice_producer *p, const void *buf,
                                                    size_t len, uint32_t tag, size_t *sent,
                                                    sluice_deadline until)
{
        const size_t longest = sluice_producer_max_len(p);
        const size_t piece = len <= longest ? len : sluice_priv_piece(longest);
        size_t before = sent ? *sent : 0;
        int r = 0;

        if (before > len)
                return sluice_priv_producer_refusal(p, -EINVAL);
        while (before < len || len == 0) {
                const size_t n = len - before < piece ? len - before : piece;
                const enum sluice_kind kind = sluice_priv_piece_kind(before, n, len);
                void *payload;

                r = sluice_reserve(p, n, &payload, until);
                if (r)
                        break;
                if (n != 0)
                        sluice_priv_copy_in(payload, (const unsigned char *)buf + before, n);
                sluice_set_tag(p, tag);
                if (kind != SLUICE_WHOLE)
                        sluice_set_kind(p, kind);
                r = sluice_commit(p, n);
                before += r ? 0 : n;
                if (r || len == 0)
                        break;
        }
        if (sent)
                *sent = before;
        return r;
}

/* ---- Receiving ---------------------------------------------------- */

/* The message that is open will not be complete. (A handle that was closed, or is
 * the parent's, counts nothing.) */
static inline void sluice_priv_tear(struct sluice_consumer *c, struct sluice_long *l)
{
        if (c->own)
                sluice_priv_count(&c->own->counters.torn);
        l->open = 0;
        l->len = 0;
}

/* Does this piece belong to a message that can still be whole? Otherwise it
 * is of a torn one, which is counted at the first such piece. */
static inline int sluice_priv_belongs(struct sluice_consumer *c, struct sluice_long *l,
                                      const struct sluice_message *m)
{
        const int begins = m->kind == SLUICE_WHOLE || m->kind == SLUICE_FIRST;

        if (l->open == begins && (l->open || !l->skipping))
                sluice_priv_tear(c, l);
        if (!begins && !l->open) {
                l->skipping = m->kind != SLUICE_LAST;
                return 0;
        }
        l->skipping = 0;
        if (begins) {
                l->open = m->kind == SLUICE_FIRST;
                l->len = 0;
                l->tag = m->tag;
                l->position = m->position;
        }
        return 1;
}

/* The piece that is there, which may have been shown before: is it of a message that
 * can still be whole? */
static inline int sluice_priv_show(struct sluice_consumer *c, struct sluice_long *l,
                                   const struct sluice_message *m)
{
        if (l->shown && m->position == l->at)
                return 1;
        l->shown = sluice_priv_belongs(c, l, m);
        if (!l->shown)
                return 0;
        if (m->kind == SLUICE_LAST)
                l->open = 0;
        l->at = m->position;
        l->kind = (int)m->kind;
        return 1;
}

/* Copies it to the end of buf, if there is room. */
static inline int sluice_priv_append(struct sluice_long *l, const struct sluice_message *m)
{
        l->kept = l->len > l->cap || m->len > l->cap - l->len;
        if (l->kept)
                return -EMSGSIZE;
        if (m->len != 0)
                sluice_priv_copy_out((unsigned char *)l->buf + l->len, m->data, m->len);
        l->len += m->len;
        return 0;
}

/* The message that is open, or whose latest piece did not fit, is given up. */
static inline void sluice_priv_give_up(struct sluice_consumer *c, struct sluice_long *l)
{
        const int last = l->kept && l->kind == SLUICE_LAST;

        l->kept = 0;
        if (l->open || last) {
                l->skipping = !last;
                sluice_priv_tear(c, l);
        }
        l->len = 0;
}

/* After a lap of pieces from *from on: has the deadline passed? A producer
 * that is faster, or hostile, does not hold a call any longer. */
static inline int sluice_priv_lap_over(const struct sluice_consumer *c, uint64_t *from,
                                       sluice_deadline until)
{
        const uint64_t position = sluice_consumer_position(c);

        if (position - *from <= 2 * (uint64_t)sluice_consumer_max_len(c))
                return 0;
        *from = position;
        if (until <= SLUICE_NOW)
                return -EAGAIN;
        return until != SLUICE_FOREVER && sluice_now_ns() >= until ? -ETIMEDOUT : 0;
}

/*
 * sluice_peek, for whole messages and for pieces: those of torn messages are
 * passed over and counted. So what comes is whole, or a first piece, or the
 * piece behind the one that came before; m->kind says which. A whole one or a
 * first one behind pieces without a last one: that message is torn, forget
 * it. Release each piece by sluice_release before the next; until then the
 * same one comes again. (No message may be kept by sluice_advance meanwhile.)
 *
 * Errors as of sluice_peek. An end (-EPIPE, -EOWNERDEAD, -ESTALE) tears a
 * message that is open; after the others it goes on. Passes over a lap of the
 * ring at most without a look at the deadline.
 */
SLUICE_NODISCARD SLUICE_INLINE int sluice_peek_piece(struct sluice_consumer *c,
                                                     struct sluice_long *l,
                                                     struct sluice_message *m,
                                                     sluice_deadline until)
{
        uint64_t from = sluice_consumer_position(c);
        int r;

        for (;;) {
                r = sluice_peek(c, m, until);
                if (sluice_priv_unlikely(r != 0)) {
                        if (l->open && (r == -EPIPE || r == -EOWNERDEAD || r == -ESTALE))
                                sluice_priv_tear(c, l);
                        return r;
                }
                if (sluice_priv_show(c, l, m))
                        return 0;
                r = sluice_release(c);
                if (r == 0)
                        r = sluice_priv_lap_over(c, &from, until);
                if (r)
                        return r;
        }
}

/*
 * Receives a message of any length into l->buf, whole or put together from
 * its pieces; returns its length, which is also l->len. l->tag and
 * l->position are those of its first piece.
 *
 * -EAGAIN, -ETIMEDOUT, -ECANCELED: not complete; the first l->len bytes are
 * there, and the next call goes on. -EMSGSIZE: the next piece does not fit
 * behind them; it stays. Enlarge buf (l->len bytes of it are needed) and
 * cap, and call again, or give up by sluice_skip_long. So cap bounds what a
 * hostile sender can send. Others as of sluice_peek_piece.
 */
SLUICE_NODISCARD SLUICE_INLINE ssize_t sluice_recv_long(struct sluice_consumer *c,
                                                        struct sluice_long *l,
                                                        sluice_deadline until)
{
        uint64_t from = sluice_consumer_position(c);
        struct sluice_message m;

        for (;;) {
                int r = sluice_peek_piece(c, l, &m, until);

                if (r == 0)
                        r = sluice_priv_append(l, &m);
                if (r)
                        return r;
                r = sluice_release(c);
                if (r == 0 && (m.kind == SLUICE_WHOLE || m.kind == SLUICE_LAST))
                        return (ssize_t)l->len;
                if (r == 0)
                        r = sluice_priv_lap_over(c, &from, until);
                if (r)
                        return r;
        }
}

/* Gives up the message that is open, or that did not fit: what is left of it
 * is passed over by the next calls. A long one is counted as torn. 0, also
 * when there is none. */
SLUICE_INLINE int sluice_skip_long(struct sluice_consumer *c, struct sluice_long *l)
{
        const int kept = l->kept;

        sluice_priv_give_up(c, l);
        return kept ? sluice_release(c) : 0;
}

SLUICE_PRIV_END

#endif
