/* SPDX-License-Identifier: MIT */
/* Spinning, sleeping, waking, deadlines. */
#define _GNU_SOURCE
#include "sleepers.h"

#include <sched.h>
#include <sys/syscall.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* A kernel without futex_waitv has a sleeper by futex look by itself each 10 ms: who
 * comes at that moment need not wake it. */
static bool looks_by_itself(int wake)
{
        return wake == SLUICE_WAKE_FUTEX &&
               syscall(SYS_futex_waitv, NULL, 0, 0, NULL, CLOCK_MONOTONIC) < 0 && errno == ENOSYS;
}

/* ---- Waking ------------------------------------------------------- */

static void consumer_is_woken(int wake)
{
        struct wait w = {0, 0, 0, soon()};
        pthread_t t;

        open_both(SLUICE_WAKE_FUTEX, wake, SLUICE_SPIN_NONE, 0);
        for (int i = 0; i < 20; i++) {
                t = thread_start(receiver, &w);
                until_asleep("q", CONSUMER);
                call(send_number(&p, (uint64_t)i, SLUICE_NOW), 0);
                thread_join(t);
                eq(w.result, i);
                check(w.took_ns < MS(1000));
                eq(look("q").consumer.asleep, 0);
        }
        check(look("q").producer.wakes <= 20);
        check(look("q").producer.wakes >= (looks_by_itself(wake) ? 10 : 20));
        check(look("q").consumer.parks > 0);
        check(look("q").consumer.stalls >= 20);
        close_both();
}

QTest(wake, consumer_by_futex)
{
        consumer_is_woken(SLUICE_WAKE_FUTEX);
}

QTest(wake, consumer_by_fifo)
{
        consumer_is_woken(SLUICE_WAKE_FIFO);
}

/* Woken for the room that it needs, not for the first byte of it. */
static void producer_is_woken(int wake)
{
        struct wait w = {0, 0, 0, soon()};
        uint64_t n = 0, next = 0;

        open_both(wake, SLUICE_WAKE_FUTEX, SLUICE_SPIN_NONE, 1024);
        for (int i = 0; i < 20; i++) {
                pthread_t t;

                n = fill_numbers(&p, n);
                w.number = n++;
                t = thread_start(sender, &w);
                until_asleep("q", PRODUCER);
                for (int k = 0; k < 4; k++) /* a quarter of the ring */
                        call(recv_number(&c, SLUICE_NOW), next++);
                thread_join(t);
                eq(w.result, 0);
                check(w.took_ns < MS(1000));
        }
        while (next < n)
                call(recv_number(&c, SLUICE_NOW), next++);
        check(look("q").consumer.wakes <= 40);
        check(look("q").consumer.wakes >= (looks_by_itself(wake) ? 10 : 20));
        check(look("q").producer.parks > 0);
        close_both();
}

QTest(wake, producer_by_futex)
{
        producer_is_woken(SLUICE_WAKE_FUTEX);
}

QTest(wake, producer_by_fifo)
{
        producer_is_woken(SLUICE_WAKE_FIFO);
}

/* A long message needs more than the fair part: that much is waited for. */
QTest(wake, producer_for_a_long_message)
{
        static unsigned char longest[504];
        struct wait w = {0, 0, 0, soon()};
        pthread_t t;
        ssize_t n;

        open_both(SLUICE_WAKE_FUTEX, SLUICE_WAKE_FUTEX, SLUICE_SPIN_NONE, 1024);
        for (int i = 0; i < 5; i++) { /* leave the ring's end in the way */
                call(send_number(&p, 1, SLUICE_NOW), 0);
                call(recv_number(&c, SLUICE_NOW), 1);
        }
        fill_numbers(&p, 0);
        call(sluice_send(&p, longest, sizeof longest, sluice_after(MS(20))), -ETIMEDOUT);
        w.number = 15;
        t = thread_start(sender, &w);
        until_asleep("q", PRODUCER);
        for (int i = 0; i < 15; i++)
                call(recv_number(&c, SLUICE_NOW), i);
        thread_join(t);
        eq(w.result, 0);
        call(recv_number(&c, soon()), 15);
        call(sluice_send(&p, longest, sizeof longest, soon()), 0);
        n = sluice_recv(&c, longest, sizeof longest, soon());
        eq(n, sizeof longest);
        close_both();
}

static void closing_wakes(int wake)
{
        struct wait w = {0, 0, 0, soon()};
        pthread_t t;

        open_both(wake, wake, SLUICE_SPIN_NONE, 256);
        t = thread_start(receiver, &w);
        until_asleep("q", CONSUMER);
        call(sluice_producer_close(&p), 0);
        thread_join(t);
        eq(w.result, -EPIPE);
        check(w.took_ns < MS(5000));
        {
                struct sluice_options o = opt_wake(wake);

                o.slice_ns = MS(60000);
                call(sluice_producer_open(&p, "q", &o), 0);
        }
        fill_numbers(&p, 0);
        t = thread_start(sender, &w);
        until_asleep("q", PRODUCER);
        call(sluice_consumer_close(&c), 0);
        thread_join(t);
        eq(w.result, -EPIPE);
        check(w.took_ns < MS(5000));
        call(sluice_producer_close(&p), 0);
        call(sluice_remove("q"), 0);
}

QTest(wake, by_closing_futex)
{
        closing_wakes(SLUICE_WAKE_FUTEX);
}

QTest(wake, by_closing_fifo)
{
        closing_wakes(SLUICE_WAKE_FIFO);
}

/* ---- Deadlines ---------------------------------------------------- */

static void deadlines(int wake)
{
        open_both(wake, wake, SLUICE_SPIN_DEFAULT, 256);
        call(recv_number(&c, SLUICE_NOW), -EAGAIN);
        call(recv_number(&c, -1), -EAGAIN);
        call(recv_number(&c, 1), -ETIMEDOUT); /* long past */
        call(recv_number(&c, sluice_now_ns()), -ETIMEDOUT);
        for (int ms = 1; ms < 100; ms *= 7) {
                const int64_t begin = sluice_now_ns();
                int64_t took;

                call(recv_number(&c, sluice_after(MS(ms))), -ETIMEDOUT);
                took = sluice_now_ns() - begin;
                check(took >= MS(ms) && took < MS(ms + 500));
        }
        /* What is there is found whatever the deadline. */
        for (uint64_t i = 0; i < 3; i++)
                call(send_number(&p, i, 1), 0);
        call(send_number(&p, 9, 1), -ETIMEDOUT);
        call(send_number(&p, 9, SLUICE_NOW), -EAGAIN);
        call(send_number(&p, 9, INT64_MIN), -EAGAIN);
        for (int ms = 1; ms < 100; ms *= 7) {
                const int64_t begin = sluice_now_ns();
                int64_t took;

                call(send_number(&p, 9, sluice_after(MS(ms))), -ETIMEDOUT);
                took = sluice_now_ns() - begin;
                check(took >= MS(ms) && took < MS(ms + 500));
        }
        call(recv_number(&c, 1), 0);
        call(recv_number(&c, SLUICE_NOW), 1);
        call(recv_number(&c, SLUICE_FOREVER), 2);
        close_both();
}

QTest(deadline, futex)
{
        deadlines(SLUICE_WAKE_FUTEX);
}

QTest(deadline, fifo)
{
        deadlines(SLUICE_WAKE_FIFO);
}

QTest(deadline, after_saturates)
{
        eq(sluice_after(INT64_MAX), SLUICE_FOREVER);
        check(sluice_after(0) > 0);
        check(sluice_after(MS(1000)) > sluice_now_ns());
}

/* ---- Spinning ----------------------------------------------------- */

QTest(spin, none_sleeps_at_once)
{
        int64_t cpu;

        open_both(SLUICE_WAKE_FUTEX, SLUICE_WAKE_FUTEX, SLUICE_SPIN_NONE, 0);
        cpu = cpu_ns();
        for (int i = 0; i < 20; i++)
                call(recv_number(&c, sluice_after(MS(5))), -ETIMEDOUT);
        check(cpu_ns() - cpu < MS(20));
        check(look("q").consumer.parks >= 10); /* but where the deadline has passed before it ran */
        close_both();
}

QTest(spin, forever_never_sleeps)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct wait w = {0, 0, 0, soon()};
        cpu_set_t cpus;
        pthread_t t;

        eq(sched_getaffinity(0, sizeof cpus, &cpus), 0);
        skip_unless(CPU_COUNT(&cpus) >= 2, "two processors"); /* one spins */
        o.spin_ns = SLUICE_SPIN_FOREVER;
        o.slice_ns = MS(5);
        make("q", 256);
        call(sluice_producer_open(&p, "q", &o), 0);
        call(sluice_consumer_open(&c, "q", &o), 0);
        call(recv_number(&c, sluice_after(MS(40))), -ETIMEDOUT);
        t = thread_start(receiver, &w);
        pause_ms(20);
        call(send_number(&p, 5, SLUICE_NOW), 0);
        thread_join(t);
        eq(w.result, 5);
        fill_numbers(&p, 0);
        call(send_number(&p, 9, sluice_after(MS(40))), -ETIMEDOUT);
        eq(look("q").consumer.parks, 0);
        eq(look("q").producer.parks, 0);
        call(sluice_producer_close(&p), 0);
        /* It still looks after its peer. */
        for (int i = 0; i < 3; i++)
                call(recv_number(&c, soon()), i);
        call(recv_number(&c, soon()), -EPIPE);
        call(sluice_remove("q"), 0);
        call(sluice_consumer_close(&c), 0);
}

QTest(spin, forever_hears_of_a_removal_and_an_interrupt)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        struct wait w = {0, 0, 0, soon()};
        pthread_t t;

        o.spin_ns = SLUICE_SPIN_FOREVER;
        o.slice_ns = MS(5);
        make("q", 256);
        call(sluice_consumer_open(&c, "q", &o), 0);
        t = thread_start(receiver, &w);
        pause_ms(10);
        call(sluice_consumer_interrupt(&c), 0);
        thread_join(t);
        eq(w.result, -ECANCELED);
        t = thread_start(receiver, &w);
        pause_ms(10);
        call(sluice_remove("q"), 0);
        thread_join(t);
        eq(w.result, -ESTALE);
        call(sluice_consumer_close(&c), 0);
}

/* ---- Many sleeps -------------------------------------------------- */

#define PARKS 10000

struct pong {
        int wake;
        int64_t spin_ns;
};

static int pong(void *ctx)
{
        const struct pong *g = ctx;
        struct sluice_options o = opt_wake(g->wake);
        struct sluice_consumer there;
        struct sluice_producer back;
        int64_t n;

        o.spin_ns = g->spin_ns;
        o.slice_ns = MS(60000);
        call(sluice_consumer_open(&there, "there", &o), 0);
        call(sluice_producer_open(&back, "back", &o), 0);
        while ((n = recv_number(&there, soon())) >= 0)
                eq(send_number(&back, (uint64_t)n, soon()), 0);
        eq(n, -EPIPE);
        call(sluice_producer_close(&back), 0);
        call(sluice_consumer_close(&there), 0);
        return 0;
}

/* Returns how often the consumer slept. */
static uint64_t ping(int wake, int peer_wake, int64_t spin_ns, uint64_t rounds)
{
        struct sluice_options o = opt_wake(wake);
        struct pong g = {peer_wake, spin_ns};
        uint64_t parks;
        pid_t child;

        make("there", 256);
        make("back", 256);
        o.spin_ns = spin_ns;
        o.slice_ns = MS(60000);
        call(sluice_producer_open(&p, "there", &o), 0);
        call(sluice_consumer_open(&c, "back", &o), 0);
        child = spawn(pong, &g);
        call(sluice_producer_await_peer(&p, soon()), 0);
        call(sluice_consumer_await_peer(&c, soon()), 0);
        for (uint64_t i = 0; i < rounds; i++) {
                const int64_t begin = sluice_now_ns();

                eq(send_number(&p, i, soon()), 0);
                eq(recv_number(&c, soon()), i);
                check(sluice_now_ns() - begin < MS(1000)); /* trip wire: a wake-up was lost */
        }
        call(sluice_producer_close(&p), 0);
        eq(reap(child), 0);
        call(recv_number(&c, soon()), -EPIPE);
        parks = look("there").consumer.parks;
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("there"), 0);
        call(sluice_remove("back"), 0);
        return parks;
}

QTest(parks, ping_pong_of_two_processes)
{
        for (int i = 0; i < 4; i++) {
                const int wake = i & 2 ? SLUICE_WAKE_FIFO : SLUICE_WAKE_FUTEX;
                const int peer_wake = i & 1 ? SLUICE_WAKE_FIFO : SLUICE_WAKE_FUTEX;

                check(ping(wake, peer_wake, SLUICE_SPIN_NONE, PARKS) > 0);
        }
}

/* They yield to each other, and neither has to sleep. Other work on that
 * processor may make them sleep, so this is tried again. */
QTest(spin, gives_way_on_a_processor_that_is_shared)
{
        uint64_t parks = UINT64_MAX;
        cpu_set_t cpus, one;

        CPU_ZERO(&one);
        eq(sched_getaffinity(0, sizeof cpus, &cpus), 0);
        for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
                if (CPU_ISSET(i, &cpus))
                        CPU_SET(i, &one);
        eq(sched_setaffinity(0, sizeof one, &one), 0);
        for (int i = 0; i < 50 && parks > 20; i++)
                parks = ping(SLUICE_WAKE_FUTEX, SLUICE_WAKE_FUTEX, SLUICE_SPIN_DEFAULT, 100);
        check(parks <= 20);
        eq(sched_setaffinity(0, sizeof cpus, &cpus), 0);
}

static void *flood(void *ctx)
{
        for (uint64_t i = 0; i < *(const uint64_t *)ctx; i++)
                eq(send_number(&p, i, soon()), 0);
        return NULL;
}

/* A full queue that drains slowly: a wake-up for each quarter of it. */
static void drains_slowly(int wake)
{
        const uint64_t full = 63 * 64;
        uint64_t total = 63 + 20 * 16, next = 0;
        pthread_t t;

        open_both(wake, SLUICE_WAKE_FUTEX, SLUICE_SPIN_NONE, 64 * 64);
        t = thread_start(flood, &total);
        while (next < total - 63) {
                struct sluice_queue_stat st;
                uint64_t wakes;

                until((st = look("q"), st.used == full && st.producer.asleep));
                wakes = st.consumer.wakes;
                for (int k = 0; k < 15; k++)
                        eq(recv_number(&c, SLUICE_NOW), next++);
                eq(look("q").consumer.wakes, wakes);
                check(look("q").producer.asleep || looks_by_itself(wake));
                eq(recv_number(&c, SLUICE_NOW), next++);
                check(look("q").consumer.wakes == wakes + 1 ||
                      (looks_by_itself(wake) && look("q").consumer.wakes == wakes));
        }
        while (next < total)
                eq(recv_number(&c, soon()), next++);
        thread_join(t);
        close_both();
}

QTest(parks, few_wakes_while_a_full_queue_drains)
{
        drains_slowly(SLUICE_WAKE_FUTEX);
        drains_slowly(SLUICE_WAKE_FIFO);
}

/* The producer has the room that it needs but hoped for more; the consumer
 * keeps the rest while it waits for the next message. Neither's position
 * moves any more. */
static void keeps_and_waits(int wake, int peer_wake)
{
        struct wait w = {.number = 63, .until = soon()};
        struct sluice_message m;
        pthread_t t;

        open_both(wake, peer_wake, SLUICE_SPIN_NONE, 64 * 64);
        for (uint64_t i = 0; i < 63; i++)
                eq(send_number(&p, i, SLUICE_NOW), 0);
        t = thread_start(sender, &w);
        until(look("q").producer.asleep);
        eq(recv_number(&c, SLUICE_NOW), 0);
        for (int i = 1; i < 63; i++) {
                eq(sluice_peek(&c, &m, SLUICE_NOW), 0);
                eq(sluice_advance(&c), 0);
        }
        eq(sluice_peek(&c, &m, soon()), 0);
        thread_join(t);
        eq(w.result, 0);
        eq(sluice_release(&c), 0);
        close_both();
}

QTest(parks, consumer_that_keeps_messages_lets_the_producer_go_on)
{
        for (int i = 0; i < 4; i++)
                keeps_and_waits(i & 1, i >> 1);
}
