/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_FANOUT_H
#define SLUICE_FANOUT_H
/*
 * One sender, several queues: to one by key, to each in turn, to the first
 * that has room, or to all. The queues share nothing, so each has its one
 * producer and its one consumer as always. The producers are the caller's,
 * open or attached, each of another queue; they may be used by themselves between these calls, by
 * the same thread. There is no order between two queues.
 */
#include <stddef.h>
#include <stdint.h>

#include "handle.h"
#include "queue.h"
#include "wait.h"

/* The caller's producers, in the caller's array. `next` is whose turn it is. */
struct sluice_fanout {
        struct sluice_producer *const *out;
        unsigned n;
        unsigned next;
};

#ifdef __cplusplus
extern "C" {
#endif

/* To the queue of this key: the same one for the same key, as long as n is the
 * same; keys are spread evenly, be they spread or numbered. As
 * sluice_send_tagged. -EINVAL: there is no queue. */
SLUICE_NODISCARD SLUICE_API int sluice_fanout_send_key(struct sluice_fanout *f, uint64_t key,
                                                       const void *buf, size_t len, uint32_t tag,
                                                       sluice_deadline until);

/* To each queue in turn; waits for the one whose turn it is, which after an error
 * it still is. As sluice_send_tagged. */
SLUICE_NODISCARD SLUICE_API int sluice_fanout_send_next(struct sluice_fanout *f, const void *buf,
                                                        size_t len, uint32_t tag,
                                                        sluice_deadline until);

/*
 * To the first queue that has room, beginning with the one behind that of the
 * message before; waits for room in any. Those whose consumer has closed or
 * died take messages until they are full, as sluice_reserve does; whether that
 * is wanted, the caller decides by the queues that it gives.
 *
 * Returns which: an index of out; or -EAGAIN, -ETIMEDOUT: none has room;
 * -ECANCELED; -EPIPE, -EOWNERDEAD: none has room, and no consumer is left, of the
 * last one; -EMSGSIZE: too long for every queue. Other errors when no queue takes
 * messages. It sleeps in ppoll(2) when all producers, at most 64, were opened with
 * SLUICE_WAKE_FIFO and for none it is too long, and looks every millisecond
 * otherwise.
 */
SLUICE_NODISCARD SLUICE_API int sluice_fanout_send_any(struct sluice_fanout *f, const void *buf,
                                                       size_t len, uint32_t tag,
                                                       sluice_deadline until);

/*
 * To all queues or to none: reserves room in each, waiting until the deadline,
 * before anything is published. What was staged there is published, too. After
 * an error, that of the first queue that has no room, nothing was sent. A
 * sender that is killed between the first and the last publish has sent it to
 * some only. (Messages published and not released keep their order in each
 * queue; a queue that nobody empties stops all.)
 */
SLUICE_NODISCARD SLUICE_API int sluice_fanout_send_all(struct sluice_fanout *f, const void *buf,
                                                       size_t len, uint32_t tag,
                                                       sluice_deadline until);

#ifdef __cplusplus
}
#endif

#endif
