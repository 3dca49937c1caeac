/* SPDX-License-Identifier: MIT */
/*
 * count_ops OPERATION N: does it N times, in one thread, for a program that
 * counts instructions. What N and 2 N times have in common is not counted:
 * see bench/instructions. Without arguments: the names of the operations.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sluice/queue.h"

enum { ROOM = 32 << 20 };

static struct sluice_producer p;
static struct sluice_consumer c;
static unsigned char buf[4096];

#define KEEP(x) __asm__ __volatile__("" : : "r"(x) : "memory")

static void must(int r)
{
        if (r != 0) {
                fprintf(stderr, "count_ops: %s\n", sluice_strerror(r));
                exit(1);
        }
}

/* The first way, touching, all the time: which one is kept depends on the clock. */
static void keep_way(void)
{
        c.pace.available = 0;
}

static void ring(size_t capacity)
{
        const struct sluice_geometry g = {.capacity = capacity};
        const size_t bytes = sluice_ring_bytes(&g);
        void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        must(sluice_ring_format(mem, bytes, &g));
        must(sluice_producer_attach(&p, mem, bytes));
        must(sluice_consumer_attach(&c, mem, bytes));
        keep_way();
}

/* Inline, so that the length is a constant there as it is where it is used. */
static inline __attribute__((always_inline)) void send_only(long n, size_t len)
{
        ring(ROOM); /* longer than all of them */
        for (long i = 0; i < n; i++)
                KEEP(sluice_send(&p, buf, len, SLUICE_NOW));
}

static inline __attribute__((always_inline)) void pair(long n, size_t len)
{
        for (long i = 0; i < n; i++) {
                KEEP(sluice_send(&p, buf, len, SLUICE_NOW));
                KEEP(sluice_recv(&c, buf, sizeof buf, SLUICE_NOW));
        }
}

static void send_8(long n)
{
        send_only(n, 8);
}

static void send_56(long n)
{
        send_only(n, 56);
}

static void send_recv_8(long n)
{
        ring(0);
        pair(n, 8);
}

static void send_recv_56(long n)
{
        ring(0);
        pair(n, 56);
}

static void send_recv_1016(long n)
{
        ring(0);
        pair(n, 1016);
}

static void in_place(long n)
{
        struct sluice_message m = {.data = buf};
        void *to = buf;

        ring(0);
        for (long i = 0; i < n; i++) {
                KEEP(sluice_reserve(&p, 56, &to, SLUICE_NOW));
                *(volatile uint64_t *)to = 1;
                KEEP(sluice_commit(&p, 56));
                KEEP(sluice_peek(&c, &m, SLUICE_NOW));
                KEEP(*(const volatile uint64_t *)m.data);
                KEEP(sluice_release(&c));
        }
}

static void batch_of_16(long n)
{
        struct sluice_message m = {.data = buf};
        void *to = buf;

        ring(0);
        for (long i = 0; i < n; i++) {
                KEEP(sluice_reserve(&p, 56, &to, SLUICE_NOW));
                *(volatile uint64_t *)to = 1;
                KEEP(sluice_stage(&p, 56));
                if (i % 16 != 15)
                        continue;
                KEEP(sluice_publish(&p));
                for (int k = 0; k < 16; k++) {
                        KEEP(sluice_peek(&c, &m, SLUICE_NOW));
                        KEEP(*(const volatile uint64_t *)m.data);
                        KEEP(k < 15 ? sluice_advance(&c) : sluice_release(&c));
                }
        }
}

static void peek_empty(long n)
{
        struct sluice_message m = {.data = buf};

        ring(0);
        for (long i = 0; i < n; i++)
                KEEP(sluice_peek(&c, &m, SLUICE_NOW));
}

static void reserve_full(long n)
{
        void *to = buf;

        ring(0);
        while (sluice_send(&p, buf, 1016, SLUICE_NOW) == 0)
                ;
        for (long i = 0; i < n; i++)
                KEEP(sluice_reserve(&p, 1016, &to, SLUICE_NOW));
}

/* A queue that can sleep, and does not have to. */
static void named(long n, int wake)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        char directory[] = "/tmp/count-XXXXXX", name[64];

        if (!mkdtemp(directory))
                exit(1);
        snprintf(name, sizeof name, "%s/queue", directory);
        o.wake = wake;
        must(sluice_create(name, &o));
        must(sluice_producer_open(&p, name, &o));
        must(sluice_consumer_open(&c, name, &o));
        keep_way();
        pair(n, 56);
        sluice_producer_close(&p);
        sluice_consumer_close(&c);
        must(sluice_remove(name));
        rmdir(directory);
}

static void queue_futex(long n)
{
        named(n, SLUICE_WAKE_FUTEX);
}

static void queue_fifo(long n)
{
        named(n, SLUICE_WAKE_FIFO);
}

static const struct {
        const char *name;
        void (*fn)(long n);
} operations[] = {{"send_8", send_8},
                  {"send_56", send_56},
                  {"send_recv_8", send_recv_8},
                  {"send_recv_56", send_recv_56},
                  {"send_recv_1016", send_recv_1016},
                  {"in_place_56", in_place},
                  {"batch_of_16_56", batch_of_16},
                  {"peek_empty", peek_empty},
                  {"reserve_full", reserve_full},
                  {"queue_futex_send_recv_56", queue_futex},
                  {"queue_fifo_send_recv_56", queue_fifo}};

int main(int argc, char **argv)
{
        for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
                if (argc < 3)
                        puts(operations[i].name);
                else if (strcmp(argv[1], operations[i].name) == 0) {
                        operations[i].fn(atol(argv[2]));
                        return 0;
                }
        }
        return argc < 3 ? 0 : 2;
}
