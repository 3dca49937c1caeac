/* SPDX-License-Identifier: MIT */
#ifndef BENCH_RINGS_H
#define BENCH_RINGS_H
/* The contenders of the suites roundtrip, stream, batch, burst and paced. */
#include "harness.h"
#include "ticks.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_RING_BYTES ((size_t)256 * 1024)

enum { BENCH_BATCH = 16 }; /* of contenders "in batches of 16" */

/* A contender at one size. Memory of open, called in bench_trial_memory, has
 * had a first lap. put, ping and burst run in one process, the others in another. */
struct bench_loops {
        size_t max; /* bytes of a message; the mix: of a slot */
        int mix;
        void *(*open)(void);
        void (*close)(void *);
        bench_side_fn *put, *get;
        bench_side_fn *ping, *pong; /* NULL: makes no sense */
        /* Through a the messages, through b, a ring for 8 bytes, the answers;
         * n is a multiple of the side's batch. */
        bench_side_fn *burst, *answer;
        /* Through a, at the pace in b. */
        bench_side_fn *paced, *clocked;
};

/* A message each `gap` ticks from `start` on, whatever became of those before. */
struct bench_pace {
        volatile uint64_t start; /* written by the sender before its first message */
        uint64_t gap;
        float *late; /* ticks from when each should have been sent to when it had been read */
};

struct bench_peer {
        const char *name;
        const struct bench_loops *loops;
        size_t count; /* 0: its headers are not installed */
};

struct bench_contender {
        const struct bench_peer *peer;
        enum bench_role role;
        int league;
};

extern const struct bench_peer bench_peer_sluice, bench_peer_sluice_wait, bench_peer_sluice_copy;
extern const struct bench_peer bench_peer_sluice_batch, bench_peer_sluice_many;
extern const struct bench_peer bench_peer_index, bench_peer_flag, bench_peer_flag_tight;
extern const struct bench_peer bench_peer_record, bench_peer_record_tight;
extern const struct bench_peer bench_peer_record_wipe, bench_peer_record_wipe_tight;
extern const struct bench_peer bench_peer_quarter_zero, bench_peer_quarter_stamp;
extern const struct bench_peer bench_peer_quarter_touch, bench_peer_quarter_clear;
extern const struct bench_peer bench_peer_boost, bench_peer_boost_batch;
extern const struct bench_peer bench_peer_moodycamel;
extern const struct bench_peer bench_peer_ck;
extern const struct bench_peer bench_peer_dpdk, bench_peer_dpdk_zc, bench_peer_dpdk_batch;
extern const struct bench_peer bench_peer_dpdk_zc_batch;
extern const struct bench_peer bench_peer_urcu;
extern const struct bench_peer bench_peer_jack, bench_peer_spa;

/* Most slots of `bytes` that a ring of BENCH_RING_BYTES has, as a power of 2. */
static inline uint64_t bench_slots(size_t bytes)
{
        uint64_t n = 4;

        while (2 * n * bytes <= BENCH_RING_BYTES)
                n *= 2;
        return n;
}

#ifdef __cplusplus
}
#endif
#endif
