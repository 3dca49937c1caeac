/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "queue_util.h"

#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "census.h"

static pid_t test_pid;
static struct world at_begin;
static const char *queues_dir, *tmp_dir; /* whatever the environment says later */

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

/* What a test that failed has left: only where nobody else can be. */
static void clean(void)
{
        struct shmid_ds ds;
        struct semid_ds sds;
        union {
                int val;
                struct semid_ds *buf;
        } arg = {.buf = &sds};
        int id;

        if (!strstr(queues_dir, "/sluice-test.") || !strstr(tmp_dir, "/sluice-test."))
                return;
        nftw(queues_dir, remove_entry, 16, FTW_PHYS | FTW_DEPTH);
        nftw(tmp_dir, remove_entry, 16, FTW_PHYS | FTW_DEPTH);
        if (!getenv("RUNTEST_LEFT"))
                return;
        for (int i = 0; i < 4096; i++) {
                if ((id = shmctl(i, SHM_STAT, &ds)) >= 0)
                        shmctl(id, IPC_RMID, NULL);
                if ((id = semctl(i, 0, SEM_STAT, arg)) >= 0)
                        semctl(id, 0, IPC_RMID);
        }
}

void world_begin(void)
{
        static char dir[] = "/tmp/sluice-by-hand.XXXXXX";

        test_pid = getpid();
        if (!getenv("SLUICE_DIR")) {
                check(mkdtemp(dir));
                setenv("SLUICE_DIR", dir, 1);
        }
        if (!getenv("TMPDIR"))
                setenv("TMPDIR", getenv("SLUICE_DIR"), 1);
        queues_dir = strdup(getenv("SLUICE_DIR"));
        tmp_dir = strdup(getenv("TMPDIR"));
        umask(022);
        alarm(60);
        clean();
        at_begin = world_now();
}

void world_end(void)
{
        same_world(&at_begin);
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
        eq(chmod(in_tmp(".."), 0711), 0);
        eq(chmod(in_tmp("."), 0777), 0);
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
