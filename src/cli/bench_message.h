/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_CLI_BENCH_MESSAGE_H
#define SLUICE_CLI_BENCH_MESSAGE_H
/*
 * sluice bench: one message, sent and received through whatever it goes.
 * Inline, for bench_side.c alone.
 */
#include "../measure/ends.h"
#include "bench.h"

/* In the memory of this process alone. */
struct side {
        struct ends ends[BENCH_PAIRS];
        struct bench *bench;
        int is_reflector;
        int in_fd, out_fd;
        bench_word *mine, *theirs; /* of the yardstick */
        uint64_t met;
        uint64_t number; /* of the message in hand */
        int64_t clock_ns;
        struct histogram turns;
};

/* ---- One message: 0, or why not ----------------------------------- */

MEASURE_INLINE int lines_get(struct side *s, uint64_t number)
{
        for (;;) {
                const uint64_t got = atomic_load_explicit(s->theirs, memory_order_acquire);

                if (got == number)
                        return 0;
                if (got == PAYLOAD_LAST)
                        return ENDED;
        }
}

MEASURE_INLINE int put(struct side *s, enum bench_link link, size_t len, uint64_t number)
{
        switch (link) {
        case BENCH_LINES:
                atomic_store_explicit(s->mine, number, memory_order_release);
                return 0;
        case BENCH_PIPE:
                return pipe_put(s->out_fd, number, len);
        default:
                return queue_put(&s->ends[link].out, number, len);
        }
}

MEASURE_INLINE int get(struct side *s, enum bench_link link, size_t len, uint64_t number,
                       sluice_deadline until)
{
        switch (link) {
        case BENCH_LINES:
                return lines_get(s, number);
        case BENCH_PIPE:
                return pipe_get(s->in_fd, number, len);
        default:
                return queue_get(&s->ends[link].in, number, len, until);
        }
}

#endif
