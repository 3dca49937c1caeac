/* SPDX-License-Identifier: MIT */
#ifndef NUMBERED_H
#define NUMBERED_H
/*
 * A small queue whose messages follow from their numbers alone, and so
 * do their positions: the numbers sent and received determine every byte of
 * the queue.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sluice.h"

#define NUMBERED_SECOND INT64_C(1000000000)

enum { NUMBERED_LONGEST = 224 }; /* bytes, of a message */

struct numbered {
        const char *queue;
        uint32_t align; /* of records: 8, or 64 with longer messages in a larger ring */
        struct sluice_producer p;
        struct sluice_consumer c;
        int wake;                /* of both, SLUICE_WAKE_* */
        uint64_t sent, received; /* by all endpoints, ever */
};

/* Message i. */
size_t numbered_length(const struct numbered *q, uint64_t i);
void numbered_fill(const struct numbered *q, void *to, uint64_t i);
/* Is it the one that does not fit before the end of the ring? */
bool numbered_wraps(const struct numbered *q, uint64_t i);
/* The position behind the first n messages. */
uint64_t numbered_end(const struct numbered *q, uint64_t n);

/* Of every queue here. */
struct sluice_options numbered_options(const struct numbered *q, int wake, int64_t slice_ns);

int numbered_create(const struct numbered *q);
int numbered_open_producer(struct numbered *q);
int numbered_open_consumer(struct numbered *q);
int numbered_open(struct numbered *q);
void numbered_close(struct numbered *q);

/* Sends the next message. 0 or a negative errno. */
int numbered_put(struct numbered *q, sluice_deadline until);
/* Receives the next one. 0, a negative errno, or 1: a wrong message. */
int numbered_take(struct numbered *q, sluice_deadline until);
/* More than a lap, through both handles, until the queue is empty; then
 * all counts must agree. 0 or 1, and a word to stderr. */
int numbered_go_on(struct numbered *q);

/* In a function that returns nonzero for a failure. */
#define NUMBERED_CHECK(found, expected)                                              \
        do {                                                                         \
                const long long f_ = (long long)(found), e_ = (long long)(expected); \
                if (f_ != e_) {                                                      \
                        fprintf(stderr, "  %s: %lld, not %lld\n", #found, f_, e_);   \
                        return 1;                                                    \
                }                                                                    \
        } while (0)

#endif
