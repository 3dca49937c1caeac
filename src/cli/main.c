/* SPDX-License-Identifier: MIT */
/* The command line: which command, which options, what help. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

struct command {
        const char *name;
        int (*run)(struct cli *c);
        const char *options; /* codes of the options that it takes */
        int least, most;     /* how many NAMEs */
        const char *usage, *summary, *help;
};

/* One option; code is its letter too, where it has one. */
struct option_text {
        int code;
        int has_letter;
        const char *name;
        const char *argument; /* NULL: none */
        const char *help;
};

#define BENCH_NS       INT64_C(20000000000)
#define BENCH_LEAST_NS INT64_C(500000000)
#define BENCH_MOST_NS  INT64_C(3600000000000)

#define RAW_BLOCKS     'B' /* --raw SIZE, of send */
#define RAW_BYTES      'R' /* --raw, of recv and dump */

static const struct option_text options[] = {
        {'0', 1, "null", NULL, "messages end with a NUL, not a newline"},
        {RAW_BLOCKS, 0, "raw", "SIZE", "messages are blocks of SIZE bytes"},
        {RAW_BYTES, 0, "raw", NULL, "write message bytes only, without newlines"},
        {'c', 0, "create", NULL, "create the queue if it does not exist"},
        {'C', 0, "capacity", "SIZE", "with --create: bytes, a power of two (256K)"},
        {'A', 0, "align", "BYTES", "with --create: record alignment, 8 to 128 (64)"},
        {'M', 0, "mode", "OCTAL", "with --create: permissions, in octal (0600)"},
        {'H', 0, "huge", NULL, "with --create: use huge pages"},
        {'P', 0, "prefault", NULL, "touch all memory at the start; up to 1M always"},
        {'L', 0, "lock", NULL, "keep the memory from being paged out"},
        {'w', 0, "wait", "HOW", "how to wait: futex, fifo or spin (futex)"},
        {'t', 1, "timeout", "SECONDS",
         "longest wait for the queue, a message, room,\n"
         "or the other side (no limit); 0: do not wait"},
        {'1', 0, "once", NULL,
         "exit when the other side has died or closed,\n"
         "instead of waiting for a successor"},
        {'s', 0, "stale", NULL,
         "only queues that nobody uses and that hold no\n"
         "messages; without a NAME, all such queues"},
        {'d', 0, "dry-run", NULL, "with --stale: only print what would be removed"},
        {'f', 0, "force", NULL, "with --stale: also queues with pending messages"},
        {'a', 0, "all-users", NULL, "with --stale, as root: queues of all users"},
        {'n', 1, "seconds", "SECONDS", "how long to measure, 0.5 to 3600 (20)"},
        {'p', 0, "cpus", "A,B", "processors of the two sides"},
        {'F', 0, "follow", NULL, "do not end: wait for new queues, until a signal"},
        {'o', 0, "source", NULL, "write the name of its queue before each message"},
        {'k', 0, "keep", NULL, "do not remove queues whose senders have ended"},
        {'j', 0, "json", NULL, "print JSON"},
        {'S', 0, "stats", NULL, "print a summary on stderr at the end"},
        {'q', 1, "quiet", NULL, "print errors only, no progress, no notices"},
        {'h', 1, "help", NULL, "show this help"},
};
#define OPTION_COUNT (sizeof options / sizeof *options)

static const struct command commands[] = {
        {"send", cli_send, "0BcCAMPLHwt1Sqh", 1, 1, "send [OPTION]... NAME",
         "send stdin to a queue, one message per line",
         "Ends at the end of input; messages not received yet stay in the queue.\n"},
        {"recv", cli_recv, "0RcCAMPLHwt1Sqh", 1, 1, "recv [OPTION]... NAME",
         "write the messages of a queue to stdout",
         "Ends when the sender has closed and everything is received. A message is\n"
         "released after it has been written.\n"},
        {"gather", cli_gather, "0Fokqh", 1, 1, "gather [OPTION]... DIR",
         "write the messages of all queues in a directory to stdout",
         "Each sender has a queue of its own there: sluice send --create DIR/\n"
         "Ends when all senders have closed or died and everything is received. A queue\n"
         "is removed then. A message is released after it has been written.\n"},
        {"ls", cli_ls, "jh", 0, 0, "ls [--json]", "list the queues of this machine", ""},
        {"stat", cli_stat, "jh", 1, INT32_MAX, "stat [--json] NAME...", "show a queue's details",
         "pending: sent and not released. longest: of a message that is sent whole; longer\n"
         "ones go in pieces. type: of a queue of one type. lost: messages dropped for want\n"
         "of room, and long ones of which only a part came; shown if there are any.\n"
         "A channel is two queues, NAME/request and NAME/reply.\n"},
        {"dump", cli_dump, "Rjh", 1, 1, "dump [--json|--raw] NAME",
         "show pending messages without removing them", ""},
        {"rm", cli_rm, "sdfah", 0, INT32_MAX, "rm NAME... | rm --stale [OPTION]... [NAME]...",
         "remove queues, even while they are in use",
         "Without --stale, a send or recv that uses the queue is woken and exits with 5.\n"},
        {"bench", cli_bench, "npjqh", 0, 0, "bench [OPTION]...", "measure queues on this machine",
         "Runs two processes on two processors, with temporary queues: round trips,\n"
         "streams, sleeping and waking, compared with bare cache lines and pipes.\n"},
};
#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static const char name_help[] =
        "NAME: a bare word (a queue in $SLUICE_DIR, else $XDG_RUNTIME_DIR/sluice, else\n"
        "/tmp/sluice-UID), a path (./q, /run/q), or key:0x2020 (a System V key).\n"
        "send --create DIR/: a new queue in that directory, with a unique name.\n";

static const char size_help[] = "SIZE: bytes; K, M, G: times 1024.\n";

static const struct {
        const char *of; /* the commands that end so; NULL: all */
        const char *text;
} exit_codes[] = {
        {NULL, "0    success"},
        {NULL, "1    an error, reported on stderr"},
        {NULL, "2    wrong usage"},
        {"send recv", "3    timed out (--timeout)"},
        {"send recv", "4    --once, and the other side died or closed before the end"},
        {"send recv bench", "5    the queue was removed while in use"},
        {"send recv rm", "6    another process holds the queue, or this side of it"},
        {"send recv gather bench",
         "129, 130, 143  shut down cleanly after SIGHUP, SIGINT, SIGTERM"},
        {"recv gather ls stat dump rm bench", "141  the reader of stdout has closed it"},
};

/* k: NULL: of all commands. */
static void help_codes(FILE *out, const struct command *k)
{
        fputs("Exit codes:\n", out);
        for (size_t i = 0; i < sizeof exit_codes / sizeof *exit_codes; i++)
                if (!k || !exit_codes[i].of || strstr(exit_codes[i].of, k->name))
                        fprintf(out, "  %s\n", exit_codes[i].text);
}

static void help_top(FILE *out)
{
        fputs("usage: sluice COMMAND [OPTION]... [NAME]\n"
              "A single-producer single-consumer message queue in shared memory.\n\n",
              out);
        for (size_t i = 0; i < COMMAND_COUNT; i++)
                fprintf(out, "  %-6s %s\n", commands[i].name, commands[i].summary);
        fprintf(out,
                "\n'sluice COMMAND --help' describes a command, 'sluice --version' the version."
                "\n\n%s%s\n",
                name_help, size_help);
        help_codes(out, NULL);
        fputs("\nIn one terminal   sluice recv greetings\n"
              "in another        echo hello | sluice send --create greetings\n",
              out);
}

static void help_option(FILE *out, const struct option_text *o)
{
        char left[40];
        const char *line = o->help;

        snprintf(left, sizeof left, "%c%c%c --%s%s%s", o->has_letter ? '-' : ' ',
                 o->has_letter ? o->code : ' ', o->has_letter ? ',' : ' ', o->name,
                 o->argument ? " " : "", o->argument ? o->argument : "");
        fprintf(out, "  %-22s ", left);
        for (;;) {
                const size_t len = strcspn(line, "\n");

                fprintf(out, "%.*s\n", (int)len, line);
                if (line[len] == '\0')
                        return;
                line += len + 1;
                fprintf(out, "%25s", "");
        }
}

static void help_command(FILE *out, const struct command *k)
{
        int takes_size = 0;

        fprintf(out, "usage: sluice %s\nsluice %s: %s.\n%s\n", k->usage, k->name, k->summary,
                k->help);
        for (size_t i = 0; i < OPTION_COUNT; i++) {
                if (!strchr(k->options, options[i].code))
                        continue;
                help_option(out, &options[i]);
                takes_size |= options[i].argument && strcmp(options[i].argument, "SIZE") == 0;
        }
        fprintf(out, "\n%s%s%s", k->most > 0 ? name_help : "", takes_size ? size_help : "",
                k->most > 0 || takes_size ? "\n" : "");
        help_codes(out, k);
}

/* Help is a result, too: writing it may fail. */
static int finish_stdout(void)
{
        const int error = cli_stdout_end();

        if (error == 0)
                return CLI_OK;
        if (error == EPIPE)
                return CLI_STDOUT;
        fprintf(stderr, "sluice: cannot write to stdout: %s\n", strerror(error));
        return CLI_ERROR;
}

static void put_quoted(const char *text)
{
        fputc('\'', stderr);
        cli_put_text(stderr, text, strlen(text));
        fputc('\'', stderr);
}

/* "WHAT 'GOT'", or "WHAT" alone when got is NULL. */
static int usage_error(const struct cli *c, const char *what, const char *got)
{
        fprintf(stderr, "sluice: %s: %s%s", c->command, what, got ? " " : "");
        if (got)
                put_quoted(got);
        fprintf(stderr, " (see 'sluice %s --help')\n", c->command);
        return CLI_USAGE;
}

/* "option 'OPTION' WHAT" */
static int option_error(const struct cli *c, const char *option, const char *what)
{
        fprintf(stderr, "sluice: %s: option ", c->command);
        put_quoted(option);
        fprintf(stderr, " %s (see 'sluice %s --help')\n", what, c->command);
        return CLI_USAGE;
}

/* ---- The values of options ---------------------------------------- */

static int take_capacity(struct cli *c, const char *text)
{
        uint64_t value;

        if (cli_parse_size(text, &value) != 0 || (value & (value - 1)) != 0 || value < 32 ||
            value > SLUICE_CAPACITY_MAX)
                return usage_error(c, "--capacity: expected a power of two from 32 to 1G, got",
                                   text);
        c->queue.capacity = (size_t)value;
        return 0;
}

static int take_align(struct cli *c, const char *text)
{
        uint64_t value;

        if (cli_parse_size(text, &value) != 0 || (value & (value - 1)) != 0 ||
            value < SLUICE_RECORD_ALIGN_MIN || value > SLUICE_RECORD_ALIGN_MAX)
                return usage_error(c, "--align: expected 8, 16, 32, 64 or 128, got", text);
        c->queue.record_align = (uint32_t)value;
        return 0;
}

static int take_block(struct cli *c, const char *text)
{
        uint64_t value;

        if (cli_parse_size(text, &value) != 0 || value == 0 || value > SLUICE_CAPACITY_MAX / 2)
                return usage_error(c, "--raw: expected a SIZE from 1 to 1G, got", text);
        c->block = (size_t)value;
        c->framing = CLI_RAW;
        return 0;
}

static int take_wait(struct cli *c, const char *text)
{
        if (strcmp(text, "futex") == 0)
                c->queue.wake = SLUICE_WAKE_FUTEX;
        else if (strcmp(text, "fifo") == 0)
                c->queue.wake = SLUICE_WAKE_FIFO;
        else if (strcmp(text, "spin") == 0)
                c->queue.spin_ns = SLUICE_SPIN_FOREVER;
        else
                return usage_error(c, "--wait: expected futex, fifo or spin, got", text);
        return 0;
}

static int take_seconds(struct cli *c, const char *text)
{
        if (cli_parse_seconds(text, &c->seconds_ns) != 0 || c->seconds_ns < BENCH_LEAST_NS ||
            c->seconds_ns > BENCH_MOST_NS)
                return usage_error(c, "--seconds: expected SECONDS from 0.5 to 3600, got", text);
        return 0;
}

static int take_valued(struct cli *c, int code, const char *text)
{
        switch (code) {
        case 'n':
                return take_seconds(c, text);
        case 'p':
                if (cli_parse_cpus(text, c->cpu) == 0)
                        return 0;
                return usage_error(c, "--cpus: expected two processors like 0,1, got", text);
        case RAW_BLOCKS:
                return take_block(c, text);
        case 'C':
                return take_capacity(c, text);
        case 'A':
                return take_align(c, text);
        case 'w':
                return take_wait(c, text);
        case 'M':
                if (cli_parse_mode(text, &c->queue.mode) == 0)
                        return 0;
                return usage_error(c,
                                   "--mode: expected reading and writing in octal, like 0600, "
                                   "0640 or 0666, got",
                                   text);
        default:
                if (cli_parse_seconds(text, &c->timeout_ns) == 0)
                        return 0;
                return usage_error(c, "--timeout: expected SECONDS like 5 or 0.25, got", text);
        }
}

static int take_framing(struct cli *c, enum cli_framing framing)
{
        c->framing = framing;
        return 0;
}

/* Where bits are set; of int and unsigned alike. */
static unsigned *field_of(struct cli *c, size_t offset)
{
        return (unsigned *)(void *)((char *)c + offset);
}

static int take_plain(struct cli *c, int code)
{
        static const struct {
                int code;
                unsigned bits;
                size_t field;
        } plain[] = {
                {'P', SLUICE_PREFAULT, offsetof(struct cli, queue.flags)},
                {'L', SLUICE_LOCK, offsetof(struct cli, queue.flags)},
                {'H', SLUICE_HUGETLB, offsetof(struct cli, queue.flags)},
                {'d', SLUICE_REAP_DRY_RUN, offsetof(struct cli, reap)},
                {'f', SLUICE_REAP_PENDING, offsetof(struct cli, reap)},
                {'a', SLUICE_REAP_ALL_USERS, offsetof(struct cli, reap)},
                {'c', 1, offsetof(struct cli, create)},
                {'1', 1, offsetof(struct cli, once)},
                {'s', 1, offsetof(struct cli, stale)},
                {'F', 1, offsetof(struct cli, follow)},
                {'o', 1, offsetof(struct cli, source)},
                {'k', 1, offsetof(struct cli, keep)},
                {'j', 1, offsetof(struct cli, json)},
                {'S', 1, offsetof(struct cli, stats)},
                {'q', 1, offsetof(struct cli, quiet)},
        };

        for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
                if (plain[i].code == code) {
                        *field_of(c, plain[i].field) |= plain[i].bits;
                        return 0;
                }
        return code == '0'         ? take_framing(c, CLI_NULS)
               : code == RAW_BYTES ? take_framing(c, CLI_RAW)
                                   : -1;
}

/* ---- Reading the command line ------------------------------------- */

/* getopt's tables, of those options that the command takes. */
static void choose_options(const struct command *k, char *letters, struct option *longs)
{
        memset(longs, 0, (OPTION_COUNT + 1) * sizeof *longs);
        *letters++ = ':';
        for (size_t i = 0; i < OPTION_COUNT; i++) {
                if (!strchr(k->options, options[i].code))
                        continue;
                longs->name = options[i].name;
                longs->has_arg = options[i].argument ? required_argument : no_argument;
                longs->val = options[i].code;
                longs++;
                if (!options[i].has_letter)
                        continue;
                *letters++ = (char)options[i].code;
                if (options[i].argument)
                        *letters++ = ':';
        }
        *letters = '\0';
}

/* What getopt did not understand: a long option stands before optind. */
static int bad_option(const struct cli *c, int code, char **argv)
{
        char letter[3] = {'-', (char)optopt, '\0'};
        const char *const text =
                strncmp(argv[optind - 1], "--", 2) == 0 || optopt == 0 ? argv[optind - 1] : letter;

        if (code == ':')
                return option_error(c, text, "requires an argument");
        if (optopt != 0 && text != letter)
                return option_error(c, text, "takes no argument");
        return usage_error(c, "unknown option", text);
}

static int check_together(const struct cli *c, const struct command *k)
{
        const int shape = c->queue.capacity || c->queue.record_align || c->queue.mode ||
                          (c->queue.flags & SLUICE_HUGETLB);
        const size_t align =
                c->queue.record_align ? c->queue.record_align : SLUICE_RECORD_ALIGN_DEFAULT;

        if (shape && !c->create)
                return usage_error(c, "--capacity, --align, --mode and --huge need --create", NULL);
        if (c->queue.capacity && c->queue.capacity < SLUICE_CAPACITY_MIN_UNITS * align)
                return usage_error(c, "--capacity: expected at least 4 times --align", NULL);
        if (c->reap && !c->stale)
                return usage_error(c, "--dry-run, --force and --all-users need --stale", NULL);
        if (c->json && c->framing == CLI_RAW)
                return usage_error(c, "--json and --raw cannot be combined", NULL);
        if (c->name_count < k->least || (c->name_count == 0 && k->run == cli_rm && !c->stale))
                return usage_error(c, "the NAME of a queue is missing", NULL);
        if (c->name_count > k->most)
                return usage_error(c, "unexpected argument", c->names[k->most]);
        for (int i = 0; i < c->name_count; i++)
                if (c->names[i][0] == '\0')
                        return usage_error(c, "NAME must not be empty", NULL);
        return 0;
}

/* -1: continue. */
static int read_options(struct cli *c, const struct command *k, int argc, char **argv)
{
        struct option longs[OPTION_COUNT + 1];
        char letters[2 * OPTION_COUNT + 2];
        int code, r;

        choose_options(k, letters, longs);
        opterr = 0;
        while ((code = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
                if (code == 'h') {
                        help_command(stdout, k);
                        return finish_stdout();
                }
                if (code == '?' || code == ':')
                        return bad_option(c, code, argv);
                r = optarg ? take_valued(c, code, optarg) : take_plain(c, code);
                if (r)
                        return r;
        }
        c->names = argv + optind;
        c->name_count = argc - optind;
        r = check_together(c, k);
        return r ? r : -1;
}

static int run(const struct command *k, int argc, char **argv)
{
        struct cli c;
        int r;

        memset(&c, 0, sizeof c);
        c.command = k->name;
        c.timeout_ns = -1;
        c.seconds_ns = BENCH_NS;
        c.queue.size = sizeof c.queue;
        r = read_options(&c, k, argc, argv);
        if (r >= 0)
                return r;
        c.name = c.name_count ? c.names[0] : NULL;
        return k->run(&c);
}

/* A closed stdin, stdout or stderr must not become the number of a
 * descriptor of the queue: what is put there instead fails as well. */
static void fill_standard_streams(void)
{
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
                        open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

static const struct command *find_command(const char *word)
{
        for (size_t i = 0; i < COMMAND_COUNT; i++)
                if (strcmp(word, commands[i].name) == 0)
                        return &commands[i];
        return NULL;
}

/* A wrong word before any command is known. */
static int refuse(const char *where, const char *what, const char *word)
{
        fprintf(stderr, "sluice: %s%s ", where, what);
        put_quoted(word);
        fputs(" (see 'sluice --help')\n", stderr);
        return CLI_USAGE;
}

/* sluice help, sluice help COMMAND */
static int help(const char *word)
{
        const struct command *const k = word ? find_command(word) : NULL;

        if (word && !k)
                return refuse("", "unknown command", word);
        if (k)
                help_command(stdout, k);
        else
                help_top(stdout);
        return finish_stdout();
}

static int version(void)
{
        printf("sluice %s\n", sluice_version());
        return finish_stdout();
}

static int is_help(const char *word)
{
        return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* sluice WORD [ARGUMENT]... */
static int run_word(const char *word, int argc, char **argv)
{
        const struct command *const k = find_command(word);
        const int arguments = is_help(word);

        if (k)
                return run(k, argc, argv);
        if (!is_help(word) && strcmp(word, "--version") != 0)
                return refuse("", "unknown command", word);
        if (argc - 1 > arguments)
                return refuse(word, ": unexpected argument", argv[1 + arguments]);
        return is_help(word) ? help(argv[1]) : version();
}

int main(int argc, char **argv)
{
        fill_standard_streams();
        if (cli_stdout_begin() != 0) {
                fputs("sluice: out of memory\n", stderr);
                return CLI_ERROR;
        }
        signal(SIGPIPE, SIG_IGN); /* write(2) returns EPIPE instead */
        if (argc > 1 && *argv[1])
                return run_word(argv[1], argc - 1, argv + 1);
        help_top(stderr);
        return CLI_USAGE;
}
