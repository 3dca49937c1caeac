/* SPDX-License-Identifier: MIT */
/* Objects of other programs, and processes that end untidily: what is not
 * provably ours is not changed, and what is ours can always be found and
 * removed. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>

static struct sluice_producer p;
static struct sluice_consumer c;

enum { SEMAPHORES = 11, SEGMENT = 12288 + 4096 + 1471, MAKING = 0611 };

union semctl_arg {
        int val;
        struct semid_ds *buf;
        unsigned short *array;
};

static void works_and_goes(const char *name)
{
        call(sluice_producer_open(&p, name, NULL), 0);
        call(sluice_consumer_open(&c, name, NULL), 0);
        call(send_number(&p, 7, SLUICE_NOW), 0);
        call(recv_number(&c, SLUICE_NOW), 7);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove(name), 0);
}

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

static int foreign_segment(key_t key, size_t bytes)
{
        const int id = shmget(key, bytes, IPC_CREAT | IPC_EXCL | 0600);

        check(id >= 0);
        return id;
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

/* ---- Root cleans up after a user ---------------------------------- */

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

/* ---- rm -r -------------------------------------------------------- */

static void rm_r(const char *path)
{
        static const char *const parts[] = {"readable", "writable", "memory", "lock"};
        const int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (int i = 0; i < 4; i++)
                eq(unlinkat(dir, parts[i], 0), 0);
        close(dir);
        eq(rmdir(path), 0);
}

/* The same name, and the inode number of the directory before, where the file
 * system gives it out again. */
static bool same_inode_again(const char *path, ino_t inode)
{
        struct stat st;

        eq(mkdir(path, 0700), 0);
        eq(stat(path, &st), 0);
        return st.st_ino == inode;
}

struct found {
        int queues, orphans;
        struct sluice_queue_stat orphan, queue;
};

static int see(void *ctx, const struct sluice_queue_stat *st)
{
        struct found *f = ctx;

        f->queues += !st->orphan;
        f->orphans += st->orphan;
        if (st->orphan)
                f->orphan = *st;
        else
                f->queue = *st;
        return 0;
}

static struct found list(void)
{
        struct found f = {0};
        int n = sluice_list(see, &f);

        eq(n, f.queues + f.orphans);
        return f;
}

static void removed_by_rm_r(const char *next)
{
        struct sluice_queue_stat st;
        struct stat before;
        bool again;

        make("q", 0);
        eq(stat(in_queues("q"), &before), 0);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(send_number(&p, 1, SLUICE_NOW), 0);
        call(sluice_producer_close(&p), 0);
        rm_r(in_queues("q"));
        call(sluice_stat("q", &st), -ENOENT);
        eq(list().orphans, 1);
        again = same_inode_again(in_queues(next), before.st_ino);
        call(sluice_stat(next, &st), -ENOENT); /* not the old one's */
        call(sluice_consumer_open(&c, next, NULL), -ENOENT);
        call(sluice_create(next, NULL), 0);
        eq(look(next).pending, 0);
        if (again)
                eq(list().orphans, 0); /* taken over */
        works_and_goes(next);
        if (!again) {
                const struct found f = list();

                call(sluice_reap(&f.orphan, SLUICE_REAP_PENDING), 0);
        }
        eq(list().orphans, 0);
}

QTest(removed_directory, is_no_hindrance_to_the_next)
{
        needs_own_namespace();
        removed_by_rm_r("q");
        removed_by_rm_r("other");
}

/* Endpoints that have it open get the error of any removal. */
QTest(removed_directory, tells_who_had_it_open)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct stat before;

        needs_own_namespace();
        o.slice_ns = MS(10);
        make("q", 0);
        eq(stat(in_queues("q"), &before), 0);
        call(sluice_consumer_open(&c, "q", &o), 0);
        rm_r(in_queues("q"));
        call(recv_number(&c, soon()), -ESTALE);
        call(sluice_consumer_close(&c), 0);
        {
                const struct found f = list();

                eq(f.orphans, 1);
                call(sluice_reap(&f.orphan, 0), 0);
        }
}

/* rm -r that was killed, or during which a queue was made: a record without its
 * pipes is no queue, and no hindrance to the next. */
QTest(removed_directory, half_way_is_removed)
{
        static const char *const parts[] = {"q/readable", "q/writable"};

        for (int i = 0; i < 2; i++) {
                struct sluice_options o = SLUICE_OPTIONS_INIT;
                struct sluice_queue_stat st;

                make("q", 4096);
                call(sluice_consumer_open(&c, "q", NULL), 0);
                eq(unlink(in_queues(parts[i])), 0);
                refused(sluice_stat("q", &st), -ENOENT);
                refused(sluice_producer_open(&p, "q", NULL), -ENOENT);
                eq(list().queues, 1);
                o.flags = SLUICE_CREATE;
                call(sluice_producer_open(&p, "q", &o), 0);
                call(recv_number(&c, soon()), -ESTALE);
                call(sluice_consumer_close(&c), 0);
                call(sluice_producer_close(&p), 0);
                works_and_goes("q");
                eq(list().queues, 0);
        }
}

QTest(removed_directory, half_way_can_be_removed)
{
        make("q", 4096);
        eq(unlink(in_queues("q/readable")), 0);
        call(sluice_remove("q"), 0);
        eq(list().queues, 0);
}

QTest(removed_directory, orphan_in_use_is_not_reaped)
{
        struct found f;

        needs_own_namespace();
        make("q", 0);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        rm_r(in_queues("q"));
        f = list();
        eq(f.orphans, 1);
        refused(sluice_reap(&f.orphan, SLUICE_REAP_PENDING), -EBUSY);
        call(sluice_producer_close(&p), 0);
        refused(sluice_reap(&f.orphan, SLUICE_REAP_PENDING), -EBUSY);
        call(sluice_consumer_close(&c), 0);
        call(sluice_reap(&f.orphan, 0), 0);
        call(sluice_reap(&f.orphan, 0), -ENOENT);
}

/* ---- The record --------------------------------------------------- */

/* The record of a queue, with one part of it replaced. */
static void rewrite(const char *link, const char *from, const char *to)
{
        char text[256] = "", changed[512], *at;

        check(readlink(link, text, sizeof text - 1) > 0);
        at = strstr(text, from);
        check(at);
        snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, to,
                 at + strlen(from));
        eq(unlink(link), 0);
        eq(symlink(changed, link), 0);
}

static void all_get(const char *name, int error, int remove_error)
{
        struct sluice_queue_stat st;

        refused(sluice_producer_open(&p, name, NULL), error);
        refused(sluice_stat(name, &st), error);
        refused(sluice_create(name, NULL), error);
        refused(sluice_remove(name), remove_error);
}

QTest(record, of_an_earlier_boot_is_of_nothing)
{
        struct sluice_queue_stat st;

        make("q", 0);
        st = look("q");
        rewrite(in_queues("q/memory"), "boot=", "boot=f");
        call(sluice_producer_open(&p, "q", NULL), -EPROTONOSUPPORT); /* too long: no boot */
        rewrite(in_queues("q/memory"), "boot=f", "boot=");
        {
                char link[256] = "";

                check(readlink(in_queues("q/memory"), link, sizeof link - 1) > 0);
                rewrite(in_queues("q/memory"), strstr(link, "boot="),
                        "boot=00000000-0000-0000-0000-000000000000");
        }
        call(sluice_producer_open(&p, "q", NULL), -ENOENT);
        call(sluice_create("q", NULL), 0); /* and what is left of it is the inode's */
        check(look("q").generation != st.generation);
        works_and_goes("q");
}

QTest(record, of_another_version_is_left_alone)
{
        make("q", 0);
        rewrite(in_queues("q/memory"), "sluice-1 ", "sluice-2 ");
        all_get("q", -EPROTONOSUPPORT, -EPROTONOSUPPORT);
        rewrite(in_queues("q/memory"), "sluice-2 ", "sluice-1 ");
        works_and_goes("q");
}

QTest(record, that_is_none_is_something_else)
{
        make("q", 0);
        rewrite(in_queues("q/memory"), "sluice-1 ", "/etc/passwd ");
        all_get("q", -ENOTEMPTY, -ENOTEMPTY);
        rewrite(in_queues("q/memory"), "/etc/passwd ", "sluice-1 ");
        works_and_goes("q");
}

/* Identifiers are given out again: what they name by now is looked at. */
QTest(record, that_names_what_is_anothers_by_now)
{
        char shmid[32], semid[32], other_shmid[32], other_semid[32];
        struct sluice_queue_stat st, other;

        make("q", 0);
        make("other", 0);
        st = look("q");
        other = look("other");
        snprintf(shmid, sizeof shmid, "shmid=%d ", st.shmid);
        snprintf(semid, sizeof semid, "semid=%d ", st.semid);
        snprintf(other_shmid, sizeof other_shmid, "shmid=%d ", other.shmid);
        snprintf(other_semid, sizeof other_semid, "semid=%d ", other.semid);
        rewrite(in_queues("q/memory"), shmid, other_shmid);
        call(sluice_producer_open(&p, "q", NULL), -ENOENT);
        rewrite(in_queues("q/memory"), other_shmid, shmid);
        rewrite(in_queues("q/memory"), semid, other_semid);
        call(sluice_producer_open(&p, "q", NULL), -EINPROGRESS);
        call(sluice_remove("q"), 0);
        eq(look("other").shmid, other.shmid);
        works_and_goes("other");
}

/* ---- mv ----------------------------------------------------------- */

QTest(moved_directory, keeps_its_queue)
{
        struct found f;

        needs_own_namespace();
        make("q", 0);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(send_number(&p, 5, SLUICE_NOW), 0);
        eq(rename(in_queues("q"), in_queues("r")), 0);
        call(sluice_consumer_open(&c, "r", NULL), 0);
        call(recv_number(&c, SLUICE_NOW), 5);
        f = list();
        eq(f.queues, 1);
        eq(strcmp(f.queue.name, realpath(in_queues("r"), NULL)), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_producer_close(&p), 0);
        /* To another directory: it cannot be found, but that it was moved can. */
        eq(mkdir(in_tmp("d"), 0700), 0);
        eq(rename(in_queues("r"), in_tmp("d/q")), 0);
        eq(list().orphans, 1);
        works_and_goes(in_tmp("d/q"));
        eq(rmdir(in_tmp("d")), 0);
}

/* ---- Another IPC namespace ---------------------------------------- */

static int in_another_namespace(void *ctx)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct sluice_queue_stat st;

        if (unshare(CLONE_NEWIPC) != 0)
                return 77;
        o.flags = SLUICE_CREATE;
        refused(sluice_producer_open(&p, ctx, &o), -EREMOTE);
        refused(sluice_consumer_open(&c, ctx, NULL), -EREMOTE);
        refused(sluice_create(ctx, NULL), -EREMOTE);
        refused(sluice_stat(ctx, &st), -EREMOTE);
        refused(sluice_remove(ctx), -EREMOTE);
        return 0;
}

QTest(namespace, of_the_memory_is_another)
{
        int r;

        make("q", 0);
        r = reap(spawn(in_another_namespace, (void *)(uintptr_t)in_queues("q")));
        works_and_goes("q");
        if (r == 77)
                cr_skip_test("no IPC namespace may be made here");
        eq(r, 0);
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

QTest(lone_set, of_a_stranger_is_not_listed)
{
        struct stranger s = stranger(0x700a, SEMAPHORES, 0600, one_each);
        struct stranger t = stranger(0x700b, 3, 0600, NULL);

        eq(list().queues, 0);
        is_unhurt(&s);
        is_unhurt(&t);
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
