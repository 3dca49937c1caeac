/* SPDX-License-Identifier: MIT */
/* Groups: rings without a name as members. */
#define _GNU_SOURCE
#include "group_util.h"

#include <poll.h>
#include <sys/resource.h>

#include "util.h"

QTest(group_add_ring, serves_threads_without_a_name)
{
        struct sluice_group *g = group_new();
        struct log *l = log_new();
        struct sluice_member *m;
        struct test_rig r;

        eq(test_rig_open(&r, 4096, 64, 0), 0);
        sluice_consumer_detach(&r.c);
        call(sluice_group_add_ring(g, r.mem, r.bytes, NULL, &m), 0);
        eq(strcmp(sluice_member_name(m), ""), 0);
        eq(send_number(&r.p, 9, SLUICE_NOW), 0);
        call(sluice_group_serve(g, note, l, 1, soon()), 1);
        call(sluice_group_serve(g, note, l, 1, sluice_after(MS(3))), 0);
        eq(send_number(&r.p, 10, SLUICE_NOW), 0);
        call(sluice_group_serve(g, note, l, 1, soon()), 1);
        sluice_producer_detach(&r.p);
        call(sluice_group_serve(g, note, l, 1, SLUICE_NOW), 0);
        eq(count_of(l, SLUICE_ENDED), 1);
        call(sluice_group_destroy(g), 0);
        test_rig_close(&r);
        free(l);
}

/* A group that looks by itself once in ten seconds, a ring and a key: queue, whose
 * producers wake it. */
struct woken {
        struct sluice_group *g;
        struct log *l;
        struct test_rig r;
        struct sluice_producer named;
};

#define WOKEN_KEY "key:0x53475432"

static void woken_begin(struct woken *w)
{
        struct sluice_group_options o = group_opt();

        o.slice_ns = MS(10000);
        call(sluice_group_create(&w->g, &o), 0);
        w->l = log_new();
        eq(test_rig_open(&w->r, 4096, 64, 0), 0);
        sluice_consumer_detach(&w->r.c);
        call(sluice_producer_enable_sleep(&w->r.p, NULL), 0);
        call(sluice_group_add_ring(w->g, w->r.mem, w->r.bytes, NULL, NULL), 0);
        add(w->g, WOKEN_KEY);
        producer(&w->named, WOKEN_KEY);
        call(sluice_group_serve(w->g, note, w->l, 1, sluice_after(MS(5))), 0);
        eq(count_of(w->l, SLUICE_JOINED), 2);
}

static void woken_end(struct woken *w)
{
        sluice_producer_close(&w->r.p);
        sluice_producer_close(&w->named);
        call(sluice_group_destroy(w->g), 0);
        call(sluice_remove(WOKEN_KEY), 0);
        test_rig_close(&w->r);
        free(w->l);
}

static int count_parked(void *ctx, const struct sluice_member *m,
                        const struct sluice_member_stat *st)
{
        (void)m;
        *(int *)ctx += st->parked;
        return 0;
}

static void until_parked(struct sluice_group *g, int n)
{
        int parked = 0;

        until((parked = 0, sluice_group_each(g, count_parked, &parked)) >= 0 && parked == n);
}

static void *send_when_parked(void *ctx)
{
        struct woken *w = ctx;

        until_parked(w->g, 2);
        eq(send_number(&w->r.p, 1, SLUICE_NOW), 0);
        until_parked(w->g, 2);
        eq(send_number(&w->named, 2, SLUICE_NOW), 0);
        return NULL;
}

QTest(group_add_ring, is_woken_by_a_producer_that_may_sleep)
{
        struct woken w;
        pthread_t t;
        int64_t begin;

        woken_begin(&w);
        t = thread_start(send_when_parked, &w);
        begin = sluice_now_ns();
        call(sluice_group_serve(w.g, note, w.l, 1, SLUICE_FOREVER), 1);
        eq(w.l->entry[w.l->n - 1].number, 1);
        call(sluice_group_serve(w.g, note, w.l, 1, SLUICE_FOREVER), 1);
        eq(w.l->entry[w.l->n - 1].number, 2);
        check(sluice_now_ns() - begin < MS(10000)); /* not by looking */
        thread_join(t);
        woken_end(&w);
}

static long switches(void)
{
        struct rusage u;

        eq(getrusage(RUSAGE_THREAD, &u), 0);
        return u.ru_nvcsw;
}

QTest(group_add_ring, does_not_poll_for_a_producer_that_may_sleep)
{
        struct woken w;
        long before;

        woken_begin(&w);
        before = switches();
        call(sluice_group_serve(w.g, note, w.l, 1, sluice_after(MS(200))), 0);
        check(switches() - before < 20);
        call(sluice_group_arm(w.g), 0);
        eq(poll_fd(sluice_group_fd(w.g), POLLIN, 50), 0); /* nor every millisecond */
        eq(send_number(&w.r.p, 3, SLUICE_NOW), 0);
        eq(poll_fd(sluice_group_fd(w.g), POLLIN, 9000), POLLIN);
        call(sluice_group_disarm(w.g), 0);
        call(sluice_group_serve(w.g, note, w.l, 10, SLUICE_NOW), 1);
        woken_end(&w);
}

QTest(group_add_ring, polls_again_when_there_are_too_many_of_them)
{
        enum { MANY = 130 }; /* more than futex_waitv takes */
        static struct test_rig rig[MANY];
        struct woken w;
        long before;

        woken_begin(&w);
        for (int i = 0; i < MANY; i++) {
                eq(test_rig_open(&rig[i], 4096, 64, 0), 0);
                sluice_consumer_detach(&rig[i].c);
                call(sluice_producer_enable_sleep(&rig[i].p, NULL), 0);
                call(sluice_group_add_ring(w.g, rig[i].mem, rig[i].bytes, NULL, NULL), 0);
        }
        call(sluice_group_serve(w.g, note, w.l, 1, sluice_after(MS(20))), 0);
        before = switches();
        call(sluice_group_serve(w.g, note, w.l, 1, sluice_after(MS(200))), 0);
        check(switches() - before > 3); /* one, if it only slept */
        eq(send_number(&rig[MANY - 1].p, 3, SLUICE_NOW), 0);
        call(sluice_group_serve(w.g, note, w.l, 1, sluice_after(MS(9000))), 1);
        woken_end(&w);
        for (int i = 0; i < MANY; i++) {
                sluice_producer_close(&rig[i].p);
                test_rig_close(&rig[i]);
        }
}

/* It is looked at seldom, and there is nothing else to look at. */
QTest(group_add_ring, is_found_when_a_message_comes_just_before_sleep)
{
        struct sluice_group_options o = group_opt();
        struct log *l = log_new();
        struct sluice_group *g;
        struct test_rig r;

        o.spin_ns = SLUICE_SPIN_NONE;
        call(sluice_group_create(&g, &o), 0);
        eq(test_rig_open(&r, 4096, 64, 0), 0);
        sluice_consumer_detach(&r.c);
        call(sluice_group_add_ring(g, r.mem, r.bytes, NULL, NULL), 0);
        call(sluice_group_serve(g, note, l, 1, SLUICE_NOW), 0);
        call(sluice_group_arm(g), 0);
        eq(send_number(&r.p, 9, SLUICE_NOW), 0);
        call(sluice_group_arm(g), 1);
        call(sluice_group_serve(g, note, l, 1, soon()), 1);
        sluice_producer_detach(&r.p);
        call(sluice_group_destroy(g), 0);
        test_rig_close(&r);
        free(l);
}

QTest(group_add_ring, refuses_what_is_no_ring)
{
        struct sluice_group *g = group_new();
        unsigned char *mem = test_memory(16384);

        memset(mem, 1, 16384);
        refused(sluice_group_add_ring(g, mem, 16384, NULL, NULL), -EPROTO);
        refused(sluice_group_add_ring(g, mem + 1, 16383, NULL, NULL), -EINVAL);
        test_memory_free(mem);
        call(sluice_group_destroy(g), 0);
}
