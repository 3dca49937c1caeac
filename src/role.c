/* SPDX-License-Identifier: MIT */
/*
 * Roles are semaphores of the queue's set, 0: free. They are taken with
 * SEM_UNDO, so the kernel releases them when their holder ends, however that
 * happens. "Wait for 0, then add" is one atomic operation, so a new set (all
 * 0) needs no initialisation that an opener could overtake.
 *
 * 1: the holder locked its pipe (fifo.c) before, and unlocks it after. So a
 * process that gets that lock and finds a 1 knows that the holder has called
 * exec, or has closed its descriptors (handle.c distinguishes the two).
 * 2: a bare key, without a lock, where this cannot be found out.
 * 3 or 2, for a moment: it is being taken over from such a process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/sem.h>

#include "internal.h"

int sluice_priv_role_change(int semid, struct sembuf *ops, size_t n)
{
        if (semop(semid, ops, n) == 0)
                return 0;
        if (errno == EAGAIN)
                return -EBUSY;
        if (errno == E2BIG || errno == ENOSPC) {
                const int error = errno;

                sluice_priv_limit_note(SLUICE_PRIV_SEMOP, error, n);
                return -ENOSPC; /* kernel.sem: operations in a call; undo entries */
        }
        return errno == EINVAL ? -EIDRM : -errno;
}

static short weight(bool locked)
{
        return locked ? 1 : 2;
}

int sluice_priv_role_take(int semid, int role, bool locked)
{
        struct sembuf ops[2] = {
                {(unsigned short)role, 0, IPC_NOWAIT},
                {(unsigned short)role, weight(locked), IPC_NOWAIT | SEM_UNDO},
        };

        return sluice_priv_role_change(semid, ops, 2);
}

/* Also clears what any process would undo to the semaphore at its end. */
static int role_set(int semid, int role, int value)
{
        union {
                int val;
                struct semid_ds *buf;
        } arg = {.val = value};

        if (semctl(semid, role, SETVAL, arg) != 0)
                return errno == EINVAL ? -EIDRM : -errno;
        return 0;
}

/* The old holder would still undo its 1 when it ends: only SETVAL clears
 * that, and our own undo with it. No other process gets the role meanwhile,
 * and if we die on the way, a 1 without a lock remains, to be taken over. */
int sluice_priv_role_take_over(int semid, int role)
{
        const unsigned short n = (unsigned short)role;
        struct sembuf claim[4] = {
                {n, -1, IPC_NOWAIT},
                {n, 0, IPC_NOWAIT}, /* it was 1 exactly */
                {n, 1, IPC_NOWAIT}, /* and is again, if we die */
                {n, 2, IPC_NOWAIT | SEM_UNDO},
        };
        struct sembuf restore = {n, -2, IPC_NOWAIT | SEM_UNDO};
        struct sembuf undo[2] = {{n, -1, IPC_NOWAIT}, {n, 1, IPC_NOWAIT | SEM_UNDO}};
        int r = sluice_priv_role_change(semid, claim, 4);

        if (r)
                return r;
        r = role_set(semid, role, 1);
        if (r) {
                sluice_priv_role_change(semid, &restore, 1);
                return r;
        }
        return sluice_priv_role_change(semid, undo, 2);
}

void sluice_priv_role_release(int semid, int role, bool locked)
{
        struct sembuf op = {(unsigned short)role, (short)-weight(locked), IPC_NOWAIT | SEM_UNDO};

        /* Fails when the set is gone, or, in theory, for want of memory. */
        if (sluice_priv_role_change(semid, &op, 1) == -ENOMEM)
                role_set(semid, role, 0);
}

int sluice_priv_role_held(int semid, int role)
{
        const int value = semctl(semid, role, GETVAL);

        if (value >= 0)
                return value > 0;
        return errno == EINVAL ? -EIDRM : -errno;
}
