/* SPDX-License-Identifier: MIT */
/*
 * threads: two threads of one process over memory from the heap. There is no
 * name and no segment: ring.h initializes the ring, and enable_sleep lets
 * each end sleep instead of spinning.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <pthread.h>
#include <sluice.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT 1000000u

static void *memory;
static size_t bytes;

static void *produce(void *unused)
{
        struct sluice_producer p;
        int r = sluice_producer_attach(&p, memory, bytes);

        if (r == 0)
                r = sluice_producer_enable_sleep(&p, NULL);
        for (uint64_t i = 1; i <= COUNT && r == 0; i++)
                r = sluice_send(&p, &i, sizeof i, SLUICE_FOREVER);
        sluice_producer_close(&p);
        if (r)
                fprintf(stderr, "threads: producer: %s\n", sluice_strerror(r));
        return unused;
}

int main(void)
{
        const struct sluice_geometry geometry = {.capacity = 1 << 16};
        uint64_t value, sum = 0;
        struct sluice_consumer c;
        pthread_t thread;
        ssize_t n;

        bytes = sluice_ring_bytes(&geometry);
        memory = aligned_alloc(128, bytes);
        if (!memory || sluice_ring_format(memory, bytes, &geometry) != 0 ||
            sluice_consumer_attach(&c, memory, bytes) != 0 ||
            sluice_consumer_enable_sleep(&c, NULL) != 0 ||
            pthread_create(&thread, NULL, produce, NULL) != 0)
                return 1;
        while ((n = sluice_recv(&c, &value, sizeof value, SLUICE_FOREVER)) >= 0)
                sum += value;
        pthread_join(thread, NULL);
        sluice_consumer_close(&c);
        free(memory);
        printf("sum of 1 to %u: %llu\n", COUNT, (unsigned long long)sum);
        return n != -EPIPE || sum != (uint64_t)COUNT * (COUNT + 1) / 2;
}
