/* SPDX-License-Identifier: MIT */
/*
 * The peer of an endpoint: whether it is there, how it ended, which end was
 * reported already, and waiting for a peer. The kernel is asked, never a
 * process id.
 */
#define _GNU_SOURCE
#include <errno.h>

#include "endpoint.h"

/*
 * Does a process hold the peer's role (fifo.c)? A locked pipe says yes; a
 * free role with an unlocked pipe says no. A role that is held while the
 * pipe is not locked belongs to a process that has called exec, and no
 * longer maps the segment, or to one that has closed its pipes, and still
 * maps it beside us. When we may no longer ask for the role, the lock alone
 * decides; a bare key has no lock either. state: the peer's. 1, 0, or an
 * error.
 */
static int peer_held(struct sluice_priv_queue *q, int role, uint64_t state)
{
        const int held = sluice_priv_role_held(q->segment.semid, role);
        const int locked = q->own_fd >= 0 ? sluice_priv_fifo_locked(q->own_fd) : -EBADF;

        q->peer_without_pipe = false;
        if (held < 0 && held != -EACCES)
                return held;
        if (locked < 0)
                return held == -EACCES ? 1 : held;
        if (locked > 0 || held == 0)
                return locked;
        if (held > 0 && !(state & SLUICE_LAYOUT_UNLOCKED) &&
            sluice_priv_segment_attached(&q->segment) == 1)
                return 0;
        q->peer_without_pipe = held > 0;
        return q->peer_without_pipe;
}

/*
 * A peer is dead when its role is free and it has not closed. The state word
 * changes with every attach and every close: when it is the same before and
 * after the role was found free, it is that holder that is gone.
 */
int sluice_priv_peer_check(struct sluice_priv_queue *q, bool *present)
{
        uint64_t before, after;
        int held;

        *present = true;
        if (!q->named)
                return 0;
        sluice_priv_fd_check(q, SLUICE_PRIV_OWN);
        before = sluice_priv_load_acquire(&q->peer_doorbell->state); /* STATE:load. UNTRUSTED */
        held = peer_held(q, sluice_priv_peer_role(q), before);
        after = sluice_priv_load_acquire(&q->peer_doorbell->state); /* STATE:load */
        q->checked_epoch = before / SLUICE_LAYOUT_EPOCH;
        q->check_due = held < 0; /* removal is final: the next call says so at once */
        *present = held > 0;
        if (held < 0)
                return held == -EIDRM ? -ESTALE : held;
        if (q->own_fd >= 0 && sluice_priv_fifo_gone(q->own_fd)) {
                q->check_due = true; /* likewise */
                return -ESTALE;
        }
        if (held > 0 || before != after || !(after & SLUICE_LAYOUT_ATTACHED))
                return 0;
        q->ended_epoch = after / SLUICE_LAYOUT_EPOCH;
        return after & SLUICE_LAYOUT_CLOSED ? -EPIPE : -EOWNERDEAD;
}

/* ---- Each end is reported once ------------------------------------ */

static bool is_end(int error)
{
        return error == -EPIPE || error == -EOWNERDEAD;
}

bool sluice_priv_end_is_unreported(const struct sluice_priv_queue *q)
{
        /* Relaxed: a number to compare; ENDING:load is in sluice_priv_end. UNTRUSTED. */
        const uint64_t state = sluice_priv_load_relaxed(&q->peer_doorbell->state);

        return state / SLUICE_LAYOUT_EPOCH != q->reported_epoch;
}

int sluice_priv_if_unreported(const struct sluice_priv_queue *q, int error)
{
        return is_end(error) && q->ended_epoch == q->reported_epoch ? 0 : error;
}

int sluice_priv_reported_end(struct sluice_priv_queue *q)
{
        if (q->reported_end && sluice_priv_end_is_unreported(q))
                q->reported_end = 0;
        if (q->reported_end)
                sluice_priv_check_next(&q->endpoint->polls);
        return q->reported_end;
}

int sluice_priv_owed_end(struct sluice_priv_queue *q)
{
        return q->end_owed ? sluice_priv_reported_end(q) : 0;
}

int sluice_priv_report(void *handle, int error, sluice_deadline until)
{
        struct sluice_priv_endpoint *e = handle;
        struct sluice_priv_queue *q = e->queue;

        if (error == 0) {
                q->reported_epoch = 0; /* no peer's: epochs begin at 1 */
                q->reported_end = 0;
                q->end_owed = false;
        } else if (is_end(error)) {
                q->end_owed =
                        until <= SLUICE_NOW && (q->end_owed || q->reported_epoch != q->ended_epoch);
                q->reported_epoch = q->peer_epoch = q->ended_epoch;
                q->reported_end = error;
                sluice_priv_check_next(&e->polls);
        }
        return error;
}

/* What the peer stored when it closed: the flag of the consumer's position,
 * or the producer's end record. */
static bool has_closed(const struct sluice_priv_queue *q)
{
        const struct sluice_producer *p;

        /* PUBLISH:load, RELEASE:load: behind an end there is nothing to read, but
         * the caller looks at the state before it, in this order. */
        if (q->role == SLUICE_PRIV_ROLE_CONSUMER)
                return sluice_priv_load_acquire(sluice_priv_next_word(
                               sluice_priv_consumer_of(q))) == SLUICE_LAYOUT_END;
        p = sluice_priv_producer_of(q);
        return sluice_priv_load_acquire(&p->peer->position) & SLUICE_LAYOUT_POSITION_CLOSED;
}

/* The state first, then a second look at what was found. */
int sluice_priv_end(void *handle)
{
        const struct sluice_priv_endpoint *e = handle;
        struct sluice_priv_queue *q = e->queue;
        /* ENDING:load. UNTRUSTED. */
        const uint64_t state = sluice_priv_load_acquire(&q->peer_doorbell->state);

        if (!has_closed(q))
                return 0;
        q->ended_epoch = state / SLUICE_LAYOUT_EPOCH;
        return sluice_priv_if_unreported(q, -EPIPE);
}

/* A peer that has closed and still holds its role is about to release it. */
int sluice_priv_find_earlier_end(struct sluice_priv_queue *q)
{
        /* ENDING:load. UNTRUSTED. */
        const uint64_t state = sluice_priv_load_acquire(&q->peer_doorbell->state);
        bool present;
        const int r = sluice_priv_peer_check(q, &present);

        if (r == 0 && (state & SLUICE_LAYOUT_CLOSED))
                q->ended_epoch = state / SLUICE_LAYOUT_EPOCH;
        return is_end(r) ? 0 : r;
}

void sluice_priv_skip_earlier_end(struct sluice_priv_queue *q)
{
        q->reported_epoch = q->ended_epoch;
}

/* ---- Waiting for a peer ------------------------------------------- */

/* Does this state belong to a peer that is new to this handle, or that is
 * still there? A peer that has closed and not yet released its role is
 * neither, nor is one whose end was reported. */
static bool has_come(struct sluice_priv_queue *q, uint64_t state, bool present)
{
        const uint64_t epoch = state / SLUICE_LAYOUT_EPOCH;

        if (epoch == q->reported_epoch)
                return false;
        if (!q->named)
                present = (state & SLUICE_LAYOUT_ATTACHED) != 0;
        if (epoch == q->peer_epoch && (!present || (state & SLUICE_LAYOUT_CLOSED)))
                return false;
        q->peer_epoch = epoch;
        return true;
}

/* The peer's state word changes at every attach: a peer that attached and
 * closed between two looks is noticed, too. */
static int await_peer(struct sluice_priv_queue *q, sluice_deadline until)
{
        for (;;) {
                /* STATE:load. UNTRUSTED. */
                const uint64_t state = sluice_priv_load_acquire(&q->peer_doorbell->state);
                const struct sluice_priv_unchanged word = {&q->peer_doorbell->state,
                                                           (uint32_t)state};
                int64_t now, slice;
                bool present;
                const int r = sluice_priv_peer_check(q, &present);

                if (r && !is_end(r))
                        return r;
                if (has_come(q, state, present))
                        return 0;
                if (sluice_priv_take_interrupt(q))
                        return -ECANCELED;
                if (until <= SLUICE_NOW)
                        return -EAGAIN;
                now = sluice_now_ns();
                if (now >= until)
                        return -ETIMEDOUT;
                slice = sluice_priv_later(now, q->named ? q->slice_ns : sluice_priv_longest_ns(q));
                sluice_priv_futex_sleep(q, &word, NULL, now, slice < until ? slice : until);
        }
}

static int endpoint_await_peer(struct sluice_priv_endpoint *e, sluice_deadline until)
{
        struct sluice_priv_entry entry;
        int r;

        if (e->err)
                return e->err;
        if (!e->queue)
                return -EINVAL;
        entry = sluice_priv_enter();
        r = await_peer(e->queue, until);
        sluice_priv_leave(&entry);
        return r;
}

int sluice_producer_await_peer(struct sluice_producer *p, sluice_deadline until)
{
        return endpoint_await_peer(&p->base, until);
}

int sluice_consumer_await_peer(struct sluice_consumer *c, sluice_deadline until)
{
        return endpoint_await_peer(&c->base, until);
}
