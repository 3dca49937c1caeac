/* SPDX-License-Identifier: MIT */
/*
 * rpc_client DIR/ TEXT...: calls rpc_server for each text and prints the reply, by a
 * channel of its own in this directory. A server that dies or does not reply in time
 * is called again: so a request may be served twice, and its late reply is dropped.
 */
#include <errno.h>
#include <sluice.h>
#include <stdio.h>

static ssize_t ask(struct sluice_channel *ch, const char *text, char *reply, size_t cap)
{
        for (;;) {
                const ssize_t n = sluice_call(ch, text, strlen(text), reply, cap,
                                              sluice_after(2 * SLUICE_SECOND));

                if (n != -EOWNERDEAD && n != -ETIMEDOUT)
                        return n;
                fprintf(stderr, "rpc_client: %s: once more\n", sluice_strerror(n));
        }
}

int main(int argc, char **argv)
{
        const struct sluice_options options = SLUICE_OPTIONS(.flags = SLUICE_CREATE);
        struct sluice_channel ch;
        char reply[256];
        ssize_t n = 0;
        int r;

        if (argc < 2)
                return fprintf(stderr, "usage: rpc_client DIR/ TEXT...\n"), 2;
        r = sluice_channel_open(&ch, argv[1], SLUICE_CLIENT, &options);
        if (r) {
                fprintf(stderr, "rpc_client: %s: %s\n", argv[1], sluice_strerror(r));
                return 1;
        }
        for (int i = 2; i < argc && n >= 0; i++) {
                n = ask(&ch, argv[i], reply, sizeof reply);
                if (n >= 0)
                        printf("%.*s\n", (int)n, reply);
        }
        if (n < 0)
                fprintf(stderr, "rpc_client: %s\n", sluice_strerror(n));
        sluice_channel_close(&ch);
        return n < 0;
}
