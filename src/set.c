/* SPDX-License-Identifier: MIT */
/*
 * The semaphore set of a queue, and how it is recognised. Any program may
 * have a set under our key; a set is only read, by IPC_STAT and GETALL, until
 * it has proved to be a queue's:
 *
 *   - it has an unusual number of semaphores (SLUICE_PRIV_SEMAPHORES);
 *   - three of them spell "sluice", five more contain the generation of
 *     the queue, so that a set is not taken for that of another segment;
 *   - while it is being made its mode is 0611: execute permission means
 *     nothing for semaphores, so no other program asks for it. The call
 *     that makes the set also sets this mark, before there are any values,
 *     and it keeps all other users out of an incomplete set.
 *
 * SLUICE_PRIV_ROLE_CREATOR counts only while the mark is there: then only the
 * owner can raise it, and SEM_UNDO resets it when the creator dies. If a set
 * has the mark and its creator's semaphore is 0, its creator is dead.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/sem.h>
#include <time.h>

#include "internal.h"

/* Permissions while the set is being made. */
#define MAKING_MODE 0611u

enum { FIRST_WORD = 3, WORDS = 3, FIRST_PART = 6, PARTS = 5, PART_BITS = 13 };

static const unsigned short words[WORDS] = {'s' << 8 | 'l', 'u' << 8 | 'i', 'c' << 8 | 'e'};

union semctl_arg {
        int val;
        struct semid_ds *buf;
        unsigned short *array;
};

/* Never 0, so these values of a signed set are never 0. */
static unsigned short part(uint64_t generation, int i)
{
        return (unsigned short)((generation >> (i * PART_BITS) & ((1u << PART_BITS) - 1)) + 1);
}

static int gone(int error)
{
        return error == EINVAL || error == EIDRM ? -EIDRM : -error;
}

int sluice_priv_set_make(key_t key)
{
        const int semid =
                semget(key, SLUICE_PRIV_SEMAPHORES, IPC_CREAT | IPC_EXCL | (int)MAKING_MODE);

        if (semid < 0) {
                const int error = errno;

                sluice_priv_limit_note(SLUICE_PRIV_SEMGET, error, SLUICE_PRIV_SEMAPHORES);
                return error == EINVAL ? -ENOSPC : -error; /* kernel.sem: semaphores in a set */
        }
        return semid;
}

/* One atomic operation: a second process finds the signature. */
int sluice_priv_set_sign(int semid, uint64_t generation)
{
        struct sembuf op[WORDS + PARTS + 3];
        size_t n = 0;

        op[n++] = (struct sembuf){FIRST_WORD, 0, IPC_NOWAIT};
        for (int i = 0; i < WORDS; i++)
                op[n++] = (struct sembuf){(unsigned short)(FIRST_WORD + i), (short)words[i], 0};
        for (int i = 0; i < PARTS; i++)
                op[n++] = (struct sembuf){(unsigned short)(FIRST_PART + i),
                                          (short)part(generation, i), 0};
        op[n++] = (struct sembuf){SLUICE_PRIV_ROLE_CREATOR, 0, IPC_NOWAIT};
        op[n++] = (struct sembuf){SLUICE_PRIV_ROLE_CREATOR, 1, IPC_NOWAIT | SEM_UNDO};
        return sluice_priv_role_change(semid, op, n);
}

static bool is_signed(const unsigned short *value)
{
        for (int i = 0; i < WORDS; i++)
                if (value[FIRST_WORD + i] != words[i])
                        return false;
        return true;
}

static bool is_blank(const unsigned short *value)
{
        for (int i = 0; i < SLUICE_PRIV_SEMAPHORES; i++)
                if (value[i] != 0)
                        return false;
        return true;
}

static uint64_t generation_of(const unsigned short *value)
{
        uint64_t generation = 0;

        for (int i = 0; i < PARTS; i++)
                generation |= (uint64_t)(value[FIRST_PART + i] - 1u) << (i * PART_BITS);
        return generation;
}

int sluice_priv_set_look(struct sluice_priv_set *s, int semid)
{
        unsigned short value[SLUICE_PRIV_SEMAPHORES] = {0};
        struct semid_ds ds = {.sem_nsems = 0};
        union semctl_arg arg = {.buf = &ds};

        memset(s, 0, sizeof *s);
        s->semid = semid;
        if (semctl(semid, 0, IPC_STAT, arg) != 0)
                return gone(errno);
        s->uid = ds.sem_perm.uid;
        s->key = ds.sem_perm.__key;
        s->mode = ds.sem_perm.mode & 0666;
        s->sized = ds.sem_nsems == SLUICE_PRIV_SEMAPHORES;
        if (!s->sized)
                return 0;
        arg.array = value;
        if (semctl(semid, 0, GETALL, arg) != 0)
                return gone(errno);
        s->making = (ds.sem_perm.mode & 0777) == MAKING_MODE;
        s->is_signed = is_signed(value);
        s->ours = s->is_signed || (s->making && is_blank(value));
        s->making &= s->ours;
        if (s->is_signed)
                s->generation = generation_of(value);
        return 0;
}

/* From now on the mode of the queue decides who may use it. */
int sluice_priv_set_finish(int semid, mode_t mode)
{
        struct semid_ds ds = {.sem_nsems = 0};
        union semctl_arg arg = {.buf = &ds};

        if (semctl(semid, 0, IPC_STAT, arg) != 0)
                return gone(errno);
        ds.sem_perm.mode = (ds.sem_perm.mode & ~0777u) | mode;
        return semctl(semid, 0, IPC_SET, arg) == 0 ? 0 : gone(errno);
}

/* The creator may have finished after the set was read. */
static int claim_signed(int semid)
{
        struct sluice_priv_set now;
        int r = sluice_priv_role_take(semid, SLUICE_PRIV_ROLE_CREATOR, true);

        if (r)
                return r;
        r = sluice_priv_set_look(&now, semid);
        if (r == 0 && !now.making)
                r = -EAGAIN;
        if (r)
                sluice_priv_role_release(semid, SLUICE_PRIV_ROLE_CREATOR, true);
        return r;
}

int sluice_priv_set_claim(const struct sluice_priv_set *s, uint64_t generation)
{
        return s->is_signed ? claim_signed(s->semid) : sluice_priv_set_sign(s->semid, generation);
}

/* Removers of one key take turns. A user who may change the semaphores of a
 * complete set can also raise this one and leave it raised: we wait no longer
 * than a remover would hold it, then go on. */
int sluice_priv_set_hold(int semid)
{
        const struct timespec ms = {0, 1000000};
        int r;

        for (int tries = 0; tries < 50; tries++) {
                r = sluice_priv_role_take(semid, SLUICE_PRIV_ROLE_CREATOR, true);
                if (r != -EBUSY)
                        return r;
                nanosleep(&ms, NULL);
        }
        return 0;
}

int sluice_priv_set_remove(int semid)
{
        return semctl(semid, 0, IPC_RMID) == 0 ? 0 : gone(errno);
}
