/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_CONSUMER_H
#define SLUICE_CONSUMER_H
/*
 * The consumer's calls. Part of ring.h, which says what they promise and
 * includes this.
 */
#include "ring.h"

enum {
        SLUICE_PRIV_NEAR_NS = 40,  /* messages that come closer than this on average ... */
        SLUICE_PRIV_NEAR = 4,      /* ... so often in a row: a stream, just caught up with */
        SLUICE_PRIV_GIVE_WAY = 48  /* pauses */
};

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

#endif
