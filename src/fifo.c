/* SPDX-License-Identifier: MIT */
/*
 * The two named pipes of a queue. Each endpoint holds the other's pipe
 * open for reading and writing, so that a write never raises SIGPIPE,
 * and so that its death is a hang-up at the other end. A byte in a pipe
 * means only "look again": a stale one, or another program's, does no harm.
 *
 * Each endpoint also locks the other's pipe, before it takes its role and
 * until it has released it, through a descriptor that exec closes. If the
 * semaphore of a role is held and the pipe is not locked, the holder has
 * called exec, and has lost its mapping of the segment, or has closed the
 * library's descriptors, and still has the mapping. If the pipe is locked,
 * the role has a holder, even when the semaphore is free, as after
 * unshare(CLONE_SYSVSEM). (The semaphore alone would outlive exec; the lock
 * alone would be inherited by a child.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "internal.h"

/* A user who may take a role may open both pipes; one who may only observe
 * may open neither, because reading a byte takes a wake-up away. */
mode_t sluice_priv_fifo_mode(mode_t mode)
{
        return 0600 | (mode & 020 ? 060 : 0) | (mode & 02 ? 06 : 0);
}

static int make_one(int dirfd, const char *which, mode_t mode)
{
        if (mkfifoat(dirfd, which, mode & 0600) != 0)
                return errno == EEXIST ? -ENOTEMPTY : -errno; /* another process made it */
        /* The umask does not apply to a mode that was asked for. */
        return fchmodat(dirfd, which, mode, 0) != 0 ? -errno : 0;
}

int sluice_priv_fifos_make(const struct sluice_priv_place *place, mode_t mode)
{
        const mode_t pipe_mode = sluice_priv_fifo_mode(mode);
        int r = make_one(place->dirfd, SLUICE_PRIV_READABLE, pipe_mode);

        return r ? r : make_one(place->dirfd, SLUICE_PRIV_WRITABLE, pipe_mode);
}

static const char *const pipes[] = {SLUICE_PRIV_READABLE, SLUICE_PRIV_WRITABLE};

int sluice_priv_fifos_find(int dirfd)
{
        struct stat st;

        for (int i = 0; i < 2; i++)
                if (fstatat(dirfd, pipes[i], &st, AT_SYMLINK_NOFOLLOW) != 0)
                        return -errno;
        return 0;
}

int sluice_priv_fifos_remove(int dirfd)
{
        int r = 0;

        for (int i = 0; i < 2; i++)
                if (unlinkat(dirfd, pipes[i], 0) != 0 && errno != ENOENT)
                        r = errno == EISDIR ? -ENOTEMPTY : -errno;
        return r;
}

int sluice_priv_fifo_open(const struct sluice_priv_place *place, const char *which, int flags,
                          mode_t mode)
{
        const int fd = openat(place->dirfd, which, flags | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
        struct stat st;
        int r = 0;

        if (fd < 0)
                return errno == EISDIR || errno == ENXIO ? -EPROTO : -errno; /* no pipe */
        if (fstat(fd, &st) != 0)
                r = -errno;
        else if (!S_ISFIFO(st.st_mode))
                r = -EPROTO;
        else if (st.st_uid != place->st.st_uid ||
                 (st.st_mode & 0777) != sluice_priv_fifo_mode(mode))
                r = -EPERM;
        if (r) {
                close(fd);
                return r;
        }
        return fd;
}

/* If there is a byte, no other is needed: the reader takes it out before it
 * parks and looks. */
void sluice_priv_fifo_ring_once(int fd)
{
        int bytes = 0;

        if (ioctl(fd, FIONREAD, &bytes) != 0 || bytes == 0)
                sluice_priv_fifo_ring(fd);
}

/* EAGAIN: the pipe is full, so it is readable. */
void sluice_priv_fifo_ring(int fd)
{
        static const char byte;

        while (write(fd, &byte, 1) < 0 && errno == EINTR)
                continue;
}

void sluice_priv_fifo_ring_at(const struct sluice_priv_place *place, const char *which, mode_t mode)
{
        int fd;

        if (sluice_priv_fork_lock() != 0)
                return;
        fd = sluice_priv_fifo_open(place, which, O_RDWR, mode);
        if (fd >= 0) {
                sluice_priv_fifo_ring(fd);
                close(fd);
        }
        sluice_priv_fork_unlock();
}

/* A peer can write as fast as we read, hence at most one full pipe. */
enum sluice_priv_drained sluice_priv_fifo_drain(int fd)
{
        char bytes[512];
        enum sluice_priv_drained found = SLUICE_PRIV_QUIET;

        for (int i = 0; i < 128; i++) {
                const ssize_t n = read(fd, bytes, sizeof bytes);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n == 0)
                        return SLUICE_PRIV_HUNG_UP;
                if (n > 0 || errno != EAGAIN)
                        found = SLUICE_PRIV_BYTES;
                if (n < (ssize_t)sizeof bytes)
                        break;
        }
        return found;
}

static struct flock whole_byte(void)
{
        const struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

        return lock;
}

int sluice_priv_fifo_lock(int fd)
{
        struct flock lock = whole_byte();

        if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
                return 0;
        return errno == EACCES || errno == EAGAIN ? -EBUSY : -ENOLCK;
}

/* Closing is not enough while a child of vfork() has a copy. */
void sluice_priv_fifo_unlock(int fd)
{
        struct flock lock = whole_byte();

        lock.l_type = F_UNLCK;
        fcntl(fd, F_OFD_SETLK, &lock);
}

int sluice_priv_fifo_locked(int fd)
{
        struct flock lock = whole_byte();

        return fcntl(fd, F_OFD_GETLK, &lock) != 0 ? -errno : lock.l_type != F_UNLCK;
}

bool sluice_priv_fifo_gone(int fd)
{
        struct stat st;

        return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && st.st_nlink == 0;
}
