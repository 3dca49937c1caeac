/* SPDX-License-Identifier: MIT */
/* boost::interprocess::message_queue, 256 KiB of messages. */
#include <cstdlib>
#include <cstdio>
#include <unistd.h>

#include "bench_ipc.h"

#if __has_include(<boost/interprocess/ipc/message_queue.hpp>)
#include <boost/interprocess/ipc/message_queue.hpp>

using boost::interprocess::message_queue;

struct queues {
        message_queue *q[2];
};

static void *start(size_t len)
{
        auto *q = new queues;

        for (int i = 0; i < 2; i++) {
                char name[64];

                std::snprintf(name, sizeof name, "bench-%ld-%d", static_cast<long>(getpid()), i);
                message_queue::remove(name);
                q->q[i] = new message_queue(boost::interprocess::create_only, name,
                                            256 * 1024 / len, len);
                message_queue::remove(name);
        }
        return q;
}

static void stop(void *ctx)
{
        auto *q = static_cast<queues *>(ctx);

        delete q->q[0];
        delete q->q[1];
        delete q;
}

static void put(void *ctx, int which, const void *msg, size_t len)
{
        static_cast<queues *>(ctx)->q[which]->send(msg, len, 0);
}

static void get(void *ctx, int which, void *msg, size_t len)
{
        message_queue::size_type got;
        unsigned priority;

        static_cast<queues *>(ctx)->q[which]->receive(msg, len, got, priority);
}

const struct bench_ipc bench_ipc_boost[] = {
        {"boost message_queue", 0, start, stop, nullptr, nullptr, put, get, BENCH_NONE},
        BENCH_IPC_END};
#else
const struct bench_ipc bench_ipc_boost[] = {BENCH_IPC_END};
#endif
