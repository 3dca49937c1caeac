/* SPDX-License-Identifier: MIT */
/*
 * viewer NAME: the length, number and mean brightness of each frame. It takes frames of
 * any length: sluice_recv_long says when its buffer is too short, and goes on in a
 * longer one. LONGEST is what it is willing to hold.
 */
#include <errno.h>
#include <sluice.h>
#include <stdio.h>
#include <stdlib.h>

static const size_t LONGEST = 64 << 20;

static int enlarge(struct sluice_long *l)
{
        const size_t cap = l->cap ? 2 * l->cap : 1 << 16;
        void *buf = cap <= LONGEST ? realloc(l->buf, cap) : NULL;

        if (!buf)
                return -ENOMEM;
        l->buf = buf, l->cap = cap;
        return 0;
}

static void show(const unsigned char *frame, size_t len, uint32_t number)
{
        unsigned long long sum = 0;

        for (size_t i = 0; i < len; i++)
                sum += frame[i];
        printf("frame %u: %zu bytes, mean %.2f\n", number, len,
               len ? (double)sum / (double)len : 0.0);
}

int main(int argc, char **argv)
{
        struct sluice_long l = {.cap = 0};
        struct sluice_consumer c;
        ssize_t n = sluice_consumer_open(&c, argc > 1 ? argv[1] : "video", NULL);

        if (n)
                return fprintf(stderr, "viewer: %s\n", sluice_strerror((int)n)), 1;
        while (n >= 0) {
                n = sluice_recv_long(&c, &l, SLUICE_FOREVER);
                if (n >= 0)
                        show(l.buf, (size_t)n, l.tag);
                else if (n == -EMSGSIZE)
                        n = enlarge(&l);
        }
        if (n != -EPIPE)
                fprintf(stderr, "viewer: %s\n", sluice_strerror((int)n));
        free(l.buf);
        sluice_consumer_close(&c);
        return n != -EPIPE;
}
