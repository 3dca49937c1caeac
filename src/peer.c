/* SPDX-License-Identifier: MIT */
/*
 * The other endpoint: whether it is there, how it has ended, what of that was
 * told, and waiting for it. The kernel is asked, never a process id.
 */
#define _GNU_SOURCE
#include <errno.h>

#include "internal.h"

/*
 * Does anybody hold the peer's role? (fifo.c) A locked pipe says yes, a
 * free role without one says no. A role that is held without a lock: by a
 * process that has become another program, and maps nothing any more, or
 * by one that has closed its pipes, and still maps the queue beside us.
 * When we may not ask for the role any more, the lock alone says it; on
 * a bare key nothing does. state: the peer's. 1, 0, or an error.
 */
static int peer_held(struct sluice_priv_queue *q, int role, uint64_t state)
{
        const int held = sluice_priv_role_held(q->segment.semid, role);
        const int locked = q->own_fd >= 0 ? sluice_priv_fifo_locked(q->own_fd) : -EBADF;

        q->peer_apart = false;
        if (held < 0 && held != -EACCES)
                return held;
        if (locked < 0)
                return held == -EACCES ? 1 : held;
        if (locked > 0 || held == 0)
                return locked;
        if (held > 0 && !(state & SLUICE_LAYOUT_UNLOCKED) &&
            sluice_priv_segment_attached(&q->segment) == 1)
                return 0;
        q->peer_apart = held > 0;
        return q->peer_apart;
}

/*
 * Death is: nobody holds the role, and its last holder has not closed.
 * The state word changes with every holder and every close, so when it is
 * the same before and after the role was seen deserted, it was that
 * holder that is gone.
 */
int sluice_priv_peer_check(struct sluice_priv_queue *q, bool *present)
{
        const int role = q->role == SLUICE_PRIV_ROLE_PRODUCER ? SLUICE_PRIV_ROLE_CONSUMER
                                                              : SLUICE_PRIV_ROLE_PRODUCER;
        uint64_t before, after;
        int held;

        *present = true;
        if (!q->named)
                return 0;
        sluice_priv_fd_check(q, SLUICE_PRIV_OWN);
        before = sluice_priv_load_acquire(&q->peer_doorbell->state); /* UNTRUSTED */
        held = peer_held(q, role, before);
        after = sluice_priv_load_acquire(&q->peer_doorbell->state);
        q->checked_epoch = before / SLUICE_LAYOUT_EPOCH;
        q->check_due = held < 0; /* removed is for ever: say so at once next time */
        *present = held > 0;
        if (held < 0)
                return held == -EIDRM ? -ESTALE : held;
        if (q->own_fd >= 0 && sluice_priv_fifo_gone(q->own_fd))
                return -ESTALE;
        if (held == 0 && before == after && (after & SLUICE_LAYOUT_ATTACHED)) {
                q->ended_epoch = after / SLUICE_LAYOUT_EPOCH;
                return after & SLUICE_LAYOUT_CLOSED ? -EPIPE : -EOWNERDEAD;
        }
        return 0;
}

/* ---- An end is told once ------------------------------------------ */

bool sluice_priv_end_is_news(const struct sluice_priv_queue *q)
{
        const uint64_t state = sluice_priv_load_relaxed(&q->peer_doorbell->state); /* UNTRUSTED */

        return state / SLUICE_LAYOUT_EPOCH != q->reported_epoch;
}

int sluice_priv_news(const struct sluice_priv_queue *q, int error)
{
        return (error == -EPIPE || error == -EOWNERDEAD) && q->ended_epoch == q->reported_epoch
                       ? 0
                       : error;
}

int sluice_priv_reported_end(struct sluice_priv_queue *q)
{
        if (q->reported_end && sluice_priv_end_is_news(q))
                q->reported_end = 0;
        if (q->reported_end)
                sluice_priv_check_next(q->polls);
        return q->reported_end;
}

static int tell(struct sluice_priv_queue *q, int error)
{
        if (error == 0) {
                q->reported_epoch = 0; /* nobody's: epochs begin at 1 */
                q->reported_end = 0;
        } else if (error == -EPIPE || error == -EOWNERDEAD) {
                q->reported_epoch = q->peer_epoch = q->ended_epoch;
                q->reported_end = error;
                sluice_priv_check_next(q->polls);
        }
        return error;
}

int sluice_priv_producer_tell(void *handle, int error)
{
        struct sluice_producer *p = handle;

        return tell(p->base.queue, error);
}

int sluice_priv_consumer_tell(void *handle, int error)
{
        struct sluice_consumer *c = handle;

        return tell(c->base.queue, error);
}

/* ENDING: the state first, then once more what was found. */
int sluice_priv_producer_end(void *handle)
{
        struct sluice_producer *p = handle;
        struct sluice_priv_queue *q = p->base.queue;
        const uint64_t state = sluice_priv_load_acquire(&q->peer_doorbell->state); /* UNTRUSTED */

        if (!(sluice_priv_load_acquire(&p->peer->position) & SLUICE_LAYOUT_POSITION_CLOSED))
                return 0;
        q->ended_epoch = state / SLUICE_LAYOUT_EPOCH;
        return sluice_priv_news(q, -EPIPE);
}

int sluice_priv_consumer_end(void *handle)
{
        struct sluice_consumer *c = handle;
        struct sluice_priv_queue *q = c->base.queue;
        const uint64_t state = sluice_priv_load_acquire(&q->peer_doorbell->state); /* UNTRUSTED */

        if (sluice_priv_load_acquire(sluice_priv_next_word(c)) != SLUICE_LAYOUT_END)
                return 0;
        q->ended_epoch = state / SLUICE_LAYOUT_EPOCH;
        return sluice_priv_news(q, -EPIPE);
}

/* A role that is still held beside the closed flag is on its way out. */
int sluice_priv_meet_peer(struct sluice_priv_queue *q)
{
        const uint64_t state = sluice_priv_load_acquire(&q->peer_doorbell->state); /* UNTRUSTED */
        bool present;
        const int r = sluice_priv_peer_check(q, &present);

        if (r == 0 && (state & SLUICE_LAYOUT_CLOSED))
                q->ended_epoch = state / SLUICE_LAYOUT_EPOCH;
        return r == -EPIPE || r == -EOWNERDEAD ? 0 : r;
}

void sluice_priv_met_peer(struct sluice_priv_queue *q, bool left)
{
        if (!left)
                q->reported_epoch = q->ended_epoch;
}

/* ---- Waiting for it ----------------------------------------------- */

/* Is there, by this state, somebody of whom we have not heard, or who is
 * there still? Whoever has closed and not yet given the role back is not,
 * nor one whose end was told. */
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

/* The peer's state word changes at every attach: one that came and went
 * while nobody looked is noticed, too. */
static int await_peer(struct sluice_priv_queue *q, sluice_deadline until)
{
        for (;;) {
                const uint64_t state = sluice_priv_load_acquire(&q->peer_doorbell->state);
                struct sluice_priv_unchanged word = {&q->peer_doorbell->state, 0};
                int64_t now, slice;
                bool present;
                const int r = sluice_priv_peer_check(q, &present);

                if (r && r != -EOWNERDEAD && r != -EPIPE)
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
                slice = sluice_priv_later(now, q->slice_ns);
                word.value = (uint32_t)state;
                sluice_priv_futex_sleep(q, &word, NULL, now, slice < until ? slice : until);
        }
}

int sluice_producer_await_peer(struct sluice_producer *p, sluice_deadline until)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        const int r = p->base.err      ? p->base.err
                      : !p->base.queue ? -EINVAL
                                       : await_peer(p->base.queue, until);

        sluice_priv_leave(&entry);
        return r;
}

int sluice_consumer_await_peer(struct sluice_consumer *c, sluice_deadline until)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        const int r = c->base.err      ? c->base.err
                      : !c->base.queue ? -EINVAL
                                       : await_peer(c->base.queue, until);

        sluice_priv_leave(&entry);
        return r;
}
