/* SPDX-License-Identifier: MIT */
/*
 * sluice bench: measures queues on this machine. Creates temporary queues,
 * starts the two sides, and removes the queues. If it is killed, so are its
 * sides, and `sluice rm --stale` removes its queues.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define SLICE_NS    INT64_C(40000000) /* approximate */
#define ROUNDS_MIN  3
#define PROGRESS_MS 250
#define HANG_S      60 /* later than this, a side hangs and is killed */

const struct bench_figure bench_figures[BENCH_FIGURES] = {
        {BENCH_ROUND_TRIP, BENCH_QUEUE, 8},    {BENCH_ROUND_TRIP, BENCH_QUEUE, 56},
        {BENCH_ROUND_TRIP, BENCH_QUEUE, 120},  {BENCH_ROUND_TRIP, BENCH_QUEUE, 248},
        {BENCH_ROUND_TRIP, BENCH_QUEUE, 1016}, {BENCH_ROUND_TRIP, BENCH_QUEUE, 4088},
        {BENCH_STREAM, BENCH_QUEUE, 8},        {BENCH_STREAM, BENCH_QUEUE, 56},
        {BENCH_STREAM, BENCH_QUEUE, 64},       {BENCH_STREAM, BENCH_PIPE, 64},
        {BENCH_STREAM, BENCH_QUEUE, 248},      {BENCH_STREAM, BENCH_QUEUE, 1016},
        {BENCH_STREAM, BENCH_QUEUE, 4088},     {BENCH_STREAM, BENCH_QUEUE, 65536},
        {BENCH_SLEEP, BENCH_FUTEX, 56},        {BENCH_SLEEP, BENCH_FIFO, 56},
        {BENCH_SLEEP, BENCH_PIPE, 56},
};

const char *bench_title(const struct bench_figure *f, char text[40])
{
        static const char *const part[] = {"round trip", "stream", "sleeping round trip"};
        static const char *const link[] = {"", " by futex", " by FIFO", " by pipe"};

        snprintf(text, 40, "%s%s, %zu B", part[f->part], link[f->link], f->len);
        return text;
}

int bench_possible(const struct bench *b, const struct bench_figure *f)
{
        return b->cpu[0] != b->cpu[1] || f->part == BENCH_SLEEP;
}

/* ---- What it needs ------------------------------------------------ */

/* Whole rounds that fill the time. */
static unsigned plan(struct bench *b)
{
        const int64_t ns = b->cli->seconds_ns;
        int64_t rounds;
        unsigned figures = 0;

        for (unsigned i = 0; i < BENCH_FIGURES; i++)
                figures += bench_possible(b, &bench_figures[i]) != 0;
        rounds = ns / (SLICE_NS * figures);
        rounds = rounds < ROUNDS_MIN ? ROUNDS_MIN : rounds;
        rounds = rounds > BENCH_ROUNDS_MAX ? BENCH_ROUNDS_MAX : rounds;
        b->rounds = (unsigned)rounds;
        b->slice_ns = ns / (rounds * figures);
        return b->rounds * figures;
}

/* Under the first name that is free. */
static int make_queue(char name[32])
{
        struct sluice_options o = {.size = sizeof o, .flags = SLUICE_PREFAULT};
        int r = -EEXIST;

        for (int i = 1; i <= 1000 && r == -EEXIST; i++) {
                snprintf(name, 32, "bench-%ld-%d", (long)getpid(), i);
                r = sluice_create(name, &o);
        }
        return r;
}

static int make_queues(struct bench *b)
{
        while (b->queues < 2 * BENCH_PAIRS) {
                char *const name = b->name[b->queues / 2][b->queues % 2];
                const int r = make_queue(name);

                if (r) {
                        b->cli->name = name;
                        return cli_fail_open(b->cli, r);
                }
                b->queues++;
                if (cli_stopped())
                        return 128 + cli_stopped();
        }
        return 0;
}

/* Somebody else may have removed one already. */
static int remove_queues(struct bench *b)
{
        int code = 0;

        while (b->queues > 0) {
                int r;

                b->queues--;
                b->cli->name = b->name[b->queues / 2][b->queues % 2];
                r = sluice_remove(b->cli->name);
                if (r && r != -ENOENT)
                        code = cli_fail(b->cli, r);
        }
        b->cli->name = NULL;
        return code;
}

static int make_shared(struct bench *b)
{
        b->shared = mmap(NULL, sizeof *b->shared, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (b->shared == MAP_FAILED)
                return cli_fail(b->cli, -ENOMEM);
        for (int i = 0; i < 2; i++)
                if (pipe(b->pipe[i]) != 0)
                        return cli_fail_io(b->cli, "make a pipe", errno);
        return 0;
}

/* ---- The two sides ------------------------------------------------ */

struct child {
        pid_t pid; /* 0: none, or it has ended */
        int fd;    /* at its end when the child is */
};

static int shows_progress(const struct cli *c)
{
        return !c->quiet && isatty(STDERR_FILENO);
}

static void clear_line(const struct cli *c)
{
        if (!shows_progress(c))
                return;
        fputs("\r\033[K", stderr);
        fflush(stderr);
}

/* The terminal's Ctrl-C is for the parent, which then ends its sides. */
static __attribute__((noreturn)) void be_side(struct bench *b, int is_reflector, pid_t parent)
{
        signal(SIGINT, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        signal(SIGTERM, SIG_DFL);
        signal(SIGALRM, SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) /* it was faster */
                _exit(CLI_ERROR);
        alarm((unsigned)(b->cli->seconds_ns / 1000000000) + HANG_S);
        _exit(bench_side_run(b, is_reflector));
}

static int start(struct bench *b, struct child *child, int is_reflector)
{
        const pid_t parent = getpid();
        int end[2];

        if (pipe(end) != 0)
                return cli_fail_io(b->cli, "make a pipe", errno);
        child->pid = fork();
        if (child->pid == 0)
                be_side(b, is_reflector, parent); /* keeps end[1] */
        close(end[1]);
        child->fd = end[0];
        return child->pid > 0 ? 0 : cli_fail_io(b->cli, "start a process", errno);
}

static void wait_for(pid_t pid, int *status)
{
        *status = 0;
        while (waitpid(pid, status, 0) < 0 && errno == EINTR)
                continue;
}

/* The exit code of a child that has ended. */
static int reap(struct bench *b, struct child *child, const char *which)
{
        int status;

        wait_for(child->pid, &status);
        child->pid = 0;
        close(child->fd);
        child->fd = -1;
        if (WIFEXITED(status))
                return WEXITSTATUS(status);
        clear_line(b->cli);
        cli_say(b->cli, "the process of the %s side was killed by signal %d (%s)", which,
                WTERMSIG(status), strsignal(WTERMSIG(status)));
        return CLI_ERROR;
}

static void show_progress(const struct bench *b, unsigned slices)
{
        const unsigned done = (unsigned)atomic_load(&b->shared->slices);

        if (!shows_progress(b->cli))
                return;
        fprintf(stderr, "\r\033[Ksluice: bench: round %u of %u, %u %%",
                done * b->rounds / slices + (done < slices), b->rounds, done * 100 / slices);
        fflush(stderr);
}

/* Until both have succeeded, one has failed, or a signal came. */
static int watch(struct bench *b, struct child child[2], unsigned slices)
{
        static const char *const which[] = {"near", "far"};
        struct pollfd fds[2] = {{child[0].fd, POLLIN, 0}, {child[1].fd, POLLIN, 0}};
        int code = 0;

        while (child[0].pid || child[1].pid) {
                show_progress(b, slices);
                poll(fds, 2, shows_progress(b->cli) ? PROGRESS_MS : -1);
                if (cli_stopped())
                        return 128 + cli_stopped();
                for (int i = 0; i < 2; i++) {
                        if (!child[i].pid || !fds[i].revents)
                                continue;
                        code = reap(b, &child[i], which[i]);
                        fds[i].fd = -1;
                        /* CLI_PEER: the other one has a reason. */
                        if (code && code != CLI_PEER)
                                return code;
                }
        }
        return code;
}

static int run_sides(struct bench *b, unsigned slices)
{
        struct child child[2] = {{0, -1}, {0, -1}};
        int status, code = start(b, &child[0], 0);

        if (code == 0)
                code = start(b, &child[1], 1);
        for (int i = 0; i < 4; i++)
                close(b->pipe[i / 2][i % 2]);
        if (code == 0)
                code = watch(b, child, slices);
        for (int i = 0; i < 2; i++) {
                if (child[i].pid <= 0)
                        continue;
                kill(child[i].pid, SIGKILL);
                wait_for(child[i].pid, &status);
                close(child[i].fd);
        }
        clear_line(b->cli);
        return code;
}

int cli_bench(struct cli *c)
{
        struct bench b = {.cli = c};
        unsigned slices;
        int code, removed;

        code = bench_choose_cpus(&b);
        if (code)
                return code;
        slices = plan(&b);
        code = make_shared(&b);
        if (code)
                return code;
        cli_catch_signals();
        code = make_queues(&b);
        if (code == 0)
                code = run_sides(&b, slices);
        removed = remove_queues(&b);
        code = code ? code : removed;
        if (code == 0)
                code = bench_report(&b);
        munmap(b.shared, sizeof *b.shared);
        return code;
}
