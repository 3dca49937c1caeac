/* SPDX-License-Identifier: MIT */
/*
 * sluice recv: messages of a queue to stdout.
 *
 * Messages are gathered into batches while there are more at hand: short
 * ones are copied together, long ones are written from where they lie in
 * the queue. A batch is written when the queue is momentarily empty, and
 * released after that. When only a part of it could be written, the
 * messages of that part are released, and the others stay.
 *
 * A message that comes in pieces is put together in memory, and released
 * with that: it may be longer than the queue, and only a whole one is written.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cli.h"

#define COPY_BYTES     ((size_t)256 << 10)
#define COPY_LONGEST   4096 /* of a message that is copied */
#define BATCH_PIECES   256  /* below IOV_MAX */
#define BATCH_MESSAGES 8192
#define IDLE_LOOKS     50 /* before a batch is written because the queue is empty */

struct receiver {
        const struct cli *cli;
        struct sluice_consumer queue;
        struct cli_progress progress;
        int after_end;         /* an earlier receiver has seen the end of all that was sent */
        int ended;             /* how the sender ended before, with nothing left; or 0 */
        uint64_t senders;      /* ever, at that time */
        int announced;         /* that it waits for a sender */
        sluice_deadline until; /* so long */

        /* the batch */
        struct iovec piece[BATCH_PIECES];
        int pieces;
        size_t held;      /* bytes of it, all pieces */
        size_t held_most; /* then write, so that the sender gets room */
        size_t copied;    /* bytes of copy */
        unsigned messages;
        size_t ends[BATCH_MESSAGES]; /* where each message ends in the batch */
        unsigned char copy[COPY_BYTES];

        struct sluice_long message; /* one that comes in pieces */
};

static int open_consumer(void *handle, const char *name, const struct sluice_options *options)
{
        return sluice_consumer_open(handle, name, options);
}

/* ---- Writing ------------------------------------------------------ */

static void forget_batch(struct receiver *r)
{
        r->pieces = 0;
        r->held = 0;
        r->copied = 0;
        r->messages = 0;
}

/* Leaves out the first n bytes of the pieces from *first on. */
static void skip_bytes(struct receiver *r, int *first, size_t n)
{
        while (*first < r->pieces && n >= r->piece[*first].iov_len)
                n -= r->piece[(*first)++].iov_len;
        if (*first < r->pieces) {
                r->piece[*first].iov_base = (char *)r->piece[*first].iov_base + n;
                r->piece[*first].iov_len -= n;
        }
}

/* Writes the batch; *done is how many bytes of it were written. A signal
 * leaves it a second to finish. */
static int write_batch(struct receiver *r, size_t *done)
{
        int first = 0;

        *done = 0;
        while (first < r->pieces) {
                const ssize_t n = writev(STDOUT_FILENO, r->piece + first, r->pieces - first);

                if (n >= 0) {
                        *done += (size_t)n;
                        skip_bytes(r, &first, (size_t)n);
                } else if (errno == EAGAIN) {
                        cli_await_fd(STDOUT_FILENO, POLLOUT);
                } else if (errno == EPIPE) {
                        return CLI_STDOUT;
                } else if (errno != EINTR) {
                        return cli_fail_io(r->cli, "write to stdout", errno);
                }
                if (first < r->pieces && cli_hurried())
                        return 128 + cli_stopped();
        }
        return 0;
}

/* Releases the first n messages of the batch only. Messages that were
 * passed can only be released together, so this starts again. */
static void release_part(struct receiver *r, unsigned n)
{
        struct sluice_message m;

        cli_interrupt_consumer(NULL);
        sluice_consumer_close(&r->queue);
        if (n == 0 || sluice_consumer_open(&r->queue, r->cli->name, NULL) != 0)
                return;
        while (n-- > 0 && sluice_peek(&r->queue, &m, SLUICE_NOW) == 0)
                sluice_release(&r->queue);
}

/* next: the message behind the batch, when it was peeked; it stays. */
static int flush_batch(struct receiver *r, const struct sluice_message *next)
{
        unsigned written = 0;
        size_t done;
        int code;

        if (r->messages == 0)
                return 0;
        code = write_batch(r, &done);
        while (written < r->messages && r->ends[written] <= done)
                written++;
        r->progress.messages += written;
        r->progress.bytes += written ? r->ends[written - 1] : 0;
        if (written < r->messages)
                release_part(r, written);
        else if (next)
                sluice_release_to(&r->queue, next->position);
        else
                sluice_release(&r->queue);
        forget_batch(r);
        cli_progress_tick(&r->progress);
        return code;
}

/* ---- Gathering ---------------------------------------------------- */

static void add_copy(struct receiver *r, const void *bytes, size_t len)
{
        unsigned char *const to = r->copy + r->copied;
        struct iovec *const last = r->pieces ? &r->piece[r->pieces - 1] : NULL;

        memcpy(to, bytes, len);
        r->copied += len;
        if (last && (unsigned char *)last->iov_base + last->iov_len == to) {
                last->iov_len += len;
                return;
        }
        r->piece[r->pieces].iov_base = to;
        r->piece[r->pieces++].iov_len = len;
}

static int batch_is_full(const struct receiver *r)
{
        return r->held >= r->held_most || r->pieces + 2 > BATCH_PIECES ||
               r->copied + COPY_LONGEST + 1 > COPY_BYTES || r->messages == BATCH_MESSAGES;
}

/* The message that was peeked, to the batch. */
static int gather(struct receiver *r, const struct sluice_message *m)
{
        const enum cli_framing framing = r->cli->framing;

        if (m->len > COPY_LONGEST) {
                r->piece[r->pieces].iov_base = (void *)(uintptr_t)m->data;
                r->piece[r->pieces++].iov_len = m->len;
        } else if (m->len > 0) {
                add_copy(r, m->data, m->len);
        }
        r->held += m->len;
        if (framing != CLI_RAW && m->tag != CLI_TAG_BARE) {
                add_copy(r, framing == CLI_LINES ? "\n" : "", 1);
                r->held++;
        }
        r->ends[r->messages++] = r->held;
        sluice_advance(&r->queue);
        return batch_is_full(r) ? flush_batch(r, NULL) : 0;
}

/* ---- Waiting ------------------------------------------------------ */

/* Reports once what it waits for. -1: look again. */
static int await_sender(struct receiver *r, const char *why)
{
        int err;

        if (!r->announced) {
                cli_note(r->cli, "%s", why);
                r->announced = 1;
                r->until = cli_deadline(r->cli);
        }
        err = sluice_consumer_await_peer(&r->queue, r->until);
        if (err == 0)
                return -1;
        if (err != -ETIMEDOUT && err != -EAGAIN && err != -ECANCELED)
                return cli_fail(r->cli, err);
        if (sluice_now_ns() < r->until)
                return -1;
        cli_say(r->cli, "timed out waiting for a sender (--timeout)");
        return CLI_TIMEOUT;
}

/* The queue is drained and the sender has closed: the end, unless an
 * earlier receiver has already seen this end. -1: continue. */
static int at_end(struct receiver *r)
{
        struct sluice_queue_stat st;

        if (!r->after_end || r->cli->once)
                return 0;
        if (sluice_stat(r->cli->name, &st) == 0 && st.producer.attaches != r->senders) {
                r->after_end = 0; /* one has come, and may be closing: look once more */
                return -1;
        }
        return await_sender(r, "everything sent so far was received earlier: waiting for the next "
                               "sender (--once: exit instead)");
}

/* An end that the queue does not report to a consumer that opens later,
 * because nothing was left before it: this command reports it, until
 * another sender has come. */
static int earlier_end(struct receiver *r)
{
        struct sluice_queue_stat st;

        if (r->ended && sluice_stat(r->cli->name, &st) == 0 &&
            (!cli_end_of(&st.producer) || st.producer.attaches != r->senders))
                r->ended = 0;
        return r->ended;
}

/* Handles what peek returned instead of a message. -1: continue. */
static int overcome(struct receiver *r, int err)
{
        if (cli_stopped())
                return 128 + cli_stopped();
        switch (err) {
        case -ECANCELED:
                return -1;
        case -EAGAIN:
        case -ETIMEDOUT:
                cli_say(r->cli, "timed out waiting for a message (--timeout)");
                return CLI_TIMEOUT;
        case -EPIPE:
                return at_end(r);
        case -EOWNERDEAD:
                if (!r->cli->once)
                        return await_sender(r, "the sender died; all its messages are received: "
                                               "waiting for a successor");
                cli_say(r->cli, "the sender died; all its messages are received (--once)");
                return CLI_PEER;
        default:
                return cli_fail(r->cli, err);
        }
}

/* ---- Long messages ------------------------------------------------ */

static int make_space(struct sluice_long *l)
{
        const size_t cap = l->cap ? l->cap * 2 : COPY_BYTES;
        void *const bigger = cap > l->cap ? realloc(l->buf, cap) : NULL;

        if (!bigger)
                return -ENOMEM;
        l->buf = bigger;
        l->cap = cap;
        return -EMSGSIZE;
}

/* A message was put together, and its pieces are released. */
static int write_long(struct receiver *r)
{
        size_t done;
        int code;

        r->piece[0].iov_base = r->message.buf;
        r->piece[0].iov_len = r->message.len;
        r->piece[1].iov_base = (void *)(uintptr_t)(r->cli->framing == CLI_LINES ? "\n" : "");
        r->piece[1].iov_len = 1;
        r->pieces = r->cli->framing != CLI_RAW && r->message.tag != CLI_TAG_BARE ? 2 : 1;
        code = write_batch(r, &done);
        forget_batch(r);
        r->progress.messages++;
        r->progress.bytes += done;
        cli_progress_tick(&r->progress);
        return code ? code : -1;
}

/* m is a piece, or a message behind pieces that will not be complete. -1:
 * continue. */
static int receive_long(struct receiver *r, const struct sluice_message *m)
{
        ssize_t n = flush_batch(r, m);

        if (n)
                return (int)n;
        do {
                n = sluice_recv_long(&r->queue, &r->message, cli_deadline(r->cli));
                if (n == -EMSGSIZE)
                        n = make_space(&r->message);
        } while (n == -EMSGSIZE);
        return n < 0 ? overcome(r, (int)n) : write_long(r);
}

/* ---- Receiving ---------------------------------------------------- */

/* A batch waits a moment for more. */
static int look(struct receiver *r, struct sluice_message *m)
{
        int err = sluice_peek(&r->queue, m, SLUICE_NOW);

        for (int i = 0; err == -EAGAIN && r->messages > 0 && i < IDLE_LOOKS; i++)
                err = sluice_peek(&r->queue, m, SLUICE_NOW);
        return err;
}

/* The message that was peeked. -1: continue. */
static int take(struct receiver *r, const struct sluice_message *m)
{
        int code;

        if (m->kind != SLUICE_WHOLE || r->message.open)
                return receive_long(r, m);
        code = gather(r, m);
        return code ? code : -1;
}

static int receive_all(struct receiver *r)
{
        struct sluice_message m;

        for (;;) {
                int err = cli_stopped() ? -ECANCELED : look(r, &m);
                int code;

                if (err == 0) {
                        if (r->progress.started_ns == 0)
                                cli_progress_tick(&r->progress);
                        r->after_end = 0;
                        r->ended = 0;
                        r->announced = 0;
                        code = take(r, &m);
                        if (code >= 0)
                                return code;
                        continue;
                }
                code = flush_batch(r, NULL);
                if (code)
                        return code;
                if (err == -EAGAIN && earlier_end(r))
                        err = r->ended;
                if (err == -EAGAIN)
                        err = sluice_peek(&r->queue, &m, cli_deadline(r->cli));
                if (err == 0)
                        continue; /* the next look sees it again */
                code = overcome(r, err);
                if (code >= 0)
                        return code;
        }
}

/* Has an earlier receiver received everything, including the end? */
static void look_before(struct receiver *r)
{
        struct sluice_queue_stat st;

        if (sluice_stat(r->cli->name, &st) != 0)
                return;
        r->senders = st.producer.attaches;
        r->after_end = st.pending == 0 && cli_end_of(&st.producer) == -EPIPE &&
                       cli_end_of(&st.consumer) == -EPIPE;
}

/* Once the queue is open, it reports every sender that comes. */
static void look_behind(struct receiver *r)
{
        struct sluice_queue_stat st;

        if (sluice_stat(r->cli->name, &st) != 0)
                return;
        if (!cli_end_of(&st.producer) || st.producer.attaches != r->senders)
                r->after_end = 0;
        r->senders = st.producer.attaches;
        if (st.pending == 0)
                r->ended = cli_end_of(&st.producer);
}

int cli_recv(struct cli *c)
{
        static struct receiver r;
        int code;

        r.cli = c;
        cli_catch_signals();
        look_before(&r);
        code = cli_open(c, open_consumer, &r.queue);
        if (code)
                return code;
        look_behind(&r);
        r.held_most = sluice_consumer_max_len(&r.queue) / 2;
        cli_interrupt_consumer(&r.queue);
        cli_progress_start(&r.progress, c, STDOUT_FILENO);
        code = receive_all(&r);
        cli_interrupt_consumer(NULL);
        sluice_consumer_close(&r.queue);
        cli_progress_end(&r.progress);
        free(r.message.buf);
        return code;
}
