/* SPDX-License-Identifier: MIT */
/*
 * Slots in shared memory, and something of the kernel that says "there is
 * one" and "one is free again" for each message: semaphores, eventfds, bytes
 * in a FIFO, signals. The protocol is the same for all, and as good as it
 * gets: as many slots as a ring of 256 KiB has, and the writer waits only when
 * all of them are taken.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench_ipc.h"

enum { RING = 256 * 1024, SLOTS_MOST = 64, FULL = 0, FREE = 1 };

struct shm {
        MEASURE_APART struct {
                uint64_t sent, freed;
        } writer[2]; /* each on its side's lines */
        MEASURE_APART uint64_t read[2];
        MEASURE_APART sem_t sem[4];
        MEASURE_APART int fd[4][2];
        int semid;
        pid_t pid[2]; /* by side */
        int done[2];
        MEASURE_APART uint64_t slots, len;
        MEASURE_APART unsigned char bytes[2][RING];
};

/* token: 2 * which + FULL or FREE. */
typedef void token_fn(struct shm *m, int token);

static struct shm *shm_new(size_t len)
{
        struct shm *m = bench_shared(sizeof *m);

        m->len = len;
        m->slots = RING / len < SLOTS_MOST ? RING / len : SLOTS_MOST;
        return m;
}

MEASURE_INLINE void shm_send(void *ctx, int which, const void *msg, size_t len, token_fn give,
                             token_fn take)
{
        struct shm *m = ctx;

        if (m->writer[which].sent - m->writer[which].freed == m->slots) {
                take(m, 2 * which + FREE);
                m->writer[which].freed++;
        }
        memcpy(m->bytes[which] + m->writer[which].sent++ % m->slots * m->len, msg, len);
        give(m, 2 * which + FULL);
}

MEASURE_INLINE void shm_recv(void *ctx, int which, void *msg, size_t len, token_fn give,
                             token_fn take)
{
        struct shm *m = ctx;

        take(m, 2 * which + FULL);
        memcpy(msg, m->bytes[which] + m->read[which]++ % m->slots * m->len, len);
        give(m, 2 * which + FREE);
}

static void shm_close(void *ctx)
{
        bench_unshare(ctx, sizeof(struct shm));
}

#define KIND(NAME)                                                                 \
        static void NAME##_send(void *ctx, int which, const void *msg, size_t len) \
        {                                                                          \
                shm_send(ctx, which, msg, len, NAME##_give, NAME##_take);          \
        }                                                                          \
        static void NAME##_recv(void *ctx, int which, void *msg, size_t len)       \
        {                                                                          \
                shm_recv(ctx, which, msg, len, NAME##_give, NAME##_take);          \
        }

/* ---- System V semaphores ------------------------------------------ */

static void *semop_open(size_t len)
{
        struct shm *m = shm_new(len);

        m->semid = semget(IPC_PRIVATE, 4, IPC_CREAT | 0600);
        if (m->semid < 0)
                bench_die("semget: %s", strerror(errno));
        return m;
}

static void semop_close(void *ctx)
{
        semctl(((struct shm *)ctx)->semid, 0, IPC_RMID);
        shm_close(ctx);
}

static void semop_by(struct shm *m, int token, short by)
{
        struct sembuf op = {.sem_num = (unsigned short)token, .sem_op = by};

        if (semop(m->semid, &op, 1) != 0)
                bench_die("semop: %s", strerror(errno));
}

MEASURE_INLINE void semop_give(struct shm *m, int token)
{
        semop_by(m, token, 1);
}

MEASURE_INLINE void semop_take(struct shm *m, int token)
{
        semop_by(m, token, -1);
}
KIND(semop)

/* ---- POSIX semaphores --------------------------------------------- */

static void *sem_start(size_t len)
{
        struct shm *m = shm_new(len);

        for (int i = 0; i < 4; i++)
                sem_init(&m->sem[i], 1, 0);
        return m;
}

MEASURE_INLINE void sem_give(struct shm *m, int token)
{
        sem_post(&m->sem[token]);
}

MEASURE_INLINE void sem_take(struct shm *m, int token)
{
        while (sem_wait(&m->sem[token]) != 0)
                ;
}
KIND(sem)

/* ---- eventfd ------------------------------------------------------ */

static void *event_open(size_t len)
{
        struct shm *m = shm_new(len);

        for (int i = 0; i < 4; i++)
                m->fd[i][0] = m->fd[i][1] = eventfd(0, EFD_SEMAPHORE);
        return m;
}

static void event_close(void *ctx)
{
        for (int i = 0; i < 4; i++)
                close(((struct shm *)ctx)->fd[i][0]);
        shm_close(ctx);
}

MEASURE_INLINE void event_give(struct shm *m, int token)
{
        const uint64_t one = 1;

        if (write(m->fd[token][1], &one, sizeof one) != sizeof one)
                bench_die("eventfd: %s", strerror(errno));
}

MEASURE_INLINE void event_take(struct shm *m, int token)
{
        uint64_t one;

        if (read(m->fd[token][0], &one, sizeof one) != sizeof one)
                bench_die("eventfd: %s", strerror(errno));
}
KIND(event)

/* ---- one byte in a FIFO for each message -------------------------- */

static void *fifo_open(size_t len)
{
        struct shm *m = shm_new(len);
        char directory[] = "/tmp/bench-XXXXXX", path[64];

        if (!mkdtemp(directory))
                bench_die("mkdtemp: %s", strerror(errno));
        snprintf(path, sizeof path, "%s/fifo", directory);
        for (int i = 0; i < 4; i++) {
                if (mkfifo(path, 0600) != 0)
                        bench_die("mkfifo: %s", strerror(errno));
                m->fd[i][0] = open(path, O_RDONLY | O_NONBLOCK);
                m->fd[i][1] = open(path, O_WRONLY);
                (void)fcntl(m->fd[i][0], F_SETFL, 0);
                unlink(path);
        }
        rmdir(directory);
        return m;
}

static void fifo_close(void *ctx)
{
        for (int i = 0; i < 4; i++) {
                close(((struct shm *)ctx)->fd[i][0]);
                close(((struct shm *)ctx)->fd[i][1]);
        }
        shm_close(ctx);
}

MEASURE_INLINE void fifo_give(struct shm *m, int token)
{
        if (write(m->fd[token][1], "", 1) != 1)
                bench_die("FIFO: %s", strerror(errno));
}

MEASURE_INLINE void fifo_take(struct shm *m, int token)
{
        char byte;

        if (read(m->fd[token][0], &byte, 1) != 1)
                bench_die("FIFO: %s", strerror(errno));
}
KIND(fifo)

/* ---- queued signals ----------------------------------------------- */

static void signal_set(sigset_t *set, int first, int count)
{
        sigemptyset(set);
        for (int i = first; i < first + count; i++)
                sigaddset(set, SIGRTMIN + i);
}

static void *signal_open(size_t len)
{
        sigset_t set;

        signal_set(&set, 0, 4);
        sigprocmask(SIG_BLOCK, &set, NULL);
        return shm_new(len);
}

static void signal_begin(void *ctx, int side)
{
        struct shm *m = ctx;

        __atomic_store_n(&m->pid[side], getpid(), __ATOMIC_RELEASE);
        while (!__atomic_load_n(&m->pid[1 - side], __ATOMIC_ACQUIRE))
                bench_relax();
}

/* The peer may still be sending, so this process must not end yet. */
static void signal_end(void *ctx, int side)
{
        struct shm *m = ctx;

        __atomic_store_n(&m->done[side], 1, __ATOMIC_RELEASE);
        while (!__atomic_load_n(&m->done[1 - side], __ATOMIC_ACQUIRE))
                usleep(50);
}

/* "Full" goes along the direction, "free" against it. */
MEASURE_INLINE void signal_give(struct shm *m, int token)
{
        const int which = token / 2, to = token % 2 == FULL ? 1 - which : which;

        while (sigqueue(m->pid[to], SIGRTMIN + token, (union sigval){0}) != 0)
                if (errno != EAGAIN)
                        bench_die("sigqueue: %s", strerror(errno));
}

MEASURE_INLINE void signal_take(struct shm *m, int token)
{
        sigset_t set;

        (void)m;
        signal_set(&set, token, 1);
        while (sigwaitinfo(&set, NULL) < 0)
                ;
}
KIND(signal)

const struct bench_ipc bench_ipc_shm[] = {
        {"semop + shm", 0, semop_open, semop_close, NULL, NULL, semop_send, semop_recv, BENCH_NONE},
        {"sem_t + shm", 0, sem_start, shm_close, NULL, NULL, sem_send, sem_recv, BENCH_NONE},
        {"eventfd + shm", 0, event_open, event_close, NULL, NULL, event_send, event_recv,
         BENCH_NONE},
        {"FIFO byte + shm", 0, fifo_open, fifo_close, NULL, NULL, fifo_send, fifo_recv, BENCH_NONE},
        {"signals + shm", 0, signal_open, shm_close, signal_begin, signal_end, signal_send,
         signal_recv, BENCH_NONE},
        BENCH_IPC_END};
