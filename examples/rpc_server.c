/* SPDX-License-Identifier: MIT */
/*
 * rpc_server [NAME]: answers each request with its text in capitals, until the
 * client has closed. Killed at any moment and started again, it goes on with
 * the request that it had not released.
 *
 *      ./rpc_server capitals             in one terminal,
 *      ./rpc_client capitals one two     in another, before or after
 */
#include <ctype.h>
#include <errno.h>
#include <sluice.h>
#include <stdio.h>

static int answer(struct sluice_channel *ch, const struct sluice_message *m)
{
        char reply[256];
        size_t len = m->len < sizeof reply ? m->len : sizeof reply;

        memcpy(reply, m->data, len); /* then look at it: the client may be hostile */
        for (size_t i = 0; i < len; i++)
                reply[i] = (char)toupper((unsigned char)reply[i]);
        /* A client that does not take its replies holds nobody up for long. */
        return sluice_reply(ch, m->tag, reply, len, sluice_after(1000000000));
}

int main(int argc, char **argv)
{
        const char *const name = argc > 1 ? argv[1] : "capitals";
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        struct sluice_channel ch;
        struct sluice_message m;
        int r;

        options.flags = SLUICE_CREATE;
        r = sluice_channel_open(&ch, name, SLUICE_SERVER, &options);
        if (r) {
                fprintf(stderr, "rpc_server: %s: %s\n", name, sluice_strerror(r));
                return 1;
        }
        for (;;) {
                r = sluice_peek(&ch.in, &m, SLUICE_FOREVER);
                if (r == -EOWNERDEAD)
                        continue; /* killed: the next call waits for another client */
                if (r)
                        break;
                if (answer(&ch, &m) != 0)
                        fprintf(stderr, "rpc_server: a reply was not taken\n");
                sluice_release(&ch.in); /* from now on the request does not come again */
        }
        sluice_channel_close(&ch);
        if (r == -EPIPE) /* the client has closed */
                return sluice_channel_remove(name) != 0;
        fprintf(stderr, "rpc_server: %s\n", sluice_strerror(r));
        return 1;
}
