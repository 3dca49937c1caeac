/* SPDX-License-Identifier: MIT */
/* Three senders, one reader: a group that watches their directory. */
#include <errno.h>
#include <sluice/group.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct sluice_group *g;
static int received, ended;

static int take(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        if (event == SLUICE_MESSAGE) /* in place, released when this returns */
                printf("%s: %.*s\n", sluice_member_name(m), (int)message->len,
                       (const char *)message->data);
        received += event == SLUICE_MESSAGE && ctx == NULL;
        if (event == SLUICE_ENDED && ++ended == 3)
                sluice_group_interrupt(g);
        return 0;
}

static int send_lines(void)
{
        const struct sluice_options o = SLUICE_OPTIONS(.flags = SLUICE_CREATE);
        struct sluice_producer p;
        int r = sluice_producer_open(&p, "logs/", &o); /* a queue of its own */

        for (int i = 0; i < 10 && r == 0; i++)
                r = sluice_send(&p, "a line", 6, SLUICE_FOREVER);
        sluice_producer_close(&p);
        return r;
}

int main(void)
{
        ssize_t r = mkdir("logs", 0700);

        for (int i = 0; i < 3 && r == 0; i++)
                r = send_lines();
        if (r == 0)
                r = sluice_group_create(&g, NULL);
        if (r == 0)
                r = sluice_group_watch(g, "logs", SLUICE_WATCH_REMOVE, NULL);
        while (r >= 0)
                r = sluice_group_serve(g, take, NULL, SIZE_MAX, SLUICE_FOREVER);
        if (r != -ECANCELED)
                return fprintf(stderr, "%s\n", sluice_strerror(r)), 1;
        return received != 30 || sluice_group_destroy(g) != 0;
}
