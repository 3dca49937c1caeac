/* SPDX-License-Identifier: MIT */
/*
 * glib [NAME]: a consumer as a source of a GLib main loop (glib-2.0), and so of
 * GTK's. Armed whenever the loop may sleep. 64 messages a turn at most.
 */
#define _GNU_SOURCE
#include <glib.h>
#include <sluice.h>
#include <stdio.h>

static struct sluice_consumer consumer;
static GMainLoop *loop;

static int print(void *ctx, const struct sluice_message *m)
{
        (void)ctx;
        return printf("%.*s\n", (int)m->len, (const char *)m->data) < 0 ? -1 : 0;
}

static gboolean prepare(GSource *source, gint *timeout_ms)
{
        (void)source, *timeout_ms = -1;
        return sluice_consumer_arm(&consumer) != 0; /* there is something: do not sleep */
}

/* Without a check of its own: what GLib sees of the descriptor decides. */
static gboolean dispatch(GSource *source, GSourceFunc unused, gpointer data)
{
        ssize_t n;

        (void)source, (void)unused, (void)data;
        sluice_consumer_disarm(&consumer);
        n = sluice_drain(&consumer, print, NULL, 64);
        if (n >= 0)
                return G_SOURCE_CONTINUE;
        fprintf(stderr, "glib: %s\n", sluice_strerror((int)n)); /* -EPIPE: closed and drained */
        g_main_loop_quit(loop);
        return G_SOURCE_REMOVE;
}

int main(int argc, char **argv)
{
        static GSourceFuncs calls = {.prepare = prepare, .dispatch = dispatch};
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        GSource *source = g_source_new(&calls, sizeof *source);
        int r;

        options.flags = SLUICE_CREATE;
        options.wake = SLUICE_WAKE_FIFO;
        r = sluice_consumer_open(&consumer, argc > 1 ? argv[1] : "example", &options);
        if (r)
                return fprintf(stderr, "glib: %s\n", sluice_strerror(r)), 1;
        g_source_add_unix_fd(source, sluice_consumer_fd(&consumer), G_IO_IN);
        g_source_attach(source, NULL);
        loop = g_main_loop_new(NULL, FALSE);
        g_main_loop_run(loop);
        g_source_unref(source), g_main_loop_unref(loop);
        return sluice_consumer_close(&consumer) ? 1 : 0;
}
