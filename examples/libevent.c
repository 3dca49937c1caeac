/* SPDX-License-Identifier: MIT */
/*
 * libevent [NAME]: a consumer in a libevent loop (-levent_core). At most 64
 * messages a turn leave the loop to others; an event made active comes back.
 */
#define _GNU_SOURCE
#include <event2/event.h>
#include <sluice.h>
#include <stdio.h>

static struct sluice_consumer consumer;
static struct event *readable;

static int print(void *ctx, const struct sluice_message *m)
{
        (void)ctx;
        return printf("%.*s\n", (int)m->len, (const char *)m->data) < 0 ? -1 : 0;
}

static void look(evutil_socket_t fd, short what, void *base)
{
        ssize_t n;

        (void)fd, (void)what;
        sluice_consumer_disarm(&consumer);
        n = sluice_drain(&consumer, print, NULL, 64);
        if (n < 0) { /* -EPIPE: closed and drained */
                fprintf(stderr, "libevent: %s\n", sluice_strerror((int)n));
                event_base_loopbreak(base);
        } else if (sluice_consumer_arm(&consumer) != 0) {
                event_active(readable, EV_READ, 0); /* there is more, and nothing is armed */
        }
}

int main(int argc, char **argv)
{
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct event_base *base = event_base_new();
        int r;

        options.flags = SLUICE_CREATE;
        options.wake = SLUICE_WAKE_FIFO;
        r = sluice_consumer_open(&consumer, argc > 1 ? argv[1] : "example", &options);
        if (r)
                return fprintf(stderr, "libevent: %s\n", sluice_strerror(r)), 1;
        if (base != NULL)
                readable = event_new(base, sluice_consumer_fd(&consumer), EV_READ | EV_PERSIST,
                                     look, base);
        if (readable == NULL || event_add(readable, NULL) != 0)
                return fprintf(stderr, "libevent: no loop\n"), 1;
        event_active(readable, EV_READ, 0); /* the first look */
        event_base_dispatch(base);
        event_free(readable);
        event_base_free(base);
        return sluice_consumer_close(&consumer) ? 1 : 0;
}
