/* SPDX-License-Identifier: MIT */
/*
 * Which limit was reached: ENOSPC and ENOMEM each stand for several. The
 * limit is determined right after the call that failed, and its description
 * is kept per thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/sem.h>

#include "internal.h"

static _Thread_local char text[200];

void sluice_priv_limit_forget(void)
{
        text[0] = '\0';
}

const char *sluice_limit(void)
{
        return text;
}

static void note_huge(int err, size_t bytes)
{
        if (err == EPERM)
                snprintf(text, sizeof text, "huge pages: for CAP_IPC_LOCK, and for the group in %s",
                         "/proc/sys/vm/hugetlb_shm_group");
        else
                snprintf(text, sizeof text, "huge pages: %zu bytes wanted, more than are free: %s",
                         bytes, "/proc/sys/vm/nr_hugepages");
}

static void note_shm(int err, size_t bytes)
{
        struct shminfo limits;
        struct shm_info used;

        if (shmctl(0, IPC_INFO, (struct shmid_ds *)(void *)&limits) < 0 ||
            shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&used) < 0)
                return;
        if (err == EINVAL)
                snprintf(text, sizeof text, "bytes in a segment: %zu wanted, at most %lu: %s",
                         bytes, limits.shmmax, "/proc/sys/kernel/shmmax");
        else if (err == ENOSPC && (unsigned long)used.used_ids >= limits.shmmni)
                snprintf(text, sizeof text, "segments: %d in use, at most %lu: %s", used.used_ids,
                         limits.shmmni, "/proc/sys/kernel/shmmni");
        else if (err == ENOSPC)
                snprintf(text, sizeof text, "pages in all segments: %lu in use, at most %lu: %s",
                         used.shm_tot, limits.shmall, "/proc/sys/kernel/shmall");
        else if (err == ENOMEM)
                snprintf(text, sizeof text, "memory: %zu bytes wanted: %s", bytes,
                         "/proc/sys/vm/overcommit_memory");
}

static void note_sem(int err, size_t wanted)
{
        struct seminfo limits, used;
        union {
                int val;
                struct seminfo *info;
        } arg;

        arg.info = &limits;
        if ((err != ENOSPC && err != EINVAL) || semctl(0, 0, IPC_INFO, arg) < 0)
                return;
        if (err == EINVAL) {
                snprintf(text, sizeof text, "semaphores in a set: %zu wanted, at most %d: %s",
                         wanted, limits.semmsl, "/proc/sys/kernel/sem, first number");
                return;
        }
        arg.info = &used;
        if (semctl(0, 0, SEM_INFO, arg) < 0)
                return;
        if (used.semusz >= limits.semmni)
                snprintf(text, sizeof text, "semaphore sets: %d in use, at most %d: %s",
                         used.semusz, limits.semmni, "/proc/sys/kernel/sem, fourth number");
        else
                snprintf(text, sizeof text, "semaphores: %d in use, at most %d: %s", used.semaem,
                         limits.semmns, "/proc/sys/kernel/sem, second number");
}

static void note_semop(int err, size_t wanted)
{
        struct seminfo limits = {0};
        union {
                int val;
                struct seminfo *info;
        } arg = {.info = &limits};

        if (err != E2BIG || semctl(0, 0, IPC_INFO, arg) < 0)
                return;
        snprintf(text, sizeof text, "semaphore operations in a call: %zu wanted, at most %d: %s",
                 wanted, limits.semopm, "/proc/sys/kernel/sem, third number");
}

static void note_mlock(size_t bytes)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
                snprintf(text, sizeof text, "locked bytes: %zu wanted, at most %llu in all: %s",
                         bytes, (unsigned long long)limit.rlim_cur, "RLIMIT_MEMLOCK (ulimit -l)");
}

static void note_fd(int err)
{
        struct rlimit limit;

        if (err == ENFILE)
                snprintf(text, sizeof text, "open files: /proc/sys/fs/file-max");
        else if (err == ENOSPC)
                snprintf(text, sizeof text,
                         "polled descriptors: /proc/sys/fs/epoll/max_user_watches");
        else if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
                snprintf(text, sizeof text, "descriptors: at most %llu: RLIMIT_NOFILE (ulimit -n)",
                         (unsigned long long)limit.rlim_cur);
}

void sluice_priv_limit_note(enum sluice_priv_call call, int err, size_t wanted)
{
        const int saved = errno;

        switch (call) {
        case SLUICE_PRIV_SHMGET_HUGE:
                if (err == EPERM || err == ENOMEM)
                        note_huge(err, wanted);
                else
                        note_shm(err, wanted);
                break;
        case SLUICE_PRIV_SHMGET:
                note_shm(err, wanted);
                break;
        case SLUICE_PRIV_SEMGET:
                note_sem(err, wanted);
                break;
        case SLUICE_PRIV_SEMOP:
                note_semop(err, wanted);
                break;
        case SLUICE_PRIV_MLOCK:
                note_mlock(wanted);
                break;
        case SLUICE_PRIV_FD:
                note_fd(err);
                break;
        }
        errno = saved;
}
