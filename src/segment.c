/* SPDX-License-Identifier: MIT */
/*
 * Finding and mapping the segment of a queue. Owner, size and state are
 * asked for with IPC_STAT before it is attached; what it holds is
 * checked after, and counts as hostile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <unistd.h>

#include "internal.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int sluice_priv_segment_map(struct sluice_priv_segment *s, int shmid, bool read_only)
{
        int r;

        s->shmid = shmid;
        if (shmctl(shmid, IPC_STAT, &s->ds) != 0)
                return errno == EIDRM || errno == EINVAL ? -ENOENT : -errno;
        if (s->ds.shm_perm.mode & SHM_DEST)
                return -ENOENT;
        if (s->ds.shm_segsz < SLUICE_LAYOUT_RING)
                return -EPROTO;
        s->mem = shmat(shmid, NULL, read_only ? SHM_RDONLY : 0);
        if (s->mem == (void *)-1) {
                s->mem = NULL;
                return errno == EIDRM || errno == EINVAL ? -ENOENT : -errno;
        }
        r = sluice_priv_shape_read(&s->shape, s->mem, s->ds.shm_segsz);
        /* A child of fork() gets no mapping: no use of the handle by
         * accident, and nobody counted as attached who is not. */
        if (r == 0 && madvise(s->mem, s->ds.shm_segsz, MADV_DONTFORK) != 0)
                r = -ENOMEM; /* or EAGAIN, which means the same */
        if (r)
                sluice_priv_segment_unmap(s);
        return r;
}

void sluice_priv_segment_unmap(struct sluice_priv_segment *s)
{
        if (s->mem)
                shmdt(s->mem);
        s->mem = NULL;
}

bool sluice_priv_header_is_of(const struct sluice_layout_header *h,
                              const struct sluice_priv_place *place)
{
        return place->dirfd < 0 || (h && h->device == (uint64_t)place->st.st_dev &&
                                    h->inode == (uint64_t)place->st.st_ino);
}

static int check_owner(const struct sluice_priv_segment *s, const struct sluice_priv_place *place)
{
        const uid_t uid = s->ds.shm_perm.uid;

        if (place->dirfd >= 0)
                return uid == place->st.st_uid ? 0 : -EPERM;
        return uid == geteuid() || uid == 0 || place->any_owner ? 0 : -EPERM;
}

/* One key. -EXDEV: a segment, but not this queue's. */
static int find_key(struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                    bool read_only)
{
        const int shmid = shmget(s->key, 0, 0);
        int r, again;

        if (shmid < 0)
                return -errno;
        if (shmctl(shmid, IPC_STAT, &s->ds) != 0)
                return errno == EIDRM || errno == EINVAL ? -ENOENT : -errno;
        r = check_owner(s, place);
        if (r == 0)
                r = sluice_priv_segment_map(s, shmid, read_only);
        if (r)
                return r;
        if (!sluice_priv_header_is_of(s->mem, place)) {
                sluice_priv_segment_unmap(s);
                return -EXDEV;
        }
        s->semid = semget(s->key, 0, 0);
        if (s->semid < 0)
                r = errno == ENOENT ? -EINPROGRESS : -errno;
        else if ((again = shmget(s->key, 0, 0)) != shmid)
                /* Made anew in between: the set is another queue's. */
                r = again < 0 ? -errno : -ENOENT;
        if (r)
                sluice_priv_segment_unmap(s);
        return r;
}

bool sluice_priv_segment_is_foreign(int r)
{
        return r == -EACCES || r == -EPERM || r == -EPROTO || r == -EPROTOTYPE ||
               r == -EPROTONOSUPPORT || r == -EBADMSG;
}

/* The queue of a place. Keys that collide with other programs' are
 * passed over; what is reported is the first that looks like ours. */
int sluice_priv_segment_find(struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                             bool read_only)
{
        int result = -ENOENT;

        for (int project = 1; project <= sluice_priv_place_projects(place); project++) {
                int r;

                s->key = sluice_priv_place_key(place, project);
                r = find_key(s, place, read_only);
                if (r == 0)
                        return 0;
                if (r == -EXDEV)
                        continue;
                if (r != -ENOENT && r != -EINPROGRESS && !sluice_priv_segment_is_foreign(r))
                        return r; /* whether it is there cannot be told */
                if (result == -ENOENT)
                        result = r;
        }
        return result;
}

/* SLUICE_PREFAULT, SLUICE_LOCK. */
int sluice_priv_prepare_pages(void *mem, size_t bytes, unsigned flags)
{
        if ((flags & SLUICE_PREFAULT) && madvise(mem, bytes, MADV_POPULATE_WRITE) != 0) {
                volatile const unsigned char *byte = mem;

                if (errno != EINVAL) /* EAGAIN, EFAULT: no page to be had */
                        return errno == EHWPOISON ? -EIO : -ENOMEM;
                for (size_t i = 0; i < bytes; i += SLUICE_LAYOUT_PAGE)
                        (void)byte[i]; /* a kernel before 5.14 */
        }
        if ((flags & SLUICE_LOCK) && mlock(mem, bytes) != 0) {
                const int err = errno;

                sluice_priv_limit_note(SLUICE_PRIV_MLOCK, err, bytes);
                return err == EPERM || err == EAGAIN ? -ENOMEM : -err;
        }
        return 0;
}
