/* SPDX-License-Identifier: MIT */
/*
 * Waking: whoever sleeps on a word or on a pipe of a queue is woken from
 * here, and from nowhere else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

void sluice_priv_futex_wake(const sluice_word *word)
{
        syscall(SYS_futex, word, FUTEX_WAKE, 1 << 30, NULL, NULL, 0);
}

/* The consumer sleeps on the header word that it waits for, which its
 * parked word names; the producer on the consumer's position. UNTRUSTED,
 * hence masked: a wrong one wakes nobody. */
static const sluice_word *awaited_word(const struct sluice_priv_queue *q, uint64_t parked)
{
        if (q->role == SLUICE_PRIV_ROLE_CONSUMER) {
                const struct sluice_consumer *c = q->handle;

                return &c->own->position;
        } else {
                const struct sluice_producer *p = q->handle;
                const uint64_t at = (parked & ~SLUICE_LAYOUT_FLAGS) - SLUICE_LAYOUT_HEADER_BYTES;

                return sluice_priv_peer_word(p->ring, at & p->mask);
        }
}

void sluice_priv_wake_peer(struct sluice_priv_queue *q, uint64_t parked)
{
        if (parked & SLUICE_LAYOUT_BY_FIFO)
                sluice_priv_fd_check(q, SLUICE_PRIV_PEER);
        if (!(parked & SLUICE_LAYOUT_BY_FIFO))
                sluice_priv_futex_wake(awaited_word(q, parked));
        else if (q->peer_fd >= 0 && q->byte_may_be_there)
                sluice_priv_fifo_ring_once(q->peer_fd);
        else if (q->peer_fd >= 0)
                sluice_priv_fifo_ring(q->peer_fd);
        q->byte_may_be_there = false;
}

/* DOORBELL: this parked word is answered, and never again. */
static void answer(struct sluice_priv_queue *q, struct sluice_priv_doorbell *doorbell,
                   uint64_t parked)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();

        doorbell->answered = parked;
        sluice_priv_count(&q->counters->wakes);
        sluice_priv_wake_peer(q, parked);
        sluice_priv_leave(&entry);
}

void sluice_priv_producer_wake(void *handle, uint64_t parked)
{
        struct sluice_producer *p = handle;

        answer(p->base.queue, &p->base.doorbell, parked);
}

void sluice_priv_consumer_wake(void *handle, uint64_t parked)
{
        struct sluice_consumer *c = handle;

        answer(c->base.queue, &c->base.doorbell, parked);
}

/* DOORBELL once more, between two sleepers: each stores its parked word and
 * then looks at the other's, so that a producer that waits for a fair
 * part of the ring and a consumer that keeps messages cannot both sleep.
 * It is not an answer: the producer may need more, and sleep on. */
void sluice_priv_nudge_producer(struct sluice_priv_queue *q)
{
        const struct sluice_consumer *c = q->handle;
        const uint64_t parked = sluice_priv_load_relaxed(&q->peer_doorbell->parked); /* UNTRUSTED */

        if (!c->base.doorbell.open || !(parked & SLUICE_LAYOUT_PARKED) ||
            parked == c->base.doorbell.answered)
                return;
        sluice_priv_count(&q->counters->wakes);
        sluice_priv_wake_peer(q, parked);
}

/* By the size that the kernel keeps, not by the header. */
void sluice_priv_wake_all(const struct sluice_priv_segment *s,
                          const struct sluice_priv_place *place)
{
        const uint64_t capacity = s->ds.shm_segsz - SLUICE_LAYOUT_RING - SLUICE_PRIV_SEGMENT_TAIL;
        const unsigned char *base = s->mem;
        const struct sluice_layout_consumer *c = (const void *)(base + SLUICE_LAYOUT_CONSUMER);
        const struct sluice_layout_producer *p = (const void *)(base + SLUICE_LAYOUT_PRODUCER);
        const uint64_t at =
                sluice_priv_load_acquire(&c->position) & (capacity - 1) & ~SLUICE_LAYOUT_FLAGS;
        const char *pipes[] = {SLUICE_PRIV_READABLE, SLUICE_PRIV_WRITABLE};

        sluice_priv_futex_wake(sluice_priv_peer_word(base + SLUICE_LAYOUT_RING, at));
        sluice_priv_futex_wake(&c->position);
        sluice_priv_futex_wake(&c->doorbell.state);
        sluice_priv_futex_wake(&p->doorbell.state);
        for (int i = 0; i < 2 && place->dirfd >= 0; i++)
                sluice_priv_fifo_ring_at(place, pipes[i], s->ds.shm_perm.mode);
}
