/* SPDX-License-Identifier: MIT */
/*
 * Two processes, a named queue, 10^7 messages of random lengths and
 * contents in each of the ways to wait, checked one by one; on tiny and
 * on large rings, from positions just below 2^32 and 2^64.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "traffic.h"

#define NAME "stress-process"

struct setting {
        const char *name;
        size_t capacity;
        uint32_t align;
        uint64_t first;
        int wake;
        int64_t spin_ns;
        uint64_t messages;
};

static const struct setting settings[] = {
        {"spin, 64 KiB", 1 << 16, 64, UINT64_C(0xfffff000), 0, SLUICE_SPIN_FOREVER, 10000000},
        {"futex, 64 KiB", 1 << 16, 64, 0, 0, 0, 10000000},
        {"fifo, 64 KiB", 1 << 16, 8, UINT64_C(0xfffffffffffff000), 1, 0, 10000000},
        {"spin, 256 B", 256, 64, UINT64_C(0xffffffffffffff00), 0, SLUICE_SPIN_FOREVER, 10000000},
        {"futex, 512 B, aligned to 8", 512, 8, UINT64_C(0xffffff00), 0, 0, 10000000},
        {"fifo, 1 KiB", 1 << 10, 64, 0, 1, 0, 10000000},
        {"futex, 32 B, aligned to 8, never spinning", 32, 8, UINT64_C(0xffffffffffffff00), 0,
         SLUICE_SPIN_NONE, 1000000},
        {"fifo, 256 B, never spinning", 256, 64, 0, 1, SLUICE_SPIN_NONE, 200000},
        {"futex, 16 MiB", 1 << 24, 64, UINT64_C(0xfffffffffff00000), 0, 0, 10000000},
};

static int produce(struct traffic t, const struct sluice_options *o, uint64_t end)
{
        struct sluice_producer p;
        int r = sluice_producer_open(&p, NAME, o);

        t.max_len = r ? 0 : sluice_producer_max_len(&p);
        while (r == 0 && t.index < end)
                r = traffic_send(&t, &p, end, SLUICE_FOREVER);
        if (r == 0)
                r = sluice_producer_close(&p);
        if (r)
                fprintf(stderr, "producer at %llu: %s\n", (unsigned long long)t.index,
                        sluice_strerror(r));
        return r ? 1 : 0;
}

static int consume(struct traffic t, const struct sluice_options *o, uint64_t end)
{
        struct sluice_consumer c;
        int r = sluice_consumer_open(&c, NAME, o);

        t.max_len = r ? 0 : sluice_consumer_max_len(&c);
        while (r == 0)
                r = traffic_recv(&t, &c, SLUICE_FOREVER);
        if (r != -EPIPE || t.index != end || sluice_consumer_messages(&c) != end)
                fprintf(stderr, "consumer at %llu of %llu: %s\n", (unsigned long long)t.index,
                        (unsigned long long)end, r < 0 ? sluice_strerror(r) : "wrong message");
        sluice_consumer_close(&c);
        return r == -EPIPE && t.index == end ? 0 : 1;
}

static int run(const struct setting *s, uint64_t seed)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        const uint64_t end = traffic_scale(s->messages);
        struct traffic t = {seed, seed + 1, 0, 0};
        const int64_t begin = sluice_now_ns();
        int status = 1, failed;
        pid_t child;

        o.capacity = s->capacity;
        o.record_align = s->align;
        o.first_position = s->first;
        o.wake = s->wake;
        o.spin_ns = s->spin_ns;
        if (sluice_create(NAME, &o) != 0)
                return 1;
        child = fork();
        if (child == 0)
                _exit(produce(t, &o, end));
        t.random = seed + 2;
        failed = consume(t, &o, end);
        waitpid(child, &status, 0);
        failed |= status != 0;
        failed |= sluice_remove(NAME) != 0;
        printf("%-45s %9llu messages %6.1f s  %s\n", s->name, (unsigned long long)end,
               (double)(sluice_now_ns() - begin) / 1e9, failed ? "FAILED" : "ok");
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
