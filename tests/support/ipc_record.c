/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "ipc_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

union semun {
        int val;
        struct semid_ds *buf;
        unsigned short *array;
};

#define REAL(type, name, ...)            \
        type __real_##name(__VA_ARGS__); \
        type __wrap_##name(__VA_ARGS__); \
        type __wrap_##name(__VA_ARGS__)

typedef int shmctl_fn(int id, int cmd, struct shmid_ds *ds);
typedef int semctl_fn(int id, int num, int cmd, ...);

/* Where `long` has 32 bits there are two of each: for programs with times of
 * 64 bits, as this file (src/wide.h), and for others. */
shmctl_fn __real_shmctl, __wrap_shmctl;
semctl_fn __real_semctl, __wrap_semctl;
#ifdef SLUICE_WIDE_H
shmctl_fn __real___shmctl64, __wrap___shmctl64;
semctl_fn __real___semctl64, __wrap___semctl64;
#define REAL_SHMCTL __real___shmctl64
#define REAL_SEMCTL __real___semctl64
#else
#define REAL_SHMCTL __real_shmctl
#define REAL_SEMCTL __real_semctl
#endif

/* The first word is the IPC namespace: ids mean something else in another. */
static _Atomic uint64_t *words;
static size_t count; /* of all words; 0: no record */

/* 0: not known. */
static uint64_t namespace(void)
{
        const int saved = errno;
        struct stat st;
        const int r = stat("/proc/self/ns/ipc", &st);

        errno = saved;
        return r == 0 ? st.st_ino : 0;
}

static bool is_on(void)
{
        const uint64_t here = count != 0 ? namespace() : 0;

        return here != 0 && here == atomic_load(&words[0]);
}

/* ---- Words -------------------------------------------------------- */

/* A call that makes an object has not returned yet, or never will. */
#define PENDING UINT64_C(0xffffffff)

static uint64_t word_of(int kind, uint64_t id)
{
        return (uint64_t)kind << 32 | id;
}

static int kind_of(uint64_t word)
{
        return (int)(word >> 32);
}

static bool is_pending(uint64_t word)
{
        return (word & PENDING) == PENDING;
}

bool ipc_record_open(const char *path)
{
        const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        const size_t bytes = (1 + IPC_RECORD_WORDS) * sizeof *words;
        void *mem = MAP_FAILED;
        uint64_t none = 0;

        if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
                mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (fd >= 0)
                close(fd);
        if (mem == MAP_FAILED)
                return false;
        words = mem;
        count = 1 + IPC_RECORD_WORDS;
        atomic_compare_exchange_strong(&words[0], &none, namespace());
        return true;
}

/* Before main(), and so before it becomes another user: children have it. */
__attribute__((constructor)) static void open_early(void)
{
        const char *path = getenv("RUNTEST_MADE");
        const int saved = errno;

        /* A program that was executed by another user may not: no record. */
        if (path && !ipc_record_open(path))
                fprintf(stderr, "no record of System V objects: %s\n", path);
        errno = saved;
}

/* The first word of that value; NULL: there is none. */
static _Atomic uint64_t *find(uint64_t word)
{
        for (size_t i = 1; i < count; i++)
                if (atomic_load(&words[i]) == word)
                        return &words[i];
        return NULL;
}

static bool exists(uint64_t word)
{
        const int id = (int)(word & PENDING), saved = errno;
        struct shmid_ds shm;
        struct semid_ds sem;
        int r;

        /* A segment that is removed, and still mapped by a process, counts as removed. */
        if (kind_of(word) == IPC_RECORD_SEGMENT)
                r = REAL_SHMCTL(id, IPC_STAT, &shm) == 0 ? !(shm.shm_perm.mode & SHM_DEST)
                                                         : errno == EACCES;
        else
                r = REAL_SEMCTL(id, 0, IPC_STAT, (union semun){.buf = &sem}) == 0 ||
                    errno == EACCES;
        errno = saved;
        return r;
}

/* Replaces a word; false: there is none of that value. */
static bool replace(uint64_t from, uint64_t to)
{
        _Atomic uint64_t *word;

        while ((word = find(from)) != NULL) {
                uint64_t was = from;

                if (atomic_compare_exchange_strong(word, &was, to))
                        return true;
        }
        return false;
}

/* What others have removed, who do not write the record. */
static void forget_the_gone(void)
{
        for (size_t i = 1; i < count; i++) {
                uint64_t word = atomic_load(&words[i]);

                if (word && !is_pending(word) && !exists(word))
                        atomic_compare_exchange_strong(&words[i], &word, 0);
        }
}

static void begin(int kind)
{
        if (replace(0, word_of(kind, PENDING)))
                return;
        forget_the_gone();
        if (replace(0, word_of(kind, PENDING)) || find(word_of(kind, PENDING)))
                return;
        fputs("ipc_record: full\n", stderr);
        abort();
}

static int ended(int kind, int id)
{
        replace(word_of(kind, PENDING), id < 0 ? 0 : word_of(kind, (uint64_t)id));
        return id;
}

int ipc_record_count(int kind)
{
        const size_t end = is_on() ? count : 0;
        int n = 0;

        for (size_t i = 1; i < end; i++) {
                const uint64_t word = atomic_load(&words[i]);

                n += kind_of(word) == kind && !is_pending(word) && exists(word);
        }
        return n;
}

void ipc_record_remove(void)
{
        const size_t end = is_on() ? count : 0;

        for (size_t i = 1; i < end; i++) {
                const uint64_t word = atomic_exchange(&words[i], 0);
                const int id = (int)(word & PENDING);

                if (!word || is_pending(word))
                        continue;
                if (kind_of(word) == IPC_RECORD_SEGMENT)
                        REAL_SHMCTL(id, IPC_RMID, NULL);
                else
                        REAL_SEMCTL(id, 0, IPC_RMID);
        }
}

/* ---- Calls -------------------------------------------------------- */

/* One that is being made is not known yet: any may be that one. What is not
 * there cannot be harmed. */
static void must_be_ours(int kind, int id, const char *call)
{
        const uint64_t word = word_of(kind, (uint64_t)(unsigned)id);

        if (!is_on() || find(word) || find(word_of(kind, PENDING)) || !exists(word) || find(word))
                return;
        fprintf(stderr, "%s of a stranger's %s %d\n", call,
                kind == IPC_RECORD_SEGMENT ? "segment" : "semaphore set", id);
        abort();
}

/* Without IPC_EXCL the maker is not known: the object counts as foreign. */
static bool makes(key_t key, int flags)
{
        return key == IPC_PRIVATE || (flags & IPC_EXCL);
}

REAL(int, shmget, key_t key, size_t size, int flags)
{
        if (!makes(key, flags) || !is_on())
                return __real_shmget(key, size, flags);
        begin(IPC_RECORD_SEGMENT);
        return ended(IPC_RECORD_SEGMENT, __real_shmget(key, size, flags));
}

REAL(int, semget, key_t key, int n, int flags)
{
        if (!makes(key, flags) || !is_on())
                return __real_semget(key, n, flags);
        begin(IPC_RECORD_SET);
        return ended(IPC_RECORD_SET, __real_semget(key, n, flags));
}

static int shmctl_watched(shmctl_fn *real, int id, int cmd, struct shmid_ds *ds)
{
        int r;

        if (cmd == IPC_RMID || cmd == IPC_SET)
                must_be_ours(IPC_RECORD_SEGMENT, id, "shmctl");
        r = real(id, cmd, ds);
        if (r == 0 && cmd == IPC_RMID && is_on())
                replace(word_of(IPC_RECORD_SEGMENT, (uint64_t)(unsigned)id), 0);
        return r;
}

static int semctl_watched(semctl_fn *real, int id, int num, int cmd, va_list arguments)
{
        const bool bare = cmd == IPC_RMID || cmd == GETVAL || cmd == GETPID || cmd == GETNCNT ||
                          cmd == GETZCNT;
        union semun arg = {.buf = NULL};
        int r;

        if (!bare)
                arg = va_arg(arguments, union semun);
        if (cmd == IPC_RMID || cmd == IPC_SET || cmd == SETVAL || cmd == SETALL)
                must_be_ours(IPC_RECORD_SET, id, "semctl");
        r = real(id, num, cmd, arg);
        if (r == 0 && cmd == IPC_RMID && is_on())
                replace(word_of(IPC_RECORD_SET, (uint64_t)(unsigned)id), 0);
        return r;
}

#define SHMCTL(name)                                               \
        int __wrap_##name(int id, int cmd, struct shmid_ds *ds)    \
        {                                                          \
                return shmctl_watched(__real_##name, id, cmd, ds); \
        }

#define SEMCTL(name)                                                        \
        int __wrap_##name(int id, int num, int cmd, ...)                    \
        {                                                                   \
                va_list arguments;                                          \
                int r;                                                      \
                                                                            \
                va_start(arguments, cmd);                                   \
                r = semctl_watched(__real_##name, id, num, cmd, arguments); \
                va_end(arguments);                                          \
                return r;                                                   \
        }

SHMCTL(shmctl)
SEMCTL(semctl)
#ifdef SLUICE_WIDE_H
SHMCTL(__shmctl64)
SEMCTL(__semctl64)
#endif

REAL(int, semop, int id, struct sembuf *ops, size_t n)
{
        must_be_ours(IPC_RECORD_SET, id, "semop");
        return __real_semop(id, ops, n);
}
