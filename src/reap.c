/* SPDX-License-Identifier: MIT */
/*
 * Removing a queue that nobody uses. The segment is named by its
 * identifier, its directory is opened once and has to name that segment,
 * and both roles are taken before anything is removed, with the locks of
 * both pipes: nothing changes between the look and the removal.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sem.h>
#include <unistd.h>

#include "internal.h"

#define ALL_FLAGS (SLUICE_REAP_PENDING | SLUICE_REAP_ALL_USERS | SLUICE_REAP_DRY_RUN)

struct reap {
        struct sluice_priv_segment segment;
        struct sluice_priv_set set; /* semid -1: there is none */
        struct sluice_priv_name name;
        struct sluice_priv_place place;
        struct sluice_priv_kept pipes[2]; /* locked */
        unsigned flags;
};

static int check_owner(const struct reap *reap, uid_t uid)
{
        const uid_t self = geteuid();

        if (uid == self)
                return 0;
        return self == 0 && (reap->flags & SLUICE_REAP_ALL_USERS) ? 0 : -EPERM;
}

/* The segment that was listed, and the set under its key. */
static int find_memory(struct reap *reap, const struct sluice_queue_stat *st)
{
        int semid, r = sluice_priv_segment_stat(&reap->segment, st->shmid);

        if (r || reap->segment.key != st->key)
                return r && r != -EPROTO ? r : -ENOENT;
        r = check_owner(reap, reap->segment.ds.shm_perm.uid);
        if (r)
                return r;
        semid = semget(st->key, 0, 0);
        r = semid < 0 ? -errno : sluice_priv_set_look(&reap->set, semid);
        if (r && r != -ENOENT && r != -EIDRM)
                return r;
        if (r || !reap->set.sized || reap->set.uid != reap->segment.ds.shm_perm.uid)
                reap->set.semid = -1;
        return 0;
}

/* Before we had the lock, another queue may have been made in there. */
static int look_again(const struct reap *reap)
{
        struct sluice_priv_record record;
        int r;

        if (reap->place.dirfd < 0)
                return 0;
        r = sluice_priv_record_read(&record, reap->place.dirfd);
        if (r == 0 && record.shmid == reap->segment.shmid && record.key == reap->segment.key)
                return 0;
        return r && r != -ENOENT ? r : -ESTALE;
}

/* The directory, locked; or that there is none. */
static int find_place(struct reap *reap, const struct sluice_queue_stat *st)
{
        int r;

        reap->place.dirfd = reap->place.lockfd = -1;
        reap->place.name = &reap->name;
        if (st->orphan)
                return 0;
        r = sluice_priv_name_parse(&reap->name, st->name);
        if (r == 0)
                r = sluice_priv_place_of(&reap->place, &reap->name, &reap->segment);
        if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
                return -ESTALE;
        if (r == 0)
                r = sluice_priv_place_lock(&reap->place);
        return r ? r : look_again(reap);
}

/* A pipe that is not there was removed by hand. */
static int lock_pipe(const struct reap *reap, struct sluice_priv_kept *pipe, const char *which)
{
        int fd, r = sluice_priv_fork_lock();

        if (r)
                return r;
        fd = sluice_priv_fifo_open(&reap->place, which, O_RDWR, reap->segment.ds.shm_perm.mode);
        if (fd >= 0)
                sluice_priv_kept_add(pipe, fd);
        sluice_priv_fork_unlock();
        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        return sluice_priv_fifo_lock(fd);
}

/* The semaphore of a holder that has left its undo list is free, its pipe
 * is not (fifo.c). */
static int lock_pipes(struct reap *reap)
{
        const int r = lock_pipe(reap, &reap->pipes[0], SLUICE_PRIV_READABLE);

        return r ? r : lock_pipe(reap, &reap->pipes[1], SLUICE_PRIV_WRITABLE);
}

static void unlock_pipes(struct reap *reap)
{
        for (int i = 0; i < 2; i++) {
                if (reap->pipes[i].link)
                        sluice_priv_fifo_unlock(reap->pipes[i].fd);
                sluice_priv_kept_close(&reap->pipes[i]);
        }
}

/* Weight 2, as if without a lock on a pipe: nobody takes it over. */
static int take_roles(struct reap *reap)
{
        const int semid = reap->set.semid;
        int r;

        if (semid < 0) /* somebody has removed it: then whoever maps it may use it */
                return reap->segment.ds.shm_nattch == 0 ? 0 : -EBUSY;
        if (reap->set.making) /* a dead creator's has no other role yet */
                return sluice_priv_set_claim(&reap->set, 0);
        r = reap->place.dirfd < 0 ? 0 : lock_pipes(reap);
        if (r)
                return r;
        r = sluice_priv_role_take(semid, SLUICE_PRIV_ROLE_PRODUCER, false);
        if (r)
                return r;
        r = sluice_priv_role_take(semid, SLUICE_PRIV_ROLE_CONSUMER, false);
        if (r)
                sluice_priv_role_release(semid, SLUICE_PRIV_ROLE_PRODUCER, false);
        return r;
}

static void give_roles(const struct reap *reap)
{
        const int semid = reap->set.semid;

        if (semid < 0)
                return;
        if (reap->set.making) {
                sluice_priv_role_release(semid, SLUICE_PRIV_ROLE_CREATOR, true);
                return;
        }
        sluice_priv_role_release(semid, SLUICE_PRIV_ROLE_PRODUCER, false);
        sluice_priv_role_release(semid, SLUICE_PRIV_ROLE_CONSUMER, false);
}

/* With both roles ours nothing moves. What cannot be told may be messages. */
static int check_empty(struct reap *reap)
{
        struct sluice_queue_stat st;
        int r;

        if ((reap->flags & SLUICE_REAP_PENDING) || reap->set.semid < 0 || reap->set.making)
                return 0;
        reap->segment.semid = reap->set.semid;
        r = sluice_priv_segment_map(&reap->segment, true);
        if (r == 0)
                r = sluice_priv_stat_read(&st, &reap->segment);
        sluice_priv_segment_unmap(&reap->segment);
        if (r == -ENOMEM || r == -ENOENT)
                return r;
        return r || st.pending != 0 ? -ENOTEMPTY : 0;
}

static int remove_it(struct reap *reap)
{
        int r;

        if (reap->place.dirfd >= 0)
                return sluice_priv_remove_dir(&reap->place);
        r = sluice_priv_queue_remove(&reap->segment, &reap->place, reap->set.semid);
        return r > 0 ? 0 : r == 0 ? -ENOENT : r;
}

static int reap_it(struct reap *reap)
{
        int r = take_roles(reap);

        if (r)
                return r == -EIDRM ? -ENOENT : r == -EAGAIN ? -EBUSY : r;
        r = check_empty(reap);
        if (r == 0 && !(reap->flags & SLUICE_REAP_DRY_RUN))
                r = remove_it(reap);
        if (r || (reap->flags & SLUICE_REAP_DRY_RUN))
                give_roles(reap);
        return r;
}

/* The set that was listed, without a segment beside it: with the roles ours
 * nobody makes one. */
static int reap_lone_set(struct reap *reap, const struct sluice_queue_stat *st)
{
        int r = sluice_priv_set_look(&reap->set, st->semid);

        if (r || !reap->set.ours || reap->set.key != st->key)
                return r && r != -EIDRM ? r : -ENOENT;
        r = check_owner(reap, reap->set.uid);
        if (r == 0)
                r = take_roles(reap);
        if (r)
                return r == -EIDRM ? -ENOENT : r == -EAGAIN ? -EBUSY : r;
        r = sluice_priv_key_has_segment(&reap->set);
        if (r > 0)
                r = -ENOENT;
        if (r == 0 && !(reap->flags & SLUICE_REAP_DRY_RUN))
                r = sluice_priv_set_remove(st->semid);
        if (r || (reap->flags & SLUICE_REAP_DRY_RUN))
                give_roles(reap);
        return r == -EIDRM ? -ENOENT : r;
}

static int reap_listed(struct reap *reap, const struct sluice_queue_stat *st)
{
        int r;

        if (st->shmid < 0)
                return reap_lone_set(reap, st);
        r = find_memory(reap, st);
        if (r == 0)
                r = find_place(reap, st);
        return r ? r : reap_it(reap);
}

int sluice_reap(const struct sluice_queue_stat *st, unsigned flags)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        struct reap reap;
        int r = flags & ~(unsigned)ALL_FLAGS ? -EINVAL : 0;

        memset(&reap, 0, sizeof reap);
        reap.flags = flags;
        reap.place.dirfd = reap.place.lockfd = -1;
        if (r == 0)
                r = reap_listed(&reap, st);
        unlock_pipes(&reap);
        sluice_priv_place_close(&reap.place);
        if (r == 0 && !(flags & SLUICE_REAP_DRY_RUN))
                sluice_priv_user_dir_unmake();
        sluice_priv_leave(&entry);
        return r;
}
