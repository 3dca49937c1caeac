/* SPDX-License-Identifier: MIT */
/* Groups: many queues, one thread. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>

#include "queue_util.h"
#include "sluice/group.h"
#include "util.h"

/* ---- A handler that writes down what it is told -------------------- */

enum { MOST = 4096 };

struct log {
        struct {
                const struct sluice_member *m;
                enum sluice_event event;
                uint64_t number;
        } entry[MOST];
        int n;
        int answer;       /* to messages */
        int answer_event; /* to others */
        struct sluice_group *group;
        struct sluice_member *remove; /* when a message comes */
};

static int note(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        struct log *l = ctx;

        check(l->n < MOST);
        l->entry[l->n].m = m;
        l->entry[l->n].event = event;
        check((message != NULL) == (event == SLUICE_MESSAGE));
        if (message) {
                eq(message->len, 8);
                memcpy(&l->entry[l->n].number, message->data, 8);
        }
        l->n++;
        if (message && l->remove) {
                eq(sluice_group_remove(l->group, l->remove), 0);
                l->remove = NULL;
        }
        return message ? l->answer : l->answer_event;
}

static int count_of(const struct log *l, enum sluice_event event)
{
        int n = 0;

        for (int i = 0; i < l->n; i++)
                n += l->entry[i].event == event;
        return n;
}

static int count_for(const struct log *l, const struct sluice_member *m, enum sluice_event event)
{
        int n = 0;

        for (int i = 0; i < l->n; i++)
                n += l->entry[i].event == event && l->entry[i].m == m;
        return n;
}

static struct log *log_new(void)
{
        struct log *l = calloc(1, sizeof *l);

        check(l != NULL);
        return l;
}

static struct sluice_group_options group_opt(void)
{
        const struct sluice_group_options o = {.size = sizeof o};

        return o;
}

static struct sluice_group *group_new(void)
{
        const struct sluice_group_options o = group_opt();
        struct sluice_group *g;

        call(sluice_group_create(&g, &o), 0);
        return g;
}

static struct sluice_member *add(struct sluice_group *g, const char *name)
{
        const struct sluice_options o = {
                .size = sizeof o, .flags = SLUICE_CREATE, .capacity = 4096};
        struct sluice_member *m;

        call(sluice_group_add(g, name, &o, NULL, &m), 0);
        return m;
}

static void producer(struct sluice_producer *p, const char *name)
{
        call(sluice_producer_open(p, name, NULL), 0);
}

static void number(struct sluice_producer *p, uint64_t n)
{
        eq(send_number(p, n, SLUICE_NOW), 0);
}

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

/* ---- Priorities --------------------------------------------------- */

enum { RANKED = 4 };

/* Four members, of priority 0, 2, 7, 2, that have joined. */
struct ranked {
        struct sluice_group *g;
        struct sluice_member *m[RANKED];
        struct sluice_producer p[RANKED];
        struct log *l;
};

static const char *const ranked_names[RANKED] = {"a", "b", "c", "d"};
static const unsigned priorities[RANKED] = {0, 2, 7, 2};

static void ranked_begin(struct ranked *r)
{
        struct sluice_group_options o = group_opt();

        o.batch = 4;
        call(sluice_group_create(&r->g, &o), 0);
        r->l = log_new();
        for (int i = 0; i < RANKED; i++) {
                r->m[i] = add(r->g, ranked_names[i]);
                producer(&r->p[i], ranked_names[i]);
                call(sluice_member_set_priority(r->m[i], priorities[i]), 0);
        }
        call(sluice_group_serve(r->g, note, r->l, 1, SLUICE_NOW), 0);
        eq(count_of(r->l, SLUICE_JOINED), RANKED);
        r->l->n = 0;
}

static void ranked_end(struct ranked *r)
{
        for (int i = 0; i < RANKED; i++)
                sluice_producer_close(&r->p[i]);
        call(sluice_group_destroy(r->g), 0);
        for (int i = 0; i < RANKED; i++)
                call(sluice_remove(ranked_names[i]), 0);
        free(r->l);
}

/* n messages for each. */
static void fill_ranked(struct ranked *r, uint64_t n)
{
        for (int i = 0; i < RANKED; i++)
                for (uint64_t k = 0; k < n; k++)
                        number(&r->p[i], k);
}

/* The priority of the member that had the i-th message. */
static unsigned priority_at(const struct ranked *r, int i)
{
        for (int k = 0; k < RANKED; k++)
                if (r->l->entry[i].m == r->m[k])
                        return priorities[k];
        return 99;
}

QTest(member_set_priority, higher_ones_come_first_in_each_turn)
{
        static const unsigned order[RANKED] = {7, 2, 2, 0};
        struct ranked r;

        ranked_begin(&r);
        fill_ranked(&r, 8);
        for (int turn = 0; turn < 2; turn++) {
                r.l->n = 0;
                call(sluice_group_serve(r.g, note, r.l, 100, SLUICE_NOW), 16);
                for (int i = 0; i < 16; i++)
                        eq(priority_at(&r, i), order[i / 4]);
        }
        ranked_end(&r);
}

QTest(member_set_priority, lower_ones_do_not_starve_when_calls_stop_early)
{
        struct ranked r;

        ranked_begin(&r);
        for (int turn = 0; turn < 20; turn++) {
                fill_ranked(&r, 1); /* the highest always has something */
                for (int i = 0; i < RANKED; i++)
                        call(sluice_group_serve(r.g, note, r.l, 1, SLUICE_NOW), 1);
                eq(priority_at(&r, turn * RANKED), 7);
                eq(priority_at(&r, turn * RANKED + 3), 0);
        }
        for (int i = 0; i < RANKED; i++)
                eq(count_for(r.l, r.m[i], SLUICE_MESSAGE), 20);
        ranked_end(&r);
}

QTest(member_set_priority, one_that_comes_within_a_turn_is_first_of_those_that_are_left)
{
        struct ranked r;

        ranked_begin(&r);
        number(&r.p[0], 1);
        number(&r.p[1], 1);
        call(sluice_group_serve(r.g, note, r.l, 1, SLUICE_NOW), 1);
        eq(priority_at(&r, 0), 2);
        number(&r.p[2], 1);
        number(&r.p[1], 2); /* has had its visit */
        for (int i = 0; i < 3; i++)
                call(sluice_group_serve(r.g, note, r.l, 1, SLUICE_NOW), 1);
        eq(priority_at(&r, 1), 7);
        eq(priority_at(&r, 2), 0);
        eq(priority_at(&r, 3), 2);
        ranked_end(&r);
}

QTest(member_set_priority, refuses_more_than_the_maximum)
{
        struct ranked r;

        ranked_begin(&r);
        call(sluice_member_set_priority(r.m[0], SLUICE_PRIORITY_MAX + 1), -EINVAL);
        ranked_end(&r);
}

QTest(member_set_priority, of_a_member_that_is_removed_meanwhile)
{
        struct ranked r;

        ranked_begin(&r);
        fill_ranked(&r, 1);
        r.l->group = r.g;
        r.l->remove = r.m[0]; /* when the first message comes */
        call(sluice_group_serve(r.g, note, r.l, 100, SLUICE_NOW), 3);
        eq(count_for(r.l, r.m[0], SLUICE_MESSAGE), 0);
        ranked_end(&r);
}

/* ---- What the handler answers ------------------------------------- */

struct one {
        struct sluice_group *g;
        struct sluice_member *m;
        struct sluice_producer p;
        struct log *l;
};

/* A group with a member that has n messages. */
static void one_begin(struct one *o, uint64_t n)
{
        o->g = group_new();
        o->l = log_new();
        o->m = add(o->g, "one");
        o->l->group = o->g;
        producer(&o->p, "one");
        for (uint64_t k = 0; k < n; k++)
                number(&o->p, k);
        call(sluice_group_serve(o->g, note, o->l, 0, SLUICE_NOW), 0);
}

static void one_end(struct one *o)
{
        sluice_producer_close(&o->p);
        call(sluice_group_destroy(o->g), 0);
        sluice_remove("one");
        free(o->l);
}

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

/* ---- Rings -------------------------------------------------------- */

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

/* ---- Observers ---------------------------------------------------- */

static int sum_stat(void *ctx, const struct sluice_member *m, const struct sluice_member_stat *st)
{
        uint64_t *sum = ctx;

        eq(strcmp(st->name, sluice_member_name(m)), 0);
        eq(st->size, sizeof *st);
        sum[0] += st->messages;
        sum[1] += st->published - st->position;
        sum[2] += (uint64_t)st->parked;
        return *st->name == 'z' ? 42 : 0;
}

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
