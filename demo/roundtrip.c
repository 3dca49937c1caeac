/* SPDX-License-Identifier: MIT */
/*
 * roundtrip DIRECTORY [COUNT]: how long a 48-byte message takes from one process
 * to another and back, through two queues made in DIRECTORY, and for comparison
 * through two pipes. Two processes on two processors; each opens its own ends.
 * Prints one line per way: median and 99th percentile of COUNT round trips.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../src/measure/cpus.h"
#include "../src/measure/ends.h"
#include "../src/measure/figures.h"
#include "../src/measure/roundtrip.h"

#define LEN      48
#define WARM_UP  2000
#define LIMIT_NS INT64_C(4000000000) /* for one way, however slow the machine */

static char ping[4096], pong[4096];
static int pipes[2][2];
static struct cpus allowed;
static int cpu[2]; /* of the two sides */

/* One side of one way. */
struct side {
        struct ends ends;
        int through_pipes, out_fd, in_fd;
        uint64_t turns; /* wanted */
        int64_t start, before;
        struct histogram times;
};

static void die(const char *what, int r)
{
        fprintf(stderr, "roundtrip: %s: %s\n", what, sluice_strerror(r));
        exit(1);
}

/* Pinned after the ends are open, because an endpoint that may use one
 * processor only does not spin. */
static void side_open(struct side *s, int far, const struct sluice_options *options)
{
        int r = 0;

        s->through_pipes = !options;
        s->out_fd = pipes[far][1];
        s->in_fd = pipes[!far][0];
        if (options)
                r = ends_open(&s->ends, far ? pong : ping, far ? ping : pong, options);
        if (r)
                die("open", r);
        r = cpu[0] == cpu[1] ? 0 : cpus_pin(cpu[far]);
        if (r)
                die("affinity", r);
}

static int side_put(void *side, uint64_t number)
{
        struct side *const s = side;

        return s->through_pipes ? pipe_put(s->out_fd, number, LEN)
                                : queue_put(&s->ends.out, number, LEN);
}

static int side_get(void *side, uint64_t number)
{
        struct side *const s = side;

        return s->through_pipes ? pipe_get(s->in_fd, number, LEN)
                                : queue_get(&s->ends.in, number, LEN, SLUICE_FOREVER);
}

static int side_turned(void *side, uint64_t number)
{
        struct side *const s = side;
        const int64_t now = sluice_now_ns(), since = now - s->start;

        if (number > WARM_UP || since > LIMIT_NS / 4)
                histogram_add(&s->times, now - s->before);
        s->before = now;
        if (s->times.count == 0)
                return 0;
        return s->times.count >= s->turns || since > LIMIT_NS ? ENDED : 0;
}

static _Noreturn void be_reflector(const struct sluice_options *options)
{
        static struct side s;

        side_open(&s, 1, options);
        _exit(roundtrip_reflector(&s, side_put, side_get, UINT64_MAX) != ENDED);
}

/* At least one turn, and the message that ends the far side. */
static void measure(struct side *s)
{
        int r;

        s->start = s->before = sluice_now_ns();
        r = roundtrip_initiator(s, side_put, side_get, side_turned, UINT64_MAX);
        if (r == WRONG)
                die("another message came back", -EBADMSG);
        if (r == ENDED)
                r = side_put(s, PAYLOAD_LAST);
        if (r)
                die("round trip", r);
}

static void create(void)
{
        int r = sluice_create(ping, NULL);

        if (r == 0)
                r = sluice_create(pong, NULL);
        if (r)
                die("create", r);
}

static pid_t start_reflector(const struct sluice_options *options)
{
        pid_t pid;

        fflush(stdout);
        pid = fork();
        if (pid < 0)
                die("fork", -errno);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                be_reflector(options);
        }
        return pid;
}

static void close_and_remove(struct side *s)
{
        int r;

        ends_close(&s->ends);
        r = sluice_remove(ping);
        if (r == 0)
                r = sluice_remove(pong);
        if (r)
                die("remove", r);
}

static void way(const char *title, const struct sluice_options *options, uint64_t turns)
{
        static struct side s;
        int r, status = -1;
        pid_t pid;

        if (options)
                create();
        pid = start_reflector(options);
        s = (struct side){.turns = turns};
        side_open(&s, 0, options);
        measure(&s);
        r = cpus_set(&allowed);
        if (r)
                die("affinity", r);
        waitpid(pid, &status, 0);
        if (options)
                close_and_remove(&s);
        if (status != 0)
                die(title, -EPIPE);
        printf("  %-28s %9.2f us %9.2f us %10llu\n", title,
               histogram_percentile(&s.times, 50) / 1e3, histogram_percentile(&s.times, 99) / 1e3,
               (unsigned long long)s.times.count);
}

static void all_ways(uint64_t turns)
{
        struct sluice_options options = SLUICE_OPTIONS_INIT;

        printf("  %-28s %12s %12s %10s\n", "", "median", "p99", "trips");
        options.spin_ns = SLUICE_SPIN_FOREVER;
        if (cpu[0] != cpu[1])
                way("sluice, spinning", &options, turns);
        else
                puts("  sluice, spinning: left out, it needs two processors");
        options.spin_ns = SLUICE_SPIN_NONE;
        way("sluice, sleeping (futex)", &options, turns);
        options.wake = SLUICE_WAKE_FIFO;
        way("sluice, sleeping (FIFO)", &options, turns);
        way("two pipes", NULL, turns);
}

int main(int argc, char **argv)
{
        const long count = argc > 2 ? atol(argv[2]) : 100000;
        int r;

        if (argc < 2 || count < 100) {
                fprintf(stderr, "usage: roundtrip DIRECTORY [COUNT, at least 100]\n");
                return 2;
        }
        snprintf(ping, sizeof ping, "%s/ping", argv[1]);
        snprintf(pong, sizeof pong, "%s/pong", argv[1]);
        if (pipe(pipes[0]) != 0 || pipe(pipes[1]) != 0)
                die("pipe", -errno);
        r = cpus_get(&allowed);
        if (r)
                die("affinity", r);
        cpus_choose(&allowed, cpu);
        all_ways((uint64_t)count);
        return 0;
}
