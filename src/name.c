/* SPDX-License-Identifier: MIT */
/*
 * From the name of a queue to its path or key, and the user's own
 * directory, where bare words live.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

static int parse_key(struct sluice_priv_name *n, const char *digits)
{
        char *end;
        unsigned long key;

        if (*digits < '0' || *digits > '9')
                return -EINVAL;
        errno = 0;
        key = strtoul(digits, &end, 0);
        if (*end != '\0' || errno != 0 || key == 0 || key > UINT_MAX)
                return -EINVAL; /* 0 is IPC_PRIVATE */
        n->is_key = true;
        n->key = (key_t)(unsigned)key;
        snprintf(n->path, sizeof n->path, "key:0x%lx", key);
        return 0;
}

/* Where bare words live. own: a folder of ours in a shared one. */
static int user_dir(char *path, size_t size, bool *own)
{
        /* Not in a set-user-ID program: its caller chose them. */
        const char *set = secure_getenv("SLUICE_DIR");
        const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
        int len;

        *own = !(set && *set);
        if (!*own)
                len = snprintf(path, size, "%s", set);
        else if (runtime && *runtime == '/')
                len = snprintf(path, size, "%s/sluice", runtime);
        else
                len = snprintf(path, size, "/tmp/sluice-%lu", (unsigned long)geteuid());
        return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : 0;
}

/* No name that a directory of its own could be made and removed by. */
static bool is_dot(const char *name)
{
        return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int sluice_priv_name_parse(struct sluice_priv_name *n, const char *name)
{
        const char *base;
        size_t len, folder;
        int r;

        memset(n, 0, sizeof *n);
        if (!name || *name == '\0')
                return -EINVAL;
        if (strncmp(name, "key:", 4) == 0)
                return parse_key(n, name + 4);
        len = strlen(name);
        if (len > SLUICE_NAME_MAX)
                return -ENAMETOOLONG;
        if (strchr(name, '/')) {
                memcpy(n->path, name, len + 1);
                while (len > 1 && n->path[len - 1] == '/')
                        n->path[--len] = '\0'; /* "link/" would follow the link */
                base = strrchr(n->path, '/');
                return is_dot(base ? base + 1 : n->path) || strcmp(n->path, "/") == 0 ? -EINVAL : 0;
        }
        if (is_dot(name))
                return -EINVAL;
        r = user_dir(n->path, sizeof n->path, &n->in_user_dir);
        if (r)
                return r;
        folder = strlen(n->path);
        if (folder + 1 + len > SLUICE_NAME_MAX)
                return -ENAMETOOLONG;
        n->path[folder] = '/';
        memcpy(n->path + folder + 1, name, len + 1);
        return 0;
}

/* Ours alone, or a stranger could lay out queues for us. */
static int dir_check(const char *path)
{
        struct stat st;

        if (lstat(path, &st) != 0)
                return -errno;
        if (!S_ISDIR(st.st_mode))
                return S_ISLNK(st.st_mode) ? -ELOOP : -ENOTDIR;
        return st.st_uid != geteuid() || (st.st_mode & 022) != 0 ? -EPERM : 0;
}

/* 0700 under any umask. 1: made, 0: it was there. -ESTALE: it was made,
 * and removed by another at once. */
int sluice_priv_dir_make(const char *path)
{
        struct stat st;

        if (mkdir(path, 0700) != 0)
                return errno == EEXIST ? 0 : -errno;
        if (lstat(path, &st) != 0 ||
            (S_ISDIR(st.st_mode) && (st.st_mode & 0700) != 0700 && chmod(path, 0700) != 0)) {
                const int r = errno == ENOENT ? -ESTALE : -errno;

                if (r != -ESTALE)
                        rmdir(path);
                return r;
        }
        return 1;
}

int sluice_priv_user_dir_make(void)
{
        char path[SLUICE_NAME_MAX + 1];
        bool own;
        int r = user_dir(path, sizeof path, &own);

        if (r || !own)
                return r;
        r = sluice_priv_dir_make(path);
        return r < 0 ? r : dir_check(path);
}

int sluice_priv_user_dir_check(void)
{
        char path[SLUICE_NAME_MAX + 1];
        bool own;
        const int r = user_dir(path, sizeof path, &own);

        return r || !own ? r : dir_check(path);
}

void sluice_priv_user_dir_unmake(void)
{
        char path[SLUICE_NAME_MAX + 1];
        bool own;

        if (user_dir(path, sizeof path, &own) == 0 && own && dir_check(path) == 0)
                rmdir(path); /* fails while it holds anything */
}
