/* SPDX-License-Identifier: MIT */
/*
 * What sleeps in the kernel: one pipe for all producers, which is read in
 * blocks; and an epoll of eventfds, each with a textbook ring, whose producer
 * counts each message there.
 */
#define _GNU_SOURCE
#include "many.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void *alloc(size_t bytes)
{
        void *const mem = calloc(1, bytes);

        if (!mem)
                bench_die("no memory");
        return mem;
}

/* ---- A pipe ------------------------------------------------------- */

static void *pipe_open(unsigned producers)
{
        int *const ends = alloc(2 * sizeof *ends);

        (void)producers;
        if (pipe2(ends, O_CLOEXEC) != 0 || fcntl(ends[1], F_SETPIPE_SZ, 256 * 1024) < 0)
                bench_die("pipe: %s", strerror(errno));
        return ends;
}

static void pipe_close(void *q)
{
        const int *const ends = q;

        close(ends[0]);
        close(ends[1]);
        free(q);
}

static void pipe_put(struct bench_side *s)
{
        const int *const ends = s->a;
        MEASURE_APART unsigned char m[MANY_LEN];

        for (uint64_t i = 0; i < s->n; i++) {
                many_fill(m, s->number, i);
                if (write(ends[1], m, sizeof m) != (ssize_t)sizeof m)
                        bench_die("write: %s", strerror(errno));
        }
}

/* Writes of one message are never divided. */
static void pipe_get(struct bench_side *s)
{
        static struct many_seen seen;
        static unsigned char block[64 * 1024 / MANY_LEN * MANY_LEN];
        const int *const ends = s->a;

        memset(&seen, 0, sizeof seen);
        while (seen.messages < s->n) {
                const ssize_t n = read(ends[0], block, sizeof block);

                if (n <= 0 || n % MANY_LEN != 0)
                        bench_die("read: %zd, %s", n, strerror(errno));
                for (ssize_t at = 0; at < n; at += MANY_LEN)
                        many_check(&seen, block + at, "pipe");
        }
}

const struct many_peer many_pipe = {"pipe", pipe_open, pipe_close, pipe_put, pipe_get};

/* ---- An epoll of eventfds ----------------------------------------- */

struct counted {
        MEASURE_APART _Atomic uint64_t head;
        MEASURE_APART _Atomic uint64_t tail;
        MEASURE_APART int fd;
        uint64_t slots;
        unsigned char *mem;
};

struct counteds {
        int epoll_fd;
        unsigned n;
        struct counted all[BENCH_CROWD];
};

static void *eventfd_open(unsigned producers)
{
        struct counteds *const q = bench_shared(sizeof *q);

        q->n = producers;
        q->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        for (unsigned k = 0; k < producers; k++) {
                struct counted *const c = &q->all[k];
                struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};

                c->slots = MANY_SLOTS / producers;
                c->mem = bench_shared(c->slots * MANY_LEN);
                c->fd = eventfd(0, EFD_CLOEXEC);
                if (c->fd < 0 || epoll_ctl(q->epoll_fd, EPOLL_CTL_ADD, c->fd, &e) != 0)
                        bench_die("eventfd: %s", strerror(errno));
        }
        return q;
}

static void eventfd_close(void *mem)
{
        struct counteds *const q = mem;

        for (unsigned k = 0; k < q->n; k++) {
                close(q->all[k].fd);
                bench_unshare(q->all[k].mem, q->all[k].slots * MANY_LEN);
        }
        close(q->epoll_fd);
        bench_unshare(q, sizeof *q);
}

static void eventfd_put(struct bench_side *s)
{
        struct counted *const c = &((struct counteds *)s->a)->all[s->number];
        const uint64_t one = 1;

        for (uint64_t i = 0; i < s->n; i++) {
                while (i - atomic_load_explicit(&c->head, memory_order_acquire) == c->slots)
                        many_wait(s);
                many_fill(c->mem + i % c->slots * MANY_LEN, s->number, i);
                atomic_store_explicit(&c->tail, i + 1, memory_order_release);
                if (write(c->fd, &one, sizeof one) != (ssize_t)sizeof one)
                        bench_die("eventfd: %s", strerror(errno));
        }
}

static void take_counted(struct counted *c, struct many_seen *seen)
{
        uint64_t n, head = atomic_load_explicit(&c->head, memory_order_relaxed);

        if (read(c->fd, &n, sizeof n) != (ssize_t)sizeof n)
                bench_die("eventfd: %s", strerror(errno));
        (void)atomic_load_explicit(&c->tail, memory_order_acquire);
        for (; n > 0; n--, head++) {
                many_check(seen, c->mem + head % c->slots * MANY_LEN, "epoll of eventfds");
                atomic_store_explicit(&c->head, head + 1, memory_order_release);
        }
}

static void eventfd_get(struct bench_side *s)
{
        static struct many_seen seen;
        const struct counteds *const q = s->a;
        struct epoll_event events[BENCH_CROWD];

        memset(&seen, 0, sizeof seen);
        while (seen.messages < s->n) {
                const int n = epoll_wait(q->epoll_fd, events, BENCH_CROWD, -1);

                for (int i = 0; i < n; i++)
                        take_counted(events[i].data.ptr, &seen);
        }
}

const struct many_peer many_eventfd = {"epoll of eventfds", eventfd_open, eventfd_close,
                                       eventfd_put, eventfd_get};
