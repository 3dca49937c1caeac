/* SPDX-License-Identifier: MIT */
/* Threads that are cancelled: the call finishes first, and nothing is left behind. */
#define _GNU_SOURCE
#include "queue_util.h"

static struct sluice_producer p, second;
static struct sluice_consumer c;

static int cancel_create(void)
{
        return sluice_create("q", NULL);
}

static int cancel_producer_open(void)
{
        const struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);

        return sluice_producer_open(&p, "q", &o);
}

static int cancel_second_open(void)
{
        return sluice_producer_open(&second, "q", NULL);
}

static int cancel_consumer_open(void)
{
        const struct sluice_options o = opt_wake(SLUICE_WAKE_FIFO);

        return sluice_consumer_open(&c, "q", &o);
}

static int cancel_consumer_wait(void)
{
        return (int)recv_number(&c, sluice_after(MS(20)));
}

static int cancel_producer_wait(void)
{
        return send_number(&p, 9, sluice_after(MS(20)));
}

static int cancel_consumer_await(void)
{
        return sluice_consumer_await_peer(&c, sluice_after(MS(20)));
}

static int cancel_producer_await(void)
{
        return sluice_producer_await_peer(&p, SLUICE_NOW);
}

static int cancel_consumer_arm(void)
{
        return sluice_consumer_arm(&c);
}

static int cancel_producer_arm(void)
{
        return sluice_producer_arm(&p, 8);
}

static int cancel_consumer_interrupt(void)
{
        return sluice_consumer_interrupt(&c);
}

static int cancel_producer_interrupt(void)
{
        return sluice_producer_interrupt(&p);
}

static int cancel_interrupted(void)
{
        return (int)recv_number(&c, soon());
}

static int cancel_send(void)
{
        return send_number(&p, 1, SLUICE_NOW);
}

static int cancel_stat(void)
{
        struct sluice_queue_stat st;

        return sluice_stat("q", &st);
}

static int list_fn(void *ctx, const struct sluice_queue_stat *st)
{
        (void)ctx, (void)st;
        return 0;
}

static int cancel_list(void)
{
        return sluice_list(list_fn, NULL) > 0 ? 0 : -1;
}

static int dump_fn(void *ctx, const struct sluice_message *m)
{
        (void)ctx, (void)m;
        return 0;
}

static int cancel_dump(void)
{
        return (int)sluice_dump("q", dump_fn, NULL);
}

static int cancel_producer_close(void)
{
        return sluice_producer_close(&p);
}

static int cancel_consumer_close(void)
{
        return sluice_consumer_close(&c);
}

static int cancel_remove(void)
{
        return sluice_remove("q");
}

static int cancel_ring(void)
{
        static _Alignas(4096) unsigned char memory[12288 + 4096];
        const struct sluice_geometry g = {4096, 64, 0, 0, 0, 0};
        struct sluice_producer rp;
        struct sluice_consumer rc;
        int r = sluice_ring_format(memory, sizeof memory, &g);

        r = r ? r : sluice_producer_attach(&rp, memory, sizeof memory);
        r = r ? r : sluice_consumer_attach(&rc, memory, sizeof memory);
        r = r ? r : sluice_producer_enable_sleep(&rp, NULL);
        r = r ? r : sluice_consumer_enable_sleep(&rc, NULL);
        r = r ? r : sluice_producer_close(&rp);
        return r ? r : sluice_consumer_close(&rc);
}

struct cancelled {
        struct event ready, go;
        int (*body)(void);
        int result;
        bool returned;
};

/* The cancellation is pending when the call begins. */
static void *calls_cancelled(void *ctx)
{
        struct cancelled *x = ctx;

        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        signal_event(&x->ready);
        await_event(&x->go);
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
        x->result = x->body();
        x->returned = true;
        pthread_testcancel();
        x->returned = false; /* the state is as it was: it is never here */
        return NULL;
}

static void completes(int (*body)(void), int expected)
{
        struct cancelled x = {event_new(), event_new(), body, 0, false};
        pthread_t t = thread_start(calls_cancelled, &x);

        await_event(&x.ready);
        eq(pthread_cancel(t), 0);
        signal_event(&x.go);
        thread_join(t);
        check(x.returned);
        eq(x.result, expected);
        event_free(&x.ready);
        event_free(&x.go);
}

QTest(cancellation, waits_until_the_call_is_through)
{
        completes(cancel_create, 0);
        completes(cancel_create, -EEXIST);
        completes(cancel_consumer_open, 0);
        completes(cancel_consumer_await, -ETIMEDOUT);
        completes(cancel_consumer_arm, 0);
        call(sluice_consumer_disarm(&c), 0);
        completes(cancel_producer_open, 0);
        completes(cancel_second_open, -EBUSY);
        completes(cancel_producer_close, 0);
        completes(cancel_producer_close, -EINVAL);
        completes(cancel_consumer_close, 0);
        completes(cancel_remove, 0);
}

QTest(cancellation, leaves_a_queue_that_works)
{
        for (int i = 0; i < 20; i++) {
                completes(cancel_create, 0);
                completes(cancel_consumer_open, 0);
                completes(cancel_producer_open, 0);
                completes(cancel_stat, 0);
                completes(cancel_list, 0);
                completes(cancel_consumer_wait, -ETIMEDOUT);
                call(sluice_consumer_arm(&c), 0);
                completes(cancel_send, 0); /* wakes */
                completes(cancel_dump, 1);
                completes(cancel_producer_await, 0);
                call(recv_number(&c, soon()), 1);
                call(sluice_consumer_disarm(&c), 0);
                completes(cancel_consumer_interrupt, 0);
                completes(cancel_interrupted, -ECANCELED);
                completes(cancel_producer_interrupt, 0);
                call(send_number(&p, 1, SLUICE_NOW), 0);
                fill_numbers(&p, 2);
                call(sluice_producer_await_peer(&p, SLUICE_NOW), 0);
                completes(cancel_producer_arm, 1);
                completes(cancel_producer_wait, -ECANCELED);
                completes(cancel_producer_wait, -ETIMEDOUT);
                completes(cancel_producer_close, 0);
                completes(cancel_consumer_close, 0);
                completes(cancel_remove, 0);
                completes(cancel_remove, -ENOENT);
                completes(cancel_ring, 0);
        }
}
