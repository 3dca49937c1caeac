/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_RING_H
#define SLUICE_RING_H
/*
 * A ring of variable-length messages from one producer to one consumer
 * over any memory that both can see: threads of one process, memfd, a
 * System V segment. Everything here is inline; a user of this header
 * alone links nothing, and no call makes a system call but a wait that
 * has spun for long (sched_yield).
 *
 *      consumer position          producer position
 *            v                           v
 *      ------[hdr|payload..|pad][hdr|..]0-----------------
 *            released, not yet          the next header
 *
 * The header word of a record is its commit point: the consumer polls
 * the word at its own position, so that a short message crosses between
 * two cores in a single cache-line transfer. The word behind the last
 * published record is always 0.
 *
 * A message's life: reserve room, write the payload in place, commit.
 * Peek sees it in place, release gives the room back. stage() instead of
 * commit() finishes a message without showing it; publish() shows all
 * that are staged at once. advance() goes on to the next message while
 * the earlier ones are kept until release().
 *
 * Who may call: a handle belongs to one thread at a time. One producer
 * and one consumer at a time per ring; through named queues (queue.h)
 * that is enforced, here it is up to the caller.
 *
 * Guarantees
 *   1. Messages arrive once, in order, whole, with their length and tag.
 *   2. A staged batch appears at once, or, if its producer dies first,
 *      not at all.
 *   3. A message is given to the consumer (and to its successors) until
 *      it is released, always with the same position; after release,
 *      never again.
 *   4. Whatever the peer writes into its half, no call reads or writes
 *      outside the ring and the caller's buffers, loops for longer than
 *      a constant, or changes what earlier calls have returned. A rule
 *      that is seen broken poisons the handle: -EBADMSG from then on.
 *   5. With SLUICE_NOW every call is wait-free.
 *   6. A handle that was never attached, all zero, is answered -EINVAL by
 *      every call; those that return nothing do nothing.
 * Not promised: that payload bytes do not change under a reader whose
 * peer is hostile. Who must rely on them copies first (sluice_recv).
 *
 * Returns: 0 or a count, or a negative errno; errno itself is untouched.
 * After an error nothing has changed unless it is said.
 *
 * Limits: capacity is a power of two from 4 record alignments to 2 GiB;
 * the longest message is capacity / 2 - 8 bytes, which fits from any
 * offset once the ring has drained.
 */
#include "attach.h"
#include "consumer.h"
#include "producer.h"

#endif
