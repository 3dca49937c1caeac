/* SPDX-License-Identifier: MIT */
/* One endpoint is killed, the other continues with a successor; or the
 * queue is removed under a sleeper. For both roles and both wake kinds. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <signal.h>

#define LATE MS(3000) /* a slice is 100 ms */

struct victim {
        struct event ready, go;
        int wake;
        uint64_t first, n; /* numbers to send, or to receive */
        bool hold;         /* with one reserved, staged or peeked */
        bool sleeps;       /* and asleep when it is killed */
};

static struct victim victim_new(int wake)
{
        struct victim v = {0};

        v.ready = event_new();
        v.go = event_new();
        v.wake = wake;
        return v;
}

static void victim_free(struct victim *v)
{
        event_free(&v->ready);
        event_free(&v->go);
}

static int producing_victim(void *ctx)
{
        struct victim *v = ctx;
        const struct sluice_options o = opt_wake(v->wake);
        struct sluice_producer p;
        void *payload;

        call(sluice_producer_open(&p, "q", &o), 0);
        for (uint64_t i = v->first; i < v->first + v->n; i++)
                call(send_number(&p, i, soon()), 0);
        if (v->hold) {
                call(sluice_reserve(&p, 8, &payload, SLUICE_NOW), 0);
                call(sluice_stage(&p, 8), 0);
                call(sluice_reserve(&p, 8, &payload, SLUICE_NOW), 0);
        }
        signal_event(&v->ready);
        if (v->sleeps)
                send_number(&p, 99, SLUICE_FOREVER);
        await_event(&v->go);
        return 1;
}

static int consuming_victim(void *ctx)
{
        struct victim *v = ctx;
        const struct sluice_options o = opt_wake(v->wake);
        struct sluice_consumer c;
        struct sluice_message m;

        call(sluice_consumer_open(&c, "q", &o), 0);
        for (uint64_t i = v->first; i < v->first + v->n; i++)
                call(recv_number(&c, soon()), i);
        if (v->hold) {
                call(sluice_peek(&c, &m, SLUICE_NOW), 0);
                call(sluice_advance(&c), 0);
                call(sluice_peek(&c, &m, SLUICE_NOW), 0);
        }
        signal_event(&v->ready);
        if (v->sleeps)
                recv_number(&c, SLUICE_FOREVER);
        await_event(&v->go);
        return 1;
}

/* ---- The producer dies -------------------------------------------- */

struct receiving {
        struct sluice_consumer *c;
        int64_t result, took_ns;
};

static void *receive(void *ctx)
{
        struct receiving *r = ctx;
        const int64_t begin = sluice_now_ns();

        r->result = recv_number(r->c, soon());
        r->took_ns = sluice_now_ns() - begin;
        return NULL;
}

static void producer_dies(int own_wake, int peer_wake)
{
        const struct sluice_options o = opt_wake(own_wake);
        struct victim v = victim_new(peer_wake);
        struct sluice_producer p;
        struct sluice_consumer c;
        struct receiving r = {&c, 0, 0};
        pthread_t t;
        pid_t child;

        make("q", 1024);
        call(sluice_consumer_open(&c, "q", &o), 0);
        v.n = 3;
        v.hold = true;
        child = spawn(producing_victim, &v);
        await_event(&v.ready);
        for (int i = 0; i < 3; i++)
                call(recv_number(&c, soon()), i);
        t = thread_start(receive, &r); /* asleep when it happens */
        until_asleep("q", CONSUMER);
        kill_and_reap(child);
        thread_join(t);
        eq(r.result, -EOWNERDEAD);
        check(r.took_ns < LATE);
        eq(look("q").producer.held, 0);
        eq(look("q").producer.closed, 0);
        call(recv_number(&c, sluice_after(MS(20))), -EOWNERDEAD); /* still */
        /* A successor sends all and dies before anything is read: first
         * drained, then the death is reported. */
        v.first = 3;
        child = spawn(producing_victim, &v);
        await_event(&v.ready);
        kill_and_reap(child);
        for (int i = 3; i < 6; i++)
                call(recv_number(&c, soon()), i);
        call(recv_number(&c, soon()), -EOWNERDEAD);
        /* The next one continues; positions and counts do, too. */
        call(sluice_producer_open(&p, "q", NULL), 0);
        eq(sluice_producer_messages(&p), 6);
        eq(sluice_producer_position(&p), 6 * 64);
        eq(look("q").producer.attaches, 3);
        call(sluice_consumer_await_peer(&c, SLUICE_NOW), 0);
        call(recv_number(&c, sluice_after(MS(20))), -ETIMEDOUT);
        call(send_number(&p, 6, SLUICE_NOW), 0);
        call(recv_number(&c, soon()), 6);
        eq(sluice_consumer_messages(&c), 7);
        call(sluice_producer_close(&p), 0);
        call(recv_number(&c, soon()), -EPIPE);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
        victim_free(&v);
}

QTest(producer_death, futex)
{
        producer_dies(SLUICE_WAKE_FUTEX, SLUICE_WAKE_FUTEX);
}

QTest(producer_death, fifo)
{
        producer_dies(SLUICE_WAKE_FIFO, SLUICE_WAKE_FIFO);
}

QTest(producer_death, mixed)
{
        producer_dies(SLUICE_WAKE_FIFO, SLUICE_WAKE_FUTEX);
        producer_dies(SLUICE_WAKE_FUTEX, SLUICE_WAKE_FIFO);
}

/* By FIFO the hang-up ends the sleep, before the end of the slice. */
QTest(producer_death, fifo_needs_no_slice)
{
        struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);
        struct victim v = victim_new(SLUICE_WAKE_FUTEX);
        struct sluice_consumer c;
        struct receiving r = {&c, 0, 0};
        pthread_t t;
        pid_t child;

        o.slice_ns = MS(60000);
        make("q", 1024);
        call(sluice_consumer_open(&c, "q", &o), 0);
        child = spawn(producing_victim, &v);
        await_event(&v.ready);
        t = thread_start(receive, &r);
        until_asleep("q", CONSUMER);
        kill_and_reap(child);
        thread_join(t);
        eq(r.result, -EOWNERDEAD);
        check(r.took_ns < MS(5000));
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
        victim_free(&v);
}

static void poller_hears(int wake)
{
        struct sluice_options o = opt_wake(wake);
        struct victim v = victim_new(wake);
        struct sluice_consumer c;
        pid_t child;
        int64_t r;

        make("q", 1024);
        v.n = 2;
        child = spawn(producing_victim, &v);
        await_event(&v.ready);
        call(sluice_consumer_open(&c, "q", &o), 0);
        for (int i = 0; i < 200; i++) { /* a living one is not taken for dead */
                r = recv_number(&c, SLUICE_NOW);
                check(r == -EAGAIN || r >= 0);
        }
        kill_and_reap(child);
        until((r = recv_number(&c, SLUICE_NOW)) != -EAGAIN);
        eq(r, -EOWNERDEAD);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
        victim_free(&v);
}

QTest(producer_death, is_told_to_pollers)
{
        poller_hears(SLUICE_WAKE_FUTEX);
        poller_hears(SLUICE_WAKE_FIFO);
}

/* It died in its sleep: its parked word lies there for ever. */
static void sleeping_producer_dies(int wake)
{
        const struct sluice_options o = opt_wake(wake);
        struct victim v = victim_new(wake);
        struct sluice_producer p;
        struct sluice_consumer c;
        uint64_t wakes;
        pid_t child;

        make("q", 512);
        v.n = 7;
        v.sleeps = true;
        child = spawn(producing_victim, &v);
        await_event(&v.ready);
        until_asleep("q", PRODUCER);
        kill_and_reap(child);
        call(sluice_consumer_open(&c, "q", &o), 0);
        for (int i = 0; i < 7; i++)
                call(recv_number(&c, soon()), i);
        call(recv_number(&c, soon()), -EOWNERDEAD);
        wakes = look("q").consumer.wakes;
        check(wakes <= 1); /* not one for each message */
        call(sluice_producer_open(&p, "q", &o), 0);
        eq(look("q").producer.asleep, 0);
        call(send_number(&p, 7, SLUICE_NOW), 0);
        call(recv_number(&c, soon()), 7);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
        victim_free(&v);
}

QTest(producer_death, in_its_sleep)
{
        sleeping_producer_dies(SLUICE_WAKE_FUTEX);
        sleeping_producer_dies(SLUICE_WAKE_FIFO);
}

/* ---- The consumer dies -------------------------------------------- */

struct sending {
        struct sluice_producer *p;
        int64_t result, took_ns;
};

static void *send_one(void *ctx)
{
        struct sending *s = ctx;
        const int64_t begin = sluice_now_ns();

        s->result = send_number(s->p, 1000, soon());
        s->took_ns = sluice_now_ns() - begin;
        return NULL;
}

static void consumer_dies(int own_wake, int peer_wake)
{
        const struct sluice_options o = opt_wake(own_wake);
        struct victim v = victim_new(peer_wake);
        struct sluice_producer p;
        struct sluice_consumer c;
        struct sending s = {&p, 0, 0};
        uint64_t n;
        pthread_t t;
        pid_t child;

        make("q", 512);
        call(sluice_producer_open(&p, "q", &o), 0);
        for (uint64_t i = 0; i < 6; i++)
                call(send_number(&p, i, SLUICE_NOW), 0);
        v.n = 2;
        v.hold = true;
        child = spawn(consuming_victim, &v);
        await_event(&v.ready);
        n = fill_numbers(&p, 6);
        eq(n, 9);
        t = thread_start(send_one, &s);
        until_asleep("q", PRODUCER);
        kill_and_reap(child);
        thread_join(t);
        eq(s.result, -EOWNERDEAD);
        check(s.took_ns < LATE);
        call(send_number(&p, 1000, sluice_after(MS(20))), -EOWNERDEAD);
        /* While there is room there is no need to tell. What was peeked
         * and passed comes again. */
        v.first = 2;
        child = spawn(consuming_victim, &v);
        await_event(&v.ready);
        kill_and_reap(child);
        call(send_number(&p, 9, SLUICE_NOW), 0);
        call(send_number(&p, 10, SLUICE_NOW), 0);
        call(send_number(&p, 1000, soon()), -EOWNERDEAD);
        call(sluice_consumer_open(&c, "q", &o), 0);
        eq(sluice_consumer_messages(&c), 4);
        eq(sluice_consumer_position(&c), 4 * 64);
        eq(look("q").consumer.attaches, 3);
        call(sluice_producer_await_peer(&p, SLUICE_NOW), 0);
        for (int i = 4; i < 11; i++)
                call(recv_number(&c, SLUICE_NOW), i);
        call(send_number(&p, 11, soon()), 0);
        call(recv_number(&c, soon()), 11);
        call(sluice_consumer_close(&c), 0);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
        victim_free(&v);
}

QTest(consumer_death, futex)
{
        consumer_dies(SLUICE_WAKE_FUTEX, SLUICE_WAKE_FUTEX);
}

QTest(consumer_death, fifo)
{
        consumer_dies(SLUICE_WAKE_FIFO, SLUICE_WAKE_FIFO);
}

QTest(consumer_death, mixed)
{
        consumer_dies(SLUICE_WAKE_FIFO, SLUICE_WAKE_FUTEX);
        consumer_dies(SLUICE_WAKE_FUTEX, SLUICE_WAKE_FIFO);
}

/* Its parked word lies there: one wake-up too many, not one per message. */
static void sleeping_consumer_dies(int wake)
{
        const struct sluice_options o = opt_wake(wake);
        struct victim v = victim_new(wake);
        struct sluice_producer p;
        struct sluice_consumer c;
        pid_t child;

        make("q", 0);
        v.sleeps = true;
        child = spawn(consuming_victim, &v);
        await_event(&v.ready);
        until_asleep("q", CONSUMER);
        kill_and_reap(child);
        call(sluice_producer_open(&p, "q", &o), 0);
        for (uint64_t i = 0; i < 100; i++)
                call(send_number(&p, i, SLUICE_NOW), 0);
        check(look("q").producer.wakes <= 1);
        call(sluice_consumer_open(&c, "q", &o), 0);
        for (int i = 0; i < 100; i++)
                call(recv_number(&c, SLUICE_NOW), i);
        call(sluice_consumer_close(&c), 0);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
        victim_free(&v);
}

QTest(consumer_death, in_its_sleep)
{
        sleeping_consumer_dies(SLUICE_WAKE_FUTEX);
        sleeping_consumer_dies(SLUICE_WAKE_FIFO);
}

QTest(consumer_death, poller_that_is_full_hears)
{
        struct victim v = victim_new(SLUICE_WAKE_FUTEX);
        struct sluice_producer p;
        pid_t child;
        int r;

        make("q", 256);
        call(sluice_producer_open(&p, "q", NULL), 0);
        child = spawn(consuming_victim, &v);
        await_event(&v.ready);
        fill_numbers(&p, 0);
        kill_and_reap(child);
        until((r = send_number(&p, 9, SLUICE_NOW)) != -EAGAIN);
        eq(r, -EOWNERDEAD);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
        victim_free(&v);
}

/* ---- Nobody there yet; stopped; both dead ------------------------- */

static void waits_for_a_first_producer(int wake)
{
        const struct sluice_options o = opt_wake(wake);
        struct victim v = victim_new(wake);
        struct sluice_consumer c;
        struct receiving r = {&c, 0, 0};
        pthread_t t;
        pid_t child;

        make("q", 0);
        call(sluice_consumer_open(&c, "q", &o), 0);
        call(recv_number(&c, sluice_after(MS(150))), -ETIMEDOUT);
        t = thread_start(receive, &r);
        until_asleep("q", CONSUMER);
        v.first = 77;
        v.n = 1;
        child = spawn(producing_victim, &v);
        thread_join(t);
        eq(r.result, 77);
        kill_and_reap(child);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
        victim_free(&v);
}

QTest(absent, receiving_waits_for_a_first_producer)
{
        waits_for_a_first_producer(SLUICE_WAKE_FUTEX);
        waits_for_a_first_producer(SLUICE_WAKE_FIFO);
}

static void stopped(int wake)
{
        struct sluice_options o = opt_wake(wake);
        struct victim v = victim_new(wake);
        struct sluice_consumer c;
        pid_t child;

        o.slice_ns = MS(5);
        make("q", 0);
        call(sluice_consumer_open(&c, "q", &o), 0);
        child = spawn(producing_victim, &v);
        await_event(&v.ready);
        eq(kill(child, SIGSTOP), 0);
        call(recv_number(&c, sluice_after(MS(60))), -ETIMEDOUT);
        eq(kill(child, SIGCONT), 0);
        call(recv_number(&c, sluice_after(MS(20))), -ETIMEDOUT);
        /* A zombie is dead, whatever its process id says. */
        eq(kill(child, SIGKILL), 0);
        call(recv_number(&c, soon()), -EOWNERDEAD);
        eq(kill(child, 0), 0);
        eq(reap(child), -SIGKILL);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
        victim_free(&v);
}

QTest(absent, stopped_is_not_dead_and_a_zombie_is)
{
        stopped(SLUICE_WAKE_FUTEX);
        stopped(SLUICE_WAKE_FIFO);
}

QTest(absent, both_died_and_both_are_succeeded)
{
        struct victim v = victim_new(SLUICE_WAKE_FUTEX);
        struct sluice_producer p;
        struct sluice_consumer c;

        make("q", 1024);
        for (uint64_t round = 0; round < 5; round++) {
                pid_t child;

                v.first = round * 4;
                v.n = 4;
                child = spawn(producing_victim, &v);
                await_event(&v.ready);
                kill_and_reap(child);
                child = spawn(consuming_victim, &v);
                await_event(&v.ready);
                kill_and_reap(child);
        }
        call(sluice_producer_open(&p, "q", NULL), 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        eq(sluice_producer_messages(&p), 20);
        eq(sluice_consumer_messages(&c), 20);
        eq(sluice_consumer_position(&c), 20 * 64);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
        victim_free(&v);
}

/* ---- Removed under a sleeper -------------------------------------- */

static void removed_under_sleepers(int wake)
{
        struct sluice_options o = opt_wake(wake);
        struct sluice_producer p;
        struct sluice_consumer c, other;
        struct receiving r = {&c, 0, 0};
        struct sending s = {&p, 0, 0};
        pthread_t t;

        o.slice_ns = MS(60000);
        make("q", 256);
        make("r", 256);
        call(sluice_consumer_open(&c, "q", &o), 0);
        call(sluice_producer_open(&p, "r", &o), 0);
        call(sluice_consumer_open(&other, "r", NULL), 0);
        t = thread_start(receive, &r);
        until_asleep("q", CONSUMER);
        call(sluice_remove("q"), 0);
        thread_join(t);
        eq(r.result, -ESTALE);
        check(r.took_ns < MS(5000));
        r.took_ns = sluice_now_ns();
        call(recv_number(&c, soon()), -ESTALE); /* and at once from now on */
        check(sluice_now_ns() - r.took_ns < MS(5000));
        fill_numbers(&p, 0);
        t = thread_start(send_one, &s);
        until_asleep("r", PRODUCER);
        call(sluice_remove("r"), 0);
        thread_join(t);
        eq(s.result, -ESTALE);
        check(s.took_ns < MS(5000));
        /* The survivor drains first. */
        for (int i = 0; i < 3; i++)
                call(recv_number(&other, soon()), i);
        call(recv_number(&other, soon()), -ESTALE);
        call(sluice_consumer_close(&c), 0);
        call(sluice_consumer_close(&other), 0);
        call(sluice_producer_close(&p), 0);
}

QTest(removed, wakes_sleepers_by_futex)
{
        removed_under_sleepers(SLUICE_WAKE_FUTEX);
}

QTest(removed, wakes_sleepers_by_fifo)
{
        removed_under_sleepers(SLUICE_WAKE_FIFO);
}

static void *await_first_producer(void *ctx)
{
        struct receiving *r = ctx;

        r->result = sluice_consumer_await_peer(r->c, soon());
        return NULL;
}

QTest(removed, wakes_who_awaits_a_peer)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct sluice_consumer c;
        struct receiving r = {&c, 0, 0};
        const int64_t begin = sluice_now_ns();
        pthread_t t;

        o.slice_ns = MS(60000);
        make("q", 256);
        call(sluice_consumer_open(&c, "q", &o), 0);
        t = thread_start(await_first_producer, &r);
        pause_ms(20);
        call(sluice_remove("q"), 0);
        thread_join(t);
        eq(r.result, -ESTALE);
        check(sluice_now_ns() - begin < MS(5000));
        call(sluice_consumer_close(&c), 0);
}
