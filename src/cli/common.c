/* SPDX-License-Identifier: MIT */
/* What the commands share: messages, results, numbers, signals, waiting, progress. */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

/* ---- Messages ----------------------------------------------------- */

/* The progress line that is on the terminal now. */
static struct cli_progress *progress_drawn;

static void clear_progress(void)
{
        if (!progress_drawn)
                return;
        progress_drawn->drawn = 0;
        progress_drawn = NULL;
        fputs("\r\033[K", stderr);
}

void cli_say_begin(const struct cli *c)
{
        clear_progress();
        fprintf(stderr, "sluice: %s: ", c->command);
        if (c->name) {
                cli_put_text(stderr, c->name, strlen(c->name));
                fputs(": ", stderr);
        }
}

void cli_say_end(void)
{
        fputc('\n', stderr);
        fflush(stderr);
}

static void say(const struct cli *c, const char *format, va_list arguments)
{
        cli_say_begin(c);
        vfprintf(stderr, format, arguments);
        cli_say_end();
}

void cli_say(const struct cli *c, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        say(c, format, arguments);
        va_end(arguments);
}

void cli_note(const struct cli *c, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        if (!c->quiet)
                say(c, format, arguments);
        va_end(arguments);
}

int cli_fail_io(const struct cli *c, const char *what, int error)
{
        cli_say(c, "cannot %s: %s", what, strerror(error));
        return CLI_ERROR;
}

/* ---- Results ------------------------------------------------------ */

/* Of the first write that failed; 0: none has. */
static int stdout_error;

/* stdio keeps only that a write has failed, and until the end of the result
 * errno takes other values: so the error is kept where it occurs. */
static ssize_t write_stdout(void *cookie, const char *bytes, size_t len)
{
        size_t done = 0;

        (void)cookie;
        while (done < len && stdout_error == 0) {
                const ssize_t n = write(STDOUT_FILENO, bytes + done, len - done);

                if (n >= 0)
                        done += (size_t)n;
                else if (errno == EAGAIN && !cli_stopped())
                        cli_await_fd(STDOUT_FILENO, POLLOUT);
                else if (errno != EINTR || cli_stopped())
                        stdout_error = errno;
        }
        return (ssize_t)done;
}

int cli_stdout_begin(void)
{
        const cookie_io_functions_t calls = {.write = write_stdout};
        FILE *const out = fopencookie(NULL, "w", calls);

        if (!out)
                return -1;
        stdout = out;
        return 0;
}

int cli_stdout_end(void)
{
        fflush(stdout);
        return stdout_error;
}

int cli_finish(const struct cli *c, int code)
{
        const int error = cli_stdout_end();

        if (error == 0)
                return code;
        if (error == EPIPE)
                return CLI_STDOUT;
        return cli_stopped() ? 128 + cli_stopped() : cli_fail_io(c, "write to stdout", error);
}

/* ---- Numbers ------------------------------------------------------ */

int cli_parse_size(const char *text, uint64_t *value)
{
        static const char units[] = "KMGT";
        const char *unit;
        char *end;

        if (!isdigit((unsigned char)*text))
                return -1;
        errno = 0;
        *value = strtoull(text, &end, 10);
        if (errno)
                return -1;
        if (*end == '\0')
                return 0;
        unit = strchr(units, toupper((unsigned char)*end));
        if (!unit || (end[1] != '\0' && strcmp(end + 1, "iB") != 0))
                return -1;
        for (const char *u = units; u <= unit; u++)
                if (__builtin_mul_overflow(*value, (uint64_t)1024, value))
                        return -1;
        return 0;
}

int cli_parse_seconds(const char *text, int64_t *ns)
{
        double seconds;
        char *end;

        if (text[strspn(text, "0123456789.")] != '\0' || !strpbrk(text, "0123456789"))
                return -1;
        seconds = strtod(text, &end);
        if (*end != '\0')
                return -1;
        *ns = seconds >= 9e9 ? INT64_MAX : (int64_t)(seconds * 1e9);
        return 0;
}

int cli_parse_mode(const char *text, mode_t *mode)
{
        unsigned long value;
        char *end;

        if (text[strspn(text, "01234567")] != '\0')
                return -1;
        value = strtoul(text, &end, 8);
        if (end == text || (value & ~0666ul) != 0 || (value & 0600) != 0600)
                return -1;
        *mode = (mode_t)value;
        return 0;
}

int cli_parse_cpus(const char *text, int cpu[2])
{
        const size_t first = strspn(text, "0123456789");
        const size_t second = text[first] == ',' ? strspn(text + first + 1, "0123456789") : 0;

        if (first == 0 || second == 0 || first > 6 || second > 6 ||
            text[first + 1 + second] != '\0')
                return -1;
        cpu[0] = (int)strtol(text, NULL, 10);
        cpu[1] = (int)strtol(text + first + 1, NULL, 10);
        return cpu[0] == cpu[1] ? -1 : 0;
}

/* ---- Signals ------------------------------------------------------ */

static volatile sig_atomic_t stop_signal;
static volatile sig_atomic_t stop_hurried;
static struct sluice_producer *volatile waiting_producer;
static struct sluice_consumer *volatile waiting_consumer;
static void (*volatile interrupt_other)(void);

/* A signal that comes just before a system call does not end it: so the
 * alarm repeats it every second until the end. */
static void on_signal(int number)
{
        if (number == SIGALRM)
                stop_hurried = 1;
        else
                stop_signal = number;
        if (waiting_producer)
                sluice_producer_interrupt(waiting_producer);
        if (waiting_consumer)
                sluice_consumer_interrupt(waiting_consumer);
        if (interrupt_other)
                interrupt_other();
        alarm(1);
}

void cli_catch_signals(void)
{
        static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
        struct sigaction action, old;

        memset(&action, 0, sizeof action);
        sigemptyset(&action.sa_mask);
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
                sigaddset(&action.sa_mask, numbers[i]);
        sigaddset(&action.sa_mask, SIGALRM);
        action.sa_handler = on_signal; /* no SA_RESTART */
        sigaction(SIGALRM, &action, NULL);
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
                /* Started with nohup or in the background: stays ignored. */
                if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
                        sigaction(numbers[i], &action, NULL);
        }
}

int cli_stopped(void)
{
        return stop_signal;
}

int cli_hurried(void)
{
        return stop_hurried;
}

void cli_interrupt_producer(struct sluice_producer *p)
{
        waiting_producer = p;
}

void cli_interrupt_consumer(struct sluice_consumer *c)
{
        waiting_consumer = c;
}

void cli_interrupt_by(void (*interrupt)(void))
{
        interrupt_other = interrupt;
}

/* ---- Waiting ------------------------------------------------------ */

sluice_deadline cli_deadline(const struct cli *c)
{
        /* Not SLUICE_NOW for 0: that would not check the peer. */
        return c->timeout_ns < 0 ? SLUICE_FOREVER : sluice_after(c->timeout_ns);
}

int cli_end_of(const struct sluice_endpoint_stat *e)
{
        if ((e->held && !e->closed) || e->attaches == 0)
                return 0;
        return e->closed ? -EPIPE : -EOWNERDEAD;
}

static void say_awaited(const struct cli *c, const char *before, const char *what,
                        const char *behind)
{
        cli_say_begin(c);
        fprintf(stderr, "%s%s", before, what ? what : "the queue to exist");
        if (!what)
                cli_put_place(c);
        fputs(behind, stderr);
        cli_say_end();
}

int cli_doze(const struct cli *c, int *ms, sluice_deadline until, const char *for_what)
{
        const int64_t left = until == SLUICE_FOREVER ? INT64_MAX : until - sluice_now_ns();
        struct timespec pause;
        int64_t ns;

        if (cli_stopped())
                return 128 + cli_stopped();
        if (left <= 0) {
                say_awaited(c, "timed out waiting for ", for_what, " (--timeout)");
                return CLI_TIMEOUT;
        }
        *ms = *ms == 0 ? 1 : *ms >= 50 ? 100 : *ms * 2;
        if (*ms == 64 && !c->quiet && isatty(STDERR_FILENO))
                say_awaited(c, "waiting for ", for_what, "");
        ns = (int64_t)*ms * 1000000;
        ns = ns < left ? ns : left;
        pause.tv_sec = 0;
        pause.tv_nsec = (long)ns;
        nanosleep(&pause, NULL);
        return cli_stopped() ? 128 + cli_stopped() : 0;
}

/* Missing, or not complete yet. */
static int may_appear(int err)
{
        return err == -ENOENT || err == -EINPROGRESS;
}

/* Likewise. One that has just appeared is closed to other users until it is complete,
 * which takes milliseconds: until then it may be, a second at most. */
static int is_being_made(const struct cli *c, int err, sluice_deadline *closed_until)
{
        int64_t age;

        if (may_appear(err)) {
                *closed_until = sluice_after(SLUICE_SECOND);
                return 1;
        }
        if (err != -EACCES)
                return 0;
        age = *closed_until == SLUICE_NOW ? cli_age_ns(c) : SLUICE_SECOND;
        if (age < SLUICE_SECOND)
                *closed_until = sluice_after(SLUICE_SECOND - age);
        return sluice_now_ns() < *closed_until;
}

/* DIR/: the library decides whether that is a directory for a new queue. */
static int open_with_slash(const struct cli *c, cli_open_fn *open, void *handle)
{
        struct sluice_options options = c->queue;

        options.flags |= SLUICE_CREATE;
        return open(handle, c->name, &options);
}

/* -EINPROGRESS: another process is creating or removing it. */
static int open_or_create(const struct cli *c, cli_open_fn *open, void *handle)
{
        int r;

        if (c->create && c->name[strlen(c->name) - 1] == '/')
                return open_with_slash(c, open, handle);
        r = open(handle, c->name, &c->queue);

        if (!c->create || !may_appear(r))
                return r;
        r = sluice_create(c->name, &c->queue);
        if (r == -EBUSY)
                return -EINPROGRESS;
        if (r != 0 && r != -EEXIST)
                return r;
        r = open(handle, c->name, &c->queue);
        return r == -ENOENT ? -EINPROGRESS : r;
}

int cli_open(const struct cli *c, cli_open_fn *open, void *handle)
{
        const sluice_deadline until = cli_deadline(c);
        sluice_deadline closed_until = SLUICE_NOW;
        int ms = 0;

        for (;;) {
                const int r = open_or_create(c, open, handle);
                int code;

                if (r == 0)
                        return 0;
                if (!is_being_made(c, r, &closed_until) || (c->create && r == -ENOENT) ||
                    (r == -EACCES && sluice_now_ns() >= until))
                        return cli_fail_open(c, r);
                code = cli_doze(c, &ms, until, NULL);
                if (code)
                        return code;
        }
}

void cli_await_fd(int fd, short events)
{
        struct pollfd poll_fd = {fd, events, 0};

        poll(&poll_fd, 1, -1);
}

/* ---- Progress ----------------------------------------------------- */

#define PROGRESS_FIRST_NS INT64_C(1000000000)
#define PROGRESS_EVERY_NS INT64_C(250000000)

void cli_progress_start(struct cli_progress *p, const struct cli *c, int other_fd)
{
        memset(p, 0, sizeof *p);
        p->cli = c;
        p->wanted = !c->quiet && isatty(STDERR_FILENO) && !isatty(other_fd);
}

static void put_summary(const struct cli_progress *p, int64_t now)
{
        const double seconds = (double)(now - p->started_ns) / 1e9;
        char bytes[16], rate[16];

        fprintf(stderr, "sluice: %s: ", p->cli->command);
        cli_put_text(stderr, p->cli->name, strlen(p->cli->name));
        fprintf(stderr, ": %llu message%s, %s in %.3f s", (unsigned long long)p->messages,
                p->messages == 1 ? "" : "s", cli_bytes(bytes, (double)p->bytes), seconds);
        if (seconds > 0.01)
                fprintf(stderr, " (%s/s, %.0f messages/s)",
                        cli_bytes(rate, (double)p->bytes / seconds), (double)p->messages / seconds);
}

void cli_progress_tick(struct cli_progress *p)
{
        int64_t now;

        if (!p->wanted && p->started_ns)
                return;
        now = sluice_now_ns();
        if (!p->started_ns)
                p->started_ns = now;
        if (!p->wanted || now - p->started_ns < PROGRESS_FIRST_NS ||
            now - p->shown_ns < PROGRESS_EVERY_NS)
                return;
        clear_progress();
        put_summary(p, now);
        fflush(stderr);
        p->shown_ns = now;
        p->drawn = 1;
        progress_drawn = p;
}

void cli_progress_end(struct cli_progress *p)
{
        const int shown = p->shown_ns != 0;
        const int64_t now = sluice_now_ns();

        clear_progress();
        if (!p->started_ns)
                p->started_ns = now;
        if (!p->cli->stats && !shown)
                return;
        put_summary(p, now);
        fputc('\n', stderr);
        fflush(stderr);
}
