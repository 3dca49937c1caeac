/* SPDX-License-Identifier: MIT */
/*
 * An event loop over the descriptors of FIFO endpoints, level- and
 * edge-triggered: a peer that opens, sends, and ends ten thousand times,
 * by close or by SIGKILL, each time seen through the descriptor alone;
 * and two queues in one loop, one of which is always busy, without the
 * other being starved.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "traffic.h"

#define NAME "loop"
#define BUSY "loop-busy"

static int watch(int loop, struct sluice_consumer *c, uint32_t events, uint32_t id)
{
        struct epoll_event e = {.events = events, .data.u32 = id};

        return epoll_ctl(loop, EPOLL_CTL_ADD, sluice_consumer_fd(c), &e);
}

static int open_fifo(struct sluice_consumer *c, const char *name)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;

        o.capacity = 4096;
        o.wake = SLUICE_WAKE_FIFO;
        o.slice_ns = INT64_C(60000000000); /* a slice that ends would hide a lost wake-up */
        o.flags = SLUICE_CREATE;
        return sluice_consumer_open(c, name, &o);
}

/* ---- A peer that opens and ends ----------------------------------- */

struct turns {
        int late; /* bytes of an earlier arming that may still come */
        uint64_t messages, closes, deaths, waits;
        bool owes_end; /* of the latest message's visit */
};

static int bytes_in_pipe(void)
{
        char path[4096];
        int fd, n = -1;

        snprintf(path, sizeof path, "%s/" NAME "/readable", getenv("SLUICE_DIR"));
        fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 || ioctl(fd, FIONREAD, &n) != 0)
                n = -1;
        close(fd);
        return n;
}

/* One turn of the loop: everything that is there, then sleep. */
static int turn(struct sluice_consumer *c, int loop, struct turns *t)
{
        struct epoll_event e;
        struct sluice_message m;
        int r, bytes;

        while ((r = sluice_peek(c, &m, SLUICE_NOW)) == 0) {
                if (m.len != sizeof t->messages || memcmp(m.data, &t->messages, m.len) != 0)
                        return 1;
                t->messages++;
                t->closes = t->deaths = 0; /* ends before it were other visits' */
                t->owes_end = true;
                sluice_release(c);
        }
        t->closes += r == -EPIPE;
        t->deaths += r == -EOWNERDEAD;
        if (r != -EAGAIN && r != -EPIPE && r != -EOWNERDEAD)
                return 1;
        if (r != -EAGAIN && t->owes_end) {
                t->owes_end = false;
                return 0;
        }
        if (sluice_consumer_arm(c) == 0) {
                t->waits++;
                if (epoll_wait(loop, &e, 1, 5000) != 1)
                        return fprintf(stderr, "the descriptor kept silent\n"), 1;
                bytes = bytes_in_pipe();
                /* An arming that the timer has ended may get its byte late. */
                if (bytes < 0 || bytes > 1 + t->late)
                        return fprintf(stderr, "%d bytes for one arming\n", bytes), 1;
                t->late = bytes == 0;
        }
        sluice_consumer_disarm(c);
        return 0;
}

/* A visit: message number `index`, then close or die. */
static void visit(uint64_t index, bool dies)
{
        struct sluice_producer p;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (sluice_producer_open(&p, NAME, NULL) != 0 ||
            sluice_send(&p, &index, sizeof index, SLUICE_NOW) != 0)
                _exit(1);
        if (dies)
                raise(SIGKILL);
        _exit(sluice_producer_close(&p) != 0);
}

/* A consumer that has seen the end of one visit gets that error until the
 * next visitor comes: only ends that follow a new message count. */
static int visits(uint32_t events, const char *name, uint64_t n)
{
        const int loop = epoll_create1(EPOLL_CLOEXEC);
        struct turns t = {0};
        struct sluice_consumer c;
        int failed = open_fifo(&c, NAME) != 0 || watch(loop, &c, events, 0) != 0;

        for (uint64_t i = 0; !failed && i < n; i++) {
                const bool dies = i % 2 == 1;
                const pid_t pid = fork();
                int status;

                if (pid == 0)
                        visit(i, dies);
                while (!failed && t.messages == i)
                        failed = turn(&c, loop, &t);
                while (!failed && t.closes + t.deaths == 0)
                        failed = turn(&c, loop, &t);
                failed |= (dies ? t.deaths : t.closes) == 0;
                waitpid(pid, &status, 0);
                failed |= dies ? !WIFSIGNALED(status) : status != 0;
        }
        printf("%-16s %6llu visits, %llu waits  %s\n", name, (unsigned long long)n,
               (unsigned long long)t.waits, failed ? "FAILED" : "ok");
        sluice_consumer_close(&c);
        sluice_remove(NAME);
        close(loop);
        return failed;
}

/* ---- Two queues, one of them always busy -------------------------- */

static void keep_busy(void)
{
        struct sluice_producer p;
        int r = sluice_producer_open(&p, BUSY, NULL);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (r == 0)
                r = sluice_send(&p, "busy", 4, SLUICE_FOREVER);
        _exit(1);
}

/* One numbered message after another, each once the last was received. */
static void be_calm(uint64_t n)
{
        struct sluice_producer p;
        int r = sluice_producer_open(&p, NAME, NULL);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (uint64_t i = 0; r == 0 && i < n; i++) {
                r = sluice_send(&p, &i, sizeof i, SLUICE_FOREVER);
                usleep(200);
        }
        _exit(r || sluice_producer_close(&p));
}

static int count(void *ctx, const struct sluice_message *m)
{
        (void)m;
        ++*(uint64_t *)ctx;
        return 0;
}

static int fair(uint64_t n)
{
        const int loop = epoll_create1(EPOLL_CLOEXEC);
        struct sluice_consumer c[2];
        uint64_t seen[2] = {0, 0};
        ssize_t r[2] = {0, 0};
        pid_t busy, calm;
        int failed = open_fifo(&c[0], BUSY) != 0 || open_fifo(&c[1], NAME) != 0 ||
                     watch(loop, &c[0], EPOLLIN, 0) != 0 || watch(loop, &c[1], EPOLLIN, 1) != 0;

        busy = fork();
        if (busy == 0)
                keep_busy();
        calm = fork();
        if (calm == 0)
                be_calm(n);
        while (!failed && r[1] != -EPIPE) {
                struct epoll_event e[2];
                int armed = 0;

                for (int i = 0; i < 2; i++)
                        r[i] = sluice_drain(&c[i], count, &seen[i], 64);
                for (int i = 0; i < 2; i++)
                        armed += sluice_consumer_arm(&c[i]) == 0;
                epoll_wait(loop, e, 2, armed == 2 ? 5000 : 0);
                for (int i = 0; i < 2; i++)
                        sluice_consumer_disarm(&c[i]);
        }
        failed |= seen[1] != n || seen[0] < n;
        printf("two queues: %llu busy and %llu calm messages  %s\n", (unsigned long long)seen[0],
               (unsigned long long)seen[1], failed ? "FAILED" : "ok");
        kill(busy, SIGKILL);
        waitpid(busy, NULL, 0);
        waitpid(calm, NULL, 0);
        for (int i = 0; i < 2; i++)
                sluice_consumer_close(&c[i]);
        sluice_remove(BUSY);
        sluice_remove(NAME);
        close(loop);
        return failed;
}

int main(void)
{
        const uint64_t n = traffic_scale(5000);
        int failed = 0;

        failed += visits(EPOLLIN, "level-triggered", n);
        failed += visits(EPOLLIN | EPOLLET, "edge-triggered", n);
        failed += fair(n);
        printf("%d passed, %d failed\n", 3 - failed, failed);
        return failed != 0;
}
