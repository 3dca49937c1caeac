/* SPDX-License-Identifier: MIT */
/* boost::lockfree::queue, all nodes allocated in advance. */
#if __has_include(<boost/lockfree/queue.hpp>)
#include <boost/lockfree/queue.hpp>
#define HAVE_BOOST 1
#endif
#include "many.h"
#include "slot.h"

#ifdef HAVE_BOOST
using message = slot<MANY_LEN, 0>;
using queue = boost::lockfree::queue<message>;

#define QUEUE(q)           (static_cast<queue *>(q))

#define MANY               many_boost
#define MANY_NAME          "boost queue"
#define MANY_OPEN(n)       ((void)(n), new queue(MANY_SLOTS))
#define MANY_CLOSE(q)      delete QUEUE(q)
#define MANY_PUSH(q, k, m) ((void)(k), QUEUE(q)->bounded_push(as_slot<MANY_LEN, 0>(m)))
#define MANY_POP(q, m)     QUEUE(q)->pop(as_slot<MANY_LEN, 0>(m))
#include "many_loops.h"
#else
const struct many_peer many_boost = {"boost queue", nullptr, nullptr, nullptr, nullptr};
#endif
