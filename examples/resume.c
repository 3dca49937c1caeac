/* SPDX-License-Identifier: MIT */
/*
 * resume NAME FILE: sends the lines of FILE, line n as message n. Kill it at
 * any moment and start it again: the queue knows how many messages were ever
 * published in it, so the successor skips that many lines. No line is lost
 * and none is sent twice. See consumer.c.
 */
#define _POSIX_C_SOURCE 200809L
#include <sluice.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
        const struct sluice_options options = SLUICE_OPTIONS(.flags = SLUICE_CREATE);
        struct sluice_producer p;
        uint64_t line, sent;
        char *text = NULL;
        size_t room = 0;
        ssize_t len;
        FILE *file;
        int r;

        file = argc == 3 ? fopen(argv[2], "r") : NULL;
        if (!file) {
                fprintf(stderr, "usage: resume NAME FILE\n");
                return 2;
        }
        r = sluice_producer_open(&p, argv[1], &options);
        if (r) {
                fprintf(stderr, "resume: %s: %s\n", argv[1], sluice_strerror(r));
                return 1;
        }
        sent = sluice_producer_messages(&p); /* exact, even after SIGKILL */
        fprintf(stderr, "resume: %llu lines are there already\n", (unsigned long long)sent);
        for (line = 0; r == 0 && (len = getline(&text, &room, file)) > 0; line++) {
                if (line < sent)
                        continue;
                if (text[len - 1] == '\n')
                        len--;
                r = sluice_send(&p, text, (size_t)len, SLUICE_FOREVER);
        }
        if (r)
                fprintf(stderr, "resume: line %llu: %s\n", (unsigned long long)line,
                        sluice_strerror(r));
        sluice_producer_close(&p);
        fclose(file);
        free(text);
        return r != 0;
}
