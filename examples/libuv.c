/* SPDX-License-Identifier: MIT */
/*
 * libuv [NAME]: a consumer in a libuv loop (-luv). At most 64 messages a
 * turn leave the loop to others; an idle handle keeps it turning for more.
 */
#define _GNU_SOURCE
#include <sluice.h>
#include <stdio.h>
#include <uv.h>

static struct sluice_consumer consumer;
static uv_idle_t more;

static int print(void *ctx, const struct sluice_message *m)
{
        (void)ctx;
        return printf("%.*s\n", (int)m->len, (const char *)m->data) < 0 ? -1 : 0;
}

static void look(uv_idle_t *idle)
{
        ssize_t n;

        sluice_consumer_disarm(&consumer);
        n = sluice_drain(&consumer, print, NULL, 64);
        if (n < 0) { /* -EPIPE: closed and drained */
                fprintf(stderr, "libuv: %s\n", sluice_strerror(n));
                uv_stop(idle->loop);
        } else if (sluice_consumer_arm(&consumer) == 0) {
                uv_idle_stop(idle); /* the descriptor will wake us */
        } else {
                uv_idle_start(idle, look);
        }
}

static void on_descriptor(uv_poll_t *handle, int status, int events)
{
        (void)handle, (void)status, (void)events, look(&more);
}

int main(int argc, char **argv)
{
        const struct sluice_options options =
                SLUICE_OPTIONS(.flags = SLUICE_CREATE, .wake = SLUICE_WAKE_FIFO);
        uv_loop_t *loop = uv_default_loop();
        uv_poll_t descriptor;
        int r;

        r = sluice_consumer_open(&consumer, argc > 1 ? argv[1] : "example", &options);
        if (r)
                return fprintf(stderr, "libuv: %s\n", sluice_strerror(r)), 1;
        uv_idle_init(loop, &more);
        uv_poll_init(loop, &descriptor, sluice_consumer_fd(&consumer));
        uv_poll_start(&descriptor, UV_READABLE | UV_DISCONNECT, on_descriptor);
        look(&more);
        uv_run(loop, UV_RUN_DEFAULT);
        return sluice_consumer_close(&consumer) ? 1 : 0;
}
