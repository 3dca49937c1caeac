/* SPDX-License-Identifier: MIT */
/* nng, a pair of sockets over ipc://. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

#include "bench_ipc.h"

#if __has_include(<nng/protocol/pair0/pair.h>)
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>

struct pair {
        char address[64];
        int *done; /* shared: side 0 has all that it waited for */
        nng_socket socket;
};

static void *start(size_t len)
{
        static unsigned serial;
        struct pair *p = calloc(1, sizeof *p);

        (void)len;
        if (!p)
                bench_die("no memory");
        snprintf(p->address, sizeof p->address, "ipc:///tmp/bench-%ld-%u.nng", (long)getpid(),
                 serial++);
        p->done = bench_shared(sizeof *p->done);
        return p;
}

static void stop(void *ctx)
{
        struct pair *p = ctx;

        unlink(p->address + sizeof "ipc://" - 1);
        bench_unshare(p->done, sizeof *p->done);
        free(p);
}

static void begin(void *ctx, int side)
{
        struct pair *p = ctx;
        int r = nng_pair0_open(&p->socket);

        nng_socket_set_size(p->socket, NNG_OPT_RECVMAXSZ, 0);
        if (r == 0 && side == 0)
                r = nng_listen(p->socket, p->address, NULL, 0);
        else if (r == 0)
                while ((r = nng_dial(p->socket, p->address, NULL, 0)) == NNG_ECONNREFUSED)
                        usleep(100);
        if (r != 0)
                bench_die("nng: %s", nng_strerror(r));
}

/* Closing forgets what is still on its way: side 1 waits. */
static void end(void *ctx, int side)
{
        struct pair *p = ctx;

        if (side == 0)
                __atomic_store_n(p->done, 1, __ATOMIC_RELEASE);
        while (!__atomic_load_n(p->done, __ATOMIC_ACQUIRE))
                usleep(100);
        nng_close(p->socket);
}

static void put(void *ctx, int which, const void *msg, size_t len)
{
        /* The prototype takes a pointer to what it only reads. */
        const int r = nng_send(((struct pair *)ctx)->socket, (void *)(uintptr_t)msg, len, 0);

        (void)which;
        if (r != 0)
                bench_die("nng_send: %s", nng_strerror(r));
}

static void get(void *ctx, int which, void *msg, size_t len)
{
        size_t got = len;
        const int r = nng_recv(((struct pair *)ctx)->socket, msg, &got, 0);

        (void)which;
        if (r != 0 || got != len)
                bench_die("nng_recv: %s", nng_strerror(r));
}

const struct bench_ipc bench_ipc_nng[] = {
        {"nng ipc", 0, start, stop, begin, end, put, get, BENCH_NONE}, BENCH_IPC_END};
#else
const struct bench_ipc bench_ipc_nng[] = {BENCH_IPC_END};
#endif
