/* SPDX-License-Identifier: MIT */
/* boost::lockfree::spsc_queue, capacity fixed at construction. */
#include "boost_common.h"

#ifdef HAVE_BOOST
template <size_t MAX, int MIX> using queue = boost::lockfree::spsc_queue<slot<MAX, MIX>>;

#define QUEUE(r, MAX, MIX)               (static_cast<queue<MAX, MIX> *>(r))

#define PEER                             boost
#define PEER_NAME                        "boost spsc_queue"
#define PEER_OPEN(MAX, MIX)              new queue<MAX, MIX>(bench_slots(MAX))
#define PEER_CLOSE(r, MAX, MIX)          delete QUEUE(r, MAX, MIX)
#define PEER_PUSH(r, MAX, MIX, msg, len) QUEUE(r, MAX, MIX)->push(as_slot<MAX, MIX>(msg))
#define PEER_POP(r, MAX, MIX, msg)       QUEUE(r, MAX, MIX)->pop(as_slot<MAX, MIX>(msg))
#include "loops.h"
#else
const struct bench_peer bench_peer_boost = {"boost spsc_queue", nullptr, 0};
#endif
