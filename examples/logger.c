/* SPDX-License-Identifier: MIT */
/* `logger DIR/ TEXT...` sends lines, `logger DIR` reads those of all programs, merged
 * by time, until all have ended: also the last lines of one that was killed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/group.h>

static struct line {
        int64_t ns; /* when it was sent */
        char text[120];
} lines[4096];
static size_t count;
static int senders;

static int take(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        senders += (event == SLUICE_JOINED) - (event == SLUICE_ENDED || event == SLUICE_DIED);
        if (event == SLUICE_MESSAGE && message->len == sizeof *lines)
                memcpy(&lines[count++], message->data, sizeof *lines);
        return ctx || !m || count == 4096; /* full: stop */
}

static int by_time(const void *a, const void *b)
{
        return ((const struct line *)a)->ns < ((const struct line *)b)->ns ? -1 : 1;
}

int main(int argc, char **argv)
{
        const struct sluice_options o = SLUICE_OPTIONS(.flags = SLUICE_CREATE);
        struct sluice_producer p;
        struct sluice_group *g;

        if (argc > 2 && sluice_producer_open(&p, argv[1], &o) != 0)
                return 1;
        for (int i = 2; i < argc; i++) {
                lines->ns = sluice_now_ns();
                snprintf(lines->text, sizeof lines->text, "%s", argv[i]);
                if (sluice_send(&p, lines, sizeof *lines, SLUICE_FOREVER) != 0)
                        return 1;
        }
        if (argc != 2) /* ends without a close, like a program that crashes */
                return argc < 2;
        if (sluice_group_create(&g, NULL) ||
            sluice_group_watch(g, argv[1], SLUICE_WATCH_REMOVE, NULL))
                return 1;
        do { /* what came within 100 ms is merged */
                count = 0;
                if (sluice_group_serve(g, take, NULL, 4096, sluice_after(SLUICE_SECOND / 10)) < 0)
                        return 1;
                qsort(lines, count, sizeof *lines, by_time);
                for (size_t i = 0; i < count; i++)
                        puts(lines[i].text);
        } while (count > 0 || senders > 0);
        return sluice_group_destroy(g);
}
