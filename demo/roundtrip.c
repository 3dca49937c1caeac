/* SPDX-License-Identifier: MIT */
/*
 * roundtrip FOLDER [COUNT]: how long a 48-byte message takes from one process
 * to another and back, through two queues made in FOLDER, and for comparison
 * through two pipes. Two processes on two processors; each opens its own ends.
 * Prints one line per way: median and 99th percentile of COUNT round trips.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEN      48
#define WARM_UP  2000
#define LIMIT_NS INT64_C(4000000000) /* for one way, however slow the machine */

static char ping[4096], pong[4096];
static int pipes[2][2];

/* One side of one way: sends `out` and receives `in`; pipes when wake is -1. */
struct side {
        struct sluice_producer out;
        struct sluice_consumer in;
        int through_pipes, write_fd, read_fd;
};

/* The two sides on two processors, where there are as many: else the
 * scheduler's choice would be measured. After the ends are open, because
 * an endpoint that may use one processor only does not spin. */
static void pin(int side)
{
        cpu_set_t all, one;
        int seen = 0;

        if (sched_getaffinity(0, sizeof all, &all) != 0 || CPU_COUNT(&all) < 2)
                return;
        for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
                if (!CPU_ISSET(cpu, &all) || seen++ != side)
                        continue;
                CPU_ZERO(&one);
                CPU_SET(cpu, &one);
                sched_setaffinity(0, sizeof one, &one);
        }
}

static void die(const char *what, int r)
{
        fprintf(stderr, "roundtrip: %s: %s\n", what, sluice_strerror(r));
        exit(1);
}

static void side_open(struct side *s, int child, const struct sluice_options *options)
{
        int r;

        s->through_pipes = !options;
        s->write_fd = pipes[child][1];
        s->read_fd = pipes[!child][0];
        if (s->through_pipes)
                return;
        r = sluice_producer_open(&s->out, child ? pong : ping, options);
        if (r == 0)
                r = sluice_consumer_open(&s->in, child ? ping : pong, options);
        if (r)
                die("open", r);
}

static int side_send(struct side *s, const void *message)
{
        if (s->through_pipes)
                return write(s->write_fd, message, LEN) == LEN ? 0 : -errno;
        return sluice_send(&s->out, message, LEN, SLUICE_FOREVER);
}

static int side_recv(struct side *s, void *message)
{
        ssize_t n;

        if (s->through_pipes)
                n = read(s->read_fd, message, LEN);
        else
                n = sluice_recv(&s->in, message, LEN, SLUICE_FOREVER);
        return n == LEN ? 0 : n < 0 ? (int)n : -EPIPE;
}

/* Sends back what comes, until the message that begins with 'q'. */
static _Noreturn void echo(const struct sluice_options *options)
{
        char message[LEN];
        struct side s;
        int r;

        side_open(&s, 1, options);
        pin(1);
        do {
                r = side_recv(&s, message);
                if (r == 0)
                        r = side_send(&s, message);
        } while (r == 0 && message[0] != 'q');
        _exit(r != 0);
}

static int by_value(const void *a, const void *b)
{
        const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

        return (x > y) - (x < y);
}

/* There and back once; returns how long that took. */
static int64_t round_trip(struct side *s, char *sent)
{
        static uint64_t number;
        const int64_t begin = sluice_now_ns();
        char received[LEN];
        int r;

        number++;
        memcpy(sent + 8, &number, sizeof number);
        r = side_send(s, sent);
        if (r == 0)
                r = side_recv(s, received);
        if (r)
                die("round trip", r);
        if (memcmp(sent, received, LEN) != 0)
                die("another message came back", -EBADMSG);
        return sluice_now_ns() - begin;
}

/* Fills ns; returns how many round trips were made: at least one. */
static long measure(struct side *s, int64_t *ns, long count)
{
        const int64_t start = sluice_now_ns();
        char sent[LEN] = "m";
        long done = 0;

        for (int i = 0; i < WARM_UP && sluice_now_ns() < start + LIMIT_NS / 4; i++)
                round_trip(s, sent);
        do {
                ns[done++] = round_trip(s, sent);
        } while (done < count && sluice_now_ns() < start + LIMIT_NS);
        sent[0] = 'q';
        round_trip(s, sent);
        return done;
}

static void way(const char *title, const struct sluice_options *options, int64_t *ns, long count)
{
        static struct side s;
        cpu_set_t cpus;
        int status = -1;
        pid_t pid;
        int r = options ? sluice_create(ping, NULL) : 0;

        if (r == 0 && options)
                r = sluice_create(pong, NULL);
        if (r)
                die("create", r);
        if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
                die("affinity", -errno);
        fflush(stdout);
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                echo(options);
        }
        side_open(&s, 0, options);
        pin(0);
        count = measure(&s, ns, count);
        sched_setaffinity(0, sizeof cpus, &cpus);
        waitpid(pid, &status, 0);
        if (options) {
                sluice_producer_close(&s.out);
                sluice_consumer_close(&s.in);
                sluice_remove(ping);
                sluice_remove(pong);
        }
        if (status != 0)
                die(title, -EPIPE);
        qsort(ns, (size_t)count, sizeof *ns, by_value);
        printf("  %-28s %9.2f us %9.2f us %10ld\n", title, (double)ns[count / 2] / 1e3,
               (double)ns[count - 1 - count / 100] / 1e3, count);
}

int main(int argc, char **argv)
{
        struct sluice_options options = SLUICE_OPTIONS_INIT;
        const long count = argc > 2 ? atol(argv[2]) : 100000;
        int64_t *ns = calloc(count > 0 ? (size_t)count : 1, sizeof *ns);
        cpu_set_t cpus;

        if (argc < 2 || count < 100 || !ns) {
                fprintf(stderr, "usage: roundtrip FOLDER [COUNT, at least 100]\n");
                return 2;
        }
        snprintf(ping, sizeof ping, "%s/ping", argv[1]);
        snprintf(pong, sizeof pong, "%s/pong", argv[1]);
        if (pipe(pipes[0]) != 0 || pipe(pipes[1]) != 0)
                die("pipe", -errno);
        printf("  %-28s %12s %12s %10s\n", "", "median", "p99", "trips");
        options.spin_ns = SLUICE_SPIN_FOREVER;
        if (sched_getaffinity(0, sizeof cpus, &cpus) != 0 || CPU_COUNT(&cpus) > 1)
                way("sluice, spinning", &options, ns, count);
        else
                puts("  sluice, spinning: left out, it needs two processors");
        options.spin_ns = SLUICE_SPIN_NONE;
        way("sluice, sleeping (futex)", &options, ns, count);
        options.wake = SLUICE_WAKE_FIFO;
        way("sluice, sleeping (FIFO)", &options, ns, count);
        way("two pipes", NULL, ns, count);
        return 0;
}
