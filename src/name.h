/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_SRC_NAME_H
#define SLUICE_SRC_NAME_H
/*
 * How the name of a queue is read, see sluice/queue.h: Names. Written once:
 * for the library, which opens it, and for the command, which explains why it
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

static inline bool sluice_priv_name_is_key(const char *name)
{
        return strncmp(name, "key:", 4) == 0;
}

/* Neither a key nor a path: a word in the user's own directory. */
static inline bool sluice_priv_name_is_bare(const char *name)
{
        return !sluice_priv_name_is_key(name) && !strchr(name, '/');
}

/* "link/" would follow the link. */
static inline size_t sluice_priv_name_len(const char *name)
{
        size_t len = strlen(name);

        while (len > 1 && name[len - 1] == '/')
                len--;
        return len;
}

/* Its last part is "." or "..", or it has none: no directory of its own could
 * be made and removed by that name. */
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

/* Where bare words live. variable: that it comes from; NULL: none. own: a
 * directory of ours in a shared one. Returns its length, as snprintf(3). */
static inline int sluice_priv_user_dir(char *path, size_t size, const char **variable, bool *own)
{
        /* Not in a set-user-ID program: its caller chose them. */
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
