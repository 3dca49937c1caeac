/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "queue_util.h"

#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "census.h"
#include "ipc_record.h"

#include <criterion/hooks.h>
#include <criterion/options.h>

static pid_t test_pid;
static struct world at_begin;
static const char *queues_dir, *tmp_dir; /* whatever the environment says later */
static bool alone;                       /* no other program is in our IPC namespace */

/* ---- Checks ------------------------------------------------------- */

void util_fail(const char *file, int line, const char *format, ...)
{
        char text[600];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        fprintf(stderr, "%s:%d: %s (process %d)\n", file, line, text, (int)getpid());
        if (getpid() != test_pid)
                _exit(99);
        if (syscall(SYS_gettid) == test_pid)
                cr_assert_fail("%s:%d: %s", file, line, text);
        abort();
}

void util_differs(const char *file, int line, const char *what, long long actual,
                  long long expected)
{
        const bool is_error = actual < 0 && actual > -200;

        util_fail(file, line, "%s is %lld%s%s%s, not %lld", what, actual, is_error ? " (" : "",
                  is_error ? strerrorname_np((int)-actual) : "", is_error ? ")" : "", expected);
}

/* ---- What there is ------------------------------------------------ */

static int counted;

static int count_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
        (void)path, (void)st, (void)kind;
        counted += ftw->level > 0;
        return 0;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
        (void)st, (void)kind;
        if (ftw->level > 0)
                remove(path);
        return 0;
}

struct world world_now(void)
{
        const int saved = errno;
        struct census now;
        struct world w;

        check(census_ipc(&now) == 0 && census_process(&now) == 0);
        if (!alone) {
                now.segments = ipc_record_count(IPC_RECORD_SEGMENT);
                now.sets = ipc_record_count(IPC_RECORD_SET);
        }
        w.segments = now.segments;
        w.sets = now.sets;
        w.fds = now.fds;
        w.mappings = now.mappings;
        counted = 0;
        nftw(queues_dir, count_entry, 16, FTW_PHYS);
        nftw(tmp_dir, count_entry, 16, FTW_PHYS);
        w.entries = counted;
        errno = saved;
        return w;
}

void util_world_same(const char *file, int line, const struct world *b)
{
        const struct world now = world_now();

        if (memcmp(&now, b, sizeof now) != 0)
                util_fail(file, line,
                          "left: %+d segments, %+d semaphore sets, %+d descriptors, "
                          "%+d mappings, %+d entries",
                          now.segments - b->segments, now.sets - b->sets, now.fds - b->fds,
                          now.mappings - b->mappings, now.entries - b->entries);
}

/* What a test that failed has left. */
static void clean(void)
{
        nftw(queues_dir, remove_entry, 16, FTW_PHYS | FTW_DEPTH);
        nftw(tmp_dir, remove_entry, 16, FTW_PHYS | FTW_DEPTH);
        eq(chmod(tmp_dir, 0700), 0);
        ipc_record_remove();
}

void world_begin(void)
{
        const char *private = getenv("RUNTEST_PRIVATE");

        test_pid = getpid();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        check(private && getenv("SLUICE_DIR") && getenv("TMPDIR"));
        queues_dir = strdup(getenv("SLUICE_DIR"));
        tmp_dir = strdup(getenv("TMPDIR"));
        /* What is emptied is what was made for this. */
        check(strncmp(queues_dir, private, strlen(private)) == 0);
        check(strncmp(tmp_dir, private, strlen(private)) == 0);
        alone = getenv("RUNTEST_ALONE") != NULL;
        umask(022);
        alarm(60);
        clean();
        at_begin = world_now();
}

void world_end(void)
{
        same_world(&at_begin);
}

bool has_own_namespace(void)
{
        if (alone)
                return true;
        if (unshare(CLONE_NEWIPC) != 0)
                return false;
        alone = true;
        at_begin = world_now();
        return true;
}

/* The limits belong to the namespace, and the system's are not ours. */
bool has_own_limits(void)
{
        const int fd =
                has_own_namespace() ? open("/proc/sys/kernel/shmmni", O_WRONLY | O_CLOEXEC) : -1;

        if (fd >= 0)
                close(fd);
        return fd >= 0;
}

static const char *join_path(const char *dir, const char *name)
{
        static char paths[8][4096];
        static unsigned next;
        char *path = paths[next++ % 8];

        snprintf(path, sizeof paths[0], "%s/%s", dir, name);
        return path;
}

const char *in_queues(const char *name)
{
        return join_path(queues_dir, name);
}

const char *in_tmp(const char *name)
{
        return join_path(tmp_dir, name);
}

void open_tmp_to_all(void)
{
        eq(chmod(tmp_dir, 0777), 0);
}

bool exists(const char *path)
{
        struct stat st;

        return lstat(path, &st) == 0;
}

mode_t mode_of(const char *path)
{
        struct stat st;

        if (lstat(path, &st) != 0)
                util_fail(__FILE__, __LINE__, "not there: %s", path);
        return st.st_mode & 07777;
}

bool proc_write(const char *path, const char *text)
{
        const int fd = open(path, O_WRONLY | O_CLOEXEC);
        bool done;

        if (fd < 0)
                return false;
        done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
        close(fd);
        return done;
}

/* ---- By hand: what tools/runtest does else ------------------------ */

static int by_hand = -1; /* a pipe whose end says that this process has ended */
static pid_t cleaner;

static int remove_all(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
        (void)st, (void)kind, (void)ftw;
        return remove(path);
}

/* Waits until the process that runs the tests has ended, however. */
_Noreturn static void clean_by_hand(int fd, const char *dir)
{
        char byte, socket[64];

        snprintf(socket, sizeof socket, "/tmp/criterion_%ld.sock", (long)getppid());
        setsid();
        while (read(fd, &byte, 1) < 0 && errno == EINTR)
                continue;
        ipc_record_remove();
        unlink(socket);
        _exit(nftw(dir, remove_all, 16, FTW_PHYS | FTW_DEPTH) != 0);
}

static void set_below(const char *variable, const char *dir, const char *name)
{
        char path[256];

        snprintf(path, sizeof path, "%s/%s", dir, name);
        setenv(variable, path, 1);
}

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
        static char dir[] = "/tmp/sluice-by-hand.XXXXXX";
        int ends[2];

        (void)tests;
        criterion_options.jobs = 1; /* they share the directories, and measure time */
        if (getenv("RUNTEST_PRIVATE"))
                return;
        unsetenv("RUNTEST_ALONE");
        if (pipe2(ends, O_CLOEXEC) != 0 || !mkdtemp(dir) || chmod(dir, 0711) != 0)
                abort();
        set_below("SLUICE_DIR", dir, "queues");
        set_below("TMPDIR", dir, "tmp");
        set_below("RUNTEST_MADE", dir, "made");
        setenv("RUNTEST_PRIVATE", dir, 1);
        if (mkdir(getenv("SLUICE_DIR"), 0700) != 0 || mkdir(getenv("TMPDIR"), 0700) != 0 ||
            !ipc_record_open(getenv("RUNTEST_MADE")) || (cleaner = fork()) < 0)
                abort();
        if (cleaner == 0) {
                close(ends[1]);
                clean_by_hand(ends[0], dir);
        }
        close(ends[0]);
        by_hand = ends[1];
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
        (void)stats;
        if (by_hand < 0)
                return;
        close(by_hand);
        waitpid(cleaner, NULL, 0);
}

/* ---- Queues ------------------------------------------------------- */

struct sluice_options opt(size_t capacity)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;

        o.capacity = capacity;
        return o;
}

struct sluice_options opt_wake(int wake)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;

        o.wake = wake;
        return o;
}

void make(const char *name, size_t capacity)
{
        const struct sluice_options o = opt(capacity);

        call(sluice_create(name, &o), 0);
}

static long faults_now(void)
{
        struct rusage use;

        eq(getrusage(RUSAGE_SELF, &use), 0);
        return use.ru_minflt;
}

static long lap_faults(struct sluice_producer *p, struct sluice_consumer *c, size_t capacity)
{
        const long before = faults_now();

        for (size_t i = 0; i < capacity / SLUICE_RECORD_ALIGN_DEFAULT; i++) {
                eq(send_number(p, i, SLUICE_NOW), 0);
                eq(recv_number(c, SLUICE_NOW), i);
        }
        return faults_now() - before;
}

long first_lap_faults(const struct sluice_options *o)
{
        long fewest = LONG_MAX;

        for (int tries = 0; tries < 5; tries++) {
                struct sluice_producer p;
                struct sluice_consumer c;
                long n;

                call(sluice_create("lap", o), 0);
                call(sluice_producer_open(&p, "lap", o), 0);
                call(sluice_consumer_open(&c, "lap", o), 0);
                n = lap_faults(&p, &c, (size_t)look("lap").capacity);
                fewest = n < fewest ? n : fewest;
                call(sluice_producer_close(&p), 0);
                call(sluice_consumer_close(&c), 0);
                call(sluice_remove("lap"), 0);
        }
        return fewest;
}

void poke(key_t key, size_t offset, const void *bytes, size_t n)
{
        const int id = shmget(key, 0, 0);
        unsigned char *mem = shmat(id, NULL, 0);

        check(id >= 0 && mem != (void *)-1);
        memcpy(mem + offset, bytes, n);
        shmdt(mem);
}

struct sluice_queue_stat look(const char *name)
{
        struct sluice_queue_stat st;

        call(sluice_stat(name, &st), 0);
        return st;
}

key_t key_of(const char *name)
{
        return look(name).key;
}

int attached_to(const char *name)
{
        struct shmid_ds ds;

        eq(shmctl(look(name).shmid, IPC_STAT, &ds), 0);
        return (int)ds.shm_nattch;
}

int send_number(struct sluice_producer *p, uint64_t number, sluice_deadline until)
{
        return sluice_send(p, &number, sizeof number, until);
}

int64_t recv_number(struct sluice_consumer *c, sluice_deadline until)
{
        uint64_t number;
        const ssize_t n = sluice_recv(c, &number, sizeof number, until);

        if (n < 0)
                return n;
        eq(n, sizeof number);
        return (int64_t)number;
}

uint64_t fill_numbers(struct sluice_producer *p, uint64_t first)
{
        int r;

        while ((r = send_number(p, first, SLUICE_NOW)) == 0)
                first++;
        eq(r, -EAGAIN);
        return first;
}

void until_asleep(const char *name, int role)
{
        struct sluice_queue_stat st;

        until((st = look(name), role == PRODUCER ? st.producer.asleep : st.consumer.asleep));
}

void until_held(const char *name, int role, int held)
{
        struct sluice_queue_stat st;

        until((st = look(name), (role == PRODUCER ? st.producer.held : st.consumer.held) == held));
}

/* ---- Processes and events ----------------------------------------- */

static pid_t spawn_child(uid_t uid, gid_t gid, util_body *body, void *ctx)
{
        const pid_t pid = fork();

        check(pid >= 0);
        if (pid == 0) {
                alarm(60);
                if (uid && (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 ||
                            setresuid(uid, uid, uid) != 0))
                        _exit(98);
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(body(ctx));
        }
        return pid;
}

pid_t spawn(util_body *body, void *ctx)
{
        return spawn_child(0, 0, body, ctx);
}

pid_t spawn_as(uid_t uid, gid_t gid, util_body *body, void *ctx)
{
        return spawn_child(uid, gid, body, ctx);
}

int reap(pid_t pid)
{
        int status;

        while (waitpid(pid, &status, 0) != pid)
                check(errno == EINTR);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void kill_and_reap(pid_t pid)
{
        eq(kill(pid, SIGKILL), 0);
        eq(reap(pid), -SIGKILL);
}

struct event event_new(void)
{
        struct event e;

        eq(pipe2(e.fd, O_CLOEXEC), 0);
        return e;
}

void event_free(struct event *e)
{
        close(e->fd[0]);
        close(e->fd[1]);
}

void signal_event(const struct event *e)
{
        eq(write(e->fd[1], "", 1), 1);
}

void await_event(const struct event *e)
{
        char byte;

        check(poll_fd(e->fd[0], POLLIN, 10000) & POLLIN);
        eq(read(e->fd[0], &byte, 1), 1);
}

pthread_t thread_start(void *(*body)(void *), void *ctx)
{
        pthread_t t;

        eq(pthread_create(&t, NULL, body, ctx), 0);
        return t;
}

void thread_join(pthread_t t)
{
        eq(pthread_join(t, NULL), 0);
}

int64_t cpu_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int poll_fd(int fd, int events, int ms)
{
        struct pollfd p = {fd, (short)events, 0};
        int n;

        do
                n = poll(&p, 1, ms);
        while (n < 0 && errno == EINTR);
        check(n >= 0);
        return n == 0 ? 0 : p.revents;
}

int bytes_in(int fd)
{
        int n;

        eq(ioctl(fd, FIONREAD, &n), 0);
        return n;
}

void pause_ms(int ms)
{
        const struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

        nanosleep(&t, NULL);
}

void works_and_goes(const char *name)
{
        struct sluice_producer p;
        struct sluice_consumer c;

        call(sluice_producer_open(&p, name, NULL), 0);
        call(sluice_consumer_open(&c, name, NULL), 0);
        call(send_number(&p, 7, SLUICE_NOW), 0);
        call(recv_number(&c, SLUICE_NOW), 7);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove(name), 0);
}
