/* SPDX-License-Identifier: MIT */
/*
 * Runs the tests of a program that was compiled with our criterion.h.
 *
 *   PROGRAM [--jobs N] [--skip FILE]
 *
 * FILE names tests that cannot pass here, `suite::test reason` on a line
 * each. They are named in the output and counted as skipped, as those that
 * say so themselves. A line of FILE that says `suite::* reason` means the
 * whole suite. The last line is `N passed, N failed, N skipped`.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <criterion/options.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAILED  97
#define SKIPPED 96

struct criterion_options criterion_options;

/* Tests of rings alone have none. */
#pragma weak cross_report_PRE_ALL
#pragma weak cross_report_POST_ALL

static struct cross_test *first, **last = &first;

void cross_register(struct cross_test *test)
{
        *last = test;
        last = &test->next;
}

void cross_fail(const char *file, int line, const char *format, ...)
{
        va_list arguments;

        fprintf(stderr, "%s:%d: ", file, line);
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fputc('\n', stderr);
        _exit(FAILED);
}

void cross_skip(const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        fputs("skipped: ", stdout);
        vprintf(format, arguments);
        putchar('\n');
        va_end(arguments);
        fflush(stdout);
        _exit(SKIPPED);
}

/* A test that ends in another way than by returning has not passed. */
static int run(const struct cross_test *test)
{
        const pid_t pid = fork();
        int status;

        if (pid < 0)
                return -errno;
        if (pid == 0) {
                alarm(test->options.timeout);
                test->body();
                fflush(NULL);
                _exit(0);
        }
        while (waitpid(pid, &status, 0) != pid)
                if (errno != EINTR)
                        return -errno;
        return status;
}

/* Why this test is not run, or NULL. */
static const char *reason(FILE *skips, const struct cross_test *test)
{
        const size_t suite = (size_t)(strchr(test->name, ':') - test->name) + 2;
        static char line[400];
        char name[200];

        if (!skips)
                return NULL;
        rewind(skips);
        while (fgets(line, sizeof line, skips)) {
                int end = 0;

                if (*line == '#' || sscanf(line, "%199s %n", name, &end) != 1)
                        continue;
                if (strcmp(name, test->name) != 0 &&
                    (strncmp(name, test->name, suite) != 0 || strcmp(name + suite, "*") != 0))
                        continue;
                line[strcspn(line, "\n")] = '\0';
                return line + end;
        }
        return NULL;
}

struct counts {
        unsigned passed, failed, skipped;
};

static void run_one(struct counts *n, const struct cross_test *test, const char *why)
{
        int status;

        if (why) {
                printf("skipped %s: %s\n", test->name, why);
                n->skipped++;
                return;
        }
        fflush(NULL);
        status = run(test);
        if (status == 0) {
                printf("ok %s\n", test->name);
                n->passed++;
        } else if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
                printf("skipped %s\n", test->name);
                n->skipped++;
        } else {
                printf("FAILED %s (%s, status %#x)\n", test->name, test->file, (unsigned)status);
                n->failed++;
        }
}

int main(int argc, char **argv)
{
        struct counts n = {0, 0, 0};
        FILE *skips = NULL;

        for (int i = 1; i + 1 < argc; i += 2) {
                if (strcmp(argv[i], "--skip") == 0 && !(skips = fopen(argv[i + 1], "re"))) {
                        perror(argv[i + 1]);
                        return 2;
                }
        }
        if (cross_report_PRE_ALL)
                cross_report_PRE_ALL(NULL);
        for (const struct cross_test *test = first; test; test = test->next)
                run_one(&n, test, reason(skips, test));
        if (cross_report_POST_ALL)
                cross_report_POST_ALL(NULL);
        printf("%u passed, %u failed, %u skipped\n", n.passed, n.failed, n.skipped);
        return n.failed != 0 || n.passed + n.skipped == 0;
}
