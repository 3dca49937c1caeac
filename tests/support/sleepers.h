/* SPDX-License-Identifier: MIT */
#ifndef SLEEPERS_H
#define SLEEPERS_H
/* What the tests of sleeping and of interrupts share: two endpoints, and
 * threads that wait on one of them. */
#include "queue_util.h"

/* Two endpoints of one queue, and what to open them with. */
static struct sluice_producer p;
static struct sluice_consumer c;

static void open_both(int producer_wake, int consumer_wake, int64_t spin_ns, size_t capacity)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;

        make("q", capacity);
        o.spin_ns = spin_ns;
        o.slice_ns = MS(60000); /* nothing here is helped by a slice that ends */
        o.wake = producer_wake;
        call(sluice_producer_open(&p, "q", &o), 0);
        o.wake = consumer_wake;
        call(sluice_consumer_open(&c, "q", &o), 0);
}

static void close_both(void)
{
        call(sluice_producer_close(&p), 0);
        call(sluice_consumer_close(&c), 0);
        call(sluice_remove("q"), 0);
}

/* What a thread waits for, and what it got. */
struct wait {
        int64_t result, took_ns;
        uint64_t number;
        sluice_deadline until;
};

static void *receiver(void *ctx)
{
        struct wait *w = ctx;
        const int64_t begin = sluice_now_ns();

        errno = ERRNO_MARK;
        w->result = recv_number(&c, w->until);
        eq(errno, ERRNO_MARK);
        w->took_ns = sluice_now_ns() - begin;
        return NULL;
}

static void *sender(void *ctx)
{
        struct wait *w = ctx;
        const int64_t begin = sluice_now_ns();

        errno = ERRNO_MARK;
        w->result = send_number(&p, w->number, w->until);
        eq(errno, ERRNO_MARK);
        w->took_ns = sluice_now_ns() - begin;
        return NULL;
}

#endif
