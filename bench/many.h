/* SPDX-License-Identifier: MIT */
#ifndef BENCH_MANY_H
#define BENCH_MANY_H
/*
 * The contenders of the suite many. All are threads of one process, which is the
 * easiest case for queues with several producers: none of the packaged ones
 * works between processes.
 *
 * Messages have MANY_LEN bytes: who sends, or through which ring, and a payload
 * that counts on for each sender. So what is lost, doubled, damaged or out of a
 * sender's order is found.
 */
#include <sched.h>

#include "harness.h"
#include "rings.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { MANY_LEN = 56, MANY_RINGS = 1024, MANY_SLOTS = 4096 };

#define IDLE_CAPACITY ((size_t)4096) /* of a member without messages */

/* put runs in each of the producers' threads, get in the consumer's. */
struct many_peer {
        const char *name;
        void *(*open)(unsigned producers); /* NULL: its headers are not installed */
        void (*close)(void *);
        bench_side_fn *put, *get;
};

extern const struct many_peer many_group, many_runs, many_loop;
/* The last of the crowd serves, too, when it is shared by two. */
extern const struct many_peer many_shared, many_shared_by_two;
extern const struct many_peer many_moodycamel, many_boost, many_dpdk, many_dpdk_rts;
extern const struct many_peer many_pipe, many_eventfd;

/* No room, or no message. */
MEASURE_INLINE void many_wait(const struct bench_side *s)
{
        if (s->crowded)
                sched_yield();
        else
                bench_relax();
}

MEASURE_INLINE void many_fill(void *message, uint64_t from, uint64_t number)
{
        payload_word *const w = (payload_word *)message;

        w[0] = from;
        payload_fill(w + 1, number, MANY_LEN - 8);
}

/* The consumer's: what it expects of each sender. */
struct many_seen {
        MEASURE_APART uint64_t next[MANY_RINGS];
        MEASURE_APART uint64_t messages;
};

MEASURE_INLINE void many_check(struct many_seen *seen, const void *message, const char *who)
{
        const payload_word *const w = (const payload_word *)message;
        const uint64_t from = w[0];

        if (from >= MANY_RINGS || !payload_good(w + 1, seen->next[from], MANY_LEN - 8))
                bench_corrupt(who, seen->messages);
        seen->next[from]++;
        seen->messages++;
}

/* ---- Rings, read by a group or one after the other ---------------- */

struct sluice_group;
struct sluice_producer;
struct sluice_consumer;

struct many_rings {
        MEASURE_APART struct sluice_group *group; /* the consumer's; NULL: a loop over all */
        struct sluice_consumer *consumers;
        const char *who;
        struct many_seen seen;
        MEASURE_APART struct sluice_producer *producers;
        uint64_t sent[MANY_RINGS];
        MEASURE_APART unsigned rings, busy;
        unsigned char *mem;
        size_t each; /* bytes of a ring, with its control words */
};

enum many_reader { MANY_GROUP, MANY_LOOP };

/* Its memory is of the trial, or lasts until it is closed. */
struct many_rings *many_rings_open(unsigned rings, size_t capacity, enum many_reader reader,
                                   bool lasting);
void many_rings_close(struct many_rings *r);
/* As much memory for all as one queue has; a first lap. */
struct many_rings *many_rings_settled(unsigned producers, enum many_reader reader);

/* A producer's thread sends to its own, the one of its number. */
void many_put(struct bench_side *s);

/* One thread sends to the busy ones in turn; the other receives. n: how many. */
void many_put_in_turn(struct bench_side *s);
void many_get(struct bench_side *s);
/* Such traffic for that long, and a lap at least. */
void many_settle(struct many_rings *r, double ns);

/* many_shared_by_two: how many messages the last of the crowd has handed over. */
uint64_t many_helped(const void *q);
/* test_many.c, of the self-test. */
void many_self_test(void (*check)(bool good, const char *what, double figure));

/* ---- many_idle.c, many_first.c: parts of bench_many.c -------------- */

/* Before bench_begin: an IPC namespace and a directory of their own, where that is
 * possible, and as many descriptors as the limits permit. */
void many_limits(void);
void many_idle_add(void);
void many_first_add(void);
/* Removes what they have made. */
void many_idle_end(void);
void many_first_end(void);

#ifdef __cplusplus
}
#endif
#endif
