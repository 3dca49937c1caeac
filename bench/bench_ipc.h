/* SPDX-License-Identifier: MIT */
#ifndef BENCH_IPC_H
#define BENCH_IPC_H
/*
 * The contenders of the suite ipc: a pair of channels between two processes,
 * one in each direction. open is called before the fork; begin in each
 * process after it, with its side (0 here, 1 there); send and recv move one
 * message whole, or wait for it by sleeping; `which` is 0 from side 0 to side
 * 1, and 1 back. All of them sleep: a process that polls is another suite.
 *
 * BENCH_IPC_FRONT bytes in front of a message belong to send and recv: a
 * header that has to stand there costs no copy. A contender whose receiver is
 * called back has `serve` in place of recv on side 1: it hands each message
 * to `take`, where it lies, until that returns false.
 */
#include "harness.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BENCH_IPC_FRONT = 64 };

typedef bool bench_ipc_take(void *arg, const void *msg);

struct bench_ipc {
        const char *name;
        size_t most;               /* bytes of the longest message; 0: any */
        void *(*open)(size_t len); /* NULL: not possible here */
        void (*close)(void *ctx);
        void (*begin)(void *ctx, int side); /* NULL: nothing to do */
        void (*end)(void *ctx, int side);   /* NULL: nothing to do */
        void (*send)(void *ctx, int which, const void *msg, size_t len);
        void (*recv)(void *ctx, int which, void *msg, size_t len);
        void (*serve)(void *ctx, bench_ipc_take *take, void *arg); /* NULL: recv */
};

#ifdef __cplusplus
#define BENCH_NONE nullptr
#else
#define BENCH_NONE NULL
#endif
#define BENCH_IPC_END                                                                      \
        {                                                                                  \
                BENCH_NONE, 0, BENCH_NONE, BENCH_NONE, BENCH_NONE, BENCH_NONE, BENCH_NONE, \
                        BENCH_NONE, BENCH_NONE                                             \
        }

/* Terminated by an entry without a name. */
extern const struct bench_ipc bench_ipc_kernel[], bench_ipc_shm[], bench_ipc_sluice[];
extern const struct bench_ipc bench_ipc_boost[], bench_ipc_libqb[], bench_ipc_zmq[];
extern const struct bench_ipc bench_ipc_nng[], bench_ipc_iceoryx[];

/* ---- ipc_trial.c: ns per operation; negative: not possible here, or failed ---- */

double bench_ipc_roundtrip(const struct bench_ipc *ipc, size_t len, uint64_t n);
double bench_ipc_stream(const struct bench_ipc *ipc, size_t len, uint64_t n);

/* Of the suite wakeup: without any flow control, for at most
 * BENCH_BARE_MESSAGES timed messages of at most 64 bytes; and sluice in all ways. */
enum { BENCH_BARE_MESSAGES = 16384 };
extern const struct bench_ipc bench_ipc_bare[], bench_ipc_sluice_wakes[];

#ifdef __cplusplus
}
#endif
#endif
