/* SPDX-License-Identifier: MIT */
/* Many feeds, one reader of the newest price of each: how old it was, in powers of 2. */
#include <pthread.h>
#include <stdio.h>
#include <sluice/group.h>

enum { FEEDS = 8, PRICES = 20000, BYTES = 1 << 19 };

static _Alignas(128) unsigned char ring[FEEDS][BYTES];
static unsigned long age[64], passed, ended;

static void *feed(void *mem)
{
        struct sluice_producer p;
        int r = sluice_producer_attach(&p, mem, BYTES);

        for (int i = 0; i < PRICES && r == 0; i++)
                r = sluice_send(&p, (int64_t[]){sluice_now_ns()}, 8, SLUICE_FOREVER);
        sluice_producer_detach(&p);
        return NULL;
}

static int take(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        struct sluice_message newest;

        if (ctx || event != SLUICE_MESSAGE)
                return (ended += event == SLUICE_ENDED) == FEEDS;
        newest = *message;
        while (sluice_member_next(m, &newest) == 0)
                passed++;
        age[63 -
            __builtin_clzll((uint64_t)(sluice_now_ns() - *(const int64_t *)newest.data) | 1)]++;
        return 0;
}

int main(void)
{
        pthread_t thread[FEEDS];
        struct sluice_group *g;

        if (sluice_group_create(&g, NULL))
                return 1;
        for (int i = 0; i < FEEDS; i++) {
                if (sluice_ring_format(ring[i], BYTES, NULL) ||
                    sluice_group_add_ring(g, ring[i], BYTES, NULL, NULL) ||
                    pthread_create(&thread[i], NULL, feed, ring[i]))
                        return 1;
        }
        if (sluice_group_serve(g, take, NULL, SIZE_MAX, SLUICE_FOREVER) < 0)
                return 1;
        for (int i = 0; i < FEEDS; i++)
                pthread_join(thread[i], NULL);
        printf("%lu of %d prices were passed over\n", passed, FEEDS * PRICES);
        for (int i = 6; i < 30; i++)
                printf("from %lld ns: %lu\n", 1ll << i, age[i]);
        return sluice_group_destroy(g);
}
