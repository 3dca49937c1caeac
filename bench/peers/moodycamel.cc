/* SPDX-License-Identifier: MIT */
/* moodycamel::ReaderWriterQueue, all blocks allocated in advance. */
#if __has_include(<readerwriterqueue/readerwriterqueue.h>)
#include <readerwriterqueue/readerwriterqueue.h>
#define HAVE_MOODYCAMEL 1
#endif
#include "slot.h"

#ifdef HAVE_MOODYCAMEL
template <size_t MAX, int MIX> using queue = moodycamel::ReaderWriterQueue<slot<MAX, MIX>>;

#define QUEUE(r, MAX, MIX)               (static_cast<queue<MAX, MIX> *>(r))

#define PEER                             moodycamel
#define PEER_NAME                        "readerwriterqueue"
#define PEER_OPEN(MAX, MIX)              new queue<MAX, MIX>(bench_slots(MAX))
#define PEER_CLOSE(r, MAX, MIX)          delete QUEUE(r, MAX, MIX)
#define PEER_PUSH(r, MAX, MIX, msg, len) QUEUE(r, MAX, MIX)->try_enqueue(as_slot<MAX, MIX>(msg))
#define PEER_POP(r, MAX, MIX, msg)       QUEUE(r, MAX, MIX)->try_dequeue(as_slot<MAX, MIX>(msg))
#include "loops.h"
#else
const struct bench_peer bench_peer_moodycamel = {"readerwriterqueue", nullptr, 0};
#endif
