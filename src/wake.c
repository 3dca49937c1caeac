/* SPDX-License-Identifier: MIT */
/*
 * Waking: the only file that wakes a thread that sleeps on a queue, by futex,
 * by a byte in a named pipe or by an eventfd.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "endpoint.h"

/* All threads that sleep on this word. */
static void futex_wake(const sluice_word *word)
{
        syscall(SYS_futex, word, FUTEX_WAKE, 1 << 30, NULL, NULL, 0);
}

/* ---- The peer of an endpoint -------------------------------------- */

/* The consumer sleeps on the header word that it waits for, at the position
 * in its parked word; the producer sleeps on the consumer's position.
 * UNTRUSTED, hence masked: a wrong position wakes nobody. */
static const sluice_word *awaited_word(const struct sluice_priv_queue *q, uint64_t parked)
{
        const struct sluice_producer *p;
        uint64_t at;

        if (q->role == SLUICE_PRIV_ROLE_CONSUMER)
                return &sluice_priv_consumer_of(q)->own->position;
        p = sluice_priv_producer_of(q);
        at = (parked & ~SLUICE_LAYOUT_FLAGS) - SLUICE_LAYOUT_HEADER_BYTES;
        return sluice_priv_peer_word(p->ring, at & p->mask);
}

/* The peer that has parked with this word. */
static void wake_peer(struct sluice_priv_queue *q, uint64_t parked)
{
        sluice_priv_note_wake(q);
        if (!(parked & SLUICE_LAYOUT_BY_FIFO)) {
                futex_wake(awaited_word(q, parked));
                return;
        }
        sluice_priv_fd_check(q, SLUICE_PRIV_PEER);
        if (q->peer_fd < 0)
                return;
        if (q->byte_may_be_there)
                sluice_priv_fifo_ring_once(q->peer_fd);
        else
                sluice_priv_fifo_ring(q->peer_fd);
}

static void wake_counted(struct sluice_priv_queue *q, uint64_t parked)
{
        sluice_priv_count(&q->counters->wakes);
        wake_peer(q, parked);
        q->byte_may_be_there = false;
}

/* DOORBELL: each parked word is answered once. */
void sluice_priv_wake(void *handle, uint64_t parked)
{
        struct sluice_priv_endpoint *e = handle;
        struct sluice_priv_queue *q = e->queue;
        const struct sluice_priv_entry entry = sluice_priv_enter();

        e->doorbell.answered = parked;
        wake_counted(q, parked);
        sluice_priv_leave(&entry);
}

/* DOORBELL between two sleepers: each stores its parked word and then looks
 * at the other's, so that a producer that waits for a quarter of the ring
 * and a consumer that keeps messages cannot both sleep. The parked word is
 * not marked as answered: the producer may need more, and sleep on. */
void sluice_priv_nudge_producer(struct sluice_priv_queue *q)
{
        const struct sluice_priv_doorbell *bell = &q->endpoint->doorbell;
        /* DOORBELL:load. Relaxed: a sleeper's barrier orders it; a poller looks
         * again within a slice. UNTRUSTED. */
        const uint64_t parked = sluice_priv_load_relaxed(&q->peer_doorbell->parked);

        if (!bell->open || !(parked & SLUICE_LAYOUT_PARKED) || parked == bell->answered)
                return;
        wake_counted(q, parked);
}

/* The predecessor may have died after it published or released and before
 * it woke the peer. And a peer that has held its own pipe open while it was
 * alone must wake up to close it. */
void sluice_priv_wake_on_join(struct sluice_priv_queue *q)
{
        uint64_t parked;

        sluice_priv_wake_awaiting(q);
        /* DOORBELL:fence, waker, and DOORBELL:load, relaxed behind it. */
        sluice_priv_fence_full();
        parked = sluice_priv_load_relaxed(&q->peer_doorbell->parked);
        q->byte_may_be_there = true; /* written by a predecessor */
        if (parked & SLUICE_LAYOUT_PARKED)
                wake_peer(q, parked);
}

void sluice_priv_wake_awaiting(struct sluice_priv_queue *q)
{
        futex_wake(&q->own_doorbell->state);
}

/* ---- This endpoint ------------------------------------------------ */

void sluice_priv_wake_interrupted(struct sluice_priv_queue *q)
{
        const uint64_t one = 1;

        futex_wake(&q->interrupt);
        if (!sluice_priv_fd_is_ours(q, SLUICE_PRIV_INTERRUPT))
                return;
        /* EAGAIN: the counter is at its maximum, so the descriptor is readable. */
        while (write(q->interrupt_fd, &one, sizeof one) < 0 && errno == EINTR)
                continue;
}

/* ---- Both endpoints of a queue that was removed ------------------- */

/* The capacity is taken from the kernel's size, not from the header; where the
 * ring begins is one of a few places. */
void sluice_priv_wake_all(const struct sluice_priv_segment *s,
                          const struct sluice_priv_place *place)
{
        const uint64_t capacity = s->ds.shm_segsz - SLUICE_LAYOUT_RING - SLUICE_PRIV_SEGMENT_TAIL;
        const unsigned char *base = s->mem;
        const struct sluice_layout_consumer *c = (const void *)(base + SLUICE_LAYOUT_CONSUMER);
        const struct sluice_layout_producer *p = (const void *)(base + SLUICE_LAYOUT_PRODUCER);
        /* No edge: a remover reads no message. It wakes whoever sleeps where the
         * consumer stands; who goes to sleep later finds the queue removed. */
        const uint64_t at =
                sluice_priv_load_acquire(&c->position) & (capacity - 1) & ~SLUICE_LAYOUT_FLAGS;
        const char *pipes[] = {SLUICE_PRIV_READABLE, SLUICE_PRIV_WRITABLE};

        for (uint64_t align = SLUICE_LAYOUT_HEADER_BYTES; align <= SLUICE_RECORD_ALIGN_MAX;
             align *= 2)
                futex_wake(sluice_priv_peer_word(
                        base + SLUICE_LAYOUT_RING + align - SLUICE_LAYOUT_HEADER_BYTES, at));
        futex_wake(&c->position);
        futex_wake(&c->doorbell.state);
        futex_wake(&p->doorbell.state);
        for (int i = 0; i < 2 && place->dirfd >= 0; i++)
                sluice_priv_fifo_ring_at(place, pipes[i], s->ds.shm_perm.mode);
}
