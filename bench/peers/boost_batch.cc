/* SPDX-License-Identifier: MIT */
/* boost::lockfree::spsc_queue, several messages in a call. */
#include "boost_common.h"

#ifdef HAVE_BOOST
template <size_t MAX> using queue = boost::lockfree::spsc_queue<slot<MAX, 0>>;

#define QUEUE(r, MAX)           (static_cast<queue<MAX> *>(r))

#define PEER                    boost_batch
#define PEER_NAME               "boost, batches of 16"
#define PEER_OPEN(MAX, MIX)     new queue<MAX>(bench_slots(MAX))
#define PEER_CLOSE(r, MAX, MIX) delete QUEUE(r, MAX)
#define PEER_PUSH_N(r, MAX, msgs, count) \
        QUEUE(r, MAX)->push(&as_slot<MAX, 0>(static_cast<const void *>(msgs)), count)
#define PEER_POP_N(r, MAX, msgs, count) \
        QUEUE(r, MAX)->pop(&as_slot<MAX, 0>(static_cast<void *>(msgs)), count)
#include "loops.h"
#else
const struct bench_peer bench_peer_boost_batch = {"boost, batches of 16", nullptr, 0};
#endif
