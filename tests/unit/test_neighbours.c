/* SPDX-License-Identifier: MIT */
/* Objects of other programs, and users that spoil ours: what is not provably
 * ours is not changed, and what is ours can always be found and removed. */
#define _GNU_SOURCE
#include "remains.h"

#include <fcntl.h>
#include <sys/file.h>

static struct sluice_producer p;
static struct sluice_consumer c;

/* ---- Foreign semaphores ------------------------------------------- */

/* A set of another program in which a process sleeps: on each semaphore
 * that holds 0 for a rise, on each other for 0. */
struct stranger {
        int semid, n;
        unsigned short value[32];
        pid_t sleeper[32];
        time_t changed;
};

struct sleep {
        int semid;
        struct sembuf op;
};

static int sleeps(void *ctx)
{
        struct sleep *s = ctx;

        return semop(s->semid, &s->op, 1) == 0 ? 1 : 2; /* woken: must not be */
}

static struct stranger stranger(key_t key, int n, int mode, const unsigned short *value)
{
        struct stranger s = {semget(key, n, IPC_CREAT | IPC_EXCL | mode), n, {0}, {0}, 0};
        union semctl_arg arg = {.array = s.value};

        check(s.semid >= 0);
        if (value) {
                memcpy(s.value, value, (size_t)n * sizeof *value);
                eq(semctl(s.semid, 0, SETALL, arg), 0);
        }
        for (int i = 0; i < n; i++) {
                struct sleep asleep = {s.semid,
                                       {(unsigned short)i, (short)(s.value[i] ? 0 : -1), 0}};

                s.sleeper[i] = spawn(sleeps, &asleep);
                until(semctl(s.semid, i, s.value[i] ? GETZCNT : GETNCNT) == 1);
        }
        return s;
}

/* No process was woken, no value changed, no operation was made. */
static void is_unhurt(struct stranger *s)
{
        unsigned short value[32];
        union semctl_arg arg = {.array = value};
        struct semid_ds ds;

        eq(semctl(s->semid, 0, GETALL, arg), 0);
        eq(memcmp(value, s->value, (size_t)s->n * sizeof *value), 0);
        arg.buf = &ds;
        eq(semctl(s->semid, 0, IPC_STAT, arg), 0);
        eq(ds.sem_otime, 0);
        for (int i = 0; i < s->n; i++) {
                eq(semctl(s->semid, i, s->value[i] ? GETZCNT : GETNCNT), 1);
                kill_and_reap(s->sleeper[i]);
        }
        eq(semctl(s->semid, 0, IPC_RMID), 0);
}

static void segment_is_there(int id)
{
        eq(shmctl(id, IPC_RMID, NULL), 0);
}

/* Every call, on a key with another program's set; segment: beside it. */
static void key_with(int n, int mode, const unsigned short *value, size_t segment)
{
        struct stranger s = stranger(0x7001, n, mode, value);
        const int id = segment ? foreign_segment(0x7001, segment) : -1;
        struct sluice_queue_stat st;

        refused(sluice_create("key:0x7001", NULL), -EADDRINUSE);
        refused(sluice_remove("key:0x7001"), segment == SEGMENT ? 0 : segment ? -EPROTO : -ENOENT);
        check(sluice_producer_open(&p, "key:0x7001", NULL) < 0);
        check(sluice_consumer_open(&c, "key:0x7001", NULL) < 0);
        check(sluice_stat("key:0x7001", &st) < 0);
        if (id >= 0)
                segment_is_there(id);
        is_unhurt(&s);
}

static const unsigned short one_each[SEMAPHORES] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

QTest(foreign_set, of_mutex_empty_full_is_not_touched)
{
        static const unsigned short textbook[3] = {1, 0, 0};

        key_with(3, 0600, textbook, 0);
        key_with(3, 0600, NULL, 0);
        key_with(3, 0600, NULL, 12288 + 4096);
        key_with(3, 0666, textbook, 12288 + 4096);
}

QTest(foreign_set, of_as_many_semaphores_as_ours_is_not_touched)
{
        key_with(SEMAPHORES, 0600, NULL, 0);
        key_with(SEMAPHORES, 0600, one_each, 0);
        key_with(SEMAPHORES, 0666, NULL, 12288 + 4096);
        key_with(SEMAPHORES, MAKING, one_each, 0);
        key_with(SEMAPHORES - 1, MAKING, NULL, 0);
}

/* A path has sixteen keys: each is passed over, none is touched. */
QTest(foreign_set, under_the_keys_of_a_path_is_not_touched)
{
        struct stranger s[5];
        int ids[5];

        eq(mkdir(in_queues("q"), 0700), 0);
        for (int i = 0; i < 5; i++) {
                const key_t key = ftok(in_queues("q"), i + 1);

                s[i] = stranger(key, i % 2 ? 3 : SEMAPHORES, 0600, NULL);
                ids[i] = i > 2 ? foreign_segment(key, 12288 + 4096) : -1;
        }
        call(sluice_remove("q"), -ENOENT);
        call(sluice_create("q", NULL), 0);
        eq(key_of("q"), ftok(in_queues("q"), 6));
        works_and_goes("q");
        for (int i = 0; i < 5; i++) {
                if (ids[i] >= 0)
                        segment_is_there(ids[i]);
                is_unhurt(&s[i]);
        }
}

QTest(lone_set, of_a_stranger_is_not_listed)
{
        struct stranger s = stranger(0x700a, SEMAPHORES, 0600, one_each);
        struct stranger t = stranger(0x700b, 3, 0600, NULL);

        eq(list().queues, 0);
        is_unhurt(&s);
        is_unhurt(&t);
}

/* ---- A killed creator's set --------------------------------------- */

static mode_t set_mode(int semid)
{
        struct semid_ds ds;
        union semctl_arg arg = {.buf = &ds};

        eq(semctl(semid, 0, IPC_STAT, arg), 0);
        return ds.sem_perm.mode & 0777;
}

static int is_kept_out(void *ctx)
{
        struct sembuf op = {2, 1, IPC_NOWAIT | SEM_UNDO};
        const int semid = semget(*(const key_t *)ctx, 0, 0);

        return semid >= 0 && semop(semid, &op, 1) == 0;
}

QTest(dead_creator, lets_nobody_in_whatever_mode_was_asked_for)
{
        static key_t key = 0x7002;
        struct sluice_options o = opt(4096);

        for (int wide = 0; wide < 2; wide++) {
                check(semget(key, SEMAPHORES, IPC_CREAT | IPC_EXCL | MAKING) >= 0);
                if (geteuid() == 0)
                        run_as(USER_A, NO_GROUP, is_kept_out, &key);
                o.mode = wide ? 0666 : 0600;
                call(sluice_create("key:0x7002", &o), 0);
                eq(set_mode(look("key:0x7002").semid), o.mode);
                eq(look("key:0x7002").mode, o.mode);
                if (geteuid() == 0)
                        eq(reap(spawn_as(USER_A, NO_GROUP, is_kept_out, &key)), wide);
                call(sluice_remove("key:0x7002"), 0);
        }
}

static int dies_half_way(void *ctx)
{
        const char *path = ctx;
        key_t key;

        eq(mkdir(path, 0700), 0);
        key = ftok(path, 1);
        check(semget(key, SEMAPHORES, IPC_CREAT | IPC_EXCL | MAKING) >= 0);
        foreign_segment(key, SEGMENT);
        eq(mkfifoat(AT_FDCWD, strcat(strcpy((char[4096]){0}, path), "/readable"), 0600), 0);
        return 0;
}

QTest(dead_creator, of_another_user_is_cleaned_up_by_root)
{
        static char path[4096];

        needs_root();
        open_tmp_to_all();
        strcpy(path, in_tmp("q"));
        run_as(USER_A, NO_GROUP, dies_half_way, path);
        call(sluice_remove(path), 0);
        check(!exists(path));
}

/* Another directory's creator is at work under the first key. */
QTest(dead_creator, that_lives_is_stepped_over_by_another_directory)
{
        struct sembuf op[4] = {{3, 0x736c, 0}, {4, 0x7569, 0}, {5, 0x6365, 0}, {2, 1, SEM_UNDO}};
        key_t key;
        int id;

        eq(mkdir(in_queues("q"), 0700), 0);
        key = ftok(in_queues("q"), 1);
        id = semget(key, SEMAPHORES, IPC_CREAT | IPC_EXCL | MAKING);
        eq(semop(id, op, 4), 0);
        call(sluice_create("q", NULL), 0);
        eq(key_of("q"), ftok(in_queues("q"), 2));
        works_and_goes("q");
        eq(semctl(id, 2, GETVAL), 1);
        eq(semctl(id, 0, IPC_RMID), 0);
}

/* ---- Peers that spoil what they may write ------------------------- */

static void raise_all(int semid)
{
        for (unsigned short i = 0; i < SEMAPHORES; i++) {
                struct sembuf op = {i, 5, IPC_NOWAIT};

                eq(semop(semid, &op, 1), 0);
        }
}

static int raises_all(void *ctx)
{
        raise_all(semget(*(const key_t *)ctx, 0, 0));
        return 0;
}

static int clears_all(void *ctx)
{
        const union semctl_arg arg = {.array = (unsigned short[SEMAPHORES]){0}};

        eq(semctl(semget(*(const key_t *)ctx, 0, 0), 0, SETALL, arg), 0);
        return 0;
}

static void spoiled_set_goes(const char *name, util_body *spoil)
{
        struct sluice_options o = opt(4096);
        key_t key;

        o.mode = 0666;
        call(sluice_create(name, &o), 0);
        key = key_of(name);
        if (geteuid() == 0)
                run_as(USER_A, NO_GROUP, spoil, &key);
        else
                run(spoil, &key);
        check(sluice_producer_open(&p, name, NULL) < 0);
        refused(sluice_create(name, NULL), strncmp(name, "key:", 4) ? -EEXIST : -EADDRINUSE);
        call(sluice_remove(name), 0);
}

QTest(spoiled, semaphores_do_not_keep_a_queue_from_being_removed)
{
        spoiled_set_goes("q", raises_all);
        spoiled_set_goes("q", clears_all);
        spoiled_set_goes("key:0x7003", raises_all);
        spoiled_set_goes("key:0x7003", clears_all);
}

/* Only the creator's, as a peer can and then exits: nothing else is wrong. */
QTest(spoiled, the_creators_semaphore_alone)
{
        static const char *const names[] = {"q", "key:0x7003"};

        for (int i = 0; i < 2; i++) {
                struct sembuf op = {2, 1, IPC_NOWAIT};

                make(names[i], 4096);
                eq(semop(look(names[i]).semid, &op, 1), 0);
                refused(sluice_create(names[i], NULL), -EEXIST);
                works_and_goes(names[i]);
        }
}

QTest(spoiled, header_does_not_keep_a_queue_from_being_removed)
{
        static const char *const names[] = {"q", "key:0x7003"};
        static const struct {
                size_t offset, width;
        } fields[] = {{0, 8},  {8, 4},  {12, 4}, {16, 8}, {24, 4}, {32, 8}, {40, 8},
                      {48, 8}, {56, 8}, {64, 8}, {72, 8}, {80, 8}, {88, 8}, {256, 8}};
        static const uint64_t values[] = {0, 1, 0xfffffffffffffff0};

        for (size_t i = 0; i < 2 * 3 * sizeof fields / sizeof *fields; i++) {
                const size_t f = i / 6;

                make(names[i % 2], 4096);
                poke(key_of(names[i % 2]), fields[f].offset, &values[i / 2 % 3], fields[f].width);
                call(sluice_remove(names[i % 2]), 0);
        }
        for (int i = 0; i < 2; i++) { /* all of it */
                static unsigned char junk[12288];

                memset(junk, 0x5a, sizeof junk);
                make(names[i], 4096);
                poke(key_of(names[i]), 0, junk, sizeof junk);
                call(sluice_remove(names[i]), 0);
        }
}

/* ---- Observers ---------------------------------------------------- */

static int observes(void *ctx)
{
        static char pipe[4096];
        struct sluice_queue_stat st;

        call(sluice_stat(ctx, &st), 0);
        for (int i = 0; i < 2; i++) {
                snprintf(pipe, sizeof pipe, "%s/%s", (const char *)ctx,
                         i ? "readable" : "writable");
                eq(open(pipe, O_RDONLY | O_NONBLOCK | O_CLOEXEC), -1);
                eq(errno, EACCES);
        }
        snprintf(pipe, sizeof pipe, "%s/lock", (const char *)ctx);
        eq(open(pipe, O_RDONLY | O_CLOEXEC), -1);
        eq(errno, EACCES);
        return 0;
}

QTest(observer, cannot_open_a_pipe_or_the_lock)
{
        struct sluice_options o = opt(4096);
        static char path[4096];

        needs_root();
        open_tmp_to_all();
        strcpy(path, in_tmp("q"));
        for (int i = 0; i < 2; i++) {
                o.mode = i ? 0644 : 0640;
                eq(setegid(GROUP_AB), 0);
                call(sluice_create(path, &o), 0);
                eq(setegid(0), 0);
                run_as(USER_A, GROUP_AB, observes, path);
                works_and_goes(path);
        }
}

QTest(observer, holds_no_lock_that_matters)
{
        const char *path = strdup(in_queues("q"));
        int dir;

        make("q", 0);
        dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        eq(flock(dir, LOCK_EX | LOCK_NB), 0);
        call(sluice_create("q", NULL), -EEXIST);
        works_and_goes("q");
        close(dir);
}

/* ---- Limits ------------------------------------------------------- */

static void limited(const char *sem, const char *named)
{
        needs_own_limits();
        check(proc_write("/proc/sys/kernel/sem", sem));
        refused(sluice_create("q", NULL), -ENOSPC);
        check(strstr(sluice_limit(), named));
        refused(sluice_create("key:0x7005", NULL), -ENOSPC);
        check(strstr(sluice_limit(), named));
        check(proc_write("/proc/sys/kernel/sem", "32000 1024000000 500 32000"));
        make("q", 0);
        works_and_goes("q");
}

QTest(limit, of_semaphores_in_a_set)
{
        limited("2 1024000000 500 32000", "first number");
}

QTest(limit, of_operations_in_a_call)
{
        limited("32000 1024000000 1 32000", "third number");
}
