/* SPDX-License-Identifier: MIT */
/*
 * Every system call site of the library fails, once and lastingly, with
 * every error that its manual page lists for the way it is called; then
 * in pairs, so that what is done about one failure fails, too. Each time:
 * the call says so with an error that it documents, or succeeds where a
 * line of `tolerated` says why; errno is as it was; nothing is left,
 * nothing has changed; and the same call works at once when nothing
 * fails any more.
 *
 * The scenarios are in fail_scenarios.c, the interposer in inject.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "census.h"
#include "fail_scenarios.h"
#include "inject.h"
#include "traffic.h"

enum { MARK = 4321, SAID_MAX = 12, ANY = 0 };

/* Failures that a call may overcome. scenario: how its name begins. */
static const struct {
        enum inject_kind kind;
        int error;
        const char *scenario, *why;
} tolerated[] = {
        {K_STAT, ANY, "", "the IPC namespace is not known"},
        {K_OPEN_PROC, ANY, "", "the boot is not known"},
        {K_GETRANDOM, ANY, "", "the time instead"},
        {K_LOCK_FIND, EACCES, "", "a dead creator's: made anew"},
        {K_LOCK_FIND, ENOENT, "", "not there yet"},
        {K_LOCK_MAKE, EEXIST, "", "made by another meanwhile"},
        {K_LOCK_MAKE, ENOENT, "", "the directory is gone meanwhile: once more"},
        {K_READLINKAT, ENOENT, "", "no queue, or half of one"},
        {K_SHMAT, ENOMEM, "create, without a record", "the sleeper looks at its next slice"},
        {K_SHMAT, ENOMEM, "create, set gone", "the sleeper looks at its next slice"},
        {K_DONTFORK, ANY, "create, without a record", "the sleeper looks at its next slice"},
        {K_DONTFORK, ANY, "create, set gone", "the sleeper looks at its next slice"},
        {K_OPENAT_FIFO, ANY, "create, without a record", "the sleeper looks at its next slice"},
        {K_OPENAT_FIFO, ANY, "create, set gone", "the sleeper looks at its next slice"},
        {K_OPENAT_FIFO, ANY, "reap", "the sleeper looks at its next slice"},
        {K_FSTAT, ANY, "create, without a record", "the sleeper looks at its next slice"},
        {K_FSTAT, ANY, "create, set gone", "the sleeper looks at its next slice"},
        {K_FSTAT, ANY, "reap", "the sleeper looks at its next slice"},
        {K_SHMAT, ENOMEM, "remove", "the sleeper looks at its next slice"},
        {K_SHMAT, ENOMEM, "reap", "the sleeper looks at its next slice"},
        {K_DONTFORK, ANY, "remove", "the sleeper looks at its next slice"},
        {K_DONTFORK, ANY, "reap", "the sleeper looks at its next slice"},
        {K_RMDIRAT, ENOENT, "", "it is gone already"},
        {K_RMDIRAT, ENOTEMPTY, "", "another's lock, which it takes away"},
        {K_RMDIR, ENOENT, "remove, channel", "it is gone already"},
        {K_RMDIR, ENOTEMPTY, "remove, channel", "made again meanwhile: once more"},
        {K_MEMBARRIER_REGISTER, ANY, "", "the fenced protocol instead"},
        {K_MEMBARRIER, ANY, "", "sleeps in short slices instead"},
        {K_FUTEX_WAKE, ANY, "", "the sleeper looks at its next slice"},
        {K_FUTEX_WAIT, ANY, "", "looks again until the deadline"},
        {K_FUTEX_WAITV, ANY, "", "looks again, or waits by the older call"},
        {K_PPOLL, ANY, "", "looks again until the deadline"},
        {K_EPOLL_WAIT, EINTR, "", "looks again"},
        {K_READ, ANY, "", "a byte that stays costs one wake-up"},
        {K_WRITE, ANY, "", "the sleeper looks at its next slice"},
        {K_CLOSE, ANY, "", "Linux has closed it"},
        {K_NANOSLEEP, ANY, "", "only a pause"},
        {K_SETLK, EAGAIN, "open", "the predecessor is leaving: waits for it"},
        {K_SETLK, EACCES, "open", "as EAGAIN"},
        {K_SETLK, ANY, "close", "closing unlocks as well"},
        {K_SETLK, ANY, "open, channel, client", "closing in between unlocks as well"},
        {K_GETLK, ANY, "", "the role alone decides"},
        {K_REALPATH, ANY, "create", "the name as it was given is stored"},
        {K_REALPATH, ANY, "open, CREATE", "the name as it was given is stored"},
        {K_SEMOP_GIVE, ANY, "", "the set is gone, or the role is cleared by SETVAL"},
        {K_SHMCTL_RMID, ANY, "", "it is gone already"},
        {K_SEMCTL_RMID, ANY, "", "it is gone already"},
        {K_SHMCTL_INFO, ANY, "create, no room", "the limit stays unnamed"},
        {K_SEMCTL_INFO, ANY, "create, no room", "the limit stays unnamed"},
        {K_POPULATE, EINVAL, "", "an old kernel: touches each page instead"},
        {K_FLOCK, EWOULDBLOCK, "", "tries again"},
        {K_FLOCK, EINTR, "", "tries again"},
        {K_MKDIR, EEXIST, "", "there already, or gone meanwhile: once more"},
        {K_OPEN, ENOENT, "create", "the directory is gone meanwhile: once more"},
        {K_OPEN, ENOENT, "open, CREATE", "the directory is gone meanwhile: once more"},
        {K_LSTAT, ENOENT, "", "the directory is gone meanwhile: once more"},
        {K_SEMGET_MAKE, EEXIST, "create", "there, and gone meanwhile: once more"},
        {K_SHMGET_MAKE, EEXIST, "create", "there, and gone meanwhile: once more"},
        {K_SHMGET_FIND, ENOENT, "", "there is none under that key"},
        {K_SEMGET_FIND, ENOENT, "", "there is none under that key"},
        {K_SEMOP_TAKE, EAGAIN, "open", "held by one who has become another: taken over"},
        {K_UNLINKAT, ENOENT, "", "it is gone already"},
        {K_FSTATAT, ENOENT, "", "it is gone already"},
        {K_RMDIR, ANY, "create", "an empty directory stays"},
        {K_SEMGET_MAKE, EEXIST, "open, CREATE", "there, and gone meanwhile: once more"},
        {K_SHMGET_MAKE, EEXIST, "open, CREATE", "there, and gone meanwhile: once more"},
        {K_OPENAT_FIFO, ANY, "receive, FIFO, alone", "a hang-up makes it look again"},
        {K_FSTAT, ANY, "receive", "the pipe is taken for the same, or as above"},
        {K_FSTAT, ANY, "send", "the pipe is taken for the same"},
        {K_FSTAT, ANY, "remove", "the sleeper looks at its next slice"},
        {K_FSTAT, ANY, "close", "the descriptor is taken for the same"},
        {K_FSTAT, ANY, "interrupt", "the descriptor is taken for the same"},
        {K_SETLK, ANY, "reap", "closing unlocks as well"},
        {K_SHMGET_FIND, ENOMEM, "list", "a set is not taken for a lone one"},
        {K_LSTAT, ANY, "remove, word", "the user's directory stays, empty"},
        {K_RMDIR, ANY, "remove, word", "the user's directory stays, empty"},
        {K_FSTAT, ANY, "await_peer", "the pipe is taken for the same"},
        {K_OPENAT_FIFO, ANY, "remove", "the sleeper looks at its next slice"},
        {K_FSTAT, ANY, "arm", "the pipe is taken for the same"},
        {K_OPENAT_FIFO, ANY, "arm", "a hang-up makes it look again"},
        {K_SEMCTL_GETVAL, EACCES, "arm", "the lock of the pipe tells"},
        {K_SEMCTL_GETVAL, EACCES, "open", "the lock of the pipe tells, or nothing does"},
        {K_SHMCTL_STAT, EACCES, "open, from one", "counts once more"},
        {K_SEMCTL_GETVAL, EACCES, "receive", "the lock of the pipe tells"},
        {K_SEMCTL_GETVAL, EACCES, "send", "the lock of the pipe tells"},
        {K_SEMCTL_GETVAL, EACCES, "await_peer", "the lock of the pipe tells"},
        {K_FSTAT, ANY, "open", "the pipe is taken for the same"},
        {K_TIMER_SET, ANY, "send, fan-out", "looks each millisecond instead"},
        {K_SEMCTL_GETVAL, ANY, "send, fan-out", "the other queue may have room"},
};

static const char *const modes[] = {"once", "lasting", "with another"};

/* Errors that any call may pass on as the file system gives them. */
static const short passed_on[] = {EIO, EDQUOT, EMLINK, ENOLCK, EROFS, ENODEV, 0};

struct world {
        int segments, sets, fds, entries, mappings;
        long blocks, mapped;
};

static const struct scenario *now;
static void (*clean)(void); /* after each */
static struct inject_plan plan;
static struct inject_seen *counted; /* shared with children */
static const char *queues_dir;
static int said, counted_entries;

static void say(const char *what, long long got)
{
        const enum inject_kind kind =
                plan.first < 0 ? K_KINDS : (enum inject_kind)inject_seen.trace[plan.first];
        const enum inject_kind second =
                plan.second < 0 ? K_KINDS : (enum inject_kind)inject_seen.trace[plan.second];

        if (++said > SAID_MAX)
                return;
        fprintf(stderr, "%s: call %d, %s fails with %s%s%s%s%s%s: %s (%lld%s%s)\n", now->name,
                plan.first, kind == K_KINDS ? "none" : inject_info[kind].name,
                plan.first_error ? strerrorname_np(plan.first_error) : "nothing",
                plan.lasting ? ", lastingly" : "", second == K_KINDS ? "" : ", then ",
                second == K_KINDS ? "" : inject_info[second].name,
                second == K_KINDS ? "" : " with ",
                second == K_KINDS ? "" : strerrorname_np(plan.second_error), what, got,
                got < 0 && got > -200 ? " " : "",
                got < 0 && got > -200 ? strerrorname_np((int)-got) : "");
}

static int count_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
        (void)path, (void)st, (void)kind;
        counted_entries += ftw->level > 0;
        return 0;
}

static struct world world_now(void)
{
        struct world w = {.blocks = inject_blocks, .mapped = inject_mapped};
        struct census count;

        if (census_ipc(&count) != 0 || census_process(&count) != 0) {
                perror("cannot count what is there");
                exit(2);
        }
        w.segments = count.segments;
        w.sets = count.sets;
        w.fds = count.fds;
        w.mappings = count.mappings;
        counted_entries = 0;
        nftw(queues_dir, count_entry, 16, FTW_PHYS);
        w.entries = counted_entries;
        return w;
}

static int same_world(const struct world *a, const char *when)
{
        const struct world b = world_now();
        char what[200];

        if (a->segments == b.segments && a->sets == b.sets && a->fds == b.fds &&
            a->entries == b.entries && a->mappings == b.mappings && a->blocks == b.blocks &&
            a->mapped == b.mapped)
                return 0;
        snprintf(what, sizeof what,
                 "%s: %+d segments, %+d sets, %+d descriptors, %+d entries, %+d mappings, "
                 "%+ld blocks, %+ld attached",
                 when, b.segments - a->segments, b.sets - a->sets, b.fds - a->fds,
                 b.entries - a->entries, b.mappings - a->mappings, b.blocks - a->blocks,
                 b.mapped - a->mapped);
        say(what, 0);
        return 1;
}

static bool in_list(const short *list, int error)
{
        while (*list && *list != error)
                list++;
        return *list != 0;
}

static bool is_tolerated(enum inject_kind kind, int error)
{
        for (size_t i = 0; i < sizeof tolerated / sizeof *tolerated; i++)
                if (tolerated[i].kind == kind &&
                    (tolerated[i].error == ANY || tolerated[i].error == error) &&
                    strncmp(now->name, tolerated[i].scenario, strlen(tolerated[i].scenario)) == 0)
                        return true;
        if (kind == K_POPULATE && !(now->flags & FAIL_PREFAULT))
                return true; /* the pages come when they are used */
        if ((now->flags & FAIL_ONCE_MORE) && error == ENOENT)
                return true; /* the user's directory was removed meanwhile */
        /* What cannot be read is not shown. */
        return (now->flags & FAIL_SKIPS) && kind != K_SHMCTL_INFO && kind != K_SEMCTL_INFO &&
               error != ENOMEM && error != EMFILE && error != ENFILE;
}

/* What the system refuses to remove stays; so does what seems to be in
 * the hands of another process at work. */
static bool is_left(enum inject_kind kind, int error)
{
        return ((kind == K_UNLINKAT || kind == K_RMDIRAT || kind == K_RMDIR) && error != ENOENT) ||
               (kind == K_SEMOP_TAKE && error == EAGAIN) || kind == K_LSTAT || kind == K_FLOCK ||
               kind == K_FSTAT || /* of the lock, which may be another's by now */
               ((kind == K_OPEN || kind == K_LOCK_MAKE) && error == ENOENT);
}

static bool may_leave(void)
{
        const int n[2] = {plan.first, plan.second}, e[2] = {plan.first_error, plan.second_error};

        for (int i = 0; i < 2; i++)
                if (n[i] >= 0 && n[i] < inject_seen.calls &&
                    is_left((enum inject_kind)inject_seen.trace[n[i]], e[i]))
                        return true;
        return false;
}

static int check_result(int r)
{
        const enum inject_kind kind =
                plan.first < 0 ? K_KINDS : (enum inject_kind)inject_seen.trace[plan.first];

        if (r == now->want || (r >= 0 && now->want >= 0)) {
                if (inject_seen.injected == 0 || plan.second >= 0 || inject_seen.vanished ||
                    (r < 0 && r == -plan.first_error) || is_tolerated(kind, plan.first_error))
                        return 0;
                return say("not said", r), 1;
        }
        if (r >= 0 && inject_seen.vanished)
                return 0;
        if (r >= 0 || !(in_list(now->errors, -r) || in_list(passed_on, -r)))
                return say("not documented", r), 1;
        if (strstr(sluice_strerror(r), "does not know"))
                return say("not explained", r), 1;
        return 0;
}

/* Where a part is undone because another failed, undoing may fail, too. */
static bool is_atomic(void)
{
        const bool single = plan.second < 0 && !plan.lasting;

        return (now->flags & FAIL_ATOMIC) && (single || !(now->flags & FAIL_PARTS));
}

/* The scenario once, with the failures that are planned. */
static int attempt(void)
{
        const struct world before = world_now();
        struct world ready;
        int failed = 0, r, after;

        alarm(100); /* a machine may stand still for a while */
        now->prepare();
        if (fail_unprepared != 0) {
                say("cannot be prepared", fail_unprepared);
                fail_unprepared = 0;
                clean();
                return 1;
        }
        ready = world_now();
        errno = MARK;
        inject_begin(&plan);
        r = now->act();
        inject_end();
        after = errno;
        if (after != MARK)
                say("set errno", after), failed++;
        failed += check_result(r);
        if (r < 0 && r != now->want && !failed) {
                if (!inject_seen.vanished && !may_leave() && is_atomic())
                        failed += same_world(&ready, "changed");
                r = now->act();
                if (r != now->want && !(r >= 0 && now->want >= 0) && !inject_seen.vanished &&
                    !((now->flags & FAIL_GONE) && r == -ENOENT))
                        say("the second try fails", r), failed++;
        }
        if (r >= 0 && (now->flags & FAIL_REMOVES) && !inject_seen.vanished && !may_leave())
                failed += same_world(&before, "not removed");
        clean();
        failed += same_world(&before, "left");
        return failed;
}

/* The same in a process that has never opened anything. */
static int attempt_apart(void)
{
        const pid_t pid = fork();
        int status;

        if (pid == 0) {
                status = attempt();
                *counted = inject_seen;
                _exit(status != 0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
                return 1;
        inject_seen = *counted;
        return status != 0;
}

static int go(int first, int first_error, bool lasting, int second, int second_error)
{
        plan = (struct inject_plan){first, second, first_error, second_error, lasting};
        return now->flags & FAIL_APART ? attempt_apart() : attempt();
}

static void on_alarm(int sig)
{
        inject_end();
        say(sig == SIGALRM ? "hangs" : "crashes", sig);
        printf("0 passed, 1 failed\n");
        fflush(stdout);
        _exit(1);
}

struct tally {
        long sites, injected[3];
        int failed;
};

/* Lasting failures and pairs: STRESS_PERCENT of them, others each time. (The
 * pairs of FAIL_PARTS: as much of them again.) */
static bool is_in_share(uint64_t *random)
{
        return traffic_random(random) % 100 < traffic_scale(100);
}

/* What is done about the failure of call k fails, too. */
static void go_pairs(struct tally *t, int k, int error, uint64_t *random)
{
        static unsigned char trace[INJECT_TRACE];
        int calls;

        t->failed += go(k, error, false, -1, 0);
        calls = inject_seen.calls;
        memcpy(trace, inject_seen.trace, sizeof trace);
        for (int j = k + 1; j < calls && j < k + 400; j++) {
                if (!is_in_share(random))
                        continue;
                t->failed += go(k, error, false, j, inject_info[trace[j]].errors[0]);
                t->injected[2] += inject_seen.injected;
        }
}

/* Another user's objects can be made here, and removed. */
static bool may_act_for_another(void)
{
        const int fd = memfd_create("another user's", 0);
        const bool may = fd >= 0 && geteuid() == 0 && fchown(fd, FAIL_OTHER_UID, 0) == 0;

        if (fd >= 0)
                close(fd);
        return may;
}

static int run(const struct scenario *s, uint64_t seed)
{
        static unsigned char trace[INJECT_TRACE];
        struct tally t = {0};
        int calls;

        now = s;
        said = 0;
        t.failed = go(-1, 0, false, -1, 0); /* warm: what the C library keeps */
        t.failed += go(-1, 0, false, -1, 0);
        calls = inject_seen.calls;
        memcpy(trace, inject_seen.trace, sizeof trace);
        t.sites = calls;
        for (int k = 0; k < calls; k++) {
                const struct inject_info *info = &inject_info[trace[k]];

                for (const short *e = info->errors; *e; e++) {
                        if ((s->flags & FAIL_OWN) && trace[k] <= K_SEMCTL_RMID &&
                            (*e == EACCES || *e == EAGAIN))
                                continue; /* nobody else is there */
                        if ((s->flags & FAIL_PARTS) && !is_in_share(&seed))
                                continue;
                        t.failed += go(k, *e, false, -1, 0);
                        t.injected[0] += inject_seen.injected;
                        if (*e == info->once || !is_in_share(&seed))
                                continue;
                        t.failed += go(k, *e, true, -1, 0);
                        t.injected[1] += inject_seen.injected;
                }
                if (!(s->flags & FAIL_WAITS) && (!(s->flags & FAIL_PARTS) || is_in_share(&seed)))
                        go_pairs(&t, k, info->errors[0], &seed);
        }
        printf("%-40s %4ld sites, failures: %5ld %s, %7ld %s, %6ld %s  %s\n", s->name, t.sites,
               t.injected[0], modes[0], t.injected[1], modes[1], t.injected[2], modes[2],
               t.failed ? "FAILED" : "ok");
        fflush(stdout);
        return t.failed != 0;
}

/* ---- Is every function wrapped? ----------------------------------- */

/* What the library calls and cannot fail the way that it is called. */
static const char *const never_fail[] = {
        "__errno_location",
        "__isoc99_sscanf", /* of what it finds, see parse() in record.c */
        "__tls_get_addr",
        "clock_gettime",
        "closedir",
        "secure_getenv",
        "geteuid",
        "getpid",
        "getrlimit",
        "getrusage",
        "ioctl",
        "sched_getcpu", /* then the CPU is not known, test_spin */
        "sched_yield",
        "memcpy",
        "memset",
        "memmove",
        "memcmp",
        "bcmp",
        "mremap", /* in a child, whatever it says */
        "munmap",
        "pthread_mutex_lock",
        "pthread_mutex_unlock",
        "pthread_setcancelstate",
        "sysconf",
        "snprintf",
        "strchr",
        "strrchr",
        "strcspn",
        "strcmp",
        "strcpy",
        "strlen",
        "strncmp",
        "strtoul",
        "strtoull",
        "stpcpy",
        "__stack_chk_fail",
        "free",
        "shmdt",
};

static const char *const wrapped[] = {
        "calloc",         "chmod",           "close",          "epoll_create1", "epoll_ctl",
        "timerfd_create", "timerfd_settime", "eventfd",        "fchmod",        "fchmodat",
        "fchown",         "faccessat",       "getrandom",      "opendir",       "readlinkat",
        "stat",           "symlinkat",       "fcntl",          "fdopendir",     "flock",
        "fstat",          "fstatat",         "lstat",          "madvise",       "malloc",
        "mkdir",          "mkfifoat",        "mlock",          "nanosleep",     "open",
        "openat",         "ppoll",           "pthread_atfork", "read",          "readdir",
        "realpath",       "rmdir",           "semctl",         "semget",        "semop",
        "shmat",          "shmctl",          "shmget",         "syscall",       "unlinkat",
        "write",          "aligned_alloc",
};

static bool is_known(const char *symbol)
{
        static const char *const prefixes[] = {"sluice_",      "__asan_", "__ubsan_",
                                               "__sanitizer_", "__tsan_", "_GLOBAL_OFFSET_TABLE_",
                                               "__gcov_"};

        for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
                if (strncmp(symbol, prefixes[i], strlen(prefixes[i])) == 0)
                        return true;
        for (size_t i = 0; i < sizeof never_fail / sizeof *never_fail; i++)
                if (strcmp(symbol, never_fail[i]) == 0)
                        return true;
        for (size_t i = 0; i < sizeof wrapped / sizeof *wrapped; i++)
                if (strcmp(symbol, wrapped[i]) == 0)
                        return true;
        return false;
}

/* The archive lies in the directory above this program's. */
static int check_symbols(void)
{
        char command[4200] = "nm -u ", line[300], symbol[200], *slash;
        const size_t at = strlen(command);
        const ssize_t n = readlink("/proc/self/exe", command + at, 4000);
        int known = 0, unknown = 0;
        FILE *f;

        command[at + (size_t)(n < 0 ? 0 : n)] = '\0';
        for (int up = 0; up < 2; up++) {
                slash = strrchr(command, '/');
                if (slash)
                        *slash = '\0';
        }
        strcat(command, "/libsluice.a 2>/dev/null");
        f = popen(command, "r");
        while (f && fgets(line, sizeof line, f)) {
                if (sscanf(line, " U %199s", symbol) != 1)
                        continue;
                if (is_known(symbol))
                        known++;
                else if (++unknown)
                        fprintf(stderr, "%s is neither wrapped nor known never to fail\n", symbol);
        }
        if (f)
                pclose(f);
        printf("%-40s %4d known, %d unknown  %s\n", "functions that the library calls", known,
               unknown, known > 20 && !unknown ? "ok" : "FAILED");
        return known <= 20 || unknown;
}

static int count(const struct scenario *s)
{
        int n = 0;

        while (s[n].name)
                n++;
        return n;
}

struct sum {
        int n, failed, skipped;
};

/* Those whose name begins like this. */
static void run_all(struct sum *sum, const struct scenario *s, const char *wanted, uint64_t seed)
{
        for (; s->name; s++) {
                if (strncmp(s->name, wanted, strlen(wanted)) != 0)
                        continue;
                sum->n++;
                if (!(s->flags & FAIL_ROOT) || may_act_for_another())
                        sum->failed += run(s, seed);
                else if (++sum->skipped)
                        printf("%-40s not run: needs the rights of root\n", s->name);
        }
}

int main(int argc, char **argv)
{
        const uint64_t seed = traffic_seed(argc, argv);
        const char *wanted = argc > 2 ? argv[2] : ""; /* how the scenario's name begins */
        struct sum sum = {.n = 1, .failed = check_symbols()};

        /* What it makes vanish is found by key: nobody else's may be there. */
        if (!getenv("RUNTEST_ALONE") && unshare(CLONE_NEWIPC) != 0) {
                printf("no IPC namespace of its own: not run\n0 passed, 0 failed, %d skipped\n",
                       count(fail_scenarios) + count(fail_group_scenarios) + 1);
                return 0;
        }
        queues_dir = strdup(getenv("SLUICE_DIR"));
        counted = mmap(NULL, sizeof *counted, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                       -1, 0);
        signal(SIGALRM, on_alarm);
        signal(SIGPIPE, on_alarm);
        clean = fail_clean;
        run_all(&sum, fail_scenarios, wanted, seed);
        clean = fail_groups_clean;
        run_all(&sum, fail_group_scenarios, wanted, seed);
        printf("%d passed, %d failed, %d skipped\n", sum.n - sum.failed - sum.skipped, sum.failed,
               sum.skipped);
        return sum.failed != 0;
}
