/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of open queues, and of calls in progress in other threads: what
 * fork() does to them, and what the program does to them.
 *
 * A child may use none of them: a descriptor that it kept would hide the
 * death of its parent, or keep a lock of it. Every such descriptor is opened,
 * registered and closed under one lock, which fork() takes as well. So the
 * child knows all of them, closes its copies, and disables its copies of the
 * handles. The sections under the lock are short. Mappings are not inherited.
 *
 * A program may also close descriptors that are not its own: after
 * closefrom(3) their numbers are reused for files of the program, which the
 * library must not write to, unlock or close.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "endpoint.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sluice_priv_queue *queues;
static struct sluice_priv_kept *kept;

static void fork_prepare(void)
{
        pthread_mutex_lock(&lock);
}

static void fork_parent(void)
{
        pthread_mutex_unlock(&lock);
}

/* ---- Is a descriptor still ours ----------------------------------- */

static int *fd_of(struct sluice_priv_queue *q, enum sluice_priv_which which)
{
        int *const fds[SLUICE_PRIV_FDS] = {&q->own_fd,       &q->peer_fd, &q->keeper_fd, &q->dirfd,
                                           &q->interrupt_fd, &q->poll_fd, &q->alarm_fd};

        return fds[which];
}

int sluice_priv_fds_record(struct sluice_priv_queue *q)
{
        for (unsigned i = 0; i < SLUICE_PRIV_FDS; i++) {
                const int fd = *fd_of(q, i);
                struct stat st;

                if (fd < 0)
                        continue;
                if (fstat(fd, &st) != 0)
                        return -errno;
                q->files[i].dev = st.st_dev;
                q->files[i].ino = st.st_ino;
        }
        q->files[SLUICE_PRIV_KEEPER] = q->files[SLUICE_PRIV_OWN];
        q->known = true;
        return 0;
}

/* If fstat fails, but not with EBADF, nothing shows that it is another file. */
bool sluice_priv_fd_is_ours(struct sluice_priv_queue *q, enum sluice_priv_which which)
{
        const int fd = *fd_of(q, which);
        struct stat st;

        if (fd < 0 || !q->known)
                return fd >= 0;
        if (fstat(fd, &st) != 0)
                return errno != EBADF;
        return st.st_dev == q->files[which].dev && st.st_ino == q->files[which].ino;
}

/* After one was lost, those that share an inode cannot be identified: they are
 * dropped without being closed. */
static void drop_lost(struct sluice_priv_queue *q)
{
        bool lost = false;

        for (unsigned i = 0; i < SLUICE_PRIV_FDS; i++) {
                int *const fd = fd_of(q, i);

                if (*fd < 0 ||
                    ((i < SLUICE_PRIV_INTERRUPT || !lost) && sluice_priv_fd_is_ours(q, i)))
                        continue;
                *fd = -1;
                lost = true;
        }
}

void sluice_priv_fd_check(struct sluice_priv_queue *q, enum sluice_priv_which which)
{
        if (*fd_of(q, which) >= 0 && !sluice_priv_fd_is_ours(q, which))
                drop_lost(q);
}

static void close_fds(struct sluice_priv_queue *q)
{
        drop_lost(q);
        for (unsigned i = 0; i < SLUICE_PRIV_FDS; i++) {
                int *const fd = fd_of(q, i);

                if (*fd >= 0)
                        close(*fd);
                *fd = -1;
        }
}

/* ---- What a child of fork() gets ---------------------------------- */

/* mremap(2) of no bytes makes a second mapping of memory that is shared,
 * and refuses private memory with EINVAL. */
static bool is_private_page(uintptr_t page, size_t size)
{
        void *second = mremap((void *)page, 0, size, MREMAP_MAYMOVE);

        if (second == MAP_FAILED)
                return errno == EINVAL; /* else: not mapped in the child */
        munmap(second, size);
        return false;
}

/* A handle in memory that child and parent share cannot be disabled for one
 * of them. */
static bool is_private(const void *handle, size_t bytes)
{
        const size_t size = (size_t)sysconf(_SC_PAGESIZE);
        const uintptr_t first = (uintptr_t)handle & ~(size - 1);
        const uintptr_t last = ((uintptr_t)handle + bytes - 1) & ~(size - 1);

        return is_private_page(first, size) && (last == first || is_private_page(last, size));
}

static void disable_copy(const struct sluice_priv_queue *q)
{
        struct sluice_priv_endpoint *e = q->endpoint;

        if (!is_private(e, sluice_priv_handle_bytes(q->role)))
                return;
        e->queue = NULL;
        sluice_priv_handle_disable(e, q->role, -EPERM);
}

/* The child has no mapping (MADV_DONTFORK), and no role. */
static void fork_child(void)
{
        const int saved = errno;
        struct sluice_priv_queue *q = queues;

        while (q) {
                struct sluice_priv_queue *next = q->next;

                disable_copy(q);
                close_fds(q);
                free(q);
                q = next;
        }
        queues = NULL;
        for (; kept; kept = kept->next)
                close(kept->fd);
        pthread_mutex_unlock(&lock);
        errno = saved;
}

int sluice_priv_fork_lock(void)
{
        static bool started;
        int r = 0;

        pthread_mutex_lock(&lock);
        if (!started)
                r = pthread_atfork(fork_prepare, fork_parent, fork_child);
        started |= r == 0;
        if (r)
                pthread_mutex_unlock(&lock);
        return -r;
}

void sluice_priv_fork_unlock(void)
{
        pthread_mutex_unlock(&lock);
}

void sluice_priv_kept_add(struct sluice_priv_kept *k, int fd)
{
        k->fd = fd;
        k->next = kept;
        k->link = &kept;
        k->listed = true;
        if (kept)
                kept->link = &k->next;
        kept = k;
}

void sluice_priv_kept_close(struct sluice_priv_kept *k)
{
        if (!k->listed)
                return;
        pthread_mutex_lock(&lock);
        close(k->fd);
        *k->link = k->next;
        if (k->next)
                k->next->link = k->link;
        k->listed = false;
        pthread_mutex_unlock(&lock);
}

int sluice_priv_queue_list(struct sluice_priv_queue *q)
{
        const int r = sluice_priv_fork_lock();

        if (r)
                return r;
        q->next = queues;
        q->link = &queues;
        q->listed = true;
        if (queues)
                queues->link = &q->next;
        queues = q;
        sluice_priv_fork_unlock();
        return 0;
}

void sluice_priv_queue_unlist(struct sluice_priv_queue *q)
{
        if (!q->listed)
                return;
        pthread_mutex_lock(&lock);
        close_fds(q);
        *q->link = q->next;
        if (q->next)
                q->next->link = q->link;
        q->listed = false;
        pthread_mutex_unlock(&lock);
}
