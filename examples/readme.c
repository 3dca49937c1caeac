/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sluice.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what, int r)
{
        fprintf(stderr, "%s: %s\n", what, sluice_strerror(r));
        return 1;
}

static int send_text(const char *text, const struct sluice_options *options)
{
        struct sluice_producer p;
        int r = sluice_producer_open(&p, "hello", options);

        if (r)
                return fail("open", r);
        r = sluice_send(&p, text, strlen(text), SLUICE_FOREVER);
        sluice_producer_close(&p);
        return r ? fail("send", r) : 0;
}

static int print_all(const struct sluice_options *options)
{
        struct sluice_consumer c;
        struct sluice_message m;
        int r = sluice_consumer_open(&c, "hello", options);

        if (r)
                return fail("open", r);
        while ((r = sluice_peek(&c, &m, SLUICE_FOREVER)) == 0) {
                printf("%.*s\n", (int)m.len, (const char *)m.data); /* in place, no copy */
                sluice_release(&c);
        }
        sluice_consumer_close(&c);
        if (r != -EPIPE) /* -EPIPE: the producer has closed, and all is received */
                return fail("receive", r);
        r = sluice_remove("hello");
        return r ? fail("remove", r) : 0;
}

int main(int argc, char **argv)
{
        const struct sluice_options o = SLUICE_OPTIONS(.flags = SLUICE_CREATE);

        return argc > 1 ? send_text(argv[1], &o) : print_all(&o);
}
