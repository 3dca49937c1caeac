/* SPDX-License-Identifier: MIT */
/* sluice ls, stat, dump: list queues, show their details and messages. */
#define _GNU_SOURCE
#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../name.h"
#include "cli.h"

#define PREVIEW_BYTES 60 /* of a message in dump */

static const char *role_state(const struct sluice_endpoint_stat *e)
{
        if (e->held)
                return e->asleep ? "asleep" : "held";
        if (e->attaches == 0)
                return "never";
        return e->closed ? "closed" : "died";
}

/* Not necessarily terminated: others write it. */
size_t cli_name_len(const struct sluice_queue_stat *st)
{
        return strnlen(st->name, sizeof st->name);
}

static const char *owner_name(uid_t uid, char number[24])
{
        const struct passwd *const user = getpwuid(uid);

        snprintf(number, 24, "%lu", (unsigned long)uid);
        return user ? user->pw_name : number;
}

static const char *what_is_wrong(int error)
{
        return error == -EINPROGRESS ? "incomplete"
               : error == -EAGAIN    ? "changing too fast to be read"
                                     : "inconsistent contents";
}

/* ---- JSON --------------------------------------------------------- */

static void json_string(const char *key, const char *bytes, size_t len)
{
        printf("\"%s\": ", key);
        cli_put_json(stdout, bytes, len);
        /* A name that is not UTF-8 is also given in full. */
        if (!cli_is_utf8(bytes, len)) {
                printf(", \"%s_hex\": \"", key);
                cli_put_hex(stdout, bytes, len);
                putchar('"');
        }
}

static void json_endpoint(const char *key, const struct sluice_endpoint_stat *e)
{
        printf(",\n  \"%s\": {\"state\": \"%s\", \"held\": %s, \"closed\": %s, \"asleep\": %s, "
               "\"position\": %llu, \"messages\": %llu, \"attaches\": %llu, \"stalls\": %llu, "
               "\"parks\": %llu, \"wakes\": %llu, \"pid\": %lld}",
               key, role_state(e), e->held ? "true" : "false", e->closed ? "true" : "false",
               e->asleep ? "true" : "false", (unsigned long long)e->position,
               (unsigned long long)e->messages, (unsigned long long)e->attaches,
               (unsigned long long)e->stalls, (unsigned long long)e->parks,
               (unsigned long long)e->wakes, (long long)e->pid);
}

static void json_queue(const struct sluice_queue_stat *st)
{
        char number[24];
        const char *const owner = owner_name(st->uid, number);

        fputs(" {", stdout);
        json_string("name", st->name, cli_name_len(st));
        fputs(", ", stdout);
        json_string("owner", owner, strlen(owner));
        printf(",\n  \"uid\": %lu, \"gid\": %lu, \"mode\": \"%04o\", \"key\": \"0x%08x\", "
               "\"shmid\": %d, \"semid\": %d, \"attached\": %llu, \"generation\": %llu, "
               "\"created\": %lld,\n",
               (unsigned long)st->uid, (unsigned long)st->gid, (unsigned)st->mode & 0777u,
               (unsigned)st->key, st->shmid, st->semid, (unsigned long long)st->attached,
               (unsigned long long)st->generation, (long long)st->created_s);
        printf("  \"capacity\": %llu, \"align\": %u, \"longest\": %llu, \"used\": %llu, "
               "\"pending\": %llu, \"high_water\": %llu, \"dropped\": %llu, \"torn\": %llu",
               (unsigned long long)st->capacity, st->record_align, (unsigned long long)st->max_len,
               (unsigned long long)st->used, (unsigned long long)st->pending,
               (unsigned long long)st->high_water, (unsigned long long)st->dropped,
               (unsigned long long)st->torn);
        printf(", \"payload_align\": %u, \"type_id\": \"0x%016llx\", \"type_size\": %u",
               st->payload_align, (unsigned long long)st->type_id, st->type_size);
        json_endpoint("producer", &st->producer);
        json_endpoint("consumer", &st->consumer);
        printf(",\n  \"orphan\": %s, \"error\": ", st->orphan ? "true" : "false");
        if (st->error)
                printf("\"%s\"}", what_is_wrong(st->error));
        else
                fputs("null}", stdout);
}

/* ---- ls ----------------------------------------------------------- */

static int list_one(void *context, const struct sluice_queue_stat *st)
{
        struct cli_listing *const l = context;

        if (l->count == l->room) {
                const size_t room = l->room ? l->room * 2 : 16;
                void *const bigger = realloc(l->queue, room * sizeof *l->queue);

                if (!bigger)
                        return -ENOMEM;
                l->queue = bigger;
                l->room = room;
        }
        l->queue[l->count++] = *st;
        return 0;
}

static int by_name(const void *a, const void *b)
{
        const struct sluice_queue_stat *const x = a;
        const struct sluice_queue_stat *const y = b;

        return strncmp(x->name, y->name, sizeof x->name);
}

int cli_list_all(const struct cli *c, struct cli_listing *l)
{
        const int r = sluice_list(list_one, l);

        if (r < 0)
                return cli_fail(c, r);
        if (l->count > 1)
                qsort(l->queue, l->count, sizeof *l->queue, by_name);
        return 0;
}

/* Only what the kernel knows: the contents are not readable. */
static void show_broken(const struct sluice_queue_stat *st)
{
        char number[24];

        printf("%-8s  %-8s  %9s  %5s  %8s  %-10s  %04o  ", "?", "?", "?", "?", "?",
               owner_name(st->uid, number), (unsigned)st->mode & 0777u);
}

static void show_name(const struct sluice_queue_stat *st)
{
        cli_put_text(stdout, st->name, cli_name_len(st));
        if (st->error)
                printf("  (%s)", what_is_wrong(st->error));
        if (st->orphan)
                fputs("  (its directory was removed or moved elsewhere)", stdout);
        putchar('\n');
}

static void show_row(const struct sluice_queue_stat *st)
{
        char used[16], capacity[16], number[24];

        if (st->error) {
                show_broken(st);
                show_name(st);
                return;
        }
        printf("%-8s  %-8s  %9llu  %5s  %8s  %-10s  %04o  ", role_state(&st->producer),
               role_state(&st->consumer), (unsigned long long)st->pending,
               cli_amount(used, (double)st->used), cli_amount(capacity, (double)st->capacity),
               owner_name(st->uid, number), (unsigned)st->mode & 0777u);
        show_name(st);
}

int cli_ls(struct cli *c)
{
        struct cli_listing l = {NULL, 0, 0};
        const int code = cli_list_all(c, &l);

        if (code == 0 && c->json)
                putchar('[');
        else if (code == 0 && l.count > 0)
                puts("PRODUCER  CONSUMER    PENDING   USED  CAPACITY  OWNER       MODE  NAME");
        for (size_t i = 0; code == 0 && i < l.count; i++) {
                if (!c->json) {
                        show_row(&l.queue[i]);
                        continue;
                }
                fputs(i ? ",\n" : "\n", stdout);
                json_queue(&l.queue[i]);
        }
        if (code == 0 && c->json)
                puts("\n]");
        free(l.queue);
        return cli_finish(c, code);
}

/* ---- stat --------------------------------------------------------- */

static void show_endpoint(const char *role, const struct sluice_endpoint_stat *e)
{
        printf("%s    %s, %llu messages, position %llu\n", role, role_state(e),
               (unsigned long long)e->messages, (unsigned long long)e->position);
        printf("            opened %llu times, last by pid %lld; waited %llu times, slept %llu, "
               "woke its peer %llu\n",
               (unsigned long long)e->attaches, (long long)e->pid, (unsigned long long)e->stalls,
               (unsigned long long)e->parks, (unsigned long long)e->wakes);
}

static void show_queue(const struct sluice_queue_stat *st)
{
        const time_t created = (time_t)st->created_s;
        char when[40] = "?", number[24];
        struct tm parts;

        if (localtime_r(&created, &parts))
                strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &parts);
        fputs("name        ", stdout);
        cli_put_text(stdout, st->name, cli_name_len(st));
        printf("\npending     %llu messages, %llu of %llu bytes (peak %llu)\n",
               (unsigned long long)st->pending, (unsigned long long)st->used,
               (unsigned long long)st->capacity, (unsigned long long)st->high_water);
        show_endpoint("producer", &st->producer);
        show_endpoint("consumer", &st->consumer);
        printf("longest     %llu bytes per message, records aligned to %u\n",
               (unsigned long long)st->max_len, st->record_align);
        if (st->type_id != 0)
                printf("type        0x%016llx, %u bytes, aligned to %u\n",
                       (unsigned long long)st->type_id, st->type_size, st->payload_align);
        if (st->dropped != 0 || st->torn != 0)
                printf("lost        %llu messages dropped for want of room, %llu long messages "
                       "that came in part\n",
                       (unsigned long long)st->dropped, (unsigned long long)st->torn);
        printf("owner       %s, mode %04o, created %s\n", owner_name(st->uid, number),
               (unsigned)st->mode & 0777u, when);
        printf("System V    key 0x%08x, shmid %d, semid %d, attached %llu\n", (unsigned)st->key,
               st->shmid, st->semid, (unsigned long long)st->attached);
}

/* The queue of this name. */
static int find_queue(struct cli *c, struct cli_listing *l, const char *name)
{
        struct sluice_queue_stat st;
        int r;

        c->name = name;
        r = sluice_stat(name, &st);
        if (r == 0)
                r = list_one(l, &st);
        return r ? cli_fail(c, r) : 0;
}

/* A channel is what has one of the two queues. */
static int find_channel(struct cli *c, struct cli_listing *l, char path[2][SLUICE_NAME_MAX + 1])
{
        struct sluice_queue_stat st;
        int code = 0;

        if (sluice_stat(path[0], &st) == -ENOENT && sluice_stat(path[1], &st) == -ENOENT)
                return cli_fail(c, -ENOENT);
        for (int i = 0; i < 2; i++) {
                const int r = find_queue(c, l, path[i]);

                code = r ? r : code;
        }
        return code;
}

static int find_named(struct cli *c, struct cli_listing *l, const char *name)
{
        char path[2][SLUICE_NAME_MAX + 1];
        struct sluice_queue_stat st;

        c->name = name;
        if (sluice_stat(name, &st) != -ENOENT ||
            cli_queue_of_channel(path[0], name, SLUICE_PRIV_REQUEST) != 0 ||
            cli_queue_of_channel(path[1], name, SLUICE_PRIV_REPLY) != 0)
                return find_queue(c, l, name);
        return find_channel(c, l, path);
}

int cli_stat(struct cli *c)
{
        struct cli_listing l = {NULL, 0, 0};
        int code = 0;
        bool many;

        for (int i = 0; i < c->name_count; i++) {
                const int r = find_named(c, &l, c->names[i]);

                code = r ? r : code;
        }
        c->name = c->names[c->name_count - 1];
        many = c->name_count > 1 || l.count > 1;
        if (c->json && many)
                puts("[");
        for (size_t i = 0; i < l.count; i++) {
                if (i)
                        fputs(c->json ? ",\n" : "\n", stdout);
                if (c->json)
                        json_queue(&l.queue[i]);
                else
                        show_queue(&l.queue[i]);
        }
        if (c->json && (many || l.count > 0))
                puts(many ? "\n]" : "");
        free(l.queue);
        return cli_finish(c, code);
}

/* ---- dump --------------------------------------------------------- */

struct dump {
        const struct cli *cli;
        size_t count;
};

/* Text, or hex when it is not UTF-8. */
static void show_preview(const unsigned char *bytes, size_t len)
{
        size_t n = len < PREVIEW_BYTES ? len : PREVIEW_BYTES;

        /* Do not cut a character in two. */
        while (n < len && n > 0 && (bytes[n] & 0xc0) == 0x80)
                n--;
        if (cli_is_utf8(bytes, n) && !memchr(bytes, '\0', n)) {
                cli_put_text(stdout, bytes, n);
        } else {
                n = len < PREVIEW_BYTES / 2 ? len : PREVIEW_BYTES / 2;
                fputs("hex ", stdout);
                cli_put_hex(stdout, bytes, n);
        }
        puts(n < len ? "..." : "");
}

static const char *kind_name(enum sluice_kind kind)
{
        static const char *const names[] = {"whole", "first", "middle", "last"};

        return names[kind];
}

static void json_message(const struct sluice_message *m)
{
        printf(" {\"position\": %llu, \"length\": %zu, \"tag\": %u, \"kind\": \"%s\", ",
               (unsigned long long)m->position, m->len, m->tag, kind_name(m->kind));
        if (cli_is_utf8(m->data, m->len)) {
                fputs("\"text\": ", stdout);
                cli_put_json(stdout, m->data, m->len);
        } else {
                fputs("\"hex\": \"", stdout);
                cli_put_hex(stdout, m->data, m->len);
                putchar('"');
        }
        putchar('}');
}

static int dump_one(void *context, const struct sluice_message *m)
{
        struct dump *const d = context;

        if (d->cli->framing == CLI_RAW) {
                fwrite(m->data, 1, m->len, stdout);
        } else if (d->cli->json) {
                fputs(d->count ? ",\n" : "\n", stdout);
                json_message(m);
        } else {
                if (d->count == 0)
                        puts("    POSITION    LENGTH         TAG  KIND    MESSAGE");
                printf("%12llu  %8zu  0x%08x  %-6s  ", (unsigned long long)m->position, m->len,
                       m->tag, kind_name(m->kind));
                show_preview(m->data, m->len);
        }
        d->count++;
        return ferror(stdout) ? 1 : 0; /* stop: nothing can be written */
}

int cli_dump(struct cli *c)
{
        struct dump d = {c, 0};
        struct sluice_queue_stat st;
        const int known = sluice_stat(c->name, &st);
        ssize_t r;

        if (known != 0) /* report it before the bracket is written */
                return cli_fail(c, known);
        if (c->json)
                putchar('[');
        r = sluice_dump(c->name, dump_one, &d);
        if (c->json)
                puts("\n]");
        return cli_finish(c, r < 0 ? cli_fail(c, (int)r) : 0);
}
