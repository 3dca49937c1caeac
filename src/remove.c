/* SPDX-License-Identifier: MIT */
/*
 * Removing queues. What the owner may remove is decided by what the kernel
 * keeps: the record of the directory, which only its owner can write; key,
 * owner and size of a segment; key, owner and number of semaphores of a
 * set. Nothing that stands in the memory, or in the semaphores once others
 * may change them, can keep a queue from being removed.
 *
 * The segment goes first: a set alone is no queue, a segment alone looks
 * like one. Whoever removes the segment has removed the queue.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/sem.h>
#include <unistd.h>

#include "internal.h"

int sluice_priv_queue_remove(struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                             int semid)
{
        const int attached = sluice_priv_segment_attach(s, true);
        const int r = shmctl(s->shmid, IPC_RMID, NULL) == 0 ? 1
                      : errno == EIDRM || errno == EINVAL   ? 0
                                                            : -errno;

        if (r >= 0 && semid >= 0)
                sluice_priv_set_remove(semid); /* gives the role back, too */
        if (r > 0 && attached == 0)
                sluice_priv_wake_all(s, place); /* they find it gone */
        sluice_priv_segment_unmap(s);
        return r;
}

/* ---- By the record of a directory --------------------------------- */

/* Is it the set that the record names, whatever it holds? */
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
        r = sluice_priv_set_remove(semid); /* its segment is gone */
        return r == 0 ? 1 : r == -EIDRM ? 0 : r;
}

/* ---- What the dead have left in a directory's keys ---------------- */

static int clear_project(const struct sluice_priv_place *place, key_t key)
{
        int semid, r;

        for (int tries = 0; tries < 100; tries++) {
                r = sluice_priv_key_take_set(place, key, 0, &semid);
                if (r > 0) { /* a dead creator's, and ours now */
                        r = sluice_priv_key_clear_segment(place, key, true);
                        sluice_priv_set_remove(semid);
                }
                if (r != 0 || semid < 0)
                        break;
        }
        if (r == 0)
                r = sluice_priv_key_clear_segment(place, key, false);
        return r == -EADDRINUSE || r == -EBUSY ? 0 : r; /* not ours */
}

int sluice_priv_remove_dir(const struct sluice_priv_place *place)
{
        const int there = sluice_priv_place_look(place);
        const int found = there < 0 ? there : sluice_priv_place_has_queue(place);
        int r = found < 0 ? found : sluice_priv_remove_recorded(place);

        if (r < 0)
                return r;
        r = 0;
        for (int project = 1; r == 0 && project <= SLUICE_PRIV_PROJECTS; project++)
                r = clear_project(place, sluice_priv_place_key(place, project));
        if (r == 0)
                r = sluice_priv_place_empty(place);
        if (r == 0 && !found)
                return -ENOENT;
        return r ? r : sluice_priv_place_rmdir(place);
}

/* ---- By a bare key ------------------------------------------------ */

/* The set of a queue whose segment is gone: its remover takes it away, or
 * has died. */
static int remove_rest(int semid)
{
        const int r = sluice_priv_set_hold(semid);

        if (r == 0 && sluice_priv_set_remove(semid) == 0)
                return 0;
        return r && r != -EIDRM ? r : -ENOENT;
}

/* A set beside which there is no segment of ours. 0: it was half a queue,
 * and is gone. */
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
        sluice_priv_set_remove(set->semid); /* gives the role back, too */
        return r == -EADDRINUSE ? 0 : r;
}

/* A queue: its segment proves it, and with it the set, whatever has been
 * done to that. */
static int remove_key(struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                      const struct sluice_priv_set *set)
{
        const bool its = set->sized && set->uid == s->ds.shm_perm.uid;
        int r = its ? sluice_priv_set_hold(set->semid) : 0;

        if (r == 0 && shmget(s->key, 0, 0) == s->shmid)
                r = sluice_priv_queue_remove(s, place, its ? set->semid : -1);
        else if (r == 0 && its)
                sluice_priv_set_remove(set->semid); /* another died in between */
        if (r > 0)
                return 0;
        return r == 0 || r == -EIDRM ? -ENOENT : r; /* another has removed it just now */
}

static bool may_remove(uid_t uid)
{
        return uid == geteuid() || geteuid() == 0;
}

/* The set is looked at before the segment: while it stands, no other queue
 * is made under the key. */
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
        if (r == -EPROTO || r == -ENOENT)
                return !set.ours ? r : may_remove(set.uid) ? remove_set(place, &set) : -EPERM;
        if (r)
                return r;
        if (!may_remove(s.ds.shm_perm.uid))
                return -EPERM;
        return set.making ? remove_set(place, &set) : remove_key(&s, place, &set);
}

/* ---- A queue ------------------------------------------------------ */

static int remove_place(struct sluice_priv_place *place)
{
        int r;

        if (place->dirfd < 0) {
                for (int tries = 0; (r = remove_under_key(place)) == -EAGAIN && tries < 100;)
                        tries++;
                return r == -EAGAIN ? -EBUSY : r;
        }
        if (!may_remove(place->st.st_uid))
                return -EPERM;
        /* Before anything is changed. */
        if (faccessat(place->dirfd, "..", W_OK | X_OK, AT_EACCESS) != 0)
                return -errno;
        r = sluice_priv_place_look(place);
        if (r >= 0)
                r = sluice_priv_place_lock(place);
        return r ? r : sluice_priv_remove_dir(place);
}

int sluice_remove(const char *name)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        struct sluice_priv_place place;
        struct sluice_priv_name n;
        int r = sluice_priv_name_parse(&n, name);

        if (r == 0) {
                r = sluice_priv_place_open(&place, &n);
                if (r == 0)
                        r = remove_place(&place);
                sluice_priv_place_close(&place);
                if (r == 0 && n.in_user_dir)
                        sluice_priv_user_dir_unmake();
        }
        sluice_priv_leave(&entry);
        return r == -ESTALE ? -ENOENT : r;
}
