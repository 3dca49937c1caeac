/* SPDX-License-Identifier: MIT */
/*
 * Parks: a message is sent to and fro between two endpoints that never
 * spin, so that each step is a sleep in the kernel and a wake-up. A step
 * that takes longer than a second is a lost wake-up: the slices are made
 * so long that they cannot hide one. Every combination of endpoints that
 * can and cannot call membarrier(2), which a real filter forbids, and of
 * futex and FIFO.
 *
 * Then, in counted system calls: a sleeper that was killed costs its
 * peer one wake-up, not one for each message; a full ring that is
 * drained in small messages costs one for each quarter of the ring; a
 * call that finds what it wants makes none and reads no clock; and
 * SLUICE_NOW never sleeps.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "traffic.h"

#define PING        "park-ping"
#define PONG        "park-pong"
#define TRIPWIRE_NS INT64_C(1000000000)

/* ---- System calls, counted at link time --------------------------- */

static unsigned long futex_wakes, pipe_writes, sleeps, calls, clocks;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
ssize_t __real_write(int fd, const void *buf, size_t n);
ssize_t __wrap_write(int fd, const void *buf, size_t n);
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __real_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
                 const sigset_t *mask);
int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
                 const sigset_t *mask);

long __wrap_syscall(long number, ...)
{
        long a[6];
        va_list args;

        va_start(args, number);
        for (int i = 0; i < 6; i++)
                a[i] = va_arg(args, long);
        va_end(args);
        calls++;
        if (number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAKE)
                futex_wakes++;
        else if (number != SYS_membarrier)
                sleeps++;
        return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

ssize_t __wrap_write(int fd, const void *buf, size_t n)
{
        calls++;
        pipe_writes++;
        return __real_write(fd, buf, n);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
        clocks++;
        return __real_clock_gettime(clock, now);
}

int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
        calls++;
        sleeps++;
        return __real_ppoll(fds, n, timeout, mask);
}

/* ---- Endpoints ---------------------------------------------------- */

/* From now on this process cannot call membarrier. */
static int forbid_membarrier(void)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        int r = filter ? 0 : -ENOMEM;

        if (r == 0)
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(membarrier), 0);
        if (r == 0)
                r = seccomp_load(filter);
        if (filter)
                seccomp_release(filter);
        if (r == 0 && (syscall(SYS_membarrier, 0, 0) != -1 || errno != EPERM))
                r = -EINVAL; /* the filter does not work: the test would mean nothing */
        return r;
}

static struct sluice_options options(int wake)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;

        o.capacity = 4096;
        o.wake = wake;
        o.spin_ns = SLUICE_SPIN_NONE;
        o.slice_ns = INT64_C(10000000000);
        return o;
}

struct side {
        int wake;
        int no_membarrier;
};

/* One side of the game: receives `n` and sends `n`. */
static int play(struct side side, const char *in, const char *out, bool serves, uint64_t n)
{
        const struct sluice_options o = options(side.wake);
        struct sluice_producer p;
        struct sluice_consumer c;
        uint64_t value = 0;
        int r = side.no_membarrier ? forbid_membarrier() : 0;

        if (r == 0)
                r = sluice_producer_open(&p, out, &o);
        if (r == 0)
                r = sluice_consumer_open(&c, in, &o);
        for (uint64_t i = 1; r == 0 && i <= n; i++) {
                ssize_t got;

                if (serves)
                        r = sluice_send(&p, &i, sizeof i, SLUICE_NOW);
                if (r)
                        break;
                got = sluice_recv(&c, &value, sizeof value, sluice_after(TRIPWIRE_NS));
                if (got != sizeof value || value != i) {
                        fprintf(stderr, "step %llu: %s\n", (unsigned long long)i,
                                got < 0 ? sluice_strerror(got) : "wrong value");
                        r = -ETIMEDOUT;
                }
                if (r == 0 && !serves)
                        r = sluice_send(&p, &i, sizeof i, SLUICE_NOW);
        }
        if (r) {
                fprintf(stderr, "%s: %s\n", serves ? "server" : "other", sluice_strerror(r));
                return 1;
        }
        sluice_producer_close(&p);
        sluice_consumer_close(&c);
        return 0;
}

static const char *kind(struct side s)
{
        static const char *const names[] = {"futex", "futex, no membarrier", "fifo",
                                            "fifo, no membarrier"};

        return names[2 * s.wake + s.no_membarrier];
}

static int game(struct side a, struct side b, uint64_t parks)
{
        const struct sluice_options o = options(0);
        struct sluice_queue_stat ping = {0}, pong = {0};
        const int64_t begin = sluice_now_ns();
        pid_t pids[2];
        int failed = sluice_create(PING, &o) != 0 || sluice_create(PONG, &o) != 0;

        for (int i = 0; !failed && i < 2; i++) {
                pids[i] = fork();
                if (pids[i] == 0)
                        _exit(i == 0 ? play(a, PONG, PING, true, parks / 2)
                                     : play(b, PING, PONG, false, parks / 2));
        }
        for (int i = 0; !failed && i < 2; i++) {
                int status;

                if (waitpid(pids[i], &status, 0) != pids[i] || status != 0) {
                        failed = 1;
                        kill(pids[!i], SIGKILL);
                }
        }
        failed |= sluice_stat(PING, &ping) != 0 || sluice_stat(PONG, &pong) != 0;
        sluice_remove(PING);
        sluice_remove(PONG);
        printf("%-22s with %-22s %9llu parks %6.1f s  %s\n", kind(a), kind(b),
               (unsigned long long)(ping.consumer.parks + pong.consumer.parks),
               (double)(sluice_now_ns() - begin) / 1e9, failed ? "FAILED" : "ok");
        fflush(stdout);
        return failed;
}

/* ---- What a wake-up costs ----------------------------------------- */

static int sleep_for_ever(int wake)
{
        const struct sluice_options o = options(wake);
        struct sluice_consumer c;
        struct sluice_message m;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (sluice_consumer_open(&c, PING, &o) != 0)
                return 1;
        return sluice_peek(&c, &m, SLUICE_FOREVER) != 0;
}

static int until_asleep(bool consumer)
{
        const sluice_deadline end = sluice_after(INT64_C(5000000000));
        struct sluice_queue_stat st;

        do {
                if (sluice_stat(PING, &st) != 0)
                        return 1;
        } while (!(consumer ? st.consumer.asleep : st.producer.asleep) && sluice_now_ns() < end);
        return !(consumer ? st.consumer.asleep : st.producer.asleep);
}

static int killed_sleeper(int wake, uint64_t messages)
{
        struct sluice_options o = options(wake);
        struct sluice_producer p;
        unsigned long cost;
        pid_t child;
        int failed;

        o.capacity = 1 << 20;
        failed = sluice_create(PING, &o) != 0 || sluice_producer_open(&p, PING, &o) != 0;
        child = fork();
        if (child == 0)
                _exit(sleep_for_ever(wake));
        failed |= until_asleep(true);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        futex_wakes = pipe_writes = 0;
        for (uint64_t i = 0; !failed && i < messages; i++)
                failed = sluice_send(&p, &i, sizeof i, SLUICE_NOW) != 0;
        cost = futex_wakes + pipe_writes;
        failed |= cost != 1;
        printf("a killed %s sleeper costs %lu system calls in %llu messages  %s\n",
               wake ? "fifo" : "futex", cost, (unsigned long long)messages,
               failed ? "FAILED" : "ok");
        sluice_producer_close(&p);
        sluice_remove(PING);
        return failed;
}

static int fill_for_ever(int wake)
{
        const struct sluice_options o = options(wake);
        struct sluice_producer p;
        int r;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (sluice_producer_open(&p, PING, &o) != 0)
                return 1;
        do
                r = sluice_send(&p, "8 bytes", 8, SLUICE_FOREVER);
        while (r == 0);
        return 1;
}

/* A consumer that is slower than the producer needs to fill up again. */
static int full_ring(int wake)
{
        struct sluice_options o = options(wake);
        const uint64_t laps = 16, messages = laps * ((1 << 16) / 64);
        struct sluice_consumer c;
        unsigned long cost;
        pid_t child;
        char buf[8];
        int failed;

        o.capacity = 1 << 16;
        failed = sluice_create(PING, &o) != 0 || sluice_consumer_open(&c, PING, &o) != 0;
        child = fork();
        if (child == 0)
                _exit(fill_for_ever(wake));
        failed |= until_asleep(false);
        futex_wakes = pipe_writes = 0;
        for (uint64_t i = 0; !failed && i < messages; i++) {
                failed = sluice_recv(&c, buf, sizeof buf, sluice_after(TRIPWIRE_NS)) != 8;
                if (i % 256 == 0)
                        failed |=
                                until_asleep(false); /* it has filled up again, or had no need to */
        }
        cost = futex_wakes + pipe_writes;
        failed |= cost == 0 || cost > messages / 64;
        printf("a full ring that drains slowly (%s) costs %lu system calls in %llu messages  %s\n",
               wake ? "fifo" : "futex", cost, (unsigned long long)messages,
               failed ? "FAILED" : "ok");
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        sluice_consumer_close(&c);
        sluice_remove(PING);
        return failed;
}

/* Both ends in one process: first what is there, then what is not. */
static int no_call_at_all(int wake)
{
        const struct sluice_options o = options(wake);
        const sluice_deadline deadline = sluice_after(INT64_C(60000000000));
        struct sluice_producer p;
        struct sluice_consumer c;
        unsigned long satisfied;
        char buf[8];
        int failed = sluice_create(PING, &o) != 0 || sluice_producer_open(&p, PING, &o) != 0 ||
                     sluice_consumer_open(&c, PING, &o) != 0;

        failed |= clocks == 0; /* sluice_after read it: we do count */
        calls = clocks = 0;
        for (int i = 0; !failed && i < 10000; i++) {
                const sluice_deadline until = i % 2 ? SLUICE_FOREVER : deadline;

                failed = sluice_send(&p, "8 bytes", 8, until) != 0 ||
                         sluice_recv(&c, buf, sizeof buf, until) != 8;
        }
        satisfied = calls + clocks;
        sleeps = 0;
        for (int i = 0; !failed && i < 10000; i++)
                failed = sluice_recv(&c, buf, sizeof buf, SLUICE_NOW) != -EAGAIN;
        while (!failed && sluice_send(&p, "8 bytes", 8, SLUICE_NOW) == 0)
                continue;
        for (int i = 0; !failed && i < 1000; i++)
                failed = sluice_send(&p, "8 bytes", 8, SLUICE_NOW) != -EAGAIN;
        failed |= satisfied != 0 || sleeps != 0;
        printf("satisfied calls (%s): %lu system calls and looks at the clock; SLUICE_NOW: %lu "
               "sleeps  %s\n",
               wake ? "fifo" : "futex", satisfied, sleeps, failed ? "FAILED" : "ok");
        sluice_producer_close(&p);
        sluice_consumer_close(&c);
        sluice_remove(PING);
        return failed;
}

int main(int argc, char **argv)
{
        /* 10^6 in all. An argument of L: 10^8. */
        const uint64_t parks = traffic_scale(argc > 1 && *argv[1] == 'L' ? 15000000 : 150000);
        int failed = 0, n = 0;

        for (int i = 0; i < 16; i++) {
                const struct side a = {i >> 1 & 1, i & 1}, b = {i >> 3 & 1, i >> 2 & 1};

                if (2 * a.wake + a.no_membarrier > 2 * b.wake + b.no_membarrier)
                        continue; /* the same as the other way round */
                failed += game(a, b, parks);
                n++;
        }
        for (int wake = 0; wake < 2; wake++) {
                failed += killed_sleeper(wake, 10000);
                failed += full_ring(wake);
                failed += no_call_at_all(wake);
                n += 3;
        }
        printf("%d passed, %d failed\n", n - failed, failed);
        return failed != 0;
}
