/* SPDX-License-Identifier: MIT */
/*
 * sluice gather: the messages of all queues of a directory to stdout, one line
 * each. A run of one queue's messages is written at once, and released after
 * that; when it could not be written, it stays.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cli.h"

#ifdef SLUICE_NO_GROUP

int cli_gather(struct cli *c)
{
        cli_say(c, "not built in here, for want of liburcu");
        return CLI_ERROR;
}

#else

#include "sluice/group.h"

/* Longer than it takes to open a queue that has just appeared. */
#define QUIET_NS   INT64_C(100000000)
#define RUN_PIECES 256 /* below IOV_MAX */

struct gatherer {
        const struct cli *cli;
        struct sluice_group *group;
        int senders; /* that have not ended, of the queues found so far */
        int news;    /* queues have come, or senders have ended */
        int code;    /* why to stop, or 0 */
        struct iovec piece[RUN_PIECES];
        int pieces;
};

static struct sluice_group *served;

static void interrupt(void)
{
        sluice_group_interrupt(served);
}

static void add_piece(struct gatherer *g, const void *bytes, size_t len)
{
        g->piece[g->pieces].iov_base = (void *)(uintptr_t)bytes;
        g->piece[g->pieces++].iov_len = len;
}

/* "NAME: message\n" */
static void add_line(struct gatherer *g, const struct sluice_member *m,
                     const struct sluice_message *message)
{
        if (g->cli->source) {
                const char *name = strrchr(sluice_member_name(m), '/') + 1;

                add_piece(g, name, strlen(name));
                add_piece(g, ": ", 2);
        }
        add_piece(g, message->data, message->len);
        add_piece(g, g->cli->framing == CLI_NULS ? "" : "\n", 1);
}

/* ---- Lines longer than the ring ----------------------------------- */

/* Of one sender: a line in pieces. */
static void forget(void *user)
{
        struct sluice_long *const l = user;

        if (l)
                free(l->buf);
        free(l);
}

static struct sluice_long *line_of(struct sluice_member *m)
{
        struct sluice_long *l = sluice_member_user(m);

        if (!l) {
                l = calloc(1, sizeof *l);
                sluice_member_set_user(m, l);
        }
        return l;
}

/* Room for another piece: 0 or -ENOMEM. */
static int enlarge(struct sluice_long *l, size_t piece)
{
        const size_t cap = 2 * (l->len + piece);
        void *const buf = realloc(l->buf, cap);

        if (!buf)
                return -ENOMEM;
        l->buf = buf;
        l->cap = cap;
        return 0;
}

/* 1: *message is the line, whole. 0: not yet. -ENOMEM: it is given up. */
static int take_piece(struct sluice_member *m, struct sluice_message *message)
{
        struct sluice_long *const l = line_of(m);
        ssize_t n = l ? sluice_member_recv_long(m, l, message) : -ENOMEM;

        if (n == -EMSGSIZE)
                n = enlarge(l, message->len) == 0 ? sluice_member_recv_long(m, l, message)
                                                  : -ENOMEM;
        if (n < 0)
                return n == -EAGAIN ? 0 : (int)n;
        message->data = l->buf;
        message->len = l->len;
        return 1;
}

/* ---- Runs of lines ------------------------------------------------ */

/* 0, or an exit code. */
static int write_run(struct gatherer *g)
{
        struct iovec *at = g->piece;

        while (g->pieces > 0) {
                ssize_t n = writev(STDOUT_FILENO, at, g->pieces);

                if (n < 0 && errno == EAGAIN)
                        cli_await_fd(STDOUT_FILENO, POLLOUT);
                else if (n < 0 && errno != EINTR)
                        return errno == EPIPE ? CLI_STDOUT
                                              : cli_fail_io(g->cli, "write to stdout", errno);
                if (cli_hurried())
                        return 128 + cli_stopped();
                for (; n > 0 && (size_t)n >= at->iov_len; g->pieces--)
                        n -= (ssize_t)at++->iov_len;
                if (n > 0) {
                        at->iov_base = (char *)at->iov_base + n;
                        at->iov_len -= (size_t)n;
                }
        }
        return 0;
}

/* In place; of a sender that has had a longer line from its buffer, which ends the
 * run. Is there another? */
static int add_message(struct gatherer *g, struct sluice_member *m, struct sluice_message *message)
{
        const int in_place = message->kind == SLUICE_WHOLE && !sluice_member_user(m);
        const int r = in_place ? 1 : take_piece(m, message);

        if (r > 0)
                add_line(g, m, message);
        else if (r < 0)
                cli_note(g->cli, "a line of %s is dropped, for want of memory",
                         sluice_member_name(m));
        return in_place && g->pieces + 4 <= RUN_PIECES && sluice_member_next(m, message) == 0;
}

static int take_run(struct gatherer *g, struct sluice_member *m, const struct sluice_message *first)
{
        struct sluice_message message = *first;

        g->pieces = 0;
        while (add_message(g, m, &message))
                continue;
        g->code = write_run(g);
        return g->code ? -ECANCELED : 0;
}

static int take(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        struct gatherer *g = ctx;

        switch (event) {
        case SLUICE_MESSAGE:
                return take_run(g, m, message);
        case SLUICE_JOINED:
                g->senders++;
                break;
        case SLUICE_VIOLATED:
                cli_say(g->cli, "%s violates the protocol: it is left alone",
                        sluice_member_name(m));
                g->senders--;
                break;
        case SLUICE_DIED:
                cli_note(g->cli, "the sender of %s died; all its messages are received",
                         sluice_member_name(m));
                g->senders--;
                break;
        case SLUICE_ENDED:
        case SLUICE_REMOVED:
                g->senders--;
                break;
        }
        g->news = 1;
        return 0;
}

/* Until nothing has come for a while and no sender is left; with --follow until a
 * signal. */
static int gather_all(struct gatherer *g)
{
        for (;;) {
                const ssize_t n =
                        sluice_group_serve(g->group, take, g, SIZE_MAX, sluice_after(QUIET_NS));

                if (g->code)
                        return g->code;
                if (cli_stopped())
                        return 128 + cli_stopped();
                if (n == -EMFILE || n == -ENFILE || n == -ENOMEM || n == -ENOSPC)
                        cli_fail_open(g->cli, (int)n);
                else if (n < 0)
                        return cli_fail(g->cli, (int)n);
                if (n == 0 && !g->news && g->senders <= 0 && !g->cli->follow)
                        return CLI_OK;
                g->news = 0;
        }
}

int cli_gather(struct cli *c)
{
        const struct sluice_group_options options = {.size = sizeof options, .forget = forget};
        static struct gatherer g;
        int code, r;

        g.cli = c;
        r = sluice_group_create(&g.group, &options);
        if (r)
                return cli_fail_open(c, r);
        served = g.group;
        cli_catch_signals();
        cli_interrupt_by(interrupt);
        r = sluice_group_watch(g.group, c->name, c->keep ? 0 : SLUICE_WATCH_REMOVE, NULL);
        code = r ? cli_fail_io(c, "watch the directory", -r) : gather_all(&g);
        cli_interrupt_by(NULL);
        sluice_group_destroy(g.group);
        return code;
}

#endif
