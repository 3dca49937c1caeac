/* SPDX-License-Identifier: MIT */
/*
 * Names of queues: the path or key that a name stands for, and the user's own
 * directory, which contains the queues of bare words.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "name.h"

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

static int user_dir(char *path, size_t size, bool *own)
{
        const char *variable;
        const int len = sluice_priv_user_dir(path, size, &variable, own);

        return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : 0;
}

/* A word, in the user's own directory. */
static int parse_bare(struct sluice_priv_name *n, const char *name, size_t len)
{
        const int r = user_dir(n->path, sizeof n->path, &n->in_user_dir);
        const size_t directory = r == 0 ? strlen(n->path) : 0;

        if (r)
                return r;
        if (directory + 1 + len > SLUICE_NAME_MAX)
                return -ENAMETOOLONG;
        n->path[directory] = '/';
        memcpy(n->path + directory + 1, name, len + 1);
        return 0;
}

int sluice_priv_name_parse(struct sluice_priv_name *n, const char *name)
{
        memset(n, 0, sizeof *n);
        if (!name || *name == '\0')
                return -EINVAL;
        if (sluice_priv_name_is_key(name))
                return parse_key(n, name + 4);
        if (strlen(name) > SLUICE_NAME_MAX)
                return -ENAMETOOLONG;
        if (sluice_priv_name_is_dots(name))
                return -EINVAL;
        if (sluice_priv_name_is_bare(name))
                return parse_bare(n, name, strlen(name));
        memcpy(n->path, name, sluice_priv_name_len(name));
        return 0;
}

/* Only we may write to it, or another user could put queues there. */
static int dir_check(const char *path)
{
        struct stat st;

        if (lstat(path, &st) != 0)
                return -errno;
        if (!S_ISDIR(st.st_mode))
                return S_ISLNK(st.st_mode) ? -ELOOP : -ENOTDIR;
        return st.st_uid != geteuid() || (st.st_mode & 022) != 0 ? -EPERM : 0;
}

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

/* The user's directory, of the path of a bare word. */
static void parent_of(const struct sluice_priv_name *n, char path[SLUICE_NAME_MAX + 1])
{
        memcpy(path, n->path, sizeof n->path);
        *strrchr(path, '/') = '\0';
}

int sluice_priv_user_dir_make(const struct sluice_priv_name *n)
{
        char path[SLUICE_NAME_MAX + 1];
        int r;

        parent_of(n, path);
        r = sluice_priv_dir_make(path);
        return r < 0 ? r : dir_check(path);
}

int sluice_priv_user_dir_check(const struct sluice_priv_name *n)
{
        char path[SLUICE_NAME_MAX + 1];

        parent_of(n, path);
        return dir_check(path);
}

void sluice_priv_user_dir_unmake(void)
{
        char path[SLUICE_NAME_MAX + 1];
        bool own;

        if (user_dir(path, sizeof path, &own) == 0 && own && dir_check(path) == 0)
                rmdir(path); /* fails while it is not empty */
}
