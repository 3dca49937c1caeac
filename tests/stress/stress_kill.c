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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

/* The producer stops when it is told to, by SIGTERM. */
static volatile sig_atomic_t stop;

static void on_term(int sig)
{
        (void)sig;
        stop = 1;
}

static int produce(uint64_t seed, uint64_t random, const struct sluice_options *o)
{
        struct traffic t = {seed, random, 0, 0};
        struct sluice_producer p;
        int r;

        r = sluice_producer_open(&p, NAME, o);
        if (r)
                return fprintf(stderr, "producer: %s\n", sluice_strerror(r)), FAILED;
        t.max_len = sluice_producer_max_len(&p);
        t.index = sluice_producer_messages(&p);
        while (!stop) {
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

static int consume(uint64_t seed, uint64_t random, const struct sluice_options *o)
{
        struct traffic t = {seed, random, 0, 0};
        struct sluice_consumer c;
        int r = sluice_consumer_open(&c, NAME, o);

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

static pid_t start(int role, uint64_t seed, uint64_t random, const struct sluice_options *o)
{
        pid_t pid;

        /* Before it can be told to stop. */
        signal(SIGTERM, on_term);
        pid = fork();
        if (pid != 0) {
                signal(SIGTERM, SIG_DFL);
                return pid;
        }
        if (role == CONSUMER)
                signal(SIGTERM, SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(role == PRODUCER ? produce(seed, random, o) : consume(seed, random, o));
}

static void pause_up_to(uint64_t *random, long ns)
{
        const struct timespec t = {0, (long)(traffic_random(random) % (uint64_t)ns)};

        nanosleep(&t, NULL);
}

/* Kills, starts a successor, and checks that no process has ended by itself. */
static int kill_one(pid_t pids[2], uint64_t seed, uint64_t *random, const struct sluice_options *o)
{
        const int role = (int)(traffic_random(random) & 1);
        int status;

        pause_up_to(random, 3000000);
        kill(pids[role], SIGKILL);
        if (waitpid(pids[role], &status, 0) != pids[role] || !WIFSIGNALED(status) ||
            WTERMSIG(status) != SIGKILL)
                return 1;
        if (waitpid(pids[!role], &status, WNOHANG) != 0)
                return 1;
        if (traffic_random(random) % 4 == 0)
                pause_up_to(random, 2000000); /* the survivor notices, or not */
        pids[role] = start(role, seed, traffic_random(random), o);
        return 0;
}

static int finish(pid_t pids[2], int failed)
{
        int status;

        if (failed) {
                kill(pids[PRODUCER], SIGKILL);
                kill(pids[CONSUMER], SIGKILL);
        } else {
                kill(pids[PRODUCER], SIGTERM);
        }
        for (int i = 0; i < 2; i++) {
                failed |= waitpid(pids[i], &status, 0) != pids[i] || status != 0;
                if (failed) /* no producer will end the stream that the consumer waits for */
                        kill(pids[CONSUMER], SIGKILL);
        }
        return failed;
}

static int run(const struct setting *s, uint64_t seed)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        const uint64_t kills = traffic_scale(s->kills);
        struct sluice_queue_stat st = {.pending = 1};
        uint64_t random = seed + 1, killed = 0;
        pid_t pids[2];
        int failed = 0;

        o.capacity = s->capacity;
        o.record_align = s->align;
        o.first_position = s->first;
        o.wake = s->wake;
        o.spin_ns = s->spin_ns;
        if (sluice_create(NAME, &o) != 0)
                return 1;
        pids[PRODUCER] = start(PRODUCER, seed, traffic_random(&random), &o);
        pids[CONSUMER] = start(CONSUMER, seed, traffic_random(&random), &o);
        while (!failed && killed < kills) {
                failed = kill_one(pids, seed, &random, &o);
                killed += !failed;
        }
        pause_up_to(&random, 50000000);
        failed = finish(pids, failed);
        failed |= sluice_stat(NAME, &st) != 0 || st.pending != 0;
        failed |= sluice_remove(NAME) != 0;
        printf("%-30s %4llu kills, %9llu messages  %s\n", s->name, (unsigned long long)killed,
               (unsigned long long)st.producer.messages, failed ? "FAILED" : "ok");
        fflush(stdout);
        return failed;
}

int main(int argc, char **argv)
{
        uint64_t seed = traffic_seed(argc, argv);
        int failed = 0, n = sizeof settings / sizeof *settings;

        for (int i = 0; i < n; i++)
                failed += run(&settings[i], traffic_random(&seed));
        printf("%d passed, %d failed\n", n - failed, failed);
        return failed != 0;
}
