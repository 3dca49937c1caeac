/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_MEASURE_ENDS_H
#define SLUICE_MEASURE_ENDS_H
/*
 * One side's ends of two queues, or of two pipes: it sends to one and
 * receives from the other. A message with the number PAYLOAD_LAST ends a loop.
 */
#include <errno.h>
#include <sluice.h>
#include <unistd.h>

#include "payload.h"

#define PAYLOAD_LAST UINT64_MAX
#define PIPE_LEN_MAX 64 /* bytes of a message through a pipe */

enum { ENDED = 1, WRONG = 2 }; /* beside 0 and negative errnos */

struct ends {
        MEASURE_APART struct sluice_producer out;
        MEASURE_APART struct sluice_consumer in;
};

/* ---- ends.c ------------------------------------------------------- */

/* Both or none. */
int ends_open(struct ends *e, const char *out, const char *in,
              const struct sluice_options *options);
void ends_close(struct ends *e);

/* ---- One message: 0, or why not ----------------------------------- */

/* 0, ENDED, or WRONG. */
MEASURE_INLINE int payload_check(const void *from, uint64_t number, size_t len)
{
        const uint64_t got = *(const payload_word *)from;

        if (!payload_good(from, got, len) || (got != number && got != PAYLOAD_LAST))
                return WRONG;
        return got == PAYLOAD_LAST ? ENDED : 0;
}

static inline int pipe_put(int fd, uint64_t number, size_t len)
{
        uint64_t buffer[PIPE_LEN_MAX / 8];

        payload_fill(buffer, number, len);
        return write(fd, buffer, len) == (ssize_t)len ? 0 : -errno;
}

static inline int pipe_get(int fd, uint64_t number, size_t len)
{
        uint64_t buffer[PIPE_LEN_MAX / 8];
        const ssize_t n = read(fd, buffer, len);

        if (n <= 0)
                return n == 0 ? -EPIPE : -errno;
        return (size_t)n == len ? payload_check(buffer, number, len) : WRONG;
}

MEASURE_INLINE int queue_put(struct sluice_producer *p, uint64_t number, size_t len)
{
        void *payload = NULL;
        const int r = sluice_reserve(p, len, &payload, SLUICE_FOREVER);

        if (r)
                return r;
        payload_fill(payload, number, len);
        return sluice_commit(p, len);
}

/* until: SLUICE_NOW polls, SLUICE_FOREVER lets the library wait. */
MEASURE_INLINE int queue_get(struct sluice_consumer *c, uint64_t number, size_t len,
                             sluice_deadline until)
{
        struct sluice_message m;
        int r, verdict;

        do
                r = sluice_peek(c, &m, until);
        while (r == -EAGAIN);
        if (r)
                return r;
        verdict = m.len == len ? payload_check(m.data, number, len) : WRONG;
        r = sluice_release(c);
        return r ? r : verdict;
}

#endif
