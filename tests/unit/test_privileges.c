/* SPDX-License-Identifier: MIT */
/* Root opens and becomes another user: its waits are as they were. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <poll.h>

struct dropped {
        struct event ready, go;
        const char *name;
        int wake;
        int64_t expected;
};

static void drop_privileges(void)
{
        eq(setresgid(USER_A, USER_A, USER_A), 0);
        eq(setresuid(USER_A, USER_A, USER_A), 0);
}

static int receives_without_privileges(void *ctx)
{
        const struct dropped *d = ctx;
        const struct sluice_options o = opt_wake(d->wake);
        struct sluice_consumer c;
        int64_t cpu;

        call(sluice_consumer_open(&c, d->name, &o), 0);
        drop_privileges();
        call(sluice_consumer_await_peer(&c, SLUICE_NOW), -EAGAIN);
        cpu = cpu_ns();
        call(recv_number(&c, sluice_after(MS(250))), -ETIMEDOUT); /* alone */
        check(cpu_ns() - cpu < MS(125));
        signal_event(&d->ready);
        call(sluice_consumer_await_peer(&c, soon()), 0);
        call(recv_number(&c, soon()), 1);
        cpu = cpu_ns();
        call(recv_number(&c, sluice_after(MS(250))), -ETIMEDOUT); /* it is alive */
        check(cpu_ns() - cpu < MS(125));
        signal_event(&d->ready);
        call(recv_number(&c, soon()), d->expected);
        if (d->expected != -ESTALE) {
                until(sluice_consumer_await_peer(&c, SLUICE_NOW) == -EAGAIN);
                call(sluice_consumer_await_peer(&c, sluice_after(MS(100))), -ETIMEDOUT);
        }
        call(sluice_consumer_close(&c), 0);
        return 0;
}

static int sends_one(void *ctx)
{
        const struct dropped *d = ctx;
        struct sluice_producer p;

        call(sluice_producer_open(&p, "q", NULL), 0);
        call(send_number(&p, 1, SLUICE_NOW), 0);
        await_event(&d->go);
        call(sluice_producer_close(&p), 0);
        return 0;
}

static void dropped_hears(int wake, int64_t expected)
{
        struct dropped d = {event_new(), event_new(), "q", wake, expected};
        struct sluice_consumer c;
        pid_t consumer, producer;

        make("q", 0);
        consumer = spawn(receives_without_privileges, &d);
        await_event(&d.ready);
        producer = spawn(sends_one, &d);
        await_event(&d.ready);
        if (expected == -EPIPE) {
                signal_event(&d.go);
                eq(reap(producer), 0);
        } else if (expected == -EOWNERDEAD) {
                kill_and_reap(producer);
        } else {
                call(sluice_remove("q"), 0);
                kill_and_reap(producer);
        }
        eq(reap(consumer), 0);
        if (expected != -ESTALE) {
                call(sluice_consumer_open(&c, "q", NULL), 0);
                call(sluice_consumer_close(&c), 0);
                call(sluice_remove("q"), 0);
        }
        event_free(&d.ready);
        event_free(&d.go);
}

QTest(privileges, given_up_after_open_leave_waits_as_they_were_futex)
{
        needs_root();
        dropped_hears(SLUICE_WAKE_FUTEX, -EPIPE);
        dropped_hears(SLUICE_WAKE_FUTEX, -EOWNERDEAD);
        dropped_hears(SLUICE_WAKE_FUTEX, -ESTALE);
}

QTest(privileges, given_up_after_open_leave_waits_as_they_were_fifo)
{
        needs_root();
        dropped_hears(SLUICE_WAKE_FIFO, -EPIPE);
        dropped_hears(SLUICE_WAKE_FIFO, -EOWNERDEAD);
        dropped_hears(SLUICE_WAKE_FIFO, -ESTALE);
}

static int polls_without_privileges(void *ctx)
{
        const struct dropped *d = ctx;
        const struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);
        struct sluice_consumer c;
        int64_t r, end, turns = 0;

        call(sluice_consumer_open(&c, d->name, &o), 0);
        drop_privileges();
        signal_event(&d->ready);
        for (r = -EAGAIN; r != 1; r = recv_number(&c, SLUICE_NOW)) {
                if (sluice_consumer_arm(&c) == 0)
                        poll_fd(sluice_consumer_fd(&c), POLLIN, 10000);
                call(sluice_consumer_disarm(&c), 0);
        }
        signal_event(&d->ready);
        until(recv_number(&c, SLUICE_NOW) == -EOWNERDEAD);
        call(sluice_consumer_arm(&c), 0); /* reported: waits for a successor */
        call(sluice_consumer_disarm(&c), 0);
        for (end = sluice_now_ns() + MS(100); sluice_now_ns() < end; turns++) {
                if (sluice_consumer_arm(&c) == 0)
                        poll_fd(sluice_consumer_fd(&c), POLLIN, 100);
                call(sluice_consumer_disarm(&c), 0);
        }
        check(turns <= 110);
        call(sluice_consumer_close(&c), 0);
        return 0;
}

QTest(privileges, given_up_after_open_do_not_make_a_loop_spin)
{
        struct dropped d;
        pid_t consumer, producer;

        needs_root();
        d = (struct dropped){event_new(), event_new(), "q", SLUICE_WAKE_FIFO, 0};
        make("q", 0);
        consumer = spawn(polls_without_privileges, &d);
        await_event(&d.ready);
        producer = spawn(sends_one, &d);
        await_event(&d.ready);
        kill_and_reap(producer);
        eq(reap(consumer), 0);
        call(sluice_remove("q"), 0);
        event_free(&d.ready);
        event_free(&d.go);
}

/* Without a pipe the kernel cannot be asked: a peer that has attached counts
 * as present. The removal is noticed. */
static int waits_on_a_key(void *ctx)
{
        const struct dropped *d = ctx;
        struct sluice_consumer c;

        call(sluice_consumer_open(&c, d->name, NULL), 0);
        drop_privileges();
        call(recv_number(&c, sluice_after(MS(150))), -ETIMEDOUT);
        call(sluice_consumer_await_peer(&c, SLUICE_NOW), -EAGAIN); /* none has */
        signal_event(&d->ready);
        call(recv_number(&c, soon()), -ESTALE);
        call(sluice_consumer_close(&c), 0);
        return 0;
}

QTest(privileges, given_up_after_open_of_a_key_leave_removal)
{
        struct dropped d;
        pid_t pid;

        needs_root();
        d = (struct dropped){event_new(), event_new(), "key:0x51075107", 0, 0};
        make(d.name, 0);
        pid = spawn(waits_on_a_key, &d);
        await_event(&d.ready);
        call(sluice_remove(d.name), 0);
        eq(reap(pid), 0);
        event_free(&d.ready);
        event_free(&d.go);
}
