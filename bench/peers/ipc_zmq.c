/* SPDX-License-Identifier: MIT */
/* ZeroMQ, a pair of sockets over ipc://. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench_ipc.h"

#if __has_include(<zmq.h>)
#include <zmq.h>

struct pair {
        char address[64];
        void *context, *socket;
};

static void *start(size_t len)
{
        static unsigned serial;
        struct pair *p = calloc(1, sizeof *p);

        (void)len;
        if (!p)
                bench_die("no memory");
        snprintf(p->address, sizeof p->address, "ipc:///tmp/bench-%ld-%u.zmq", (long)getpid(),
                 serial++);
        return p;
}

static void stop(void *ctx)
{
        struct pair *p = ctx;

        unlink(p->address + sizeof "ipc://" - 1);
        free(p);
}

static void begin(void *ctx, int side)
{
        struct pair *p = ctx;

        p->context = zmq_ctx_new();
        p->socket = zmq_socket(p->context, ZMQ_PAIR);
        if ((side ? zmq_connect : zmq_bind)(p->socket, p->address) != 0)
                bench_die("zmq: %s", zmq_strerror(errno));
}

static void end(void *ctx, int side)
{
        struct pair *p = ctx;

        (void)side;
        zmq_close(p->socket);
        zmq_ctx_term(p->context);
}

static void put(void *ctx, int which, const void *msg, size_t len)
{
        (void)which;
        if (zmq_send(((struct pair *)ctx)->socket, msg, len, 0) < 0)
                bench_die("zmq_send: %s", zmq_strerror(errno));
}

static void get(void *ctx, int which, void *msg, size_t len)
{
        (void)which;
        if (zmq_recv(((struct pair *)ctx)->socket, msg, len, 0) < 0)
                bench_die("zmq_recv: %s", zmq_strerror(errno));
}

const struct bench_ipc bench_ipc_zmq[] = {
        {"ZeroMQ ipc", 0, start, stop, begin, end, put, get, BENCH_NONE}, BENCH_IPC_END};
#else
const struct bench_ipc bench_ipc_zmq[] = {BENCH_IPC_END};
#endif
