/* SPDX-License-Identifier: MIT */
/* Groups: when they spin, park their members and sleep; what wakes them. */
#define _GNU_SOURCE
#include "group_util.h"

#include <poll.h>
#include <sched.h>

/* ---- The descriptor ----------------------------------------------- */

QTest(group_arm, makes_the_descriptor_tell_of_a_message)
{
        struct one o;
        int fd;

        one_begin(&o, 1);
        fd = sluice_group_fd(o.g);
        call(sluice_group_arm(o.g), 1); /* it has not joined yet */
        call(sluice_group_serve(o.g, note, o.l, 1, SLUICE_NOW), 1);
        for (uint64_t i = 0; i < 10; i++) {
                call(sluice_group_serve(o.g, note, o.l, 1, SLUICE_NOW), 0);
                call(sluice_group_arm(o.g), 0);
                eq(poll_fd(fd, POLLIN, 0), 0);
                number(&o.p, i);
                eq(poll_fd(fd, POLLIN, 10000), POLLIN);
                call(sluice_group_disarm(o.g), 0);
                call(sluice_group_serve(o.g, note, o.l, 10, SLUICE_NOW), 1);
        }
        number(&o.p, 11);
        call(sluice_group_arm(o.g), 1);
        one_end(&o);
}

QTest(group_arm, rings_once_in_a_slice_without_a_message)
{
        struct sluice_group_options o = group_opt();
        struct log *l = log_new();
        struct sluice_group *g;

        o.slice_ns = MS(20);
        call(sluice_group_create(&g, &o), 0);
        add(g, "a");
        call(sluice_group_serve(g, note, l, 1, SLUICE_NOW), 0);
        call(sluice_group_serve(g, note, l, 1, SLUICE_NOW), 0);
        for (int i = 0; i < 3; i++) {
                call(sluice_group_arm(g), 0);
                eq(poll_fd(sluice_group_fd(g), POLLIN, 10000), POLLIN);
                call(sluice_group_disarm(g), 0);
                call(sluice_group_serve(g, note, l, 1, SLUICE_NOW), 0);
        }
        call(sluice_group_destroy(g), 0);
        call(sluice_remove("a"), 0);
        free(l);
}

/* ---- Interrupts --------------------------------------------------- */

QTest(group_interrupt, ends_the_next_call_once)
{
        struct one o;

        one_begin(&o, 0);
        call(sluice_group_interrupt(o.g), 0);
        call(sluice_group_interrupt(o.g), 0);
        call(sluice_group_serve(o.g, note, o.l, 1, SLUICE_FOREVER), -ECANCELED);
        call(sluice_group_serve(o.g, note, o.l, 1, sluice_after(MS(2))), 0);
        one_end(&o);
}

static void *interrupt_later(void *ctx)
{
        until_asleep("one", CONSUMER);
        sluice_group_interrupt(ctx);
        return NULL;
}

QTest(group_interrupt, ends_a_sleep)
{
        struct one o;
        pthread_t t;

        one_begin(&o, 0);
        t = thread_start(interrupt_later, o.g);
        call(sluice_group_serve(o.g, note, o.l, 1, soon()), -ECANCELED);
        thread_join(t);
        one_end(&o);
}

static int interrupt_at_3(void *ctx, struct sluice_member *m, enum sluice_event event,
                          const struct sluice_message *message)
{
        (void)m;
        (void)event;
        (void)message;
        sluice_group_interrupt(ctx);
        return 0;
}

QTest(group_interrupt, is_told_by_the_next_call_when_messages_were_handed_over)
{
        struct one o;

        one_begin(&o, 3);
        call(sluice_group_serve(o.g, note, o.l, 1, SLUICE_NOW), 1);
        call(sluice_group_serve(o.g, interrupt_at_3, o.g, 10, SLUICE_FOREVER), 2);
        call(sluice_group_serve(o.g, note, o.l, 1, SLUICE_FOREVER), -ECANCELED);
        one_end(&o);
}

/* ---- Hot for ever ------------------------------------------------- */

QTest(group_options, hot_for_ever_never_parks)
{
        struct sluice_group_options o = group_opt();
        struct log *l = log_new();
        struct sluice_group *g;
        uint64_t sum[3] = {0};

        o.hot_ns = SLUICE_HOT_FOREVER;
        call(sluice_group_create(&g, &o), 0);
        add(g, "a");
        call(sluice_group_serve(g, note, l, 1, sluice_after(MS(5))), 0);
        call(sluice_group_each(g, sum_stat, sum), 1);
        eq(sum[2], 0);
        call(sluice_group_destroy(g), 0);
        call(sluice_remove("a"), 0);
        free(l);
}

/* Does it sleep when it has served for less than it spins? rung: its producer has
 * woken it before, from this CPU. On a busy machine it may do either. */
static bool sleeps_at_once(bool rung)
{
        struct sluice_group_options o = group_opt();
        struct log *l = log_new();
        struct sluice_producer p;
        struct sluice_group *g;
        bool asleep;

        o.hot_ns = MS(100000); /* parked only to sleep */
        call(sluice_group_create(&g, &o), 0);
        add(g, "a");
        producer(&p, "a");
        while (rung && !look("a").consumer.asleep)
                call(sluice_group_serve(g, note, l, 1, sluice_after(MS(1))), 0);
        number(&p, 1);
        while (count_of(l, SLUICE_MESSAGE) == 0)
                call(sluice_group_serve(g, note, l, 1, SLUICE_FOREVER), 1);
        call(sluice_group_serve(g, note, l, 1, sluice_after(10000)), 0);
        asleep = look("a").consumer.asleep != 0;
        sluice_producer_close(&p);
        call(sluice_group_destroy(g), 0);
        call(sluice_remove("a"), 0);
        free(l);
        return asleep;
}

static int times_asleep(bool rung)
{
        int n = 0;

        for (int i = 0; i < 8; i++)
                n += sleeps_at_once(rung);
        return n;
}

/* To be on one CPU is no reason, if the producer is on another. */
QTest(group_options, spins_unless_the_producer_was_on_this_cpu)
{
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET((size_t)sched_getcpu(), &set);
        eq(sched_setaffinity(0, sizeof set, &set), 0);
        while (times_asleep(false) > 2)
                continue;
        while (times_asleep(true) < 6)
                continue;
}

QTest(group_options, an_idle_member_is_parked_while_another_is_busy)
{
        struct sluice_group_options o = group_opt();
        const int64_t hot[] = {SLUICE_HOT_DEFAULT, SLUICE_HOT_NONE, MS(1)};
        struct sluice_producer p[2];

        for (int i = 0; i < 3; i++) {
                struct log *l = log_new();
                struct sluice_group *g;

                o.hot_ns = hot[i];
                call(sluice_group_create(&g, &o), 0);
                add(g, "idle");
                add(g, "busy");
                producer(&p[0], "idle");
                producer(&p[1], "busy");
                for (int k = 1; k % 1000 != 0 || !look("idle").consumer.asleep; k++) {
                        number(&p[1], 1);
                        eq(sluice_group_serve(g, note, l, 1, SLUICE_NOW), 1);
                        l->n = 0;
                }
                number(&p[0], 5); /* and it is found beside the busy one */
                for (uint64_t got = 0; got != 5;) {
                        number(&p[1], 1);
                        check(sluice_group_serve(g, note, l, 10, SLUICE_NOW) > 0);
                        for (int k = 0; k < l->n; k++)
                                got = l->entry[k].number == 5 ? 5 : got;
                        l->n = 0;
                }
                sluice_producer_close(&p[0]);
                sluice_producer_close(&p[1]);
                call(sluice_group_destroy(g), 0);
                call(sluice_remove("idle"), 0);
                call(sluice_remove("busy"), 0);
                free(l);
        }
}
