/* SPDX-License-Identifier: MIT */
/* Objects of other programs, under the keys that stress_neighbours uses. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "neighbours.h"

enum kind { SET_3, SET_11, SET_11_VALUES, SEGMENT_ZERO, SEGMENT_SMALL, SEGMENT_GARBAGE, KINDS };
enum { FOREIGNS = 48, SETTLED = 2 * FOREIGN_KEYS };

struct foreign {
        enum kind kind;
        int id;
        unsigned char *mem; /* a segment's */
        size_t bytes;
        pid_t sleeper;
        union {
                struct shmid_ds shm;
                struct semid_ds sem;
        } ds;
        unsigned short value[11];
};

static struct foreign foreigns[FOREIGNS];
static int foreign_count, hurt;
static unsigned long foreign_made;

static bool is_set(const struct foreign *f)
{
        return f->kind <= SET_11_VALUES;
}

static bool look_at_set(const struct foreign *f, struct semid_ds *ds, unsigned short *value)
{
        union semctl_arg arg = {.buf = ds};

        memset(ds, 0, sizeof *ds);
        if (semctl(f->id, 0, IPC_STAT, arg) != 0)
                return false;
        arg.array = value;
        return semctl(f->id, 0, GETALL, arg) == 0;
}

/* Sleeps for a rise of the second semaphore. */
static pid_t sleep_on(int semid)
{
        struct sembuf op = {1, -1, 0};
        const pid_t pid = fork();

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                semop(semid, &op, 1);
                _exit(1);
        }
        for (int tries = 0; pid > 0 && semctl(semid, 1, GETNCNT) != 1 && tries < 10000; tries++)
                pause_ns(1000000);
        return pid;
}

static bool make_set(struct foreign *f, key_t key, uid_t uid)
{
        static unsigned short textbook[] = {1, 0, 8};
        static unsigned short unsigned_values[] = {0, 0, 1, 's', 'u', 'i', 4, 5, 6, 7, 8};
        union semctl_arg arg = {.array = f->kind == SET_3 ? textbook : unsigned_values};

        f->id = semget(key, f->kind == SET_3 ? 3 : 11, IPC_CREAT | IPC_EXCL | 0600);
        if (f->id < 0)
                return false;
        if (f->kind != SET_11 && semctl(f->id, 0, SETALL, arg) != 0)
                return false;
        arg.buf = &f->ds.sem;
        semctl(f->id, 0, IPC_STAT, arg);
        f->ds.sem.sem_perm.uid = uid;
        if (semctl(f->id, 0, IPC_SET, arg) != 0)
                return false;
        f->sleeper = foreign_count < SETTLED ? sleep_on(f->id) : 0;
        return look_at_set(f, &f->ds.sem, f->value);
}

static bool stat_segment(int id, struct shmid_ds *ds)
{
        memset(ds, 0, sizeof *ds);
        return shmctl(id, IPC_STAT, ds) == 0;
}

static bool make_segment(struct foreign *f, key_t key, uid_t uid)
{
        const size_t rings[] = {12288 + 4096, 12288 + 65536, 12288 + 32, 12288};

        f->bytes = f->kind == SEGMENT_SMALL ? 100 : rings[below(4)];
        f->id = shmget(key, f->bytes, IPC_CREAT | IPC_EXCL | 0600);
        f->mem = f->id < 0 ? (void *)-1 : shmat(f->id, NULL, 0);
        if (f->mem == (void *)-1 || madvise(f->mem, f->bytes, MADV_DONTFORK) != 0)
                return false;
        memset(f->mem, f->kind == SEGMENT_GARBAGE ? 0x5a : 0, f->bytes);
        shmctl(f->id, IPC_STAT, &f->ds.shm);
        f->ds.shm.shm_perm.uid = uid;
        return shmctl(f->id, IPC_SET, &f->ds.shm) == 0 && stat_segment(f->id, &f->ds.shm);
}

void hurt_foreign(const char *format, ...)
{
        va_list list;

        atomic_fetch_add(&arena->failed, 1);
        if (hurt++ > 5)
                return;
        va_start(list, format);
        vfprintf(stderr, format, list);
        va_end(list);
        fputc('\n', stderr);
}

static void check_foreign(const struct foreign *f)
{
        const unsigned char byte = f->kind == SEGMENT_GARBAGE ? 0x5a : 0;
        unsigned short value[11] = {0};
        struct semid_ds sem;
        struct shmid_ds shm;
        bool same;

        if (is_set(f)) {
                same = look_at_set(f, &sem, value) && memcmp(&sem, &f->ds.sem, sizeof sem) == 0 &&
                       memcmp(value, f->value, sizeof value) == 0 &&
                       (!f->sleeper || semctl(f->id, 1, GETNCNT) == 1);
        } else {
                same = stat_segment(f->id, &shm) && memcmp(&shm, &f->ds.shm, sizeof shm) == 0;
                for (size_t i = 0; same && i < f->bytes; i++)
                        same = f->mem[i] == byte;
        }
        if (!same)
                hurt_foreign("foreign %s %d, kind %d, is not as it was",
                             is_set(f) ? "set" : "segment", f->id, f->kind);
}

static void remove_foreign(struct foreign *f)
{
        check_foreign(f);
        if (f->sleeper) {
                kill(f->sleeper, SIGKILL);
                waitpid(f->sleeper, NULL, 0);
        }
        if (is_set(f)) {
                semctl(f->id, 0, IPC_RMID);
        } else {
                shmdt(f->mem);
                shmctl(f->id, IPC_RMID, NULL);
        }
        memset(f, 0, sizeof *f);
}

/* Under a key, if that is free. */
static void make_foreign(key_t key, enum kind kind, uid_t uid)
{
        struct foreign *f = &foreigns[foreign_count];

        memset(f, 0, sizeof *f);
        f->kind = kind;
        f->id = -1;
        if (is_set(f) ? make_set(f, key, uid) : make_segment(f, key, uid)) {
                foreign_count++;
                foreign_made++;
        } else if (f->id >= 0) {
                fprintf(stderr, "a foreign object: %s\n", strerror(errno));
                exit(2);
        }
}

void settle_foreigns(void)
{
        for (int i = 0; i < FOREIGN_KEYS; i++) {
                const key_t key = FOREIGN_KEY + i;
                const uid_t uid = is_root ? (uid_t)(UID + i % USERS) : geteuid();

                if (i % 4 != 1)
                        make_foreign(key, (enum kind)(i % 3), uid);
                if (i % 4 != 0)
                        make_foreign(key, (enum kind)(SEGMENT_ZERO + i % 3), uid);
        }
}

/* The first keys of a directory that is there now, of its owner. */
void squat(void)
{
        const struct slot *s = &arena->slots[below(SLOTS)];
        const int projects = below(8) ? 1 + (int)below(4) : 16;
        struct stat st;

        if (s->is_key || stat(s->path, &st) != 0)
                return;
        for (int project = 1; project <= projects; project++) {
                const key_t key =
                        (key_t)((unsigned)project << 24 | ((unsigned)st.st_dev & 0xff) << 16 |
                                ((unsigned)st.st_ino & 0xffff));

                if (foreign_count == FOREIGNS) { /* an old one is replaced */
                        struct foreign *f = &foreigns[SETTLED + below(FOREIGNS - SETTLED)];

                        remove_foreign(f);
                        *f = foreigns[--foreign_count];
                }
                make_foreign(key, (enum kind)below(KINDS), st.st_uid);
        }
}

void check_some_foreign(void)
{
        if (foreign_count)
                check_foreign(&foreigns[below((uint64_t)foreign_count)]);
}

void check_all_foreigns(void)
{
        for (int i = 0; i < foreign_count; i++)
                check_foreign(&foreigns[i]);
}

void remove_foreigns(void)
{
        while (foreign_count > 0)
                remove_foreign(&foreigns[--foreign_count]);
}

unsigned long foreigns_made(void)
{
        return foreign_made;
}

bool is_foreign_hurt(void)
{
        return hurt != 0;
}
