/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing the endpoints of named queues, and who may follow
 * whom: a role is taken under the lock of a pipe (fifo.c), and taken away
 * from a process only that has become another program.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define SPIN_DEFAULT_NS INT64_C(50000)

/* So long, in milliseconds, a predecessor that leaves is waited for. */
enum { HANDOVER_TRIES = 200 };

/* The peer may need that CPU: then who spins has to give way to it, unless
 * somebody knows better and has said how long to spin. */
static bool one_cpu_only(void)
{
        cpu_set_t set;

        return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1;
}

static struct sluice_priv_queue *queue_new(void *handle, int role, const struct sluice_options *o)
{
        struct sluice_priv_queue *q = calloc(1, sizeof *q);

        if (!q)
                return NULL;
        q->handle = handle;
        q->role = role;
        q->by_fifo = o->wake == SLUICE_WAKE_FIFO;
        q->own_fd = q->peer_fd = q->keeper_fd = q->interrupt_fd = q->dirfd = -1;
        q->poll_fd = q->alarm_fd = -1;
        q->spin_ns = o->spin_ns == SLUICE_SPIN_DEFAULT ? SPIN_DEFAULT_NS : o->spin_ns;
        if (q->spin_ns == SLUICE_SPIN_NONE)
                q->spin_ns = 0;
        q->shares_cpu = o->spin_ns == SLUICE_SPIN_DEFAULT && one_cpu_only();
        q->spin_skips_next = SLUICE_PRIV_SPIN_SKIPS_LEAST;
        q->spin_budget_ns = q->spin_ns;
        q->slice_ns = o->slice_ns;
        q->membarrier = sluice_priv_membarrier_register();
        return q;
}

static void queue_free(struct sluice_priv_queue *q)
{
        if (!q)
                return;
        sluice_priv_fd_check(q, SLUICE_PRIV_PEER);
        if (q->locked)
                sluice_priv_fifo_unlock(q->peer_fd);
        sluice_priv_queue_unlist(q);
        sluice_priv_segment_unmap(&q->segment);
        free(q);
}

/* Under the fork lock. */
static int open_all_pipes(struct sluice_priv_queue *q, const struct sluice_priv_place *place)
{
        const bool consumer = q->role == SLUICE_PRIV_ROLE_CONSUMER;
        const mode_t mode = q->segment.ds.shm_perm.mode;

        q->peer_fd = sluice_priv_fifo_open(
                place, consumer ? SLUICE_PRIV_WRITABLE : SLUICE_PRIV_READABLE, O_RDWR, mode);
        if (q->peer_fd < 0)
                return q->peer_fd;
        q->own_fd = sluice_priv_fifo_open(
                place, consumer ? SLUICE_PRIV_READABLE : SLUICE_PRIV_WRITABLE, O_RDONLY, mode);
        if (q->own_fd < 0 || !q->by_fifo)
                return q->own_fd < 0 ? q->own_fd : 0;
        q->interrupt_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (q->interrupt_fd < 0)
                return -errno;
        q->dirfd = fcntl(place->dirfd, F_DUPFD_CLOEXEC, 0);
        return q->dirfd < 0 ? -errno : sluice_priv_descriptor_open(q);
}

static int open_pipes(struct sluice_priv_queue *q, const struct sluice_priv_place *place)
{
        int r = place->dirfd < 0 ? 0 : sluice_priv_fork_lock();

        if (r || place->dirfd < 0)
                return r;
        r = open_all_pipes(q, place);
        if (r == 0)
                r = sluice_priv_fds_know(q);
        sluice_priv_fork_unlock();
        return r;
}

static void pause_ms(void)
{
        const struct timespec ms = {0, 1000000};

        nanosleep(&ms, NULL);
}

/* A lock without the role: somebody is just opening or closing, or lives
 * on without his semaphores. */
static int take_lock(struct sluice_priv_queue *q)
{
        for (int tries = HANDOVER_TRIES;; tries--) {
                const int r = sluice_priv_fifo_lock(q->peer_fd);
                int held;

                q->locked = r == 0;
                if (r != -EBUSY)
                        return r;
                held = sluice_priv_role_held(q->segment.semid, q->role);
                if (held != 0 || tries == 0)
                        return held < 0 ? held : -EBUSY;
                pause_ms();
        }
}

/* The other end is there, with its pipes: it maps the queue, once. */
static bool other_end_maps(const struct sluice_priv_queue *q)
{
        const int other = q->role == SLUICE_PRIV_ROLE_PRODUCER ? SLUICE_PRIV_ROLE_CONSUMER
                                                               : SLUICE_PRIV_ROLE_PRODUCER;

        return sluice_priv_role_held(q->segment.semid, other) > 0 &&
               sluice_priv_fifo_locked(q->own_fd) > 0;
}

/* We have the lock, another has the role: has he become another program?
 * Then nobody maps the queue but we and the other end, which has to be
 * the same one before and after the count. */
static bool is_deserted(const struct sluice_priv_queue *q)
{
        const uint64_t before = sluice_priv_load_acquire(&q->peer_doorbell->state); /* UNTRUSTED */
        const bool other = other_end_maps(q);
        const int n = sluice_priv_segment_attached(&q->segment);

        if (n == 2)
                return other && other_end_maps(q) &&
                       sluice_priv_load_acquire(&q->peer_doorbell->state) == before;
        return n == 1;
}

/* Observers map the queue for a moment, too: once more, for a while. */
static int take_role(struct sluice_priv_queue *q)
{
        int r;

        if (q->peer_fd < 0)
                return sluice_priv_role_take(q->segment.semid, q->role, false);
        r = take_lock(q);
        for (int tries = HANDOVER_TRIES; r == 0; tries--) {
                r = sluice_priv_role_take(q->segment.semid, q->role, true);
                if (r == -EBUSY && is_deserted(q))
                        r = sluice_priv_role_take_over(q->segment.semid, q->role);
                if (r != -EBUSY || tries == 0)
                        break;
                pause_ms();
                r = 0;
        }
        return r;
}

static void find_doorbells(struct sluice_priv_queue *q)
{
        const struct sluice_priv_segment *s = &q->segment;
        unsigned char *base = s->mem;
        struct sluice_layout_producer *p = (void *)(base + s->shape.producer);
        struct sluice_layout_consumer *c = (void *)(base + s->shape.consumer);
        const bool producer = q->role == SLUICE_PRIV_ROLE_PRODUCER;

        q->own_doorbell = producer ? &p->doorbell : &c->doorbell;
        q->peer_doorbell = producer ? &c->doorbell : &p->doorbell;
}

static void give_role(struct sluice_priv_queue *q)
{
        sluice_priv_role_give(q->segment.semid, q->role, q->locked);
}

/* Maps the queue and takes the role: from here on the half is ours. */
static int open_role(struct sluice_priv_queue *q, const struct sluice_priv_place *place,
                     unsigned flags)
{
        int r = sluice_priv_segment_find(&q->segment, place, false);

        if (r)
                return r;
        find_doorbells(q);
        r = open_pipes(q, place);
        if (r)
                return r;
        q->named = true;
        r = take_role(q);
        if (r)
                return r == -EIDRM ? -ENOENT : r;
        r = sluice_priv_meet_peer(q);
        /* Nobody else waits for the pages, or maps the queue meanwhile. */
        if (r == 0)
                r = sluice_priv_prepare_pages(q->segment.mem, (size_t)q->segment.shape.total_bytes,
                                              flags);
        if (r)
                give_role(q);
        return r == -EIDRM || r == -ESTALE ? -ENOENT : r;
}

static uint64_t own_state(const struct sluice_priv_queue *q)
{
        return (q->membarrier ? SLUICE_LAYOUT_FENCELESS : 0) |
               (q->locked ? 0 : SLUICE_LAYOUT_UNLOCKED);
}

/* Lets the handle sleep and wake. */
static void give_sleep_to_producer(struct sluice_producer *p, struct sluice_priv_queue *q)
{
        q->own_doorbell = &p->own->doorbell;
        q->peer_doorbell = &p->peer->doorbell;
        q->counters = &p->own->counters;
        q->polls = &p->base.polls;
        p->base.queue = q;
        p->base.sleep = &sluice_priv_producer_sleep;
        p->base.doorbell.fence = !q->membarrier;
        p->base.doorbell.open = 1;
}

static void give_sleep_to_consumer(struct sluice_consumer *c, struct sluice_priv_queue *q)
{
        q->own_doorbell = &c->own->doorbell;
        q->peer_doorbell = &c->peer->doorbell;
        q->counters = &c->own->counters;
        q->polls = &c->base.polls;
        c->base.queue = q;
        c->base.sleep = &sluice_priv_consumer_sleep;
        c->base.doorbell.fence = !q->membarrier;
        c->base.doorbell.open = 1;
}

static int join(struct sluice_priv_queue *q)
{
        const struct sluice_priv_segment *s = &q->segment;
        const size_t bytes = (size_t)s->shape.total_bytes;
        uint64_t parked;
        int r;

        if (q->role == SLUICE_PRIV_ROLE_PRODUCER) {
                struct sluice_producer *p = q->handle;

                r = sluice_priv_producer_join(p, s->mem, bytes, own_state(q));
                if (r)
                        return r;
                give_sleep_to_producer(p, q);
                sluice_priv_met_peer(q, false);
        } else {
                struct sluice_consumer *c = q->handle;
                uint64_t word;

                r = sluice_priv_consumer_join(c, s->mem, bytes, own_state(q));
                if (r)
                        return r;
                give_sleep_to_consumer(c, q);
                /* PUBLISH is the next look. UNTRUSTED. */
                word = sluice_priv_load_relaxed(sluice_priv_next_word(c));
                sluice_priv_met_peer(q, word != 0 && word != SLUICE_LAYOUT_END);
        }
        q->peer_epoch = sluice_priv_load_relaxed(&q->peer_doorbell->state) / SLUICE_LAYOUT_EPOCH;
        sluice_priv_store_relaxed(&q->counters->pid, (uint64_t)getpid());
        sluice_priv_futex_wake(&q->own_doorbell->state); /* await_peer */
        /* The predecessor may have died between showing something and waking
         * the one who waits for it; and a peer that sleeps on its pipe holds
         * that open by itself while it is alone, and has to let go. */
        sluice_priv_fence_full(); /* DOORBELL, waker */
        parked = sluice_priv_load_relaxed(&q->peer_doorbell->parked);
        q->byte_may_be_there = true; /* by a predecessor, perhaps */
        if (parked & SLUICE_LAYOUT_PARKED)
                sluice_priv_wake_peer(q, parked);
        q->byte_may_be_there = true;
        return 0;
}

static int open_endpoint(void *handle, int role, const char *name,
                         const struct sluice_options *options)
{
        struct sluice_priv_queue *q = NULL;
        struct sluice_priv_place place;
        struct sluice_priv_name n;
        struct sluice_options o;
        int r = sluice_priv_options_read(&o, options);

        sluice_priv_limit_forget();
        if (r == 0)
                r = sluice_priv_name_parse(&n, name);
        if (r == 0 && n.is_key && o.wake == SLUICE_WAKE_FIFO)
                r = -EOPNOTSUPP; /* before anything is made for it */
        if (r == 0 && (o.flags & SLUICE_CREATE)) {
                r = sluice_create(name, options);
                r = r == -EEXIST ? 0 : r;
        }
        if (r)
                return r;
        r = sluice_priv_place_open(&place, &n);
        place.any_owner = (o.flags & SLUICE_ANY_OWNER) != 0;
        if (r == 0) {
                q = queue_new(handle, role, &o);
                r = q ? sluice_priv_queue_list(q) : -ENOMEM;
        }
        if (r == 0)
                r = open_role(q, &place, o.flags);
        if (r == 0) {
                r = join(q);
                if (r)
                        give_role(q);
        }
        sluice_priv_place_close(&place);
        if (r)
                queue_free(q);
        if (r == -EMFILE || r == -ENFILE || r == -ENOSPC) /* of a poll descriptor */
                sluice_priv_limit_note(SLUICE_PRIV_FD, -r, 0);
        return r;
}

int sluice_producer_open(struct sluice_producer *p, const char *name,
                         const struct sluice_options *options)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        const int r = open_endpoint(p, SLUICE_PRIV_ROLE_PRODUCER, name, options);

        if (r) {
                memset(p, 0, sizeof *p);
                sluice_priv_producer_poison(p, -EINVAL);
        }
        sluice_priv_leave(&entry);
        return r;
}

int sluice_consumer_open(struct sluice_consumer *c, const char *name,
                         const struct sluice_options *options)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        const int r = open_endpoint(c, SLUICE_PRIV_ROLE_CONSUMER, name, options);

        if (r) {
                memset(c, 0, sizeof *c);
                sluice_priv_consumer_poison(c, -EINVAL);
        }
        sluice_priv_leave(&entry);
        return r;
}

/* After detach: tell a peer that waits for our state, give the role back. */
static void leave(struct sluice_priv_queue *q)
{
        sluice_priv_futex_wake(&q->own_doorbell->state);
        if (q->named)
                give_role(q);
        queue_free(q);
}

int sluice_producer_close(struct sluice_producer *p)
{
        struct sluice_priv_queue *q = p->base.queue;
        struct sluice_priv_entry entry;

        if (!q)
                return p->base.err ? p->base.err : -EINVAL;
        entry = sluice_priv_enter();
        sluice_producer_detach(p);
        p->base.queue = NULL;
        p->base.sleep = NULL;
        leave(q);
        sluice_priv_leave(&entry);
        return 0;
}

int sluice_consumer_close(struct sluice_consumer *c)
{
        struct sluice_priv_queue *q = c->base.queue;
        struct sluice_priv_entry entry;

        if (!q)
                return c->base.err ? c->base.err : -EINVAL;
        entry = sluice_priv_enter();
        sluice_consumer_detach(c);
        c->base.queue = NULL;
        c->base.sleep = NULL;
        leave(q);
        sluice_priv_leave(&entry);
        return 0;
}

/* ---- Memory of the caller's own ----------------------------------- */

static int enable(void *handle, int role, const struct sluice_options *options,
                  struct sluice_priv_queue **q)
{
        struct sluice_options o;
        const int r = sluice_priv_options_read(&o, options);

        if (r)
                return r;
        if (o.wake != SLUICE_WAKE_FUTEX)
                return -EOPNOTSUPP;
        *q = queue_new(handle, role, &o);
        return *q ? 0 : -ENOMEM;
}

/* The state says how this endpoint wakes, from now on. */
static void announce(struct sluice_priv_queue *q)
{
        const uint64_t state = sluice_priv_load_relaxed(&q->own_doorbell->state);

        sluice_priv_store_release(&q->own_doorbell->state,
                                  (state & ~SLUICE_LAYOUT_MUTE) | own_state(q));
}

int sluice_producer_enable_sleep(struct sluice_producer *p, const struct sluice_options *options)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        struct sluice_priv_queue *q;
        int r = p->base.err;

        if (r == 0 && (p->base.queue || !p->own))
                r = -EINVAL;
        if (r == 0)
                r = enable(p, SLUICE_PRIV_ROLE_PRODUCER, options, &q);
        if (r == 0) {
                give_sleep_to_producer(p, q);
                announce(q);
        }
        sluice_priv_leave(&entry);
        return r;
}

int sluice_consumer_enable_sleep(struct sluice_consumer *c, const struct sluice_options *options)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        struct sluice_priv_queue *q;
        int r = c->base.err;

        if (r == 0 && (c->base.queue || !c->own))
                r = -EINVAL;
        if (r == 0)
                r = enable(c, SLUICE_PRIV_ROLE_CONSUMER, options, &q);
        if (r == 0) {
                give_sleep_to_consumer(c, q);
                announce(q);
        }
        sluice_priv_leave(&entry);
        return r;
}
