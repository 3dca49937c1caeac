/* SPDX-License-Identifier: MIT */
/* From the name of a queue to its directory, its key, and what is refused. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <sched.h>
#include <sys/mount.h>

static int ignore(void *ctx, const struct sluice_queue_stat *st)
{
        (void)ctx, (void)st;
        return 0;
}

/* A queue by this name works and leaves nothing. */
static void works(const char *name)
{
        const struct world before = world_now();

        call(sluice_create(name, NULL), 0);
        works_and_goes(name);
        same_world(&before);
}

/* Every call that takes a name gives the same answer. */
static void refused_by_all(const char *name, int error)
{
        struct sluice_queue_stat st;
        struct sluice_producer p;
        struct sluice_consumer c;

        refused(sluice_create(name, NULL), error);
        refused(sluice_remove(name), error);
        refused(sluice_producer_open(&p, name, NULL), error);
        refused(sluice_consumer_open(&c, name, NULL), error);
        refused(sluice_stat(name, &st), error);
        refused(sluice_dump(name, NULL, NULL), error);
}

/* ---- Bare words --------------------------------------------------- */

QTest(word, lives_in_sluice_dir)
{
        make("q", 0);
        check(exists(in_queues("q/readable")));
        eq(strcmp(look("q").name, realpath(in_queues("q"), NULL)), 0);
        call(sluice_remove("q"), 0);
        check(!exists(in_queues("q")));
        check(exists(getenv("SLUICE_DIR")));
        works("q");
        works("a name with spaces, \xc3\xa4 and : in it");
        works("...");
        works("key");
}

QTest(word, needs_sluice_dir_to_exist)
{
        setenv("SLUICE_DIR", in_tmp("nowhere"), 1);
        call(sluice_create("q", NULL), -ENOENT);
        check(!exists(in_tmp("nowhere")));
        call(sluice_remove("q"), -ENOENT);
        setenv("SLUICE_DIR", in_tmp("."), 1);
}

QTest(word, ignores_an_empty_sluice_dir)
{
        const char *dir = getenv("SLUICE_DIR");

        dir = strdup(dir);
        eq(mkdir(in_tmp("run"), 0755), 0);
        setenv("XDG_RUNTIME_DIR", in_tmp("run"), 1);
        setenv("SLUICE_DIR", "", 1);
        call(sluice_create("q", NULL), 0);
        check(exists(in_tmp("run/sluice/q/writable")));
        call(sluice_remove("q"), 0);
        setenv("SLUICE_DIR", dir, 1);
        eq(rmdir(in_tmp("run")), 0);
}

static int in_own_directory(void *ctx)
{
        const char *dir = ctx;

        unsetenv("SLUICE_DIR");
        umask(0);
        eq(sluice_list(ignore, NULL), 0);
        call(sluice_create("q", NULL), 0);
        eq(mode_of(dir), 0700);
        call(sluice_create("q", NULL), -EEXIST);
        call(sluice_create("r", NULL), 0);
        call(sluice_remove("q"), 0);
        eq(mode_of(dir), 0700);
        call(sluice_remove("r"), 0);
        check(!exists(dir));
        call(sluice_remove("r"), -ENOENT);
        /* A failure takes it away, too. */
        check(proc_write("/proc/sys/kernel/shmmni", "0"));
        call(sluice_create("q", NULL), -ENOSPC);
        check(!exists(dir));
        return 0;
}

QTest(word, makes_a_runtime_directory_and_removes_it_empty)
{
        setenv("XDG_RUNTIME_DIR", in_tmp("."), 1);
        needs_own_limits();
        run(in_own_directory, (void *)(uintptr_t)in_tmp("sluice"));
        check(proc_write("/proc/sys/kernel/shmmni", "4096"));
}

static int in_tmp_directory(void *ctx)
{
        const char *dir = ctx;

        unsetenv("SLUICE_DIR");
        call(sluice_create("q", NULL), 0);
        eq(mode_of(dir), 0700);
        check(exists("/tmp/sluice-64123/q/readable"));
        call(sluice_remove("q"), 0);
        check(!exists(dir));
        return 0;
}

/* In a mount namespace whose /tmp is its own. */
static int with_own_tmp(void *ctx)
{
        if (unshare(CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777") != 0)
                return CANNOT;
        unsetenv("XDG_RUNTIME_DIR");
        run_as(USER_A, NO_GROUP, in_tmp_directory, ctx);
        setenv("XDG_RUNTIME_DIR", "relative/is/not/valid", 1);
        run_as(USER_A, NO_GROUP, in_tmp_directory, ctx);
        setenv("XDG_RUNTIME_DIR", "", 1);
        run_as(USER_A, NO_GROUP, in_tmp_directory, ctx);
        return 0;
}

QTest(word, falls_back_to_tmp_by_user)
{
        static char dir[] = "/tmp/sluice-64123";
        int r;

        needs_root();
        r = reap(spawn(with_own_tmp, dir));
        skip_unless(r != CANNOT, "a mount namespace");
        eq(r, 0);
}

static int with_strange_umask(void *ctx)
{
        unsetenv("SLUICE_DIR");
        setenv("XDG_RUNTIME_DIR", ctx, 1);
        for (mode_t mask = 0; mask <= 0777; mask += 0111) {
                umask(mask);
                works("q");
        }
        umask(022);
        return 0;
}

QTest(word, works_under_any_umask_for_any_user)
{
        needs_root();
        open_tmp_to_all();
        run_as(USER_A, NO_GROUP, with_strange_umask, (void *)(uintptr_t)in_tmp("."));
}

static int meets_a_stranger(void *ctx)
{
        unsetenv("SLUICE_DIR");
        setenv("XDG_RUNTIME_DIR", ctx, 1);
        refused_by_all("q", -EPERM);
        return 0;
}

/* In a shared place the own directory must really be the own one. */
QTest(word, refuses_a_directory_that_others_may_write)
{
        open_tmp_to_all();
        eq(mkdir(in_tmp("sluice"), 0755), 0);
        eq(chmod(in_tmp("sluice"), 0770), 0);
        run(meets_a_stranger, (void *)(uintptr_t)in_tmp("."));
        eq(chmod(in_tmp("sluice"), 0702), 0);
        run(meets_a_stranger, (void *)(uintptr_t)in_tmp("."));
        eq(rmdir(in_tmp("sluice")), 0);
}

QTest(word, refuses_a_directory_of_another_user)
{
        needs_root();
        open_tmp_to_all();
        eq(mkdir(in_tmp("sluice"), 0755), 0);
        run_as(USER_A, NO_GROUP, meets_a_stranger, (void *)(uintptr_t)in_tmp("."));
        eq(rmdir(in_tmp("sluice")), 0);
}

static int meets_no_directory(void *ctx)
{
        unsetenv("SLUICE_DIR");
        setenv("XDG_RUNTIME_DIR", in_tmp("."), 1);
        refused_by_all("q", *(const int *)ctx);
        return 0;
}

QTest(word, refuses_a_link_or_a_file_as_directory)
{
        static const int loop = -ELOOP, no_dir = -ENOTDIR;

        eq(symlink(getenv("SLUICE_DIR"), in_tmp("sluice")), 0);
        run(meets_no_directory, (void *)(uintptr_t)&loop);
        eq(unlink(in_tmp("sluice")), 0);
        fclose(fopen(in_tmp("sluice"), "w"));
        run(meets_no_directory, (void *)(uintptr_t)&no_dir);
        eq(unlink(in_tmp("sluice")), 0);
}

/* SLUICE_DIR is the user's choice, and may be shared. */
static int uses_shared(void *ctx)
{
        struct sluice_queue_stat st;
        struct sluice_consumer c;

        (void)ctx;
        setenv("SLUICE_DIR", in_tmp("."), 1);
        call(sluice_stat("q", &st), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        call(sluice_consumer_close(&c), 0);
        return 0;
}

static void share(uid_t uid)
{
        const char *dir = strdup(getenv("SLUICE_DIR"));
        struct sluice_options o = opt(0);

        open_tmp_to_all();
        setenv("SLUICE_DIR", in_tmp("."), 1);
        o.mode = 0666;
        call(sluice_create("q", &o), 0);
        eq(reap(spawn_as(uid, NO_GROUP, uses_shared, NULL)), 0);
        call(sluice_remove("q"), 0);
        setenv("SLUICE_DIR", dir, 1);
}

QTest(word, sluice_dir_may_be_open_to_others)
{
        share(0); /* stays who it is */
}

QTest(word, sluice_dir_may_be_shared_with_others)
{
        needs_root();
        share(USER_A);
}

/* ---- Paths -------------------------------------------------------- */

QTest(path, absolute)
{
        make(in_tmp("q"), 0);
        eq(strcmp(look(in_tmp("q")).name, realpath(in_tmp("q"), NULL)), 0);
        call(sluice_remove(in_tmp("q")), 0);
        works(in_tmp("q"));
        works(in_tmp("/q//"));
}

QTest(path, relative)
{
        eq(chdir(in_tmp(".")), 0);
        make("./q", 0);
        eq(strcmp(look("./q").name, realpath("q", NULL)), 0);
        call(sluice_create(in_tmp("q"), NULL), -EEXIST);
        call(sluice_remove("q/"), 0); /* a slash makes a path of it */
        works("./q");
        works("q/");
        eq(mkdir("d", 0700), 0);
        works("d/q");
        works("d/../q");
        eq(rmdir("d"), 0);
        eq(chdir("/"), 0);
}

QTest(path, trailing_slashes_change_nothing)
{
        make(in_tmp("q///"), 0);
        eq(strcmp(look(in_tmp("q")).name, look(in_tmp("q/")).name), 0);
        call(sluice_create(in_tmp("q"), NULL), -EEXIST);
        call(sluice_remove(in_tmp("q/")), 0);
}

QTest(path, one_queue_by_many_names)
{
        struct sluice_producer p, second;

        eq(symlink(getenv("TMPDIR"), in_tmp("link")), 0);
        make(in_tmp("q"), 0);
        call(sluice_producer_open(&p, in_tmp("q"), NULL), 0);
        call(sluice_producer_open(&second, in_tmp("link/q"), NULL), -EBUSY);
        call(sluice_producer_open(&second, in_tmp("link/./q/"), NULL), -EBUSY);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove(in_tmp("link/q")), 0);
        eq(unlink(in_tmp("link")), 0);
}

QTest(path, has_the_key_of_ftok)
{
        key_t key;

        make(in_tmp("q"), 0);
        key = key_of(in_tmp("q"));
        eq(key, ftok(in_tmp("q"), 1));
        check(shmget(key, 0, 0) == look(in_tmp("q")).shmid);
        check(semget(key, 0, 0) == look(in_tmp("q")).semid);
        call(sluice_remove(in_tmp("q")), 0);
}

/* ---- Keys --------------------------------------------------------- */

QTest(key, hexadecimal_decimal_and_octal)
{
        call(sluice_create("key:0x2020", NULL), 0);
        eq(strcmp(look("key:8224").name, "key:0x2020"), 0);
        eq(key_of("key:020040"), 0x2020);
        call(sluice_create("key:8224", NULL), -EEXIST);
        call(sluice_remove("key:8224"), 0);
        works("key:0x2020");
        works("key:1");
        works("key:0X7fffffff");
        works("key:0xffffffff");
        works("key:4294967295");
}

QTest(key, refuses_what_is_none)
{
        static const char *const bad[] = {"key:",           "key:0",
                                          "key:0x0",        "key:00",
                                          "key:0x",         "key:word",
                                          "key:0x20z",      "key:12 ",
                                          "key: 12",        "key:-1",
                                          "key:+1",         "key:0x100000000",
                                          "key:4294967296", "key:99999999999999999999999",
                                          "key:0x2020/q",   "key:1.5",
                                          "key:09"};

        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
                refused_by_all(bad[i], -EINVAL);
}

/* ---- No names ----------------------------------------------------- */

QTest(none, refuses_names_that_cannot_be)
{
        refused_by_all(NULL, -EINVAL);
        refused_by_all("", -EINVAL);
        refused_by_all(".", -EINVAL);
        refused_by_all("..", -EINVAL);
        refused_by_all("/", -EINVAL);
        refused_by_all("///", -EINVAL);
        refused_by_all("./", -EINVAL);
        refused_by_all("../", -EINVAL);
        refused_by_all("q/.", -EINVAL);
        refused_by_all("/tmp/../..", -EINVAL);
}

/* A path below TMPDIR of exactly len bytes, in directories of at most 200. */
static char *long_path(size_t len, bool make_directories)
{
        char *path = calloc(1, len + 1);
        size_t at = (size_t)snprintf(path, len, "%s", in_tmp(""));

        while (len - at > 200) {
                memset(path + at, 'd', 150);
                at += 150;
                if (make_directories && mkdir(path, 0700) != 0)
                        eq(errno, EEXIST);
                path[at++] = '/';
        }
        memset(path + at, 'q', len - at);
        return path;
}

QTest(length, a_path_of_1023_bytes_is_the_longest)
{
        needs_own_namespace();

        char *path = long_path(SLUICE_NAME_MAX, true);
        const struct world before = world_now();

        works(path);
        make(path, 0);
        eq(strlen(look(path).name), SLUICE_NAME_MAX);
        call(sluice_list(ignore, NULL), 1);
        call(sluice_remove(path), 0);
        free(path);
        path = long_path(SLUICE_NAME_MAX + 1, false);
        refused_by_all(path, -ENAMETOOLONG);
        same_world(&before);
        for (char *slash; (slash = strrchr(path, '/'));) {
                *slash = '\0';
                if (strlen(path) <= strlen(in_tmp(".")) - 2)
                        break;
                eq(rmdir(path), 0);
        }
        free(path);
}

QTest(length, the_directory_of_a_bare_word_counts)
{
        char *dir = long_path(SLUICE_NAME_MAX - 3, true), *old = strdup(getenv("SLUICE_DIR"));

        *strrchr(dir, '/') = '\0';
        setenv("SLUICE_DIR", dir, 1);
        {
                const size_t room = SLUICE_NAME_MAX - strlen(dir) - 1;
                char word[256] = "";

                check(room < 255);
                memset(word, 'w', room);
                works(word);
                word[room] = 'w';
                refused_by_all(word, -ENAMETOOLONG);
        }
        setenv("SLUICE_DIR", old, 1);
        while (strlen(dir) > strlen(in_tmp("."))) {
                eq(rmdir(dir), 0);
                *strrchr(dir, '/') = '\0';
        }
}

QTest(length, a_component_is_as_long_as_the_file_system_allows)
{
        char name[300] = "";

        memset(name, 'n', 255);
        works(name);
        name[255] = 'n';
        refused_by_all(name, -ENAMETOOLONG);
}

QTest(length, a_directory_too_long_is_refused)
{
        char *dir = malloc(2001), *old = strdup(getenv("SLUICE_DIR"));

        memset(dir, 'd', 2000);
        dir[0] = '/';
        dir[2000] = '\0';
        setenv("SLUICE_DIR", dir, 1);
        call(sluice_create("q", NULL), -ENAMETOOLONG);
        call(sluice_remove("q"), -ENAMETOOLONG);
        setenv("SLUICE_DIR", "", 1);
        setenv("XDG_RUNTIME_DIR", dir, 1);
        call(sluice_create("q", NULL), -ENAMETOOLONG);
        setenv("SLUICE_DIR", old, 1);
}

/* What a queue says of itself has room for its whole name. */
QTest(length, a_short_path_in_a_deep_directory_is_measured_whole)
{
        char *path = long_path(SLUICE_NAME_MAX + 30, true), *slash = strrchr(path, '/');
        const struct world before = world_now();

        *slash = '\0';
        eq(chdir(path), 0);
        refused(sluice_create("./a-name-that-is-as-long-as-it-takes-to-be-too-long-here-"
                              "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"
                              "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"
                              "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq",
                              NULL),
                -ENAMETOOLONG);
        same_world(&before);
        eq(chdir("/"), 0);
        while (strlen(path) >= strlen(in_tmp("."))) {
                eq(rmdir(path), 0);
                *strrchr(path, '/') = '\0';
        }
}
