/* SPDX-License-Identifier: MIT */
/*
 * sink FILE: appends each message to FILE, once, until `end`. A line is the message
 * and its position in the queue: so effect and position are stored in one step, and
 * whoever comes after a kill knows which message it has seen last.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sluice.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The last whole line of the file, less its newline; what is behind it is cut off. */
static int last_line(int fd, char *line, size_t cap)
{
        const off_t size = lseek(fd, 0, SEEK_END), from = size < 255 ? 0 : size - 255;
        char tail[256], *end, *begin;
        const ssize_t n = pread(fd, tail, sizeof tail - 1, from);

        if (n < 0)
                return -errno;
        tail[n] = '\0';
        end = strrchr(tail, '\n');
        if (ftruncate(fd, end ? from + (end - tail) + 1 : 0) != 0)
                return -errno;
        *(end ? end : tail) = '\0';
        begin = strrchr(tail, '\n');
        snprintf(line, cap, "%s", begin ? begin + 1 : tail);
        return 0;
}

static int append(int fd, const struct sluice_message *m)
{
        char line[128];
        const int n = snprintf(line, sizeof line, "%" PRIu64 " %.*s\n", m->position, (int)m->len,
                               (const char *)m->data);

        if (n < 0 || (size_t)n >= sizeof line)
                return -EMSGSIZE;
        return write(fd, line, (size_t)n) == n ? 0 : -EIO;
}

static int take_all(struct sluice_consumer *c, int fd)
{
        struct sluice_message m;
        char last[256];
        uint64_t seen = 0;
        int any, ended, r = last_line(fd, last, sizeof last);

        any = sscanf(last, "%" SCNu64, &seen) == 1;
        ended = any && strcmp(strchr(last, ' ') + 1, "end") == 0;
        while (r == 0 && !ended) {
                r = sluice_peek(c, &m, SLUICE_FOREVER);
                if (r == -EOWNERDEAD || r == -EPIPE) { /* its successor goes on */
                        r = 0;
                        continue;
                }
                if (r == 0 && (!any || m.position > seen)) /* else it has come again */
                        r = append(fd, &m);
                if (r == 0) {
                        ended = m.len == 3 && memcmp(m.data, "end", 3) == 0;
                        sluice_release(c);
                }
        }
        return r;
}

int main(int argc, char **argv)
{
        const struct sluice_options o = {.size = sizeof o, .flags = SLUICE_CREATE};
        const int fd = open(argc > 1 ? argv[1] : "readings.txt", O_RDWR | O_CREAT | O_APPEND, 0600);
        struct sluice_consumer c;
        int r = fd < 0 ? -errno : sluice_consumer_open(&c, "readings", &o);

        if (r)
                return fprintf(stderr, "sink: open: %s\n", sluice_strerror(r)), 1;
        r = take_all(&c, fd);
        if (r)
                fprintf(stderr, "sink: %s\n", sluice_strerror(r));
        sluice_consumer_close(&c);
        return r != 0 || close(fd) != 0;
}
