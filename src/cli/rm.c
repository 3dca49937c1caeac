/* SPDX-License-Identifier: MIT */
/* sluice rm: remove queues by name, or all stale ones. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../name.h"
#include "cli.h"

static void say_removed(const char *name, size_t len)
{
        cli_put_text(stdout, name, len);
        putchar('\n');
}

static void say_pending(const struct cli *c, const struct sluice_queue_stat *st)
{
        char text[120];

        if (st->error)
                snprintf(text, sizeof text,
                         "kept: its messages cannot be counted (--force removes it)");
        else
                snprintf(text, sizeof text, "kept: %llu messages are pending (--force removes it)",
                         (unsigned long long)st->pending);
        cli_say(c, "%s", text);
}

/* ---- What became of it --------------------------------------------- */

/* Incomplete, left over by a reboot, or not there: nobody can use it. */
static int remove_rest(const struct cli *c)
{
        const int r = c->reap & SLUICE_REAP_DRY_RUN ? 0 : sluice_remove(c->name);

        return r ? cli_fail(c, r) : 0;
}

static int report_named(const struct cli *c, const struct sluice_queue_stat *st, int r)
{
        if (r == -EBUSY) {
                cli_say(c, "is in use (rm without --stale removes it anyway)");
                return CLI_TAKEN;
        }
        if (r == -ENOTEMPTY) {
                say_pending(c, st);
                return CLI_ERROR;
        }
        if (r)
                return cli_fail(c, r);
        if (c->reap & SLUICE_REAP_DRY_RUN)
                say_removed(c->name, strlen(c->name));
        return 0;
}

static int report_listed(const struct cli *c, const struct sluice_queue_stat *st, int r)
{
        if (r == 0)
                say_removed(st->name, cli_name_len(st));
        if (r == -ENOTEMPTY)
                say_pending(c, st);
        /* Not errors: in use, removed meanwhile, or another user's. */
        if (r == 0 || r == -ENOTEMPTY || r == -EBUSY || r == -ENOENT || r == -ESTALE ||
            (r == -EPERM && st->uid != geteuid()))
                return 0;
        return cli_fail(c, r);
}

typedef int report_fn(const struct cli *c, const struct sluice_queue_stat *st, int r);

/* ---- Channels ----------------------------------------------------- */

static const char request_end[] = "/" SLUICE_PRIV_REQUEST, reply_end[] = "/" SLUICE_PRIV_REPLY;

/* Of the name of a queue with this end, how much is its directory; 0: it has
 * another end, or no name. */
static size_t directory_len(const struct sluice_queue_stat *st, const char *end)
{
        const size_t len = cli_name_len(st), n = strlen(end);

        return !st->orphan && len > n && memcmp(st->name + len - n, end, n) == 0 ? len - n : 0;
}

/* The queue beside this one in its directory, if these are their ends. */
static const struct sluice_queue_stat *find_beside(const struct cli_listing *l,
                                                   const struct sluice_queue_stat *st,
                                                   const char *end, const char *other_end)
{
        const size_t len = directory_len(st, end);

        for (size_t i = 0; len != 0 && i < l->count; i++)
                if (directory_len(&l->queue[i], other_end) == len &&
                    memcmp(l->queue[i].name, st->name, len) == 0)
                        return &l->queue[i];
        return NULL;
}

/* Of the channel that this queue is of. */
static size_t channel_len(const struct sluice_queue_stat *st)
{
        const size_t len = directory_len(st, request_end);

        return len ? len : directory_len(st, reply_end);
}

/* Fails while something else is in there. */
static void remove_directory(const struct sluice_queue_stat *st)
{
        char path[sizeof st->name];
        const size_t len = channel_len(st);

        memcpy(path, st->name, len);
        path[len] = '\0';
        (void)rmdir(path);
}

/* All its queues, two unless its maker or its remover has died, or none. */
static int remove_channel(struct cli *c, const struct sluice_queue_stat *const queue[], int n,
                          report_fn *report)
{
        int code = 0;

        for (int i = 0; i < n; i++) {
                const int r = sluice_reap(queue[i], c->reap | SLUICE_REAP_DRY_RUN);

                c->name = queue[i]->name;
                if (r)
                        return report(c, queue[i], r);
        }
        for (int i = 0; i < n; i++) {
                int r;

                c->name = queue[i]->name;
                r = report(c, queue[i], sluice_reap(queue[i], c->reap));
                code = r ? r : code;
        }
        if (!(c->reap & SLUICE_REAP_DRY_RUN))
                remove_directory(queue[0]);
        return code;
}

/* ---- Stale ones --------------------------------------------------- */

/* One of the queues of a channel of this name. */
static int stat_half(struct sluice_queue_stat *st, const char *name, const char *queue)
{
        char path[SLUICE_NAME_MAX + 1];
        const int r = cli_queue_of_channel(path, name, queue);

        return r ? r : sluice_stat(path, st);
}

static int remove_stale_channel(struct cli *c)
{
        struct sluice_queue_stat request, reply;
        const struct sluice_queue_stat *queue[2];
        int n = 0;

        if (stat_half(&request, c->name, SLUICE_PRIV_REQUEST) == 0)
                queue[n++] = &request;
        if (stat_half(&reply, c->name, SLUICE_PRIV_REPLY) == 0)
                queue[n++] = &reply;
        if (n > 0)
                return remove_channel(c, queue, n, report_named);
        return c->reap & SLUICE_REAP_DRY_RUN ? cli_fail(c, -ENOENT) : remove_rest(c);
}

static int remove_stale(struct cli *c)
{
        struct sluice_queue_stat st;
        const int r = sluice_stat(c->name, &st);

        if (r == 0)
                return report_named(c, &st, sluice_reap(&st, c->reap));
        if (r == -ENOENT)
                return remove_stale_channel(c);
        return r == -EINPROGRESS ? remove_rest(c) : cli_fail(c, r);
}

/* What is left of a client's channel, whose directory has a name that the library
 * has made. (In another directory a queue of this name may be no channel's.) */
static bool is_rest_of_channel(const struct sluice_queue_stat *st)
{
        const size_t len = channel_len(st);
        const char *const slash = len ? memrchr(st->name, '/', len) : NULL;

        return slash && sluice_priv_name_is_unique(slash + 1, len - (size_t)(slash + 1 - st->name));
}

/* Of a channel both queues, when it comes to its `request`. */
static int remove_one_stale(struct cli *c, const struct cli_listing *l,
                            const struct sluice_queue_stat *st)
{
        const struct sluice_queue_stat *const reply = find_beside(l, st, request_end, reply_end);
        const struct sluice_queue_stat *const queue[] = {st, reply};

        if (reply)
                return remove_channel(c, queue, 2, report_listed);
        if (find_beside(l, st, reply_end, request_end))
                return 0;
        if (is_rest_of_channel(st))
                return remove_channel(c, queue, 1, report_listed);
        c->name = st->name;
        return report_listed(c, st, sluice_reap(st, c->reap));
}

static int remove_all_stale(struct cli *c)
{
        struct cli_listing l = {NULL, 0, 0};
        int code = cli_list_all(c, &l);

        for (size_t i = 0; i < l.count; i++) {
                const int r = remove_one_stale(c, &l, &l.queue[i]);

                code = r ? r : code;
        }
        c->name = NULL;
        free(l.queue);
        return cli_finish(c, code);
}

/* ---- By name ------------------------------------------------------ */

/* A queue, or else a channel. */
static int remove_named(const char *name)
{
        const int r = sluice_remove(name);

        return r == -ENOTEMPTY && sluice_channel_remove(name) == 0 ? 0 : r;
}

int cli_rm(struct cli *c)
{
        int code = 0;

        if (c->name_count == 0)
                return remove_all_stale(c);
        for (int i = 0; i < c->name_count; i++) {
                int r;

                c->name = c->names[i];
                r = c->stale ? remove_stale(c) : remove_named(c->name);
                if (r < 0)
                        r = cli_fail(c, r);
                code = r ? r : code;
        }
        return cli_finish(c, code);
}
