/* SPDX-License-Identifier: MIT */
/* newest NAME: the newest message of a queue, then the next newest, until its end. */
#include <errno.h>
#include <sluice.h>
#include <stdio.h>

int main(int argc, char **argv)
{
        struct sluice_consumer c;
        struct sluice_message m;
        int r = sluice_consumer_open(&c, argc > 1 ? argv[1] : "feed", NULL);

        if (r)
                return fprintf(stderr, "newest: %s\n", sluice_strerror(r)), 1;
        while ((r = sluice_peek_latest(&c, &m, SLUICE_FOREVER)) == 0) {
                printf("%.*s\n", (int)m.len, (const char *)m.data);
                sluice_release(&c);
        }
        printf("%llu messages, %s\n", (unsigned long long)sluice_consumer_messages(&c),
               r == -EPIPE ? "the feed has ended" : sluice_strerror(r));
        sluice_consumer_close(&c);
        return r != -EPIPE;
}
