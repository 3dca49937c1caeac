/* SPDX-License-Identifier: MIT */
/*
 * A group of 10,000 named queues, or of as many as the hard limit of descriptors
 * permits, in an IPC namespace whose limits are raised for that: each takes two
 * descriptors, all are parked, and each that gets a message is found. One more
 * than RLIMIT_NOFILE permits is refused, and the error says so.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sluice/group.h"
#include "traffic.h"

enum { MEMBERS = 10000, EACH = 2, BESIDE = 64 /* descriptors */, SENDERS = 100 };

static char directory[200];
static int failures;

static void expect(const char *what, long long found, long long expected)
{
        if (found == expected)
                return;
        failures++;
        fprintf(stderr, "%s: %lld, not %lld\n", what, found, expected);
}

static const char *name_of(int i)
{
        static char name[220];

        snprintf(name, sizeof name, "%s/%d", directory, i);
        return name;
}

/* ---- What it needs ------------------------------------------------ */

static bool raise_segments(void)
{
        const int fd = unshare(CLONE_NEWIPC) != 0
                               ? -1
                               : open("/proc/sys/kernel/shmmni", O_WRONLY | O_CLOEXEC);
        const bool done = fd >= 0 && write(fd, "16384", 5) == 5;

        if (fd >= 0)
                close(fd);
        return done;
}

/* The soft limit: 0 or -errno. */
static int set_descriptors(rlim_t n)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
                return -errno;
        limit.rlim_cur = n;
        return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : -errno;
}

/* How many members there can be: as root, the hard limit is raised. */
static int raise_descriptors(int n)
{
        const rlim_t wanted = (rlim_t)(EACH * n + BESIDE);
        struct rlimit limit = {wanted, wanted};

        if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
                return n;
        if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
                return 0;
        if (limit.rlim_max < wanted)
                n = (int)(limit.rlim_max - BESIDE) / EACH;
        return set_descriptors((rlim_t)(EACH * n + BESIDE)) == 0 ? n : 0;
}

static int count_descriptors(void)
{
        DIR *dir = opendir("/proc/self/fd");
        int n = 0;

        while (dir && readdir(dir))
                n++;
        if (dir)
                closedir(dir);
        return n;
}

/* ---- The members -------------------------------------------------- */

static void add_all(struct sluice_group *g, int n)
{
        const struct sluice_options o = {
                .size = sizeof o, .flags = SLUICE_CREATE, .capacity = 4096};
        const int before = count_descriptors();
        int r = 0;

        for (int i = 0; i < n && r == 0; i++)
                r = sluice_group_add(g, name_of(i), &o, NULL, NULL);
        if (r)
                fprintf(stderr, "add: %s\n", sluice_limit());
        expect("add", r, 0);
        expect("descriptors", count_descriptors() - before, (long long)EACH * n);
}

static int count_parked(void *ctx, const struct sluice_member *m,
                        const struct sluice_member_stat *st)
{
        (void)m;
        *(int *)ctx += st->parked;
        return 0;
}

static int take(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        uint64_t *found = ctx;

        if (event == SLUICE_JOINED)
                found[0]++;
        if (event == SLUICE_MESSAGE)
                memcpy(&found[1], message->data, sizeof *found);
        return event == SLUICE_MESSAGE && m;
}

static void park_all(struct sluice_group *g, int n)
{
        const sluice_deadline end = sluice_after(INT64_C(60000000000));
        uint64_t found[2] = {0};
        int parked = 0;

        while (parked < n && sluice_now_ns() < end) {
                expect("serve", sluice_group_serve(g, take, found, 1, sluice_after(1000000)), 0);
                parked = 0;
                expect("each", sluice_group_each(g, count_parked, &parked), n);
        }
        expect("joined", (long long)found[0], n);
        expect("parked", parked, n);
}

static void send_to(struct sluice_group *g, int i)
{
        const uint64_t number = (uint64_t)i;
        uint64_t found[2] = {0};
        struct sluice_producer p;
        int r = sluice_producer_open(&p, name_of(i), NULL);

        expect("open", r, 0);
        if (r)
                return;
        expect("send", sluice_send(&p, &number, sizeof number, SLUICE_NOW), 0);
        expect("serve", sluice_group_serve(g, take, found, 1, sluice_after(INT64_C(60000000000))),
               1);
        expect("message", (long long)found[1], i);
        sluice_producer_close(&p);
}

/* No descriptor is left for one more. */
static void add_one_more(struct sluice_group *g, int n)
{
        const struct sluice_options o = {
                .size = sizeof o, .flags = SLUICE_CREATE, .capacity = 4096};
        int fd = dup(0);

        expect("limit", set_descriptors((rlim_t)fd), 0);
        close(fd);
        fd = sluice_group_add(g, name_of(n), &o, NULL, NULL);
        expect("one more", fd, -EMFILE);
        expect("the error says so", strstr(sluice_limit(), "RLIMIT_NOFILE") != NULL, 1);
        expect("limit", set_descriptors((rlim_t)(EACH * n + BESIDE)), 0);
        sluice_remove(name_of(n));
}

int main(int argc, char **argv)
{
        const int n = raise_descriptors((int)traffic_scale(MEMBERS));
        const char *tmp = getenv("TMPDIR");
        struct sluice_group *g;

        traffic_seed(argc, argv);
        snprintf(directory, sizeof directory, "%s/stress-members-%d", tmp ? tmp : "/tmp", getpid());
        if (n < SENDERS || !raise_segments()) {
                puts("0 passed, 0 failed, 1 skipped");
                return 0;
        }
        if (mkdir(directory, 0700) != 0 || sluice_group_create(&g, NULL) != 0)
                return 1;
        add_all(g, n);
        park_all(g, n);
        for (int i = 0; i < SENDERS; i++)
                send_to(g, i * (n / SENDERS));
        add_one_more(g, n);
        sluice_group_destroy(g);
        for (int i = 0; i < n; i++)
                sluice_remove(name_of(i));
        expect("an empty directory", rmdir(directory), 0);
        printf("%d members\n", n);
        printf("%d passed, %d failed\n", failures == 0, failures != 0);
        return failures != 0;
}
