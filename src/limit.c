/* SPDX-License-Identifier: MIT */
/*
 * "No space" and "no memory" each stand for half a dozen limits. Which
 * one it was is asked for right after the call that failed, and kept for
 * the thread that made it.
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

static void note_shm(int err, size_t bytes)
{
        struct shminfo limits;
        struct shm_info used;

        if (err == EPERM) {
                snprintf(text, sizeof text, "huge pages: /proc/sys/vm/hugetlb_shm_group");
                return;
        }
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
                snprintf(text, sizeof text, "memory, or for huge pages: %s",
                         "/proc/sys/vm/nr_hugepages");
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
        struct seminfo limits;
        union {
                int val;
                struct seminfo *info;
        } arg = {.info = &limits};

        if (err != E2BIG || semctl(0, 0, IPC_INFO, arg) < 0)
                return;
        snprintf(text, sizeof text, "semaphore operations in a call: %zu wanted, at most %d: %s",
                 wanted, limits.semopm, "/proc/sys/kernel/sem, third number");
}

static void note_rlimit(const char *what, const struct rlimit *limit)
{
        snprintf(text, sizeof text, "%s, at most %llu", what, (unsigned long long)limit->rlim_cur);
}

void sluice_priv_limit_note(enum sluice_priv_call call, int err, size_t wanted)
{
        const int saved = errno;
        struct rlimit limit = {0, 0};

        switch (call) {
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
                getrlimit(RLIMIT_MEMLOCK, &limit);
                note_rlimit("locked bytes: RLIMIT_MEMLOCK (ulimit -l)", &limit);
                break;
        case SLUICE_PRIV_FD:
                getrlimit(RLIMIT_NOFILE, &limit);
                if (err == EMFILE)
                        note_rlimit("descriptors: RLIMIT_NOFILE (ulimit -n)", &limit);
                else if (err == ENFILE)
                        snprintf(text, sizeof text, "open files: /proc/sys/fs/file-max");
                break;
        }
        errno = saved;
}
