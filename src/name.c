/* SPDX-License-Identifier: MIT */
/*
 * From the name of a queue to its folder and its System V keys. The
 * folder is opened once, without following a link, and everything else
 * goes through that descriptor, so that nobody can put another folder
 * in its place in between.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
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
        const char *set = getenv("SLUICE_DIR"), *runtime = getenv("XDG_RUNTIME_DIR");
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

int sluice_priv_name_parse(struct sluice_priv_name *n, const char *name)
{
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
                return len == 1 && *n->path == '/' ? -EINVAL : 0;
        }
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
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
static int user_dir_check(const char *path)
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
static int make_folder(const char *path)
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

static int user_dir_make(void)
{
        char path[SLUICE_NAME_MAX + 1];
        bool own;
        int r = user_dir(path, sizeof path, &own);

        if (r || !own)
                return r;
        r = make_folder(path);
        return r < 0 ? r : user_dir_check(path);
}

void sluice_priv_user_dir_unmake(void)
{
        char path[SLUICE_NAME_MAX + 1];
        bool own;

        if (user_dir(path, sizeof path, &own) == 0 && own && user_dir_check(path) == 0)
                rmdir(path); /* fails while it holds anything */
}

static int open_folder(struct sluice_priv_place *place, const struct sluice_priv_name *n)
{
        struct stat st;

        place->dirfd = open(n->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (place->dirfd < 0) {
                const int r = -errno;

                /* With O_DIRECTORY a link is ENOTDIR on some kernels. */
                if (r == -ENOTDIR && lstat(n->path, &st) == 0 && S_ISLNK(st.st_mode))
                        return -ELOOP;
                return r;
        }
        if (fstat(place->dirfd, &place->st) != 0) {
                const int r = -errno;

                sluice_priv_place_close(place);
                return r;
        }
        return 0;
}

int sluice_priv_place_open(struct sluice_priv_place *place, const struct sluice_priv_name *n)
{
        char dir[SLUICE_NAME_MAX + 1];
        int r;

        memset(place, 0, sizeof *place);
        place->name = n;
        place->dirfd = -1;
        if (n->is_key)
                return 0;
        if (n->in_user_dir) {
                bool own;

                r = user_dir(dir, sizeof dir, &own);
                if (r == 0)
                        r = user_dir_check(dir);
                if (r)
                        return r;
        }
        return open_folder(place, n);
}

int sluice_priv_place_make(struct sluice_priv_place *place, const struct sluice_priv_name *n)
{
        int r;

        memset(place, 0, sizeof *place);
        place->name = n;
        place->dirfd = -1;
        if (n->is_key)
                return 0;
        if (n->in_user_dir) {
                r = user_dir_make();
                if (r)
                        return r;
        }
        r = make_folder(n->path);
        if (r < 0)
                return r;
        place->made = r > 0;
        r = open_folder(place, n);
        if (r == -ENOENT)
                return -ESTALE; /* it was there */
        if (r && place->made)
                rmdir(n->path);
        return r;
}

static void pause_ms(void)
{
        const struct timespec ms = {0, 1000000};

        nanosleep(&ms, NULL);
}

/* Creators and removers of one folder take turns. -ESTALE: the folder
 * was removed meanwhile, open it again. */
int sluice_priv_place_lock(struct sluice_priv_place *place)
{
        struct stat now;
        int tries = 5000;

        if (place->dirfd < 0)
                return 0;
        while (flock(place->dirfd, LOCK_EX | LOCK_NB) != 0) {
                if (errno != EWOULDBLOCK && errno != EINTR)
                        return -errno;
                if (--tries == 0)
                        return -EBUSY; /* anybody who can open the folder can lock it */
                pause_ms();
        }
        if (lstat(place->name->path, &now) != 0)
                return errno == ENOENT ? -ESTALE : -errno;
        return now.st_dev != place->st.st_dev || now.st_ino != place->st.st_ino ? -ESTALE : 0;
}

void sluice_priv_place_close(struct sluice_priv_place *place)
{
        if (place->dirfd >= 0)
                close(place->dirfd);
        place->dirfd = -1;
}

int sluice_priv_place_projects(const struct sluice_priv_place *place)
{
        return place->name->is_key ? 1 : SLUICE_PRIV_PROJECTS;
}

/* The key that ftok(3) gives, from the folder that we hold instead of
 * whatever bears its name by now. */
key_t sluice_priv_place_key(const struct sluice_priv_place *place, int project)
{
        if (place->name->is_key)
                return place->name->key;
        return (key_t)(((unsigned)project & 0xff) << 24 |
                       ((unsigned)place->st.st_dev & 0xff) << 16 |
                       ((unsigned)place->st.st_ino & 0xffff));
}
