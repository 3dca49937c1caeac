/* SPDX-License-Identifier: MIT */
/*
 * The directory of a queue. It is opened once, without following a link, and
 * used through that descriptor only, so that another process cannot replace
 * it in between.
 *
 *   readable, writable   the two named pipes (fifo.c)
 *   memory               a link that names the memory (record.c)
 *   lock                 creators and removers take turns; only the owner
 *                        can open it, so no other user can delay them
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define LOCK "lock"

static int open_dirfd(struct sluice_priv_place *place, const char *path)
{
        int r = sluice_priv_fork_lock();

        if (r)
                return r;
        place->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (place->dirfd < 0)
                r = -errno;
        else
                sluice_priv_kept_add(&place->kept[0], place->dirfd);
        sluice_priv_fork_unlock();
        return r;
}

static int open_dir(struct sluice_priv_place *place, const struct sluice_priv_name *n)
{
        struct stat st;
        int r = open_dirfd(place, n->path);

        /* Some kernels report a link as ENOTDIR, because of O_DIRECTORY. */
        if (r == -ENOTDIR && lstat(n->path, &st) == 0 && S_ISLNK(st.st_mode))
                return -ELOOP;
        if (r)
                return r;
        if (fstat(place->dirfd, &place->st) != 0) {
                r = -errno;
                sluice_priv_place_close(place);
                return r;
        }
        return 0;
}

static void place_init(struct sluice_priv_place *place, const struct sluice_priv_name *n)
{
        memset(place, 0, sizeof *place);
        place->name = n;
        place->dirfd = place->lockfd = -1;
}

int sluice_priv_place_open(struct sluice_priv_place *place, const struct sluice_priv_name *n)
{
        int r = 0;

        place_init(place, n);
        if (n->is_key)
                return 0;
        if (n->in_user_dir)
                r = sluice_priv_user_dir_check(n);
        return r ? r : open_dir(place, n);
}

int sluice_priv_place_make(struct sluice_priv_place *place, const struct sluice_priv_name *n)
{
        int r;

        place_init(place, n);
        if (n->is_key)
                return 0;
        if (n->in_user_dir) {
                r = sluice_priv_user_dir_make(n);
                if (r)
                        return r;
        }
        r = sluice_priv_dir_make(n->path);
        if (r < 0)
                return r;
        place->made = r > 0;
        r = open_dir(place, n);
        if (r == -ENOENT)
                return -ESTALE; /* removed meanwhile */
        if (r && place->made)
                rmdir(n->path);
        return r;
}

void sluice_priv_place_close(struct sluice_priv_place *place)
{
        sluice_priv_kept_close(&place->kept[1]);
        sluice_priv_kept_close(&place->kept[0]);
        place->dirfd = place->lockfd = -1;
}

uid_t sluice_priv_place_owner(const struct sluice_priv_place *place)
{
        return place->dirfd >= 0 ? place->st.st_uid : geteuid();
}

int sluice_priv_place_projects(const struct sluice_priv_place *place)
{
        return place->name->is_key ? 1 : SLUICE_PRIV_PROJECTS;
}

/* The key that ftok(3) gives, of the directory that we have opened, not of
 * one that may have the same path by now. */
key_t sluice_priv_place_key(const struct sluice_priv_place *place, int project)
{
        if (place->name->is_key)
                return place->name->key;
        return (key_t)(((unsigned)project & 0xff) << 24 |
                       ((unsigned)place->st.st_dev & 0xff) << 16 |
                       ((unsigned)place->st.st_ino & 0xffff));
}

/* ---- What it contains --------------------------------------------- */

/* The kind of file that belongs under this name in a queue's directory, or
 * 0: none. */
static mode_t kind_of(const char *name)
{
        if (strcmp(name, SLUICE_PRIV_READABLE) == 0 || strcmp(name, SLUICE_PRIV_WRITABLE) == 0)
                return S_IFIFO;
        if (strcmp(name, SLUICE_PRIV_RECORD) == 0)
                return S_IFLNK;
        return strcmp(name, LOCK) == 0 ? S_IFREG : 0;
}

/* One entry: 0 nothing, 1 a part of a queue, or -errno. */
static int look_at(int dirfd, const char *name)
{
        const mode_t kind = kind_of(name);
        struct stat st;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                return 0;
        if (kind == 0)
                return -ENOTEMPTY;
        if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
                return errno == ENOENT ? 0 : -errno; /* removed just now */
        return (st.st_mode & S_IFMT) == kind ? 1 : -ENOTEMPTY;
}

/* 0 no part of a queue, 1 some, or the first error. */
static int look_at_entries(int dirfd, DIR *dir)
{
        int found = 0;

        for (;;) {
                const struct dirent *entry;
                int r;

                errno = 0;
                entry = readdir(dir);
                if (!entry)
                        return errno ? -errno : found;
                r = look_at(dirfd, entry->d_name);
                if (r < 0)
                        return r;
                if (r > 0)
                        found = 1;
        }
}

static int look_at_all(const struct sluice_priv_place *place)
{
        const int fd = openat(place->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir;
        int r;

        if (fd < 0)
                return -errno;
        dir = fdopendir(fd);
        if (!dir) {
                r = -errno;
                close(fd);
                return r;
        }
        r = look_at_entries(place->dirfd, dir);
        closedir(dir);
        return r;
}

/* Stops at the first entry that is no part of a queue, so that fork() does not
 * wait for long. */
int sluice_priv_place_look(const struct sluice_priv_place *place)
{
        int r = sluice_priv_fork_lock();

        if (r)
                return r;
        r = look_at_all(place);
        sluice_priv_fork_unlock();
        return r;
}

int sluice_priv_place_has_queue(const struct sluice_priv_place *place)
{
        static const char *const parts[] = {SLUICE_PRIV_READABLE, SLUICE_PRIV_WRITABLE,
                                            SLUICE_PRIV_RECORD};
        struct stat st;

        for (int i = 0; i < 3; i++) {
                if (fstatat(place->dirfd, parts[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
                        return 1;
                if (errno != ENOENT)
                        return -errno;
        }
        return 0;
}

/* ---- The lock ----------------------------------------------------- */

static void pause_ms(void)
{
        const struct timespec ms = {0, 1000000};

        nanosleep(&ms, NULL);
}

/* Mode 0600 under any umask; if root makes it, it belongs to the owner. */
static int lock_make(struct sluice_priv_place *place)
{
        const int fd = openat(place->dirfd, LOCK,
                              O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        int r;

        if (fd < 0)
                return errno == EEXIST ? -EAGAIN : -errno;
        if (fchmod(fd, 0600) != 0)
                goto remove;
        if (place->st.st_uid != geteuid() && fchown(fd, place->st.st_uid, place->st.st_gid) != 0)
                goto remove;
        place->lock_made = true;
        return fd;
remove:
        r = -errno;
        unlinkat(place->dirfd, LOCK, 0);
        close(fd);
        return r;
}

/* A lock that the owner cannot open was left by a process that died while
 * making it. -EAGAIN: it was made or removed meanwhile. */
static int lock_open_once(struct sluice_priv_place *place)
{
        const int fd = openat(place->dirfd, LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

        if (fd >= 0)
                return fd;
        if (errno == EACCES && unlinkat(place->dirfd, LOCK, 0) == 0)
                return -EAGAIN;
        return errno == ENOENT ? lock_make(place) : errno == EISDIR ? -ENOTEMPTY : -errno;
}

static int lock_open(struct sluice_priv_place *place)
{
        int fd = -EAGAIN, r = sluice_priv_fork_lock();

        if (r)
                return r;
        for (int tries = 0; fd == -EAGAIN && tries < 1000; tries++)
                fd = lock_open_once(place);
        if (fd >= 0) {
                place->lockfd = fd;
                sluice_priv_kept_add(&place->kept[1], fd);
        }
        sluice_priv_fork_unlock();
        return fd >= 0 ? 0 : fd == -ENOENT ? -ESTALE : fd == -EAGAIN ? -EBUSY : fd;
}

/* Is the directory that we have locked still the one of that path? */
static int still_there(const struct sluice_priv_place *place)
{
        struct stat now;

        if (fstat(place->lockfd, &now) != 0)
                return -errno;
        if (now.st_nlink == 0)
                return -ESTALE;
        if (lstat(place->name->path, &now) != 0)
                return errno == ENOENT ? -ESTALE : -errno;
        return now.st_dev != place->st.st_dev || now.st_ino != place->st.st_ino ? -ESTALE : 0;
}

static int wait_for_lock(int fd)
{
        for (int tries = 1; flock(fd, LOCK_EX | LOCK_NB) != 0; tries++) {
                if (errno != EWOULDBLOCK && errno != EINTR)
                        return -errno;
                if (tries == 5000)
                        return -EBUSY;
                pause_ms();
        }
        return 0;
}

/* Creators and removers in one directory take turns. -ESTALE: the directory
 * was removed meanwhile, open it again. */
int sluice_priv_place_lock(struct sluice_priv_place *place)
{
        int r;

        if (place->dirfd < 0)
                return 0;
        r = lock_open(place);
        if (r)
                return r;
        r = wait_for_lock(place->lockfd);
        if (r) {
                sluice_priv_kept_close(&place->kept[1]);
                place->lockfd = -1;
                return r;
        }
        return still_there(place);
}

/* Users who may use or inspect the queue may read its directory. */
int sluice_priv_place_finish(const struct sluice_priv_place *place, mode_t mode)
{
        const mode_t dir_mode = 0700 | (mode & 060 ? 050u : 0u) | (mode & 06 ? 05u : 0u);

        return fchmod(place->dirfd, dir_mode) == 0 ? 0 : -errno;
}

/* Everything that belongs to a queue, the lock last. The directory itself
 * is the caller's. */
int sluice_priv_place_empty(const struct sluice_priv_place *place)
{
        int r = sluice_priv_record_remove(place->dirfd);

        if (r == 0)
                r = sluice_priv_fifos_remove(place->dirfd);
        return r ? r : sluice_priv_place_unlock(place);
}

/* Does the path relative to it lead to the directory that we have opened? false:
 * another process has removed or moved it, and another directory may bear the
 * name. If it cannot be found out, rmdir(2) says what is wrong. */
static bool is_at(const struct sluice_priv_place *place, const char *self)
{
        struct stat now;

        if (fstatat(place->dirfd, self, &now, AT_SYMLINK_NOFOLLOW) != 0)
                return errno != ENOENT;
        return now.st_dev == place->st.st_dev && now.st_ino == place->st.st_ino;
}

/* ".." is found from a directory that was removed, too: what is not empty may be
 * another directory of the same name. */
int sluice_priv_place_rmdir(const struct sluice_priv_place *place)
{
        const char *slash = strrchr(place->name->path, '/');
        const int most = place->lockfd < 0 ? 0 : 1000;
        char self[SLUICE_NAME_MAX + 4];

        snprintf(self, sizeof self, "../%s", slash ? slash + 1 : place->name->path);
        for (int tries = 0; unlinkat(place->dirfd, self, AT_REMOVEDIR) != 0; tries++) {
                const int error = errno;
                int r;

                if (error == ENOENT)
                        return 0; /* another process has removed or moved it */
                if (error != ENOTEMPTY && error != EEXIST)
                        return -error;
                if (!is_at(place, self))
                        return 0;
                if (tries == most)
                        return -error;
                /* A process that waited for our lock makes a new lock in here, finds
                 * no queue, and removes the lock; or it makes a new queue. */
                r = sluice_priv_place_has_queue(place);
                if (r)
                        return r < 0 ? r : 0;
                pause_ms();
        }
        return 0;
}

int sluice_priv_place_unlock(const struct sluice_priv_place *place)
{
        if (place->lockfd < 0 || unlinkat(place->dirfd, LOCK, 0) == 0 || errno == ENOENT)
                return 0;
        return errno == EISDIR ? -ENOTEMPTY : -errno;
}
