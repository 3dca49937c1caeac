/* SPDX-License-Identifier: MIT */
/* A message 200 times as long as its ring. */
#include <pthread.h>
#include <sluice.h>
#include <string.h>

enum { BYTES = 1 << 20 };

static unsigned char frame[BYTES], got[BYTES];

static void *send_frame(void *ctx)
{
        struct sluice_producer p;
        int r = sluice_producer_open(&p, ctx, NULL);

        if (r == 0)
                r = sluice_send_long(&p, frame, sizeof frame, 7, NULL, SLUICE_FOREVER);
        sluice_producer_close(&p);
        return r ? ctx : NULL;
}

int main(void)
{
        const struct sluice_options o = SLUICE_OPTIONS(.flags = SLUICE_CREATE, .capacity = 4096);
        struct sluice_consumer c;
        void *failed = frame;
        pthread_t t;
        ssize_t n;

        memset(frame, 'x', sizeof frame);
        if (sluice_consumer_open(&c, "./frames", &o) != 0 ||
            pthread_create(&t, NULL, send_frame, "./frames") != 0)
                return 1;
        struct sluice_long l = {.buf = got, .cap = sizeof got}; /* longest that is wanted */
        n = sluice_recv_long(&c, &l, SLUICE_FOREVER);           /* its length, tag in l.tag */
        pthread_join(t, &failed);
        sluice_consumer_close(&c);
        return failed || n != BYTES || l.tag != 7 || memcmp(frame, got, BYTES) != 0 ||
               sluice_remove("./frames") != 0;
}
