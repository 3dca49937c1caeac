/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_H
#define SLUICE_H
/*
 * sluice: a queue of messages from one process to one other, in System V
 * shared memory, at the speed of a cache line, that can also sleep, be
 * polled, lose its peer, be attacked by its peer, and be looked at while
 * it runs. This file includes all of it; the parts:
 *
 *      sluice/atomic.h  shared accesses, and the ledger of all orderings
 *      sluice/layout.h  the shared memory, byte by byte
 *      sluice/cpu.h     pause, hints to the caches, inline assembly
 *      sluice/wait.h    deadlines; "does the other side sleep?"
 *      sluice/handle.h  the two handles
 *      sluice/wait_step.h  what is done between two looks in vain
 *      sluice/pace.h    what adapts to how messages come
 *      sluice/producer.h, consumer.h  the calls of either
 *      sluice/attach.h  making, joining and leaving a ring; recovery
 *      sluice/ring.h    the ring over any memory: start reading here
 *      sluice/queue.h   named queues: create, open, sleep, poll, stat
 *
 *      struct sluice_consumer c;               struct sluice_producer p;
 *      struct sluice_message m;
 *
 *      sluice_consumer_open(&c, "prices", 0);  sluice_producer_open(&p, "prices", 0);
 *      while (sluice_peek(&c, &m,              sluice_send(&p, buf, len,
 *                         SLUICE_FOREVER) == 0) {          SLUICE_FOREVER);
 *              use(m.data, m.len);             sluice_producer_close(&p);
 *              sluice_release(&c);
 *      }
 *      sluice_consumer_close(&c);
 */
#include "sluice/queue.h"

#define SLUICE_VERSION_MAJOR 0
#define SLUICE_VERSION_MINOR 2
#define SLUICE_VERSION_PATCH 0

#endif
