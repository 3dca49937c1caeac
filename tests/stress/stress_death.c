/* SPDX-License-Identifier: MIT */
/*
 * A thousand deaths: one side is killed while the other sleeps by futex
 * or by FIFO, waits for room, spins or polls. The dead one stays a
 * zombie, or has a living child, or its process id is given to another process.
 * Every death has to be reported, in time; a stop and a close must not
 * be taken for one. The time to learn of it through the FIFO stands
 * beside a bare wait for a pidfd.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "traffic.h"

#define NAME     "death"
#define SLICE_NS INT64_C(20000000)

struct mode {
        const char *name;
        bool survivor_produces; /* and waits for room; else it waits for data */
        int wake;
        int64_t spin_ns;
        bool polls;    /* with SLUICE_NOW instead of waiting */
        bool by_child; /* the dead one has a living child */
};

static const struct mode modes[] = {
        {"sleeps, futex", false, 0, SLUICE_SPIN_NONE, false, false},
        {"sleeps, fifo", false, 1, SLUICE_SPIN_NONE, false, false},
        {"sleeps, futex, child of the dead lives", false, 0, SLUICE_SPIN_NONE, false, true},
        {"sleeps, fifo, child of the dead lives", false, 1, SLUICE_SPIN_NONE, false, true},
        {"waits for room, futex", true, 0, SLUICE_SPIN_NONE, false, false},
        {"waits for room, fifo", true, 1, SLUICE_SPIN_NONE, false, true},
        {"spins", false, 0, SLUICE_SPIN_FOREVER, false, false},
        {"polls for data", false, 0, 0, true, false},
        {"polls for room", true, 0, 0, true, true},
};

struct victim {
        pid_t pid, child;
};

struct survivor {
        struct sluice_producer p;
        struct sluice_consumer c;
};

/* ---- The one that dies -------------------------------------------- */

static void live(const struct mode *m, int ready)
{
        struct sluice_producer p;
        struct sluice_consumer c;
        struct victim me = {getpid(), 0};
        int r = m->survivor_produces ? sluice_consumer_open(&c, NAME, NULL)
                                     : sluice_producer_open(&p, NAME, NULL);

        if (r == 0 && m->by_child) {
                me.child = fork();
                if (me.child == 0)
                        for (;;)
                                pause();
        }
        if (r == 0 && write(ready, &me, sizeof me) == sizeof me)
                for (;;)
                        pause();
        _exit(1);
}

static int start(const struct mode *m, struct victim *v)
{
        int ready[2];
        ssize_t n;

        if (pipe(ready) != 0)
                return 1;
        v->pid = fork();
        if (v->pid == 0)
                live(m, ready[1]);
        close(ready[1]);
        n = read(ready[0], v, sizeof *v);
        close(ready[0]);
        return n != sizeof *v;
}

static void bury(const struct victim *v)
{
        waitpid(v->pid, NULL, 0);
        if (v->child) {
                kill(v->child, SIGKILL);
                waitpid(v->child, NULL, 0); /* fails unless we inherited it */
        }
}

/* ---- The one that kills ------------------------------------------- */

struct killer {
        const struct mode *mode;
        pid_t pid;
        int64_t killed_ns;
};

static void *do_kill(void *arg)
{
        struct killer *k = arg;
        const struct timespec moment = {0, 500000};
        struct sluice_queue_stat st;
        bool asleep = k->mode->polls || k->mode->spin_ns == SLUICE_SPIN_FOREVER;

        nanosleep(&moment, NULL);
        while (!asleep && sluice_stat(NAME, &st) == 0)
                asleep = k->mode->survivor_produces ? st.producer.asleep : st.consumer.asleep;
        k->killed_ns = sluice_now_ns();
        kill(k->pid, SIGKILL);
        return NULL;
}

/* ---- The one that survives ---------------------------------------- */

/* What the survivor gets in the end: blocked, or polling. */
static int final_result(const struct mode *m, struct survivor *s)
{
        const sluice_deadline end = sluice_after(INT64_C(5000000000));
        struct sluice_message message;
        int r;

        do {
                const sluice_deadline until = m->polls ? SLUICE_NOW : end;

                r = m->survivor_produces ? sluice_send(&s->p, "x", 1, until)
                                         : sluice_peek(&s->c, &message, until);
        } while ((r == 0 || r == -EAGAIN) && sluice_now_ns() < end);
        return r;
}

static int survivor_open(const struct mode *m, struct survivor *s)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;

        o.capacity = 4096;
        o.wake = m->wake;
        o.spin_ns = m->spin_ns;
        o.slice_ns = SLICE_NS;
        o.flags = SLUICE_CREATE;
        return m->survivor_produces ? sluice_producer_open(&s->p, NAME, &o)
                                    : sluice_consumer_open(&s->c, NAME, &o);
}

static void survivor_close(const struct mode *m, struct survivor *s)
{
        if (m->survivor_produces)
                sluice_producer_close(&s->p);
        else
                sluice_consumer_close(&s->c);
        sluice_remove(NAME);
}

static int by_time(const void *a, const void *b)
{
        const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

        return (x > y) - (x < y);
}

static int64_t median(int64_t *ns, size_t n)
{
        qsort(ns, n, sizeof *ns, by_time);
        return ns[n / 2];
}

static int deaths(const struct mode *m, size_t n)
{
        int64_t *ns = calloc(n, sizeof *ns);
        struct survivor s;
        int failed = !ns || survivor_open(m, &s) != 0;
        int64_t middle;

        for (uint64_t i = 0; !failed && i < n; i++) {
                struct killer killer = {m, 0, 0};
                struct victim v;
                pthread_t thread;
                int r;

                if (start(m, &v) != 0)
                        return 1;
                killer.pid = v.pid;
                pthread_create(&thread, NULL, do_kill, &killer);
                r = final_result(m, &s);
                ns[i] = sluice_now_ns();
                pthread_join(thread, NULL);
                ns[i] -= killer.killed_ns;
                if (r != -EOWNERDEAD || ns[i] < 0) {
                        fprintf(stderr, "death %llu: %s\n", (unsigned long long)i,
                                sluice_strerror(r));
                        failed = 1;
                }
                bury(&v);
        }
        middle = failed ? 0 : median(ns, n);
        printf("%-42s %4llu deaths, reported after %8.1f us (median), %8.1f us (most)  %s\n",
               m->name, (unsigned long long)n, (double)middle / 1e3,
               failed ? 0.0 : (double)ns[n - 1] / 1e3, failed ? "FAILED" : "ok");
        fflush(stdout);
        survivor_close(m, &s);
        free(ns);
        return failed;
}

/* ---- What is no death --------------------------------------------- */

static int stopped(const struct mode *m)
{
        struct sluice_message message;
        struct survivor s;
        struct victim v;
        int failed = survivor_open(m, &s) != 0 || start(m, &v) != 0;
        int r;

        if (failed)
                return 1;
        kill(v.pid, SIGSTOP);
        waitpid(v.pid, NULL, WUNTRACED);
        do
                r = m->survivor_produces ? sluice_send(&s.p, "x", 1, sluice_after(10 * SLICE_NS))
                                         : sluice_peek(&s.c, &message, sluice_after(10 * SLICE_NS));
        while (r == 0);
        failed = r != -ETIMEDOUT;
        printf("%-42s stopped, not dead: %s  %s\n", m->name, sluice_strerror(r),
               failed ? "FAILED" : "ok");
        kill(v.pid, SIGKILL);
        bury(&v);
        survivor_close(m, &s);
        return failed;
}

/* The next child gets this process id: in a namespace made for the test. */
static int reuse(pid_t pid)
{
        const char *alone = getenv("RUNTEST_ALONE");
        const int fd = alone && strstr(alone, "pid")
                               ? open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC)
                               : -1;
        char text[16];
        ssize_t n = -1;

        snprintf(text, sizeof text, "%d", (int)pid - 1);
        if (fd >= 0) {
                n = write(fd, text, strlen(text));
                close(fd);
        }
        return n < 0 ? -1 : 0;
}

/* The process id of the dead endpoint is in use again. -1: cannot be
 * arranged here (needs the right to choose process ids). */
static int reused(const struct mode *m)
{
        struct survivor s;
        struct victim v;
        pid_t stranger;
        int r;

        if (survivor_open(m, &s) != 0 || start(m, &v) != 0)
                return 1;
        kill(v.pid, SIGKILL);
        bury(&v);
        if (reuse(v.pid) != 0) {
                survivor_close(m, &s);
                return -1;
        }
        stranger = fork();
        if (stranger == 0)
                for (;;)
                        pause();
        r = stranger == v.pid ? final_result(m, &s) : 0;
        kill(stranger, SIGKILL);
        waitpid(stranger, NULL, 0);
        survivor_close(m, &s);
        if (stranger != v.pid)
                return -1;
        printf("%-42s id reused: %s  %s\n", m->name, sluice_strerror(r),
               r != -EOWNERDEAD ? "FAILED" : "ok");
        return r != -EOWNERDEAD;
}

static void pidfd_beside(size_t n)
{
        const struct timespec moment = {0, 500000};
        int64_t *killed = mmap(NULL, sizeof *killed, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        int64_t *ns = calloc(n, sizeof *ns);

        for (uint64_t i = 0; ns && killed != MAP_FAILED && i < n; i++) {
                const pid_t pid = fork(), killer = pid ? fork() : -1;
                struct pollfd fd = {-1, POLLIN, 0};

                if (pid == 0)
                        for (;;)
                                pause();
                if (killer == 0) {
                        nanosleep(&moment, NULL);
                        *killed = sluice_now_ns();
                        kill(pid, SIGKILL);
                        _exit(0);
                }
                fd.fd = (int)syscall(SYS_pidfd_open, pid, 0);
                poll(&fd, 1, -1);
                ns[i] = sluice_now_ns();
                waitpid(killer, NULL, 0);
                ns[i] -= *killed;
                close(fd.fd);
                waitpid(pid, NULL, 0);
        }
        if (ns)
                printf("%-42s %4llu deaths, reported after %8.1f us (median)\n",
                       "a bare pidfd, beside", (unsigned long long)n, (double)median(ns, n) / 1e3);
        free(ns);
        munmap(killed, sizeof *killed);
}

int main(void)
{
        const int kinds = sizeof modes / sizeof *modes;
        const size_t each = ((size_t)traffic_scale(1000) + (size_t)kinds - 1) / (size_t)kinds;
        int failed = 0, n = 0, skipped = 0;

        pidfd_beside(each);
        for (int i = 0; i < kinds; i++) {
                const int r = reused(&modes[i]);

                failed += deaths(&modes[i], each);
                failed += stopped(&modes[i]);
                failed += r > 0;
                n += 2 + (r >= 0);
                skipped += r < 0;
        }
        printf("%d passed, %d failed, %d skipped\n", n - failed, failed, skipped);
        return failed != 0;
}
