/* SPDX-License-Identifier: MIT */
/*
 * What stands under a key when a queue is to be made or removed there: the
 * objects of other programs, which are only looked at; of other queues; of
 * creators that were killed; of directories that are gone.
 *
 * Under one key there is one set at a time, and while it stands nobody
 * else makes a segment there. So what is found beside a set that we hold
 * (it is not complete, and its creator's semaphore is ours) is ours to
 * remove, and what is removed is named by its identifier: an identifier
 * that has gone meanwhile hurts nobody.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/sem.h>

#include "internal.h"

static int rmid(int shmid)
{
        return shmctl(shmid, IPC_RMID, NULL) == 0 || errno == EIDRM || errno == EINVAL ? 0 : -errno;
}

/* The directory with this inode is ours now: what says that it belongs to
 * the inode, and is not what our record names, belongs to a directory that
 * was removed. */
static bool is_of_inode(const struct sluice_layout_header *h, const struct sluice_priv_place *place)
{
        return place->dirfd >= 0 && h->device == (uint64_t)place->st.st_dev &&
               h->inode == (uint64_t)place->st.st_ino;
}

/* 1: nobody's. What is beside a set that is complete, or that we do not hold, is
 * no half-made queue of ours: then only what was a directory's can be that, or a
 * bare key's that says that it is not complete. */
static int is_left(struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                   bool complete)
{
        const struct sluice_layout_header *h;
        bool unfinished, left;
        int r = sluice_priv_segment_attach(s, true);

        if (r)
                return r;
        h = s->mem;
        unfinished = sluice_priv_load_acquire(&h->magic) == 0; /* READY:load. UNTRUSTED */
        if (place->dirfd >= 0)
                left = is_of_inode(h, place) || (unfinished && !complete);
        else
                left = unfinished || !complete;
        sluice_priv_segment_unmap(s);
        return left;
}

/* The segment under the key, if it is the owner's: -ENOENT, -EADDRINUSE. */
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
                r = is_left(&s, place, !held);
        if (r <= 0)
                return r == -ENOENT ? 0 : r ? r : -EADDRINUSE;
        return rmid(s.shmid);
}

/* A remover that lives takes it away itself. */
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

        if (r == 0) {
                r = is_left(&s, place, true);
                if (r == 0)
                        return place->dirfd < 0 ? -EEXIST : -EADDRINUSE;
        }
        if (r < 0 && r != -ENOENT && r != -EADDRINUSE)
                return r;
        if (r < 0)
                return remove_alone(set->semid); /* its segment is gone */
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
        if (r == 0) { /* a dead creator's */
                r = sluice_priv_key_clear_segment(place, key, true);
                sluice_priv_set_remove(*semid); /* gives the role back, too */
        }
        return r == -EIDRM || r == -EAGAIN ? 0 : r; /* it has changed */
}
