/* SPDX-License-Identifier: MIT */
/* Groups: what the handler is told, what it answers, runs of messages. */
#define _GNU_SOURCE
#include "group_util.h"

#include <signal.h>

/* ---- What the handler answers ------------------------------------- */

QTest(group_handler, stops_with_a_positive_answer_after_the_message)
{
        struct one o;

        one_begin(&o, 3);
        o.l->answer = 5;
        call(sluice_group_serve(o.g, note, o.l, 10, SLUICE_NOW), 1);
        o.l->answer = 0;
        call(sluice_group_serve(o.g, note, o.l, 10, SLUICE_NOW), 2);
        eq(o.l->entry[o.l->n - 1].number, 2);
        one_end(&o);
}

QTest(group_handler, keeps_the_message_with_a_negative_answer)
{
        struct one o;

        one_begin(&o, 2);
        o.l->answer = -EIO;
        call(sluice_group_serve(o.g, note, o.l, 10, SLUICE_NOW), -EIO);
        eq(look("one").pending, 2);
        call(sluice_group_serve(o.g, note, o.l, 10, SLUICE_NOW), -EIO);
        o.l->answer = 0;
        call(sluice_group_serve(o.g, note, o.l, 10, SLUICE_NOW), 2);
        eq(o.l->entry[o.l->n - 2].number, 0);
        eq(look("one").pending, 0);
        one_end(&o);
}

QTest(group_handler, stops_at_an_event)
{
        struct one o;

        one_begin(&o, 1);
        o.l->answer_event = 1;
        call(sluice_group_serve(o.g, note, o.l, 10, SLUICE_NOW), 0);
        eq(o.l->entry[0].event, SLUICE_JOINED);
        eq(o.l->n, 1);
        call(sluice_group_serve(o.g, note, o.l, 10, SLUICE_NOW), 1);
        o.l->answer_event = -ENOSYS;
        sluice_producer_close(&o.p);
        call(sluice_group_serve(o.g, note, o.l, 10, SLUICE_NOW), -ENOSYS);
        eq(o.l->entry[o.l->n - 1].event, SLUICE_ENDED);
        one_end(&o);
}

QTest(group_handler, is_told_once_that_the_producer_has_closed)
{
        struct one o;

        one_begin(&o, 1);
        sluice_producer_close(&o.p);
        call(sluice_group_serve(o.g, note, o.l, 10, soon() - MS(9900)), 1);
        for (int i = 0; i < 100; i++)
                call(sluice_group_serve(o.g, note, o.l, 10, SLUICE_NOW), 0);
        eq(count_of(o.l, SLUICE_ENDED), 1);
        eq(o.l->entry[o.l->n - 1].event, SLUICE_ENDED);
        one_end(&o);
}

static int send_and_die(void *ctx)
{
        struct sluice_producer p;

        (void)ctx;
        producer(&p, "one");
        number(&p, 70);
        kill(getpid(), SIGKILL);
        return 0;
}

QTest(group_handler, is_told_of_death_after_the_last_message_and_of_each_successor)
{
        struct one o;

        one_begin(&o, 0);
        sluice_producer_close(&o.p);
        call(sluice_group_serve(o.g, note, o.l, 10, SLUICE_NOW), 0);
        for (int i = 1; i <= 3; i++) {
                eq(reap(spawn(send_and_die, NULL)), -SIGKILL);
                call(sluice_group_serve(o.g, note, o.l, 1, soon()), 1);
                call(sluice_group_serve(o.g, note, o.l, 10, sluice_after(MS(20))), 0);
                eq(count_of(o.l, SLUICE_DIED), i);
                eq(o.l->entry[o.l->n - 1].event, SLUICE_DIED);
        }
        one_end(&o);
}

static int wait_and_die(void *ctx)
{
        const struct event *e = ctx;
        struct sluice_producer p;

        producer(&p, "one");
        signal_event(e);
        pause();
        return 0;
}

QTest(group_handler, is_told_at_once_of_a_death_while_the_group_sleeps)
{
        struct event ready = event_new();
        struct one o;
        int64_t begin;
        pid_t pid;

        one_begin(&o, 0);
        sluice_producer_close(&o.p);
        pid = spawn(wait_and_die, &ready);
        await_event(&ready);
        call(sluice_group_serve(o.g, note, o.l, 10, sluice_after(MS(20))), 0);
        kill_and_reap(pid);
        begin = sluice_now_ns();
        o.l->answer_event = 1;
        call(sluice_group_serve(o.g, note, o.l, 10, soon()), 0);
        check(sluice_now_ns() - begin < MS(50)); /* half a slice */
        eq(count_of(o.l, SLUICE_DIED), 1);
        event_free(&ready);
        one_end(&o);
}

QTest(group_handler, is_told_that_the_queue_was_removed)
{
        struct one o;

        one_begin(&o, 1);
        call(sluice_remove("one"), 0);
        call(sluice_group_serve(o.g, note, o.l, 10, sluice_after(MS(250))), 1);
        eq(o.l->entry[o.l->n - 1].event, SLUICE_REMOVED);
        call(sluice_group_serve(o.g, note, o.l, 10, sluice_after(MS(250))), 0);
        eq(count_of(o.l, SLUICE_REMOVED), 1);
        one_end(&o);
}

QTest(group_handler, is_told_of_a_violation_once)
{
        const uint64_t bad = 7;
        struct one o;

        one_begin(&o, 0);
        call(sluice_group_serve(o.g, note, o.l, 10, sluice_after(MS(1))), 0);
        poke(key_of("one"), SLUICE_LAYOUT_RING, &bad, sizeof bad);
        call(sluice_group_serve(o.g, note, o.l, 10, sluice_after(MS(250))), 0);
        eq(count_of(o.l, SLUICE_VIOLATED), 1);
        call(sluice_group_serve(o.g, note, o.l, 10, sluice_after(MS(150))), 0);
        eq(count_of(o.l, SLUICE_VIOLATED), 1);
        one_end(&o);
}

static int serve_again(void *ctx, struct sluice_member *m, enum sluice_event event,
                       const struct sluice_message *message)
{
        struct one *o = ctx;

        (void)m;
        (void)event;
        (void)message;
        call(sluice_group_serve(o->g, serve_again, o, 1, SLUICE_NOW), -EINVAL);
        call(sluice_group_arm(o->g), -EINVAL);
        call(sluice_group_disarm(o->g), -EINVAL);
        call(sluice_group_destroy(o->g), -EBUSY);
        return 0;
}

QTest(group_handler, cannot_serve_or_destroy)
{
        struct one o;

        one_begin(&o, 1);
        call(sluice_group_serve(o.g, serve_again, &o, 10, SLUICE_NOW), 1);
        one_end(&o);
}

/* ---- Runs --------------------------------------------------------- */

struct run {
        int n, answer, calls, ended;
        uint64_t number[64];
};

static int take_run(void *ctx, struct sluice_member *m, enum sluice_event event,
                    const struct sluice_message *message)
{
        struct run *r = ctx;
        struct sluice_message next;

        r->ended += event == SLUICE_ENDED;
        if (event != SLUICE_MESSAGE)
                return 0;
        r->calls++;
        r->n = 0;
        memcpy(&r->number[r->n++], message->data, 8);
        while (sluice_member_next(m, &next) == 0)
                memcpy(&r->number[r->n++], next.data, 8);
        call(sluice_member_next(m, &next), -EAGAIN);
        return r->answer;
}

QTest(member_next, hands_out_a_run_in_one_call)
{
        struct run r = {0};
        struct one o;

        one_begin(&o, 20);
        call(sluice_group_serve(o.g, take_run, &r, 100, SLUICE_NOW), 20);
        eq(r.calls, 1);
        eq(r.n, 20);
        for (int i = 0; i < 20; i++)
                eq(r.number[i], i);
        eq(look("one").pending, 0);
        eq(look("one").consumer.messages, 20);
        one_end(&o);
}

QTest(member_next, ends_with_the_batch_and_with_max)
{
        struct run r = {0};
        struct one o;

        one_begin(&o, 20);
        sluice_member_set_batch(o.m, 8);
        call(sluice_group_serve(o.g, take_run, &r, 100, SLUICE_NOW), 8);
        eq(r.n, 8);
        call(sluice_group_serve(o.g, take_run, &r, 5, SLUICE_NOW), 5);
        eq(r.number[4], 12);
        one_end(&o);
}

QTest(member_next, gives_the_whole_run_again_when_it_is_not_accepted)
{
        struct run r = {.answer = -EIO};
        struct one o;

        one_begin(&o, 20);
        call(sluice_group_serve(o.g, take_run, &r, 100, SLUICE_NOW), -EIO);
        eq(r.n, 20);
        eq(look("one").pending, 20);
        number(&o.p, 20);
        r.answer = 0;
        call(sluice_group_serve(o.g, take_run, &r, 100, SLUICE_NOW), 21);
        eq(r.number[0], 0);
        eq(r.number[20], 20);
        eq(look("one").consumer.messages, 21);
        one_end(&o);
}

QTest(member_next, leaves_the_end_to_the_handler)
{
        struct run r = {0};
        struct one o;

        one_begin(&o, 3);
        sluice_producer_close(&o.p);
        call(sluice_group_serve(o.g, take_run, &r, 100, SLUICE_NOW), 3);
        eq(r.n, 3);
        eq(r.ended, 1);
        call(sluice_member_next(o.m, &(struct sluice_message){0}), -EINVAL);
        one_end(&o);
}
