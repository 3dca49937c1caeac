/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "crowd.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "traffic.h"

enum { GAP_NS = 2000000 }; /* between two starts, at most */

void crowd_nap(int64_t ns)
{
        const struct timespec t = {0, (long)ns};

        nanosleep(&t, NULL);
}

/* One ends, be it by itself or not: 0, or 1 if it failed. */
static int end_one(const struct crowd *c, pid_t pid, uint64_t *random)
{
        int status;

        if (traffic_random(random) % c->spared != 0)
                kill(pid, SIGKILL);
        if (waitpid(pid, &status, 0) != pid)
                return 1;
        return WIFEXITED(status) && WEXITSTATUS(status) != 0;
}

static pid_t start_one(const struct crowd *c, int i, uint64_t random)
{
        const pid_t pid = fork();

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(c->body(i, random));
        }
        return pid;
}

int crowd_run(const struct crowd *c, uint64_t random)
{
        pid_t *const all = calloc((size_t)c->at_once, sizeof *all);
        int failed = all == NULL;

        for (int i = 0; all && i < c->total + c->at_once; i++) {
                pid_t *const pid = &all[i % c->at_once];

                if (*pid > 0)
                        failed |= end_one(c, *pid, &random);
                *pid = i < c->total ? start_one(c, i, random + (uint64_t)i) : 0;
                failed |= *pid < 0;
                if (i < c->total)
                        traffic_pause(&random, GAP_NS);
        }
        free(all);
        return failed;
}

int crowd_alive(int starter)
{
        int status;
        const pid_t ended = waitpid(starter, &status, WNOHANG);

        if (ended == 0)
                return 1;
        return ended == starter && status == 0 ? 0 : -1;
}

int crowd_start(const struct crowd *c, uint64_t random)
{
        const pid_t pid = fork();

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                _exit(crowd_run(c, random));
        }
        return pid;
}

static int serve_all(struct sluice_group *g, sluice_group_handler *fn, void *ctx, const int *ended,
                     int starter)
{
        uint64_t failures = 0;
        int quiet = 0, alive = 1;

        while (quiet < 20) {
                const int before = *ended;
                const ssize_t n = sluice_group_serve(g, fn, ctx, SIZE_MAX, sluice_after(50000000));

                if (n < 0)
                        traffic_differs(failures++, "serve", (uint64_t)-n, 0);
                if (alive > 0)
                        alive = crowd_alive(starter);
                quiet = n != 0 || *ended != before || alive > 0 ? 0 : quiet + 1;
        }
        return alive != 0 || failures != 0;
}

int crowd_serve(const char *directory, unsigned flags, sluice_group_handler *fn, void *ctx,
                const int *ended, int starter)
{
        struct sluice_group *g;
        int r;

        if (sluice_group_create(&g, NULL) != 0)
                return 1;
        r = sluice_group_watch(g, directory, flags, NULL) != 0 ||
            serve_all(g, fn, ctx, ended, starter);
        sluice_group_destroy(g);
        return r;
}
