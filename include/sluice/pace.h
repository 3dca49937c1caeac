/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_PACE_H
#define SLUICE_PACE_H
/*
 * Everything that adapts to the rate of messages. It changes speed and
 * nothing else: a program that defines SLUICE_NO_PACE is compiled without
 * it, and works with a peer that has it. The hooks are at the end:
 *
 *      sluice_priv_pace_begin         a consumer has attached
 *      sluice_priv_pace_empty         the ring was found empty
 *      sluice_priv_pace_record        a record of this length was found
 *      sluice_priv_pace_before_write  room is reserved for a payload
 *      sluice_priv_pace_after_write   the payload is written
 *      sluice_priv_pace_published     its header is stored
 */
#include <stdint.h>

#include "atomic.h"
#include "cpu.h"
#include "handle.h"
#include "layout.h"
#include "wait.h"
#include "wait_step.h"

SLUICE_PRIV_BEGIN

#ifndef SLUICE_NO_PACE

enum {
        SLUICE_PRIV_LINE = 64,   /* bytes of a cache line; if wrong, hints are useless */
        SLUICE_PRIV_EAGER = 1024 /* bytes of a record that are demoted line by line */
};

enum {
        /* Times that the ring is found empty, at least, between two classifications. */
        SLUICE_PRIV_PERIOD = 16,
        SLUICE_PRIV_NEAR_NS = 40, /* messages closer than this on average: a stream */
        SLUICE_PRIV_BACKOFF_NS = 2000,
        SLUICE_PRIV_ALONE = 4,      /* messages each time at most, and ... */
        SLUICE_PRIV_ALONE_NS = 200, /* ... this long for each at least: they are sparse */
        SLUICE_PRIV_TRIAL = 32      /* periods, of which one without advice */
};

/*
 * Classifies the traffic, by averages over a period, because single intervals
 * vary.
 *
 * A stream: then sluice_priv_backoff.
 *
 * Sparse: few at a time, and further apart than in any stream, even one
 * whose producer demotes each line. The producer is advised of it (see
 * sluice_priv_is_sparse). That makes it slower, and a slower stream might
 * look sparse; so the advice is withdrawn now and then, and given again only
 * when messages are still sparse without it.
 */
static inline void sluice_priv_classify(struct sluice_consumer *c, uint64_t passed, int64_t now)
{
        struct sluice_priv_pace *pace = &c->pace;
        const uint64_t n = passed - pace->from_passed, bytes = c->next - pace->from_position;
        const uint64_t ns = (uint64_t)(now - pace->from_ns);
        const int sparse = n <= (uint64_t)pace->times * SLUICE_PRIV_ALONE &&
                           ns >= n * SLUICE_PRIV_ALONE_NS + bytes / 8 * 3;
        const int advised = pace->sparse != 0;

        pace->times = 0;
        pace->backoff_ns = 0;
        if (ns < n * SLUICE_PRIV_NEAR_NS) {
                /* No longer than until half the ring is full. A message takes
                 * 8 bytes at least, so this divides by no 0. */
                const uint64_t half = (c->mask / 2) / (bytes / n) * (ns / n);

                pace->backoff_ns = SLUICE_PRIV_BACKOFF_NS;
                if (half < SLUICE_PRIV_BACKOFF_NS)
                        pace->backoff_ns = (int64_t)half;
        }
        pace->sparse = sparse ? (pace->sparse + 1) % SLUICE_PRIV_TRIAL : 0;
        pace->from_passed = passed;
        pace->from_position = c->next;
        pace->from_ns = now;
        /* Relaxed: advice, which protects nothing. */
        if (advised != (pace->sparse != 0))
                sluice_priv_store_relaxed(&c->own->doorbell.hint,
                                          advised ? 0 : SLUICE_LAYOUT_SPARSE);
}

/*
 * A consumer that polls right behind the producer takes the line that the
 * producer is about to write, again and again, and both become slow. The
 * sign of it is a ring that is often found empty although messages follow
 * each other closely: then the consumer backs off for a moment, and finds
 * many messages. A reply, or a sparse message, is not delayed. Reads the
 * clock once for each time that the ring is found empty, not for each look.
 * 1: has backed off.
 *
 * A caller that polls never backs off: it may have other work. It reads the
 * clock only when it also checks its peer, and then only to classify.
 */
static __attribute__((noinline, unused)) int
sluice_priv_backoff(struct sluice_consumer *c, uint64_t burst, sluice_deadline until)
{
        struct sluice_priv_pace *pace = &c->pace;
        int64_t now, took;

        pace->passed += burst;
        pace->times += burst != 0;
        if (until <= SLUICE_NOW) {
                if (pace->times >= SLUICE_PRIV_PERIOD && sluice_priv_check_is_next(&c->base))
                        sluice_priv_classify(c, pace->passed, sluice_now_ns());
                return 0;
        }
        if (burst == 0)
                return 0;
        now = sluice_now_ns();
        took = now - pace->since_ns;
        pace->since_ns = now;
        if (pace->times >= SLUICE_PRIV_PERIOD)
                sluice_priv_classify(c, pace->passed, now);
        if (pace->backoff_ns == 0 || (uint64_t)took >= burst * SLUICE_PRIV_ALONE_NS)
                return 0;
        while (sluice_now_ns() - now < pace->backoff_ns)
                for (int i = 0; i < 8; i++)
                        sluice_priv_pause();
        return 1;
}

/*
 * A consumer of sparse messages waits for every line of each: for the header's
 * line when it looks, and then for each other line to be transferred from
 * this core's caches. So all lines are prefetched for writing before the
 * payload is written, and demoted to the shared cache after it. In a stream
 * that costs more than it gains. UNTRUSTED and relaxed:
 * only advice.
 */
static inline int sluice_priv_is_sparse(const struct sluice_producer *p, uint64_t bytes)
{
        return bytes > SLUICE_PRIV_LINE &&
               (sluice_priv_load_relaxed(&p->peer->doorbell.hint) & SLUICE_LAYOUT_SPARSE);
}

static __attribute__((noinline, unused)) void
sluice_priv_prefetch_lines(const unsigned char *record, uint64_t bytes)
{
        for (uint64_t off = SLUICE_PRIV_LINE; off < bytes && off < SLUICE_PRIV_EAGER;
             off += SLUICE_PRIV_LINE)
                sluice_priv_prefetch_write(record + off);
}

static __attribute__((noinline, unused)) void sluice_priv_demote_lines(const unsigned char *record,
                                                                       uint64_t bytes)
{
        for (uint64_t off = SLUICE_PRIV_LINE; off < bytes && off < SLUICE_PRIV_EAGER;
             off += SLUICE_PRIV_LINE)
                sluice_priv_demote(record + off);
}

/* ---- The hooks ----------------------------------------------------- */

static inline void sluice_priv_pace_begin(struct sluice_consumer *c)
{
        c->pace.passed = c->pace.from_passed = c->messages;
        c->pace.from_position = c->position;
}

/* 1: has backed off, look again. */
static inline int sluice_priv_pace_empty(struct sluice_consumer *c, sluice_deadline until)
{
        const uint64_t burst = c->messages + c->held - c->pace.passed;

        if (sluice_priv_likely(burst == 0 && c->pace.times < SLUICE_PRIV_PERIOD))
                return 0;
        return sluice_priv_backoff(c, burst, until);
}

/* Nearly always a record is as long as the previous one: the processor predicts
 * that, and fetches the next header without waiting for the length in this
 * one. Returns bytes. */
static inline uint64_t sluice_priv_pace_record(struct sluice_consumer *c, uint64_t bytes)
{
        uint64_t expected = sluice_priv_hide_from_compiler(c->pace.stride);

        if (sluice_priv_unlikely(bytes != c->pace.stride))
                expected = c->pace.stride = bytes;
        return expected;
}

static inline void sluice_priv_pace_before_write(const struct sluice_producer *p,
                                                 const unsigned char *record, uint64_t bytes)
{
        if (sluice_priv_unlikely(sluice_priv_is_sparse(p, bytes)))
                sluice_priv_prefetch_lines(record, bytes);
}

static inline void sluice_priv_pace_after_write(const struct sluice_producer *p, uint64_t position,
                                                uint64_t bytes)
{
        if (sluice_priv_unlikely(sluice_priv_is_sparse(p, bytes)))
                sluice_priv_demote_lines(p->ring + (position & p->mask), bytes);
}

/* Prefetches the line behind the next header, which is written next. Not the
 * next header's own line, which the consumer is polling. */
static inline void sluice_priv_pace_published(const unsigned char *ring, uint64_t position,
                                              uint64_t mask)
{
        sluice_priv_prefetch_write(ring + ((position + SLUICE_PRIV_LINE) & mask));
}

#else

static inline void sluice_priv_pace_begin(struct sluice_consumer *c)
{
        (void)c;
}

static inline int sluice_priv_pace_empty(struct sluice_consumer *c, sluice_deadline until)
{
        (void)c;
        (void)until;
        return 0;
}

static inline uint64_t sluice_priv_pace_record(struct sluice_consumer *c, uint64_t bytes)
{
        (void)c;
        return bytes;
}

static inline void sluice_priv_pace_before_write(const struct sluice_producer *p,
                                                 const unsigned char *record, uint64_t bytes)
{
        (void)p;
        (void)record;
        (void)bytes;
}

static inline void sluice_priv_pace_after_write(const struct sluice_producer *p, uint64_t position,
                                                uint64_t bytes)
{
        (void)p;
        (void)position;
        (void)bytes;
}

static inline void sluice_priv_pace_published(const unsigned char *ring, uint64_t position,
                                              uint64_t mask)
{
        (void)ring;
        (void)position;
        (void)mask;
}

#endif /* SLUICE_NO_PACE */

SLUICE_PRIV_END

#endif
