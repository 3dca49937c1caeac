/* SPDX-License-Identifier: MIT */
/* A server for many clients: a group that watches their channels. */
#include <errno.h>
#include <pthread.h>
#include <sluice.h>
#include <sluice/group.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct sluice_group *g;

static int answer(void *ctx, struct sluice_member *m, enum sluice_event event,
                  const struct sluice_message *request)
{
        int r = 0;

        if (event == SLUICE_MESSAGE)
                r = sluice_member_reply(m, request->tag, "pong", 4, SLUICE_NOW);
        if (r)
                printf("%s takes no replies\n", sluice_member_name(m));
        return ctx != NULL;
}

static void *serve(void *ctx)
{
        ssize_t r;

        do
                r = sluice_group_serve(g, answer, NULL, SIZE_MAX, SLUICE_FOREVER);
        while (r >= 0);
        return r == -ECANCELED ? NULL : ctx;
}

static int ask(void)
{
        const struct sluice_options o = SLUICE_OPTIONS(.flags = SLUICE_CREATE);
        struct sluice_channel ch;
        char reply[16];
        ssize_t n;
        int r;

        r = sluice_channel_open(&ch, "calls/", SLUICE_CLIENT, &o); /* one of its own */
        if (r)
                return r;
        n = sluice_call(&ch, "ping", 4, reply, sizeof reply, SLUICE_FOREVER);
        sluice_channel_close(&ch);
        return n == 4 && memcmp(reply, "pong", 4) == 0 ? 0 : -1;
}

int main(void)
{
        void *failed = &g;
        pthread_t t;
        int r = mkdir("calls", 0700);

        if (r == 0)
                r = sluice_group_create(&g, NULL);
        if (r == 0)
                r = sluice_group_watch(g, "calls", SLUICE_WATCH_CHANNELS | SLUICE_WATCH_REMOVE,
                                       NULL);
        if (r || pthread_create(&t, NULL, serve, &g) != 0)
                return 1;
        for (int i = 0; i < 3 && r == 0; i++)
                r = ask();
        while (rmdir("calls") != 0 && errno == ENOTEMPTY) /* until their channels are gone */
                sched_yield();
        sluice_group_interrupt(g);
        pthread_join(t, &failed);
        return r || failed || sluice_group_destroy(g) != 0;
}
