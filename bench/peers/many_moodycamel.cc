/* SPDX-License-Identifier: MIT */
/* moodycamel::ConcurrentQueue, a token for each producer and the consumer, all
 * blocks allocated in advance. */
#if __has_include(<concurrentqueue/concurrentqueue.h>)
#include <concurrentqueue/concurrentqueue.h>
#define HAVE_CONCURRENTQUEUE 1
#endif
#include "many.h"
#include "slot.h"

#ifdef HAVE_CONCURRENTQUEUE
#include <vector>

using message = slot<MANY_LEN, 0>;

struct queue {
        moodycamel::ConcurrentQueue<message> q;
        std::vector<moodycamel::ProducerToken> producers;
        moodycamel::ConsumerToken consumer;

        explicit queue(unsigned n) : q(MANY_SLOTS, n, 0), consumer(q)
        {
                for (unsigned k = 0; k < n; k++)
                        producers.emplace_back(q);
        }
};

#define QUEUE(q)           (static_cast<queue *>(q))

#define MANY               many_moodycamel
#define MANY_NAME          "concurrentqueue"
#define MANY_OPEN(n)       new queue(n)
#define MANY_CLOSE(q)      delete QUEUE(q)
#define MANY_PUSH(q, k, m) QUEUE(q)->q.try_enqueue(QUEUE(q)->producers[k], as_slot<MANY_LEN, 0>(m))
#define MANY_POP(q, m)     QUEUE(q)->q.try_dequeue(QUEUE(q)->consumer, as_slot<MANY_LEN, 0>(m))
#include "many_loops.h"
#else
const struct many_peer many_moodycamel = {"concurrentqueue", nullptr, nullptr, nullptr, nullptr};
#endif
