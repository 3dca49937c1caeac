/* SPDX-License-Identifier: MIT */
/*
 * Suite ipc: two processes, everything that waits waits by sleeping: sluice
 * after it has spun for a while, as is its default, or at once. Stream and
 * round trip at 64 B, 1 KiB and 64 KiB, payload written and compared in full.
 * Base of the stream: the pipe.
 */
#include "bench_ipc.h"

#include <string.h>

static double trial(const struct bench_case *c, uint64_t n)
{
        return (c->arg2 ? bench_ipc_stream : bench_ipc_roundtrip)(c->ctx, (size_t)c->arg, n);
}

int main(int argc, char **argv)
{
        static const struct bench_ipc *const lists[] = {
                bench_ipc_sluice, bench_ipc_kernel, bench_ipc_shm, bench_ipc_boost,
                bench_ipc_libqb,  bench_ipc_zmq,    bench_ipc_nng, bench_ipc_iceoryx};
        static const struct {
                const char *label;
                long len;
        } sizes[] = {{"64", 64}, {"1 KiB", 1024}, {"64 KiB", 65536}};

        bench_begin(argc, argv, "ipc", 90);
        for (size_t l = 0; l < sizeof lists / sizeof *lists; l++)
                for (const struct bench_ipc *ipc = lists[l]; ipc->name; ipc++)
                        for (int k = 0; k < 6; k++) {
                                const struct bench_case c = {
                                        .contender = ipc->name,
                                        .metric = k % 2 ? "ipc stream" : "ipc roundtrip",
                                        .label = sizes[k / 2].label,
                                        .x = (double)sizes[k / 2].len,
                                        .bytes = (double)sizes[k / 2].len,
                                        .kind = k % 2 ? BENCH_RATE : BENCH_LATENCY,
                                        .base = k % 2 && strcmp(ipc->name, "pipe") == 0,
                                        .trial = trial,
                                        .ctx = ipc,
                                        .arg = sizes[k / 2].len,
                                        .arg2 = k % 2};

                                (void)bench_add(&c);
                        }
        bench_run(bench_options.seconds, 5e6);
        bench_end();
        return 0;
}
