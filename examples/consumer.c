/* SPDX-License-Identifier: MIT */
/*
 * consumer [NAME]: prints messages, each on a line, until the producer
 * closes. A producer that dies is waited for: its successor continues where
 * it stopped. See producer.c and resume.c.
 */
#include <errno.h>
#include <sluice.h>
#include <stdio.h>

int main(int argc, char **argv)
{
        const char *name = argc > 1 ? argv[1] : "example";
        const struct sluice_options options = SLUICE_OPTIONS(.flags = SLUICE_CREATE);
        struct sluice_consumer c;
        struct sluice_message m;
        int r;

        r = sluice_consumer_open(&c, name, &options);
        if (r) {
                fprintf(stderr, "consumer: %s: %s\n", name, sluice_strerror(r));
                return 1;
        }
        for (;;) {
                r = sluice_peek(&c, &m, SLUICE_FOREVER);
                if (r == -EOWNERDEAD) { /* dead, and all that it published is drained */
                        fprintf(stderr, "consumer: %s\n", sluice_strerror(r));
                        r = sluice_consumer_await_peer(&c, SLUICE_FOREVER);
                        if (r == 0)
                                continue;
                }
                if (r)
                        break;
                fwrite(m.data, 1, m.len, stdout); /* in place: no copy was made */
                putchar('\n');
                sluice_release(&c); /* from here on m.data is the producer's again */
        }
        sluice_consumer_close(&c);
        if (r != -EPIPE) {
                fprintf(stderr, "consumer: %s: %s\n", name, sluice_strerror(r));
                return 1;
        }
        /* The stream is over. One of the two removes the queue: here this one. */
        return sluice_remove(name) != 0;
}
