/* SPDX-License-Identifier: MIT */
/*
 * Suites roundtrip, stream, batch, burst and paced: rings between two processes, all of 256
 * KiB or the nearest that they can have, every payload written and compared in full.
 *
 *   roundtrip  one message there and one back; a multiple of the yardstick
 *   stream     as many as pass; a multiple of the textbook ring ("index")
 *   batch      a stream in batches of 1 to 64 messages; a multiple of batches
 *              of one of sluice
 *   burst      1 to 64 messages, then a wait for an answer of 8 bytes
 *   paced      a message each 1, 10, 100 us; from its due time to its end, one way
 *   large      (with stream) 1 KiB to 1 MiB, and frames of 4 MiB in pieces; a multiple of plain
 *              memcpy
 *
 * Each also as a ratio to the best contender, and to the best of four models.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "large.h"
#include "paced.h"
#include "rings.h"

enum { SINGLE, BATCHES }; /* leagues */

static const struct bench_contender contenders[] = {
        {&bench_peer_sluice, BENCH_OURS, SINGLE},
        {&bench_peer_sluice_wait, BENCH_OURS, SINGLE},
        {&bench_peer_sluice_copy, BENCH_OURS, SINGLE},
        {&bench_peer_sluice_batch, BENCH_OURS, BATCHES},
        {&bench_peer_sluice_many, BENCH_OURS, BATCHES},
        {&bench_peer_index, BENCH_RIVAL, SINGLE},
        {&bench_peer_flag, BENCH_RIVAL, SINGLE},
        {&bench_peer_flag_tight, BENCH_RIVAL, SINGLE},
        {&bench_peer_record, BENCH_RIVAL, SINGLE},
        {&bench_peer_record_tight, BENCH_RIVAL, SINGLE},
        {&bench_peer_record_wipe, BENCH_RIVAL, SINGLE},
        {&bench_peer_record_wipe_tight, BENCH_RIVAL, SINGLE},
        {&bench_peer_quarter_zero, BENCH_MODEL, SINGLE},
        {&bench_peer_quarter_stamp, BENCH_MODEL, SINGLE},
        {&bench_peer_quarter_touch, BENCH_MODEL, SINGLE},
        {&bench_peer_quarter_clear, BENCH_MODEL, SINGLE},
        {&bench_peer_boost, BENCH_RIVAL, SINGLE},
        {&bench_peer_boost_batch, BENCH_RIVAL, BATCHES},
        {&bench_peer_moodycamel, BENCH_RIVAL, SINGLE},
        {&bench_peer_ck, BENCH_RIVAL, SINGLE},
        {&bench_peer_dpdk, BENCH_RIVAL, SINGLE},
        {&bench_peer_dpdk_zc, BENCH_RIVAL, SINGLE},
        {&bench_peer_dpdk_batch, BENCH_RIVAL, BATCHES},
        {&bench_peer_dpdk_zc_batch, BENCH_RIVAL, BATCHES},
        {&bench_peer_urcu, BENCH_RIVAL, SINGLE},
        {&bench_peer_jack, BENCH_RIVAL, SINGLE},
        {&bench_peer_spa, BENCH_RIVAL, SINGLE},
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

/* ctx: the contender; arg: messages of a burst; arg2: which of its loops. */
static double burst(const struct bench_case *c, uint64_t n)
{
        const struct bench_peer *peer = c->ctx;
        const struct bench_loops *l = &peer->loops[c->arg2], *answers = &peer->loops[0];
        const uint64_t size = (uint64_t)c->arg;
        void *a, *b;
        double ns;

        bench_mine->batch = bench_theirs->batch = size;
        bench_trial_memory(true);
        a = l->open();
        b = answers->open();
        bench_trial_memory(false);
        ns = bench_processes(l->burst, l->answer, a, b, (n + size - 1) / size * size);
        l->close(a);
        answers->close(b);
        return ns;
}

/* ---- Cases -------------------------------------------------------- */

static void add(const struct bench_contender *who, const struct bench_loops *l, bool is_stream)
{
        static char labels[64][8];
        static size_t used;
        struct bench_case c = {.contender = who->peer->name,
                               .metric = is_stream ? "stream" : "roundtrip",
                               .kind = is_stream ? BENCH_RATE : BENCH_LATENCY,
                               .role = who->role,
                               .league = who->league,
                               .base = is_stream && who->peer == &bench_peer_index,
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

static void add_roundtrips(const struct bench_contender *who)
{
        for (size_t j = 0; j < who->peer->count; j++)
                add(who, &who->peer->loops[j], false);
}

static void add_streams(const struct bench_contender *who)
{
        for (size_t j = 0; j < who->peer->count; j++)
                add(who, &who->peer->loops[j], true);
}

enum { COUNTS = 6 };

/* Of a batch, or a burst. */
static const char *const count_labels[COUNTS] = {"1", "4", "8", "16", "32", "64"};

static void add_batch(const char *metric, const char *name, const struct bench_loops *l)
{
        const bool in_place = strcmp(name, "sluice") == 0;
        const bool ours = in_place || strcmp(name, "sluice, in a call") == 0;

        for (int k = 0; k < COUNTS; k++) {
                const struct bench_case c = {.contender = name,
                                             .metric = metric,
                                             .label = count_labels[k],
                                             .x = atof(count_labels[k]),
                                             .bytes = (double)l->max,
                                             .kind = BENCH_RATE,
                                             .role = ours ? BENCH_OURS : BENCH_RIVAL,
                                             .base = in_place && k == 0,
                                             .across = true,
                                             .trial = stream,
                                             .ctx = l,
                                             .arg = atol(count_labels[k])};

                (void)bench_add(&c);
        }
}

/* The name that tables have for a contender with batches; NULL: none. */
static const char *batch_name(const struct bench_peer *peer)
{
        return peer == &bench_peer_sluice_batch    ? "sluice"
               : peer == &bench_peer_sluice_many   ? "sluice, in a call"
               : peer == &bench_peer_dpdk_zc_batch ? "rte_ring in place"
               : peer == &bench_peer_dpdk_batch    ? "rte_ring"
               : peer == &bench_peer_boost_batch   ? "boost spsc_queue"
                                                   : NULL;
}

static void add_batches(const struct bench_contender *who)
{
        static const struct {
                size_t len;
                const char *metric;
        } sizes[] = {
                {8, "batch, 8 B"}, {24, "batch, 24 B"}, {56, "batch, 56 B"}, {248, "batch, 248 B"}};
        const char *name = batch_name(who->peer);

        for (size_t j = 0; name && j < who->peer->count; j++)
                for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
                        if (who->peer->loops[j].max == sizes[k].len)
                                add_batch(sizes[k].metric, name, &who->peer->loops[j]);
}

static void add_bursts_of(const struct bench_contender *who, const char *metric, size_t j)
{
        for (int k = 0; k < COUNTS; k++) {
                const struct bench_case c = {.contender = who->peer->name,
                                             .metric = metric,
                                             .label = count_labels[k],
                                             .x = atof(count_labels[k]),
                                             .bytes = (double)who->peer->loops[j].max,
                                             .kind = BENCH_RATE,
                                             .role = who->role,
                                             .league = who->league,
                                             .trial = burst,
                                             .ctx = who->peer,
                                             .arg = atol(count_labels[k]),
                                             .arg2 = (long)j};

                if (c.arg != 8)
                        (void)bench_add(&c);
        }
}

static void add_bursts(const struct bench_contender *who)
{
        static const struct {
                size_t len;
                const char *metric;
        } sizes[] = {{8, "burst, 8 B"},     {56, "burst, 56 B"},     {120, "burst, 120 B"},
                     {248, "burst, 248 B"}, {1016, "burst, 1016 B"}, {4088, "burst, 4088 B"}};

        for (size_t j = 0; j < who->peer->count; j++)
                for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
                        if (who->peer->loops[j].max == sizes[k].len && who->peer->loops[j].burst)
                                add_bursts_of(who, sizes[k].metric, j);
}

static const struct suite {
        const char *name;
        double trial_ns;
        void (*add)(const struct bench_contender *who);
} suites[] = {{"roundtrip", 2e6, add_roundtrips},
              {"stream", 3e6, add_streams},
              {"batch", 3e6, add_batches},
              {"burst", 1.5e6, add_bursts},
              {"paced", 0, bench_paced_add}};

static const struct suite *find_suite(const char *name)
{
        for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
                if (strcmp(suites[i].name, name) == 0)
                        return &suites[i];
        bench_die("no suite '%s' here", name);
}

int main(int argc, char **argv)
{
        const struct suite *suite;

        bench_begin(argc, argv, "roundtrip", 60);
        suite = find_suite(bench_options.suite);
        for (size_t i = 0; i < sizeof contenders / sizeof *contenders; i++) {
                if (contenders[i].peer->count == 0)
                        bench_note("not installed: %s\n", contenders[i].peer->name);
                suite->add(&contenders[i]);
        }
        if (suite->add == add_streams)
                bench_large_add();
        if (suite->add == bench_paced_add)
                bench_paced_run(bench_options.seconds);
        else
                bench_run(bench_options.seconds, suite->trial_ns);
        bench_end();
        return 0;
}
