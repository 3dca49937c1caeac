/* SPDX-License-Identifier: MIT */
/*
 * SIGKILL of either side at random moments, a thousand times, each time
 * with a successor that continues from what it finds in the queue. Each
 * side learns the number of its next message from the queue alone; the
 * consumer checks every message against its number, so one that was
 * lost, doubled or cut cannot pass.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "traffic.h"

#define NAME "stress-kill"

struct setting {
        const char *name;
        size_t capacity;
        uint32_t align;
        uint64_t first;
        int wake;
        int64_t spin_ns;
        unsigned kills;
};

static const struct setting settings[] = {
        {"futex, 256 B", 256, 64, UINT64_C(0xffffffffffffff00), 0, SLUICE_SPIN_NONE, 200},
        {"fifo, 256 B", 256, 64, UINT64_C(0xffffff00), 1, SLUICE_SPIN_NONE, 200},
        {"spinning, 64 KiB", 1 << 16, 64, 0, 0, SLUICE_SPIN_FOREVER, 200},
        {"futex, 4 KiB, aligned to 8", 1 << 12, 8, 0, 0, 0, 200},
        {"fifo, 64 KiB", 1 << 16, 8, UINT64_C(0xfffffffffffff000), 1, 0, 200},
};

enum { PRODUCER, CONSUMER };

/* What a worker exits with. */
enum { DONE = 0, FAILED = 1 };

/* What a process begins with. */
struct worker {
        const struct sluice_options *o;
        uint64_t seed, random;
};

static int produce(void *ctx)
{
        const struct worker *w = ctx;
        struct traffic t = {w->seed, w->random, 0, 0};
        struct sluice_producer p;
        int r = sluice_producer_open(&p, NAME, w->o);

        if (r)
                return fprintf(stderr, "producer: %s\n", sluice_strerror(r)), FAILED;
        t.max_len = sluice_producer_max_len(&p);
        t.index = sluice_producer_messages(&p);
        while (!traffic_stop) {
                r = traffic_send(&t, &p, UINT64_MAX, sluice_after(20000000));
                if (t.index != sluice_producer_messages(&p))
                        return fprintf(stderr, "producer: wrong count\n"), FAILED;
                if (r == -EOWNERDEAD)
                        r = sluice_producer_await_peer(&p, sluice_after(20000000));
                if (r && r != -ETIMEDOUT)
                        return fprintf(stderr, "producer: %s\n", sluice_strerror(r)), FAILED;
        }
        return sluice_producer_close(&p) == 0 ? DONE : FAILED;
}

static int consume(void *ctx)
{
        const struct worker *w = ctx;
        struct traffic t = {w->seed, w->random, 0, 0};
        struct sluice_consumer c;
        int r = sluice_consumer_open(&c, NAME, w->o);

        if (r)
                return fprintf(stderr, "consumer: %s\n", sluice_strerror(r)), FAILED;
        t.max_len = sluice_consumer_max_len(&c);
        t.index = sluice_consumer_messages(&c);
        while (r == 0) {
                r = traffic_recv(&t, &c, SLUICE_FOREVER);
                if (r == -EOWNERDEAD)
                        r = sluice_consumer_await_peer(&c, SLUICE_FOREVER);
        }
        if (r == -EPIPE && t.index == sluice_consumer_messages(&c))
                return sluice_consumer_close(&c) == 0 ? DONE : FAILED;
        fprintf(stderr, "consumer at %llu: %s\n", (unsigned long long)t.index,
                r < 0 ? sluice_strerror(r) : "wrong message");
        return FAILED;
}

/* The producer stops when it is told to. */
static pid_t start(int role, struct worker w)
{
        return traffic_start(role == PRODUCER ? produce : consume, &w, role == PRODUCER);
}

/* Kills, starts a successor, and checks that no process has ended by itself. */
static int kill_one(pid_t pids[2], struct worker w, uint64_t *random)
{
        const int role = (int)(traffic_random(random) & 1);
        int status;

        traffic_pause(random, 3000000);
        if (traffic_kill(pids[role]) != 0 || waitpid(pids[!role], &status, WNOHANG) != 0)
                return 1;
        if (traffic_random(random) % 4 == 0)
                traffic_pause(random, 2000000); /* the survivor notices, or not */
        w.random = traffic_random(random);
        pids[role] = start(role, w);
        return 0;
}

static int run(const struct setting *s, uint64_t seed)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        const uint64_t kills = traffic_scale(s->kills);
        struct sluice_queue_stat st = {.pending = 1};
        uint64_t random = seed + 1, killed = 0;
        struct worker w = {&o, seed, 0};
        pid_t pids[2];
        int failed = 0;

        o.capacity = s->capacity;
        o.record_align = s->align;
        o.first_position = s->first;
        o.wake = s->wake;
        o.spin_ns = s->spin_ns;
        if (sluice_create(NAME, &o) != 0)
                return 1;
        for (int role = 0; role < 2; role++) {
                w.random = traffic_random(&random);
                pids[role] = start(role, w);
        }
        while (!failed && killed < kills) {
                failed = kill_one(pids, w, &random);
                killed += !failed;
        }
        traffic_pause(&random, 50000000);
        failed = traffic_end(pids, 2, 1, failed);
        failed |= sluice_stat(NAME, &st) != 0 || st.pending != 0;
        failed |= sluice_remove(NAME) != 0;
        printf("%-30s %4llu kills, %9llu messages  %s\n", s->name, (unsigned long long)killed,
               (unsigned long long)st.producer.messages, failed ? "FAILED" : "ok");
        fflush(stdout);
        return failed;
}

static int run_one(int i, uint64_t seed)
{
        return run(&settings[i], seed);
}

int main(int argc, char **argv)
{
        return traffic_run(argc, argv, sizeof settings / sizeof *settings, run_one);
}
