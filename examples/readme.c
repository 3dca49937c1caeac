/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sluice.h>
#include <stdio.h>
#include <string.h>

static const struct sluice_options o = {
        .size = sizeof o,
        .flags = SLUICE_CREATE,
};

static int send_text(const char *text)
{
        struct sluice_producer p;
        int r = sluice_producer_open(&p, "hello", &o);

        if (r)
                return r;
        r = sluice_send(&p, text, strlen(text), SLUICE_FOREVER);
        sluice_producer_close(&p);
        return r;
}

static int print_all(void)
{
        struct sluice_consumer c;
        struct sluice_message m;
        int r = sluice_consumer_open(&c, "hello", &o);

        if (r)
                return r;
        while (!(r = sluice_peek(&c, &m, SLUICE_FOREVER))) {
                /* in place, no copy */
                printf("%.*s\n", (int)m.len, (const char *)m.data);
                sluice_release(&c);
        }
        sluice_consumer_close(&c);
        if (r != -EPIPE) /* not the end */
                return r;
        return sluice_remove("hello");
}

int main(int argc, char **argv)
{
        int r = argc > 1 ? send_text(argv[1]) : print_all();

        if (r)
                fprintf(stderr, "hello: %s\n", sluice_strerror(r));
        return r != 0;
}
