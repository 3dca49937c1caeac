/* SPDX-License-Identifier: MIT */
/*
 * Roles are semaphores of the queue's set, 0 free and 1 held, taken with
 * SEM_UNDO: the kernel gives them back when their holder is gone, by
 * whatever death. "Wait for 0, then add 1" is one atomic operation, so a
 * fresh set (all 0) needs no initialisation that an opener could
 * overtake.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/sem.h>

#include "internal.h"

int sluice_priv_role_take(int semid, int role)
{
        struct sembuf ops[2] = {
                { (unsigned short)role, 0, IPC_NOWAIT },
                { (unsigned short)role, 1, IPC_NOWAIT | SEM_UNDO },
        };

        if (semop(semid, ops, 2) == 0)
                return 0;
        if (errno == EAGAIN)
                return -EBUSY;
        return errno == EINVAL ? -EIDRM : -errno;
}

/* Setting a semaphore clears what every process would undo to it. */
int sluice_priv_role_take_over(int semid, int role)
{
        union {
                int val;
                struct semid_ds *buf;
        } arg = { .val = 0 };

        if (semctl(semid, role, SETVAL, arg) != 0)
                return errno == EINVAL ? -EIDRM : -errno;
        return sluice_priv_role_take(semid, role);
}

void sluice_priv_role_give(int semid, int role)
{
        struct sembuf op = { (unsigned short)role, -1, IPC_NOWAIT | SEM_UNDO };

        semop(semid, &op, 1); /* fails only when the set is gone */
}

int sluice_priv_role_held(int semid, int role)
{
        const int value = semctl(semid, role, GETVAL);

        if (value >= 0)
                return value > 0;
        return errno == EINVAL ? -EIDRM : -errno;
}
