/* SPDX-License-Identifier: MIT */
/* Groups: queues of a watched directory, and unique names in it. */
#define _GNU_SOURCE
#include "group_util.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

/* ---- Watching ----------------------------------------------------- */

static struct sluice_options create_opt(void)
{
        const struct sluice_options o = {
                .size = sizeof o, .flags = SLUICE_CREATE, .capacity = 4096};

        return o;
}

/* A directory that is watched. */
struct watched {
        struct sluice_group *g;
        struct log *l;
        char directory[200];
};

static void watched_begin(struct watched *w, unsigned flags)
{
        w->g = group_new();
        w->l = log_new();
        snprintf(w->directory, sizeof w->directory, "%s", in_tmp("logs"));
        eq(mkdir(w->directory, 0700), 0);
        call(sluice_group_watch(w->g, w->directory, flags, w), 0);
}

static void watched_end(struct watched *w)
{
        call(sluice_group_destroy(w->g), 0);
        until(rmdir(w->directory) == 0);
        free(w->l);
}

static const char *in_watched(const struct watched *w, const char *name)
{
        static char path[8][220];
        static unsigned i;
        char *const to = path[i++ % 8];

        snprintf(to, sizeof *path, "%s/%s", w->directory, name);
        return to;
}

/* Until so many events of that kind were told. */
static void serve_until(struct watched *w, enum sluice_event event, int n)
{
        const sluice_deadline end = soon();

        while (count_of(w->l, event) < n) {
                check(sluice_now_ns() < end);
                w->l->answer_event = w->l->answer = 1;
                check(sluice_group_serve(w->g, note, w->l, 1, end) >= 0);
        }
}

QTest(group_watch, joins_what_is_there_and_what_appears)
{
        const struct sluice_options o = create_opt();
        struct sluice_producer p[2];
        struct watched w;

        watched_begin(&w, 0);
        call(sluice_producer_open(&p[0], in_watched(&w, "a"), &o), 0);
        number(&p[0], 1);
        serve_until(&w, SLUICE_MESSAGE, 1);
        call(sluice_producer_open(&p[1], in_watched(&w, "b"), &o), 0);
        number(&p[1], 2);
        serve_until(&w, SLUICE_MESSAGE, 2);
        eq(count_of(w.l, SLUICE_JOINED), 2);
        check(sluice_member_user(w.l->entry[0].m) == &w);
        eq(strcmp(sluice_member_name(w.l->entry[0].m), in_watched(&w, "a")), 0);
        sluice_producer_close(&p[0]);
        sluice_producer_close(&p[1]);
        serve_until(&w, SLUICE_ENDED, 2);
        call(sluice_remove(in_watched(&w, "a")), 0);
        call(sluice_remove(in_watched(&w, "b")), 0);
        serve_until(&w, SLUICE_REMOVED, 2);
        watched_end(&w);
}

QTest(group_watch, finds_a_queue_that_is_made_again_under_the_same_name)
{
        const struct sluice_options o = create_opt();
        struct watched w;

        watched_begin(&w, 0);
        for (int i = 1; i <= 5; i++) {
                struct sluice_producer p;

                call(sluice_producer_open(&p, in_watched(&w, "a"), &o), 0);
                number(&p, (uint64_t)i);
                serve_until(&w, SLUICE_MESSAGE, i);
                sluice_producer_close(&p);
                call(sluice_remove(in_watched(&w, "a")), 0);
        }
        watched_end(&w);
}

QTest(group_watch, removes_what_has_ended_if_asked)
{
        const struct sluice_options o = create_opt();
        struct sluice_producer p;
        struct watched w;

        watched_begin(&w, SLUICE_WATCH_REMOVE);
        call(sluice_producer_open(&p, in_watched(&w, "a"), &o), 0);
        number(&p, 1);
        serve_until(&w, SLUICE_MESSAGE, 1);
        sluice_producer_close(&p);
        serve_until(&w, SLUICE_ENDED, 1);
        until(!exists(in_watched(&w, "a")));
        watched_end(&w);
}

static int come_and_die(void *ctx)
{
        const struct sluice_options o = create_opt();
        struct sluice_producer p;

        call(sluice_producer_open(&p, ctx, &o), 0);
        number(&p, 1);
        kill(getpid(), SIGKILL);
        return 0;
}

QTest(group_watch, removes_what_the_dead_have_left_once_it_is_read)
{
        struct watched w;

        watched_begin(&w, SLUICE_WATCH_REMOVE);
        for (int i = 1; i <= 3; i++) {
                char name[220];

                snprintf(name, sizeof name, "%s", in_watched(&w, "a"));
                eq(reap(spawn(come_and_die, name)), -SIGKILL);
                serve_until(&w, SLUICE_DIED, i);
                eq(count_of(w.l, SLUICE_MESSAGE), i);
                until(!exists(name));
        }
        watched_end(&w);
}

QTest(group_watch, waits_for_a_queue_that_is_not_complete)
{
        const struct sluice_options o = create_opt();
        struct sluice_producer p;
        struct watched w;

        watched_begin(&w, 0);
        eq(mkdir(in_watched(&w, "a"), 0700), 0);
        for (int i = 0; i < 5; i++)
                call(sluice_group_serve(w.g, note, w.l, 1, sluice_after(MS(2))), 0);
        eq(w.l->n, 0);
        call(sluice_producer_open(&p, in_watched(&w, "a"), &o), 0);
        number(&p, 1);
        serve_until(&w, SLUICE_MESSAGE, 1);
        sluice_producer_close(&p);
        call(sluice_remove(in_watched(&w, "a")), 0);
        serve_until(&w, SLUICE_REMOVED, 1);
        watched_end(&w);
}

QTest(group_watch, leaves_alone_what_is_no_queue)
{
        struct watched w;
        int fd;

        watched_begin(&w, SLUICE_WATCH_REMOVE);
        eq(mkdir(in_watched(&w, "directory"), 0700), 0);
        eq(mkdir(in_watched(&w, "directory/in"), 0700), 0);
        fd = open(in_watched(&w, "file"), O_CREAT | O_RDWR, 0600);
        close(fd);
        call(sluice_group_serve(w.g, note, w.l, 1, sluice_after(MS(20))), 0);
        eq(w.l->n, 0);
        eq(rmdir(in_watched(&w, "directory/in")), 0);
        eq(rmdir(in_watched(&w, "directory")), 0);
        eq(unlink(in_watched(&w, "file")), 0);
        call(sluice_group_serve(w.g, note, w.l, 1, sluice_after(MS(5))), 0);
        watched_end(&w);
}

QTest(group_watch, does_not_bring_back_a_member_that_the_program_removed)
{
        const struct sluice_options o = create_opt();
        struct sluice_producer p;
        struct watched w;

        watched_begin(&w, 0);
        call(sluice_producer_open(&p, in_watched(&w, "a"), &o), 0);
        serve_until(&w, SLUICE_JOINED, 1);
        call(sluice_group_remove(w.g, (struct sluice_member *)(uintptr_t)w.l->entry[0].m), 0);
        until(look(in_watched(&w, "a")).consumer.held == 0);
        call(sluice_group_serve(w.g, note, w.l, 1, sluice_after(MS(30))), 0);
        eq(count_of(w.l, SLUICE_JOINED), 1);
        sluice_producer_close(&p);
        call(sluice_remove(in_watched(&w, "a")), 0);
        watched_end(&w);
}

QTest(group_watch, tells_of_a_limit_and_tries_again)
{
        const struct sluice_options o = create_opt();
        struct rlimit before, limit;
        struct sluice_producer p;
        struct watched w;

        watched_begin(&w, 0);
        call(sluice_producer_open(&p, in_watched(&w, "a"), &o), 0);
        eq(getrlimit(RLIMIT_NOFILE, &before), 0);
        limit = before;
        limit.rlim_cur = (rlim_t)dup(0);
        close((int)limit.rlim_cur);
        eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        call(sluice_group_serve(w.g, note, w.l, 1, soon()), -EMFILE);
        check(strstr(sluice_limit(), "RLIMIT_NOFILE") != NULL);
        eq(setrlimit(RLIMIT_NOFILE, &before), 0);
        serve_until(&w, SLUICE_JOINED, 1);
        sluice_producer_close(&p);
        call(sluice_remove(in_watched(&w, "a")), 0);
        watched_end(&w);
}

QTest(group_watch, refuses_what_it_cannot_watch)
{
        struct watched w;

        watched_begin(&w, 0);
        call(sluice_group_watch(w.g, in_tmp("none"), 0, NULL), -ENOENT);
        call(sluice_group_watch(w.g, NULL, 0, NULL), -EINVAL);
        call(sluice_group_watch(w.g, w.directory, 4, NULL), -EINVAL);
        call(sluice_group_watch(w.g, w.directory, 0, NULL), -EEXIST);
        call(sluice_group_watch(w.g, "/proc/self/exe", 0, NULL), -ENOTDIR);
        watched_end(&w);
}

/* ---- Unique names ------------------------------------------------- */

QTest(unique_name, each_producer_of_a_directory_has_a_queue_of_its_own)
{
        const struct sluice_options o = create_opt();
        struct sluice_producer p[3];
        struct watched w;
        char name[220];

        watched_begin(&w, SLUICE_WATCH_REMOVE);
        snprintf(name, sizeof name, "%s/", w.directory);
        for (uint64_t i = 0; i < 3; i++) {
                call(sluice_producer_open(&p[i], name, &o), 0);
                number(&p[i], i);
        }
        serve_until(&w, SLUICE_MESSAGE, 3);
        eq(count_of(w.l, SLUICE_JOINED), 3);
        for (int i = 0; i < 3; i++)
                sluice_producer_close(&p[i]);
        serve_until(&w, SLUICE_ENDED, 3);
        watched_end(&w);
}

QTest(unique_name, only_with_create_and_only_where_there_is_a_directory)
{
        const struct sluice_options o = create_opt();
        struct sluice_producer p;
        struct sluice_consumer c;

        eq(mkdir(in_tmp("d"), 0700), 0);
        refused(sluice_producer_open(&p, in_tmp("d/"), NULL), -ENOENT);
        refused(sluice_producer_open(&p, in_tmp("q/"), &o), -ENOENT); /* no queue instead */
        call(sluice_producer_open(&p, in_tmp("q"), &o), 0);
        call(sluice_consumer_open(&c, in_tmp("q"), NULL), 0);
        sluice_consumer_close(&c);
        sluice_producer_close(&p);
        call(sluice_producer_open(&p, in_tmp("q/"), &o), 0); /* it again */
        sluice_producer_close(&p);
        call(sluice_remove(in_tmp("q")), 0);
        call(sluice_consumer_open(&c, in_tmp("d/"), &o), 0); /* a consumer: the queue "d" */
        sluice_consumer_close(&c);
        call(sluice_remove(in_tmp("d")), 0);
}
