/* SPDX-License-Identifier: MIT */
/*
 * What each user may do with the queues of others: every mode, every kind of user, every
 * call, in processes of those users; doc/permissions.md has the same
 * table, line by line. Then objects that another user has made before:
 * the victim gets an error that says so, or uses another key, and never
 * attaches to that user's memory.
 *
 * Needs root, for the users and the namespace.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sluice.h"

enum { OWNER, GROUP, OTHER, NAMESPACE, WHOS };
enum { PRODUCER, CONSUMER, STAT, DUMP, LIST, REMOVE, CALLS };
enum { UID_A = 64123, UID_B = 64124, GID_AB = 64125, GID_NONE = 64126 };

static const char *const whos[WHOS] = {"owner", "group", "other user", "other IPC namespace"};
static const char *const calls[CALLS] = {"open producer", "open consumer", "stat",
                                         "dump",          "list",          "remove"};

/* list: 1 is shown, 0 is not. A namespace: the owner in another one. */
static const struct {
        mode_t mode;
        int who;
        int expected[CALLS];
} table[] = {
        {0600, OWNER, {0, 0, 0, 0, 1, 0}},
        {0600, GROUP, {-EACCES, -EACCES, -EACCES, -EACCES, 0, -EACCES}},
        {0600, OTHER, {-EACCES, -EACCES, -EACCES, -EACCES, 0, -EACCES}},
        {0600, NAMESPACE, {-EREMOTE, -EREMOTE, -EREMOTE, -EREMOTE, 0, -EREMOTE}},
        {0640, OWNER, {0, 0, 0, 0, 1, 0}},
        {0640, GROUP, {-EACCES, -EACCES, 0, 0, 1, -EPERM}},
        {0640, OTHER, {-EACCES, -EACCES, -EACCES, -EACCES, 0, -EACCES}},
        {0640, NAMESPACE, {-EREMOTE, -EREMOTE, -EREMOTE, -EREMOTE, 0, -EREMOTE}},
        {0660, OWNER, {0, 0, 0, 0, 1, 0}},
        {0660, GROUP, {0, 0, 0, 0, 1, -EPERM}},
        {0660, OTHER, {-EACCES, -EACCES, -EACCES, -EACCES, 0, -EACCES}},
        {0660, NAMESPACE, {-EREMOTE, -EREMOTE, -EREMOTE, -EREMOTE, 0, -EREMOTE}},
};

static char directory[700], path[800], inside[900]; /* a sticky directory; a queue; in that */
static int failures;

static int fail(const char *what, const char *which, long long got, long long expected)
{
        fprintf(stderr, "%s, %s: %lld%s%s, not %lld%s%s\n", what, which, got, got < 0 ? " " : "",
                got < 0 ? strerrorname_np((int)-got) : "", expected, expected < 0 ? " " : "",
                expected < 0 ? strerrorname_np((int)-expected) : "");
        failures++;
        return 1;
}

/* ---- Other users -------------------------------------------------- */

typedef int body(const void *ctx); /* from -127 to 127 */

/* What it returns to another user. Its status is that, and 128. */
static int as(uid_t uid, gid_t gid, int namespaces, body *b, const void *ctx)
{
        const pid_t pid = fork();
        int status;

        if (pid == 0) {
                if ((namespaces && unshare(namespaces) != 0) || setgroups(0, NULL) != 0 ||
                    setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
                        _exit(0);
                umask(022);
                _exit((b(ctx) + 128) & 255);
        }
        if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
                return -ENOTRECOVERABLE;
        return WEXITSTATUS(status) - 128;
}

static int as_victim(body *b, const void *ctx)
{
        return as(UID_A, GID_NONE, 0, b, ctx);
}

static int as_stranger(body *b, const void *ctx)
{
        return as(UID_B, GID_NONE, 0, b, ctx);
}

/* ---- The calls ---------------------------------------------------- */

static int create(const void *ctx)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;

        o.mode = *(const mode_t *)ctx;
        o.capacity = 4096;
        return sluice_create(path, &o);
}

static int ignore(void *ctx, const struct sluice_message *m)
{
        (void)ctx, (void)m;
        return 0;
}

static int is_it(void *ctx, const struct sluice_queue_stat *st)
{
        (void)ctx;
        return strcmp(st->name, path) == 0;
}

static int call(const void *ctx)
{
        struct sluice_queue_stat st;
        struct sluice_producer p;
        struct sluice_consumer c;
        int r;

        switch (*(const int *)ctx) {
        case PRODUCER:
                r = sluice_producer_open(&p, path, NULL);
                return r ? r : sluice_send(&p, "message", 7, SLUICE_NOW);
        case CONSUMER:
                r = sluice_consumer_open(&c, path, NULL);
                return r ? r : sluice_consumer_close(&c);
        case STAT:
                return sluice_stat(path, &st);
        case DUMP:
                return (int)sluice_dump(path, ignore, NULL);
        case LIST:
                return sluice_list(is_it, NULL) == 1;
        default:
                return sluice_remove(path);
        }
}

/* One cell, with a queue of its own. */
static void cell(mode_t mode, int who, int which, int expected)
{
        const gid_t gid = who == OTHER ? GID_NONE : GID_AB;
        const uid_t uid = who == OWNER || who == NAMESPACE ? UID_A : UID_B;
        struct sluice_queue_stat st;
        char what[100];
        int r = as(UID_A, GID_AB, 0, create, &mode);

        snprintf(what, sizeof what, "%04o, %s", (unsigned)mode, whos[who]);
        if (r || sluice_stat(path, &st) != 0) {
                fail(what, "create", r, 0);
                return;
        }
        r = as(uid, gid, who == NAMESPACE ? CLONE_NEWIPC : 0, call, &which);
        if (r != expected)
                fail(what, calls[which], r, expected);
        if (which != REMOVE || r != 0)
                sluice_remove(path);
        if (access(path, F_OK) == 0 || shmget(st.key, 0, 0) >= 0)
                fail(what, "something is left", 1, 0);
}

/* The line of the table in doc/permissions.md. */
static int is_documented(size_t row)
{
        char want[300], line[300];
        FILE *f = fopen("doc/permissions.md", "re");
        int n = snprintf(want, sizeof want, "| %04o | %s |", (unsigned)table[row].mode,
                         whos[table[row].who]);
        int found = 0;

        for (int i = 0; i < CALLS; i++) {
                const int e = table[row].expected[i];

                n += snprintf(want + n, sizeof want - (size_t)n, " %s%s |", e < 0 ? "-" : "",
                              e < 0       ? strerrorname_np(-e)
                              : i != LIST ? "yes"
                              : e         ? "shown"
                                          : "not shown");
        }
        strcat(want, "\n");
        while (f && fgets(line, sizeof line, f))
                found |= strcmp(line, want) == 0;
        if (f)
                fclose(f);
        if (!found)
                fprintf(stderr, "not in doc/permissions.md: %s", want);
        return found;
}

/* ---- Another user was there first --------------------------------- */

static const mode_t own_mode = 0600, open_mode = 0666;

/* By id, for those who remove them: shared with the children. */
static struct {
        int segment, set;
} * forged;

/* A ring in a segment that says that it is the queue of the directory. */
static int forge(const void *ctx)
{
        const struct sluice_geometry g = {4096, 64, 0, 0, 0, 0};
        struct sluice_layout_header *h;
        struct stat st;
        const int projects = *(const int *)ctx;

        if (stat(path, &st) != 0)
                return 1;
        for (int i = 1; i <= projects; i++) {
                const key_t key = ftok(path, i);
                const int id = shmget(key, 12288 + 4096, IPC_CREAT | IPC_EXCL | 0666);

                forged[i].segment = id;
                forged[i].set = -1;
                if (i % 2 == 0) /* else only the segment is there */
                        forged[i].set = semget(key, 3, IPC_CREAT | IPC_EXCL | 0666);
                h = shmat(id, NULL, 0);
                if (h == (void *)-1)
                        return 1;
                if (sluice_ring_format(h, 12288 + 4096, &g) != 0)
                        return 1;
                h->device = (uint64_t)st.st_dev;
                h->inode = (uint64_t)st.st_ino;
                snprintf(h->name, sizeof h->name, "%s", path);
                shmdt(h);
        }
        return 0;
}

/* Whether another process has attached; then it is removed. */
static int unforge(const void *ctx)
{
        int attached = 0;

        for (int i = 1; i <= *(const int *)ctx; i++) {
                struct shmid_ds ds;

                attached |=
                        shmctl(forged[i].segment, IPC_STAT, &ds) != 0 || ds.shm_lpid != ds.shm_cpid;
                shmctl(forged[i].segment, IPC_RMID, NULL);
                if (forged[i].set >= 0)
                        semctl(forged[i].set, 0, IPC_RMID);
        }
        return attached;
}

static int make_directory(const void *ctx)
{
        return mkdir(path, 0700) == 0 && chmod(path, *(const mode_t *)ctx) == 0 ? 0 : -errno;
}

static int make_link(const void *ctx)
{
        (void)ctx;
        return symlink("/tmp", path) == 0 ? 0 : -errno;
}

static int make_pipe(const void *ctx)
{
        (void)ctx;
        return mkfifo(inside, 0666) == 0 ? 0 : -errno;
}

static int make_pipe_link(const void *ctx)
{
        (void)ctx;
        return symlink("/dev/null", inside) == 0 ? 0 : -errno;
}

static int open_or_create(const void *ctx)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct sluice_producer p;

        (void)ctx;
        o.flags = SLUICE_CREATE;
        o.capacity = 4096;
        return sluice_producer_open(&p, path, &o);
}

static int open_word(const void *ctx)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct sluice_producer p;

        (void)ctx;
        unsetenv("SLUICE_DIR");
        setenv("XDG_RUNTIME_DIR", directory, 1);
        o.flags = SLUICE_CREATE;
        return sluice_producer_open(&p, "word", &o);
}

static int open_key(const void *ctx)
{
        struct sluice_producer p;

        return sluice_producer_open(&p, ctx, NULL);
}

static int create_key(const void *ctx)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;

        o.mode = 0666;
        return sluice_create(ctx, &o);
}

static int remove_key(const void *ctx)
{
        return sluice_remove(ctx);
}

static void expect(const char *what, const char *which, int got, int expected)
{
        if (got != expected)
                fail(what, which, got, expected);
}

/* Works with the first `taken` keys forged, and which key it then has. */
static void squat_keys(int taken)
{
        static const mode_t visible = 0755;
        const char *what = "forged segments";
        struct sluice_queue_stat st;
        const int all = taken == 16;

        expect(what, "directory", as_victim(make_directory, &visible), 0);
        expect(what, "forge", as_stranger(forge, &taken), 0);
        expect(what, "open or create", as_victim(open_or_create, NULL), all ? -EADDRINUSE : 0);
        expect(what, "create", as_victim(create, &own_mode), all ? -EADDRINUSE : -EEXIST);
        expect(what, "stat", sluice_stat(path, &st), all ? -ENOENT : 0);
        if (!all) {
                expect(what, "key", st.key == ftok(path, taken + 1), 1);
                expect(what, "owner", (int)st.uid, UID_A);
        }
        if (chmod(path, 0755) != 0)
                fail(what, "chmod", errno, 0);
        expect(what, "attached", as_stranger(unforge, &taken), 0);
        sluice_remove(path);
        rmdir(path);
}

static void squat_directory(void)
{
        static const mode_t wide = 0777;

        expect("a stranger's directory", "make", as_stranger(make_directory, &wide), 0);
        expect("a stranger's directory", "create", as_victim(create, &own_mode), -EPERM);
        expect("a stranger's directory", "open or create", as_victim(open_or_create, NULL), -EPERM);
        rmdir(path);
        expect("a stranger's queue", "make", as_stranger(create, &open_mode), 0);
        expect("a stranger's queue", "create", as_victim(create, &own_mode), -EPERM);
        expect("a stranger's queue", "open or create", as_victim(open_or_create, NULL), -EPERM);
        expect("a stranger's queue", "remove", as_victim(call, &(int){REMOVE}), -EPERM);
        sluice_remove(path);
        expect("a stranger's link", "make", as_stranger(make_link, NULL), 0);
        expect("a stranger's link", "create", as_victim(create, &own_mode), -ELOOP);
        expect("a stranger's link", "open or create", as_victim(open_or_create, NULL), -ELOOP);
        expect("a stranger's link", "remove", as_victim(call, &(int){REMOVE}), -ELOOP);
        unlink(path);
}

/* The directory for bare words, in a directory where everybody writes. */
static void squat_user_dir(void)
{
        static const mode_t wide = 0777;

        snprintf(path, sizeof path, "%s/sluice", directory);
        expect("a stranger's user directory", "make", as_stranger(make_directory, &wide), 0);
        expect("a stranger's user directory", "open", as_victim(open_word, NULL), -EPERM);
        rmdir(path);
        expect("a link for a user directory", "make", as_stranger(make_link, NULL), 0);
        expect("a link for a user directory", "open", as_victim(open_word, NULL), -ELOOP);
        unlink(path);
        snprintf(path, sizeof path, "%s/q", directory);
}

static void squat_pipes(void)
{
        static const mode_t wide = 0777;
        struct stat st;

        expect("a stranger's pipe", "directory", as_victim(make_directory, &wide), 0);
        expect("a stranger's pipe", "make", as_stranger(make_pipe, NULL), 0);
        expect("a stranger's pipe", "open or create", as_victim(open_or_create, NULL), 0);
        if (lstat(inside, &st) != 0 || st.st_uid != UID_A)
                fail("a stranger's pipe", "is in use", 1, 0);
        expect("a stranger's pipe", "replace", as_stranger(make_pipe, NULL), -EACCES);
        sluice_remove(path);
        expect("a stranger's link", "directory", as_victim(make_directory, &wide), 0);
        expect("a stranger's link", "make", as_stranger(make_pipe_link, NULL), 0);
        expect("a stranger's link", "open or create", as_victim(open_or_create, NULL), -ENOTEMPTY);
        unlink(inside);
        rmdir(path);
}

static void squat_bare_key(void)
{
        static const char key[] = "key:0x51ca7";

        expect("a stranger's key", "make", as_stranger(create_key, key), 0);
        expect("a stranger's key", "create", as_victim(create_key, key), -EADDRINUSE);
        expect("a stranger's key", "open", as_victim(open_key, key), -EPERM);
        expect("a stranger's key", "remove", as_victim(remove_key, key), -EPERM);
        expect("a stranger's key", "unmake", as_stranger(remove_key, key), 0);
}

/* ---- All ---------------------------------------------------------- */

static int line(const char *what)
{
        static int before;
        const int failed = failures != before;

        before = failures;
        printf("%-60s %s\n", what, failed ? "FAILED" : "ok");
        fflush(stdout);
        return failed;
}

static int squats(void)
{
        int failed = 0;

        for (int taken = 1; taken <= 16; taken += 5)
                squat_keys(taken);
        failed += line("keys of the directory: the next one, or -EADDRINUSE");
        squat_directory();
        failed += line("directory: -EPERM, -ELOOP");
        squat_user_dir();
        failed += line("directory for bare words: -EPERM, -ELOOP");
        squat_pipes();
        failed += line("pipes: made anew, or -ENOTEMPTY");
        squat_bare_key();
        failed += line("bare key: -EADDRINUSE, -EPERM");
        return failed;
}

int main(void)
{
        const char *private = getenv("RUNTEST_PRIVATE");
        const size_t rows = sizeof table / sizeof *table;
        char what[100];
        int failed = 0;

        if (geteuid() != 0) {
                printf("not root: not run\n0 passed, 0 failed, %zu skipped\n", rows + 5);
                return 0;
        }
        forged = mmap(NULL, 17 * sizeof *forged, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                      -1, 0);
        if (forged == MAP_FAILED)
                return perror("no memory"), 1;
        /* Others reach what is in there. */
        snprintf(directory, sizeof directory, "%s/sticky.XXXXXX", private ? private : "/tmp");
        if (!mkdtemp(directory) || chmod(directory, 01777) != 0)
                return perror("no directory"), 1;
        snprintf(path, sizeof path, "%s/q", directory);
        snprintf(inside, sizeof inside, "%s/q/readable", directory);
        for (size_t row = 0; row < rows; row++) {
                for (int i = 0; i < CALLS; i++)
                        cell(table[row].mode, table[row].who, i, table[row].expected[i]);
                failures += !is_documented(row);
                snprintf(what, sizeof what, "%04o, %s: %d calls", (unsigned)table[row].mode,
                         whos[table[row].who], CALLS);
                failed += line(what);
        }
        failed += squats();
        rmdir(directory);
        printf("%d passed, %d failed\n", (int)rows + 5 - failed, failed);
        return failed != 0;
}
