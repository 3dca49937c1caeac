/* SPDX-License-Identifier: MIT */
/*
 * producer [NAME [COUNT]]: sends COUNT numbered messages, each written
 * straight into the ring.
 *
 *      ./producer prices 10        in one terminal,
 *      ./consumer prices           in another, before or after
 */
#include <sluice.h>
#include <stdio.h>
#include <stdlib.h>

#define ROOM 64

int main(int argc, char **argv)
{
        const char *name = argc > 1 ? argv[1] : "example";
        const long count = argc > 2 ? atol(argv[2]) : 10;
        const struct sluice_options options = SLUICE_OPTIONS(.flags = SLUICE_CREATE);
        struct sluice_producer p;
        int r;

        r = sluice_producer_open(&p, name, &options);
        if (r) {
                fprintf(stderr, "producer: %s: %s\n", name, sluice_strerror(r));
                return 1;
        }
        for (long i = 1; i <= count && r == 0; i++) {
                void *payload;
                int len;

                r = sluice_reserve(&p, ROOM, &payload, SLUICE_FOREVER);
                if (r)
                        break;
                len = snprintf(payload, ROOM, "message %ld of %ld", i, count);
                r = sluice_commit(&p, (size_t)len); /* shorter than reserved: fine */
        }
        if (r)
                fprintf(stderr, "producer: %s: %s\n", name, sluice_strerror(r));
        sluice_producer_close(&p); /* the consumer drains, then sees -EPIPE */
        return r != 0;
}
