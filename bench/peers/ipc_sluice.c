/* SPDX-License-Identifier: MIT */
/* Two named queues of sluice with the default options, copying. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench_ipc.h"
#include "sluice/queue.h"

struct queues {
        char directory[32], name[2][64];
        int wake;
        int64_t spin_ns;
        bool use_epoll;
        int epoll; /* of this process */
        struct sluice_producer p;
        struct sluice_consumer c;
};

static void must(int r, const char *what)
{
        if (r < 0)
                bench_die("sluice: %s: %s", what, sluice_strerror(r));
}

static struct queues *queues_new(int wake, int64_t spin_ns)
{
        struct queues *q = calloc(1, sizeof *q);

        if (!q)
                bench_die("no memory");
        q->wake = wake;
        q->spin_ns = spin_ns;
        strcpy(q->directory, "/tmp/bench-XXXXXX");
        if (!mkdtemp(q->directory))
                bench_die("no directory for a queue");
        for (int i = 0; i < 2; i++) {
                struct sluice_options o = SLUICE_OPTIONS_INIT;

                o.flags = SLUICE_PREFAULT;
                snprintf(q->name[i], sizeof q->name[i], "%s/%d", q->directory, i);
                must(sluice_create(q->name[i], &o), "create");
        }
        return q;
}

static void *open_futex(size_t len)
{
        (void)len;
        return queues_new(SLUICE_WAKE_FUTEX, SLUICE_SPIN_DEFAULT);
}

static void *open_futex_now(size_t len)
{
        (void)len;
        return queues_new(SLUICE_WAKE_FUTEX, SLUICE_SPIN_NONE);
}

static void *open_spin(size_t len)
{
        (void)len;
        return queues_new(SLUICE_WAKE_FUTEX, SLUICE_SPIN_FOREVER);
}

static void *open_fifo(size_t len)
{
        (void)len;
        return queues_new(SLUICE_WAKE_FIFO, SLUICE_SPIN_DEFAULT);
}

static void *open_fifo_now(size_t len)
{
        (void)len;
        return queues_new(SLUICE_WAKE_FIFO, SLUICE_SPIN_NONE);
}

static void *open_epoll(size_t len)
{
        struct queues *q = open_fifo_now(len);

        q->use_epoll = true;
        return q;
}

static void queues_free(void *ctx)
{
        struct queues *q = ctx;

        for (int i = 0; i < 2; i++)
                must(sluice_remove(q->name[i]), "remove");
        rmdir(q->directory);
        free(q);
}

/* Side 0 produces in queue 0 and consumes from queue 1. */
static void begin(void *ctx, int side)
{
        struct queues *q = ctx;
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct epoll_event event = {.events = EPOLLIN};

        o.wake = q->wake;
        o.spin_ns = q->spin_ns;
        o.flags = SLUICE_PREFAULT;
        must(sluice_producer_open(&q->p, q->name[side], &o), "producer");
        must(sluice_consumer_open(&q->c, q->name[1 - side], &o), "consumer");
        if (!q->use_epoll)
                return;
        q->epoll = epoll_create1(0);
        if (epoll_ctl(q->epoll, EPOLL_CTL_ADD, sluice_consumer_fd(&q->c), &event) != 0)
                bench_die("epoll: %s", strerror(errno));
}

static void end(void *ctx, int side)
{
        struct queues *q = ctx;

        (void)side;
        sluice_producer_close(&q->p);
        sluice_consumer_close(&q->c);
}

static void put(void *ctx, int which, const void *msg, size_t len)
{
        (void)which;
        must(sluice_send(&((struct queues *)ctx)->p, msg, len, SLUICE_FOREVER), "send");
}

static void get(void *ctx, int which, void *msg, size_t len)
{
        (void)which;
        must((int)sluice_recv(&((struct queues *)ctx)->c, msg, len, SLUICE_FOREVER), "recv");
}

static void get_epoll(void *ctx, int which, void *msg, size_t len)
{
        struct queues *q = ctx;
        struct epoll_event event;

        (void)which;
        for (;;) {
                const ssize_t r = sluice_recv(&q->c, msg, len, SLUICE_NOW);

                if (r != -EAGAIN) {
                        must((int)r, "recv");
                        return;
                }
                if (sluice_consumer_arm(&q->c) == 0)
                        (void)epoll_wait(q->epoll, &event, 1, -1);
                must(sluice_consumer_disarm(&q->c), "disarm");
        }
}

const struct bench_ipc bench_ipc_sluice[] = {
        {"sluice, futex", 0, open_futex, queues_free, begin, end, put, get, NULL},
        {"sluice, FIFO", 0, open_fifo, queues_free, begin, end, put, get, NULL},
        {"sluice, futex, no spin", 0, open_futex_now, queues_free, begin, end, put, get, NULL},
        BENCH_IPC_END};

const struct bench_ipc bench_ipc_sluice_wakes[] = {
        {"sluice, spin", 0, open_spin, queues_free, begin, end, put, get, NULL},
        {"sluice, futex", 0, open_futex, queues_free, begin, end, put, get, NULL},
        {"sluice, futex, no spin", 0, open_futex_now, queues_free, begin, end, put, get, NULL},
        {"sluice, FIFO", 0, open_fifo, queues_free, begin, end, put, get, NULL},
        {"sluice, FIFO, no spin", 0, open_fifo_now, queues_free, begin, end, put, get, NULL},
        {"sluice, epoll", 0, open_epoll, queues_free, begin, end, put, get_epoll, NULL},
        BENCH_IPC_END};
