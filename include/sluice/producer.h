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
#include "handle.h"
#include "layout.h"
#include "pace.h"
#include "room.h"
#include "wait.h"

SLUICE_PRIV_BEGIN

/* How often a producer tells how many messages it has published: PROGRESS. */
enum { SLUICE_PRIV_PROGRESS_EVERY = 16 };

/* The kind of a whole message that is reserved, where it needs more than its
 * place at tail: beside staged messages; in a new lap. */
#define SLUICE_PRIV_BESIDE  SLUICE_LAYOUT_PADDING
#define SLUICE_PRIV_NEW_LAP SLUICE_LAYOUT_PACKED

/* Stores how many messages are published, and up to where. Not twice for one
 * position: with both slots at one, 0 is in force, and must not be written. */
static __attribute__((noinline, unused)) void sluice_priv_tell_progress(struct sluice_producer *p)
{
        struct sluice_layout_producer *const own = p->own;
        const uint64_t published = sluice_priv_published(p);
        const uint32_t slot = p->base.slot;

        if (published == p->told)
                return;
        /* OBSERVE:store, then PROGRESS:store. */
        sluice_priv_store_release(&own->progress.slot[slot].messages, p->messages);
        sluice_priv_store_release(&own->progress.slot[slot].position, published);
        p->told = published;
        p->base.slot = slot ^ 1;
}

/* Bytes of the longest message that shares a cache line with its header. */
enum { SLUICE_PRIV_SHORT = 56 };

/*
 * "Nothing yet" behind the record of so many bytes that will be at tail, into room
 * that is known: nobody reads this word before PUBLISH:store of that record
 * (so relaxed), and should that never come, or another record come instead, the
 * word is just free.
 *
 * For a short message it is stored when that is reserved. Where stores take effect
 * in order, the one of the header would wait here for another line, with the
 * payload written already, and a consumer that polls would take their line away
 * meanwhile. (A longer one is on several lines; a copy is too quick for that.)
 */
static inline void sluice_priv_end_behind(const struct sluice_producer *p, uint64_t bytes)
{
        sluice_priv_store_relaxed(sluice_priv_word(p->ring, (p->tail + bytes) & p->mask), 0);
}

static inline int sluice_priv_is_short(size_t len)
{
        return len <= SLUICE_PRIV_SHORT;
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

        if (len > p->max_len || !p->own)
                return p->base.err ? p->base.err : p->own ? -EMSGSIZE : -EINVAL;
        if (p->limit - p->tail < skip + bytes) {
                const int r = sluice_priv_make_room(p, skip + bytes, until);

                if (r)
                        return r;
        }
        sluice_priv_tell_progress(p);
        p->contiguous_end = p->tail + sluice_priv_run(p->limit - p->tail, rest, p->mask);
        if (skip == 0 && sluice_priv_is_short(len))
                sluice_priv_end_behind(p, bytes);
        p->reserved = sluice_priv_header_word(skip != 0 ? SLUICE_PRIV_NEW_LAP : p->usual, len, 0);
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
 * An end of the consumer ends one wait, as of sluice_peek. After it the ring may be filled
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

        if (sluice_priv_unlikely(sluice_priv_is_too_long(p, len) ||
                                 p->contiguous_end - p->tail < bytes))
                return sluice_priv_reserve_slow(p, len, payload, until);
        record = p->ring + (p->tail & p->mask);
        if (sluice_priv_is_short(len))
                sluice_priv_end_behind(p, bytes);
        p->reserved = sluice_priv_header_word(p->usual, len, 0);
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

        if ((p->reserved & SLUICE_LAYOUT_KIND) == 0 || bits > SLUICE_LAST)
                return sluice_priv_producer_refusal(p, -EINVAL);
        p->reserved = (p->reserved & ~SLUICE_LAYOUT_KIND) |
                      (bits == SLUICE_WHOLE ? SLUICE_PRIV_NEW_LAP : bits + SLUICE_LAYOUT_WHOLE);
        return 0;
}

/* Forgets the reserved message; staged ones stay staged. */
SLUICE_INLINE void sluice_abort(struct sluice_producer *p)
{
        p->reserved = 0;
}

/*
 * What is staged is a piece, or begins a new lap, with padding before it.
 * *word: the header of a whole message; becomes that of the first record.
 * Returns where the message's record begins.
 */
static __attribute__((noinline, unused)) uint64_t
sluice_priv_stage_special(struct sluice_producer *p, uint64_t *word)
{
        const uint64_t kind = p->reserved & SLUICE_LAYOUT_KIND, unit_mask = p->unit_mask;
        const uint64_t rest = sluice_priv_rest(p->tail, p->mask);
        uint64_t record = p->tail;

        if (kind <= SLUICE_LAYOUT_LAST)
                *word += kind - SLUICE_LAYOUT_WHOLE;
        if (sluice_priv_record_bytes(sluice_priv_header_len(p->reserved), unit_mask) <= rest)
                return record;
        record += rest;
        /* Relaxed, like every store of a header but the first: PUBLISH:store comes
         * after it. */
        sluice_priv_store_relaxed(sluice_priv_word(p->ring, record & p->mask), *word);
        p->contiguous_end =
                record + sluice_priv_record_bytes(sluice_priv_header_len(*word), unit_mask);
        *word = sluice_priv_header_word(SLUICE_LAYOUT_PADDING, rest - SLUICE_LAYOUT_HEADER_BYTES,
                                        0);
        return record;
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
        const uint64_t reserved = p->reserved, at = p->tail;
        const uint64_t bytes = sluice_priv_record_bytes(len, p->unit_mask);
        uint64_t record = at;
        uint64_t word =
                sluice_priv_header_word(SLUICE_LAYOUT_WHOLE, len, (uint32_t)(reserved >> 32));

        if (sluice_priv_unlikely(len > sluice_priv_header_len(reserved)))
                return p->base.err ? p->base.err : -EINVAL;
        if (sluice_priv_unlikely((reserved & 3) != SLUICE_LAYOUT_WHOLE)) { /* nor BESIDE */
                if ((reserved & SLUICE_LAYOUT_KIND) == 0)
                        return p->base.err ? p->base.err : -EINVAL;
                record = sluice_priv_stage_special(p, &word);
        }
        sluice_priv_pace_after_write(p, record, bytes);
        if (p->staged == 0) {
                p->batch = at;
                p->first = word;
                p->usual = SLUICE_PRIV_BESIDE;
        } else {
                /* Relaxed: PUBLISH:store comes after it. */
                sluice_priv_store_relaxed(sluice_priv_word(p->ring, at & p->mask), word);
        }
        p->tail = record + bytes;
        p->staged++;
        p->reserved = 0;
        return 0;
}

/* Publishes n messages up to `to`, the first of which, or the padding before it, is at
 * `first` and has this header; behind them is a 0. */
static inline void sluice_priv_publish_records(struct sluice_producer *p, unsigned char *first,
                                               uint64_t to, uint64_t word, uint64_t n)
{
        const uint64_t before = p->messages, messages = before + n;
        uint64_t parked;

        /* PUBLISH:store */
        sluice_priv_store_release(sluice_priv_word(first, 0), word);
        p->tail = to;
        p->messages = messages;
        if (sluice_priv_unlikely((messages ^ before) >= SLUICE_PRIV_PROGRESS_EVERY))
                sluice_priv_tell_progress(p);
        parked = sluice_priv_doorbell_due(&p->base.doorbell, to);
        if (sluice_priv_unlikely(parked != 0))
                p->base.sleep->wake(p, parked);
}

/* One record at `from`, which is tail, and before contiguous_end, with nothing staged
 * before it and a 0 behind it. */
static inline void sluice_priv_publish_record(struct sluice_producer *p, unsigned char *record,
                                              uint64_t from, uint64_t bytes, uint64_t word)
{
        const uint64_t to = from + bytes;

        sluice_priv_pace_after_write(p, from, bytes);
        sluice_priv_publish_records(p, record, to, word, 1);
        sluice_priv_pace_published(p, to, bytes);
}

/*
 * Publishes all staged messages at once, and wakes the consumer if it sleeps
 * (the only system call). Wait-free otherwise. A message that is still
 * reserved is forgotten. Nothing staged: 0, no effect.
 */
SLUICE_INLINE int sluice_publish(struct sluice_producer *p)
{
        const uint64_t n = p->staged, bytes = p->tail - p->batch;

        if (n == 0) {
                p->reserved = 0;
                return p->own ? p->base.err : sluice_priv_producer_refusal(p, -EINVAL);
        }
        p->staged = 0;
        p->reserved = 0;
        p->usual = SLUICE_LAYOUT_WHOLE;
        /* Behind the last of them, however long that has become: relaxed, for
         * PUBLISH:store comes after it. */
        sluice_priv_end_behind(p, 0);
        sluice_priv_publish_records(p, p->ring + (p->batch & p->mask), p->tail, p->first, n);
        sluice_priv_pace_batch_published(p, p->tail, bytes);
        return 0;
}

/* Is this the header of a whole message of len bytes, in its usual place? */
static inline int sluice_priv_is_usual(uint64_t word, size_t len)
{
        return (word & UINT32_MAX) == sluice_priv_header_word(SLUICE_LAYOUT_WHOLE, len, 0) &&
               len <= (UINT32_MAX >> 3); /* or its highest bits are lost there */
}

/* Shorter than reserved, a piece, beside staged messages, at the beginning of a
 * lap, or without a right. */
static __attribute__((noinline, unused)) int sluice_priv_commit_slow(struct sluice_producer *p,
                                                                     size_t len)
{
        const int r = sluice_stage(p, len);

        return r ? r : sluice_publish(p);
}

/* stage, then publish: this message and all staged before it. */
SLUICE_INLINE int sluice_commit(struct sluice_producer *p, size_t len)
{
        const uint64_t word = p->reserved, at = p->tail;
        const uint64_t bytes = sluice_priv_record_bytes(len, p->unit_mask);

        if (sluice_priv_unlikely(!sluice_priv_is_usual(word, len)))
                return sluice_priv_commit_slow(p, len);
        /* The same for one message in its usual place, with fewer stores. */
        p->reserved = 0;
        if (!sluice_priv_is_short(len))
                sluice_priv_end_behind(p, bytes);
        sluice_priv_publish_record(p, p->ring + (at & p->mask), at, bytes, word);
        return 0;
}

/* A message that needs more than its place at tail. */
static __attribute__((noinline, unused)) int sluice_priv_send_slow(struct sluice_producer *p,
                                                                   const void *buf, size_t len,
                                                                   uint32_t tag,
                                                                   sluice_deadline until)
{
        void *payload;
        const int r = sluice_reserve(p, len, &payload, until);

        if (r)
                return r;
        if (len != 0)
                sluice_priv_copy_in(payload, buf, len);
        sluice_set_tag(p, tag);
        return sluice_commit(p, len);
}

/* sluice_send, with a tag. */
static inline int sluice_priv_send(struct sluice_producer *p, const void *buf, size_t len,
                                   uint32_t tag, sluice_deadline until)
{
        const uint64_t bytes = sluice_priv_record_bytes(len, p->unit_mask), at = p->tail;
        unsigned char *record;

        if (sluice_priv_unlikely((p->reserved | p->staged) != 0 ||
                                 sluice_priv_is_too_long(p, len) || p->contiguous_end - at < bytes))
                return sluice_priv_send_slow(p, buf, len, tag, until);
        /* The same for one message in its usual place, with fewer stores. */
        record = p->ring + (at & p->mask);
        if (len != 0)
                sluice_priv_copy_in(record + SLUICE_LAYOUT_HEADER_BYTES, buf, len);
        sluice_priv_end_behind(p, bytes);
        sluice_priv_publish_record(p, record, at, bytes,
                                   sluice_priv_header_word(SLUICE_LAYOUT_WHOLE, len, tag));
        return 0;
}

/* reserve, copy, commit. Errors as of sluice_reserve. */
SLUICE_NODISCARD SLUICE_INLINE int sluice_send(struct sluice_producer *p, const void *buf,
                                               size_t len, sluice_deadline until)
{
        return sluice_priv_send(p, buf, len, 0, until);
}

/* sluice_sendv, with a tag. */
static inline int sluice_priv_send_pieces(struct sluice_producer *p, const struct iovec *iov, int n,
                                          uint32_t tag, sluice_deadline until)
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
        sluice_set_tag(p, tag);
        return sluice_commit(p, len);
}

/* One message gathered from n pieces. -EINVAL: n is negative. */
SLUICE_NODISCARD SLUICE_INLINE int sluice_sendv(struct sluice_producer *p, const struct iovec *iov,
                                                int n, sluice_deadline until)
{
        return sluice_priv_send_pieces(p, iov, n, 0, until);
}

/* To what records end inside a batch: packed at a multiple of 8. Where
 * payloads are aligned to more, and so the ring begins at no multiple of the
 * greatest alignment, none is packed. */
static inline uint64_t sluice_priv_batch_mask(const struct sluice_producer *p)
{
        return ((uintptr_t)p->ring & (SLUICE_RECORD_ALIGN_MAX - 1)) == 0
                       ? SLUICE_LAYOUT_HEADER_BYTES - 1
                       : p->unit_mask;
}

/* How far a run of messages is written, in bytes behind tail. */
struct sluice_priv_written {
        uint64_t last, end; /* of the last record, if that were packed, too */
        int n;
};

/*
 * Writes whole messages behind tail, as many of n as end by contiguous_end, each
 * with its header; but that of the first stays in p->first if nothing is staged.
 * A record that begins or ends off the alignment is packed, the last as well.
 */
static inline struct sluice_priv_written sluice_priv_write_run(struct sluice_producer *p,
                                                               const struct iovec *iov, int n)
{
        unsigned char *const run = p->ring + (p->tail & p->mask);
        const uint64_t room = p->contiguous_end - p->tail, unit_mask = p->unit_mask;
        const uint64_t batch_mask = sluice_priv_batch_mask(p), tail = p->tail;
        const int is_first = p->staged == 0;
        struct sluice_priv_written w = {0, 0, 0};

        for (; w.n < n; w.n++) {
                const size_t len = iov[w.n].iov_len;
                const uint64_t at = w.end, end = sluice_priv_record_bytes(at + len, batch_mask);
                const uint64_t word = sluice_priv_header_word(
                        ((at | end) & unit_mask) != 0 ? SLUICE_LAYOUT_PACKED : SLUICE_LAYOUT_WHOLE,
                        len, 0);

                if (len > room || sluice_priv_record_bytes(at + len, unit_mask) > room)
                        break;
                if (len != 0)
                        sluice_priv_copy_in(run + at + SLUICE_LAYOUT_HEADER_BYTES,
                                            iov[w.n].iov_base, len);
                sluice_priv_pace_after_write(p, tail + at, end - at);
                if (sluice_priv_unlikely(is_first && at == 0))
                        p->first = word;
                else /* Relaxed: PUBLISH:store comes after it. */
                        sluice_priv_store_relaxed(sluice_priv_word(run, at), word);
                w.last = at;
                w.end = end;
        }
        return w;
}

/* As many of n messages as there is room for between tail and contiguous_end,
 * copied and staged. */
static __attribute__((noinline, unused)) int sluice_priv_stage_run(struct sluice_producer *p,
                                                                   const struct iovec *iov, int n)
{
        struct sluice_priv_written w;
        uint64_t word;

        if (p->contiguous_end == p->tail)
                return 0; /* a handle that is not attached has no ring, either */
        w = sluice_priv_write_run(p, iov, n);
        if (w.n == 0)
                return 0;
        /* The last one of a batch is not packed. */
        word = sluice_priv_header_word(SLUICE_LAYOUT_WHOLE, iov[w.n - 1].iov_len, 0);
        if (p->staged == 0 && w.n == 1)
                p->first = word;
        else /* Relaxed: PUBLISH:store comes after it. */
                sluice_priv_store_relaxed(sluice_priv_word(p->ring, (p->tail + w.last) & p->mask),
                                          word);
        if (p->staged == 0) {
                p->batch = p->tail;
                p->usual = SLUICE_PRIV_BESIDE;
        }
        p->tail += ((w.end - 1) | p->unit_mask) + 1;
        p->staged += (uint64_t)w.n;
        p->reserved = 0;
        return w.n;
}

/*
 * n messages, one in each element of iov, which appear together: all of them,
 * or as many as there is room for, the first ones. Waits, as sluice_reserve,
 * only if there is no room for one; what was staged before appears with them.
 * They are packed: but for the last, each takes its length and 8 bytes, up to a
 * multiple of 8, where payload_align is 8.
 * Returns how many were sent: less than n when the ring is full, or when the
 * next one is too long. Errors as of sluice_reserve, with none sent: -EMSGSIZE:
 * the first is too long. -EINVAL: n is negative. n is 0: as sluice_publish.
 */
SLUICE_NODISCARD SLUICE_INLINE int
sluice_send_many(struct sluice_producer *p, const struct iovec *iov, int n, sluice_deadline until)
{
        int sent = 0, r;

        if (n < 0)
                return sluice_priv_producer_refusal(p, -EINVAL);
        for (;;) {
                void *payload;

                sent += sluice_priv_stage_run(p, iov + sent, n - sent);
                if (sent == n || (sent > 0 && !sluice_priv_has_room(p, iov[sent].iov_len)))
                        break;
                r = sluice_reserve(p, iov[sent].iov_len, &payload, until);
                if (sluice_priv_unlikely(r != 0))
                        return r; /* the first: for all others there was room */
                if ((p->reserved & SLUICE_LAYOUT_KIND) != SLUICE_PRIV_NEW_LAP)
                        continue; /* now it fits behind tail */
                if (iov[sent].iov_len != 0)
                        sluice_priv_copy_in(payload, iov[sent].iov_base, iov[sent].iov_len);
                r = sluice_stage(p, iov[sent].iov_len);
                if (sluice_priv_unlikely(r != 0))
                        return r;
                sent++;
        }
        r = sluice_publish(p);
        return r ? r : sent;
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
        return sluice_priv_published(p);
}

SLUICE_INLINE uint64_t sluice_producer_messages(const struct sluice_producer *p)
{
        return p->messages;
}

SLUICE_PRIV_END

#endif
