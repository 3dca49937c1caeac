/* SPDX-License-Identifier: MIT */
/* Ending a wait from outside, once, without losing anything. */
#define _GNU_SOURCE
#include "sleepers.h"

#include <signal.h>

/* ---- Interrupts --------------------------------------------------- */

static void interrupts(int wake)
{
        struct wait w = {0, 0, 0, soon()};
        pthread_t t;

        open_both(wake, wake, SLUICE_SPIN_NONE, 256);
        /* Before: the next wait, once. */
        call(sluice_consumer_interrupt(&c), 0);
        call(sluice_consumer_interrupt(&c), 0);
        call(recv_number(&c, soon()), -ECANCELED);
        call(recv_number(&c, sluice_after(MS(5))), -ETIMEDOUT);
        /* During. */
        for (int i = 0; i < 10; i++) {
                t = thread_start(receiver, &w);
                until_asleep("q", CONSUMER);
                call(sluice_consumer_interrupt(&c), 0);
                thread_join(t);
                eq(w.result, -ECANCELED);
                check(w.took_ns < MS(5000));
        }
        /* A message comes first; then the interrupt is still there. */
        call(send_number(&p, 1, SLUICE_NOW), 0);
        call(sluice_consumer_interrupt(&c), 0);
        call(recv_number(&c, soon()), 1);
        call(recv_number(&c, soon()), -ECANCELED);
        call(recv_number(&c, sluice_after(MS(5))), -ETIMEDOUT);
        /* The producer's. */
        fill_numbers(&p, 0);
        call(sluice_producer_interrupt(&p), 0);
        call(send_number(&p, 9, soon()), -ECANCELED);
        call(send_number(&p, 9, sluice_after(MS(5))), -ETIMEDOUT);
        for (int i = 0; i < 10; i++) {
                t = thread_start(sender, &w);
                until_asleep("q", PRODUCER);
                call(sluice_producer_interrupt(&p), 0);
                thread_join(t);
                eq(w.result, -ECANCELED);
        }
        for (int i = 0; i < 3; i++)
                call(recv_number(&c, SLUICE_NOW), i); /* nothing was sent */
        call(recv_number(&c, SLUICE_NOW), -EAGAIN);
        close_both();
}

QTest(interrupt, futex)
{
        interrupts(SLUICE_WAKE_FUTEX);
}

QTest(interrupt, fifo)
{
        interrupts(SLUICE_WAKE_FIFO);
}

QTest(interrupt, ends_await_peer)
{
        make("q", 0);
        call(sluice_consumer_open(&c, "q", NULL), 0);
        call(sluice_consumer_interrupt(&c), 0);
        call(sluice_consumer_await_peer(&c, soon()), -ECANCELED);
        call(sluice_consumer_await_peer(&c, sluice_after(MS(5))), -ETIMEDOUT);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

/* A caller that only polls soon gets -ECANCELED, too. */
QTest(interrupt, reaches_a_poller)
{
        int64_t r;

        open_both(SLUICE_WAKE_FUTEX, SLUICE_WAKE_FUTEX, SLUICE_SPIN_NONE, 0);
        call(sluice_consumer_interrupt(&c), 0);
        for (int i = 0; (r = recv_number(&c, SLUICE_NOW)) == -EAGAIN; i++)
                check(i < 1000);
        eq(r, -ECANCELED);
        call(recv_number(&c, SLUICE_NOW), -EAGAIN);
        close_both();
}

static void interrupt_consumer(int signal)
{
        (void)signal;
        sluice_consumer_interrupt(&c);
}

static void interrupt_producer(int signal)
{
        (void)signal;
        sluice_producer_interrupt(&p);
}

static void nothing(int signal)
{
        (void)signal;
}

static void handle(int signal, void (*handler)(int))
{
        struct sigaction a;

        memset(&a, 0, sizeof a);
        a.sa_handler = handler; /* without SA_RESTART: calls end with EINTR */
        eq(sigaction(signal, &a, NULL), 0);
}

static void from_a_handler(int wake)
{
        struct wait w = {0, 0, 0, soon()};
        pthread_t t;

        handle(SIGUSR1, interrupt_consumer);
        handle(SIGUSR2, interrupt_producer);
        open_both(wake, wake, SLUICE_SPIN_NONE, 256);
        t = thread_start(receiver, &w);
        until_asleep("q", CONSUMER);
        pthread_kill(t, SIGUSR1);
        thread_join(t);
        eq(w.result, -ECANCELED);
        fill_numbers(&p, 0);
        t = thread_start(sender, &w);
        until_asleep("q", PRODUCER);
        pthread_kill(t, SIGUSR2);
        thread_join(t);
        eq(w.result, -ECANCELED);
        close_both();
}

QTest(interrupt, from_a_signal_handler)
{
        from_a_handler(SLUICE_WAKE_FUTEX);
        from_a_handler(SLUICE_WAKE_FIFO);
}

/* EINTR is not an interrupt. */
static void other_signals(int wake)
{
        struct wait w = {0, 0, 0, 0};
        pthread_t t;

        handle(SIGUSR1, nothing);
        open_both(wake, wake, SLUICE_SPIN_NONE, 256);
        w.until = sluice_after(MS(300));
        t = thread_start(receiver, &w);
        until_asleep("q", CONSUMER);
        for (int i = 0; i < 20; i++) {
                pthread_kill(t, SIGUSR1);
                pause_ms(1);
        }
        thread_join(t);
        eq(w.result, -ETIMEDOUT);
        w.until = soon();
        t = thread_start(receiver, &w);
        until_asleep("q", CONSUMER);
        for (int i = 0; i < 20; i++)
                pthread_kill(t, SIGUSR1);
        call(send_number(&p, 4, SLUICE_NOW), 0);
        thread_join(t);
        eq(w.result, 4);
        close_both();
}

QTest(interrupt, other_signals_end_no_wait)
{
        other_signals(SLUICE_WAKE_FUTEX);
        other_signals(SLUICE_WAKE_FIFO);
}

/* However an interrupt meets the sleeper, nothing of it keeps a later
 * wait from sleeping. */
static volatile bool storm;

static void *interrupt_storm(void *ctx)
{
        (void)ctx;
        while (storm)
                sluice_consumer_interrupt(&c);
        return NULL;
}

static void after_a_storm(int wake)
{
        open_both(wake, wake, SLUICE_SPIN_NONE, 256);
        for (int i = 0; i < 20; i++) {
                pthread_t t;
                int64_t cpu;

                storm = true;
                t = thread_start(interrupt_storm, NULL);
                for (int k = 0; k < 300; k++)
                        recv_number(&c, sluice_after(5000));
                storm = false;
                thread_join(t);
                while (recv_number(&c, sluice_after(1000)) == -ECANCELED)
                        continue;
                cpu = cpu_ns();
                call(recv_number(&c, sluice_after(MS(10))), -ETIMEDOUT);
                check(cpu_ns() - cpu < MS(5));
        }
        close_both();
}

QTest(interrupt, leaves_nothing_behind)
{
        after_a_storm(SLUICE_WAKE_FUTEX);
        after_a_storm(SLUICE_WAKE_FIFO);
}

/* Writes to each eventfd among the first descriptors that is not yet
 * marked, or marks it. */
static void eventfds(bool *marked, int n, bool mark)
{
        for (int fd = 0; fd < n; fd++) {
                char path[64], target[64] = "";
                const uint64_t one = 1;

                snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
                if (readlink(path, target, sizeof target - 1) <= 0 || !strstr(target, "eventfd"))
                        continue;
                if (mark)
                        marked[fd] = true;
                else if (!marked[fd])
                        eq(write(fd, &one, sizeof one), sizeof one);
        }
}

/* Taken between its two halves: only the count is left. */
QTest(interrupt, late_count_does_not_keep_awake)
{
        static bool marked[1024];
        int64_t cpu;

        eventfds(marked, 1024, true); /* the test runner's own */
        open_both(SLUICE_WAKE_FIFO, SLUICE_WAKE_FIFO, SLUICE_SPIN_NONE, 256);
        eventfds(marked, 1024, false);
        cpu = cpu_ns();
        call(recv_number(&c, sluice_after(MS(50))), -ETIMEDOUT);
        check(cpu_ns() - cpu < MS(20));
        close_both();
}

/* A wait that is interrupted while a message, or room, arrives: both are
 * reported, one after the other. */
static int interrupted_consumer(void *handle, uint64_t need, sluice_deadline until)
{
        (void)handle, (void)need, (void)until;
        eq(send_number(&p, 8, SLUICE_NOW), 0);
        return -ECANCELED;
}

static int interrupted_producer(void *handle, uint64_t need, sluice_deadline until)
{
        (void)handle, (void)need, (void)until;
        eq(recv_number(&c, SLUICE_NOW), 0);
        return -ECANCELED;
}

static int no_news(void *handle)
{
        (void)handle;
        return 0;
}

static void wakes_nobody(void *handle, uint64_t parked)
{
        (void)handle, (void)parked;
}

static int passes_on(void *handle, int error, sluice_deadline until)
{
        (void)handle, (void)until;
        return error;
}

QTest(interrupt, is_not_lost_to_what_comes_at_the_same_time)
{
        static const struct sluice_priv_sleep consumer = {interrupted_consumer, no_news,
                                                          wakes_nobody, no_news, passes_on};
        static const struct sluice_priv_sleep producer = {interrupted_producer, no_news,
                                                          wakes_nobody, no_news, passes_on};
        const struct sluice_priv_sleep *real;

        open_both(SLUICE_WAKE_FUTEX, SLUICE_WAKE_FUTEX, SLUICE_SPIN_NONE, 256);
        real = c.base.sleep;
        c.base.sleep = &consumer;
        call(recv_number(&c, soon()), -ECANCELED);
        call(recv_number(&c, soon()), 8);
        c.base.sleep = real;
        fill_numbers(&p, 0);
        real = p.base.sleep;
        p.base.sleep = &producer;
        call(send_number(&p, 9, soon()), -ECANCELED);
        call(send_number(&p, 9, soon()), 0);
        p.base.sleep = real;
        call(recv_number(&c, SLUICE_NOW), 1);
        close_both();
}
