/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail_scenarios.h"
#include "sluice.h"
#include "sluice/group.h"

#define LIMIT_ERRORS EMFILE, ENFILE, ENOMEM, ENOSPC
#define PATH_ERRORS  EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ENOTEMPTY, EPERM

static const short create_errors[] = {LIMIT_ERRORS, EINVAL, 0};
static const short open_errors[] = {LIMIT_ERRORS,    PATH_ERRORS, EBUSY,       EPROTO, EPROTOTYPE,
                                    EPROTONOSUPPORT, EBADMSG,     EINPROGRESS, EINVAL, 0};
static const short serve_errors[] = {LIMIT_ERRORS, EINVAL, 0};

static struct sluice_group *group;
static struct sluice_producer p;
static char directory[600], name[620];

/* ---- Before ------------------------------------------------------- */

static void make_queue(void)
{
        const struct sluice_options o = {
                .size = sizeof o, .capacity = 4096, .flags = SLUICE_CREATE};

        snprintf(directory, sizeof directory, "%s/group", getenv("SLUICE_DIR"));
        snprintf(name, sizeof name, "%s/q", directory);
        if (mkdir(directory, 0700) != 0)
                abort();
        fail_unprepared = sluice_producer_open(&p, name, &o);
}

static void make_group(void)
{
        make_queue();
        if (fail_unprepared == 0)
                fail_unprepared = sluice_group_create(&group, NULL);
}

static void make_member(void)
{
        make_group();
        if (fail_unprepared == 0)
                fail_unprepared = sluice_group_add(group, name, NULL, NULL, NULL);
}

static int ignore(void *ctx, struct sluice_member *m, enum sluice_event event,
                  const struct sluice_message *message)
{
        (void)ctx, (void)m, (void)event, (void)message;
        return 0;
}

/* Nothing is left to be told. */
static void make_idle(void)
{
        make_member();
        if (fail_unprepared == 0 &&
            sluice_group_serve(group, ignore, NULL, 1, sluice_after(1000000)) != 0)
                fail_unprepared = -ENOTRECOVERABLE;
}

/* ---- The calls ---------------------------------------------------- */

static int create(void)
{
        return sluice_group_create(&group, NULL);
}

static int add(void)
{
        return sluice_group_add(group, name, NULL, NULL, NULL);
}

static int watch(void)
{
        return sluice_group_watch(group, directory, 0, NULL);
}

static int serve(void)
{
        return (int)sluice_group_serve(group, ignore, NULL, 1, sluice_after(2000000));
}

static int arm(void)
{
        const int r = sluice_group_arm(group), d = sluice_group_disarm(group);

        return r < 0 ? r : d;
}

/* ---- After -------------------------------------------------------- */

void fail_groups_clean(void)
{
        const int saved = errno;

        if (group)
                sluice_group_destroy(group);
        group = NULL;
        if (p.base.queue)
                sluice_producer_close(&p);
        if (directory[0] != '\0') {
                sluice_remove(name);
                rmdir(directory);
        }
        directory[0] = '\0';
        errno = saved;
}

const struct scenario fail_group_scenarios[] = {
        {"create, group", make_queue, create, create_errors, 0, FAIL_ATOMIC},
        {"open, group, add", make_group, add, open_errors, 0, FAIL_ATOMIC | FAIL_PARTS},
        /* Its inotify descriptor stays for the next try. */
        {"open, group, watch", make_group, watch, open_errors, 0, 0},
        {"receive, group, serve", make_member, serve, serve_errors, 0, FAIL_WAITS},
        {"arm, group", make_idle, arm, serve_errors, 0, 0},
        {NULL, NULL, NULL, NULL, 0, 0},
};
