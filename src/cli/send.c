/* SPDX-License-Identifier: MIT */
/*
 * sluice send: stdin, cut into messages, to a queue.
 *
 * Messages are staged while there is room and more input at hand, and
 * published a batch at a time. Input that was read and cannot be sent is
 * returned to stdin by moving its offset back, when it is a file, so that
 * the next reader continues there; otherwise its size is reported.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

#define INPUT_BYTES    ((size_t)256 << 10) /* at first; as long as a message, later */
#define BATCH_MESSAGES 64
#define DIRECT_BYTES   4096 /* blocks of this size are read straight into the queue */

struct sender {
        const struct cli *cli;
        struct sluice_producer queue;
        struct cli_progress progress;
        unsigned staged;
        int ended;             /* how the receiver ended before; or 0 */
        uint64_t receivers;    /* ever, at that time */
        int announced;         /* that the receiver is gone */
        sluice_deadline until; /* to wait for its successor */

        unsigned char *buffer;
        size_t size, begin, end; /* unsent input is begin..end */
        size_t scanned;          /* begin..scanned holds no separator */
        int at_end;
};

static int open_producer(void *handle, const char *name, const struct sluice_options *options)
{
        return sluice_producer_open(handle, name, options);
}

static void publish(struct sender *s)
{
        if (s->staged == 0)
                return;
        sluice_publish(&s->queue);
        s->progress.messages += s->staged;
        s->staged = 0;
        cli_progress_tick(&s->progress);
}

/* ---- Room --------------------------------------------------------- */

/* Nobody receives and the queue is full: wait for a successor. */
static int await_receiver(struct sender *s, int why)
{
        const struct cli *const c = s->cli;
        const char *const how = why == -EPIPE ? "closed" : "died";
        int r;

        if (c->once) {
                cli_say(c, "the receiver has %s and the queue is full (--once)", how);
                return CLI_PEER;
        }
        if (!s->announced) {
                cli_note(c, "the receiver has %s and the queue is full: waiting for a successor",
                         how);
                s->announced = 1;
                s->until = cli_deadline(c);
        }
        r = sluice_producer_await_peer(&s->queue, s->until);
        if (r == 0)
                return 0;
        if (r != -ETIMEDOUT && r != -EAGAIN && r != -ECANCELED)
                return cli_fail(c, r);
        if (sluice_now_ns() < s->until)
                return 0;
        cli_say(c, "timed out waiting for a receiver (--timeout)");
        return CLI_TIMEOUT;
}

static int no_room(struct sender *s, int r)
{
        if (cli_stopped())
                return 128 + cli_stopped();
        switch (r) {
        case -ECANCELED:
                return 0;
        case -EAGAIN:
        case -ETIMEDOUT:
                cli_say(s->cli, "timed out waiting for room in the queue (--timeout)");
                return CLI_TIMEOUT;
        case -EPIPE:
        case -EOWNERDEAD:
                return await_receiver(s, r);
        default:
                return cli_fail(s->cli, r);
        }
}

/* The queue does not report the end of an earlier receiver to a new sender:
 * this command does, until another receiver has come. */
static int earlier_end(struct sender *s)
{
        struct sluice_queue_stat st;

        if (s->ended && sluice_stat(s->cli->name, &st) == 0 &&
            (!cli_end_of(&st.consumer) || st.consumer.attaches != s->receivers))
                s->ended = 0;
        return s->ended;
}

static void look_behind(struct sender *s)
{
        struct sluice_queue_stat st;

        if (sluice_stat(s->cli->name, &st) != 0)
                return;
        s->receivers = st.consumer.attaches;
        s->ended = cli_end_of(&st.consumer);
}

/* What is to be sent next: room for it, or all of it when it is long. */
struct outgoing {
        size_t len;
        void *payload;
        const void *from;
        uint32_t tag;
        size_t sent;
};

typedef int attempt_fn(struct sender *s, struct outgoing *o, sluice_deadline until);

static int attempt_room(struct sender *s, struct outgoing *o, sluice_deadline until)
{
        return sluice_reserve(&s->queue, o->len, &o->payload, until);
}

/* A successor of a receiver that is gone drops the rest: then once more. */
static int attempt_long(struct sender *s, struct outgoing *o, sluice_deadline until)
{
        const int r = sluice_send_long(&s->queue, o->from, o->len, o->tag, &o->sent, until);

        if (r == -EPIPE || r == -EOWNERDEAD)
                o->sent = 0;
        return r;
}

/* At once, or after all the staged ones are shown. */
static int until_done(struct sender *s, attempt_fn *attempt, struct outgoing *o)
{
        for (;;) {
                /* After -EPIPE the message may still fit. */
                int code, r = attempt(s, o, SLUICE_NOW);

                if (r == -EAGAIN && earlier_end(s))
                        r = s->ended;
                if (r == -EAGAIN && !cli_stopped())
                        r = attempt(s, o, cli_deadline(s->cli));
                if (r == 0)
                        break;
                code = no_room(s, r);
                if (code)
                        return code;
        }
        s->announced = 0;
        return 0;
}

static int reserve(struct sender *s, size_t len, void **payload)
{
        struct outgoing o = {.len = len};
        int code = 0;

        if (attempt_room(s, &o, SLUICE_NOW) != 0) {
                publish(s);
                code = until_done(s, attempt_room, &o);
        }
        *payload = o.payload;
        return code;
}

/* One that is longer than the queue can hold at once. */
static int put_long(struct sender *s, size_t len, uint32_t tag)
{
        struct outgoing o = {.len = len, .from = s->buffer + s->begin, .tag = tag};
        int code;

        publish(s);
        code = until_done(s, attempt_long, &o);
        if (code)
                return code;
        s->progress.messages++;
        s->progress.bytes += len;
        cli_progress_tick(&s->progress);
        return 0;
}

static int put(struct sender *s, size_t len, uint32_t tag)
{
        const unsigned char *const from = s->buffer + s->begin;
        void *payload;
        int code;

        if (len > sluice_producer_max_len(&s->queue))
                return put_long(s, len, tag);
        code = reserve(s, len, &payload);
        if (code)
                return code;
        memcpy(payload, from, len);
        sluice_set_tag(&s->queue, tag);
        sluice_stage(&s->queue, len);
        s->progress.bytes += len;
        if (++s->staged == BATCH_MESSAGES)
                publish(s);
        return 0;
}

/* ---- Input -------------------------------------------------------- */

/* read(2) until there is something: bytes, 0 at the end, or negative: a
 * signal asks to stop. An error is reported and becomes *code. */
static ssize_t read_some(struct sender *s, void *to, size_t len, int *code)
{
        while (!cli_stopped()) {
                const ssize_t n = read(STDIN_FILENO, to, len);

                cli_progress_tick(&s->progress);
                if (n >= 0)
                        return n;
                if (errno == EAGAIN) {
                        cli_await_fd(STDIN_FILENO, POLLIN);
                } else if (errno != EINTR) {
                        *code = cli_fail_io(s->cli, "read stdin", errno);
                        return -1;
                }
        }
        *code = 128 + cli_stopped();
        return -1;
}

/* Room behind end: moves what is unsent to the front, or grows. */
static int make_space(struct sender *s)
{
        unsigned char *bigger;

        if (s->begin > 0) {
                memmove(s->buffer, s->buffer + s->begin, s->end - s->begin);
                s->scanned -= s->begin;
                s->end -= s->begin;
                s->begin = 0;
        }
        if (s->end < s->size)
                return 0;
        bigger = realloc(s->buffer, s->size * 2);
        if (!bigger)
                return cli_fail(s->cli, -ENOMEM);
        s->buffer = bigger;
        s->size *= 2;
        return 0;
}

static int fill(struct sender *s)
{
        int code = make_space(s);
        ssize_t n;

        if (code)
                return code;
        n = read_some(s, s->buffer + s->end, s->size - s->end, &code);
        if (n < 0)
                return code;
        s->at_end = n == 0;
        s->end += (size_t)n;
        return 0;
}

/* ---- Messages ----------------------------------------------------- */

/* Is there a whole message in the buffer? Its length and that of its
 * separator. */
static int next_message(struct sender *s, size_t *len, size_t *separator)
{
        const enum cli_framing framing = s->cli->framing;
        const unsigned char *found;

        *separator = framing != CLI_RAW;
        if (framing == CLI_RAW) {
                *len = s->cli->block;
                return s->end - s->begin >= *len;
        }
        found = memchr(s->buffer + s->scanned, framing == CLI_LINES ? '\n' : '\0',
                       s->end - s->scanned);
        s->scanned = s->end;
        if (!found)
                return 0;
        *len = (size_t)(found - s->buffer) - s->begin;
        return 1;
}

static int send_whole_messages(struct sender *s)
{
        size_t len, separator;
        int code = 0;

        while (code == 0 && next_message(s, &len, &separator)) {
                code = put(s, len, separator ? 0 : CLI_TAG_BARE);
                if (code == 0) {
                        s->begin += len + separator;
                        s->scanned = s->begin;
                        s->progress.bytes += separator;
                }
        }
        publish(s);
        return code;
}

static int send_buffered(struct sender *s)
{
        while (!s->at_end) {
                int code = fill(s);

                if (code)
                        return code;
                code = send_whole_messages(s);
                if (code)
                        return code;
        }
        if (s->begin < s->end) {
                const int code = put(s, s->end - s->begin, CLI_TAG_BARE);

                if (code)
                        return code;
                s->begin = s->end;
        }
        publish(s);
        return 0;
}

/* A block from stdin to where it will be read. */
static int send_block(struct sender *s)
{
        size_t len = 0;
        void *payload;
        int code = reserve(s, s->cli->block, &payload);

        if (code)
                return code;
        while (len < s->cli->block) {
                const ssize_t n = read_some(s, (char *)payload + len, s->cli->block - len, &code);

                s->at_end = n == 0;
                if (n <= 0)
                        break;
                len += (size_t)n;
        }
        if (len == 0) {
                sluice_abort(&s->queue);
                return code;
        }
        sluice_set_tag(&s->queue, CLI_TAG_BARE);
        sluice_stage(&s->queue, len);
        s->staged++;
        s->progress.bytes += len;
        publish(s);
        return code;
}

static int send_all(struct sender *s)
{
        const struct cli *const c = s->cli;
        int code = 0;

        if (c->framing != CLI_RAW || c->block < DIRECT_BYTES ||
            c->block > sluice_producer_max_len(&s->queue))
                return send_buffered(s);
        while (code == 0 && !s->at_end)
                code = send_block(s);
        return code;
}

/* Input that was read and not sent, after an error or a signal. */
static void give_back(const struct sender *s)
{
        const size_t rest = s->end - s->begin;
        struct stat st;

        if (rest == 0)
                return;
        if (fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode) &&
            lseek(STDIN_FILENO, -(off_t)rest, SEEK_CUR) >= 0)
                return;
        cli_say(s->cli,
                "%llu messages were sent; %zu bytes of input after them were read, "
                "but not sent",
                (unsigned long long)s->progress.messages, rest);
}

int cli_send(struct cli *c)
{
        static struct sender s;
        int code;

        s.cli = c;
        cli_catch_signals();
        code = cli_open(c, open_producer, &s.queue);
        if (code)
                return code;
        look_behind(&s);
        cli_interrupt_producer(&s.queue);
        cli_progress_start(&s.progress, c, STDIN_FILENO);
        s.size = INPUT_BYTES;
        s.buffer = malloc(s.size);
        code = s.buffer ? send_all(&s) : cli_fail(c, -ENOMEM);
        cli_interrupt_producer(NULL);
        sluice_producer_close(&s.queue);
        cli_progress_end(&s.progress);
        if (code)
                give_back(&s);
        free(s.buffer);
        return code;
}
