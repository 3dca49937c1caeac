/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_MEMBER_H
#define SLUICE_MEMBER_H
/*
 * What libsluice shows to libsluice-group alone. A group sleeps for many
 * consumers at once: it stores their parked words, executes one barrier for
 * all, looks at all, and waits for their pipes in one epoll descriptor. So a
 * member is an ordinary consumer, with two descriptors: its own pipe, and
 * the producer's, which it locks. No public contract.
 */
#include <stdbool.h>

#include "sluice/queue.h"

/* The pipe of a named queue in which the producer writes a byte for a parked
 * word with SLUICE_LAYOUT_BY_FIFO, and which is hung up when the producer is
 * gone. It stays the consumer's. -1: it has none. */
SLUICE_API int sluice_priv_member_fd(struct sluice_consumer *c);

/* DOORBELL:fence, sleeper, for all parked words that were stored before.
 * false: this process may not call membarrier. */
SLUICE_API bool sluice_priv_member_barrier(void);

/* Does the producer write that byte? false: it was attached through ring.h
 * alone, has closed its pipes, or leaves a barrier to us that we cannot
 * execute. Until it has a successor the consumer has to look by itself. */
SLUICE_API bool sluice_priv_member_is_rung(const struct sluice_consumer *c);

/* Without that pipe: does the producer wake who sleeps on the next header word, by
 * futex? Like this it may change from one moment to the next. */
SLUICE_API bool sluice_priv_member_wakes(const struct sluice_consumer *c);

/* The next sluice_peek that finds no message asks the kernel whether the
 * producer and the queue are still there. */
SLUICE_API void sluice_priv_member_check_next(struct sluice_consumer *c);

/* An end of an earlier producer, which left no message, is reported, too, as if
 * the consumer had been open at the time. */
SLUICE_API void sluice_priv_member_tell_earlier_end(struct sluice_consumer *c);

/* limit.c, for descriptors: after a failed call that left err (positive). */
SLUICE_API void sluice_priv_member_limit(int err);

#endif
