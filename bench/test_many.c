/* SPDX-License-Identifier: MIT */
/*
 * Of the self-test: does a group that two threads serve hand over everything, are
 * both at work, and is a message that is not the next one noticed?
 */
#define _GNU_SOURCE
#include "many.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PRODUCERS = 4, EACH = 100000, TRIES = 20 };

/* One trial: how many messages the helper has handed over. That all were, the trial
 * sees itself. */
static uint64_t trial(bench_side_fn *put, unsigned producers, uint64_t each)
{
        void *const q = many_shared_by_two.open(producers);
        const unsigned crowd = producers + 1;
        uint64_t helped;

        (void)bench_crowd(many_shared_by_two.get, put, crowd, q, each * crowd);
        helped = many_helped(q);
        many_shared_by_two.close(q);
        return helped;
}

/* The only producer's first message comes again; who serves does so. */
static void put_twice(struct bench_side *s)
{
        struct bench_side one = *s;

        if (s->number > 0) {
                many_shared_by_two.put(s);
                return;
        }
        one.n = 1;
        many_shared_by_two.put(&one);
        many_shared_by_two.put(&one);
}

/* The program that finds it ends: a child does. */
static bool double_is_seen(void)
{
        pid_t child;
        int status = 0;

        fflush(NULL);
        child = fork();
        if (child == 0) {
                const int null = open("/dev/null", O_WRONLY);

                if (null < 0 || dup2(null, STDERR_FILENO) < 0)
                        _exit(2);
                (void)trial(put_twice, 1, 2);
                _exit(0);
        }
        return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
               WEXITSTATUS(status) == 1;
}

void many_self_test(void (*check)(bool good, const char *what, double figure))
{
        const uint64_t all = (uint64_t)PRODUCERS * EACH;
        uint64_t helped = 0;

        /* On a busy machine one of them may have had no turn: again, then. */
        for (int i = 0; i < TRIES && (helped == 0 || helped == all); i++)
                helped = trial(many_shared_by_two.put, PRODUCERS, EACH);
        check(helped > 0 && helped < all, "two threads serve a group",
              (double)helped / (double)all);
        check(double_is_seen(), "... and see a message that comes again", 0);
}
