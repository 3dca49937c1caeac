/* SPDX-License-Identifier: MIT */
/* libqb's ring buffer with its semaphore. It has no wait for room: a full
 * ring is tried again after giving the processor away. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_ipc.h"

#if __has_include(<qb/qbrb.h>)
#include <qb/qbrb.h>

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
                q->r[i] = qb_rb_open(name, 256 * 1024,
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

const struct bench_ipc bench_ipc_libqb[] = {
        {"libqb ring", 0, start, stop, NULL, NULL, put, get, BENCH_NONE}, BENCH_IPC_END};
#else
const struct bench_ipc bench_ipc_libqb[] = {BENCH_IPC_END};
#endif
