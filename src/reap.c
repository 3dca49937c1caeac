/* SPDX-License-Identifier: MIT */
/*
 * Removing a queue that is not in use. The segment is named by its
 * identifier, its directory is opened once and has to name that segment,
 * and both roles are taken before anything is removed, with the locks of
 * both pipes: nothing changes between the check and the removal.
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

static int find_segment(struct reap *reap, const struct sluice_queue_stat *st)
{
        const int r = sluice_priv_segment_stat(&reap->segment, st->shmid);

        if (r == -EPROTO || (r == 0 && reap->segment.key != st->key))
                return -ENOENT; /* the identifier was reused */
        return r ? r : check_owner(reap, reap->segment.ds.shm_perm.uid);
}

/* The segment that was listed, and the set under its key. */
static int find_memory(struct reap *reap, const struct sluice_queue_stat *st)
{
        int semid, r = find_segment(reap, st);

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

/* Before we had the lock, another queue may have been made in the directory. */
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
        if (r)
                return r;
        r = sluice_priv_place_of(&reap->place, &reap->name, &reap->segment);
        if (r)
                return r == -ENOENT || r == -ENOTDIR || r == -ELOOP ? -ESTALE : r;
        r = sluice_priv_place_lock(&reap->place);
        return r ? r : look_again(reap);
}

/* A pipe that does not exist was removed by hand. */
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

/* The semaphore of a holder that has lost its undo list is 0, but its pipe is
 * still locked (fifo.c). */
static int lock_pipes(struct reap *reap)
{
        const int r = lock_pipe(reap, &reap->pipes[0], SLUICE_PRIV_READABLE);

        return r ? r : lock_pipe(reap, &reap->pipes[1], SLUICE_PRIV_WRITABLE);
}

static void unlock_pipes(struct reap *reap)
{
        for (int i = 0; i < 2; i++) {
                if (reap->pipes[i].listed)
                        sluice_priv_fifo_unlock(reap->pipes[i].fd);
                sluice_priv_kept_close(&reap->pipes[i]);
        }
}

/* Weight 2, as if no pipe were locked, so no opener takes the roles over. */
static int take_roles(struct reap *reap)
{
        const int semid = reap->set.semid;
        int r;

        if (semid < 0) /* removed by hand: every process that maps the queue may use it */
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

static void release_roles(const struct reap *reap)
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

static int read_contents(struct reap *reap, struct sluice_queue_stat *st)
{
        int r = sluice_priv_segment_map(&reap->segment, true);

        if (r)
                return r;
        r = sluice_priv_stat_read(st, &reap->segment);
        sluice_priv_segment_unmap(&reap->segment);
        return r;
}

/* We hold both roles, so nothing changes. Contents that cannot be read count
 * as messages. */
static int check_empty(struct reap *reap)
{
        struct sluice_queue_stat st;
        int r;

        if ((reap->flags & SLUICE_REAP_PENDING) || reap->set.semid < 0 || reap->set.making)
                return 0;
        reap->segment.semid = reap->set.semid;
        r = read_contents(reap, &st);
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

static int take_roles_error(int r)
{
        if (r == -EIDRM)
                return -ENOENT;
        return r == -EAGAIN ? -EBUSY : r;
}

static int reap_it(struct reap *reap)
{
        int r = take_roles(reap);

        if (r)
                return take_roles_error(r);
        r = check_empty(reap);
        if (r || (reap->flags & SLUICE_REAP_DRY_RUN))
                goto release;
        r = remove_it(reap);
        if (r)
                goto release;
        return 0;
release:
        release_roles(reap);
        return r;
}

/* The set that was listed, without a segment beside it: while we hold its
 * roles, no process makes one. */
static int reap_lone_set(struct reap *reap, const struct sluice_queue_stat *st)
{
        int r = sluice_priv_set_look(&reap->set, st->semid);

        if (r || !reap->set.ours || reap->set.key != st->key)
                return r && r != -EIDRM ? r : -ENOENT;
        r = check_owner(reap, reap->set.uid);
        if (r)
                return r;
        r = take_roles(reap);
        if (r)
                return take_roles_error(r);
        r = sluice_priv_key_has_segment(&reap->set);
        if (r > 0)
                r = -ENOENT;
        if (r || (reap->flags & SLUICE_REAP_DRY_RUN))
                goto release;
        r = sluice_priv_set_remove(st->semid);
        if (r)
                goto release;
        return 0;
release:
        release_roles(reap);
        return r == -EIDRM ? -ENOENT : r;
}

static int reap_listed(struct reap *reap, const struct sluice_queue_stat *st)
{
        int r;

        if (st->size < SLUICE_PRIV_STAT_LEAST)
                return -EINVAL;
        if (st->shmid < 0)
                return reap_lone_set(reap, st);
        r = find_memory(reap, st);
        if (r)
                return r;
        r = find_place(reap, st);
        return r ? r : reap_it(reap);
}

int sluice_reap(const struct sluice_queue_stat *st, unsigned flags)
{
        struct sluice_priv_entry entry;
        struct reap reap;
        int r;

        if (flags & ~(unsigned)ALL_FLAGS)
                return -EINVAL;
        entry = sluice_priv_enter();
        memset(&reap, 0, sizeof reap);
        reap.flags = flags;
        reap.place.dirfd = reap.place.lockfd = -1;
        r = reap_listed(&reap, st);
        unlock_pipes(&reap);
        sluice_priv_place_close(&reap.place);
        if (r == 0 && !(flags & SLUICE_REAP_DRY_RUN))
                sluice_priv_user_dir_unmake();
        sluice_priv_leave(&entry);
        return r;
}
