/* SPDX-License-Identifier: MIT */
/*
 * What an event loop needs: the descriptor, arming and disarming it; and
 * the two calls that wait for something else than messages, interrupt
 * and await_peer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/*
 * The byte that wakes an armed endpoint may be lost: whoever may write to
 * the pipe may also read from it. The application waits without a time-out,
 * so the slice is a timer beside the pipe, in an epoll descriptor that
 * stands for both. It is set when an arming finds it run out, not by each
 * arming: so a busy loop pays one system call in a slice for it, and the
 * next look is never further away than a slice.
 */
static int watch(int poll_fd, int fd)
{
        struct epoll_event e = {.events = EPOLLIN};

        return epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e) != 0 ? -errno : 0;
}

/* A hang-up that we cannot end would be reported without end. */
static int watch_pipe(struct sluice_priv_queue *q, bool on)
{
        int r = 0;

        if (on == q->watched)
                return 0;
        if (on)
                r = watch(q->poll_fd, q->own_fd);
        else if (epoll_ctl(q->poll_fd, EPOLL_CTL_DEL, q->own_fd, NULL) != 0)
                r = -errno;
        if (r == 0)
                q->watched = on;
        return r;
}

int sluice_priv_descriptor_open(struct sluice_priv_queue *q)
{
        int r;

        q->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (q->alarm_fd < 0)
                return -errno;
        q->poll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (q->poll_fd < 0)
                return -errno;
        r = watch_pipe(q, true);
        return r ? r : watch(q->poll_fd, q->alarm_fd);
}

/* Setting a timer that has run out makes its descriptor quiet again. */
static int set_alarm(struct sluice_priv_queue *q)
{
        const int64_t now = sluice_now_ns();
        const int64_t due = sluice_priv_later(now, sluice_priv_longest_ns(q));
        const struct itimerspec t = {
                .it_value = {(time_t)(due / 1000000000), (long)(due % 1000000000)}};

        if (q->alarm_ns > now && q->alarm_ns <= due)
                return 0;
        if (timerfd_settime(q->alarm_fd, TFD_TIMER_ABSTIME, &t, NULL) != 0)
                return -errno;
        q->alarm_ns = due;
        return 0;
}

int sluice_consumer_fd(struct sluice_consumer *c)
{
        const struct sluice_priv_queue *q = c->base.queue;

        if (!q || !q->by_fifo)
                return c->base.err ? c->base.err : -EINVAL;
        return q->poll_fd >= 0 ? q->poll_fd : -EBADF;
}

int sluice_producer_fd(struct sluice_producer *p)
{
        const struct sluice_priv_queue *q = p->base.queue;

        if (!q || !q->by_fifo)
                return p->base.err ? p->base.err : -EINVAL;
        return q->poll_fd >= 0 ? q->poll_fd : -EBADF;
}

/* The reader takes stale bytes out of the pipe, parks, then looks: a
 * byte that is written for this parking stays in the pipe. */
static int arm(struct sluice_priv_queue *q, const struct sluice_priv_await *a)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        bool present, wait;
        int r;

        sluice_priv_fd_check(q, SLUICE_PRIV_OWN);
        q->hung_up = sluice_priv_fifo_drain(q->own_fd);
        wait = sluice_priv_park(q, a);
        if (sluice_priv_news(q, sluice_priv_peer_check(q, &present)))
                wait = false;
        sluice_priv_keep_pipe(q, present);
        if (sluice_priv_load_relaxed(&q->interrupt) != 0)
                wait = false;
        r = wait ? watch_pipe(q, !q->hung_up) : 0;
        if (wait && r == 0)
                r = set_alarm(q);
        if (!wait || r)
                sluice_priv_unpark(q);
        else
                sluice_priv_count(&q->counters->parks);
        q->check_due = true;
        sluice_priv_leave(&entry);
        return !wait ? 1 : r;
}

int sluice_consumer_arm(struct sluice_consumer *c)
{
        const int fd = sluice_consumer_fd(c);
        struct sluice_priv_await a;

        if (fd < 0)
                return fd;
        sluice_priv_check_next(&c->base.polls);
        if (c->end != c->next || c->base.err)
                return 1;
        sluice_priv_await_message(&a, c);
        return arm(c->base.queue, &a);
}

int sluice_producer_arm(struct sluice_producer *p, size_t len)
{
        const int fd = sluice_producer_fd(p);
        struct sluice_priv_await a;
        uint64_t need, rest;

        if (fd < 0)
                return fd;
        sluice_priv_check_next(&p->base.polls);
        if (p->base.err || len > p->max_len || sluice_priv_producer_refresh(p) != 0)
                return 1;
        need = sluice_priv_record_bytes(len, p->unit_mask);
        rest = sluice_priv_rest(p->tail, p->mask);
        if (need > rest)
                need += rest;
        if (p->limit - p->tail >= need || p->tail - p->position + need > p->mask - p->unit_mask)
                return 1;
        sluice_priv_await_room(&a, p, need);
        return arm(p->base.queue, &a);
}

static int disarm(struct sluice_priv_queue *q)
{
        sluice_priv_unpark(q);
        q->check_due = true;
        return 0;
}

int sluice_consumer_disarm(struct sluice_consumer *c)
{
        const int fd = sluice_consumer_fd(c);

        if (fd < 0)
                return fd;
        sluice_priv_check_next(&c->base.polls);
        return disarm(c->base.queue);
}

int sluice_producer_disarm(struct sluice_producer *p)
{
        const int fd = sluice_producer_fd(p);

        if (fd < 0)
                return fd;
        sluice_priv_check_next(&p->base.polls);
        return disarm(p->base.queue);
}

static int interrupt(struct sluice_priv_queue *q)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        const uint64_t one = 1;

        sluice_priv_store_release(&q->interrupt, 1);
        sluice_priv_futex_wake(&q->interrupt);
        /* EAGAIN: the counter is full of interrupts already. */
        if (sluice_priv_fd_is_ours(q, SLUICE_PRIV_INTERRUPT))
                while (write(q->interrupt_fd, &one, sizeof one) < 0 && errno == EINTR)
                        continue;
        sluice_priv_leave(&entry);
        return 0;
}

int sluice_consumer_interrupt(struct sluice_consumer *c)
{
        return c->base.queue ? interrupt(c->base.queue) : c->base.err ? c->base.err : -EINVAL;
}

int sluice_producer_interrupt(struct sluice_producer *p)
{
        return p->base.queue ? interrupt(p->base.queue) : p->base.err ? p->base.err : -EINVAL;
}
