/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_H
#define SLUICE_H
/*
 * sluice: a lock-free single-producer single-consumer message queue in
 * shared memory, zero-copy, blocking or polling.
 *
 *        header        consumer half     producer half     ring
 *      +-------------+-----------------+-----------------+--------------
 *      | size, magic | position,       | doorbell,       | records
 *      |             | doorbell, ...   | ...             |
 *      +-------------+-----------------+-----------------+--------------
 *      written once    by the consumer   by the producer   by the producer
 *
 *      ring:      consumer position                producer position
 *                     v                                  v
 *            --------[header|payload..|pad][header|....]0---------------
 *              free   published, not yet released          free
 *
 * A producer writes records behind its position, a consumer reads them in
 * place and releases them. Released messages are never redelivered;
 * unreleased ones are, at the same position.
 *
 *      static int hello(void)
 *      {
 *              struct sluice_options o = {.size = sizeof o, .flags = SLUICE_CREATE};
 *              struct sluice_producer p;
 *              struct sluice_consumer c;
 *              char text[64];
 *              ssize_t n;
 *              int r;
 *
 *              r = sluice_producer_open(&p, "hello", &o);
 *              if (r)
 *                      return r;
 *              r = sluice_consumer_open(&c, "hello", &o);
 *              if (r)
 *                      goto close_producer;
 *              r = sluice_send(&p, "hi", 2, sluice_after(1000000));
 *              if (r)
 *                      goto close_both;
 *              n = sluice_recv(&c, text, sizeof text, SLUICE_FOREVER);
 *              r = n < 0 ? (int)n : 0;
 *      close_both:
 *              sluice_consumer_close(&c);
 *      close_producer:
 *              sluice_producer_close(&p);
 *              return r;
 *      }
 *
 * Usually the two ends are in two processes. Every call returns 0 or a
 * count, or a negative errno: sluice_strerror says what to do.
 *
 * The calls of the fast path are inline. With SLUICE_NO_INLINE defined before
 * this file is included they are calls of the library instead, in less code:
 * -lsluice.
 *
 * This file includes all parts:
 *
 *      sluice/ring.h       the ring over any memory: start reading here
 *      sluice/queue.h      named queues: create, open, sleep, poll, stat
 *      sluice/producer.h, consumer.h  the calls of either side
 *      sluice/extra.h      how full, a part released, the latest, tags, drops
 *      sluice/long.h       messages longer than the ring, in pieces
 *      sluice/typed.h      queues of one type: SLUICE_TYPED
 *      sluice/channel.h    two queues under one name: request and reply
 *      sluice/fanout.h     one sender, several queues
 *      sluice/attach.h     initialize, join and leave a ring; recovery
 *      sluice/handle.h     the two handles
 *      sluice/room.h       what a producer knows of room, and how it gets more
 *      sluice/wait_step.h  what a call does after each unsuccessful look
 *      sluice/pace.h       what adapts to the rate of messages
 *      sluice/wait.h       deadlines; the check whether the peer sleeps
 *      sluice/layout.h     the shared memory, byte by byte
 *      sluice/cpu.h        pause, cache hints, inline assembly
 *      sluice/rename.h, declare.h  for SLUICE_NO_INLINE
 *      sluice/atomic.h     shared accesses, and the ledger of all orderings
 */
#include "sluice/rename.h"

#include "sluice/channel.h"
#include "sluice/fanout.h"
#include "sluice/queue.h"

#include "sluice/declare.h"

#include "sluice/typed.h"

#define SLUICE_VERSION_MAJOR 0
#define SLUICE_VERSION_MINOR 2
#define SLUICE_VERSION_PATCH 0

/* "MAJOR.MINOR.PATCH", of these headers; sluice_version(): of the library. */
#define SLUICE_VERSION_STRING                  \
        SLUICE_PRIV_TEXT(SLUICE_VERSION_MAJOR) \
        "." SLUICE_PRIV_TEXT(SLUICE_VERSION_MINOR) "." SLUICE_PRIV_TEXT(SLUICE_VERSION_PATCH)
#define SLUICE_PRIV_TEXT(x)    SLUICE_PRIV_TEXT_OF(x)
#define SLUICE_PRIV_TEXT_OF(x) #x

#endif
