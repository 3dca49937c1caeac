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
#include "wait.h"
#include "wait_step.h"

/* A message in place. data is valid until the message is released. */
struct sluice_message {
        const void *data;
        size_t len;        /* bytes */
        uint32_t tag;      /* the producer's own, 0 by default */
        uint64_t position; /* identity: the same again for a successor */
};

SLUICE_PRIV_BEGIN

enum {
        SLUICE_PRIV_PERIOD =
                16, /* times that the ring is found empty, at least, between two judgements */
        SLUICE_PRIV_NEAR_NS = 40, /* messages closer than this on average: a stream */
        SLUICE_PRIV_GIVE_WAY_NS = 2000,
        SLUICE_PRIV_ALONE = 4,      /* messages each time at most, and ... */
        SLUICE_PRIV_ALONE_NS = 200, /* ... this long for each at least: they come at leisure */
        SLUICE_PRIV_TRIAL = 32      /* periods, of which one without advice */
};

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

/* The header word of the current or next message. */
static inline const sluice_word *sluice_priv_next_word(const struct sluice_consumer *c)
{
        return (const sluice_word *)(const void *)sluice_priv_consumer_ring(c, c->next & c->mask);
}

/* From now on every call returns err. The fast path needs no test for it:
 * a poisoned consumer has no message. */
static inline int sluice_priv_consumer_poison(struct sluice_consumer *c, int err)
{
        c->base.err = err;
        c->ring = 0;
        c->mask = 0;
        c->end = c->next;
        c->held = 0;
        c->base.doorbell.open = 0;
        return err;
}

/* No message of an honest producer ends beyond. */
static inline uint64_t sluice_priv_consumer_limit(const struct sluice_consumer *c)
{
        return c->position + c->mask - c->unit_mask;
}

/* Is a record that passes the edge all right? Then it moves the edge. */
static __attribute__((noinline, unused)) int sluice_priv_accept_far(struct sluice_consumer *c,
                                                                    uint64_t len, uint64_t bytes)
{
        const uint64_t rest = sluice_priv_rest(c->next, c->mask);
        const uint64_t room = sluice_priv_consumer_limit(c) - c->next;

        if (len > c->max_len || bytes > rest || bytes > room)
                return sluice_priv_consumer_poison(c, -EBADMSG);
        c->edge = c->next + (room < rest ? room : rest);
        return 0;
}

/*
 * A data header at next: checks it and makes it current. All that follows uses
 * the checked copy. Nearly always a record is as long as the one before:
 * guessing so, the processor fetches the next header without waiting for the
 * length in this one. 0 or -EBADMSG.
 */
static inline int sluice_priv_accept(struct sluice_consumer *c, uint64_t word)
{
        const uint64_t len = sluice_priv_header_len(word);
        const uint64_t bytes = sluice_priv_record_bytes(len, c->unit_mask);
        const uint64_t next = c->next;
        uint64_t step = sluice_priv_hide_from_compiler(c->stride);

        if (sluice_priv_unlikely(len > c->max_len || bytes > c->edge - next)) {
                const int r = sluice_priv_accept_far(c, len, bytes);

                if (r)
                        return r;
        }
        if (sluice_priv_unlikely(bytes != c->stride))
                step = c->stride = bytes;
        c->word = word;
        c->end = next + step;
        return 0;
}

/* Anything but a data header at next. */
static inline int sluice_priv_accept_other(struct sluice_consumer *c, uint64_t word)
{
        const uint64_t rest = sluice_priv_rest(c->next, c->mask);

        if (word == SLUICE_LAYOUT_END)
                return -EPIPE;
        /* Padding fills the ring to its end, and is shown together with
         * the data record behind it. */
        if (word != sluice_priv_header_word(SLUICE_LAYOUT_PADDING,
                                            rest - SLUICE_LAYOUT_HEADER_BYTES, 0) ||
            rest > sluice_priv_consumer_limit(c) - c->next)
                return sluice_priv_consumer_poison(c, -EBADMSG);
        c->next += rest;
        c->end = c->edge = c->next;
        /* UNTRUSTED. Relaxed would do, PUBLISH was the padding's header;
         * a successor that begins here needs the acquire. */
        word = sluice_priv_load_acquire(sluice_priv_next_word(c));
        if ((word & SLUICE_LAYOUT_KIND) != SLUICE_LAYOUT_DATA)
                return sluice_priv_consumer_poison(c, -EBADMSG);
        return sluice_priv_accept(c, word);
}

/* At the end of the stream, or of a wait: what to say, or 0, wait on. */
static __attribute__((noinline, unused)) int sluice_priv_accept_end(struct sluice_consumer *c,
                                                                    uint64_t word, int given_up)
{
        const int r = word != 0 ? c->base.sleep->end(c) : 0;

        if (r)
                given_up = r;
        return given_up && c->base.sleep ? c->base.sleep->tell(c, given_up) : given_up;
}

/*
 * How do messages come? By averages, for single ones come as they like.
 *
 * As a stream: then sluice_priv_give_way.
 *
 * At leisure: few at a time, and later behind one another than any stream
 * would bring them, even one whose producer hands over each line. The producer
 * is told (sluice_priv_at_leisure). That makes it slower, which might look
 * like leisure; so the advice is withdrawn now and then, and stands again only
 * when they still come at leisure without.
 */
static inline void sluice_priv_judge(struct sluice_consumer *c, uint64_t passed, int64_t now)
{
        struct sluice_priv_pace *pace = &c->pace;
        const uint64_t n = passed - pace->from_passed, bytes = c->next - pace->from_position;
        const uint64_t ns = (uint64_t)(now - pace->from_ns);
        const int leisure = n <= (uint64_t)pace->times * SLUICE_PRIV_ALONE &&
                            ns >= n * SLUICE_PRIV_ALONE_NS + bytes / 8 * 3;
        const int told = pace->leisure != 0;

        pace->times = 0;
        pace->way_ns = 0;
        if (ns < n * SLUICE_PRIV_NEAR_NS) {
                /* No longer than until half the ring is full. A message takes
                 * 8 bytes at least, so this divides by no 0. */
                const uint64_t half = (c->mask / 2) / (bytes / n) * (ns / n);

                pace->way_ns = SLUICE_PRIV_GIVE_WAY_NS;
                if (half < SLUICE_PRIV_GIVE_WAY_NS)
                        pace->way_ns = (int64_t)half;
        }
        pace->leisure = leisure ? (pace->leisure + 1) % SLUICE_PRIV_TRIAL : 0;
        pace->from_passed = passed;
        pace->from_position = c->next;
        pace->from_ns = now;
        if (told != (pace->leisure != 0))
                sluice_priv_store_relaxed(&c->own->door.hint, told ? 0 : SLUICE_LAYOUT_AT_LEISURE);
}

/*
 * A consumer that polls right behind the producer takes away the line
 * that the producer is about to write, again and again, and both crawl.
 * It shows in a ring that is found empty again and again although messages
 * come close together: then the consumer gives way for a moment, and finds
 * many. A reply, or a message at leisure, is not kept waiting. Reads the
 * clock once for each time that the ring is found empty, not for each look.
 * 1: has given way.
 *
 * One who polls never gives way: it may have other things to do. It reads
 * the clock only when it asks after its peer as well, and then only to
 * judge.
 */
static __attribute__((noinline, unused)) int
sluice_priv_give_way(struct sluice_consumer *c, uint64_t burst, sluice_deadline until)
{
        struct sluice_priv_pace *pace = &c->pace;
        int64_t now, took;

        pace->passed += burst;
        pace->times += burst != 0;
        if (until <= SLUICE_NOW) {
                if (pace->times >= SLUICE_PRIV_PERIOD && sluice_priv_check_is_next(&c->base))
                        sluice_priv_judge(c, pace->passed, sluice_now_ns());
                return 0;
        }
        if (burst == 0)
                return 0;
        now = sluice_now_ns();
        took = now - pace->since_ns;
        pace->since_ns = now;
        if (pace->times >= SLUICE_PRIV_PERIOD)
                sluice_priv_judge(c, pace->passed, now);
        if (pace->way_ns == 0 || (uint64_t)took >= burst * SLUICE_PRIV_ALONE_NS)
                return 0;
        while (sluice_now_ns() - now < pace->way_ns)
                for (int i = 0; i < 8; i++)
                        sluice_priv_pause();
        return 1;
}

/* The ring was found empty: sluice_priv_give_way, where there is anything to do. */
static inline int sluice_priv_found_empty(struct sluice_consumer *c, sluice_deadline until)
{
        const uint64_t burst = c->messages + c->held - c->pace.passed;

        if (sluice_priv_likely(burst == 0 && c->pace.times < SLUICE_PRIV_PERIOD))
                return 0;
        return sluice_priv_give_way(c, burst, until);
}

static __attribute__((noinline, unused)) int sluice_priv_look(struct sluice_consumer *c,
                                                              sluice_deadline until)
{
        unsigned turn = 0;
        int given_up = 0;

        for (;;) {
                uint64_t word;

                if (c->mask == 0) /* poisoned, or never attached */
                        return c->base.err ? c->base.err : -EINVAL;
                /* PUBLISH, consumer's side. UNTRUSTED. */
                word = sluice_priv_load_acquire(sluice_priv_next_word(c));
                if ((word & SLUICE_LAYOUT_KIND) == SLUICE_LAYOUT_DATA)
                        return sluice_priv_accept(c, word);
                if (sluice_priv_unlikely((word | (uint64_t)given_up) != 0)) {
                        if (word != 0 && (word != SLUICE_LAYOUT_END || !c->base.sleep))
                                return sluice_priv_accept_other(c, word);
                        given_up = sluice_priv_accept_end(c, word, given_up);
                        if (given_up)
                                return given_up;
                }
                if (sluice_priv_found_empty(c, until))
                        continue;
                given_up = sluice_priv_wait_step(&c->base, &c->own->counters, &turn, 0, until);
                if (sluice_priv_is_final(given_up))
                        return given_up;
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
 * An end, be it a close or a death, ends a wait once. A later call waits
 * for the message of a successor, and gives the same error again, in the
 * place of -ETIMEDOUT, when none has come; so does a call with
 * SLUICE_NOW, in the place of -EAGAIN, for as long as there has been no
 * successor. (A handle of ring.h alone cannot tell one end from another:
 * it answers -EPIPE until a successor has attached.)
 */
SLUICE_NODISCARD static inline int sluice_peek(struct sluice_consumer *c, struct sluice_message *m,
                                               sluice_deadline until)
{
        if (c->end == c->next) {
                /* PUBLISH, consumer's side. UNTRUSTED: checked by accept. */
                const uint64_t word = sluice_priv_load_acquire(sluice_priv_next_word(c));
                const int r = sluice_priv_likely((word & SLUICE_LAYOUT_KIND) == SLUICE_LAYOUT_DATA)
                                      ? sluice_priv_accept(c, word)
                                      : sluice_priv_look(c, until);

                if (sluice_priv_unlikely(r != 0))
                        return r;
        }
        m->data = sluice_priv_consumer_ring(c, c->next & c->mask) + SLUICE_LAYOUT_HEADER_BYTES;
        m->len = (size_t)sluice_priv_header_len(c->word);
        m->tag = (uint32_t)(c->word >> 32);
        m->position = c->next;
        return 0;
}

/* Goes on to the message behind the current one, which stays valid and
 * is kept until release. -EINVAL: no message has been peeked. */
static inline int sluice_advance(struct sluice_consumer *c)
{
        if (sluice_priv_unlikely(c->end == c->next))
                return c->base.err ? c->base.err : -EINVAL;
        c->next = c->end;
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
        /* In locals: the stores below might change anything, for all that the
         * compiler knows. */
        struct sluice_layout_consumer *const own = c->own;
        const uint64_t position = c->end;
        const uint32_t slot = c->base.slot;
        uint64_t passed = c->held, messages, parked;

        if (position != c->next) {
                c->next = position;
                passed++;
        }
        if (sluice_priv_unlikely(passed == 0))
                return c->base.err ? c->base.err : -EINVAL;
        if (sluice_priv_unlikely(c->held != 0))
                c->held = 0;
        messages = c->messages + passed;
        c->messages = messages;
        c->position = position;
        c->base.slot = slot ^ 1;
        /* PROGRESS and OBSERVE: in force once the position below is stored. */
        sluice_priv_store_release(&own->progress.slot[slot].messages, messages);
        sluice_priv_store_release(&own->progress.slot[slot].position, position);
        /* RELEASE, consumer's side. */
        sluice_priv_store_release(&own->position, position);
        parked = sluice_priv_doorbell_due(&c->base.doorbell, position);
        if (sluice_priv_unlikely(parked != 0))
                c->base.sleep->wake(c, parked);
        return 0;
}

/*
 * Copies the next message to buf and releases it; returns its length.
 * -EMSGSIZE: it is longer than cap; it stays, and peek shows it. Others
 * as of sluice_peek.
 */
SLUICE_NODISCARD static inline ssize_t sluice_recv(struct sluice_consumer *c, void *buf, size_t cap,
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
 * after fn has seen it. Never sleeps, and does not go on for as long as a
 * faster producer likes: it takes what was there when it began, and of
 * what comes meanwhile only as much as ends that lap of the ring. (Where
 * the producer stood at the beginning would be a closer bound, and costs
 * the transfer of a line that the consumer never reads.) Returns how many
 * were released; with none released, the handler's or peek's error
 * instead, but 0 for -EAGAIN.
 */
SLUICE_NODISCARD static inline ssize_t sluice_drain(struct sluice_consumer *c, sluice_handler *fn,
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
                c->base.sleep->tell(c, 0); /* it is for the next call to tell */
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

SLUICE_PRIV_END

#endif
