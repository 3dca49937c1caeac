/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_SRC_NAME_H
#define SLUICE_SRC_NAME_H
/*
 * How the name of a queue is read (sluice/queue.h: Names). Shared by the
 * library, which opens the queue, and the command, which explains why a queue
 * could not be opened.
 */
#ifndef _GNU_SOURCE
#error "name.h needs _GNU_SOURCE"
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The queues in the directory of a channel. */
#define SLUICE_PRIV_REQUEST "request"
#define SLUICE_PRIV_REPLY   "reply"

static inline bool sluice_priv_name_is_key(const char *name)
{
        return strncmp(name, "key:", 4) == 0;
}

/* Neither a key nor a path: a word in the user's own directory. */
static inline bool sluice_priv_name_is_bare(const char *name)
{
        return !sluice_priv_name_is_key(name) && !strchr(name, '/');
}

/* Of a queue, or a channel, of its own in a directory: unique.c makes it of these. */
#define SLUICE_PRIV_UNIQUE_FORMAT "%d-%08x"

static inline bool sluice_priv_name_is_unique(const char *name, size_t len)
{
        const size_t digits = strspn(name, "0123456789");

        return digits > 0 && len == digits + 9 && name[digits] == '-' &&
               strspn(name + digits + 1, "0123456789abcdef") == 8;
}

/* "link/" would follow the link. */
static inline size_t sluice_priv_name_len(const char *name)
{
        size_t len = strlen(name);

        while (len > 1 && name[len - 1] == '/')
                len--;
        return len;
}

/* The last part of the path is "." or "..", or there is none: a queue's
 * directory could not be made and removed by that name. */
static inline bool sluice_priv_name_is_dots(const char *name)
{
        const size_t len = sluice_priv_name_len(name);
        size_t dots = 0;

        if (len == 1 && *name == '/')
                return true;
        while (dots < len && name[len - 1 - dots] == '.')
                dots++;
        return (dots == 1 || dots == 2) && (dots == len || name[len - 1 - dots] == '/');
}

/* The directory of bare words. variable: of the environment, that it comes
 * from, or NULL. own: it is a directory of ours inside a shared one. Returns
 * its length, as snprintf(3). */
static inline int sluice_priv_user_dir(char *path, size_t size, const char **variable, bool *own)
{
        /* Ignored in a set-user-ID program, whose caller has set them. */
        const char *const set = secure_getenv("SLUICE_DIR");
        const char *const runtime = secure_getenv("XDG_RUNTIME_DIR");

        *own = !(set && *set);
        *variable = *own ? "XDG_RUNTIME_DIR" : "SLUICE_DIR";
        if (!*own)
                return snprintf(path, size, "%s", set);
        if (runtime && *runtime == '/')
                return snprintf(path, size, "%s/sluice", runtime);
        *variable = NULL;
        return snprintf(path, size, "/tmp/sluice-%lu", (unsigned long)geteuid());
}

#endif
