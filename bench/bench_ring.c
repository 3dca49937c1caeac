/* SPDX-License-Identifier: MIT */
/*
 * Suites roundtrip, stream and batch: rings between two processes, all of 256 KiB or
 * the nearest that they can have, every payload written and compared in full.
 *
 *   roundtrip  one message there and one back; a multiple of the yardstick
 *   stream     as many as pass; a multiple of the textbook ring ("index")
 *   batch      a stream in batches of 1 to 64 messages; a multiple of batches
 *              of one of sluice
 *   large      (with stream) 1 KiB to 1 MiB; a multiple of plain memcpy
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "large.h"
#include "rings.h"

static const struct bench_peer *const peers[] = {
        &bench_peer_sluice,      &bench_peer_sluice_copy, &bench_peer_sluice_batch,
        &bench_peer_index,       &bench_peer_flag,        &bench_peer_boost,
        &bench_peer_boost_batch, &bench_peer_moodycamel,  &bench_peer_ck,
        &bench_peer_dpdk,        &bench_peer_dpdk_zc,     &bench_peer_dpdk_batch,
        &bench_peer_urcu,        &bench_peer_jack,        &bench_peer_spa,
};

static double roundtrip(const struct bench_case *c, uint64_t n)
{
        const struct bench_loops *l = c->ctx;
        void *a, *b;
        double ns;

        bench_trial_memory(true);
        a = l->open();
        b = l->open();
        bench_trial_memory(false);
        ns = bench_processes(l->ping, l->pong, a, b, n);
        l->close(a);
        l->close(b);
        return ns;
}

static double stream(const struct bench_case *c, uint64_t n)
{
        const struct bench_loops *l = c->ctx;
        void *a;
        double ns;

        bench_mine->batch = bench_theirs->batch = c->arg ? (uint64_t)c->arg : BENCH_BATCH;
        bench_trial_memory(true);
        a = l->open();
        bench_trial_memory(false);
        ns = bench_processes(l->put, l->get, a, NULL, n);
        l->close(a);
        return ns;
}

static void add(const struct bench_peer *peer, const struct bench_loops *l, bool is_stream)
{
        static char labels[64][8];
        static size_t used;
        struct bench_case c = {.contender = peer->name,
                               .metric = is_stream ? "stream" : "roundtrip",
                               .kind = is_stream ? BENCH_RATE : BENCH_LATENCY,
                               .base = is_stream && peer == &bench_peer_index,
                               .trial = is_stream ? stream : roundtrip,
                               .ctx = l};
        size_t i = 0;
        char label[8];

        if (!is_stream && !l->ping)
                return;
        snprintf(label, sizeof label, l->mix ? "mix" : "%u", (unsigned)l->max);
        while (i < used && strcmp(labels[i], label) != 0)
                i++;
        if (i == used)
                memcpy(labels[used++], label, sizeof label);
        c.label = labels[i];
        c.bytes = l->mix ? bench_mix_mean() : (double)l->max;
        c.x = c.bytes;
        (void)bench_add(&c);
}

static void add_batches(void)
{
        static const struct {
                const char *name;
                const struct bench_peer *peer;
        } lines[] = {{"sluice", &bench_peer_sluice_batch},
                     {"rte_ring in place", &bench_peer_dpdk_zc_batch},
                     {"rte_ring", &bench_peer_dpdk_batch},
                     {"boost spsc_queue", &bench_peer_boost_batch}};
        static const struct {
                size_t len;
                const char *metric;
        } sizes[] = {{8, "batch, 8 B"}, {56, "batch, 56 B"}, {248, "batch, 248 B"}};
        static const char *const labels[] = {"1", "4", "8", "16", "32", "64"};

        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
                for (size_t j = 0; j < lines[i].peer->count; j++)
                        for (size_t k = 0; k < 18; k++) {
                                const struct bench_loops *l = &lines[i].peer->loops[j];
                                const struct bench_case c = {.contender = lines[i].name,
                                                             .metric = sizes[k / 6].metric,
                                                             .label = labels[k % 6],
                                                             .x = atof(labels[k % 6]),
                                                             .bytes = (double)l->max,
                                                             .kind = BENCH_RATE,
                                                             .base = i == 0 && k % 6 == 0,
                                                             .across = true,
                                                             .trial = stream,
                                                             .ctx = l,
                                                             .arg = atol(labels[k % 6])};

                                if (l->max == sizes[k / 6].len)
                                        (void)bench_add(&c);
                        }
}

static void add_sizes(bool is_stream)
{
        for (size_t i = 0; i < sizeof peers / sizeof *peers; i++) {
                if (peers[i]->count == 0)
                        bench_note("not installed: %s\n", peers[i]->name);
                for (size_t j = 0; j < peers[i]->count; j++)
                        add(peers[i], &peers[i]->loops[j], is_stream);
        }
        if (is_stream)
                bench_large_add();
}

int main(int argc, char **argv)
{
        bool is_stream, is_batch;

        bench_begin(argc, argv, "roundtrip", 60);
        is_stream = strcmp(bench_options.suite, "stream") == 0;
        is_batch = strcmp(bench_options.suite, "batch") == 0;
        if (!is_stream && !is_batch && strcmp(bench_options.suite, "roundtrip") != 0)
                bench_die("suites here: roundtrip, stream, batch");
        if (is_batch)
                add_batches();
        else
                add_sizes(is_stream);
        bench_run(bench_options.seconds, is_stream || is_batch ? 3e6 : 2e6);
        bench_end();
        return 0;
}
