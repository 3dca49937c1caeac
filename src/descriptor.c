/* SPDX-License-Identifier: MIT */
/*
 * What an event loop needs: the descriptor, arming and disarming it; and
 * the two calls that wait for something else than messages, interrupt
 * and await_peer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* A poller asks for its peer only now and then: let it be the next time. */
#define POLLS_CHECK_NEXT 63u

int sluice_consumer_fd(struct sluice_consumer *c)
{
        const struct sluice_priv_queue *q = c->queue;

        if (!q || !q->by_fifo)
                return c->err ? c->err : -EINVAL;
        return q->own_fd;
}

int sluice_producer_fd(struct sluice_producer *p)
{
        const struct sluice_priv_queue *q = p->queue;

        if (!q || !q->by_fifo)
                return p->err ? p->err : -EINVAL;
        return q->own_fd;
}

/* A dead peer is something to tell, but once: from then on the wait is
 * for its successor. */
static bool is_news(struct sluice_priv_queue *q, int error)
{
        const uint64_t state = sluice_priv_load_relaxed(&q->peer_door->state);

        if (error != -EOWNERDEAD)
                return error != 0;
        if (state == q->mourned)
                return false;
        q->mourned = state;
        return true;
}

/* The peer may fail to wake us, and the application's poll has no slices:
 * the slice is here, and the application is told to look. */
static void short_sleep(const struct sluice_priv_queue *q)
{
        const struct timespec slice = {0, SLUICE_PRIV_SHORT_SLICE_NS};
        struct pollfd fd = {q->hung_up ? -1 : q->own_fd, POLLIN, 0};

        ppoll(&fd, 1, &slice, NULL);
}

/* The reader takes stale bytes out of the pipe, parks, then looks: a
 * byte that is written for this parking stays in the pipe. */
static int arm(struct sluice_priv_queue *q, const struct sluice_priv_await *a)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        bool present, wait;

        sluice_priv_fifo_drain(q->own_fd);
        wait = sluice_priv_park(q, a);
        if (is_news(q, sluice_priv_peer_check(q, &present)))
                wait = false;
        sluice_priv_keep_pipe(q, present);
        if (sluice_priv_load_relaxed(&q->interrupt) != 0)
                wait = false;
        if (wait && sluice_priv_must_slice_short(q)) {
                short_sleep(q);
                wait = false;
        }
        if (!wait)
                sluice_priv_unpark(q);
        else
                sluice_priv_count(&q->counters->parks);
        q->check_due = true;
        sluice_priv_leave(&entry);
        return wait ? 0 : 1;
}

int sluice_consumer_arm(struct sluice_consumer *c)
{
        const int fd = sluice_consumer_fd(c);
        struct sluice_priv_await a;

        if (fd < 0)
                return fd;
        c->polls = POLLS_CHECK_NEXT;
        if (c->end != c->next || c->err)
                return 1;
        sluice_priv_await_message(&a, c);
        return arm(c->queue, &a);
}

int sluice_producer_arm(struct sluice_producer *p, size_t len)
{
        const int fd = sluice_producer_fd(p);
        struct sluice_priv_await a;
        uint64_t need, rest;

        if (fd < 0)
                return fd;
        p->polls = POLLS_CHECK_NEXT;
        if (p->err || len > p->max_len || sluice_priv_producer_refresh(p) != 0)
                return 1;
        need = sluice_priv_record_bytes(len, p->unit_mask);
        rest = sluice_priv_rest(p->tail, p->mask);
        if (need > rest)
                need += rest;
        if (p->limit - p->tail >= need || p->tail - p->position + need > p->mask - p->unit_mask)
                return 1;
        sluice_priv_await_room(&a, p, need);
        return arm(p->queue, &a);
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
        c->polls = POLLS_CHECK_NEXT;
        return disarm(c->queue);
}

int sluice_producer_disarm(struct sluice_producer *p)
{
        const int fd = sluice_producer_fd(p);

        if (fd < 0)
                return fd;
        p->polls = POLLS_CHECK_NEXT;
        return disarm(p->queue);
}

static int interrupt(struct sluice_priv_queue *q)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        const uint64_t one = 1;

        sluice_priv_store_release(&q->interrupt, 1);
        sluice_priv_futex_wake(&q->interrupt);
        /* EAGAIN: the counter is full of interrupts already. */
        if (q->interrupt_fd >= 0)
                while (write(q->interrupt_fd, &one, sizeof one) < 0 && errno == EINTR)
                        continue;
        sluice_priv_leave(&entry);
        return 0;
}

int sluice_consumer_interrupt(struct sluice_consumer *c)
{
        return c->queue ? interrupt(c->queue) : c->err ? c->err : -EINVAL;
}

int sluice_producer_interrupt(struct sluice_producer *p)
{
        return p->queue ? interrupt(p->queue) : p->err ? p->err : -EINVAL;
}

/* The peer's state word changes at every attach: one that came and went
 * while nobody looked is noticed, too. */
static int await_peer(struct sluice_priv_queue *q, sluice_deadline until)
{
        for (;;) {
                const uint64_t state = sluice_priv_load_acquire(&q->peer_door->state);
                struct sluice_priv_unchanged word = {&q->peer_door->state, 0};
                int64_t now, slice;
                const uint64_t epoch = state / SLUICE_LAYOUT_EPOCH;
                bool present;
                const int r = sluice_priv_peer_check(q, &present);

                if (r && r != -EOWNERDEAD)
                        return r;
                if (!q->named)
                        present =
                                (state & SLUICE_LAYOUT_ATTACHED) && !(state & SLUICE_LAYOUT_CLOSED);
                if (present || epoch != q->peer_epoch) {
                        q->peer_epoch = epoch;
                        return 0;
                }
                if (sluice_priv_take_interrupt(q))
                        return -ECANCELED;
                if (until <= SLUICE_NOW)
                        return -EAGAIN;
                now = sluice_now_ns();
                if (now >= until)
                        return -ETIMEDOUT;
                slice = now + q->slice_ns;
                word.value = (uint32_t)state;
                sluice_priv_futex_sleep(q, &word, NULL, now, slice < until ? slice : until);
        }
}

int sluice_producer_await_peer(struct sluice_producer *p, sluice_deadline until)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        const int r = p->err ? p->err : !p->queue ? -EINVAL : await_peer(p->queue, until);

        sluice_priv_leave(&entry);
        return r;
}

int sluice_consumer_await_peer(struct sluice_consumer *c, sluice_deadline until)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        const int r = c->err ? c->err : !c->queue ? -EINVAL : await_peer(c->queue, until);

        sluice_priv_leave(&entry);
        return r;
}
