/* SPDX-License-Identifier: MIT */
/*
 * Suite many: one thread receives from many.
 *
 *   n producers        1, 2, 8 threads send to one: a group of rings, beside
 *                      queues that take several producers, and what sleeps in
 *                      the kernel. All have 256 KiB, the rings together. Of
 *                      2 and 8, a group is also served by the calls for several
 *                      threads: by one, and by a second one where the producers are
 *   members, ... busy  1 to 1,024 rings of which one, half, all have messages,
 *                      sent in turn by one thread; a multiple of one ring by
 *                      itself
 *   idle ...           one busy ring, and up to 10,000 members that never have a
 *                      message: rings in memory, and named queues
 *   first message      of a member that is parked, to a thread that sleeps
 *
 * The receiver has a processor for itself; producers share the others, where they
 * are more. A trial's memory is anew somewhere else, and has had a first lap, but
 * that of idle members lasts for the run. What is measured of members is the
 * state that lasts: before, traffic has shown the group which of them are idle.
 */
#define _GNU_SOURCE
#include "many.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY  ((size_t)16 * 1024) /* of a member */
#define SETTLE_NS 3e7

/* ---- Producers ---------------------------------------------------- */

/* arg: producers; arg2: others of the crowd, which serve as the caller does. */
static double producers_trial(const struct bench_case *c, uint64_t n)
{
        const struct many_peer *peer = c->ctx;
        const unsigned producers = (unsigned)c->arg, crowd = producers + (unsigned)c->arg2;
        void *const q = peer->open(producers);
        const double ns = bench_crowd(peer->get, peer->put, crowd, q, n / producers * crowd);

        peer->close(q);
        return ns * crowd / producers;
}

static const struct {
        const struct many_peer *peer;
        enum bench_role role;
        long helpers;
        bool several; /* not for one producer */
} peers[] = {{&many_group, BENCH_OURS, 0, false},   {&many_runs, BENCH_OURS, 0, false},
             {&many_shared, BENCH_OURS, 0, true},   {&many_shared_by_two, BENCH_OURS, 1, true},
             {&many_loop, BENCH_ALONE, 0, false},   {&many_moodycamel, BENCH_RIVAL, 0, false},
             {&many_dpdk, BENCH_RIVAL, 0, false},   {&many_dpdk_rts, BENCH_RIVAL, 0, false},
             {&many_boost, BENCH_RIVAL, 0, false},  {&many_pipe, BENCH_RIVAL, 0, false},
             {&many_eventfd, BENCH_RIVAL, 0, false}};

static void add_producers(void)
{
        static const char *const labels[] = {"1", "2", "8"};

        for (size_t i = 0; i < sizeof peers / sizeof *peers; i++) {
                struct bench_case c = {.contender = peers[i].peer->name,
                                       .metric = "producers",
                                       .bytes = MANY_LEN,
                                       .kind = BENCH_RATE,
                                       .role = peers[i].role,
                                       .base = peers[i].peer == &many_group,
                                       .trial = producers_trial,
                                       .ctx = peers[i].peer,
                                       .arg2 = peers[i].helpers};

                if (!peers[i].peer->open) {
                        bench_note("not installed: %s\n", peers[i].peer->name);
                        continue;
                }
                for (int k = peers[i].several; k < 3; k++) {
                        c.label = labels[k];
                        c.arg = atol(labels[k]);
                        c.x = (double)c.arg;
                        (void)bench_add(&c);
                }
        }
}

/* ---- Members ------------------------------------------------------ */

/* arg: members; arg2: busy ones. */
static double members_trial(const struct bench_case *c, uint64_t n)
{
        const enum many_reader reader = *(const enum many_reader *)c->ctx;
        struct many_rings *const r = many_rings_open((unsigned)c->arg, CAPACITY, reader, false);
        double ns;

        r->busy = (unsigned)c->arg2;
        many_settle(r, SETTLE_NS);
        ns = bench_threads(many_get, many_put_in_turn, r, NULL, n);
        many_rings_close(r);
        return ns;
}

static void add_members_of(const char *metric, int share)
{
        static const char *const labels[] = {"1", "2", "8", "64", "1024"};
        static const enum many_reader group = MANY_GROUP, loop = MANY_LOOP;
        struct bench_case c = {.metric = metric,
                               .bytes = MANY_LEN,
                               .kind = BENCH_COST,
                               .across = true,
                               .trial = members_trial};

        for (size_t k = 0; k < sizeof labels / sizeof *labels; k++) {
                c.label = labels[k];
                c.arg = atol(labels[k]);
                c.arg2 = share ? c.arg / share : 1;
                c.x = (double)c.arg;
                if (c.arg2 == 0)
                        continue;
                c.base = false;
                c.contender = "sluice group";
                c.ctx = &group;
                (void)bench_add(&c);
                c.base = c.arg == 1 || (share == 2 && c.arg == 2);
                c.contender = c.arg == 1 || c.base ? "one ring" : "sluice, loop over rings";
                c.ctx = &loop;
                (void)bench_add(&c);
        }
}

static void add_members(void)
{
        add_members_of("members, one busy", 0);
        add_members_of("members, half busy", 2);
        add_members_of("members, all busy", 1);
}

static void remove_all(void)
{
        many_first_end();
        many_idle_end();
}

int main(int argc, char **argv)
{
        many_limits();
        atexit(remove_all);
        bench_begin(argc, argv, "many", 60);
        add_producers();
        add_members();
        many_idle_add();
        many_first_add();
        bench_run(bench_options.seconds, 4e6);
        bench_end();
        return 0;
}
