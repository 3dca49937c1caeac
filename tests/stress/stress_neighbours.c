/* SPDX-License-Identifier: MIT */
/*
 * Disorderly use of queues by four users at once, beside the objects of
 * other programs. In directories that all share and in their own ones, on the
 * file system of /tmp and on a tmpfs, under bare words and bare keys, each
 * round is one of: create, open and send or receive, remove, rm -r or mv of
 * the directory, list and reap, stat; the same in a process that is killed
 * at any moment; fork and exec of a holder; or what one user tries with a
 * queue of another. Meanwhile foreign segments and sets appear under the
 * keys in use. What must hold:
 *
 *   messages   a ledger, by generation: what a send has acknowledged is
 *              received once, in order, at its position, unless the owner
 *              has removed that queue
 *   queues     one that was seen under a name stays there until its owner
 *              removes or moves it; reaping removes only what is unused
 *   errors     only those that the header names for the call; a role that
 *              a fork or an exec has left is free; no call hangs
 *   strangers  identifiers, owners, modes, values, times, contents and
 *              sleepers of all foreign objects are as they were
 *   leaks      at the end the users reap and remove; then no object and no
 *              entry of a directory is left
 *
 * Without root there is one user only, said as skipped.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "census.h"
#include "neighbours/neighbours.h"
#include "traffic.h"

enum { ROUNDS = 2000 };

static bool has_tmpfs;
static volatile sig_atomic_t stopped;

/* ---- The end ------------------------------------------------------ */

static int reap_all(void *ctx, const struct sluice_queue_stat *st)
{
        int *orphans = ctx, r;

        if (st->uid != geteuid())
                return 0;
        *orphans += st->orphan;
        if (slot_of(st->name) >= 0 && !st->orphan)
                return 0; /* is removed by its name */
        r = sluice_reap(st, SLUICE_REAP_PENDING);
        if (r && r != -ENOENT)
                fail("%s, %llx, orphan %d, is not reaped: %d", st->name,
                     (unsigned long long)st->generation, st->orphan, r);
        return 0;
}

/* Whatever has become of it; unless strangers have all its keys. */
static void check_usable(int slot)
{
        struct sluice_options o = options();
        struct sluice_producer p;
        int r;

        o.wake = SLUICE_WAKE_FUTEX;
        o.flags |= SLUICE_CREATE;
        r = sluice_producer_open(&p, name_of(at(slot)), &o);
        if (r == 0)
                sluice_producer_close(&p);
        else if (r != -EADDRINUSE)
                fail("the name is not usable: %s", strerrorname_np(-r));
}

/* Of one user: what he was sent, and then what he has. */
static int tidy_up(void)
{
        int orphans = 0, r;

        atomic_store(&arena->workers[self_worker].op, RECEIVE);
        for (int i = 0; i < SLOTS; i++)
                if (arena->slots[i].user == self_user)
                        receive_from(at(i), 0);
        atomic_store(&arena->workers[self_worker].op, REAP);
        if (sluice_list(reap_all, &orphans) < 0)
                fail("list");
        atomic_store(&arena->workers[self_worker].op, REMOVE);
        for (int i = 0; i < SLOTS; i++) {
                if (arena->slots[i].user != self_user)
                        continue;
                check_usable(i);
                r = sluice_remove(name_of(i));
                if (r && r != -ENOENT)
                        fail("%d", r);
                if (!arena->slots[i].is_key && rmdir(arena->slots[i].path) != 0 && errno != ENOENT)
                        fail("the directory is left: %s", strerrorname_np(errno));
        }
        for (int i = 0; i < FOREIGN_KEYS; i++) {
                char name[20];

                name_foreign_key(name, sizeof name, i);
                sluice_remove(name); /* what a killed creator has left beside a stranger's */
        }
        return 0;
}

/* ---- Users and directories -------------------------------------------- */

static char areas[2][120]; /* on the file system of /tmp, on a tmpfs */
static bool is_left;

static pid_t start(int worker, int (*body)(void))
{
        const uint64_t child_seed = traffic_random(&self_seed);
        char runtime[200];
        pid_t pid;

        fflush(NULL);
        pid = fork();
        if (pid != 0)
                return pid;
        self_worker = worker;
        self_user = worker % USERS;
        self_seed = child_seed;
        if (is_root && (setgroups(0, NULL) != 0 || setresgid(GID, GID, GID) != 0 ||
                        setresuid((uid_t)(UID + self_user), (uid_t)(UID + self_user),
                                  (uid_t)(UID + self_user)) != 0))
                _exit(3);
        umask(022);
        snprintf(runtime, sizeof runtime, "%s/own%d", areas[0], self_user);
        setenv("XDG_RUNTIME_DIR", runtime, 1);
        unsetenv("SLUICE_DIR");
        _exit(body());
}

static bool make_directory(const char *path, mode_t mode, uid_t uid)
{
        return mkdir(path, 0700) == 0 && chmod(path, mode) == 0 &&
               (!is_root || chown(path, uid, (gid_t)-1) == 0);
}

/* A sticky directory for all, and one for each user. */
static bool make_area(char *area, const char *where)
{
        char path[200];

        snprintf(area, sizeof areas[0], "%s/sluice-neighbours.XXXXXX", where);
        if (!mkdtemp(area) || chmod(area, 0711) != 0)
                return false;
        snprintf(path, sizeof path, "%s/all", area);
        if (!make_directory(path, 01777, geteuid()))
                return false;
        for (int i = 0; i < USERS; i++) {
                snprintf(path, sizeof path, "%s/own%d", area, i);
                if (!make_directory(path, 0755, (uid_t)(UID + i)))
                        return false;
        }
        return true;
}

/* What is left in there is printed, and removed all the same. */
static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at_level)
{
        (void)st;
        if (at_level->level > 1 || type != FTW_DP) {
                fprintf(stderr, "left: %s\n", path);
                is_left = true;
        }
        return remove(path);
}

static bool remove_area(const char *area)
{
        is_left = false;
        return nftw(area, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 && !is_left;
}

static void name_slot(int i)
{
        static const char *const places[SLOTS_EACH] = {"all", "all", "own", "own", "all", "own"};
        const int user = i / SLOTS_EACH, n = i % SLOTS_EACH;
        struct slot *s = &arena->slots[i];
        char place[20] = "all";

        s->user = user;
        s->on_tmpfs = has_tmpfs && (n == 4 || n == 5);
        s->is_key = n == 7;
        if (s->is_key) {
                snprintf(s->path, sizeof s->path, "key:0x%x", KEY + (unsigned)user);
        } else if (n == 6) {
                snprintf(s->path, sizeof s->path, "%s/own%d/sluice/word", areas[0], user);
        } else {
                if (strcmp(places[n], "own") == 0)
                        snprintf(place, sizeof place, "own%d", user);
                snprintf(s->path, sizeof s->path, "%s/%s/q%d-%d", areas[s->on_tmpfs], place, user,
                         n);
        }
        strcpy(s->name, n == 6 ? "word" : s->path);
}

static int line(const char *what, bool failed)
{
        printf("%s  %s\n", what, failed ? "FAILED" : "ok");
        fflush(stdout);
        return failed;
}

static void stop(int signal)
{
        (void)signal;
        stopped = 1;
}

/* Which worker it was, and whether it has failed. */
static int ended(pid_t *workers, pid_t pid, int status)
{
        for (int i = 0; i < WORKERS; i++) {
                if (workers[i] != pid)
                        continue;
                workers[i] = 0;
                self_worker = i;
                self_user = i % USERS;
                if (status != 0)
                        fail("ended with status %x%s", (unsigned)status,
                             WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? ": hangs" : "");
                return 1;
        }
        hurt_foreign("process %d does not sleep on", (int)pid);
        return 0;
}

/* The neighbour, while the workers work. */
static void watch(pid_t *workers)
{
        int running = WORKERS, status;

        while (running > 0) {
                pid_t pid;

                while (running > 0 && (pid = waitpid(-1, &status, WNOHANG)) > 0)
                        running -= ended(workers, pid, status);
                if (stopped)
                        atomic_store(&arena->left, 0);
                squat();
                check_some_foreign();
                pause_ns(2000000);
        }
}

static void run_as_each_user(int (*body)(void))
{
        int status;

        for (int i = 0; i < USERS; i++) {
                const pid_t pid = start(i, body);

                self_worker = self_user = i;
                if (waitpid(pid, &status, 0) != pid || status != 0)
                        fail("status %x", (unsigned)status);
        }
}

static void print_counts(uint64_t share)
{
        printf("%llu rounds, %lu queues, %lu messages sent, %lu received, %lu foreign objects\n",
               (unsigned long long)share, atomic_load(&arena->entries), atomic_load(&arena->sent),
               atomic_load(&arena->received), foreigns_made());
        for (int op = 0; op < OPS; op++) {
                printf("  %-8s %7lu", op_names[op], atomic_load(&arena->done[op]));
                for (int e = 0; e < ERRORS; e++)
                        if (atomic_load(&arena->errors[op][e]))
                                printf("  %s %lu", strerrorname_np(e),
                                       atomic_load(&arena->errors[op][e]));
                putchar('\n');
        }
        fflush(stdout);
}

static void print_sets(void)
{
        struct seminfo info;
        struct semid_ds ds;
        union semctl_arg arg = {.array = (unsigned short *)(void *)&info};
        const int slots = semctl(0, 0, SEM_INFO, arg);

        arg.buf = &ds;
        for (int i = 0; i <= slots; i++)
                if (semctl(i, 0, SEM_STAT, arg) >= 0)
                        fprintf(stderr, "set of %lu under 0x%x, user %u, mode %o\n",
                                (unsigned long)ds.sem_nsems, (unsigned)ds.sem_perm.__key,
                                (unsigned)ds.sem_perm.uid, (unsigned)ds.sem_perm.mode);
}

/* Nothing of ours may be left when all processes have ended. */
static int check_end(const struct census *before)
{
        struct census now;
        unsigned long failed = atomic_load(&arena->failed);
        int failures = line("messages, queues, errors", failed != 0);

        run_as_each_user(tidy_up);
        check_all_foreigns();
        failures += line("strangers", is_foreign_hurt());
        remove_foreigns();
        if (census_ipc(&now) != 0 || now.segments != before->segments || now.sets != before->sets) {
                fail("%d segments and %d sets are left", now.segments - before->segments,
                     now.sets - before->sets);
                print_sets();
        }
        for (int i = 0; i <= has_tmpfs; i++)
                if (!remove_area(areas[i]))
                        fail("something is left in %s", areas[i]);
        return failures + line("leaks", atomic_load(&arena->failed) != failed);
}

static bool begin(int argc, char **argv, struct census *before)
{
        const char *private = getenv("RUNTEST_PRIVATE");

        self_seed = traffic_seed(argc, argv);
        is_root = geteuid() == 0;
        arena = mmap(NULL, sizeof *arena, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                     0);
        if (arena == MAP_FAILED || census_ipc(before) != 0 ||
            !make_area(areas[0], private ? private : "/tmp"))
                return false;
        has_tmpfs = access("/dev/shm", W_OK | X_OK) == 0 && make_area(areas[1], "/dev/shm");
        for (int i = 0; i < SLOTS; i++)
                name_slot(i);
        signal(SIGTERM, stop);
        signal(SIGINT, stop);
        return true;
}

int main(int argc, char **argv)
{
        const uint64_t share = traffic_scale(ROUNDS);
        pid_t workers[WORKERS];
        struct census before;
        int failed, skipped;

        if (!begin(argc, argv, &before))
                return perror("cannot begin"), 2;
        atomic_store(&arena->left, (long)share);
        settle_foreigns();
        for (int i = 0; i < WORKERS; i++)
                workers[i] = start(i, work);
        watch(workers);
        print_counts(share);
        failed = check_end(&before);
        if (!is_root)
                puts("four users: not root, skipped");
        if (!has_tmpfs)
                puts("tmpfs: no /dev/shm, skipped");
        skipped = !is_root + !has_tmpfs;
        printf("%d passed, %d failed, %d skipped\n", 3 - failed, failed, skipped);
        return failed != 0;
}
