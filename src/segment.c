/* SPDX-License-Identifier: MIT */
/*
 * Finding and mapping the segment of a queue. A segment is attached only if
 * owner and size, by IPC_STAT, are those of a queue; its contents are checked
 * afterwards, and nothing in them is trusted.
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

/* A segment with a ring of 1 MiB: larger ones are prefaulted on request. */
#define PREFAULTED_BYTES (SLUICE_LAYOUT_RING + ((size_t)1 << 20) + SLUICE_PRIV_SEGMENT_TAIL)

/* The control words, a power of two, and the tail. */
static bool is_size_of_ours(size_t bytes)
{
        const uint64_t capacity = (uint64_t)bytes - SLUICE_LAYOUT_RING - SLUICE_PRIV_SEGMENT_TAIL;

        return bytes > SLUICE_LAYOUT_RING + SLUICE_PRIV_SEGMENT_TAIL &&
               capacity >= (uint64_t)SLUICE_CAPACITY_MIN_UNITS * SLUICE_RECORD_ALIGN_MIN &&
               capacity <= SLUICE_CAPACITY_MAX && (capacity & (capacity - 1)) == 0;
}

int sluice_priv_segment_attached(const struct sluice_priv_segment *s)
{
        struct shmid_ds ds;

        return shmctl(s->shmid, IPC_STAT, &ds) != 0 ? -errno : (int)ds.shm_nattch;
}

int sluice_priv_segment_stat(struct sluice_priv_segment *s, int shmid)
{
        s->shmid = shmid;
        if (shmctl(shmid, IPC_STAT, &s->ds) != 0)
                return errno == EIDRM || errno == EINVAL ? -ENOENT : -errno;
        if (s->ds.shm_perm.mode & SHM_DEST)
                return -ENOENT;
        s->key = s->ds.shm_perm.__key;
        return is_size_of_ours(s->ds.shm_segsz) ? 0 : -EPROTO;
}

/* A mapping of huge pages is advised as a whole, and is longer than the
 * segment says: by up to one page of an unknown size. */
static int advise(struct sluice_priv_segment *s, int advice)
{
        s->mapped = s->ds.shm_segsz;
        for (size_t page = 1; madvise(s->mem, s->mapped, advice) != 0; page *= 2) {
                if (errno != EINVAL || page > (size_t)1 << 30)
                        return -errno;
                s->mapped = (s->ds.shm_segsz + page - 1) & ~(page - 1);
        }
        return 0;
}

static int attach(struct sluice_priv_segment *s, bool read_only)
{
        s->mem = shmat(s->shmid, NULL, read_only ? SHM_RDONLY : 0);
        if (s->mem == (void *)-1) {
                s->mem = NULL;
                return errno == EIDRM || errno == EINVAL ? -ENOENT : -errno;
        }
        if (advise(s, MADV_DONTFORK) != 0) {
                sluice_priv_segment_unmap(s);
                return -ENOMEM; /* or EAGAIN, which means the same */
        }
        return 0;
}

/* A child of fork() gets no mapping, whenever it is made: it cannot use a
 * handle by accident, and is not counted as attached. */
int sluice_priv_segment_attach(struct sluice_priv_segment *s, bool read_only)
{
        int r = sluice_priv_fork_lock();

        s->mem = NULL;
        if (r)
                return r;
        r = attach(s, read_only);
        sluice_priv_fork_unlock();
        return r;
}

int sluice_priv_segment_map(struct sluice_priv_segment *s, bool read_only)
{
        int r = sluice_priv_segment_attach(s, read_only);

        if (r)
                return r;
        r = sluice_priv_shape_read(&s->shape, s->mem, s->ds.shm_segsz);
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

/* The set of a queue of this generation: 0. -EINPROGRESS: not complete, or
 * removed by another program. -EBADMSG: it belongs to another queue. */
static int check_set(const struct sluice_priv_segment *s, uint64_t generation)
{
        struct sluice_priv_set set;
        const int r = sluice_priv_set_look(&set, s->semid);

        if (r)
                return r == -EIDRM || r == -EACCES ? -EINPROGRESS : r;
        if (set.uid != s->ds.shm_perm.uid || set.key != s->key || !set.sized)
                return -EINPROGRESS;
        if (set.making)
                return -EINPROGRESS;
        return set.is_signed && set.generation == generation ? 0 : -EBADMSG;
}

/* ---- By the record of a directory --------------------------------- */

static int find_recorded(struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                         bool read_only)
{
        struct sluice_priv_record record;
        const struct sluice_layout_header *h;
        int r = sluice_priv_record_read(&record, place->dirfd);

        if (r)
                return r;
        r = sluice_priv_fifos_find(place->dirfd);
        if (r)
                return r;
        r = sluice_priv_segment_stat(s, record.shmid);
        if (r == -EPROTO || (r == 0 && s->key != record.key))
                return -ENOENT; /* the identifier was reused */
        if (r)
                return r;
        if (s->ds.shm_perm.uid != place->st.st_uid)
                return -EPERM;
        r = sluice_priv_segment_map(s, read_only);
        if (r)
                return r;
        h = s->mem;
        s->semid = record.semid;
        r = h->generation == record.generation ? check_set(s, record.generation) : -EBADMSG;
        if (r)
                sluice_priv_segment_unmap(s);
        return r;
}

/* ---- By a bare key ------------------------------------------------ */

static int check_owner(const struct sluice_priv_segment *s, const struct sluice_priv_place *place)
{
        const uid_t uid = s->ds.shm_perm.uid;

        return uid == geteuid() || uid == 0 || place->any_owner ? 0 : -EPERM;
}

static int find_key(struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                    bool read_only)
{
        const key_t key = place->name->key;
        const int shmid = shmget(key, 0, 0);
        const struct sluice_layout_header *h;
        int r = shmid < 0 ? -errno : sluice_priv_segment_stat(s, shmid);

        if (r)
                return r;
        r = check_owner(s, place);
        if (r)
                return r;
        r = sluice_priv_segment_map(s, read_only);
        if (r)
                return r;
        h = s->mem;
        s->semid = semget(key, 0, 0);
        if (s->semid < 0)
                r = errno == ENOENT ? -EINPROGRESS : -errno;
        else
                r = check_set(s, h->generation);
        /* The queue was made again in between: the set is the new one's. */
        if (r == -EBADMSG && shmget(key, 0, 0) != shmid)
                r = -ENOENT;
        if (r)
                sluice_priv_segment_unmap(s);
        return r;
}

int sluice_priv_segment_find(struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                             bool read_only)
{
        return place->dirfd >= 0 ? find_recorded(s, place, read_only)
                                 : find_key(s, place, read_only);
}

/* A kernel before 5.14 does not know the advice. Reading a byte of each page
 * brings them as well, and changes nothing in a queue that is in use. */
static int bring_pages(void *mem, size_t bytes)
{
        volatile const unsigned char *byte = mem;

        if (madvise(mem, bytes, MADV_POPULATE_WRITE) == 0)
                return 0;
        if (errno != EINVAL) /* EAGAIN, EFAULT: no page is free */
                return errno == EHWPOISON ? -EIO : -ENOMEM;
        for (size_t i = 0; i < bytes; i += SLUICE_LAYOUT_PAGE)
                (void)byte[i];
        return 0;
}

/* SLUICE_PREFAULT, SLUICE_LOCK. The pages of a small ring are brought always;
 * what is not there then comes when it is used, as it does in a large one. */
int sluice_priv_prepare_pages(void *mem, size_t bytes, unsigned flags)
{
        if ((flags & SLUICE_PREFAULT) || bytes <= PREFAULTED_BYTES) {
                const int r = bring_pages(mem, bytes);

                if (r && (flags & SLUICE_PREFAULT))
                        return r;
        }
        if ((flags & SLUICE_LOCK) && mlock(mem, bytes) != 0) {
                const int err = errno;

                sluice_priv_limit_note(SLUICE_PRIV_MLOCK, err, bytes);
                return err == EPERM || err == EAGAIN ? -ENOMEM : -err;
        }
        return 0;
}
