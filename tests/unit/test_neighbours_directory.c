/* SPDX-License-Identifier: MIT */
/* Directories of queues that were removed, moved or changed by other programs, or
 * whose memory is in another namespace. */
#define _GNU_SOURCE
#include "remains.h"

#include <sched.h>

static struct sluice_producer p;
static struct sluice_consumer c;

/* ---- rm -r -------------------------------------------------------- */

/* The same name, and the inode number of the directory before, where the file
 * system gives it out again. */
static bool same_inode_again(const char *path, ino_t inode)
{
        struct stat st;

        eq(mkdir(path, 0700), 0);
        eq(stat(path, &st), 0);
        return st.st_ino == inode;
}

static void removed_by_rm_r(const char *next)
{
        struct sluice_queue_stat st;
        struct stat before;
        bool again;

        make("q", 0);
        eq(stat(in_queues("q"), &before), 0);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(send_number(&p, 1, SLUICE_NOW), 0);
        call(sluice_producer_close(&p), 0);
        rm_r(in_queues("q"));
        call(sluice_stat("q", &st), -ENOENT);
        eq(list().orphans, 1);
        again = same_inode_again(in_queues(next), before.st_ino);
        call(sluice_stat(next, &st), -ENOENT); /* not the old one's */
        call(sluice_consumer_open(&c, next, NULL), -ENOENT);
        call(sluice_create(next, NULL), 0);
        eq(look(next).pending, 0);
        if (again)
                eq(list().orphans, 0); /* taken over */
        works_and_goes(next);
        if (!again) {
                const struct found f = list();

                call(sluice_reap(&f.orphan, SLUICE_REAP_PENDING), 0);
        }
        eq(list().orphans, 0);
}

QTest(removed_directory, is_no_hindrance_to_the_next)
{
        needs_own_namespace();
        removed_by_rm_r("q");
        removed_by_rm_r("other");
}

/* Endpoints that have it open get the error of any removal. */
QTest(removed_directory, tells_who_had_it_open)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct stat before;

        needs_own_namespace();
        o.slice_ns = MS(10);
        make("q", 0);
        eq(stat(in_queues("q"), &before), 0);
        call(sluice_consumer_open(&c, "q", &o), 0);
        rm_r(in_queues("q"));
        call(recv_number(&c, soon()), -ESTALE);
        call(sluice_consumer_close(&c), 0);
        {
                const struct found f = list();

                eq(f.orphans, 1);
                call(sluice_reap(&f.orphan, 0), 0);
        }
}

/* rm -r that was killed, or during which a queue was made: a record without its
 * pipes is no queue, and no hindrance to the next. */
QTest(removed_directory, half_way_is_removed)
{
        static const char *const parts[] = {"q/readable", "q/writable"};

        for (int i = 0; i < 2; i++) {
                struct sluice_options o = SLUICE_OPTIONS_INIT;
                struct sluice_queue_stat st;

                make("q", 4096);
                call(sluice_consumer_open(&c, "q", NULL), 0);
                eq(unlink(in_queues(parts[i])), 0);
                refused(sluice_stat("q", &st), -ENOENT);
                refused(sluice_producer_open(&p, "q", NULL), -ENOENT);
                eq(list().queues, 1);
                o.flags = SLUICE_CREATE;
                call(sluice_producer_open(&p, "q", &o), 0);
                call(recv_number(&c, soon()), -ESTALE);
                call(sluice_consumer_close(&c), 0);
                call(sluice_producer_close(&p), 0);
                works_and_goes("q");
                eq(list().queues, 0);
        }
}

QTest(removed_directory, half_way_can_be_removed)
{
        make("q", 4096);
        eq(unlink(in_queues("q/readable")), 0);
        call(sluice_remove("q"), 0);
        eq(list().queues, 0);
}

QTest(removed_directory, orphan_in_use_is_not_reaped)
{
        struct found f;

        needs_own_namespace();
        make("q", 0);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        rm_r(in_queues("q"));
        f = list();
        eq(f.orphans, 1);
        refused(sluice_reap(&f.orphan, SLUICE_REAP_PENDING), -EBUSY);
        call(sluice_producer_close(&p), 0);
        refused(sluice_reap(&f.orphan, SLUICE_REAP_PENDING), -EBUSY);
        call(sluice_consumer_close(&c), 0);
        call(sluice_reap(&f.orphan, 0), 0);
        call(sluice_reap(&f.orphan, 0), -ENOENT);
}

/* ---- The record --------------------------------------------------- */

/* The record of a queue, with one part of it replaced. */
static void rewrite(const char *link, const char *from, const char *to)
{
        char text[256] = "", changed[512], *at;

        check(readlink(link, text, sizeof text - 1) > 0);
        at = strstr(text, from);
        check(at);
        snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, to,
                 at + strlen(from));
        eq(unlink(link), 0);
        eq(symlink(changed, link), 0);
}

static void all_get(const char *name, int error, int remove_error)
{
        struct sluice_queue_stat st;

        refused(sluice_producer_open(&p, name, NULL), error);
        refused(sluice_stat(name, &st), error);
        refused(sluice_create(name, NULL), error);
        refused(sluice_remove(name), remove_error);
}

QTest(record, of_an_earlier_boot_is_of_nothing)
{
        struct sluice_queue_stat st;

        make("q", 0);
        st = look("q");
        rewrite(in_queues("q/memory"), "boot=", "boot=f");
        call(sluice_producer_open(&p, "q", NULL), -EPROTONOSUPPORT); /* too long: no boot */
        rewrite(in_queues("q/memory"), "boot=f", "boot=");
        {
                char link[256] = "";

                check(readlink(in_queues("q/memory"), link, sizeof link - 1) > 0);
                rewrite(in_queues("q/memory"), strstr(link, "boot="),
                        "boot=00000000-0000-0000-0000-000000000000");
        }
        call(sluice_producer_open(&p, "q", NULL), -ENOENT);
        call(sluice_create("q", NULL), 0); /* and what is left of it is the inode's */
        check(look("q").generation != st.generation);
        works_and_goes("q");
}

QTest(record, of_another_version_is_left_alone)
{
        make("q", 0);
        rewrite(in_queues("q/memory"), "sluice-1 ", "sluice-2 ");
        all_get("q", -EPROTONOSUPPORT, -EPROTONOSUPPORT);
        rewrite(in_queues("q/memory"), "sluice-2 ", "sluice-1 ");
        works_and_goes("q");
}

QTest(record, that_is_none_is_something_else)
{
        make("q", 0);
        rewrite(in_queues("q/memory"), "sluice-1 ", "/etc/passwd ");
        all_get("q", -ENOTEMPTY, -ENOTEMPTY);
        rewrite(in_queues("q/memory"), "/etc/passwd ", "sluice-1 ");
        works_and_goes("q");
}

/* Identifiers are given out again: what they name by now is looked at. */
QTest(record, that_names_what_is_anothers_by_now)
{
        char shmid[32], semid[32], other_shmid[32], other_semid[32];
        struct sluice_queue_stat st, other;

        make("q", 0);
        make("other", 0);
        st = look("q");
        other = look("other");
        snprintf(shmid, sizeof shmid, "shmid=%d ", st.shmid);
        snprintf(semid, sizeof semid, "semid=%d ", st.semid);
        snprintf(other_shmid, sizeof other_shmid, "shmid=%d ", other.shmid);
        snprintf(other_semid, sizeof other_semid, "semid=%d ", other.semid);
        rewrite(in_queues("q/memory"), shmid, other_shmid);
        call(sluice_producer_open(&p, "q", NULL), -ENOENT);
        rewrite(in_queues("q/memory"), other_shmid, shmid);
        rewrite(in_queues("q/memory"), semid, other_semid);
        call(sluice_producer_open(&p, "q", NULL), -EINPROGRESS);
        call(sluice_remove("q"), 0);
        eq(look("other").shmid, other.shmid);
        works_and_goes("other");
}

/* ---- mv ----------------------------------------------------------- */

QTest(moved_directory, keeps_its_queue)
{
        struct found f;

        needs_own_namespace();
        make("q", 0);
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(send_number(&p, 5, SLUICE_NOW), 0);
        eq(rename(in_queues("q"), in_queues("r")), 0);
        call(sluice_consumer_open(&c, "r", NULL), 0);
        call(recv_number(&c, SLUICE_NOW), 5);
        f = list();
        eq(f.queues, 1);
        eq(strcmp(f.queue.name, realpath(in_queues("r"), NULL)), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_producer_close(&p), 0);
        /* To another directory: it cannot be found, but that it was moved can. */
        eq(mkdir(in_tmp("d"), 0700), 0);
        eq(rename(in_queues("r"), in_tmp("d/q")), 0);
        eq(list().orphans, 1);
        works_and_goes(in_tmp("d/q"));
        eq(rmdir(in_tmp("d")), 0);
}

/* ---- Another IPC namespace ---------------------------------------- */

static int in_another_namespace(void *ctx)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct sluice_queue_stat st;

        if (unshare(CLONE_NEWIPC) != 0)
                return 77;
        o.flags = SLUICE_CREATE;
        refused(sluice_producer_open(&p, ctx, &o), -EREMOTE);
        refused(sluice_consumer_open(&c, ctx, NULL), -EREMOTE);
        refused(sluice_create(ctx, NULL), -EREMOTE);
        refused(sluice_stat(ctx, &st), -EREMOTE);
        refused(sluice_remove(ctx), -EREMOTE);
        return 0;
}

QTest(namespace, of_the_memory_is_another)
{
        int r;

        make("q", 0);
        r = reap(spawn(in_another_namespace, (void *)(uintptr_t)in_queues("q")));
        works_and_goes("q");
        if (r == 77)
                cr_skip_test("no IPC namespace may be made here");
        eq(r, 0);
}
