/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_CONSUMER_H
#define SLUICE_CONSUMER_H
/*
 * The consumer's calls. Part of ring.h, which says what they promise.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "atomic.h"
#include "cpu.h"
#include "handle.h"
#include "layout.h"
#include "pace.h"
#include "wait.h"
#include "wait_step.h"

/* A message in place. data is valid until the message is released. */
struct sluice_message {
        const void *data;
        size_t len;   /* bytes */
        uint32_t tag; /* the producer's own, 0 by default */
        enum sluice_kind kind;
        uint64_t position; /* identity: the same again for a successor */
};

SLUICE_PRIV_BEGIN

/* A handle that is all zero has its ring of one word in itself, so peek
 * needs no test for it. Integers, because ring and handle are two objects;
 * hidden, because the compiler would add in an order that takes two
 * instructions more. */
static inline const unsigned char *sluice_priv_consumer_ring(const struct sluice_consumer *c,
                                                             uint64_t off)
{
        const uintptr_t from = sluice_priv_hide_address(c->ring + (uintptr_t)off);

        return (const unsigned char *)((uintptr_t)&c->base.nothing + from);
}

/* The header word at a position. */
static inline const sluice_word *sluice_priv_consumer_word(const struct sluice_consumer *c,
                                                           uint64_t position)
{
        return (const sluice_word *)(const void *)sluice_priv_consumer_ring(c, position & c->mask);
}

/* Of the current or next message. */
static inline const sluice_word *sluice_priv_next_word(const struct sluice_consumer *c)
{
        return sluice_priv_consumer_word(c, c->next);
}

/* Up to where all is released. */
static inline uint64_t sluice_priv_released(const struct sluice_consumer *c)
{
        return c->next - c->behind;
}

/* From now on every call returns err. The fast path needs no test for it:
 * a poisoned consumer has no message. */
static inline int sluice_priv_consumer_poison(struct sluice_consumer *c, int err)
{
        c->base.err = err;
        c->ring = 0;
        c->mask = 0;
        c->next = sluice_priv_released(c);
        c->word = 0;
        c->behind = c->held = 0;
        c->base.doorbell.open = 0;
        return err;
}

/* No message of an honest producer ends beyond. */
static inline uint64_t sluice_priv_consumer_limit(const struct sluice_consumer *c)
{
        return sluice_priv_released(c) + c->mask - c->unit_mask;
}

/* Bytes to the end of the record with this header, not packed, wherever it
 * begins: behind packed ones, at any multiple of 8. */
static inline uint64_t sluice_priv_bytes_at_next(const struct sluice_consumer *c, uint64_t word)
{
        return sluice_priv_record_bytes(c->next + sluice_priv_header_len(word), c->unit_mask) -
               c->next;
}

/* The header word behind a packed record; of kind 0: a violation. UNTRUSTED.
 * PUBLISH:load for a successor that begins here, as behind padding. */
static inline uint64_t sluice_priv_behind_packed(const struct sluice_consumer *c, uint64_t end)
{
        return sluice_priv_load_acquire(sluice_priv_consumer_word(c, end)) & SLUICE_LAYOUT_KIND;
}

/* Accepts a record that passes contiguous_end, and moves that. 0 or -EBADMSG. */
static __attribute__((noinline, unused)) int sluice_priv_accept_slow(struct sluice_consumer *c,
                                                                     uint64_t word)
{
        const uint64_t rest = sluice_priv_rest(c->next, c->mask);
        const uint64_t room = sluice_priv_consumer_limit(c) - c->next;
        const uint64_t end = sluice_priv_record_end(c->next, word, c->unit_mask);
        const uint64_t bytes = end - c->next, run = sluice_priv_run(room, rest, c->mask);

        if (sluice_priv_header_len(word) > c->max_len || bytes > rest || bytes > room)
                return sluice_priv_consumer_poison(c, -EBADMSG);
        /* Never before its end, or anything would fit behind it: behind a packed one
         * the longest message takes up to an alignment more than half the ring. */
        c->contiguous_end = c->next + (bytes > run ? bytes : run);
        sluice_priv_pace_run(c);
        if ((word & SLUICE_LAYOUT_KIND) == SLUICE_LAYOUT_PACKED) {
                if (sluice_priv_behind_packed(c, end) == 0)
                        return sluice_priv_consumer_poison(c, -EBADMSG);
                word += SLUICE_LAYOUT_WHOLE - SLUICE_LAYOUT_PACKED;
        }
        c->word = word;
        c->bytes = bytes;
        return 0;
}

/* Accepts a packed record. 0 or -EBADMSG. */
static __attribute__((noinline, unused)) int sluice_priv_accept_packed(struct sluice_consumer *c,
                                                                       uint64_t word)
{
        const uint64_t bytes = sluice_priv_record_bytes(sluice_priv_header_len(word),
                                                        SLUICE_LAYOUT_HEADER_BYTES - 1);

        if (bytes > c->contiguous_end - c->next ||
            sluice_priv_behind_packed(c, c->next + bytes) == 0)
                return sluice_priv_accept_slow(c, word);
        c->word = word + SLUICE_LAYOUT_WHOLE - SLUICE_LAYOUT_PACKED;
        sluice_priv_pace_record(c, bytes);
        return 0;
}

/* The header of a message, not packed, that ends by contiguous_end? So it is no
 * longer than the longest, and lies in the ring. */
static inline int sluice_priv_fits(const struct sluice_consumer *c, uint64_t word)
{
        return sluice_priv_is_data(word) &&
               sluice_priv_bytes_at_next(c, word) <= c->contiguous_end - c->next;
}

/* Makes the record at next current. All that follows uses the checked copy of
 * its header. */
static inline void sluice_priv_accept(struct sluice_consumer *c, uint64_t word)
{
        const uint64_t bytes = sluice_priv_bytes_at_next(c, word);

        c->word = word;
        sluice_priv_pace_record(c, bytes);
}

/* Anything at next but the header of kinds 1 to 4. */
static inline int sluice_priv_accept_other(struct sluice_consumer *c, uint64_t word)
{
        const uint64_t rest = sluice_priv_rest(c->next, c->mask);

        if (word == SLUICE_LAYOUT_END)
                return -EPIPE;
        /* Padding fills the ring to its end, and is shown together with
         * the message behind it. */
        if (word != sluice_priv_header_word(SLUICE_LAYOUT_PADDING,
                                            rest - SLUICE_LAYOUT_HEADER_BYTES, 0) ||
            rest > sluice_priv_consumer_limit(c) - c->next)
                return sluice_priv_consumer_poison(c, -EBADMSG);
        c->next += rest;
        c->behind += rest;
        c->contiguous_end = c->next;
        /* UNTRUSTED. PUBLISH:load for a successor that begins here; for others
         * the padding's header was that. */
        word = sluice_priv_load_acquire(sluice_priv_next_word(c));
        if (!sluice_priv_is_data(word) && (word & SLUICE_LAYOUT_KIND) != SLUICE_LAYOUT_PACKED)
                return sluice_priv_consumer_poison(c, -EBADMSG);
        return sluice_priv_accept_slow(c, word);
}

/* At the end of the stream, or of a wait: what to say, or 0, wait on. */
static __attribute__((noinline, unused)) int sluice_priv_accept_end(struct sluice_consumer *c,
                                                                    uint64_t word, int given_up,
                                                                    sluice_deadline until)
{
        const int r = word != 0 ? c->base.sleep->end(c) : 0;

        if (r)
                given_up = r;
        return given_up && c->base.sleep ? c->base.sleep->tell(c, given_up, until) : given_up;
}

/*
 * The word at next. One who waits looks a number of times, with a pause before
 * each further look, before anything is called: nearly always long enough where
 * both sides run.
 */
static inline uint64_t sluice_priv_first_looks(const struct sluice_consumer *c,
                                               sluice_deadline until)
{
        const sluice_word *const next = sluice_priv_next_word(c);
        /* PUBLISH:load. UNTRUSTED: checked by accept. */
        uint64_t word = sluice_priv_load_acquire(next);

        if (sluice_priv_unlikely(word == 0) && until > SLUICE_NOW)
                for (unsigned i = c->base.looks; i > 0 && word == 0; i--) {
                        sluice_priv_pause();
                        word = sluice_priv_load_acquire(next); /* PUBLISH:load */
                }
        return word;
}

/* No message was there at the first looks, or none that fits. */
static __attribute__((noinline, unused)) int sluice_priv_look(struct sluice_consumer *c,
                                                              uint64_t word, sluice_deadline until)
{
        unsigned turn = 0;
        int given_up = 0;

        if (c->mask == 0) /* poisoned, or never attached */
                return c->base.err ? c->base.err : -EINVAL;
        for (;;) {
                if (sluice_priv_fits(c, word)) {
                        sluice_priv_accept(c, word);
                        return 0;
                }
                if (sluice_priv_is_data(word))
                        return sluice_priv_accept_slow(c, word);
                if ((word & SLUICE_LAYOUT_KIND) == SLUICE_LAYOUT_PACKED)
                        return sluice_priv_accept_packed(c, word);
                if (sluice_priv_unlikely((word | (uint64_t)given_up) != 0)) {
                        if (word != 0 && (word != SLUICE_LAYOUT_END || !c->base.sleep))
                                return sluice_priv_accept_other(c, word);
                        given_up = sluice_priv_accept_end(c, word, given_up, until);
                        if (given_up)
                                return given_up;
                }
                given_up = sluice_priv_wait_step(&c->base, &c->own->counters, &turn, 0, until);
                if (sluice_priv_is_final(given_up))
                        return given_up;
                if (c->mask == 0)
                        return c->base.err;
                /* PUBLISH:load. UNTRUSTED. */
                word = sluice_priv_load_acquire(sluice_priv_next_word(c));
        }
}

/*
 * The next message, in place. Sleeps until the deadline when there is
 * none. Peeking again without advance or release gives the same one.
 *
 * -EAGAIN, -ETIMEDOUT: none. -EPIPE: the producer has closed and all is
 * drained. -EOWNERDEAD: it died and all is drained. -EINVAL: never
 * attached. -EBADMSG, -ESTALE, -ECANCELED.
 *
 * An end, be it a close or a death, ends one wait. A later call waits
 * for the message of a successor, and gives the same error again, in the
 * place of -ETIMEDOUT, when none has come. A call with SLUICE_NOW gives
 * it, in the place of -EAGAIN, for as long as there has been no
 * successor, and takes it from no wait: whoever looks first and then
 * waits is told by the wait, too. (A handle of ring.h alone cannot tell one end from another:
 * it answers -EPIPE until a successor has attached.)
 */
SLUICE_NODISCARD SLUICE_INLINE int sluice_peek(struct sluice_consumer *c, struct sluice_message *m,
                                               sluice_deadline until)
{
        uint64_t word = c->word;

        if (sluice_priv_likely(word == 0)) {
                word = sluice_priv_first_looks(c, until);
                if (sluice_priv_likely(sluice_priv_fits(c, word))) {
                        sluice_priv_accept(c, word);
                } else {
                        const int r = sluice_priv_look(c, word, until);

                        if (r)
                                return r;
                        word = c->word;
                }
        }
        m->data = sluice_priv_consumer_ring(c, c->next & c->mask) + SLUICE_LAYOUT_HEADER_BYTES;
        m->len = (size_t)sluice_priv_header_len(word);
        m->tag = (uint32_t)(word >> 32);
        m->kind = (enum sluice_kind)((word & SLUICE_LAYOUT_KIND) - SLUICE_LAYOUT_WHOLE);
        m->position = c->next;
        return 0;
}

/* Goes on to the message behind the current one, which stays valid and
 * is kept until release. -EINVAL: no message has been peeked. */
SLUICE_INLINE int sluice_advance(struct sluice_consumer *c)
{
        if (sluice_priv_unlikely(c->word == 0))
                return c->base.err ? c->base.err : -EINVAL;
        c->behind += c->bytes;
        c->next += c->bytes;
        c->word = 0;
        c->held++;
        return 0;
}

/* Gives n messages back, those from `from` to `to`, and wakes the producer if
 * it waits for that. */
static inline void sluice_priv_release_records(struct sluice_consumer *c, uint64_t from,
                                               uint64_t to, uint64_t n)
{
        /* In locals: the stores below might change anything, for all that the
         * compiler knows. */
        struct sluice_layout_consumer *const own = c->own;
        const uint64_t messages = c->messages + n;
        const uint32_t slot = c->base.slot;
        uint64_t parked;

        sluice_priv_pace_before_release(c, from, to);
        c->messages = messages;
        c->base.slot = slot ^ 1;
        /* OBSERVE:store, then PROGRESS:store: in force once the position below is
         * stored. */
        sluice_priv_store_release(&own->progress.slot[slot].messages, messages);
        sluice_priv_store_release(&own->progress.slot[slot].position, to);
        /* RELEASE:store */
        sluice_priv_store_release(&own->position, to);
        parked = sluice_priv_doorbell_due(&c->base.doorbell, to);
        if (sluice_priv_unlikely(parked != 0))
                c->base.sleep->wake(c, parked);
}

/* Behind padding, beside messages that were passed by advance, or nothing. */
static __attribute__((noinline, unused)) int sluice_priv_release_slow(struct sluice_consumer *c)
{
        const uint64_t from = sluice_priv_released(c), n = c->held + (c->word != 0);

        if (n == 0)
                return c->base.err ? c->base.err : -EINVAL;
        if (c->word != 0)
                c->next += c->bytes;
        c->word = 0;
        c->behind = 0;
        c->held = 0;
        sluice_priv_release_records(c, from, c->next, n);
        return 0;
}

/*
 * Gives back the current message and all before it; with none peeked
 * since the last advance, all that were passed. Wait-free; wakes the
 * producer if it sleeps and has now the room that it asked for.
 * -EINVAL: there is nothing to release.
 */
SLUICE_INLINE int sluice_release(struct sluice_consumer *c)
{
        const uint64_t from = c->next, to = from + sluice_priv_hide_from_compiler(c->bytes);

        if (sluice_priv_unlikely(c->behind != 0 || c->word == 0))
                return sluice_priv_release_slow(c);
        /* The same for one message, with nothing kept before it. */
        c->word = 0;
        c->next = to;
        sluice_priv_release_records(c, from, to, 1);
        return 0;
}

/*
 * Copies the next message to buf and releases it; returns its length.
 * -EMSGSIZE: it is longer than cap; it stays, and peek shows it. Others
 * as of sluice_peek. A piece of a long message is received as a message of
 * its own; only sluice_peek and sluice_drain show its kind.
 */
SLUICE_NODISCARD SLUICE_INLINE ssize_t sluice_recv(struct sluice_consumer *c, void *buf, size_t cap,
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

/* What a header says of its record, and of those behind it with an equal one. */
struct sluice_priv_known {
        uint64_t header; /* the lower half of the word; more: no other is equal */
        uint64_t bytes, len;
        enum sluice_kind kind;
};

/* 0: this is the header of no message. */
static inline int sluice_priv_read_header(struct sluice_priv_known *r, uint64_t at, uint64_t word,
                                          uint64_t unit_mask)
{
        const int is_packed = (word & SLUICE_LAYOUT_KIND) == SLUICE_LAYOUT_PACKED;

        if (!is_packed && !sluice_priv_is_data(word))
                return 0;
        /* Behind packed ones another record is shorter by what these leave it. */
        r->header = is_packed || (at & unit_mask) == 0 ? word & UINT32_MAX : UINT64_MAX;
        r->bytes = sluice_priv_record_end(at, word, unit_mask) - at;
        r->len = sluice_priv_header_len(word);
        r->kind = sluice_priv_message_kind(word);
        return 1;
}

/*
 * Passes messages up to before the end of a run, at most max of them, with none
 * current: as sluice_peek and sluice_advance for each that is there. What
 * follows from a header is not computed again for the next record whose header is
 * equal. Returns how many.
 */
static __attribute__((noinline, unused)) size_t
sluice_priv_pass_run(struct sluice_consumer *c, struct sluice_message *m, size_t max)
{
        const uint64_t from = c->next, end = c->contiguous_end, unit_mask = c->unit_mask;
        const unsigned char *record = sluice_priv_consumer_ring(c, from & c->mask);
        struct sluice_priv_known r = {UINT64_MAX, 0, 0, SLUICE_WHOLE};
        uint64_t at = from;
        /* PUBLISH:load. UNTRUSTED. */
        uint64_t word = sluice_priv_load_acquire(sluice_priv_peer_word(record, 0));
        size_t n = 0;

        for (; n < max; n++) {
                if ((word & UINT32_MAX) != r.header &&
                    !sluice_priv_read_header(&r, at, word, unit_mask))
                        break;
                if (r.bytes >= end - at)
                        break;
                m[n].data = record + SLUICE_LAYOUT_HEADER_BYTES;
                m[n].len = (size_t)r.len;
                m[n].tag = (uint32_t)(word >> 32);
                m[n].kind = r.kind;
                m[n].position = at;
                at += r.bytes;
                record += r.bytes;
                /* PUBLISH:load. UNTRUSTED. */
                word = sluice_priv_load_acquire(sluice_priv_peer_word(record, 0));
        }
        if (n > 0 && (word & SLUICE_LAYOUT_KIND) == 0 &&
            (r.header & SLUICE_LAYOUT_KIND) == SLUICE_LAYOUT_PACKED)
                at = m[--n].position; /* a violation, for sluice_peek to find */
        c->next = at;
        c->behind += at - from;
        c->held += n;
        return n;
}

/*
 * The next messages, in place, as by sluice_peek and sluice_advance for each:
 * up to max of those that are there, and one at least. All of them stay valid,
 * and are kept until sluice_release, which gives them back together; a
 * message that was current before is the first. Sleeps until the deadline when
 * there is none. Returns how many; errors as of sluice_peek. -EINVAL also: max is 0.
 */
SLUICE_NODISCARD SLUICE_INLINE ssize_t sluice_peek_many(struct sluice_consumer *c,
                                                        struct sluice_message *m, size_t max,
                                                        sluice_deadline until)
{
        size_t n = 0;
        uint64_t word;

        if (max == 0)
                return c->base.err ? c->base.err : -EINVAL;
        if (c->word == 0)
                n = sluice_priv_pass_run(c, m, max);
        for (;;) {
                int r;

                /* PUBLISH:load. An end is for the next call to tell. */
                word = sluice_priv_load_acquire(sluice_priv_next_word(c));
                if (n == max || (n > 0 && (word == 0 || word == SLUICE_LAYOUT_END)))
                        return (ssize_t)n;
                r = sluice_peek(c, &m[n], n == 0 ? until : SLUICE_NOW);
                if (sluice_priv_unlikely(r != 0))
                        return n == 0 ? r : (ssize_t)n; /* -EBADMSG, which stays */
                (void)sluice_advance(c);
                n++;
                n += sluice_priv_pass_run(c, m + n, max - n);
        }
}

/* Called by sluice_drain for each message. 0: released, go on. Positive:
 * released, stop. Negative: not released, stop, and drain returns it. */
typedef int sluice_handler(void *ctx, const struct sluice_message *m);

/*
 * Hands what is there, at most max messages, to fn, and releases each
 * after fn has seen it. Never sleeps, and does not go on for as long as a
 * faster producer likes: it takes what was there when it began, and of
 * what comes meanwhile only as much as ends that lap of the ring. (Where
 * the producer stood at the beginning would be a closer bound, and costs
 * the transfer of a line that the consumer never reads.) Returns how many
 * were released; with none released, the handler's or peek's error
 * instead, but 0 for -EAGAIN.
 */
SLUICE_NODISCARD SLUICE_INLINE ssize_t sluice_drain(struct sluice_consumer *c, sluice_handler *fn,
                                                    void *ctx, size_t max)
{
        const uint64_t from = c->next, most = sluice_priv_consumer_limit(c) - from;
        struct sluice_message m;
        ssize_t n = 0;
        int r = c->own ? 0 : c->base.err ? c->base.err : -EINVAL;

        while ((size_t)n < max && r == 0 && c->next - from <= most) {
                r = sluice_peek(c, &m, SLUICE_NOW);
                if (r == 0)
                        r = fn(ctx, &m);
                if (r >= 0) {
                        const int released = sluice_release(c);

                        n += released == 0;
                }
        }
        if (n > 0 && (r == -EPIPE || r == -EOWNERDEAD) && c->base.sleep)
                c->base.sleep->tell(c, 0, SLUICE_NOW); /* it is for the next call to tell */
        if (r == -EAGAIN || n > 0)
                r = 0;
        return r < 0 ? r : n;
}

/* Bytes of the longest message that can ever come: enough for recv. */
SLUICE_INLINE size_t sluice_consumer_max_len(const struct sluice_consumer *c)
{
        return (size_t)c->max_len;
}

/* Up to where all is released, and how many messages that were, ever,
 * by all consumers. Exact after a take-over. */
SLUICE_INLINE uint64_t sluice_consumer_position(const struct sluice_consumer *c)
{
        return sluice_priv_released(c);
}

SLUICE_INLINE uint64_t sluice_consumer_messages(const struct sluice_consumer *c)
{
        return c->messages;
}

SLUICE_PRIV_END

#endif
