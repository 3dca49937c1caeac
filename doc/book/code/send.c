/* SPDX-License-Identifier: MIT */
/* send COUNT: numbered readings, into the queue `readings`. */
#include <sluice.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
        const struct sluice_options o = {.size = sizeof o, .flags = SLUICE_CREATE};
        const long count = argc > 1 ? atol(argv[1]) : 3;
        struct sluice_producer p;
        char text[32];
        int r = sluice_producer_open(&p, "readings", &o);

        if (r)
                return fprintf(stderr, "send: open: %s\n", sluice_strerror(r)), 1;
        for (long i = 1; i <= count && r == 0; i++) {
                const int len = snprintf(text, sizeof text, "reading %ld", i);

                r = sluice_send(&p, text, (size_t)len, SLUICE_FOREVER);
        }
        if (r)
                fprintf(stderr, "send: %s\n", sluice_strerror(r));
        sluice_producer_close(&p);
        return r != 0;
}
