/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_RING_H
#define SLUICE_RING_H
/*
 * A ring of variable-length messages from one producer to one consumer
 * over any memory that both can see: threads of one process, memfd, a
 * System V segment. Everything here is inline; a user of this header
 * alone links nothing, and the only system call is sched_yield, in a
 * wait that has spun for long.
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
 * The life of a message: reserve room, write the payload in place,
 * commit. Peek returns it in place, release returns its room to the
 * producer. stage() instead of commit() completes a message without
 * making it visible; publish() makes all staged messages visible at once.
 * advance() proceeds to the next message and keeps the earlier ones until
 * release().
 *
 * Who may call: a handle belongs to one thread at a time. One producer
 * and one consumer at a time per ring: named queues (queue.h) enforce
 * that, here the caller must ensure it.
 *
 * Guarantees
 *   1. Messages arrive once, in order, whole, with their length, tag and
 *      kind.
 *   2. A staged batch becomes visible at once, or, if its producer dies
 *      first, not at all.
 *   3. Released messages are never redelivered; unreleased ones are, to
 *      the consumer and its successors, at the same position.
 *   4. Whatever the peer writes into its half, no call reads or writes
 *      outside the ring and the caller's buffers, loops for longer than
 *      a constant, or changes what earlier calls have returned. A
 *      violation of the rules, once noticed, poisons the handle:
 *      -EBADMSG from then on.
 *   5. With SLUICE_NOW every call is wait-free.
 *   6. On a handle that was never attached, all zero, every call returns
 *      -EINVAL; those that return nothing do nothing.
 * Not promised: that payload bytes stay the same while they are read in
 * place, if the peer is hostile. To rely on them, copy first (sluice_recv).
 *
 * Returns: 0 or a count, or a negative errno; errno itself is not changed.
 * After an error nothing has changed unless the call says so.
 *
 * Limits: capacity is a power of two from 4 record alignments to 1 GiB;
 * the longest message is capacity / 2 - 8 bytes, which fits from any
 * offset once the ring has drained.
 */
#include "attach.h"
#include "consumer.h"
#include "extra.h"
#include "long.h"
#include "producer.h"

#endif
