/* SPDX-License-Identifier: MIT */
/* Groups: several threads serve one. */
#define _GNU_SOURCE
#include <signal.h>

#include "queue_util.h"
#include "sluice/group.h"
#include "util.h"

enum { MEMBERS = 2 };

static const char *const names[MEMBERS] = {"a", "b"};

/* What handlers share. */
struct pool {
        struct sluice_group *g;
        struct sluice_member *m[MEMBERS];
        struct sluice_producer p[MEMBERS];
        struct event inside, go; /* a handler waits for `go` at message STAY */
        int handed[MEMBERS], joined, ended, removed;
        uint64_t last[MEMBERS];
        int answer;
        ssize_t result; /* of a thread */
        sluice_deadline deadline;
};

enum { STAY = 1000 };

static int take(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        struct pool *p = ctx;
        const int i = sluice_member_name(m)[0] == 'b';

        __atomic_add_fetch(&p->joined, event == SLUICE_JOINED, __ATOMIC_SEQ_CST);
        __atomic_add_fetch(&p->ended, event == SLUICE_ENDED, __ATOMIC_SEQ_CST);
        __atomic_add_fetch(&p->removed, event == SLUICE_REMOVED, __ATOMIC_SEQ_CST);
        if (event != SLUICE_MESSAGE)
                return 0;
        memcpy(&p->last[i], message->data, 8);
        if (p->last[i] == STAY) {
                signal_event(&p->inside);
                await_event(&p->go);
        }
        __atomic_add_fetch(&p->handed[i], 1, __ATOMIC_SEQ_CST);
        return p->answer;
}

static int handed(const struct pool *p, int i)
{
        return __atomic_load_n(&p->handed[i], __ATOMIC_SEQ_CST);
}

static void number(struct pool *p, int i, uint64_t n)
{
        eq(send_number(&p->p[i], n, SLUICE_NOW), 0);
}

static void pool_begin(struct pool *p)
{
        const struct sluice_options o = {
                .size = sizeof o, .flags = SLUICE_CREATE, .capacity = 4096};

        memset(p, 0, sizeof *p);
        p->inside = event_new();
        p->go = event_new();
        p->deadline = SLUICE_FOREVER;
        call(sluice_group_create(&p->g, NULL), 0);
        for (int i = 0; i < MEMBERS; i++) {
                call(sluice_group_add(p->g, names[i], &o, NULL, &p->m[i]), 0);
                call(sluice_producer_open(&p->p[i], names[i], NULL), 0);
        }
}

static void pool_end(struct pool *p)
{
        for (int i = 0; i < MEMBERS; i++)
                sluice_producer_close(&p->p[i]);
        call(sluice_group_destroy(p->g), 0);
        for (int i = 0; i < MEMBERS; i++)
                sluice_remove(names[i]);
        event_free(&p->inside);
        event_free(&p->go);
}

static void *serve(void *ctx)
{
        struct pool *p = ctx;

        p->result = sluice_group_serve_shared(p->g, take, p, SIZE_MAX, p->deadline);
        return NULL;
}

static void *serve_quietly(void *ctx)
{
        struct pool *p = ctx;
        const ssize_t r = sluice_group_serve_shared(p->g, take, p, SIZE_MAX, SLUICE_FOREVER);

        eq(r, -ECANCELED);
        return NULL;
}

/* ---- One thread --------------------------------------------------- */

QTest(serve_shared, hands_over_as_serve_does)
{
        struct pool p;

        pool_begin(&p);
        call(sluice_group_serve_shared(p.g, take, &p, 10, sluice_after(MS(5))), 0);
        eq(p.joined, 2);
        for (uint64_t i = 1; i <= 10; i++)
                number(&p, i % 2, i);
        call(sluice_group_serve_shared(p.g, take, &p, 7, soon()), 7);
        call(sluice_group_serve_shared(p.g, take, &p, 0, soon()), 0);
        call(sluice_group_serve_shared(p.g, take, &p, SIZE_MAX, sluice_after(MS(5))), 3);
        eq(p.last[0], 10);
        eq(p.last[1], 9);
        number(&p, 0, 11);
        call(sluice_group_serve(p.g, take, &p, 1, soon()), 1); /* alone again */
        sluice_producer_close(&p.p[1]);
        call(sluice_group_serve_shared(p.g, take, &p, 1, sluice_after(MS(20))), 0);
        eq(p.ended, 1);
        call(sluice_remove("b"), 0);
        call(sluice_group_serve_shared(p.g, take, &p, 1, sluice_after(MS(250))), 0);
        eq(p.removed, 1);
        pool_end(&p);
}

QTest(serve_shared, does_not_wait_with_now)
{
        struct pool p;

        pool_begin(&p);
        number(&p, 0, 1);
        number(&p, 0, 2);
        until(sluice_group_serve_shared(p.g, take, &p, 10, SLUICE_NOW) == 2);
        call(sluice_group_serve_shared(p.g, take, &p, 10, SLUICE_NOW), 0);
        pool_end(&p);
}

QTest(serve_shared, keeps_the_message_with_a_negative_answer)
{
        struct pool p;

        pool_begin(&p);
        number(&p, 0, 1);
        p.answer = -EIO;
        call(sluice_group_serve_shared(p.g, take, &p, 10, soon()), -EIO);
        eq(look("a").pending, 1);
        p.answer = 1;
        call(sluice_group_serve_shared(p.g, take, &p, 10, soon()), 1);
        eq(look("a").pending, 0);
        pool_end(&p);
}

static int take_run(void *ctx, struct sluice_member *m, enum sluice_event event,
                    const struct sluice_message *message)
{
        struct sluice_message next;
        int *n = ctx;

        (void)message;
        while (event == SLUICE_MESSAGE && sluice_member_next(m, &next) == 0)
                ++*n;
        return 0;
}

QTest(serve_shared, hands_out_runs)
{
        struct pool p;
        int n = 0;

        pool_begin(&p);
        for (uint64_t i = 0; i < 9; i++)
                number(&p, 0, i);
        call(sluice_group_serve_shared(p.g, take_run, &n, SIZE_MAX, sluice_after(MS(5))), 9);
        eq(n, 8);
        call(sluice_member_next(p.m[0], &(struct sluice_message){0}), -EINVAL);
        pool_end(&p);
}

static int call_others(void *ctx, struct sluice_member *m, enum sluice_event event,
                       const struct sluice_message *message)
{
        struct pool *p = ctx;

        if (event != SLUICE_MESSAGE || !message)
                return 0;
        call(sluice_group_serve_shared(p->g, call_others, p, 1, SLUICE_NOW), -EINVAL);
        call(sluice_group_serve(p->g, call_others, p, 1, SLUICE_NOW), -EINVAL);
        call(sluice_group_arm(p->g), -EINVAL);
        call(sluice_group_disarm(p->g), -EINVAL);
        call(sluice_group_destroy(p->g), -EBUSY);
        call(sluice_group_remove(p->g, m), 0);
        return 0;
}

QTest(serve_shared, its_handler_cannot_serve_and_can_remove)
{
        struct pool p;

        pool_begin(&p);
        number(&p, 0, 1);
        number(&p, 0, 2);
        call(sluice_group_serve_shared(p.g, call_others, &p, 10, sluice_after(MS(5))), 1);
        until(look("a").consumer.held == 0);
        eq(look("a").pending, 1);
        pool_end(&p);
}

static int nest(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        (void)m;
        (void)event;
        (void)message;
        call(sluice_group_serve_shared(ctx, nest, ctx, 1, SLUICE_NOW), -EINVAL);
        return 0;
}

QTest(serve_shared, is_refused_in_a_handler_of_serve)
{
        struct pool p;

        pool_begin(&p);
        number(&p, 0, 1);
        call(sluice_group_serve(p.g, nest, p.g, 1, SLUICE_NOW), 1);
        pool_end(&p);
}

static int in_child(void *ctx)
{
        struct pool *p = ctx;

        call(sluice_group_serve_shared(p->g, take, p, 1, SLUICE_NOW), -EPERM);
        return 0;
}

QTest(serve_shared, is_not_for_a_child)
{
        struct pool p;

        pool_begin(&p);
        run(in_child, &p);
        pool_end(&p);
}

QTest(serve_shared, says_that_its_descriptors_are_closed)
{
        struct pool p;
        int fd, kept;

        pool_begin(&p);
        fd = sluice_group_fd(p.g);
        kept = dup(fd);
        close(fd);
        until(sluice_group_serve_shared(p.g, take, &p, 1, SLUICE_NOW) == -EBADF); /* both join */
        call(sluice_group_serve_shared(p.g, take, &p, 1, soon()), -EBADF);
        eq(dup2(kept, fd), fd);
        close(kept);
        number(&p, 0, 1);
        call(sluice_group_serve_shared(p.g, take, &p, 1, soon()), 1);
        pool_end(&p);
}

/* Of the first message. */
static int first_of(void *ctx, struct sluice_member *m, enum sluice_event event,
                    const struct sluice_message *message)
{
        char *name = ctx;

        if (event != SLUICE_MESSAGE || !message)
                return 0;
        *name = sluice_member_name(m)[0];
        return 1;
}

QTest(serve_shared, takes_the_highest_priority_first_and_lets_none_starve)
{
        struct pool p;
        char name = '0';

        pool_begin(&p);
        call(sluice_group_serve_shared(p.g, take, &p, 1, sluice_after(MS(5))), 0);
        call(sluice_member_set_priority(p.m[1], 1), 0);
        for (uint64_t i = 0; i < 8; i++) {
                number(&p, 0, i);
                number(&p, 1, i);
        }
        for (int i = 0; i < 16; i++) {
                call(sluice_group_serve_shared(p.g, first_of, &name, 9, soon()), 1);
                eq(name, i % 2 ? 'a' : 'b');
        }
        pool_end(&p);
}

/* ---- Several ------------------------------------------------------ */

QTest(serve_shared, others_go_on_while_one_is_in_its_handler)
{
        pthread_t t[2];
        struct pool p;

        pool_begin(&p);
        for (int i = 0; i < 2; i++)
                t[i] = thread_start(serve_quietly, &p);
        number(&p, 0, STAY);
        await_event(&p.inside);
        for (uint64_t i = 1; i <= 50; i++) {
                number(&p, 0, i); /* in order: behind the first */
                number(&p, 1, i);
                until(handed(&p, 1) == (int)i);
        }
        eq(handed(&p, 0), 0);
        signal_event(&p.go);
        until(handed(&p, 0) == 51);
        call(sluice_group_interrupt(p.g), 0); /* both */
        for (int i = 0; i < 2; i++)
                thread_join(t[i]);
        eq(p.last[0], 50);
        pool_end(&p);
}

QTest(serve_shared, a_thread_that_leaves_leaves_the_rest_to_the_others)
{
        pthread_t first, second;
        struct pool p, q;

        pool_begin(&p);
        q = p;
        q.deadline = sluice_after(MS(20));
        first = thread_start(serve, &q); /* looks for both, and then goes */
        until_asleep("a", CONSUMER);
        second = thread_start(serve_quietly, &p);
        thread_join(first);
        eq(q.result, 0);
        number(&p, 0, 1);
        until(handed(&p, 0) == 1);
        call(sluice_group_interrupt(p.g), 0);
        thread_join(second);
        pool_end(&p);
}

QTest(serve_shared, one_that_waits_returns_at_its_deadline)
{
        pthread_t first;
        struct pool p;

        pool_begin(&p);
        first = thread_start(serve_quietly, &p);
        until_asleep("a", CONSUMER);
        call(sluice_group_serve_shared(p.g, take, &p, 1, SLUICE_NOW), 0);
        call(sluice_group_serve_shared(p.g, take, &p, 1, sluice_after(MS(5))), 0);
        call(sluice_group_interrupt(p.g), 0);
        thread_join(first);
        pool_end(&p);
}

QTest(serve_shared, the_last_one_to_come_back_looks_for_all)
{
        pthread_t t;
        struct pool p;

        pool_begin(&p);
        t = thread_start(serve_quietly, &p);
        number(&p, 0, STAY);
        await_event(&p.inside);
        number(&p, 1, 1);
        call(sluice_group_serve_shared(p.g, take, &p, 1, soon()), 1);
        number(&p, 1, 2); /* nobody looks now */
        number(&p, 0, 3);
        signal_event(&p.go);
        until(handed(&p, 0) == 2 && handed(&p, 1) == 2);
        call(sluice_group_interrupt(p.g), 0);
        thread_join(t);
        pool_end(&p);
}

QTest(serve_shared, a_member_that_is_removed_in_its_handler_is_forgotten_when_that_returns)
{
        pthread_t t[2];
        struct pool p;

        pool_begin(&p);
        for (int i = 0; i < 2; i++)
                t[i] = thread_start(serve_quietly, &p);
        number(&p, 0, STAY);
        number(&p, 0, 1);
        await_event(&p.inside);
        call(sluice_group_remove(p.g, p.m[0]), 0);
        number(&p, 1, 1);
        until(handed(&p, 1) == 1);
        check(look("a").consumer.held != 0);
        signal_event(&p.go);
        until(look("a").consumer.held == 0);
        eq(look("a").pending, 1);
        call(sluice_group_interrupt(p.g), 0);
        for (int i = 0; i < 2; i++)
                thread_join(t[i]);
        pool_end(&p);
}

QTest(serve_shared, an_interrupt_without_a_thread_ends_the_next_call)
{
        struct pool p;

        pool_begin(&p);
        call(sluice_group_interrupt(p.g), 0);
        call(sluice_group_serve_shared(p.g, take, &p, 1, SLUICE_FOREVER), -ECANCELED);
        call(sluice_group_serve_shared(p.g, take, &p, 1, sluice_after(MS(2))), 0);
        pool_end(&p);
}
