/* SPDX-License-Identifier: MIT */
#ifndef TEST_QUEUE_UTIL_H
#define TEST_QUEUE_UTIL_H
/*
 * For tests of named queues: what the system holds before and after,
 * children, other users, threads, events between them. Every wait ends
 * with a failure after ten seconds.
 *
 * Checks may stand in the test, in a child that it forks and in a
 * thread: a failure in a child ends that with status 99.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "sluice.h"

#include <criterion/criterion.h>

/* A test with a clean system before it; leaving anything behind fails.
 * Its directories are tools/runtest's; by hand, new ones in /tmp that are gone
 * when the program ends, whatever SLUICE_DIR and TMPDIR said. */
#define QTest(suite, name)                       \
        static void suite##_##name##_body(void); \
        Test(suite, name)                        \
        {                                        \
                world_begin();                   \
                suite##_##name##_body();         \
                world_end();                     \
        }                                        \
        static void suite##_##name##_body(void)

/* Ends a test that cannot be made here; it is not counted as passed. */
#define skip_unless(condition, why)                    \
        do {                                           \
                if (!(condition))                      \
                        cr_skip_test("needs %s", why); \
        } while (0)
#define needs_root() skip_unless(geteuid() == 0, "root")
/* Where sluice_list finds the queues of the test, and no others. */
#define needs_own_namespace() skip_unless(has_own_namespace(), "an IPC namespace of its own")
bool has_own_namespace(void);
/* The kernel's limits of System V objects, to be changed by proc_write. */
#define needs_own_limits() skip_unless(has_own_limits(), "the right to change limits of its own")
bool has_own_limits(void);
enum { CANNOT = 97 }; /* of a child: cannot be arranged here */

/* ---- Checks ------------------------------------------------------- */

_Noreturn void util_fail(const char *file, int line, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
_Noreturn void util_differs(const char *file, int line, const char *what, long long actual,
                            long long expected);

static inline void util_eq(const char *file, int line, const char *what, long long actual,
                           long long expected)
{
        if (actual != expected)
                util_differs(file, line, what, actual, expected);
}

#define check(condition)                                                         \
        do {                                                                     \
                if (!(condition))                                                \
                        util_fail(__FILE__, __LINE__, "not so: %s", #condition); \
        } while (0)

#define eq(actual, expected) \
        util_eq(__FILE__, __LINE__, #actual, (long long)(actual), (long long)(expected))

/* A call of the library: what it returns, and errno as it was. */
#define ERRNO_MARK 4321
#define call(expression, expected)                                                               \
        do {                                                                                     \
                errno = ERRNO_MARK;                                                              \
                const long long util_got = (long long)(expression);                              \
                if (errno != ERRNO_MARK)                                                         \
                        util_fail(__FILE__, __LINE__, "%s set errno to %d", #expression, errno); \
                util_eq(__FILE__, __LINE__, #expression, util_got, (long long)(expected));       \
        } while (0)

/* ---- What there is ------------------------------------------------ */

struct world {
        int segments, sets; /* of this IPC namespace, or of this program */
        int fds, mappings;  /* of this process */
        int entries;        /* below SLUICE_DIR and TMPDIR */
};

void world_begin(void);
void world_end(void);
struct world world_now(void);
void util_world_same(const char *file, int line, const struct world *before);
/* Nothing was added and nothing was removed. */
#define same_world(before) util_world_same(__FILE__, __LINE__, before)

/* A call that fails with this error and leaves nothing behind. */
#define refused(expression, error)                            \
        do {                                                  \
                const struct world util_before = world_now(); \
                call(expression, error);                      \
                same_world(&util_before);                     \
        } while (0)

/* SLUICE_DIR or TMPDIR and a name; up to 8 results live at once. */
const char *in_queues(const char *name);
const char *in_tmp(const char *name);
/* Other users reach in_tmp() from now on, and may write there. */
void open_tmp_to_all(void);
bool exists(const char *path);
mode_t mode_of(const char *path);
/* Processes that map a queue. */
int attached_to(const char *name);
/* Writes to a file of /proc; false: not allowed. */
bool proc_write(const char *path, const char *text);

/* ---- Queues ------------------------------------------------------- */

struct sluice_options opt(size_t capacity);
struct sluice_options opt_wake(int wake);
/* Makes a queue; 0: the default capacity. */
void make(const char *name, size_t capacity);
/* Stores n bytes somewhere in the segment of a queue or a key. */
void poke(key_t key, size_t offset, const void *bytes, size_t n);
/* The key of a queue. */
key_t key_of(const char *name);
struct sluice_queue_stat look(const char *name);

/* A message of 8 bytes: a number. */
int send_number(struct sluice_producer *p, uint64_t number, sluice_deadline until);
/* The number, or a negative error; a message of another length fails. */
int64_t recv_number(struct sluice_consumer *c, sluice_deadline until);
/* Fills a queue with numbers from `first` on; the first that did not fit. */
uint64_t fill_numbers(struct sluice_producer *p, uint64_t first);

/* Page faults of the first lap through a new queue, made and opened with
 * these options: the fewest of some, as the kernel may take a page away. */
long first_lap_faults(const struct sluice_options *o);

static inline sluice_deadline soon(void)
{
        return sluice_after(INT64_C(10000000000)); /* never in a test that passes */
}

#define MS(n) ((int64_t)(n)*1000000)

/* Waits until that endpoint says that it sleeps. */
void until_asleep(const char *name, int role);
enum { PRODUCER, CONSUMER };
/* Waits until the role is held, or free. */
void until_held(const char *name, int role, int held);

/* ---- Processes and events ----------------------------------------- */

typedef int util_body(void *ctx); /* the exit status of the child */

pid_t spawn(util_body *body, void *ctx);
/* As another user, in no groups but gid. For root only. */
pid_t spawn_as(uid_t uid, gid_t gid, util_body *body, void *ctx);
/* The exit status, or the negative signal. */
int reap(pid_t pid);
void kill_and_reap(pid_t pid);
#define run(body, ctx)              eq(reap(spawn(body, ctx)), 0)
#define run_as(uid, gid, body, ctx) eq(reap(spawn_as(uid, gid, body, ctx)), 0)

enum { USER_A = 64123, USER_B = 64124, GROUP_AB = 64125, NO_GROUP = 64126 };

/* One byte from here to there, across fork(). */
struct event {
        int fd[2];
};
struct event event_new(void);
void event_free(struct event *e);
void signal_event(const struct event *e);
void await_event(const struct event *e);

pthread_t thread_start(void *(*body)(void *), void *ctx);
void thread_join(pthread_t t);

int64_t cpu_ns(void); /* of this thread */
/* poll(2) of one descriptor: revents, 0 at the time-out. */
int poll_fd(int fd, int events, int ms);
/* Bytes in a pipe. */
int bytes_in(int fd);
/* Until something holds; fails after ten seconds. */
#define until(condition)                                                        \
        for (int64_t util_end = sluice_now_ns() + MS(10000); !(condition);) {   \
                if (sluice_now_ns() > util_end)                                 \
                        util_fail(__FILE__, __LINE__, "never: %s", #condition); \
                pause_ms(1);                                                    \
        }
void pause_ms(int ms);

/* The queue is in order: a message goes through it, and it can be removed. */
void works_and_goes(const char *name);

#endif
