/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_CLI_H
#define SLUICE_CLI_H
/*
 * The command: main.c reads the command line, send.c, recv.c and gather.c move
 * messages, admin.c inspects, rm.c removes, channel.c names the queues of a channel, bench*.c measure; explain.c
 * explains errors, common.c and text.c are what all share.
 *
 * Functions that return int return an exit code, 0 to continue, unless
 * they say otherwise; they have reported the reason. Results go to
 * stdout, messages to stderr.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#include "sluice.h"

/* Exit codes; 128 + N after signal N. */
enum {
        CLI_OK = 0,
        CLI_ERROR = 1,
        CLI_USAGE = 2,
        CLI_TIMEOUT = 3,
        CLI_PEER = 4,    /* --once, and the other side died or closed */
        CLI_REMOVED = 5, /* the queue was removed while in use */
        CLI_TAKEN = 6,   /* another process holds the role */
        CLI_STDOUT = 141 /* the reader of stdout has closed it */
};

/* Message framing: how a stream of bytes is divided into messages. */
enum cli_framing { CLI_LINES, CLI_NULS, CLI_RAW };

/* The tag of a message that has no separator in the stream: a block, or
 * a last line without a newline. */
#define CLI_TAG_BARE UINT32_C(0x45524142)

/* A parsed command line. */
struct cli {
        const char *command;
        const char *name; /* the current queue */
        char **names;
        int name_count;
        struct sluice_options queue;
        int create, once, quiet, stats, json, stale;
        int follow, source, keep; /* of gather */
        unsigned reap;            /* rm --stale: SLUICE_REAP_... */
        enum cli_framing framing;
        size_t block;       /* --raw SIZE, bytes */
        int64_t timeout_ns; /* of each wait; negative: for ever */
        int64_t seconds_ns; /* of bench */
        int cpu[2];         /* of bench; both the same: it chooses */
};

int cli_send(struct cli *c);
int cli_recv(struct cli *c);
int cli_ls(struct cli *c);
int cli_stat(struct cli *c);
int cli_dump(struct cli *c);
int cli_rm(struct cli *c);
int cli_gather(struct cli *c);
int cli_bench(struct cli *c);

/* All queues, by name; to be freed. */
struct cli_listing {
        struct sluice_queue_stat *queue;
        size_t count, room;
};
int cli_list_all(const struct cli *c, struct cli_listing *l);
/* Not necessarily terminated: others write it. */
size_t cli_name_len(const struct sluice_queue_stat *st);
/* The name of `request` or `reply` of a channel; 0, or a negative errno. */
int cli_queue_of_channel(char path[SLUICE_NAME_MAX + 1], const char *name, const char *queue);

/* ---- Messages ---- */

/* "sluice: send: NAME: ..." on stderr. */
void cli_say(const struct cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same for notices that --quiet suppresses. */
void cli_note(const struct cli *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same in pieces: what is written to stderr between the two. */
void cli_say_begin(const struct cli *c);
void cli_say_end(void);
/* Explains a library error; returns the exit code for it. */
int cli_fail(const struct cli *c, int err);
/* The same for an error of create or open, which may have met a limit. */
int cli_fail_open(const struct cli *c, int err);
/* How long the directory of the queue has been as it is, in nanoseconds; INT64_MAX: it is
 * not there, or that cannot be said. */
int64_t cli_age_ns(const struct cli *c);
/* " in DIRECTORY" on stderr, where the name is a bare word. */
void cli_put_place(const struct cli *c);
/* Reports a system error: "cannot WHAT: ERROR". */
int cli_fail_io(const struct cli *c, const char *what, int error);

/* ---- Results ---- */

/* Before anything else is done with stdout. -1: no memory. */
int cli_stdout_begin(void);
/* 0: all of it is written; else the errno of the first write that failed. */
int cli_stdout_end(void);
/* At the end of a result: code, or an error if it was not written. */
int cli_finish(const struct cli *c, int code);

/* ---- Text that others wrote ---- */

/* For people: invisible and direction-changing characters become \xNN. */
void cli_put_text(FILE *out, const void *bytes, size_t len);
/* A JSON string: invisible characters become \uNNNN, a byte that is not
 * UTF-8 becomes U+FFFD. */
void cli_put_json(FILE *out, const void *bytes, size_t len);
void cli_put_hex(FILE *out, const void *bytes, size_t len);
int cli_is_utf8(const void *bytes, size_t len);
/* 1.5M, 12K, 100: for a column, in the form of a SIZE. */
const char *cli_amount(char text[16], double bytes);
/* 1.5 MiB, 12 KiB, 100 B: for a sentence. */
const char *cli_bytes(char text[16], double bytes);

/* ---- Numbers; 0, or -1 when text is not one ---- */

int cli_parse_size(const char *text, uint64_t *value);
int cli_parse_seconds(const char *text, int64_t *ns);
/* Reading and writing: 0600, and more for others. */
int cli_parse_mode(const char *text, mode_t *mode);
/* 0,1: two different ones. */
int cli_parse_cpus(const char *text, int cpu[2]);

/* ---- Signals ---- */

/* From here on INT, TERM and HUP make waiting calls return early, and
 * the two below nonzero. */
void cli_catch_signals(void);
/* Which signal asked to stop, or 0. */
int cli_stopped(void);
/* It asked a second ago: give up what was begun, too. */
int cli_hurried(void);
/* The endpoint whose waiting calls a signal ends; NULL: none. */
void cli_interrupt_producer(struct sluice_producer *p);
void cli_interrupt_consumer(struct sluice_consumer *c);
/* What else a signal calls; async-signal-safe. */
void cli_interrupt_by(void (*interrupt)(void));

/* ---- Waiting ---- */

/* How the last holder of a role ended: -EPIPE: closed, -EOWNERDEAD: died;
 * 0: the role is held, or never was. */
int cli_end_of(const struct sluice_endpoint_stat *e);
sluice_deadline cli_deadline(const struct cli *c);
/* Sleeps, longer each time: *ms is kept by the caller, 0 at first.
 * Returns an exit code when the deadline has passed or a signal came.
 * for_what: NULL: for the queue. */
int cli_doze(const struct cli *c, int *ms, sluice_deadline until, const char *for_what);
typedef int cli_open_fn(void *handle, const char *name, const struct sluice_options *options);
/* Opens the queue, makes it with --create, or waits until it is there. */
int cli_open(const struct cli *c, cli_open_fn *open, void *handle);
/* Sleeps until a descriptor is ready, which blocking ones always are. */
void cli_await_fd(int fd, short events);

/* ---- Progress ---- */

struct cli_progress {
        const struct cli *cli;
        uint64_t messages, bytes;
        int64_t started_ns, shown_ns; /* 0: not yet */
        int wanted, drawn;
};

/* other_fd: the stream of the data: no progress when it is a terminal. */
void cli_progress_start(struct cli_progress *p, const struct cli *c, int other_fd);
/* Cheap, to be called often; draws the line when it is due. */
void cli_progress_tick(struct cli_progress *p);
/* Removes the line; the summary, if it is wanted. */
void cli_progress_end(struct cli_progress *p);

#endif
