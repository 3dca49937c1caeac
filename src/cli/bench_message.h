/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_CLI_BENCH_MESSAGE_H
#define SLUICE_CLI_BENCH_MESSAGE_H
/*
 * sluice bench: one message, written, sent, received and compared, through
 * whatever it goes. Inline, for bench_side.c alone.
 */
#include <errno.h>
#include <unistd.h>

#include "bench.h"

#define LAST     UINT64_MAX /* number of a slice's last message */
#define PIPE_MAX 64         /* bytes of a message through a pipe */

#define INLINE   static inline __attribute__((always_inline))

enum { ENDED = 1, WRONG = 2 }; /* beside 0 and negative errnos */

/* The ends of a pair of queues. */
struct ends {
        BENCH_APART struct sluice_producer out;
        BENCH_APART struct sluice_consumer in;
};

/* In the memory of this process alone. */
struct side {
        struct ends ends[BENCH_PAIRS];
        struct bench *bench;
        int is_far;
        int in_fd, out_fd;
        bench_word *mine, *theirs; /* of the yardstick */
        uint64_t met;
        uint64_t number; /* of the message in hand */
        int64_t clock_ns;
        struct bench_histogram turns;
};

/* ---- Payload ------------------------------------------------------ */

typedef uint64_t __attribute__((may_alias)) payload_word;

INLINE void fill(void *to, uint64_t number, size_t len)
{
        payload_word *const w = to;

        for (size_t i = 0; i < len / 8; i++)
                w[i] = number + i;
}

/* 0, ENDED, or WRONG. */
INLINE int check(const void *from, uint64_t number, size_t len)
{
        const payload_word *const w = from;
        const uint64_t got = w[0];
        uint64_t bad = 0;

        for (size_t i = 0; i < len / 8; i++)
                bad |= w[i] ^ (got + i);
        if (bad || (got != number && got != LAST))
                return WRONG;
        return got == LAST ? ENDED : 0;
}

/* ---- One message: 0, or why not ----------------------------------- */

static inline int pipe_put(struct side *s, uint64_t number, size_t len)
{
        uint64_t buffer[PIPE_MAX / 8];

        fill(buffer, number, len);
        return write(s->out_fd, buffer, len) == (ssize_t)len ? 0 : -errno;
}

static inline int pipe_get(struct side *s, uint64_t number, size_t len)
{
        uint64_t buffer[PIPE_MAX / 8];
        const ssize_t n = read(s->in_fd, buffer, len);

        if (n <= 0)
                return n == 0 ? -EPIPE : -errno;
        return (size_t)n == len ? check(buffer, number, len) : WRONG;
}

INLINE int lines_get(struct side *s, uint64_t number)
{
        for (;;) {
                const uint64_t got = atomic_load_explicit(s->theirs, memory_order_acquire);

                if (got == number)
                        return 0;
                if (got == LAST)
                        return ENDED;
        }
}

INLINE int queue_put(struct sluice_producer *p, uint64_t number, size_t len)
{
        void *payload = NULL;
        const int r = sluice_reserve(p, len, &payload, SLUICE_FOREVER);

        if (r)
                return r;
        fill(payload, number, len);
        return sluice_commit(p, len);
}

/* until: SLUICE_NOW polls, SLUICE_FOREVER lets the library wait. */
INLINE int queue_get(struct sluice_consumer *c, uint64_t number, size_t len, sluice_deadline until)
{
        struct sluice_message m;
        int r, verdict;

        do
                r = sluice_peek(c, &m, until);
        while (r == -EAGAIN);
        if (r)
                return r;
        verdict = m.len == len ? check(m.data, number, len) : WRONG;
        r = sluice_release(c);
        return r ? r : verdict;
}

INLINE int put(struct side *s, enum bench_link link, size_t len, uint64_t number)
{
        switch (link) {
        case BENCH_LINES:
                atomic_store_explicit(s->mine, number, memory_order_release);
                return 0;
        case BENCH_PIPE:
                return pipe_put(s, number, len);
        default:
                return queue_put(&s->ends[link].out, number, len);
        }
}

INLINE int get(struct side *s, enum bench_link link, size_t len, uint64_t number,
               sluice_deadline until)
{
        switch (link) {
        case BENCH_LINES:
                return lines_get(s, number);
        case BENCH_PIPE:
                return pipe_get(s, number, len);
        default:
                return queue_get(&s->ends[link].in, number, len, until);
        }
}

#endif
