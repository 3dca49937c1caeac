/* SPDX-License-Identifier: MIT */
/*
 * Two threads on one mapping, which is what a race detector can see: the
 * ring alone, and with sleeping, on rings small enough to be full and
 * empty all the time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "traffic.h"

struct setting {
        const char *name;
        struct sluice_geometry geometry;
        int sleeps;
        int64_t spin_ns;
        uint64_t messages;
};

static const struct setting settings[] = {
        {"ring alone, 256 B", {256, 64, UINT64_C(0xffffffffffffff00), 0, 0, 0}, 0, 0, 2000000},
        {"ring alone, 16 KiB", {1 << 14, 8, UINT64_C(0xfffff000), 0, 0, 0}, 0, 0, 5000000},
        {"sleeping, 256 B", {256, 64, 0, 0, 0, 0}, 1, SLUICE_SPIN_NONE, 500000},
        {"sleeping, 32 B", {32, 8, UINT64_MAX - 7, 0, 0, 0}, 1, SLUICE_SPIN_NONE, 500000},
        {"spinning and sleeping, 4 KiB", {1 << 12, 64, 0, 0, 0, 0}, 1, 2000, 5000000},
};

struct side {
        struct traffic t;
        struct sluice_producer p;
        struct sluice_consumer c;
        uint64_t end;
        int failed;
};

static void *produce(void *arg)
{
        struct side *s = arg;
        int r = 0;

        while (r == 0 && s->t.index < s->end)
                r = traffic_send(&s->t, &s->p, s->end, sluice_after(INT64_C(60000000000)));
        s->failed = r != 0;
        if (s->p.base.queue)
                sluice_producer_close(&s->p);
        else
                sluice_producer_detach(&s->p);
        return NULL;
}

static void consume(struct side *s)
{
        int r = 0;

        while (r == 0)
                r = traffic_recv(&s->t, &s->c, sluice_after(INT64_C(60000000000)));
        s->failed = r != -EPIPE || s->t.index != s->end;
        if (s->failed)
                fprintf(stderr, "consumer at %llu: %d\n", (unsigned long long)s->t.index, r);
        if (s->c.base.queue)
                sluice_consumer_close(&s->c);
        else
                sluice_consumer_detach(&s->c);
}

static int attach(struct side *producer, struct side *consumer, void *mem, size_t bytes,
                  const struct setting *s)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        int r = sluice_ring_format(mem, bytes, &s->geometry);

        o.spin_ns = s->spin_ns;
        if (r == 0)
                r = sluice_producer_attach(&producer->p, mem, bytes);
        if (r == 0)
                r = sluice_consumer_attach(&consumer->c, mem, bytes);
        if (r == 0 && s->sleeps)
                r = sluice_producer_enable_sleep(&producer->p, &o);
        if (r == 0 && s->sleeps)
                r = sluice_consumer_enable_sleep(&consumer->c, &o);
        return r;
}

static int run(const struct setting *s, uint64_t seed)
{
        const size_t bytes = sluice_ring_bytes(&s->geometry);
        struct side *producer = calloc(1, sizeof *producer),
                    *consumer = calloc(1, sizeof *consumer);
        void *mem = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);
        pthread_t thread;
        int failed = 1;

        if (producer && consumer && mem && attach(producer, consumer, mem, bytes, s) == 0) {
                producer->end = consumer->end = traffic_scale(s->messages);
                producer->t =
                        (struct traffic){seed, seed + 1, sluice_producer_max_len(&producer->p), 0};
                consumer->t =
                        (struct traffic){seed, seed + 2, sluice_consumer_max_len(&consumer->c), 0};
                if (pthread_create(&thread, NULL, produce, producer) == 0) {
                        consume(consumer);
                        pthread_join(thread, NULL);
                        failed = producer->failed | consumer->failed;
                }
        }
        free(mem);
        free(producer);
        free(consumer);
        printf("%-45s %9llu messages  %s\n", s->name,
               (unsigned long long)traffic_scale(s->messages), failed ? "FAILED" : "ok");
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
