/* SPDX-License-Identifier: MIT */
/*
 * Suite many: one thread receives from many. Two threads, each on a processor:
 * one sends to all busy members in turn, the other serves.
 *
 *   single         one ring, sluice_drain: the base
 *   busy N of M    a group of M rings of which N have messages
 *   idle N         one busy ring, and N named queues that are parked
 *
 * Figures are medians of rounds that alternate, as ns per message, and as
 * multiples of the base in the same round.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sluice/group.h"

enum { MOST = 1024, LEN = 56, ROUNDS = 7, CAPACITY = 1 << 14 };

struct rig {
        struct sluice_group *g;
        struct sluice_producer *producers;
        struct sluice_consumer single;
        unsigned char *mem;
        size_t each;
        int members, busy;
        uint64_t messages, received;
};

static void pin(int cpu)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET((size_t)cpu, &set);
        pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static void *send_all(void *ctx)
{
        struct rig *r = ctx;
        char message[LEN] = {0};

        pin(1);
        for (uint64_t i = 0; i < r->messages; i++)
                while (sluice_send(&r->producers[i % (uint64_t)r->busy], message, LEN, SLUICE_NOW))
                        continue;
        return NULL;
}

static int take(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        struct rig *r = ctx;

        (void)m;
        (void)message;
        r->received += event == SLUICE_MESSAGE;
        return 0;
}

static int take_single(void *ctx, const struct sluice_message *message)
{
        struct rig *r = ctx;

        (void)message;
        r->received++;
        return 0;
}

static void rig_open(struct rig *r, int members, int busy, bool grouped)
{
        const struct sluice_geometry g = {.capacity = CAPACITY};
        const struct sluice_group_options o = {.size = sizeof o};
        int failed = 0;

        memset((void *)r, 0, sizeof *r);
        r->members = members;
        r->busy = busy;
        r->each = (sluice_ring_bytes(&g) + 4095) & ~(size_t)4095;
        r->mem = mmap(NULL, r->each * (size_t)members, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        r->producers = aligned_alloc(128, (size_t)members * sizeof *r->producers);
        failed |= r->mem == MAP_FAILED || (grouped && sluice_group_create(&r->g, &o) != 0);
        for (int i = 0; i < members && !failed; i++) {
                unsigned char *mem = r->mem + r->each * (size_t)i;

                failed |= sluice_ring_format(mem, r->each, &g) != 0 ||
                          sluice_producer_attach(&r->producers[i], mem, r->each) != 0;
                failed |= grouped ? sluice_group_add_ring(r->g, mem, r->each, NULL, NULL)
                                  : sluice_consumer_attach(&r->single, mem, r->each);
        }
        if (failed)
                exit(1);
}

static void rig_close(struct rig *r)
{
        if (r->g)
                sluice_group_destroy(r->g);
        munmap(r->mem, r->each * (size_t)r->members);
        free(r->producers);
}

/* ns for each message. */
static double rig_run(struct rig *r, uint64_t messages)
{
        pthread_t sender;
        int64_t begin;

        r->messages = messages;
        r->received = 0;
        begin = sluice_now_ns();
        pthread_create(&sender, NULL, send_all, r);
        while (r->received < messages) {
                const ssize_t n = r->g ? sluice_group_serve(r->g, take, r, messages - r->received,
                                                            SLUICE_FOREVER)
                                       : sluice_drain(&r->single, take_single, r, SIZE_MAX);
                if (n < 0)
                        exit(1);
        }
        pthread_join(sender, NULL);
        return (double)(sluice_now_ns() - begin) / (double)messages;
}

static int compare(const void *a, const void *b)
{
        const double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static double median(double *v)
{
        qsort(v, ROUNDS, sizeof *v, compare);
        return v[ROUNDS / 2];
}

static void report(const char *what, double *ns, double *ratio)
{
        const double m = median(ns), q = median(ratio);

        printf("%-24s %8.1f ns  %6.2f (%.2f to %.2f)\n", what, m, q, ratio[0], ratio[ROUNDS - 1]);
}

static void busy(uint64_t messages)
{
        static const int sizes[] = {1, 2, 8, 64, MOST};
        double ns[ROUNDS], ratio[ROUNDS];
        struct rig base, r;
        char what[60];

        rig_open(&base, 1, 1, false);
        for (int i = 0; i < 5; i++)
                for (int part = 0; part < 3; part++) {
                        const int n = part == 0 ? 1 : part == 1 ? sizes[i] / 2 : sizes[i];

                        if (n == 0 || (part != 2 && n == sizes[i]) || (part == 1 && n == 1))
                                continue;
                        rig_open(&r, sizes[i], n, true);
                        for (int k = 0; k < ROUNDS; k++) {
                                const double b = rig_run(&base, messages);

                                ns[k] = rig_run(&r, messages);
                                ratio[k] = ns[k] / b;
                        }
                        snprintf(what, sizeof what, "busy %d of %d", n, sizes[i]);
                        report(what, ns, ratio);
                        rig_close(&r);
                }
        rig_close(&base);
}

/* ---- Parked members ----------------------------------------------- */

static void add_idle(struct sluice_group *g, int from, int to)
{
        const struct sluice_options o = {
                .size = sizeof o, .flags = SLUICE_CREATE, .capacity = 4096};
        char name[40];

        for (int i = from; i < to; i++) {
                snprintf(name, sizeof name, "many-%d", i);
                if (sluice_group_add(g, name, &o, NULL, NULL) != 0) {
                        printf("%s: %s\n", name, sluice_limit());
                        exit(1);
                }
        }
}

static void idle(uint64_t messages, int most)
{
        double ns[ROUNDS], ratio[ROUNDS], base[ROUNDS];
        struct rig r;
        int there = 0;
        char what[60];

        rig_open(&r, 1, 1, true);
        for (int n = 0; n <= most; n = n ? n * 8 : 64) {
                add_idle(r.g, there, n);
                there = n > there ? n : there;
                rig_run(&r, messages);
                for (int k = 0; k < ROUNDS; k++) {
                        ns[k] = rig_run(&r, messages);
                        if (n == 0)
                                base[k] = ns[k];
                }
                if (n == 0)
                        median(base);
                for (int k = 0; k < ROUNDS; k++)
                        ratio[k] = ns[k] / base[ROUNDS / 2];
                snprintf(what, sizeof what, "idle %d", n);
                report(what, ns, ratio);
        }
        rig_close(&r);
        for (int i = 0; i < there; i++) {
                snprintf(what, sizeof what, "many-%d", i);
                sluice_remove(what);
        }
}

int main(int argc, char **argv)
{
        const uint64_t messages = argc > 1 ? strtoull(argv[1], NULL, 10) : 300000;

        setvbuf(stdout, NULL, _IOLBF, 0);
        pin(0);
        busy(messages);
        idle(messages, 512);
        return 0;
}
