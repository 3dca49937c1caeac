/* SPDX-License-Identifier: MIT */
/* A pool of workers: clients send jobs, each by its own ring; threads serve them all. */
#include <pthread.h>
#include <stdio.h>
#include <sluice/group.h>

enum { CLIENTS = 4, WORKERS = 3, JOBS = 10000, BYTES = 1 << 19 };

static _Alignas(128) unsigned char ring[CLIENTS][BYTES];
static struct sluice_group *group;
static _Atomic uint64_t steps, ended;

static void *client(void *mem)
{
        struct sluice_producer p;
        int r = sluice_producer_attach(&p, mem, BYTES);

        for (uint64_t job = 1; job <= JOBS && r == 0; job++)
                r = sluice_send(&p, &job, sizeof job, SLUICE_FOREVER);
        sluice_producer_detach(&p);
        return NULL;
}

static int work(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *job)
{
        uint64_t n = event == SLUICE_MESSAGE ? *(const uint64_t *)job->data : 1;

        for (; n != 1; n = n % 2 ? 3 * n + 1 : n / 2)
                steps++; /* from n to 1 */
        if (event == SLUICE_ENDED && ++ended == CLIENTS)
                sluice_group_interrupt(group); /* all workers */
        return ctx || !m;
}

static void *worker(void *mem)
{
        const ssize_t r = sluice_group_serve_shared(group, work, NULL, SIZE_MAX, SLUICE_FOREVER);

        return r < 0 ? NULL : mem;
}

int main(void)
{
        pthread_t thread[CLIENTS + WORKERS];
        int r = sluice_group_create(&group, NULL);

        for (int i = 0; i < CLIENTS && r == 0; i++)
                r = sluice_ring_format(ring[i], BYTES, NULL) ||
                    sluice_group_add_ring(group, ring[i], BYTES, NULL, NULL);
        if (r)
                return 1;
        for (int i = 0; i < CLIENTS + WORKERS; i++)
                pthread_create(&thread[i], NULL, i < CLIENTS ? client : worker, ring[i % CLIENTS]);
        for (int i = 0; i < CLIENTS + WORKERS; i++)
                pthread_join(thread[i], NULL);
        printf("%llu steps\n", (unsigned long long)steps);
        return sluice_group_destroy(group);
}
