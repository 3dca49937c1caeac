/* SPDX-License-Identifier: MIT */
/*
 * libqb: its ring buffer with its semaphore, and its client and server.
 *
 * The ring has no wait for room: a full one is tried again after giving the
 * processor away; so is a request that the server has no room for. The
 * server, side 1, is a qb_loop in its library's default manner; a request is
 * looked at where it is handed over, and answered from there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_ipc.h"

#if __has_include(<qb/qbrb.h>) && __has_include(<qb/qbipcs.h>)
#include <qb/qbipcc.h>
#include <qb/qbipcs.h>
#include <qb/qbloop.h>
#include <qb/qbrb.h>

enum { RING_BYTES = 256 * 1024 };

/* ---- The ring ----------------------------------------------------- */

struct rings {
        qb_ringbuffer_t *r[2];
};

static void *start(size_t len)
{
        struct rings *q = malloc(sizeof *q);

        (void)len;
        if (!q)
                bench_die("no memory");
        for (int i = 0; i < 2; i++) {
                char name[64];

                snprintf(name, sizeof name, "bench-%ld-%d", (long)getpid(), i);
                q->r[i] = qb_rb_open(name, RING_BYTES,
                                     QB_RB_FLAG_CREATE | QB_RB_FLAG_SHARED_PROCESS, 0);
                if (!q->r[i])
                        return NULL;
        }
        return q;
}

static void stop(void *ctx)
{
        struct rings *q = ctx;

        qb_rb_close(q->r[0]);
        qb_rb_close(q->r[1]);
        free(q);
}

static void put(void *ctx, int which, const void *msg, size_t len)
{
        qb_ringbuffer_t *r = ((struct rings *)ctx)->r[which];

        while (qb_rb_chunk_write(r, msg, len) < 0)
                sched_yield();
}

static void get(void *ctx, int which, void *msg, size_t len)
{
        qb_ringbuffer_t *r = ((struct rings *)ctx)->r[which];

        while (qb_rb_chunk_read(r, msg, len, -1) < 0)
                ;
}

/* ---- Client and server -------------------------------------------- */

enum {
        REQUEST = sizeof(struct qb_ipc_request_header),
        RESPONSE = sizeof(struct qb_ipc_response_header)
};

_Static_assert((int)RESPONSE <= (int)BENCH_IPC_FRONT && (int)REQUEST <= (int)BENCH_IPC_FRONT,
               "headers fit in front of a message");

struct pair {
        char name[32];
        enum qb_ipc_type type;
        size_t len;
        qb_ipcc_connection_t *client;
        qb_ipcs_service_t *service;
        qb_ipcs_connection_t *to; /* the server's end */
        qb_loop_t *loop;
        bench_ipc_take *take;
        void *arg;
};

/* The library's callbacks know only the connection, or nothing. */
static struct pair *serving;

static void *pair_new(size_t len, enum qb_ipc_type type)
{
        static unsigned serial;
        struct pair *p = calloc(1, sizeof *p);

        if (!p)
                bench_die("no memory");
        snprintf(p->name, sizeof p->name, "bench-%ld-%u", (long)getpid(), serial++);
        p->type = type;
        p->len = len;
        return p;
}

static void *pair_shm(size_t len)
{
        return pair_new(len, QB_IPC_SHM);
}

static void *pair_socket(size_t len)
{
        return pair_new(len, QB_IPC_SOCKET);
}

static int32_t loop_job(enum qb_loop_priority p, void *data, qb_loop_job_dispatch_fn fn)
{
        return qb_loop_job_add(serving->loop, p, data, fn);
}

static int32_t loop_add(enum qb_loop_priority p, int32_t fd, int32_t events, void *data,
                        qb_ipcs_dispatch_fn_t fn)
{
        return qb_loop_poll_add(serving->loop, p, fd, events, data, fn);
}

static int32_t loop_mod(enum qb_loop_priority p, int32_t fd, int32_t events, void *data,
                        qb_ipcs_dispatch_fn_t fn)
{
        return qb_loop_poll_mod(serving->loop, p, fd, events, data, fn);
}

static int32_t loop_del(int32_t fd)
{
        return qb_loop_poll_del(serving->loop, fd);
}

static int32_t accepts(qb_ipcs_connection_t *c, uid_t uid, gid_t gid)
{
        (void)c;
        (void)uid;
        (void)gid;
        return 0;
}

static void joined(qb_ipcs_connection_t *c)
{
        serving->to = c;
}

static int32_t request(qb_ipcs_connection_t *c, void *data, size_t size)
{
        struct pair *p = serving;

        (void)c;
        if (size != REQUEST + p->len)
                bench_die("libqb: a request of %zu bytes", size);
        if (!p->take(p->arg, (const char *)data + REQUEST))
                qb_loop_stop(p->loop);
        return 0;
}

static int32_t left(qb_ipcs_connection_t *c)
{
        (void)c;
        return 0;
}

static void gone(qb_ipcs_connection_t *c)
{
        (void)c;
        qb_loop_stop(serving->loop);
}

static void server_begin(struct pair *p)
{
        static struct qb_ipcs_service_handlers service = {accepts, joined, request, left, gone};
        static struct qb_ipcs_poll_handlers poll = {loop_job, loop_add, loop_mod, loop_del};

        serving = p;
        p->loop = qb_loop_create();
        p->service = qb_ipcs_create(p->name, 0, p->type, &service);
        if (!p->loop || !p->service)
                bench_die("libqb: no server");
        qb_ipcs_enforce_buffer_size(p->service, RING_BYTES);
        qb_ipcs_request_rate_limit(p->service, QB_IPCS_RATE_FAST);
        qb_ipcs_poll_handlers_set(p->service, &poll);
        if (qb_ipcs_run(p->service) != 0)
                bench_die("libqb: no server");
}

static void pair_begin(void *ctx, int side)
{
        struct pair *p = ctx;

        if (side == 1) {
                server_begin(p);
                return;
        }
        while (!(p->client = qb_ipcc_connect(p->name, RING_BYTES)))
                usleep(100); /* no server yet */
}

/* The server stays until the client has disconnected and its files are removed. */
static void pair_end(void *ctx, int side)
{
        struct pair *p = ctx;

        if (side == 0) {
                qb_ipcc_disconnect(p->client);
                return;
        }
        qb_loop_run(p->loop);
        qb_ipcs_destroy(p->service);
        qb_loop_destroy(p->loop);
}

static void pair_put(void *ctx, int which, const void *msg, size_t len)
{
        struct pair *p = ctx;
        ssize_t r;

        if (which == 0) {
                struct qb_ipc_request_header *h = (void *)((const char *)msg - REQUEST);
                *h = (struct qb_ipc_request_header){QB_IPC_MSG_USER_START, (int)(REQUEST + len)};
                while ((r = qb_ipcc_send(p->client, h, REQUEST + len)) == -EAGAIN)
                        sched_yield();
        } else {
                struct qb_ipc_response_header *h = (void *)((const char *)msg - RESPONSE);
                *h = (struct qb_ipc_response_header){QB_IPC_MSG_USER_START, (int)(RESPONSE + len),
                                                     0};
                while ((r = qb_ipcs_response_send(p->to, h, RESPONSE + len)) == -EAGAIN)
                        sched_yield();
        }
        if (r < 0)
                bench_die("libqb: send: %s", strerror((int)-r));
}

static void pair_get(void *ctx, int which, void *msg, size_t len)
{
        struct pair *p = ctx;
        ssize_t r;

        (void)which;
        do
                r = qb_ipcc_recv(p->client, (char *)msg - RESPONSE, RESPONSE + len, -1);
        while (r == -EAGAIN || r == -ETIMEDOUT);
        if (r != (ssize_t)(RESPONSE + len))
                bench_die("libqb: receive: %s", r < 0 ? strerror((int)-r) : "another length");
}

static void pair_serve(void *ctx, bench_ipc_take *take, void *arg)
{
        struct pair *p = ctx;

        p->take = take;
        p->arg = arg;
        qb_loop_run(p->loop);
}

const struct bench_ipc bench_ipc_libqb[] = {
        {"libqb ring", 0, start, stop, NULL, NULL, put, get, NULL},
        {"libqb server, shm", 0, pair_shm, free, pair_begin, pair_end, pair_put, pair_get,
         pair_serve},
        {"libqb server, socket", 0, pair_socket, free, pair_begin, pair_end, pair_put, pair_get,
         pair_serve},
        BENCH_IPC_END};
#else
const struct bench_ipc bench_ipc_libqb[] = {BENCH_IPC_END};
#endif
