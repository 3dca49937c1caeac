/* SPDX-License-Identifier: MIT */
/* The command line: which command, which options, what help. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define TEXT(x)    TEXT_OF(x)
#define TEXT_OF(x) #x
#define VERSION \
        TEXT(SLUICE_VERSION_MAJOR) "." TEXT(SLUICE_VERSION_MINOR) "." TEXT(SLUICE_VERSION_PATCH)

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
        {RAW_BYTES, 0, "raw", NULL, "write the bytes as they are, no newlines"},
        {'c', 0, "create", NULL, "make the queue if there is none"},
        {'C', 0, "capacity", "SIZE", "with --create: bytes, a power of two (256K)"},
        {'A', 0, "align", "BYTES", "with --create: record alignment, 8 to 128 (64)"},
        {'M', 0, "mode", "OCTAL", "with --create: who may open it (0600)"},
        {'H', 0, "huge", NULL, "with --create: on huge pages"},
        {'P', 0, "prefault", NULL, "touch all memory at the start"},
        {'L', 0, "lock", NULL, "keep the memory from being paged out"},
        {'w', 0, "wait", "HOW", "futex, fifo or spin: how to sleep (futex)"},
        {'t', 1, "timeout", "SECONDS",
         "longest wait for the queue, a message, room,\n"
         "or the other side (for ever); 0: do not wait"},
        {'1', 0, "once", NULL,
         "end when the other side died or left, rather\n"
         "than wait for a successor"},
        {'s', 0, "stale", NULL,
         "only queues that nobody uses and in which no\n"
         "message waits; without a NAME all of them"},
        {'d', 0, "dry-run", NULL, "with --stale: only say what would be removed"},
        {'f', 0, "force", NULL, "with --stale: also with messages that wait"},
        {'a', 0, "all-users", NULL, "with --stale, for root: everybody's"},
        {'n', 1, "seconds", "SECONDS", "how long to measure, 0.5 to 3600 (20)"},
        {'p', 0, "cpus", "A,B", "the processors of the two sides"},
        {'j', 0, "json", NULL, "JSON, for programs"},
        {'S', 0, "stats", NULL, "a summary on stderr at the end"},
        {'q', 1, "quiet", NULL, "no progress, no news, only errors"},
        {'h', 1, "help", NULL, "this text"},
};
#define OPTION_COUNT (sizeof options / sizeof *options)

static const struct command commands[] = {
        {"send", cli_send, "0BcCAMPLHwt1Sqh", 1, 1, "send [OPTION]... NAME",
         "send stdin to a queue, a message per line",
         "Ends at the end of input; what is not received yet stays in the queue.\n"},
        {"recv", cli_recv, "0RcCAMPLHwt1Sqh", 1, 1, "recv [OPTION]... NAME",
         "write what comes from a queue to stdout",
         "Ends when the sender has ended and all is received. A message leaves the\n"
         "queue once it is written.\n"},
        {"ls", cli_ls, "jh", 0, 0, "ls [--json]", "list the queues of this machine", ""},
        {"stat", cli_stat, "jh", 1, INT32_MAX, "stat [--json] NAME...", "tell all about a queue",
         ""},
        {"dump", cli_dump, "Rjh", 1, 1, "dump [--json|--raw] NAME",
         "show the messages that wait in a queue, and leave them there", ""},
        {"rm", cli_rm, "sdfah", 0, INT32_MAX, "rm NAME... | rm --stale [OPTION]... [NAME]...",
         "remove queues, also while they are in use",
         "Without --stale, users of the queue are woken and end with exit code 5.\n"},
        {"bench", cli_bench, "npjqh", 0, 0, "bench [OPTION]...",
         "measure what queues do on this machine",
         "Two processes on two processors, and queues of its own, which it removes:\n"
         "round trips, streams, sleeping and waking, beside bare cache lines and pipes.\n"},
};
#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static const char name_help[] =
        "NAME: a bare word (a queue in $SLUICE_DIR, else $XDG_RUNTIME_DIR/sluice, else\n"
        "/tmp/sluice-UID), a path (./q, /run/q), or key:0x2020 (a System V key).\n";

static const char size_help[] = "SIZE: bytes; K, M, G: times 1024.\n";

static const struct {
        const char *of; /* the commands that end so; NULL: all */
        const char *text;
} exit_codes[] = {
        {NULL, "0    all done"},
        {NULL, "1    an error, told on stderr"},
        {NULL, "2    wrong usage"},
        {"send recv", "3    --timeout has passed"},
        {"send recv", "4    --once, and the other side died or left before the end"},
        {"send recv bench", "5    the queue was removed while in use"},
        {"send recv rm", "6    another process holds the queue, or this side of it"},
        {"send", "7    a message is longer than the queue can ever take"},
        {"send recv bench", "129, 130, 143  ended by SIGHUP, SIGINT, SIGTERM, in order"},
        {"recv ls stat dump rm bench", "141  nobody reads stdout any more"},
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
              "Messages from one process to one other, through shared memory.\n\n",
              out);
        for (size_t i = 0; i < COMMAND_COUNT; i++)
                fprintf(out, "  %-6s %s\n", commands[i].name, commands[i].summary);
        fprintf(out,
                "\nsluice COMMAND --help tells more, sluice --version which version.\n\n%s%s\n",
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

/* Help is the result that was asked for, and may fail to be written. */
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

static int usage_error(const struct cli *c, const char *what, const char *got)
{
        fprintf(stderr, "sluice: %s: %s%s", c->command, what, got ? " '" : "");
        if (got) {
                cli_put_text(stderr, got, strlen(got));
                fputc('\'', stderr);
        }
        fprintf(stderr, " (sluice %s --help tells more)\n", c->command);
        return CLI_USAGE;
}

/* ---- The values of options ---------------------------------------- */

static int take_capacity(struct cli *c, const char *text)
{
        uint64_t value;

        if (cli_parse_size(text, &value) != 0 || (value & (value - 1)) != 0 || value < 32 ||
            value > SLUICE_CAPACITY_MAX)
                return usage_error(c, "--capacity: expected a power of two from 32 to 2G, got",
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

static int take_plain(struct cli *c, int code)
{
        switch (code) {
        case '0':
                c->framing = CLI_NULS;
                break;
        case RAW_BYTES:
                c->framing = CLI_RAW;
                break;
        case 'c':
                c->create = 1;
                break;
        case 'P':
                c->queue.flags |= SLUICE_PREFAULT;
                break;
        case 'L':
                c->queue.flags |= SLUICE_LOCK;
                break;
        case 'H':
                c->queue.flags |= SLUICE_HUGETLB;
                break;
        case '1':
                c->once = 1;
                break;
        case 's':
                c->stale = 1;
                break;
        case 'd':
                c->reap |= SLUICE_REAP_DRY_RUN;
                break;
        case 'f':
                c->reap |= SLUICE_REAP_PENDING;
                break;
        case 'a':
                c->reap |= SLUICE_REAP_ALL_USERS;
                break;
        case 'j':
                c->json = 1;
                break;
        case 'S':
                c->stats = 1;
                break;
        case 'q':
                c->quiet = 1;
                break;
        default:
                return -1;
        }
        return 0;
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
                return usage_error(c, "a value is missing after", text);
        if (optopt != 0 && text != letter)
                return usage_error(c, "no value belongs to this option:", text);
        return usage_error(c, "there is no option", text);
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
                return usage_error(c, "--json or --raw, not both", NULL);
        if (c->name_count < k->least || (c->name_count == 0 && k->run == cli_rm && !c->stale))
                return usage_error(c, "the NAME of a queue is missing", NULL);
        if (c->name_count > k->most)
                return usage_error(c, "one argument too many:", c->names[k->most]);
        for (int i = 0; i < c->name_count; i++)
                if (c->names[i][0] == '\0')
                        return usage_error(c, "a NAME is empty", NULL);
        return 0;
}

/* -1: go on. */
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

/* A wrong word where no command is known. */
static int refuse(const char *where, const char *what, const char *word)
{
        fprintf(stderr, "sluice: %s%s '", where, what);
        cli_put_text(stderr, word, strlen(word));
        fputs("' (sluice --help tells more)\n", stderr);
        return CLI_USAGE;
}

/* sluice help, sluice help COMMAND */
static int help(const char *word)
{
        const struct command *const k = word ? find_command(word) : NULL;

        if (word && !k)
                return refuse("", "there is no command", word);
        if (k)
                help_command(stdout, k);
        else
                help_top(stdout);
        return finish_stdout();
}

static int version(void)
{
        puts("sluice " VERSION);
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
                return refuse("", "there is no command", word);
        if (argc - 1 > arguments)
                return refuse(word, ": one argument too many:", argv[1 + arguments]);
        return is_help(word) ? help(argv[1]) : version();
}

int main(int argc, char **argv)
{
        fill_standard_streams();
        if (cli_stdout_begin() != 0) {
                fputs("sluice: out of memory\n", stderr);
                return CLI_ERROR;
        }
        signal(SIGPIPE, SIG_IGN); /* -EPIPE is told apart from a crash */
        if (argc > 1 && *argv[1])
                return run_word(argv[1], argc - 1, argv + 1);
        help_top(stderr);
        return CLI_USAGE;
}
