/* SPDX-License-Identifier: MIT */
/*
 * Objects that exist under a key when a queue is to be made or removed there:
 * of other programs, which are never changed; of other queues; of creators
 * that were killed; of directories that were removed.
 *
 * Under one key there is one set at a time, and while it exists no other
 * process makes a segment there. So a segment beside a set that we hold (it
 * is not complete, and we have its creator's semaphore) is ours to remove.
 * Objects are removed by identifier: if one was removed meanwhile, the call
 * fails and does no harm.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/sem.h>

#include "internal.h"

static int rmid(int shmid)
{
        return shmctl(shmid, IPC_RMID, NULL) == 0 || errno == EIDRM || errno == EINVAL ? 0 : -errno;
}

/* The segment was made in a directory of this inode. That is our directory
 * now: if our record does not name the segment, it was made in an earlier
 * directory, which was removed. */
static bool is_of_inode(const struct sluice_layout_header *h, const struct sluice_priv_place *place)
{
        return place->dirfd >= 0 && h->device == (uint64_t)place->st.st_dev &&
               h->inode == (uint64_t)place->st.st_ino;
}

/* 1: abandoned, may be removed. complete: its set is complete, or not held by
 * us, so it is no incomplete queue of ours; then it is abandoned only if it
 * belongs to an earlier directory, or, on a bare key, is not complete. */
static int is_abandoned(struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                        bool complete)
{
        const struct sluice_layout_header *h;
        bool unfinished, abandoned;
        int r = sluice_priv_segment_attach(s, true);

        if (r)
                return r;
        h = s->mem;
        unfinished = sluice_priv_load_acquire(&h->magic) == 0; /* READY:load. UNTRUSTED */
        if (place->dirfd >= 0)
                abandoned = is_of_inode(h, place) || (unfinished && !complete);
        else
                abandoned = unfinished || !complete;
        sluice_priv_segment_unmap(s);
        return abandoned;
}

/* The segment under the key. -ENOENT. -EADDRINUSE: it is not the owner's. */
static int find(struct sluice_priv_segment *s, const struct sluice_priv_place *place, key_t key)
{
        const int shmid = shmget(key, 0, 0);
        const int r = shmid < 0 ? -errno : sluice_priv_segment_stat(s, shmid);

        if (r == -EACCES || r == -EPROTO)
                return -EADDRINUSE;
        if (r)
                return r;
        return s->ds.shm_perm.uid == sluice_priv_place_owner(place) ? 0 : -EADDRINUSE;
}

int sluice_priv_key_has_segment(const struct sluice_priv_set *set)
{
        struct sluice_priv_segment s = {0};
        const int shmid = shmget(set->key, 0, 0);
        const int r = shmid < 0 ? -errno : sluice_priv_segment_stat(&s, shmid);

        if (r == 0)
                return s.ds.shm_perm.uid == set->uid;
        /* None, removed meanwhile, or a stranger's. */
        return r == -ENOENT || r == -EIDRM || r == -EACCES || r == -EPROTO ? 0 : r;
}

int sluice_priv_key_clear_segment(const struct sluice_priv_place *place, key_t key, bool held)
{
        struct sluice_priv_segment s = {0};
        int r = find(&s, place, key);

        if (r == 0)
                r = is_abandoned(&s, place, !held);
        if (r > 0)
                return rmid(s.shmid);
        if (r == 0)
                return -EADDRINUSE;
        return r == -ENOENT ? 0 : r;
}

/* A set without a segment. Its remover may still be about to remove it. */
static int remove_alone(int semid)
{
        int r = sluice_priv_set_hold(semid);

        if (r == 0)
                r = sluice_priv_set_remove(semid);
        return r == -EIDRM ? 0 : r;
}

int sluice_priv_key_clear_complete(const struct sluice_priv_place *place,
                                   const struct sluice_priv_set *set)
{
        struct sluice_priv_segment s = {0};
        int r = find(&s, place, set->key);

        if (r == 0)
                r = is_abandoned(&s, place, true);
        if (r == 0)
                return place->dirfd < 0 ? -EEXIST : -EADDRINUSE;
        if (r == -ENOENT || r == -EADDRINUSE)
                return remove_alone(set->semid); /* its segment was removed */
        if (r < 0)
                return r;
        r = sluice_priv_set_hold(set->semid);
        if (r == 0)
                r = sluice_priv_queue_remove(&s, place, set->semid);
        return r < 0 && r != -EIDRM ? r : 0;
}

int sluice_priv_key_take_set(const struct sluice_priv_place *place, key_t key, uint64_t generation,
                             int *semid)
{
        struct sluice_priv_set set = {0};
        int r;

        *semid = semget(key, 0, 0);
        r = *semid < 0 ? -errno : sluice_priv_set_look(&set, *semid);
        if (r)
                return r == -ENOENT || r == -EIDRM ? 0 : r == -EACCES ? -EADDRINUSE : r;
        if (!set.ours || set.uid != sluice_priv_place_owner(place))
                return -EADDRINUSE;
        if (!set.making)
                return sluice_priv_key_clear_complete(place, &set);
        r = sluice_priv_set_claim(&set, generation);
        if (r == 0 && !set.is_signed)
                return 1;
        if (r == 0) { /* its creator is dead */
                r = sluice_priv_key_clear_segment(place, key, true);
                sluice_priv_set_remove(*semid); /* releases the role, too */
        }
        return r == -EIDRM || r == -EAGAIN ? 0 : r; /* it has changed */
}
