/* SPDX-License-Identifier: MIT */
/*
 * The least that each of the kernel's ways to wake somebody can do. Messages
 * lie in an array that is never used twice, so nothing is spent on room.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench_ipc.h"

enum { LEN = 64 };

struct bare {
        MEASURE_APART _Atomic uint32_t count[2][32]; /* [which][0], 128 bytes each */
        MEASURE_APART uint64_t sent[2][16];
        MEASURE_APART uint64_t taken[2][16];
        MEASURE_APART uint64_t received[2][16]; /* eventfd: counted, not yet used */
        MEASURE_APART int fd[2][2];
        MEASURE_APART unsigned char slots[2][BENCH_BARE_MESSAGES + 64][LEN];
};

static void *bare_open(size_t len)
{
        (void)len;
        return bench_shared(sizeof(struct bare));
}

static void bare_close(void *ctx)
{
        bench_unshare(ctx, sizeof(struct bare));
}

static void store(struct bare *b, int which, const void *msg, size_t len)
{
        memcpy(b->slots[which][b->sent[which][0]++], msg, len);
}

static void fetch(struct bare *b, int which, void *msg, size_t len)
{
        memcpy(msg, b->slots[which][b->taken[which][0]++], len);
}

/* ---- futex -------------------------------------------------------- */

static void futex_send(void *ctx, int which, const void *msg, size_t len)
{
        struct bare *b = ctx;

        store(b, which, msg, len);
        atomic_store_explicit(&b->count[which][0], (uint32_t)b->sent[which][0],
                              memory_order_release);
        syscall(SYS_futex, &b->count[which][0], FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void futex_recv(void *ctx, int which, void *msg, size_t len)
{
        struct bare *b = ctx;
        const uint32_t seen = (uint32_t)b->taken[which][0];

        while (atomic_load_explicit(&b->count[which][0], memory_order_acquire) == seen)
                syscall(SYS_futex, &b->count[which][0], FUTEX_WAIT, seen, NULL, NULL, 0);
        fetch(b, which, msg, len);
}

/* ---- eventfd ------------------------------------------------------ */

static void *event_open(size_t len)
{
        struct bare *b = bare_open(len);

        b->fd[0][0] = eventfd(0, 0);
        b->fd[1][0] = eventfd(0, 0);
        return b;
}

static void event_close(void *ctx)
{
        struct bare *b = ctx;

        close(b->fd[0][0]);
        close(b->fd[1][0]);
        bare_close(ctx);
}

static void event_send(void *ctx, int which, const void *msg, size_t len)
{
        struct bare *b = ctx;
        const uint64_t one = 1;

        store(b, which, msg, len);
        if (write(b->fd[which][0], &one, sizeof one) != sizeof one)
                bench_die("eventfd: %s", strerror(errno));
}

static void event_recv(void *ctx, int which, void *msg, size_t len)
{
        struct bare *b = ctx;

        if (b->received[which][0] == 0 && read(b->fd[which][0], &b->received[which][0], 8) != 8)
                bench_die("eventfd: %s", strerror(errno));
        b->received[which][0]--;
        fetch(b, which, msg, len);
}

/* ---- pipe and FIFO: the message itself goes through --------------- */

static void *pipe_open(size_t len)
{
        struct bare *b = bare_open(len);

        if (pipe(b->fd[0]) != 0 || pipe(b->fd[1]) != 0)
                bench_die("pipe: %s", strerror(errno));
        return b;
}

static void *fifo_open(size_t len)
{
        struct bare *b = bare_open(len);
        char directory[] = "/tmp/bench-XXXXXX", path[64];

        if (!mkdtemp(directory))
                bench_die("mkdtemp: %s", strerror(errno));
        snprintf(path, sizeof path, "%s/fifo", directory);
        for (int i = 0; i < 2; i++) {
                if (mkfifo(path, 0600) != 0)
                        bench_die("mkfifo: %s", strerror(errno));
                b->fd[i][0] = open(path, O_RDONLY | O_NONBLOCK);
                b->fd[i][1] = open(path, O_WRONLY);
                (void)fcntl(b->fd[i][0], F_SETFL, 0);
                unlink(path);
        }
        rmdir(directory);
        return b;
}

static void pipe_close(void *ctx)
{
        struct bare *b = ctx;

        for (int i = 0; i < 4; i++)
                close(b->fd[i / 2][i % 2]);
        bare_close(ctx);
}

static void pipe_send(void *ctx, int which, const void *msg, size_t len)
{
        if (write(((struct bare *)ctx)->fd[which][1], msg, len) != (ssize_t)len)
                bench_die("pipe: %s", strerror(errno));
}

static void pipe_recv(void *ctx, int which, void *msg, size_t len)
{
        if (read(((struct bare *)ctx)->fd[which][0], msg, len) != (ssize_t)len)
                bench_die("pipe: %s", strerror(errno));
}

const struct bench_ipc bench_ipc_bare[] = {
        {"bare futex", LEN, bare_open, bare_close, NULL, NULL, futex_send, futex_recv, NULL},
        {"bare FIFO", LEN, fifo_open, pipe_close, NULL, NULL, pipe_send, pipe_recv, NULL},
        {"bare pipe", LEN, pipe_open, pipe_close, NULL, NULL, pipe_send, pipe_recv, NULL},
        {"bare eventfd", LEN, event_open, event_close, NULL, NULL, event_send, event_recv, NULL},
        BENCH_IPC_END};
