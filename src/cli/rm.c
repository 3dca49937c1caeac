/* SPDX-License-Identifier: MIT */
/* sluice rm: remove queues by name, or all stale ones. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* ---- By name ------------------------------------------------------ */

/* Incomplete, left over by a reboot, or not there: nobody can use it. */
static int remove_rest(const struct cli *c)
{
        const int r = c->reap & SLUICE_REAP_DRY_RUN ? 0 : sluice_remove(c->name);

        return r ? cli_fail(c, r) : 0;
}

static int remove_stale(const struct cli *c)
{
        struct sluice_queue_stat st;
        int r = sluice_stat(c->name, &st);

        if (r == -EINPROGRESS || (r == -ENOENT && !(c->reap & SLUICE_REAP_DRY_RUN)))
                return remove_rest(c);
        if (r == 0)
                r = sluice_reap(&st, c->reap);
        if (r == -EBUSY) {
                cli_say(c, "is in use (rm without --stale removes it anyway)");
                return CLI_TAKEN;
        }
        if (r == -ENOTEMPTY) {
                say_pending(c, &st);
                return CLI_ERROR;
        }
        if (r)
                return cli_fail(c, r);
        if (c->reap & SLUICE_REAP_DRY_RUN)
                say_removed(c->name, strlen(c->name));
        return 0;
}

/* ---- All ---------------------------------------------------------- */

static int remove_listed(struct cli *c, const struct sluice_queue_stat *st)
{
        const int r = sluice_reap(st, c->reap);

        c->name = st->name;
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

static int remove_all_stale(struct cli *c)
{
        struct cli_listing l = {NULL, 0, 0};
        int code = cli_list_all(c, &l);

        for (size_t i = 0; i < l.count; i++) {
                const int r = remove_listed(c, &l.queue[i]);

                code = r ? r : code;
        }
        c->name = NULL;
        free(l.queue);
        return cli_finish(c, code);
}

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
