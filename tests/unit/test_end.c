/* SPDX-License-Identifier: MIT */
/* The peer's end, by close or by death, is reported once: to the endpoint that
 * was open then, or to the one that drains the messages it has left. From then
 * on calls wait for a successor, and sleep while they do. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>

static struct sluice_producer p;
static struct sluice_consumer c;

/* By FIFO nothing is helped by a slice that ends; by futex a death is
 * noticed then. */
static struct sluice_options sliced(int wake)
{
        struct sluice_options o = opt_wake(wake);

        o.slice_ns = wake == SLUICE_WAKE_FIFO ? MS(60000) : MS(20);
        return o;
}

static void open_producer(int wake)
{
        const struct sluice_options o = sliced(wake);

        call(sluice_producer_open(&p, "q", &o), 0);
}

static void open_consumer(int wake)
{
        const struct sluice_options o = sliced(wake);

        call(sluice_consumer_open(&c, "q", &o), 0);
}

static void open_both(int wake, size_t capacity)
{
        make("q", capacity);
        open_producer(wake);
        open_consumer(wake);
}

/* ---- Peers that attach and leave ---------------------------------- */

struct visit {
        uint64_t first, n; /* to send or to receive */
        bool dies;
};

static int sends(void *ctx)
{
        const struct visit *v = ctx;

        call(sluice_producer_open(&p, "q", NULL), 0);
        for (uint64_t i = 0; i < v->n; i++)
                call(send_number(&p, v->first + i, soon()), 0);
        if (v->dies)
                raise(SIGKILL);
        call(sluice_producer_close(&p), 0);
        return 0;
}

static int receives(void *ctx)
{
        const struct visit *v = ctx;

        call(sluice_consumer_open(&c, "q", NULL), 0);
        for (uint64_t i = 0; i < v->n; i++)
                call(recv_number(&c, soon()), v->first + i);
        if (v->dies)
                raise(SIGKILL);
        call(sluice_consumer_close(&c), 0);
        return 0;
}

static void visited(util_body *body, uint64_t first, uint64_t n, bool dies)
{
        struct visit v = {first, n, dies};

        eq(reap(spawn(body, &v)), dies ? -SIGKILL : 0);
}

static int end_of(bool dies)
{
        return dies ? -EOWNERDEAD : -EPIPE;
}

/* Takes its time, and little of the processor's; then the same again. */
static void waits_in_vain_to_receive(int expected)
{
        const int64_t begin = sluice_now_ns(), cpu = cpu_ns();

        call(recv_number(&c, sluice_after(MS(60))), expected);
        check(sluice_now_ns() - begin >= MS(60));
        check(cpu_ns() - cpu < MS(30));
}

static void waits_in_vain_to_send(int expected)
{
        const int64_t begin = sluice_now_ns(), cpu = cpu_ns();

        call(send_number(&p, 99, sluice_after(MS(60))), expected);
        check(sluice_now_ns() - begin >= MS(60));
        check(cpu_ns() - cpu < MS(30));
}

/* ---- To a consumer ------------------------------------------------ */

static void consumer_is_told_once(int wake, bool dies)
{
        const int end = end_of(dies);

        make("q", 1024);
        open_consumer(wake);
        visited(sends, 0, 2, dies);
        call(recv_number(&c, soon()), 0);
        call(recv_number(&c, soon()), 1);
        call(recv_number(&c, SLUICE_FOREVER), end);
        waits_in_vain_to_receive(end);
        for (int i = 0; i < 200; i++)
                call(recv_number(&c, SLUICE_NOW), end); /* still so */
        /* A producer that opened and closed without sending is another end. */
        visited(sends, 0, 0, !dies);
        call(recv_number(&c, SLUICE_FOREVER), end_of(!dies));
        waits_in_vain_to_receive(end_of(!dies));
        visited(sends, 2, 1, dies);
        call(recv_number(&c, SLUICE_FOREVER), 2);
        call(recv_number(&c, SLUICE_FOREVER), end);
        open_producer(wake);
        until(recv_number(&c, SLUICE_NOW) == -EAGAIN);
        waits_in_vain_to_receive(-ETIMEDOUT);
        call(sluice_producer_close(&p), 0);
        call(recv_number(&c, SLUICE_FOREVER), -EPIPE);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

QTest(end, of_the_producer_is_told_once)
{
        for (int wake = 0; wake < 2; wake++) {
                consumer_is_told_once(wake, false);
                consumer_is_told_once(wake, true);
        }
}

static void *receive_for_ever(void *ctx)
{
        *(int64_t *)ctx = recv_number(&c, SLUICE_FOREVER);
        return NULL;
}

static void second_wait_sleeps(int wake, bool dies)
{
        int64_t got = 0;
        pthread_t t;

        make("q", 1024);
        open_consumer(wake);
        visited(sends, 0, 0, dies);
        call(recv_number(&c, SLUICE_FOREVER), end_of(dies));
        t = thread_start(receive_for_ever, &got);
        until_asleep("q", CONSUMER);
        visited(sends, 77, 1, false);
        thread_join(t);
        eq(got, 77);
        call(recv_number(&c, SLUICE_FOREVER), -EPIPE);
        /* ... and for one that leaves nothing. */
        t = thread_start(receive_for_ever, &got);
        until_asleep("q", CONSUMER);
        visited(sends, 0, 0, false);
        thread_join(t);
        eq(got, -EPIPE);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

QTest(end, of_the_producer_then_the_next_is_waited_for)
{
        for (int wake = 0; wake < 2; wake++) {
                second_wait_sleeps(wake, false);
                second_wait_sleeps(wake, true);
        }
}

/* A program that flushes its output, or looks at something else, before it waits
 * need not mind what the look has said. */
static void look_leaves_the_end_to_a_wait(int wake, bool dies)
{
        struct sluice_options o = opt_wake(wake);
        const int end = end_of(dies);

        o.slice_ns = MS(20);
        make("q", 1024);
        call(sluice_consumer_open(&c, "q", &o), 0);
        visited(sends, 0, 0, dies);
        until(recv_number(&c, SLUICE_NOW) == end);
        call(sluice_consumer_await_peer(&c, SLUICE_NOW), -EAGAIN);
        call(recv_number(&c, SLUICE_FOREVER), end);
        for (int i = 0; i < 200; i++)
                call(recv_number(&c, SLUICE_NOW), end);
        waits_in_vain_to_receive(end);
        /* Where a successor has come, the wait is for its messages. */
        visited(sends, 0, 0, dies);
        until(recv_number(&c, SLUICE_NOW) == end);
        open_producer(wake);
        waits_in_vain_to_receive(-ETIMEDOUT);
        call(send_number(&p, 5, SLUICE_NOW), 0);
        call(recv_number(&c, SLUICE_FOREVER), 5);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

QTest(end, that_a_look_has_told_ends_the_next_wait_as_well)
{
        for (int wake = 0; wake < 2; wake++) {
                look_leaves_the_end_to_a_wait(wake, false);
                look_leaves_the_end_to_a_wait(wake, true);
        }
}

/* A successor that was killed while it joined: the end record is removed,
 * the closed flag is still set. */
QTest(end, is_told_without_its_record)
{
        const uint64_t nothing = 0;

        make("q", 1024);
        open_consumer(SLUICE_WAKE_FUTEX);
        visited(sends, 0, 1, false);
        poke(key_of("q"), 12288 + 64, &nothing, sizeof nothing);
        call(recv_number(&c, SLUICE_FOREVER), 0);
        call(recv_number(&c, SLUICE_FOREVER), -EPIPE);
        waits_in_vain_to_receive(-EPIPE);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

static int count(void *ctx, const struct sluice_message *m)
{
        (void)m;
        ++*(int *)ctx;
        return 0;
}

/* Which returns what it has taken: the end is for the next call. */
static void drain_keeps_the_end(bool dies)
{
        int n = 0;

        make("q", 1024);
        open_consumer(SLUICE_WAKE_FIFO);
        call(sluice_consumer_arm(&c), 0);
        visited(sends, 0, 3, dies);
        call(sluice_consumer_disarm(&c), 0);
        call(sluice_drain(&c, count, &n, SIZE_MAX), 3);
        call(sluice_consumer_arm(&c), 1);
        call(sluice_consumer_disarm(&c), 0);
        call(sluice_drain(&c, count, &n, SIZE_MAX), end_of(dies));
        call(sluice_consumer_arm(&c), 0);
        eq(n, 3);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

QTest(end, is_not_lost_behind_what_drain_returns)
{
        drain_keeps_the_end(false);
        drain_keeps_the_end(true);
}

/* ---- To a producer ------------------------------------------------ */

/* Then the ring may be filled for the next consumer, as before the first. */
static void producer_is_told_once(int wake, bool dies)
{
        const int end = end_of(dies);
        uint64_t n;

        make("q", 512);
        open_producer(wake);
        n = fill_numbers(&p, 0);
        visited(receives, 0, 3, dies);
        if (!dies)
                call(send_number(&p, 99, SLUICE_FOREVER), end); /* it has to look for room */
        while (n < 10)
                call(send_number(&p, n++, SLUICE_NOW), 0);
        if (dies)
                call(send_number(&p, 99, SLUICE_FOREVER), end);
        waits_in_vain_to_send(end);
        for (int i = 0; i < 200; i++)
                call(send_number(&p, 99, SLUICE_NOW), end);
        visited(receives, 3, 0, !dies); /* another that went */
        call(send_number(&p, 99, SLUICE_FOREVER), end_of(!dies));
        waits_in_vain_to_send(end_of(!dies));
        open_consumer(wake);
        until(send_number(&p, 99, SLUICE_NOW) == -EAGAIN);
        waits_in_vain_to_send(-ETIMEDOUT);
        for (uint64_t i = 3; i < n; i++)
                call(recv_number(&c, SLUICE_NOW), i);
        call(send_number(&p, n, SLUICE_FOREVER), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
}

QTest(end, of_the_consumer_is_told_once)
{
        for (int wake = 0; wake < 2; wake++) {
                producer_is_told_once(wake, false);
                producer_is_told_once(wake, true);
        }
}

QTest(end, of_the_consumer_that_a_look_has_told_ends_the_next_wait_as_well)
{
        for (int dies = 0; dies < 2; dies++) {
                make("q", 512);
                open_producer(SLUICE_WAKE_FUTEX);
                fill_numbers(&p, 0);
                visited(receives, 0, 0, dies);
                until(send_number(&p, 99, SLUICE_NOW) == end_of(dies));
                call(send_number(&p, 99, SLUICE_FOREVER), end_of(dies));
                waits_in_vain_to_send(end_of(dies));
                call(sluice_producer_close(&p), 0);
                call(sluice_remove("q"), 0);
        }
}

static void *send_for_ever(void *ctx)
{
        *(int64_t *)ctx = send_number(&p, 7, SLUICE_FOREVER);
        return NULL;
}

QTest(end, of_the_consumer_then_the_next_is_waited_for)
{
        for (int wake = 0; wake < 2; wake++) {
                int64_t got = 1;
                pthread_t t;

                open_both(wake, 512);
                fill_numbers(&p, 0);
                call(sluice_consumer_close(&c), 0);
                call(send_number(&p, 7, SLUICE_FOREVER), -EPIPE);
                t = thread_start(send_for_ever, &got);
                until_asleep("q", PRODUCER);
                open_consumer(wake);
                for (int i = 0; i < 4; i++)
                        call(recv_number(&c, SLUICE_NOW), i);
                thread_join(t);
                eq(got, 0);
                call(sluice_consumer_close(&c), 0);
                call(sluice_producer_close(&p), 0);
                call(sluice_remove("q"), 0);
        }
}

/* ---- Ends from before an endpoint was opened ---------------------- */

static void consumer_comes_later(int wake, bool dies, uint64_t left)
{
        make("q", 1024);
        visited(sends, 0, 2 + left, dies);
        visited(receives, 0, 2, dies);
        open_consumer(wake);
        if (left) {
                for (uint64_t i = 0; i < left; i++)
                        call(recv_number(&c, soon()), 2 + i);
                call(recv_number(&c, SLUICE_FOREVER), end_of(dies));
                waits_in_vain_to_receive(end_of(dies));
        } else {
                for (int i = 0; i < 200; i++)
                        call(recv_number(&c, SLUICE_NOW), -EAGAIN);
                if (wake == SLUICE_WAKE_FIFO)
                        call(sluice_consumer_arm(&c), 0);
                waits_in_vain_to_receive(-ETIMEDOUT);
                call(sluice_consumer_await_peer(&c, SLUICE_NOW), -EAGAIN);
        }
        visited(sends, 50, 1, false);
        call(recv_number(&c, SLUICE_FOREVER), 50);
        call(recv_number(&c, SLUICE_FOREVER), -EPIPE);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

QTest(end, of_earlier_times_is_told_behind_what_was_left)
{
        for (int wake = 0; wake < 2; wake++) {
                consumer_comes_later(wake, false, 1);
                consumer_comes_later(wake, true, 3);
        }
}

QTest(end, of_earlier_times_that_left_nothing_is_no_news)
{
        for (int wake = 0; wake < 2; wake++) {
                consumer_comes_later(wake, false, 0);
                consumer_comes_later(wake, true, 0);
        }
}

QTest(end, that_was_told_to_another_is_no_news)
{
        make("q", 1024);
        visited(sends, 0, 1, false);
        open_consumer(SLUICE_WAKE_FUTEX);
        call(recv_number(&c, soon()), 0);
        call(recv_number(&c, soon()), -EPIPE);
        call(sluice_consumer_close(&c), 0);
        open_consumer(SLUICE_WAKE_FUTEX);
        call(recv_number(&c, SLUICE_NOW), -EAGAIN);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

QTest(end, of_earlier_times_is_not_told_to_a_producer)
{
        for (int dies = 0; dies < 2; dies++) {
                make("q", 512);
                visited(receives, 0, 0, dies);
                open_producer(SLUICE_WAKE_FUTEX);
                eq(fill_numbers(&p, 0), 7);
                for (int i = 0; i < 200; i++)
                        call(send_number(&p, 7, SLUICE_NOW), -EAGAIN);
                waits_in_vain_to_send(-ETIMEDOUT);
                call(sluice_producer_await_peer(&p, SLUICE_NOW), -EAGAIN);
                visited(receives, 0, 0, dies);
                call(send_number(&p, 7, SLUICE_FOREVER), end_of(dies));
                call(sluice_producer_close(&p), 0);
                call(sluice_remove("q"), 0);
        }
}

/* ---- await_peer --------------------------------------------------- */

/* A peer that has published its end and still holds the role is closing: were
 * it reported, the caller would repeat the call and keep it from closing. */
QTest(await_peer, is_not_for_a_closer)
{
        open_both(SLUICE_WAKE_FUTEX, 512);
        fill_numbers(&p, 0);
        call(sluice_producer_await_peer(&p, SLUICE_NOW), 0); /* it has come */
        sluice_consumer_detach(&c); /* close, before it gives the role back */
        call(sluice_producer_await_peer(&p, SLUICE_NOW), -EAGAIN);
        call(send_number(&p, 9, soon()), -EPIPE);
        eq(look("q").consumer.held, 1);
        call(sluice_producer_await_peer(&p, SLUICE_NOW), -EAGAIN);
        call(sluice_producer_await_peer(&p, sluice_after(MS(20))), -ETIMEDOUT);
        call(sluice_consumer_close(&c), 0);
        call(sluice_producer_await_peer(&p, SLUICE_NOW), -EAGAIN);
        open_consumer(SLUICE_WAKE_FUTEX);
        call(sluice_producer_await_peer(&p, soon()), 0);
        /* Between the end record and the closed flag. */
        for (int i = 0; i < 7; i++)
                call(recv_number(&c, SLUICE_NOW), i);
        sluice_priv_store_release(sluice_priv_word(p.ring, p.tail & p.mask), SLUICE_LAYOUT_END);
        call(recv_number(&c, soon()), -EPIPE);
        call(sluice_consumer_await_peer(&c, SLUICE_NOW), -EAGAIN);
        call(sluice_consumer_await_peer(&c, sluice_after(MS(20))), -ETIMEDOUT);
        call(sluice_producer_close(&p), 0);
        waits_in_vain_to_receive(-EPIPE);
        open_producer(SLUICE_WAKE_FUTEX);
        call(sluice_consumer_await_peer(&c, SLUICE_NOW), 0);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

QTest(await_peer, notices_one_that_came_and_went)
{
        for (int dies = 0; dies < 2; dies++) {
                make("q", 512);
                open_consumer(SLUICE_WAKE_FUTEX);
                call(sluice_consumer_await_peer(&c, SLUICE_NOW), -EAGAIN);
                visited(sends, 0, 1, dies);
                call(sluice_consumer_await_peer(&c, SLUICE_NOW), 0);
                call(sluice_consumer_await_peer(&c, SLUICE_NOW), -EAGAIN);
                call(recv_number(&c, soon()), 0);
                call(recv_number(&c, soon()), end_of(dies));
                call(sluice_consumer_close(&c), 0);
                call(sluice_remove("q"), 0);
        }
}

/* ---- In an event loop --------------------------------------------- */

/* Wake-ups of a loop that does what the contract says, until it has slept
 * for a while. */
static int wakeups(int fd, uint32_t events, bool consumer)
{
        struct epoll_event e = {.events = events};
        const int loop = epoll_create1(EPOLL_CLOEXEC);
        int n = 0, woken = 1;

        eq(epoll_ctl(loop, EPOLL_CTL_ADD, fd, &e), 0);
        while (woken && n < 100) {
                int armed;

                if (consumer)
                        recv_number(&c, SLUICE_NOW);
                else
                        send_number(&p, 9, SLUICE_NOW);
                armed = consumer ? sluice_consumer_arm(&c) : sluice_producer_arm(&p, 8);
                check(armed == 0 || armed == 1);
                woken = armed == 1 || epoll_wait(loop, &e, 1, 100) == 1;
                n += woken;
                call(consumer ? sluice_consumer_disarm(&c) : sluice_producer_disarm(&p), 0);
        }
        close(loop);
        return n;
}

static void loop_sleeps(uint32_t events, bool dies)
{
        make("q", 512);
        open_consumer(SLUICE_WAKE_FIFO);
        visited(sends, 0, 0, dies);
        check(wakeups(sluice_consumer_fd(&c), events, true) <= 2);
        call(sluice_consumer_close(&c), 0);
        open_producer(SLUICE_WAKE_FIFO);
        fill_numbers(&p, 0);
        visited(receives, 0, 0, dies);
        check(wakeups(sluice_producer_fd(&p), events, false) <= 2);
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
}

QTest(event_loop, sleeps_after_an_end)
{
        for (int dies = 0; dies < 2; dies++) {
                loop_sleeps(EPOLLIN, dies);
                loop_sleeps(EPOLLIN | EPOLLET, dies);
        }
}

static int opens_and_closes_its_descriptors(void *ctx)
{
        const struct event *ready = ctx;

        call(sluice_producer_open(&p, "q", NULL), 0);
        for (int fd = 3; fd < 1024; fd++)
                if (fd != ready[0].fd[1] && fd != ready[1].fd[0])
                        close(fd);
        signal_event(&ready[0]);
        await_event(&ready[1]);
        raise(SIGKILL);
        return 1;
}

/* A peer that is there, while its end of the pipe is not. */
QTest(event_loop, sleeps_beside_a_peer_without_descriptors)
{
        struct event e[2] = {event_new(), event_new()};
        pid_t child;

        make("q", 512);
        open_consumer(SLUICE_WAKE_FIFO);
        child = spawn(opens_and_closes_its_descriptors, e);
        await_event(&e[0]);
        check(wakeups(sluice_consumer_fd(&c), EPOLLIN, true) <= 4);
        recv_number(&c, sluice_after(MS(20)));
        {
                const int64_t cpu = cpu_ns();

                recv_number(&c, sluice_after(MS(60)));
                check(cpu_ns() - cpu < MS(30));
        }
        signal_event(&e[1]);
        eq(reap(child), -SIGKILL);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
        event_free(&e[0]);
        event_free(&e[1]);
}

/* ---- Times that are too long -------------------------------------- */

QTest(slice, may_be_as_long_as_can_be)
{
        for (int wake = 0; wake < 2; wake++) {
                struct sluice_options o = opt_wake(wake);
                int64_t cpu;

                o.slice_ns = INT64_MAX;
                o.spin_ns = wake ? SLUICE_SPIN_NONE : SLUICE_SPIN_DEFAULT;
                make("q", 512);
                call(sluice_consumer_open(&c, "q", &o), 0);
                cpu = cpu_ns();
                call(sluice_consumer_await_peer(&c, sluice_after(MS(60))), -ETIMEDOUT);
                call(recv_number(&c, sluice_after(MS(60))), -ETIMEDOUT);
                check(cpu_ns() - cpu < MS(30));
                if (wake == SLUICE_WAKE_FIFO) {
                        call(sluice_consumer_arm(&c), 0);
                        eq(poll_fd(sluice_consumer_fd(&c), POLLIN, 20), 0);
                        call(sluice_consumer_disarm(&c), 0);
                }
                visited(sends, 5, 1, false);
                call(recv_number(&c, SLUICE_FOREVER), 5);
                call(sluice_consumer_close(&c), 0);
                call(sluice_remove("q"), 0);
        }
}

QTest(spin, may_be_nearly_for_ever)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;

        o.spin_ns = INT64_MAX - 1;
        make("q", 512);
        call(sluice_producer_open(&p, "q", &o), 0);
        call(sluice_consumer_open(&c, "q", &o), 0);
        call(recv_number(&c, sluice_after(MS(5))), -ETIMEDOUT);
        call(send_number(&p, 1, SLUICE_NOW), 0);
        call(recv_number(&c, soon()), 1);
        for (int i = 0; i < 3; i++)
                call(recv_number(&c, sluice_after(MS(2))), -ETIMEDOUT);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

/* ---- A drain beside a faster producer ----------------------------- */

static int sends_another(void *ctx, const struct sluice_message *m)
{
        uint64_t *n = ctx;

        (void)m;
        ++*n;
        call(send_number(&p, *n, SLUICE_NOW), 0);
        return *n > 100000 ? 1 : 0;
}

QTest(drain, ends_beside_a_faster_producer)
{
        uint64_t n = 0;

        open_both(SLUICE_WAKE_FUTEX, 1024);
        call(send_number(&p, 0, SLUICE_NOW), 0);
        call(send_number(&p, 0, SLUICE_NOW), 0);
        check(sluice_drain(&c, sends_another, &n, SIZE_MAX) <= 1024 / 64);
        check(n >= 2);
        eq(look("q").pending, 2);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

/* All that fits, passed before by advance or not. */
QTest(drain, takes_a_full_ring)
{
        struct sluice_message m;
        int n = 0;

        for (int passed = 0; passed <= 15; passed += 5) {
                open_both(SLUICE_WAKE_FUTEX, 1024);
                eq(fill_numbers(&p, 0), 15);
                for (int i = 0; i < passed; i++) {
                        call(sluice_peek(&c, &m, SLUICE_NOW), 0);
                        call(sluice_advance(&c), 0);
                }
                call(sluice_producer_close(&p), 0);
                n = 0;
                if (passed < 15)
                        call(sluice_drain(&c, count, &n, SIZE_MAX), 15 - passed);
                call(sluice_drain(&c, count, &n, SIZE_MAX), -EPIPE);
                eq(n, 15 - passed);
                call(sluice_consumer_close(&c), 0);
                call(sluice_remove("q"), 0);
        }
}
