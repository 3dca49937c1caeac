/* SPDX-License-Identifier: MIT */
/* Reaping: what nobody needs is removed, and exactly that. */
#define _GNU_SOURCE
#include "remains.h"

#include <fcntl.h>
#include <sys/file.h>

static struct sluice_producer p;
static struct sluice_consumer c;

/* ---- Reaping ------------------------------------------------------ */

QTest(reap, removes_only_what_nobody_needs)
{
        static const char *const names[] = {"q", "key:0x7004"};

        for (int i = 0; i < 2; i++) {
                struct sluice_queue_stat st;

                make(names[i], 4096);
                st = look(names[i]);
                call(sluice_producer_open(&p, names[i], NULL), 0);
                refused(sluice_reap(&st, SLUICE_REAP_PENDING), -EBUSY);
                call(send_number(&p, 1, SLUICE_NOW), 0);
                call(sluice_producer_close(&p), 0);
                refused(sluice_reap(&st, 0), -ENOTEMPTY);
                refused(sluice_reap(&st, SLUICE_REAP_DRY_RUN), -ENOTEMPTY);
                refused(sluice_reap(&st, SLUICE_REAP_DRY_RUN | SLUICE_REAP_PENDING), 0);
                refused(sluice_reap(&st, 8), -EINVAL);
                eq(look(names[i]).pending, 1);
                call(sluice_reap(&st, SLUICE_REAP_PENDING), 0);
                call(sluice_reap(&st, SLUICE_REAP_PENDING), -ENOENT);
        }
}

/* Its set of roles was removed: it is in use while a process maps it. */
QTest(reap, leaves_a_queue_without_roles_to_who_maps_it)
{
        struct sluice_queue_stat st;

        make("q", 4096);
        st = look("q");
        call(sluice_producer_open(&p, "q", NULL), 0);
        eq(semctl(st.semid, 0, IPC_RMID), 0);
        refused(sluice_reap(&st, SLUICE_REAP_PENDING), -EBUSY);
        call(sluice_producer_close(&p), 0);
        call(sluice_reap(&st, 0), 0);
}

QTest(reap, removes_the_very_queue_that_was_listed)
{
        struct sluice_queue_stat st;

        make("q", 4096);
        st = look("q");
        call(sluice_remove("q"), 0);
        make("q", 4096); /* another by the same name */
        refused(sluice_reap(&st, SLUICE_REAP_PENDING), -ENOENT);
        works_and_goes("q");
        /* A name that leads elsewhere by now: to a queue in use, by a link. */
        make("victim", 4096);
        call(sluice_producer_open(&p, "victim", NULL), 0);
        make("q", 4096);
        st = look("q");
        eq(rename(in_queues("q"), in_queues("moved")), 0);
        eq(symlink(in_queues("victim"), in_queues("q")), 0);
        refused(sluice_reap(&st, SLUICE_REAP_PENDING), -ESTALE);
        eq(unlink(in_queues("q")), 0);
        eq(rename(in_queues("victim"), in_queues("q")), 0);
        refused(sluice_reap(&st, SLUICE_REAP_PENDING), -ESTALE);
        call(send_number(&p, 1, SLUICE_NOW), 0);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
        works_and_goes("moved");
}

static int reaps_when_unlocked(void *ctx)
{
        call(sluice_reap(ctx, 0), -ESTALE);
        return 0;
}

static bool has_open(pid_t pid, const char *path)
{
        char fd[64], target[4096];

        for (int i = 0; i < 64; i++) {
                ssize_t n;

                snprintf(fd, sizeof fd, "/proc/%d/fd/%d", (int)pid, i);
                n = readlink(fd, target, sizeof target - 1);
                target[n < 0 ? 0 : n] = '\0';
                if (strcmp(target, path) == 0)
                        return true;
        }
        return false;
}

/* While reaping waits for the lock, its holder makes another queue there. */
QTest(reap, looks_again_once_it_has_the_lock)
{
        static char lock[4096], record[4096];
        struct sluice_queue_stat st;
        pid_t pid;
        int fd;

        make("q", 4096);
        make("next", 4096);
        call(sluice_producer_open(&p, "next", NULL), 0);
        call(send_number(&p, 1, SLUICE_NOW), 0);
        call(sluice_producer_close(&p), 0);
        st = look("q");
        eq(semctl(st.semid, 0, IPC_RMID), 0); /* by a remover who was killed then */
        strcpy(lock, in_queues("q/lock"));
        fd = open(in_queues("ours"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        eq(unlink(lock) == 0 || errno == ENOENT, 1);
        eq(link(in_queues("ours"), lock), 0); /* the child's has another name */
        eq(flock(fd, LOCK_EX), 0);
        pid = spawn(reaps_when_unlocked, &st);
        until(has_open(pid, lock));
        eq(shmctl(st.shmid, IPC_RMID, NULL), 0);
        strcpy(record, in_queues("q/memory"));
        eq(unlink(record), 0);
        eq(rename(in_queues("next/memory"), record), 0);
        eq(flock(fd, LOCK_UN), 0);
        eq(reap(pid), 0);
        close(fd);
        eq(unlink(in_queues("ours")), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        call(recv_number(&c, SLUICE_NOW), 1);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
        call(sluice_remove("next"), 0);
}

static int reaps_not(void *ctx)
{
        refused(sluice_reap(ctx, SLUICE_REAP_PENDING), -EPERM);
        refused(sluice_reap(ctx, SLUICE_REAP_PENDING | SLUICE_REAP_ALL_USERS), -EPERM);
        return 0;
}

static int makes(void *ctx)
{
        struct sluice_options o = opt(4096);

        o.mode = 0666;
        call(sluice_create(ctx, &o), 0);
        return 0;
}

QTest(reap, leaves_other_users_alone_unless_asked)
{
        static char path[4096];
        struct sluice_queue_stat st;

        needs_root();
        open_tmp_to_all();
        strcpy(path, in_tmp("q"));
        run_as(USER_A, NO_GROUP, makes, path);
        st = look(path);
        run_as(USER_B, NO_GROUP, reaps_not, &st);
        refused(sluice_reap(&st, SLUICE_REAP_PENDING), -EPERM);
        call(sluice_reap(&st, SLUICE_REAP_ALL_USERS), 0);
        check(!exists(path));
}

/* ---- A set alone -------------------------------------------------- */

/* What is left of a queue that has lost its directory and its segment, or
 * never had one: its semaphores alone. */
static struct sluice_queue_stat lone_set(void)
{
        const struct found f = list();

        eq(f.queues, 1);
        eq(f.orphans, 0);
        eq(f.queue.error, -EINPROGRESS);
        eq(f.queue.shmid, -1);
        eq(f.queue.uid, geteuid());
        return f.queue;
}

static void is_reaped(const struct sluice_queue_stat *st)
{
        refused(sluice_reap(st, SLUICE_REAP_DRY_RUN), 0);
        eq(lone_set().semid, st->semid);
        call(sluice_reap(st, 0), 0);
        refused(sluice_reap(st, 0), -ENOENT);
        eq(list().queues, 0);
}

QTest(lone_set, of_a_creator_killed_at_once_is_reaped)
{
        const int semid = semget(0x7006, SEMAPHORES, IPC_CREAT | IPC_EXCL | MAKING);
        struct sluice_queue_stat st = lone_set();

        eq(st.semid, semid);
        eq(st.key, 0x7006);
        eq(strcmp(st.name, "key:0x7006"), 0);
        is_reaped(&st);
}

QTest(lone_set, of_a_remover_killed_half_way_is_reaped)
{
        struct sluice_queue_stat st;

        make("q", 4096);
        st = look("q");
        rm_r(in_queues("q"));
        eq(shmctl(st.shmid, IPC_RMID, NULL), 0);
        st = lone_set();
        is_reaped(&st);
}

QTest(lone_set, in_use_is_not_reaped)
{
        struct sluice_queue_stat st;

        make("q", 4096);
        call(sluice_producer_open(&p, "q", NULL), 0);
        st = look("q");
        rm_r(in_queues("q"));
        eq(shmctl(st.shmid, IPC_RMID, NULL), 0);
        st = lone_set();
        refused(sluice_reap(&st, 0), -EBUSY);
        call(sluice_producer_close(&p), 0);
        is_reaped(&st);
}

QTest(lone_set, of_a_creator_at_work_is_not_reaped)
{
        const int semid = semget(0x7007, SEMAPHORES, IPC_CREAT | IPC_EXCL | MAKING);
        unsigned short value[SEMAPHORES];
        union semctl_arg arg = {.array = value};
        struct sembuf hold = {2, 1, IPC_NOWAIT | SEM_UNDO};
        struct sluice_queue_stat st;

        make("q", 4096); /* how one is signed */
        eq(semctl(look("q").semid, 0, GETALL, arg), 0);
        call(sluice_remove("q"), 0);
        eq(semctl(semid, 0, SETALL, arg), 0);
        st = lone_set();
        eq(semop(semid, &hold, 1), 0);
        refused(sluice_reap(&st, 0), -EBUSY);
        hold.sem_op = -1;
        eq(semop(semid, &hold, 1), 0);
        is_reaped(&st);
}

/* The identifier was listed, and means something else by now. */
QTest(lone_set, that_has_a_segment_by_now_is_not_reaped)
{
        const int semid = semget(0x7008, SEMAPHORES, IPC_CREAT | IPC_EXCL | MAKING);
        struct sluice_queue_stat st = lone_set(), other = st;
        const int shmid = foreign_segment(0x7008, SEGMENT);

        refused(sluice_reap(&st, 0), -ENOENT);
        eq(shmctl(shmid, IPC_RMID, NULL), 0);
        other.key = 0x7009;
        refused(sluice_reap(&other, 0), -ENOENT);
        eq(lone_set().semid, semid);
        is_reaped(&st);
}
