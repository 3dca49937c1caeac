/* SPDX-License-Identifier: MIT */
/*
 * Removing queues. What the owner may remove is decided by data of the
 * kernel: the record of the directory, which only its owner can write; key,
 * owner and size of a segment; key, owner and number of semaphores of a
 * set. Nothing in the memory, or in the semaphores once other users may
 * change them, can prevent the removal of a queue.
 *
 * The segment is removed first: a set alone is no queue, a segment alone
 * looks like one. The process that removes the segment has removed the queue.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/sem.h>
#include <unistd.h>

#include "endpoint.h"

/* 1: removed, 0: it was removed before, or -errno. */
static int remove_segment(int shmid)
{
        if (shmctl(shmid, IPC_RMID, NULL) == 0)
                return 1;
        return errno == EIDRM || errno == EINVAL ? 0 : -errno;
}

int sluice_priv_queue_remove(struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                             int semid)
{
        const int attached = sluice_priv_segment_attach(s, true);
        const int r = remove_segment(s->shmid);

        if (r >= 0 && semid >= 0)
                sluice_priv_set_remove(semid); /* releases the role, too */
        if (r > 0 && attached == 0)
                sluice_priv_wake_all(s, place); /* they find it removed */
        sluice_priv_segment_unmap(s);
        return r;
}

/* ---- By the record of a directory --------------------------------- */

/* Is it the set that the record names? Its values do not matter. */
static bool is_recorded(const struct sluice_priv_set *set, const struct sluice_priv_record *record,
                        uid_t owner)
{
        return set->sized && set->key == record->key && set->uid == owner;
}

int sluice_priv_remove_recorded(const struct sluice_priv_place *place)
{
        const uid_t owner = place->st.st_uid;
        struct sluice_priv_record record;
        struct sluice_priv_segment s = {0};
        struct sluice_priv_set set;
        int semid = -1, r = sluice_priv_record_read(&record, place->dirfd);

        if (r)
                return r == -ENOENT ? 0 : r;
        r = sluice_priv_set_look(&set, record.semid);
        if (r == -ENOMEM)
                return r;
        if (r == 0 && is_recorded(&set, &record, owner))
                semid = record.semid;
        r = sluice_priv_segment_stat(&s, record.shmid);
        if (r == 0 && s.key == record.key && s.ds.shm_perm.uid == owner)
                return sluice_priv_queue_remove(&s, place, semid);
        if (semid < 0)
                return 0;
        r = sluice_priv_set_remove(semid); /* its segment was removed before */
        if (r == 0)
                return 1;
        return r == -EIDRM ? 0 : r;
}

/* ---- What creators that died left under the keys of a directory --- */

/* 0: nothing under the key belongs to us any longer. */
static int clear_set(const struct sluice_priv_place *place, key_t key)
{
        int r = 0;

        for (int tries = 0; tries < 100; tries++) {
                int semid;

                r = sluice_priv_key_take_set(place, key, 0, &semid);
                if (r > 0) { /* of a creator that died, and ours now */
                        r = sluice_priv_key_clear_segment(place, key, true);
                        sluice_priv_set_remove(semid);
                }
                if (r != 0 || semid < 0)
                        break;
        }
        return r;
}

static int clear_project(const struct sluice_priv_place *place, key_t key)
{
        int r = clear_set(place, key);

        if (r == 0)
                r = sluice_priv_key_clear_segment(place, key, false);
        return r == -EADDRINUSE || r == -EBUSY ? 0 : r; /* not ours */
}

int sluice_priv_remove_dir(const struct sluice_priv_place *place)
{
        int found, r = sluice_priv_place_look(place);

        if (r < 0)
                return r;
        found = sluice_priv_place_has_queue(place);
        if (found < 0)
                return found;
        r = sluice_priv_remove_recorded(place);
        if (r < 0)
                return r;
        for (int project = 1; project <= SLUICE_PRIV_PROJECTS; project++) {
                r = clear_project(place, sluice_priv_place_key(place, project));
                if (r)
                        return r;
        }
        r = sluice_priv_place_empty(place);
        if (r)
                return r;
        return found ? sluice_priv_place_rmdir(place) : -ENOENT;
}

/* ---- By a bare key ------------------------------------------------ */

/* The set of a queue whose segment was removed: by a process that is about to
 * remove the set, too, or has died. */
static int remove_rest(int semid)
{
        const int r = sluice_priv_set_hold(semid);

        if (r == 0 && sluice_priv_set_remove(semid) == 0)
                return 0;
        return r && r != -EIDRM ? r : -ENOENT;
}

/* A set without a segment of ours under the same key. 0: it was of an
 * incomplete queue, and is removed. */
static int remove_set(const struct sluice_priv_place *place, const struct sluice_priv_set *set)
{
        int r;

        if (!set->ours)
                return -ENOENT;
        if (!set->making)
                return remove_rest(set->semid);
        r = sluice_priv_set_claim(set, 0);
        if (r)
                return r == -EIDRM ? -ENOENT : r;
        r = sluice_priv_key_clear_segment(place, set->key, true);
        sluice_priv_set_remove(set->semid); /* releases the role, too */
        return r == -EADDRINUSE ? 0 : r;
}

/* A queue: its segment proves it, and that the set under the same key is its
 * set, whatever values that has. */
static int remove_key(struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                      const struct sluice_priv_set *set)
{
        const bool has_set = set->sized && set->uid == s->ds.shm_perm.uid;
        int r = has_set ? sluice_priv_set_hold(set->semid) : 0;

        if (r)
                return r == -EIDRM ? -ENOENT : r;
        if (shmget(s->key, 0, 0) != s->shmid) { /* removed meanwhile */
                if (has_set)
                        sluice_priv_set_remove(set->semid);
                return -ENOENT;
        }
        r = sluice_priv_queue_remove(s, place, has_set ? set->semid : -1);
        if (r > 0)
                return 0;
        return r == 0 || r == -EIDRM ? -ENOENT : r;
}

static bool may_remove(uid_t uid)
{
        return uid == geteuid() || geteuid() == 0;
}

/* The set is read before the segment: while it exists, no other queue is made
 * under the key. */
static int remove_under_key(const struct sluice_priv_place *place)
{
        const key_t key = place->name->key;
        const int semid = semget(key, 0, 0);
        struct sluice_priv_set set = {.semid = -1};
        struct sluice_priv_segment s = {0};
        int shmid, r = semid < 0 ? -errno : sluice_priv_set_look(&set, semid);

        if (r && r != -ENOENT && r != -EIDRM && r != -EACCES)
                return r;
        shmid = shmget(key, 0, 0);
        r = shmid < 0 ? -errno : sluice_priv_segment_stat(&s, shmid);
        if ((r == -EPROTO || r == -ENOENT) && set.ours)
                return may_remove(set.uid) ? remove_set(place, &set) : -EPERM;
        if (r)
                return r;
        if (!may_remove(s.ds.shm_perm.uid))
                return -EPERM;
        return set.making ? remove_set(place, &set) : remove_key(&s, place, &set);
}

/* ---- A queue ------------------------------------------------------ */

static int remove_bare_key(const struct sluice_priv_place *place)
{
        for (int tries = 0; tries <= 100; tries++) {
                const int r = remove_under_key(place);

                if (r != -EAGAIN)
                        return r;
        }
        return -EBUSY;
}

static int remove_place(struct sluice_priv_place *place)
{
        int r;

        if (place->dirfd < 0)
                return remove_bare_key(place);
        if (!may_remove(place->st.st_uid))
                return -EPERM;
        /* Before anything is changed. */
        if (faccessat(place->dirfd, "..", W_OK | X_OK, AT_EACCESS) != 0)
                return -errno;
        r = sluice_priv_place_look(place);
        if (r < 0)
                return r;
        r = sluice_priv_place_lock(place);
        return r ? r : sluice_priv_remove_dir(place);
}

static int remove_named(const char *name)
{
        struct sluice_priv_place place;
        struct sluice_priv_name n;
        int r = sluice_priv_name_parse(&n, name);

        if (r)
                return r;
        r = sluice_priv_place_open(&place, &n);
        if (r)
                return r;
        r = remove_place(&place);
        sluice_priv_place_close(&place);
        if (r == 0 && n.in_user_dir)
                sluice_priv_user_dir_unmake();
        return r;
}

int sluice_remove(const char *name)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        const int r = remove_named(name);

        sluice_priv_leave(&entry);
        return r == -ESTALE ? -ENOENT : r;
}
