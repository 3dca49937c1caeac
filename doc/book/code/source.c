/* SPDX-License-Identifier: MIT */
/*
 * source COUNT: numbered readings, then `end`. Started again after a kill it goes on
 * where it was: the queue knows how many messages were published.
 */
#include <errno.h>
#include <sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The receiver may have died or closed: its successor gets what is sent now. */
static int send_text(struct sluice_producer *p, const char *text)
{
        int r;

        do
                r = sluice_send(p, text, strlen(text), SLUICE_FOREVER);
        while (r == -EOWNERDEAD || r == -EPIPE);
        return r;
}

int main(int argc, char **argv)
{
        const struct sluice_options o = {.size = sizeof o, .flags = SLUICE_CREATE};
        const unsigned long long count = argc > 1 ? strtoull(argv[1], NULL, 10) : 3;
        unsigned long long done;
        struct sluice_producer p;
        char text[40];
        int r = sluice_producer_open(&p, "readings", &o);

        if (r)
                return fprintf(stderr, "source: open: %s\n", sluice_strerror(r)), 1;
        done = sluice_producer_messages(&p); /* exact, whoever died where */
        if (done)
                fprintf(stderr, "source: %llu are sent already\n", done);
        for (; done < count && r == 0; done++) {
                snprintf(text, sizeof text, "reading %llu", done + 1);
                r = send_text(&p, text);
        }
        if (done == count && r == 0)
                r = send_text(&p, "end");
        if (r)
                fprintf(stderr, "source: %s\n", sluice_strerror(r));
        sluice_producer_close(&p);
        return r != 0;
}
