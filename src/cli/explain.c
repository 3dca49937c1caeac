/* SPDX-License-Identifier: MIT */
/*
 * Explains an error of the library to the user of a command: which name, which
 * directory or which limit caused it, and what to do. The directories are
 * examined here, after the call that failed, only to choose the message.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../name.h"
#include "cli.h"

struct trouble {
        const struct cli *cli;
        int err;              /* an errno */
        int opening;          /* 1: to open or create; 0: to inspect or remove */
        const char *variable; /* that a bare word's directory comes from; NULL: none */
        bool own;             /* sluice makes that directory, for this user alone */
        char path[PATH_MAX];  /* of the queue; "": it has none */
        char directory[PATH_MAX];
};

/* ---- Where a queue is ---------------------------------------------- */

static void find_path(struct trouble *t)
{
        const char *const name = t->cli->name;
        size_t dir = 0;

        if (!name || sluice_priv_name_is_key(name))
                return;
        if (sluice_priv_name_is_bare(name)) {
                const int len =
                        sluice_priv_user_dir(t->path, sizeof t->path, &t->variable, &t->own);

                dir = len < 0 || (size_t)len >= sizeof t->path ? sizeof t->path - 1 : (size_t)len;
        }
        snprintf(t->path + dir, sizeof t->path - dir, "%s%.*s", dir ? "/" : "",
                 (int)sluice_priv_name_len(name), name);
}

int64_t cli_age_ns(const struct cli *c)
{
        struct trouble t = {.cli = c};
        struct timespec now;
        struct stat st;
        int64_t s;

        find_path(&t);
        if (!t.path[0] || lstat(t.path, &st) != 0 || clock_gettime(CLOCK_REALTIME, &now) != 0)
                return INT64_MAX;
        s = (int64_t)now.tv_sec - (int64_t)st.st_ctim.tv_sec;
        if (s < 0 || s > 3600)
                return INT64_MAX;
        return s * SLUICE_SECOND + (int64_t)now.tv_nsec - (int64_t)st.st_ctim.tv_nsec;
}

static int is_bare(const struct cli *c)
{
        return c->name && sluice_priv_name_is_bare(c->name);
}

/* The directory that holds what path names, in place. */
static void to_parent(char *path)
{
        char *const slash = strrchr(path, '/');

        if (!slash)
                memcpy(path, ".", 2);
        else
                slash[slash == path] = '\0';
}

static int may(const char *directory, int what)
{
        return faccessat(AT_FDCWD, directory, what, AT_EACCESS) == 0;
}

/* Makes t->directory the one that holds the queue, or the first on the way there
 * that cannot be passed; then returns why. */
static int find_obstacle(struct trouble *t)
{
        struct stat st;

        for (size_t i = 1; t->path[0] && t->path[i]; i++) {
                if (t->path[i] != '/' || t->path[i - 1] == '/')
                        continue;
                memcpy(t->directory, t->path, i);
                t->directory[i] = '\0';
                if (stat(t->directory, &st) != 0) {
                        const int err = errno;

                        if (err == EACCES)
                                to_parent(t->directory);
                        return err;
                }
                if (!S_ISDIR(st.st_mode))
                        return ENOTDIR;
        }
        memcpy(t->directory, t->path, sizeof t->directory);
        to_parent(t->directory);
        return may(t->directory, X_OK) ? 0 : errno;
}

/* ---- Words -------------------------------------------------------- */

static void put(const char *text)
{
        fputs(text, stderr);
}

static void put_directory(const struct trouble *t)
{
        cli_put_text(stderr, t->directory, strlen(t->directory));
        if (t->variable)
                fprintf(stderr, " ($%s)", t->variable);
}

static void put_user(uid_t uid)
{
        const struct passwd *const user = getpwuid(uid);

        if (user)
                put(user->pw_name);
        else
                fprintf(stderr, "user %lu", (unsigned long)uid);
}

void cli_put_place(const struct cli *c)
{
        struct trouble t = {.cli = c};

        if (!is_bare(c))
                return;
        find_path(&t);
        memcpy(t.directory, t.path, sizeof t.directory);
        to_parent(t.directory);
        put(" in ");
        put_directory(&t);
}

/* ---- Errors of names and directories; 1: explained --------------- */

/* What no library call accepts as a name. */
static int explain_bad_name(struct trouble *t)
{
        const char *const name = t->cli->name;

        if (!name)
                return 0;
        if (strcmp(name, "key:") == 0) {
                put("the number of the System V key is missing, as in key:0x2020");
        } else if (sluice_priv_name_is_key(name)) {
                put("'");
                cli_put_text(stderr, name + 4, strlen(name + 4));
                put("' is not a System V key: give a number from 1 to 0xffffffff, as in "
                    "key:0x2020");
        } else if (sluice_priv_name_is_dots(name)) {
                put("this names a directory, not a queue: use a bare word, or a path like ./q");
        } else {
                return 0;
        }
        return 1;
}

/* The longest component between slashes, in bytes. */
static size_t longest_component(const char *path)
{
        size_t longest = 0;

        while (*path) {
                const size_t len = strcspn(path, "/");

                longest = len > longest ? len : longest;
                path += len + (path[len] == '/');
        }
        return longest;
}

static int explain_long_name(struct trouble *t)
{
        const size_t part = longest_component(t->cli->name);
        const size_t whole = strlen(t->path);

        if (part > NAME_MAX) {
                fprintf(stderr,
                        "a component of the name has %zu bytes, more than the %d of a file system",
                        part, NAME_MAX);
        } else if (whole > SLUICE_NAME_MAX) {
                fprintf(stderr, "the name has %zu bytes with its directory, more than %zu", whole,
                        (size_t)SLUICE_NAME_MAX);
                cli_put_place(t->cli);
        } else {
                return 0;
        }
        return 1;
}

static int explain_missing(struct trouble *t)
{
        const int missing = find_obstacle(t) == ENOENT;
        const int in_directory = t->cli->name[strlen(t->cli->name) - 1] == '/';

        if (t->opening && !missing && in_directory) {
                put("no such directory, in which to make a queue: create it first");
                return 1;
        }
        if (!t->opening) {
                put("no such queue");
                if (missing) {
                        put(": no directory ");
                        put_directory(t);
                } else {
                        cli_put_place(t->cli);
                }
                put(" (see 'sluice ls')");
        } else if (missing) {
                put("no directory ");
                put_directory(t);
                put(t->variable ? ": create it, or set $SLUICE_DIR to an existing one"
                                : " (--create creates only the last component of a path)");
        }
        return !t->opening || missing;
}

/* To make a queue where there is none, and to remove one's own, takes the
 * right to write in its directory. */
static int is_unwritable(struct trouble *t)
{
        struct stat st;
        const int there = lstat(t->path, &st) == 0;

        if (there ? strcmp(t->cli->command, "rm") != 0 || st.st_uid != geteuid() : !t->opening)
                return 0;
        return !may(t->directory, W_OK);
}

static int explain_denied(struct trouble *t)
{
        const int obstacle = find_obstacle(t);
        struct stat st;

        if (!t->path[0])
                return 0;
        if (obstacle == ENOENT && t->own) /* which was to be made */
                to_parent(t->directory);
        if (obstacle == EACCES) {
                put("no permission to search the directory ");
                put_directory(t);
        } else if (is_unwritable(t)) {
                put(t->opening ? "no permission to create a queue in the directory "
                               : "no permission to remove a queue from the directory ");
                put_directory(t);
        } else if (lstat(t->path, &st) == 0 && st.st_uid != geteuid()) {
                put("no permission: the queue belongs to ");
                put_user(st.st_uid);
                put(", and its mode does not permit this");
        } else {
                return 0;
        }
        return 1;
}

static int explain_not_yours(struct trouble *t)
{
        struct stat st;

        find_obstacle(t);
        if (t->own && stat(t->directory, &st) == 0 &&
            (st.st_uid != geteuid() || (st.st_mode & 022) != 0)) {
                put("the directory ");
                put_directory(t);
                put(" must belong to you and must not be writable by others");
        } else {
                put("the queue belongs to ");
                if (t->path[0] && lstat(t->path, &st) == 0 && st.st_uid != geteuid())
                        put_user(st.st_uid);
                else
                        put("another user");
        }
        return 1;
}

static int explain_no_directory(struct trouble *t)
{
        if (find_obstacle(t) != ENOTDIR)
                return 0;
        put_directory(t);
        put(" is not a directory");
        return 1;
}

static int explain_link(struct trouble *t)
{
        const int obstacle = find_obstacle(t);
        struct stat st;

        if (obstacle == ELOOP)
                put("symbolic links form a loop: ");
        else if (t->own && lstat(t->directory, &st) == 0 && S_ISLNK(st.st_mode))
                put("this directory must not be a symbolic link: ");
        else
                return 0;
        put_directory(t);
        return 1;
}

static int explain_full(struct trouble *t)
{
        find_obstacle(t);
        put("no space left on the file system of ");
        put_directory(t);
        return 1;
}

/* The file system has refused; the library's text says why. */
static int explain_place(struct trouble *t)
{
        const int obstacle = find_obstacle(t);

        if (obstacle == ENOENT && t->own)
                to_parent(t->directory);
        put(sluice_strerror(-t->err));
        if (t->path[0]) {
                put(": ");
                put_directory(t);
        }
        return 1;
}

static int explain_taken_key(struct trouble *t)
{
        if (!sluice_priv_name_is_key(t->cli->name))
                return 0;
        put("another program uses this System V key: choose another one (ipcs lists the keys in "
            "use)");
        return 1;
}

static int explain_busy(struct trouble *t)
{
        if (strcmp(t->cli->command, "send") == 0)
                put("another process already sends to this queue (sluice stat shows its pid)");
        else if (strcmp(t->cli->command, "recv") == 0)
                put("another process already receives from this queue (sluice stat shows its pid)");
        else
                put("another process is creating or removing this queue: try again");
        return 1;
}

static int explain_removed(struct trouble *t)
{
        (void)t;
        put("the queue was removed, or removed and created again, while it was in use");
        return 1;
}

static int explain_no_memory(struct trouble *t)
{
        struct rlimit limit;

        (void)t;
        put("out of memory");
        if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
                fprintf(stderr, ", or of address space: at most %llu bytes: RLIMIT_AS (ulimit -v)",
                        (unsigned long long)limit.rlim_cur);
        return 1;
}

static const struct {
        int err;
        int (*explain)(struct trouble *t);
} explainers[] = {
        {EINVAL, explain_bad_name},  {ENAMETOOLONG, explain_long_name},
        {ENOENT, explain_missing},   {EACCES, explain_denied},
        {EPERM, explain_not_yours},  {ENOTDIR, explain_no_directory},
        {ELOOP, explain_link},       {ENOSPC, explain_full},
        {EROFS, explain_place},      {EDQUOT, explain_place},
        {EMLINK, explain_place},     {ENOLCK, explain_place},
        {EIO, explain_place},        {EADDRINUSE, explain_taken_key},
        {EBUSY, explain_busy},       {ESTALE, explain_removed},
        {ENOMEM, explain_no_memory},
};

/* ---- Limits ------------------------------------------------------- */

static int explain_limit(const struct trouble *t)
{
        const char *const limit = t->opening ? sluice_limit() : "";

        if (*limit == '\0')
                return 0;
        put(t->err == EPERM ? "not permitted: " : "a limit is reached: ");
        put(limit);
        return 1;
}

/* ---- Exit codes --------------------------------------------------- */

static int exit_code(int err)
{
        switch (err) {
        case EAGAIN:
        case ETIMEDOUT:
                return CLI_TIMEOUT;
        case EPIPE:
        case EOWNERDEAD:
                return CLI_PEER;
        case ESTALE:
                return CLI_REMOVED;
        case EBUSY:
                return CLI_TAKEN;
        default:
                return CLI_ERROR;
        }
}

static int fail(const struct cli *c, int err, int opening)
{
        struct trouble t = {.cli = c, .err = -err, .opening = opening};
        int explained;

        if (cli_stopped() && err == -ECANCELED)
                return 128 + cli_stopped();
        find_path(&t);
        cli_say_begin(c);
        explained = explain_limit(&t);
        for (size_t i = 0; !explained && i < sizeof explainers / sizeof *explainers; i++)
                if (explainers[i].err == t.err)
                        explained = explainers[i].explain(&t);
        if (!explained)
                put(sluice_strerror(err));
        cli_say_end();
        return explained && t.err == EINVAL ? CLI_USAGE : exit_code(t.err);
}

int cli_fail(const struct cli *c, int err)
{
        return fail(c, err, 0);
}

int cli_fail_open(const struct cli *c, int err)
{
        return fail(c, err, 1);
}
