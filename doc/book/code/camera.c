/* SPDX-License-Identifier: MIT */
/*
 * camera NAME FRAMES WIDTH HEIGHT: 8-bit frames of a moving picture. A frame that fits
 * the queue is drawn in place, in the ring; a larger one is sent in pieces.
 */
#include <errno.h>
#include <sluice.h>
#include <stdio.h>
#include <stdlib.h>

static void draw(unsigned char *frame, size_t width, size_t height, uint32_t number)
{
        for (size_t y = 0; y < height; y++)
                for (size_t x = 0; x < width; x++)
                        frame[y * width + x] = (unsigned char)(x + y + number);
}

static int send_frame(struct sluice_producer *p, size_t width, size_t height, uint32_t number)
{
        const size_t len = width * height;
        void *frame;
        int r;

        if (len <= sluice_producer_max_len(p)) {
                r = sluice_reserve(p, len, &frame, SLUICE_FOREVER);
                if (r)
                        return r;
                draw(frame, width, height, number);
                sluice_set_tag(p, number);
                return sluice_commit(p, len);
        }
        frame = malloc(len);
        if (!frame)
                return -ENOMEM;
        draw(frame, width, height, number);
        r = sluice_send_long(p, frame, len, number, NULL, SLUICE_FOREVER);
        free(frame);
        return r;
}

int main(int argc, char **argv)
{
        const struct sluice_options o = {
                .size = sizeof o, .flags = SLUICE_CREATE, .capacity = 1 << 20};
        struct sluice_producer p;
        int r;

        if (argc != 5)
                return fprintf(stderr, "usage: camera NAME FRAMES WIDTH HEIGHT\n"), 2;
        r = sluice_producer_open(&p, argv[1], &o);
        if (r)
                return fprintf(stderr, "camera: %s\n", sluice_strerror(r)), 1;
        for (uint32_t i = 0; i < (uint32_t)atoi(argv[2]) && r == 0; i++)
                r = send_frame(&p, (size_t)atoi(argv[3]), (size_t)atoi(argv[4]), i);
        if (r)
                fprintf(stderr, "camera: %s\n", sluice_strerror(r));
        sluice_producer_close(&p);
        return r != 0;
}
