/* SPDX-License-Identifier: MIT */
/*
 * rpc_server DIR: answers the requests of any number of clients with their text in
 * capitals, until SIGTERM or SIGINT. Each client makes a channel in DIR, which goes
 * with it, however it ends. A server that is killed and started again goes on with
 * the requests that it had not released.
 *
 *      mkdir capitals
 *      ./rpc_server capitals              in one terminal,
 *      ./rpc_client capitals/ one two     in any number of others, before or after
 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <sluice/group.h>
#include <stdio.h>
#include <string.h>

static struct sluice_group *group;

static void stop(int signal)
{
        (void)signal;
        sluice_group_interrupt(group);
}

static int answer(void *ctx, struct sluice_member *m, enum sluice_event event,
                  const struct sluice_message *request)
{
        char reply[256];
        size_t len;

        if (event != SLUICE_MESSAGE || ctx)
                return 0;
        len = request->len < sizeof reply ? request->len : sizeof reply;
        memcpy(reply, request->data, len); /* then look at it: a client may be hostile */
        for (size_t i = 0; i < len; i++)
                reply[i] = (char)toupper((unsigned char)reply[i]);
        /* A client that does not take its replies holds up nobody. */
        if (sluice_member_reply(m, request->tag, reply, len, SLUICE_NOW) != 0)
                fprintf(stderr, "%s: a reply was not taken\n", sluice_member_name(m));
        return 0; /* released: from now on the request does not come again */
}

int main(int argc, char **argv)
{
        ssize_t r = sluice_group_create(&group, NULL);

        if (r == 0)
                r = sluice_group_watch(group, argc > 1 ? argv[1] : ".",
                                       SLUICE_WATCH_CHANNELS | SLUICE_WATCH_REMOVE, NULL);
        signal(SIGTERM, stop);
        signal(SIGINT, stop);
        while (r >= 0)
                r = sluice_group_serve(group, answer, NULL, SIZE_MAX, SLUICE_FOREVER);
        if (r != -ECANCELED)
                return fprintf(stderr, "rpc_server: %s\n", sluice_strerror(r)), 1;
        return sluice_group_destroy(group);
}
