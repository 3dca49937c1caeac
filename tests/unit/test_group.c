/* SPDX-License-Identifier: MIT */
/* Groups: many queues, one thread. */
#define _GNU_SOURCE
#include "group_util.h"

#include <sys/resource.h>

/* ---- Create and destroy ------------------------------------------- */

QTest(group_create, and_destroy_leave_nothing_behind)
{
        struct sluice_group *g;

        call(sluice_group_create(&g, NULL), 0);
        call(sluice_group_destroy(g), 0);
}

QTest(group_create, refuses_bad_options)
{
        struct sluice_group_options o = group_opt();
        struct sluice_group *g;

        o.hot_ns = -2;
        refused(sluice_group_create(&g, &o), -EINVAL);
        o = group_opt();
        o.spin_ns = -2;
        refused(sluice_group_create(&g, &o), -EINVAL);
        o = group_opt();
        o.slice_ns = -1;
        refused(sluice_group_create(&g, &o), -EINVAL);
        o = group_opt();
        o.size = 1;
        refused(sluice_group_create(&g, &o), -EINVAL);
}

/* ---- Serving ------------------------------------------------------ */

QTest(group_serve, returns_0_when_there_is_no_member)
{
        struct sluice_group *g = group_new();
        struct log *l = log_new();

        call(sluice_group_serve(g, note, l, 10, SLUICE_NOW), 0);
        call(sluice_group_serve(g, note, l, 10, sluice_after(MS(5))), 0);
        eq(l->n, 0);
        call(sluice_group_destroy(g), 0);
        free(l);
}

QTest(group_serve, tells_that_a_member_joined_before_its_messages)
{
        struct sluice_group *g = group_new();
        struct sluice_member *m = add(g, "a");
        struct log *l = log_new();
        struct sluice_producer p;

        producer(&p, "a");
        number(&p, 7);
        call(sluice_group_serve(g, note, l, 10, SLUICE_NOW), 1);
        eq(l->n, 2);
        eq(l->entry[0].event, SLUICE_JOINED);
        eq(l->entry[1].event, SLUICE_MESSAGE);
        eq(l->entry[1].number, 7);
        check(l->entry[1].m == m);
        eq(strcmp(sluice_member_name(m), "a"), 0);
        sluice_producer_close(&p);
        call(sluice_group_destroy(g), 0);
        call(sluice_remove("a"), 0);
        free(l);
}

QTest(group_serve, wakes_from_sleep_for_a_parked_member)
{
        struct sluice_group *g = group_new();
        struct log *l = log_new();
        struct sluice_producer p;

        add(g, "a");
        producer(&p, "a");
        for (uint64_t i = 0; i < 20; i++) {
                call(sluice_group_serve(g, note, l, 10, sluice_after(MS(1))), 0);
                check(look("a").consumer.asleep);
                number(&p, i);
                call(sluice_group_serve(g, note, l, 1, soon()), 1);
                eq(l->entry[l->n - 1].number, i);
        }
        sluice_producer_close(&p);
        call(sluice_group_destroy(g), 0);
        call(sluice_remove("a"), 0);
        free(l);
}

QTest(group_serve, hands_over_no_more_than_max_and_goes_on_with_the_others)
{
        struct sluice_group *g = group_new();
        struct log *l = log_new();
        struct sluice_producer p[3];
        const char *const name[] = {"a", "b", "c"};
        struct sluice_member *m[3];

        for (int i = 0; i < 3; i++) {
                m[i] = add(g, name[i]);
                producer(&p[i], name[i]);
                for (uint64_t k = 0; k < 10; k++)
                        number(&p[i], k);
        }
        for (int i = 0; i < 3; i++)
                call(sluice_group_serve(g, note, l, 1, SLUICE_NOW), 1);
        for (int i = 0; i < 3; i++)
                eq(count_for(l, m[i], SLUICE_MESSAGE), 1);
        call(sluice_group_serve(g, note, l, 0, SLUICE_NOW), 0);
        call(sluice_group_serve(g, note, l, 100, SLUICE_NOW), 27);
        for (int i = 0; i < 3; i++)
                sluice_producer_close(&p[i]);
        call(sluice_group_destroy(g), 0);
        for (int i = 0; i < 3; i++)
                call(sluice_remove(name[i]), 0);
        free(l);
}

QTest(group_serve, visits_a_busy_member_for_a_batch_only)
{
        struct sluice_group_options o = group_opt();
        struct log *l = log_new();
        struct sluice_producer p[2];
        struct sluice_member *busy;
        struct sluice_group *g;

        o.batch = 4;
        call(sluice_group_create(&g, &o), 0);
        busy = add(g, "a");
        add(g, "b");
        producer(&p[0], "a");
        producer(&p[1], "b");
        for (uint64_t k = 0; k < 20; k++)
                number(&p[0], k);
        number(&p[1], 100);
        call(sluice_group_serve(g, note, l, 5, SLUICE_NOW), 5);
        eq(l->entry[l->n - 1].number, 100);
        sluice_member_set_batch(busy, 7);
        l->n = 0;
        call(sluice_group_serve(g, note, l, 100, SLUICE_NOW), 7);
        sluice_member_set_batch(busy, 0);
        call(sluice_group_serve(g, note, l, 100, SLUICE_NOW), 4);
        sluice_producer_close(&p[0]);
        sluice_producer_close(&p[1]);
        call(sluice_group_destroy(g), 0);
        call(sluice_remove("a"), 0);
        call(sluice_remove("b"), 0);
        free(l);
}

/* ---- Adding and removing ------------------------------------------ */

QTest(group_add, answers_as_open_does)
{
        struct sluice_group *g = group_new();
        struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);
        struct sluice_consumer c;

        refused(sluice_group_add(g, "none", NULL, NULL, NULL), -ENOENT);
        refused(sluice_group_add(g, NULL, NULL, NULL, NULL), -EINVAL);
        refused(sluice_group_add(g, "none", &o, NULL, NULL), -EINVAL);
        make("taken", 4096);
        call(sluice_consumer_open(&c, "taken", NULL), 0);
        refused(sluice_group_add(g, "taken", NULL, NULL, NULL), -EBUSY);
        sluice_consumer_close(&c);
        call(sluice_group_add(g, "taken", NULL, NULL, NULL), 0);
        call(sluice_group_destroy(g), 0);
        call(sluice_remove("taken"), 0);
}

QTest(group_add, takes_two_descriptors_and_says_which_limit_is_reached)
{
        struct sluice_group *g = group_new();
        struct rlimit before, limit;
        const int fds = world_now().fds;

        add(g, "a");
        eq(world_now().fds, fds + 2);
        make("b", 4096);
        eq(getrlimit(RLIMIT_NOFILE, &before), 0);
        limit = before;
        limit.rlim_cur = (rlim_t)dup(0);
        close((int)limit.rlim_cur);
        eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        call(sluice_group_add(g, "b", NULL, NULL, NULL), -EMFILE);
        check(strstr(sluice_limit(), "RLIMIT_NOFILE") != NULL);
        call(sluice_group_create(&(struct sluice_group *){0}, NULL), -EMFILE);
        check(strstr(sluice_limit(), "RLIMIT_NOFILE") != NULL);
        eq(setrlimit(RLIMIT_NOFILE, &before), 0);
        call(sluice_group_destroy(g), 0);
        call(sluice_remove("a"), 0);
        call(sluice_remove("b"), 0);
}

QTest(group_add, wakes_a_group_that_sleeps)
{
        struct sluice_group *g = group_new();
        struct log *l = log_new();

        call(sluice_group_serve(g, note, l, 10, sluice_after(MS(1))), 0);
        add(g, "a");
        l->answer_event = 1;
        call(sluice_group_serve(g, note, l, 10, soon()), 0);
        eq(count_of(l, SLUICE_JOINED), 1);
        call(sluice_group_destroy(g), 0);
        call(sluice_remove("a"), 0);
        free(l);
}

QTest(group_add, serves_a_queue_that_is_a_key_only)
{
        struct sluice_group *g = group_new();
        struct log *l = log_new();
        struct sluice_producer p;

        add(g, "key:0x53475431");
        producer(&p, "key:0x53475431");
        call(sluice_group_serve(g, note, l, 1, sluice_after(MS(2))), 0);
        number(&p, 3);
        call(sluice_group_serve(g, note, l, 1, soon()), 1);
        sluice_producer_close(&p);
        call(sluice_group_destroy(g), 0);
        call(sluice_remove("key:0x53475431"), 0);
        free(l);
}

static int forgotten;
static void forget(void *user)
{
        __atomic_add_fetch(&forgotten, (int)(intptr_t)user, __ATOMIC_SEQ_CST);
}

QTest(group_remove, forgets_the_member_and_gives_the_role_back)
{
        struct sluice_group_options o = group_opt();
        struct log *l = log_new();
        struct sluice_consumer c;
        struct sluice_member *m;
        struct sluice_group *g;

        o.forget = forget;
        call(sluice_group_create(&g, &o), 0);
        make("a", 4096);
        call(sluice_group_add(g, "a", NULL, (void *)(intptr_t)3, &m), 0);
        eq((intptr_t)sluice_member_user(m), 3);
        call(sluice_group_serve(g, note, l, 10, sluice_after(MS(1))), 0);
        sluice_member_set_user(m, (void *)(intptr_t)5);
        call(sluice_group_remove(g, m), 0);
        until(__atomic_load_n(&forgotten, __ATOMIC_SEQ_CST) == 5);
        call(sluice_group_remove(g, m), -ENOENT); /* compared, not touched */
        call(sluice_consumer_open(&c, "a", NULL), 0);
        sluice_consumer_close(&c);
        call(sluice_group_serve(g, note, l, 10, SLUICE_NOW), 0);
        call(sluice_group_destroy(g), 0);
        call(sluice_remove("a"), 0);
        free(l);
}

QTest(group_remove, in_the_handler_is_the_end_of_its_messages)
{
        struct one o;

        one_begin(&o, 5);
        o.l->remove = o.m;
        call(sluice_group_serve(o.g, note, o.l, 10, SLUICE_NOW), 1);
        call(sluice_group_serve(o.g, note, o.l, 10, SLUICE_NOW), 0);
        until(look("one").consumer.held == 0);
        eq(look("one").pending, 4);
        one_end(&o);
}

QTest(group_remove, of_a_parked_member_does_not_disturb_the_others)
{
        struct sluice_group *g = group_new();
        struct log *l = log_new();
        struct sluice_producer p[2];
        struct sluice_member *a = add(g, "a");

        add(g, "b");
        producer(&p[0], "a");
        producer(&p[1], "b");
        call(sluice_group_serve(g, note, l, 10, sluice_after(MS(1))), 0);
        call(sluice_group_remove(g, a), 0);
        number(&p[0], 1);
        number(&p[1], 2);
        call(sluice_group_serve(g, note, l, 10, sluice_after(MS(50))), 1);
        eq(l->entry[l->n - 1].number, 2);
        sluice_producer_close(&p[0]);
        sluice_producer_close(&p[1]);
        call(sluice_group_destroy(g), 0);
        call(sluice_remove("a"), 0);
        call(sluice_remove("b"), 0);
        free(l);
}

/* ---- Observers ---------------------------------------------------- */

QTest(group_each, shows_every_member_with_its_numbers)
{
        struct one o;
        uint64_t sum[3] = {0};

        one_begin(&o, 16); /* as many as a producer tells of at once */
        call(sluice_group_serve(o.g, note, o.l, 15, SLUICE_NOW), 15);
        call(sluice_group_each(o.g, sum_stat, sum), 1);
        eq(sum[0], 15);
        eq(sum[1], 64);
        eq(sum[2], 0);
        call(sluice_group_serve(o.g, note, o.l, 3, sluice_after(MS(1))), 1);
        call(sluice_group_each(o.g, sum_stat, sum), 1);
        eq(sum[2], 1);
        add(o.g, "z");
        call(sluice_group_each(o.g, sum_stat, sum), 42);
        one_end(&o);
        call(sluice_remove("z"), 0);
}

/* ---- Fork --------------------------------------------------------- */

static int use_parents(void *ctx)
{
        struct one *o = ctx;
        struct sluice_group *g;
        uint64_t sum[3];

        call(sluice_group_serve(o->g, note, o->l, 1, SLUICE_NOW), -EPERM);
        call(sluice_group_add(o->g, "one", NULL, NULL, NULL), -EPERM);
        call(sluice_group_add_ring(o->g, o, sizeof *o, NULL, NULL), -EPERM);
        call(sluice_group_remove(o->g, o->m), -EPERM);
        call(sluice_group_watch(o->g, ".", 0, NULL), -EPERM);
        call(sluice_group_each(o->g, sum_stat, sum), -EPERM);
        call(sluice_group_fd(o->g), -EPERM);
        call(sluice_group_arm(o->g), -EPERM);
        call(sluice_group_disarm(o->g), -EPERM);
        call(sluice_group_interrupt(o->g), -EPERM);
        call(sluice_group_destroy(o->g), -EPERM);
        g = group_new();
        add(g, "child");
        call(sluice_group_destroy(g), 0);
        call(sluice_remove("child"), 0);
        return 0;
}

QTest(group_fork, gives_the_child_nothing_and_it_may_have_its_own)
{
        struct one o;

        one_begin(&o, 2);
        call(sluice_group_serve(o.g, note, o.l, 1, SLUICE_NOW), 1);
        run(use_parents, &o);
        call(sluice_group_serve(o.g, note, o.l, 1, SLUICE_NOW), 1);
        one_end(&o);
}
