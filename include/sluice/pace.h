/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_PACE_H
#define SLUICE_PACE_H
/*
 * What makes messages faster and does nothing else: a program that defines
 * SLUICE_NO_PACE is compiled without it, and works with a peer that has it.
 * The hooks are at the end:
 *
 *      sluice_priv_pace_begin           a consumer has attached
 *      sluice_priv_pace_record          a record of this length was found
 *      sluice_priv_pace_run             the consumer goes on in a new run
 *      sluice_priv_pace_before_release  records are read and not yet released
 *      sluice_priv_pace_after_write     the payload of a record is written
 *      sluice_priv_pace_published       its header is stored
 *      sluice_priv_pace_batch_published the header of a staged batch is stored
 *
 * Which cache does best with what depends on the processor, on where the two
 * sides run, and on the traffic. So nothing here knows a processor or a
 * duration: what is not always good is tried now and then, measured, and
 * kept where it was faster.
 */
#include <stdint.h>

#include "atomic.h"
#include "cpu.h"
#include "handle.h"
#include "layout.h"

SLUICE_PRIV_BEGIN

#ifndef SLUICE_NO_PACE

enum {
        SLUICE_PRIV_LINE = 64,   /* bytes of a cache line; if wrong, hints are useless */
        SLUICE_PRIV_EAGER = 1024 /* bytes of a record that are demoted line by line, of a
                                    record or a batch that are fetched */
};

/*
 * The ways to treat lines, each a bit:
 *
 * TOUCH: the consumer stores to each line that it has read, before it releases
 * it, the value that is there. So the line becomes its own. A line that the
 * producer has written and the consumer has only read remains the producer's
 * on some processors, shared; there the next lap's store has to wait for the
 * consumer's copy to be given up, one line after the other, while a line that
 * another core owns is fetched like any other, many at a time. (AMD EPYC 7003:
 * streams become 3 to 8 times as fast. Elsewhere it can cost as much.)
 *
 * DEMOTE: the producer moves each line that it has written to the shared cache,
 * where the consumer gets it in half the time. For messages that come alone; a
 * stream becomes slower. Only where the processor has the instruction. (Round
 * trips of 248 to 1,016 B on Intel's fourth Xeon generation: 1.2 to 1.6 times
 * as fast.)
 */
enum { SLUICE_PRIV_TOUCH = 1, SLUICE_PRIV_DEMOTE = 2 };

/* A comparison takes five windows: the last one without the other way, two
 * with it, two without. The first of two is not measured: it meets lines that
 * are still as the way before has left them. */
enum {
        SLUICE_PRIV_STEADY = 0, /* no comparison */
        SLUICE_PRIV_OTHER_BEGINS,
        SLUICE_PRIV_OTHER,
        SLUICE_PRIV_BACK_BEGINS,
        SLUICE_PRIV_BACK
};

enum {
        SLUICE_PRIV_WINDOW = 65536, /* bytes at least; and at least one lap */
        SLUICE_PRIV_GAP_LEAST = 2,  /* windows between two comparisons, */
        SLUICE_PRIV_GAP_MOST = 1024 /* doubled after each that changes nothing */
};

/* The way to compare with differs in one bit, of those that are available in
 * one after the other; but once more in the one that has won. */
static inline unsigned sluice_priv_other_way(struct sluice_priv_pace *pace)
{
        while (pace->wins == 0) {
                pace->differs ^= SLUICE_PRIV_TOUCH | SLUICE_PRIV_DEMOTE;
                if (pace->differs & pace->available)
                        break;
        }
        return pace->way ^ pace->differs;
}

/*
 * The comparison has ended, with the price of the way that was left again. The
 * other one has won if it was clearly better than what came before and after
 * it; it is kept when it has won twice. (Whatever disturbs a measurement makes
 * it longer, so one winner may be an accident.)
 */
static inline void sluice_priv_compare(struct sluice_priv_pace *pace, uint64_t price)
{
        const uint64_t least = price < pace->price ? price : pace->price;
        const unsigned wins = pace->wins;

        pace->step = SLUICE_PRIV_STEADY;
        pace->wins = 0;
        if (pace->other_price >= least - least / 8) {
                if (pace->gap < SLUICE_PRIV_GAP_MOST)
                        pace->gap *= 2;
                pace->left = pace->gap;
        } else if (wins == 0) {
                pace->wins = 1;
                pace->left = 1;
        } else {
                pace->way ^= pace->differs;
                pace->left = pace->gap = SLUICE_PRIV_GAP_LEAST;
        }
}

/*
 * A window has ended: so many ticks for so many bytes. Selects the way for
 * the next one. A price that has doubled, or halved, tells that traffic has
 * changed: then the next comparison comes sooner, but not so soon that traffic
 * that changes all the time would be compared all the time.
 */
static inline void sluice_priv_window(struct sluice_priv_pace *pace, uint64_t bytes, uint64_t ticks)
{
        const uint64_t price = (ticks << 10) / bytes;

        switch (pace->step) {
        case SLUICE_PRIV_OTHER:
                pace->other_price = price;
                pace->way ^= pace->differs;
                break;
        case SLUICE_PRIV_BACK:
                sluice_priv_compare(pace, price);
                pace->price = price;
                return;
        case SLUICE_PRIV_STEADY:
                if ((price > 2 * pace->price || pace->price > 2 * price) &&
                    pace->left > pace->gap / 8 + 1)
                        pace->left = pace->gap / 8 + 1;
                pace->price = price;
                if (--pace->left > 0)
                        return;
                pace->way = sluice_priv_other_way(pace);
                break;
        default:
                break;
        }
        pace->step++;
}

/* The rest of the word is spin.c's. */
static inline void sluice_priv_ask_to_demote(struct sluice_consumer *c, int yes)
{
        sluice_word *const hint = &c->own->doorbell.hint;
        /* Relaxed, as the store: advice, which protects nothing. */
        const uint64_t others = sluice_priv_load_relaxed(hint) & ~SLUICE_LAYOUT_SPARSE;

        /* Relaxed: see above. */
        sluice_priv_store_relaxed(hint, others | (yes ? SLUICE_LAYOUT_SPARSE : 0));
}

/* Out of line: once a lap. */
static __attribute__((noinline, unused)) void sluice_priv_end_window(struct sluice_consumer *c)
{
        struct sluice_priv_pace *const pace = &c->pace;
        const uint64_t now = sluice_priv_ticks();
        const unsigned before = pace->way;

        if (pace->from_ticks != 0 && now > pace->from_ticks)
                sluice_priv_window(pace, c->next - pace->from, now - pace->from_ticks);
        pace->from = c->next;
        pace->from_ticks = now;
        if (((before ^ pace->way) & SLUICE_PRIV_DEMOTE) != 0)
                sluice_priv_ask_to_demote(c, (pace->way & SLUICE_PRIV_DEMOTE) != 0);
}

/* Whole words, as layout.md permits. */
static inline void sluice_priv_touch(struct sluice_consumer *c, uint64_t from, uint64_t to)
{
        const uintptr_t ring = (uintptr_t)&c->base.nothing + c->ring;

        do {
                sluice_word *const word = (sluice_word *)(ring + (uintptr_t)(from & c->mask));

                /* Relaxed, both: PUBLISH has made the value visible, and
                 * RELEASE:store comes after it. */
                sluice_priv_store_relaxed(word, sluice_priv_load_relaxed(word));
                from = (from | (SLUICE_PRIV_LINE - 1)) + 1;
        } while ((int64_t)(to - from) > 0);
}

static __attribute__((noinline, unused)) void
sluice_priv_demote_lines(const struct sluice_producer *p, uint64_t position, uint64_t bytes)
{
        const unsigned char *const record = p->ring + (position & p->mask);

        for (uint64_t off = SLUICE_PRIV_LINE; off < bytes && off < SLUICE_PRIV_EAGER;
             off += SLUICE_PRIV_LINE)
                sluice_priv_demote(record + off);
}

/* The lines behind the one at position, of so many bytes and perhaps one more, for
 * writing. (Two at a time: it is half the instructions.) */
static __attribute__((noinline, unused)) void
sluice_priv_fetch_lines(const struct sluice_producer *p, uint64_t position, uint64_t bytes)
{
        const unsigned char *const first = p->ring + (position & p->mask);
        const uint64_t rest = sluice_priv_rest(position, p->mask);
        const uint64_t eager = SLUICE_PRIV_EAGER, most = bytes < eager ? bytes : eager;
        const uint64_t end = most < rest ? most : rest;

        for (uint64_t off = SLUICE_PRIV_LINE; off < end; off += (uint64_t)2 * SLUICE_PRIV_LINE) {
                sluice_priv_prefetch_write(first + off);
                sluice_priv_prefetch_write(first + off + SLUICE_PRIV_LINE);
        }
}

/* ---- The hooks ----------------------------------------------------- */

static inline void sluice_priv_pace_begin(struct sluice_consumer *c)
{
        struct sluice_priv_pace *const pace = &c->pace;

        pace->available = sluice_priv_ticks() == 0   ? 0
                          : sluice_priv_can_demote() ? SLUICE_PRIV_TOUCH | SLUICE_PRIV_DEMOTE
                                                     : SLUICE_PRIV_TOUCH;
        /* To begin with: where touching is right, not to touch costs more than
         * the reverse does where it is wrong. */
        pace->way = pace->available & SLUICE_PRIV_TOUCH;
        pace->from = c->next;
        pace->differs = SLUICE_PRIV_DEMOTE;
        pace->gap = pace->left = 1;
}

/* Nearly always a record is as long as the previous one: the processor predicts
 * that, and goes on to the next header with the length that it has, without
 * waiting for the one in this header. So the compiler must not take one for the
 * other where they are equal. */
static inline void sluice_priv_pace_record(struct sluice_consumer *c, uint64_t bytes)
{
        if (sluice_priv_unlikely(sluice_priv_hide_from_compiler(c->bytes) != bytes))
                c->bytes = bytes;
}

/* At least once a lap. */
static inline void sluice_priv_pace_run(struct sluice_consumer *c)
{
        const uint64_t passed = c->next - c->pace.from;

        if (passed > c->mask && passed >= SLUICE_PRIV_WINDOW && c->pace.available != 0)
                sluice_priv_end_window(c);
}

static inline void sluice_priv_pace_before_release(struct sluice_consumer *c, uint64_t from,
                                                   uint64_t to)
{
        if (c->pace.way & SLUICE_PRIV_TOUCH)
                sluice_priv_touch(c, from, to);
}

/* UNTRUSTED and relaxed: only advice. */
static inline int sluice_priv_is_asked_to_demote(const struct sluice_producer *p)
{
        return (sluice_priv_load_relaxed(&p->peer->doorbell.hint) & SLUICE_LAYOUT_SPARSE) != 0;
}

static inline void sluice_priv_pace_after_write(const struct sluice_producer *p, uint64_t position,
                                                uint64_t bytes)
{
        if (bytes > SLUICE_PRIV_LINE && sluice_priv_unlikely(sluice_priv_is_asked_to_demote(p)))
                sluice_priv_demote_lines(p, position, bytes);
}

/*
 * The record behind the next one, if both are as long as this one, begins at
 * position + bytes: its lines are fetched for writing now, all at once, so that
 * they are there by then. Its stores, which take effect in order, would wait for
 * one after the other; and the first of them is wanted before that, for the 0
 * behind the next record. Messages that come alone have time for the rest, and
 * fetching that would be in the way of the one that has just been written.
 */
static inline void sluice_priv_pace_published(const struct sluice_producer *p, uint64_t position,
                                              uint64_t bytes)
{
        position += bytes;
        sluice_priv_prefetch_write(p->ring + (position & p->mask));
        if (bytes > SLUICE_PRIV_LINE && !sluice_priv_is_asked_to_demote(p))
                sluice_priv_fetch_lines(p, position, bytes);
}

/* The next batch, if it is as long as this one, fills these lines. The first is
 * left out, for the consumer polls it. */
static inline void sluice_priv_pace_batch_published(const struct sluice_producer *p,
                                                    uint64_t position, uint64_t bytes)
{
        if (bytes >= SLUICE_PRIV_LINE)
                sluice_priv_fetch_lines(p, position, bytes + 1);
}

#else

static inline void sluice_priv_pace_begin(struct sluice_consumer *c)
{
        (void)c;
}

static inline void sluice_priv_pace_record(struct sluice_consumer *c, uint64_t bytes)
{
        c->bytes = bytes;
}

static inline void sluice_priv_pace_run(struct sluice_consumer *c)
{
        (void)c;
}

static inline void sluice_priv_pace_before_release(struct sluice_consumer *c, uint64_t from,
                                                   uint64_t to)
{
        (void)c;
        (void)from;
        (void)to;
}

static inline void sluice_priv_pace_after_write(const struct sluice_producer *p, uint64_t position,
                                                uint64_t bytes)
{
        (void)p;
        (void)position;
        (void)bytes;
}

static inline void sluice_priv_pace_published(const struct sluice_producer *p, uint64_t position,
                                              uint64_t bytes)
{
        (void)p;
        (void)position;
        (void)bytes;
}

static inline void sluice_priv_pace_batch_published(const struct sluice_producer *p,
                                                    uint64_t position, uint64_t bytes)
{
        (void)p;
        (void)position;
        (void)bytes;
}

#endif /* SLUICE_NO_PACE */

SLUICE_PRIV_END

#endif
