/* SPDX-License-Identifier: MIT */
/*
 * What an event loop needs: the descriptor of an endpoint, arming and
 * disarming it, and interrupting its wait.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"

/*
 * The byte that wakes an armed endpoint may be lost: every process that may
 * write to the pipe may also read from it. The application waits without a
 * time-out, so the slice is a timer beside the pipe, in an epoll descriptor
 * that stands for both. The timer is set only when an arming finds it
 * expired, not at each arming: a busy loop pays one system call per slice
 * for it, and the next check is never more than a slice away.
 */
static int watch(int poll_fd, int fd)
{
        struct epoll_event e = {.events = EPOLLIN};

        return epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e) != 0 ? -errno : 0;
}

static int unwatch(int poll_fd, int fd)
{
        return epoll_ctl(poll_fd, EPOLL_CTL_DEL, fd, NULL) != 0 ? -errno : 0;
}

/* Off while the pipe is hung up: epoll would report that again and again. */
static int watch_pipe(struct sluice_priv_queue *q, bool on)
{
        int r;

        if (on == q->watched)
                return 0;
        r = on ? watch(q->poll_fd, q->own_fd) : unwatch(q->poll_fd, q->own_fd);
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

/* Setting an expired timer makes its descriptor unreadable again. */
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

/* ---- Arming ------------------------------------------------------- */

static int endpoint_fd(const struct sluice_priv_endpoint *e)
{
        const struct sluice_priv_queue *q = e->queue;

        if (!q || !q->by_fifo)
                return e->err ? e->err : -EINVAL;
        return q->poll_fd >= 0 ? q->poll_fd : -EBADF;
}

/* false: do not wait, the next call returns a message or an error. */
static bool consumer_must_wait(const struct sluice_consumer *c, struct sluice_priv_await *a)
{
        if (c->word != 0 || c->base.err)
                return false;
        sluice_priv_await_message(a, c);
        return true;
}

/* false: do not wait, there is room, or the next call returns an error. */
static bool producer_must_wait(struct sluice_producer *p, size_t len, struct sluice_priv_await *a)
{
        uint64_t need;

        if (p->base.err || len > p->max_len || sluice_priv_producer_refresh(p) != 0)
                return false;
        need = sluice_priv_room_needed(p, len);
        if (p->limit - p->tail >= need ||
            p->tail - sluice_priv_published(p) + need > p->mask - p->unit_mask)
                return false;
        sluice_priv_await_room(a, p, need);
        return true;
}

static int watch_until_slice(struct sluice_priv_queue *q)
{
        const int r = watch_pipe(q, !q->hung_up);

        return r ? r : set_alarm(q);
}

/* Takes stale bytes out of the pipe, parks, and only then looks: a byte that
 * is written for this parking stays in the pipe. */
static int arm(struct sluice_priv_queue *q, const struct sluice_priv_await *a)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        bool present, wait;
        int r;

        sluice_priv_fd_check(q, SLUICE_PRIV_OWN);
        q->hung_up = sluice_priv_fifo_drain(q->own_fd) == SLUICE_PRIV_HUNG_UP;
        wait = sluice_priv_park(q, a);
        if (sluice_priv_if_unreported(q, sluice_priv_peer_check(q, &present)) != 0)
                wait = false;
        sluice_priv_keep_pipe(q, present);
        /* Relaxed: only whether to sleep; INTERRUPT:load is in the next call. */
        if (sluice_priv_load_relaxed(&q->interrupt) != 0)
                wait = false;
        r = wait ? watch_until_slice(q) : 1;
        if (r)
                sluice_priv_unpark(q);
        else
                sluice_priv_count(&q->counters->parks);
        q->check_due = true;
        sluice_priv_leave(&entry);
        return r;
}

static int endpoint_arm(struct sluice_priv_endpoint *e, size_t len)
{
        struct sluice_priv_queue *q = e->queue;
        const int fd = endpoint_fd(e);
        struct sluice_priv_await a;
        bool wait;

        if (fd < 0)
                return fd;
        sluice_priv_check_next(&e->polls);
        if (q->role == SLUICE_PRIV_ROLE_PRODUCER)
                wait = producer_must_wait(sluice_priv_producer_of(q), len, &a);
        else
                wait = consumer_must_wait(sluice_priv_consumer_of(q), &a);
        return wait ? arm(q, &a) : 1;
}

static int endpoint_disarm(struct sluice_priv_endpoint *e)
{
        struct sluice_priv_queue *q = e->queue;
        const int fd = endpoint_fd(e);

        if (fd < 0)
                return fd;
        sluice_priv_check_next(&e->polls);
        sluice_priv_unpark(q);
        q->check_due = true;
        return 0;
}

static int endpoint_interrupt(struct sluice_priv_endpoint *e)
{
        struct sluice_priv_queue *q = e->queue;
        struct sluice_priv_entry entry;

        if (!q)
                return e->err ? e->err : -EINVAL;
        entry = sluice_priv_enter();
        sluice_priv_store_release(&q->interrupt, 1); /* INTERRUPT:store */
        sluice_priv_wake_interrupted(q);
        sluice_priv_leave(&entry);
        return 0;
}

/* ---- The public calls --------------------------------------------- */

int sluice_producer_fd(struct sluice_producer *p)
{
        return endpoint_fd(&p->base);
}

int sluice_consumer_fd(struct sluice_consumer *c)
{
        return endpoint_fd(&c->base);
}

int sluice_producer_arm(struct sluice_producer *p, size_t len)
{
        return endpoint_arm(&p->base, len);
}

int sluice_consumer_arm(struct sluice_consumer *c)
{
        return endpoint_arm(&c->base, 0);
}

int sluice_producer_disarm(struct sluice_producer *p)
{
        return endpoint_disarm(&p->base);
}

int sluice_consumer_disarm(struct sluice_consumer *c)
{
        return endpoint_disarm(&c->base);
}

int sluice_producer_interrupt(struct sluice_producer *p)
{
        return endpoint_interrupt(&p->base);
}

int sluice_consumer_interrupt(struct sluice_consumer *c)
{
        return endpoint_interrupt(&c->base);
}
