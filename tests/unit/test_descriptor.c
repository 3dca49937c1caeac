/* SPDX-License-Identifier: MIT */
/* A descriptor for event loops: readable when there is something, and
 * only then. */
#define _GNU_SOURCE
#include "queue_util.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>

static struct sluice_producer p;
static struct sluice_consumer c;

/* Nothing here is helped by a slice that ends, but where it is said. */
static int64_t slice_ns = MS(60000);

static void open_consumer(void)
{
        struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);

        o.slice_ns = slice_ns;
        call(sluice_consumer_open(&c, "q", &o), 0);
}

static void open_producer(int wake)
{
        struct sluice_options o = opt_wake(wake);

        o.slice_ns = slice_ns;
        call(sluice_producer_open(&p, "q", &o), 0);
}

static void open_both(size_t capacity)
{
        make("q", capacity);
        open_producer(SLUICE_WAKE_FIFO);
        open_consumer();
}

static void close_both(void)
{
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

/* Bytes in the pipe that wakes an endpoint. */
static int bytes_of(const char *pipe_name)
{
        const int fd = open(in_queues(pipe_name), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        const int n = bytes_in(fd);

        close(fd);
        return n;
}

/* Waits for the descriptor, which has to become readable. */
static void readable(int fd)
{
        check(poll_fd(fd, POLLIN, 10000) & (POLLIN | POLLHUP));
}

static void quiet(int fd)
{
        eq(poll_fd(fd, POLLIN, 0), 0);
        eq(poll_fd(fd, POLLIN, 20), 0);
}

/* ---- Which endpoints have one ------------------------------------- */

QTest(fd, only_of_fifo_endpoints)
{
        make("q", 0);
        open_producer(SLUICE_WAKE_FUTEX);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        call(sluice_producer_fd(&p), -EINVAL);
        call(sluice_consumer_fd(&c), -EINVAL);
        call(sluice_consumer_arm(&c), -EINVAL);
        call(sluice_consumer_disarm(&c), -EINVAL);
        call(sluice_producer_arm(&p, 8), -EINVAL);
        call(sluice_producer_disarm(&p), -EINVAL);
        close_both();
}

QTest(fd, not_of_key_queues)
{
        const struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);

        call(sluice_create("key:0x4711", NULL), 0);
        refused(sluice_producer_open(&p, "key:0x4711", &o), -EOPNOTSUPP);
        refused(sluice_consumer_open(&c, "key:0x4711", &o), -EOPNOTSUPP);
        call(sluice_producer_open(&p, "key:0x4711", NULL), 0);
        call(sluice_consumer_open(&c, "key:0x4711", NULL), 0);
        call(sluice_consumer_fd(&c), -EINVAL);
        call(send_number(&p, 1, SLUICE_NOW), 0);
        call(recv_number(&c, soon()), 1);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("key:0x4711"), 0);
}

QTest(fd, is_closed_on_exec)
{
        int fd;

        open_both(0);
        fd = sluice_consumer_fd(&c);
        check(fd >= 0);
        eq(sluice_consumer_fd(&c), fd);
        check(sluice_producer_fd(&p) >= 0 && sluice_producer_fd(&p) != fd);
        check(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        close_both();
}

/* ---- A consumer's loop -------------------------------------------- */

QTest(consumer_arm, says_what_is_there_already)
{
        struct sluice_message m;

        open_both(0);
        call(sluice_consumer_arm(&c), 0);
        call(sluice_consumer_disarm(&c), 0);
        call(send_number(&p, 1, SLUICE_NOW), 0);
        call(sluice_consumer_arm(&c), 1);
        call(sluice_consumer_arm(&c), 1);
        call(sluice_peek(&c, &m, SLUICE_NOW), 0);
        call(sluice_consumer_arm(&c), 1); /* peeked and not released */
        call(sluice_release(&c), 0);
        call(sluice_consumer_arm(&c), 0);
        eq(look("q").consumer.asleep, 1);
        call(sluice_consumer_disarm(&c), 0);
        call(sluice_consumer_disarm(&c), 0);
        eq(look("q").consumer.asleep, 0);
        quiet(sluice_consumer_fd(&c));
        close_both();
}

QTest(consumer_arm, one_byte_for_each_arming)
{
        int fd;

        open_both(0);
        fd = sluice_consumer_fd(&c);
        quiet(fd);
        for (int i = 0; i < 50; i++) {
                call(sluice_consumer_arm(&c), 0);
                quiet(fd);
                for (uint64_t k = 0; k < 10; k++) {
                        call(send_number(&p, k, SLUICE_NOW), 0);
                        eq(bytes_of("q/readable"), 1);
                }
                eq(poll_fd(fd, POLLIN, 0), POLLIN);
                call(sluice_consumer_disarm(&c), 0);
                for (int k = 0; k < 10; k++)
                        call(recv_number(&c, SLUICE_NOW), k);
                call(send_number(&p, 7, SLUICE_NOW), 0); /* not armed: no byte */
                check(bytes_of("q/readable") <= 1);
                call(recv_number(&c, SLUICE_NOW), 7);
        }
        eq(look("q").producer.wakes, 50);
        close_both();
}

static int event_loop_producer(void *ctx)
{
        const uint64_t *n = ctx;

        open_producer(SLUICE_WAKE_FUTEX);
        for (uint64_t i = 0; i < *n; i++) {
                call(send_number(&p, i, soon()), 0);
                if (i % 7 == 0)
                        sched_yield();
        }
        call(sluice_producer_close(&p), 0);
        return 0;
}

static void event_loop(uint32_t events)
{
        struct epoll_event e = {.events = events};
        const int ep = epoll_create1(EPOLL_CLOEXEC);
        uint64_t n = 20000, next = 0;
        pid_t child;
        int64_t r = 0;

        make("q", 1024);
        open_consumer();
        eq(epoll_ctl(ep, EPOLL_CTL_ADD, sluice_consumer_fd(&c), &e), 0);
        child = spawn(event_loop_producer, &n);
        while (r != -EPIPE) {
                while ((r = recv_number(&c, SLUICE_NOW)) >= 0)
                        eq(r, next++);
                check(r == -EAGAIN || r == -EPIPE);
                r = r == -EPIPE ? r : sluice_consumer_arm(&c);
                if (r == 0)
                        eq(epoll_wait(ep, &e, 1, 5000), 1);
                call(sluice_consumer_disarm(&c), 0);
        }
        eq(next, n);
        eq(reap(child), 0);
        close(ep);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

QTest(consumer_arm, in_an_epoll_loop_by_level)
{
        event_loop(EPOLLIN);
}

QTest(consumer_arm, in_an_epoll_loop_by_edge)
{
        event_loop(EPOLLIN | EPOLLET);
}

QTest(consumer_arm, stale_and_foreign_bytes_do_no_harm)
{
        int fd, foreign;

        open_both(0);
        fd = sluice_consumer_fd(&c);
        foreign = open(in_queues("q/readable"), O_RDWR | O_NONBLOCK | O_CLOEXEC);
        eq(write(foreign, "abc", 3), 3);
        call(sluice_consumer_arm(&c), 0);
        quiet(fd); /* what was there before was taken out */
        eq(write(foreign, "abc", 3), 3);
        eq(poll_fd(fd, POLLIN, 0), POLLIN); /* wakes, and that is all */
        call(sluice_consumer_disarm(&c), 0);
        call(recv_number(&c, SLUICE_NOW), -EAGAIN);
        call(recv_number(&c, sluice_after(MS(10))), -ETIMEDOUT);
        while (write(foreign, "0123456789abcdef", 16) > 0)
                continue; /* to the brim: a waker's byte has no room */
        call(sluice_consumer_arm(&c), 0);
        call(sluice_consumer_disarm(&c), 0);
        while (write(foreign, "0123456789abcdef", 16) > 0)
                continue;
        call(send_number(&p, 1, SLUICE_NOW), 0);
        call(recv_number(&c, soon()), 1);
        call(sluice_consumer_arm(&c), 0);
        while (write(foreign, "0123456789abcdef", 16) > 0)
                continue;
        call(send_number(&p, 2, SLUICE_NOW), 0);
        readable(fd);
        call(sluice_consumer_disarm(&c), 0);
        call(recv_number(&c, soon()), 2);
        close(foreign);
        close_both();
}

QTest(consumer_arm, blocking_calls_may_come_between)
{
        open_both(0);
        call(sluice_consumer_arm(&c), 0);
        call(recv_number(&c, sluice_after(MS(5))), -ETIMEDOUT);
        call(send_number(&p, 1, SLUICE_NOW), 0);
        call(recv_number(&c, soon()), 1);
        call(sluice_consumer_arm(&c), 0);
        call(send_number(&p, 2, SLUICE_NOW), 0);
        readable(sluice_consumer_fd(&c));
        call(sluice_consumer_disarm(&c), 0);
        call(recv_number(&c, soon()), 2);
        close_both();
}

/* ---- The peer closes or dies -------------------------------------- */

static int opens_and_waits(void *ctx)
{
        open_producer(SLUICE_WAKE_FUTEX);
        signal_event(ctx);
        pause_ms(60000);
        return 0;
}

static int consumes_and_waits(void *ctx)
{
        call(sluice_consumer_open(&c, "q", NULL), 0);
        signal_event(ctx);
        pause_ms(60000);
        return 0;
}

QTest(consumer_arm, hears_of_death_then_waits_for_a_successor)
{
        struct event ready = event_new();
        pid_t child;
        int fd;

        make("q", 0);
        open_consumer();
        fd = sluice_consumer_fd(&c);
        call(sluice_consumer_arm(&c), 0); /* there was never a peer */
        quiet(fd);
        for (int round = 0; round < 3; round++) {
                int news = 0;

                child = spawn(opens_and_waits, &ready);
                await_event(&ready);
                readable(fd); /* it has come */
                call(sluice_consumer_disarm(&c), 0);
                call(recv_number(&c, SLUICE_NOW), -EAGAIN);
                call(sluice_consumer_arm(&c), 0);
                quiet(fd);
                kill_and_reap(child);
                readable(fd);
                call(sluice_consumer_disarm(&c), 0);
                call(recv_number(&c, SLUICE_NOW), -EOWNERDEAD); /* the next call */
                /* Told; from now on it is waited for a successor, and the
                 * hang-up does not keep the loop awake. */
                while (sluice_consumer_arm(&c) == 1) {
                        check(news++ < 3);
                        recv_number(&c, SLUICE_NOW);
                }
                quiet(fd);
        }
        open_producer(SLUICE_WAKE_FIFO);
        readable(fd);
        call(sluice_consumer_disarm(&c), 0);
        call(sluice_consumer_arm(&c), 0);
        quiet(fd);
        call(send_number(&p, 5, SLUICE_NOW), 0);
        readable(fd);
        call(sluice_consumer_disarm(&c), 0);
        call(recv_number(&c, SLUICE_NOW), 5);
        close_both();
        event_free(&ready);
}

/* An arming that finds a death returns 1, unless it was reported before. */
QTest(consumer_arm, tells_of_a_death_that_nobody_saw)
{
        struct event ready = event_new();
        pid_t child;

        make("q", 0);
        open_consumer();
        child = spawn(opens_and_waits, &ready);
        await_event(&ready);
        kill_and_reap(child);
        call(sluice_consumer_arm(&c), 1);
        call(recv_number(&c, SLUICE_NOW), -EOWNERDEAD);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
        event_free(&ready);
}

QTest(consumer_arm, hears_of_close)
{
        int fd;

        open_both(0);
        fd = sluice_consumer_fd(&c);
        call(sluice_consumer_arm(&c), 0);
        call(sluice_producer_close(&p), 0);
        readable(fd);
        call(sluice_consumer_disarm(&c), 0);
        call(recv_number(&c, SLUICE_NOW), -EPIPE);
        call(sluice_consumer_arm(&c), 0); /* reported: waits for a successor */
        quiet(fd);
        call(sluice_consumer_disarm(&c), 0);
        call(recv_number(&c, SLUICE_NOW), -EPIPE); /* still so */
        call(sluice_consumer_arm(&c), 0);
        open_producer(SLUICE_WAKE_FUTEX);
        readable(fd);
        call(sluice_consumer_disarm(&c), 0);
        call(recv_number(&c, SLUICE_NOW), -EAGAIN);
        call(sluice_consumer_arm(&c), 0);
        close_both();
}

QTest(consumer_arm, hears_of_removal)
{
        int fd;

        open_both(0);
        fd = sluice_consumer_fd(&c);
        call(sluice_consumer_arm(&c), 0);
        call(sluice_remove("q"), 0);
        readable(fd);
        call(sluice_consumer_disarm(&c), 0);
        call(recv_number(&c, SLUICE_NOW), -ESTALE);
        call(sluice_consumer_arm(&c), 1);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
}

QTest(consumer_arm, hears_of_an_interrupt)
{
        open_both(0);
        call(sluice_consumer_interrupt(&c), 0);
        call(sluice_consumer_arm(&c), 1);
        call(recv_number(&c, SLUICE_NOW), -ECANCELED);
        call(sluice_consumer_arm(&c), 0);
        call(sluice_consumer_disarm(&c), 0);
        close_both();
}

/* ---- A byte that is stolen ---------------------------------------- */

/* Every process that may write to a pipe may also read from it. An application
 * that waits without a time-out finds out after a slice. */
static void steal(const char *pipe_name)
{
        const int fd = open(in_queues(pipe_name), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        char byte;

        eq(read(fd, &byte, 1), 1);
        close(fd);
}

static void arms_again(uint32_t events)
{
        struct epoll_event e = {.events = events};
        const int loop = epoll_create1(EPOLL_CLOEXEC);
        int64_t begin;

        slice_ns = MS(50);
        open_both(1024);
        eq(epoll_ctl(loop, EPOLL_CTL_ADD, sluice_consumer_fd(&c), &e), 0);
        for (uint64_t i = 0; i < 5; i++) {
                call(sluice_consumer_arm(&c), 0);
                begin = sluice_now_ns();
                call(send_number(&p, i, SLUICE_NOW), 0);
                steal("q/readable");
                eq(epoll_wait(loop, &e, 1, 10000), 1);
                check(sluice_now_ns() - begin < MS(5000));
                call(sluice_consumer_disarm(&c), 0);
                call(recv_number(&c, SLUICE_NOW), i);
        }
        close(loop);
        close_both();
}

QTest(stolen_byte, costs_an_armed_consumer_a_slice)
{
        arms_again(EPOLLIN);
        arms_again(EPOLLIN | EPOLLET);
}

QTest(stolen_byte, costs_an_armed_producer_a_slice)
{
        slice_ns = MS(50);
        open_both(256);
        fill_numbers(&p, 0);
        call(sluice_producer_arm(&p, 8), 0);
        call(recv_number(&c, SLUICE_NOW), 0);
        steal("q/writable");
        readable(sluice_producer_fd(&p));
        call(sluice_producer_disarm(&p), 0);
        call(send_number(&p, 3, SLUICE_NOW), 0);
        close_both();
}

static void *thief(void *ctx)
{
        const int fd = *(const int *)ctx;
        char byte;

        while (read(fd, &byte, 1) == 1 && byte != 'q')
                continue;
        return NULL;
}

static void *sends_when_asleep(void *ctx)
{
        until_asleep("q", CONSUMER);
        call(send_number(&p, *(const uint64_t *)ctx, SLUICE_NOW), 0);
        return NULL;
}

QTest(stolen_byte, costs_a_waiting_call_a_slice)
{
        pthread_t t, sender;
        int fd;

        slice_ns = MS(20);
        open_both(1024);
        fd = open(in_queues("q/readable"), O_RDWR | O_CLOEXEC);
        t = thread_start(thief, &fd);
        for (uint64_t i = 0; i < 20; i++) {
                sender = thread_start(sends_when_asleep, &i);
                call(recv_number(&c, soon()), i);
                thread_join(sender);
        }
        until(bytes_of("q/readable") == 0); /* the thief is waiting */
        eq(write(fd, "q", 1), 1);
        thread_join(t);
        close(fd);
        close_both();
}

/* It wakes an armed endpoint once in a slice, not more often, and not one
 * that is busy. */
QTest(slice, lets_an_idle_loop_look)
{
        struct epoll_event e = {.events = EPOLLIN};
        const int loop = epoll_create1(EPOLL_CLOEXEC);
        const int64_t end = sluice_now_ns() + MS(300);
        int looks = 0;

        slice_ns = MS(100);
        open_both(1024);
        eq(epoll_ctl(loop, EPOLL_CTL_ADD, sluice_consumer_fd(&c), &e), 0);
        while (sluice_now_ns() < end) {
                call(sluice_consumer_arm(&c), 0);
                looks += epoll_wait(loop, &e, 1, 1000);
                call(sluice_consumer_disarm(&c), 0);
                call(recv_number(&c, SLUICE_NOW), -EAGAIN);
        }
        check(looks >= 1 && looks <= 4);
        close(loop);
        close_both();
}

/* ---- A producer's loop -------------------------------------------- */

QTest(producer_arm, waits_for_room)
{
        uint64_t n, next = 0;
        int fd;

        open_both(1024);
        fd = sluice_producer_fd(&p);
        call(sluice_producer_arm(&p, 8), 1); /* there is room */
        call(sluice_producer_arm(&p, 504), 1);
        call(sluice_producer_arm(&p, 505), 1); /* an error to tell */
        n = fill_numbers(&p, 0);
        for (int i = 0; i < 20; i++) {
                call(sluice_producer_arm(&p, 8), 0);
                eq(look("q").producer.asleep, 1);
                quiet(fd);
                for (int k = 0; k < 4; k++)
                        call(recv_number(&c, SLUICE_NOW), next++);
                eq(poll_fd(fd, POLLIN, 1000), POLLIN);
                eq(bytes_of("q/writable"), 1);
                call(sluice_producer_disarm(&p), 0);
                call(sluice_producer_arm(&p, 8), 1);
                n = fill_numbers(&p, n);
        }
        /* For a long one more has to go. */
        call(sluice_producer_arm(&p, 504), 0);
        for (int k = 0; k < 4; k++)
                call(recv_number(&c, SLUICE_NOW), next++);
        quiet(fd);
        while (next < n)
                call(recv_number(&c, SLUICE_NOW), next++);
        readable(fd);
        call(sluice_producer_disarm(&p), 0);
        call(sluice_producer_arm(&p, 504), 1);
        close_both();
}

QTest(producer_arm, hears_of_close_removal_and_interrupt)
{
        int fd;

        open_both(256);
        fd = sluice_producer_fd(&p);
        fill_numbers(&p, 0);
        call(sluice_producer_interrupt(&p), 0);
        call(sluice_producer_arm(&p, 8), 1);
        call(send_number(&p, 9, SLUICE_NOW), -ECANCELED);
        call(sluice_producer_arm(&p, 8), 0);
        call(sluice_consumer_close(&c), 0);
        readable(fd);
        call(sluice_producer_disarm(&p), 0);
        call(send_number(&p, 9, SLUICE_NOW), -EPIPE);
        call(sluice_producer_arm(&p, 8), 0); /* reported */
        quiet(fd);
        open_consumer();
        readable(fd);
        call(sluice_producer_disarm(&p), 0);
        call(send_number(&p, 9, SLUICE_NOW), -EAGAIN);
        call(sluice_producer_arm(&p, 8), 0);
        call(sluice_remove("q"), 0);
        readable(fd);
        call(sluice_producer_disarm(&p), 0);
        call(send_number(&p, 9, SLUICE_NOW), -ESTALE);
        call(sluice_producer_arm(&p, 8), 1);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
}

QTest(producer_arm, hears_of_death_then_waits_for_a_successor)
{
        struct event ready = event_new();
        pid_t child;
        int fd, news = 0;

        make("q", 256);
        open_producer(SLUICE_WAKE_FIFO);
        fd = sluice_producer_fd(&p);
        fill_numbers(&p, 0);
        call(sluice_producer_arm(&p, 8), 0);
        child = spawn(consumes_and_waits, &ready);
        await_event(&ready);
        readable(fd);
        call(sluice_producer_disarm(&p), 0);
        call(sluice_producer_arm(&p, 8), 0);
        quiet(fd);
        kill_and_reap(child);
        readable(fd);
        call(sluice_producer_disarm(&p), 0);
        call(send_number(&p, 9, SLUICE_NOW), -EOWNERDEAD);
        while (sluice_producer_arm(&p, 8) == 1) {
                check(news++ < 3);
                send_number(&p, 9, SLUICE_NOW);
        }
        quiet(fd);
        open_consumer();
        readable(fd);
        call(sluice_producer_disarm(&p), 0);
        call(sluice_producer_arm(&p, 8), 0);
        call(recv_number(&c, SLUICE_NOW), 0);
        call(recv_number(&c, SLUICE_NOW), 1);
        call(recv_number(&c, SLUICE_NOW), 2);
        readable(fd);
        call(sluice_producer_disarm(&p), 0);
        call(send_number(&p, 9, SLUICE_NOW), 0);
        close_both();
        event_free(&ready);
}

/* ---- No signals --------------------------------------------------- */

static volatile sig_atomic_t pipes_broken;

static void on_sigpipe(int signal)
{
        (void)signal;
        pipes_broken++;
}

QTest(waking, never_raises_sigpipe)
{
        struct event ready = event_new();
        pid_t child;

        signal(SIGPIPE, on_sigpipe);
        make("q", 0);
        open_producer(SLUICE_WAKE_FIFO);
        /* A sleeper by FIFO that is killed in its sleep. */
        for (int i = 0; i < 3; i++) {
                child = spawn(consumes_and_waits, &ready);
                await_event(&ready);
                kill_and_reap(child);
                call(send_number(&p, 1, SLUICE_NOW), 0);
        }
        open_consumer();
        call(sluice_consumer_arm(&c), 0 + 1);
        while (recv_number(&c, SLUICE_NOW) >= 0)
                continue;
        call(sluice_consumer_arm(&c), 0);
        call(sluice_consumer_close(&c), 0); /* armed: its parked word stays */
        for (uint64_t i = 0; i < 10; i++)
                call(send_number(&p, i, SLUICE_NOW), 0);
        open_consumer();
        for (int i = 0; i < 10; i++)
                call(recv_number(&c, SLUICE_NOW), i);
        call(sluice_consumer_arm(&c), 0);
        call(sluice_remove("q"), 0);
        call(send_number(&p, 1, SLUICE_NOW), 0);
        eq(pipes_broken, 0);
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        event_free(&ready);
}

/* ---- A pipe that is not ours any more ----------------------------- */

/* No peer can write to that pipe: the call returns -ESTALE, as for a removed
 * queue, once the messages in the queue have been drained. */
static void pipe_is_taken_away(bool replaced)
{
        int64_t begin;

        open_both(4096);
        call(send_number(&p, 5, SLUICE_NOW), 0);
        eq(unlink(in_queues("q/readable")), 0);
        if (replaced)
                eq(mkfifo(in_queues("q/readable"), 0600), 0);
        call(sluice_consumer_arm(&c), 1);
        call(sluice_consumer_disarm(&c), 0);
        call(recv_number(&c, SLUICE_NOW), 5);
        call(sluice_consumer_arm(&c), 1);
        call(sluice_consumer_disarm(&c), 0);
        call(recv_number(&c, SLUICE_NOW), -ESTALE);
        begin = sluice_now_ns();
        call(recv_number(&c, soon()), -ESTALE);
        check(sluice_now_ns() - begin < MS(5000));
        close_both();
}

QTest(pipe, is_removed)
{
        pipe_is_taken_away(false);
}

QTest(pipe, is_replaced)
{
        pipe_is_taken_away(true);
}
