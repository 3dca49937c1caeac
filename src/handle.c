/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing endpoints. The role of a named queue is taken under
 * the lock of a pipe (fifo.c); it is taken away only from a process that has
 * called exec. Most functions serve both roles, on the common part of the
 * handles (struct sluice_priv_endpoint).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"

/* How many milliseconds to wait for a predecessor that is just closing. */
enum { HANDOVER_TRIES = 200 };

/* ---- What both roles share ---------------------------------------- */

size_t sluice_priv_handle_bytes(int role)
{
        return role == SLUICE_PRIV_ROLE_PRODUCER ? sizeof(struct sluice_producer)
                                                 : sizeof(struct sluice_consumer);
}

void sluice_priv_handle_disable(struct sluice_priv_endpoint *e, int role, int err)
{
        if (role == SLUICE_PRIV_ROLE_PRODUCER) {
                struct sluice_producer *p = (void *)e;

                p->own = NULL;
                sluice_priv_producer_poison(p, err);
        } else {
                struct sluice_consumer *c = (void *)e;

                c->own = NULL;
                sluice_priv_consumer_poison(c, err);
        }
}

static struct sluice_priv_queue *queue_new(struct sluice_priv_endpoint *e, int role,
                                           const struct sluice_options *o)
{
        struct sluice_priv_queue *q = calloc(1, sizeof *q);

        if (!q)
                return NULL;
        q->endpoint = e;
        q->role = role;
        q->by_fifo = o->wake == SLUICE_WAKE_FIFO;
        q->own_fd = q->peer_fd = q->keeper_fd = q->interrupt_fd = q->dirfd = -1;
        q->poll_fd = q->alarm_fd = -1;
        q->by_habit = o->spin_ns == SLUICE_SPIN_DEFAULT;
        q->spin_ns = o->spin_ns == SLUICE_SPIN_NONE ? 0 : o->spin_ns;
        sluice_priv_habit_begin(&q->habit);
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
        int r;

        if (place->dirfd < 0)
                return 0;
        r = sluice_priv_fork_lock();
        if (r)
                return r;
        r = open_all_pipes(q, place);
        if (r)
                goto unlock;
        r = sluice_priv_fds_record(q);
unlock:
        sluice_priv_fork_unlock();
        return r;
}

static void pause_ms(void)
{
        const struct timespec ms = {0, 1000000};

        nanosleep(&ms, NULL);
}

/* If the pipe is locked and the role is free, another process is just opening
 * or closing, or has lost its semaphores (unshare). */
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

/* The peer is there, with its pipes: it maps the queue, once. */
static bool peer_maps(const struct sluice_priv_queue *q)
{
        return sluice_priv_role_held(q->segment.semid, sluice_priv_peer_role(q)) > 0 &&
               sluice_priv_fifo_locked(q->own_fd) > 0;
}

/* We have the lock, another process has the role: has it called exec? Then
 * only we and the peer map the queue. The peer has to be the same before
 * and after the mappings are counted. */
static bool is_deserted(const struct sluice_priv_queue *q)
{
        /* STATE:load, before and after the kernel's answers. UNTRUSTED. */
        const uint64_t before = sluice_priv_load_acquire(&q->peer_doorbell->state);
        const bool mapped = peer_maps(q);
        const int n = sluice_priv_segment_attached(&q->segment);

        if (n != 2)
                return n == 1;
        return mapped && peer_maps(q) && /* STATE:load */
               sluice_priv_load_acquire(&q->peer_doorbell->state) == before;
}

static int take_role_once(struct sluice_priv_queue *q)
{
        const int r = sluice_priv_role_take(q->segment.semid, q->role, true);

        if (r == -EBUSY && is_deserted(q))
                return sluice_priv_role_take_over(q->segment.semid, q->role);
        return r;
}

/* An observer, too, maps the queue for a moment: tries again for a while. */
static int take_role(struct sluice_priv_queue *q)
{
        int r;

        if (q->peer_fd < 0)
                return sluice_priv_role_take(q->segment.semid, q->role, false);
        r = take_lock(q);
        if (r)
                return r;
        for (int tries = HANDOVER_TRIES;; tries--) {
                r = take_role_once(q);
                if (r != -EBUSY || tries == 0)
                        return r;
                pause_ms();
        }
}

static void release_role(struct sluice_priv_queue *q)
{
        sluice_priv_role_release(q->segment.semid, q->role, q->locked);
}

/* ---- Joining ------------------------------------------------------ */

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

/* Is the queue for messages of the type that was asked for? */
static int check_type(const struct sluice_priv_shape *s, const struct sluice_options *o)
{
        if (o->type_id == 0)
                return 0;
        if (s->type_id != o->type_id || s->type_size != o->type_size ||
            s->payload_align < o->payload_align)
                return -EMEDIUMTYPE;
        return o->type_size > s->capacity / 2 - SLUICE_LAYOUT_HEADER_BYTES ? -EMSGSIZE : 0;
}

/* Maps the queue and takes the role: from here on our half of it is ours. */
static int open_role(struct sluice_priv_queue *q, const struct sluice_priv_place *place,
                     const struct sluice_options *o)
{
        int r = sluice_priv_segment_find(&q->segment, place, false);

        if (r)
                return r;
        r = check_type(&q->segment.shape, o);
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
        r = sluice_priv_find_earlier_end(q);
        if (r)
                goto release;
        /* With the role, because no other process waits for the pages or maps
         * the queue meanwhile. */
        r = sluice_priv_prepare_pages(q->segment.mem, (size_t)q->segment.shape.total_bytes,
                                      o->flags);
        if (r)
                goto release;
        return 0;
release:
        release_role(q);
        return r == -EIDRM || r == -ESTALE ? -ENOENT : r;
}

static uint64_t own_state(const struct sluice_priv_queue *q)
{
        return (q->membarrier ? SLUICE_LAYOUT_FENCELESS : 0) |
               (q->locked ? 0 : SLUICE_LAYOUT_UNLOCKED);
}

/* Lets an attached handle sleep and wake. */
static void connect_queue(struct sluice_priv_queue *q)
{
        struct sluice_priv_endpoint *e = q->endpoint;

        if (q->role == SLUICE_PRIV_ROLE_PRODUCER) {
                const struct sluice_producer *p = sluice_priv_producer_of(q);

                q->own_doorbell = &p->own->doorbell;
                q->peer_doorbell = &p->peer->doorbell;
                q->counters = &p->own->counters;
        } else {
                const struct sluice_consumer *c = sluice_priv_consumer_of(q);

                q->own_doorbell = &c->own->doorbell;
                q->peer_doorbell = &c->peer->doorbell;
                q->counters = &c->own->counters;
        }
        e->queue = q;
        e->sleep = &sluice_priv_queue_sleep;
        e->doorbell.fence = !q->membarrier;
        e->doorbell.open = 1;
        if (q->spin_ns == 0 && !q->by_habit)
                e->looks = 0; /* SLUICE_SPIN_NONE: not even a look with a pause */
}

/* A consumer to whom an earlier producer has left messages gets that one's
 * end reported after them. A producer gets no earlier end reported. */
static bool is_earlier_end_reported(const struct sluice_priv_queue *q)
{
        uint64_t word;

        if (q->role == SLUICE_PRIV_ROLE_PRODUCER)
                return false;
        /* Relaxed: PUBLISH:load is the next look. UNTRUSTED. */
        word = sluice_priv_load_relaxed(sluice_priv_next_word(sluice_priv_consumer_of(q)));
        return word != 0 && word != SLUICE_LAYOUT_END;
}

static int join(struct sluice_priv_queue *q)
{
        const struct sluice_priv_segment *s = &q->segment;
        const size_t bytes = (size_t)s->shape.total_bytes;
        int r;

        if (q->role == SLUICE_PRIV_ROLE_PRODUCER)
                r = sluice_priv_producer_join(sluice_priv_producer_of(q), s->mem, bytes,
                                              own_state(q));
        else
                r = sluice_priv_consumer_join(sluice_priv_consumer_of(q), s->mem, bytes,
                                              own_state(q));
        if (r)
                return r;
        connect_queue(q);
        if (!is_earlier_end_reported(q))
                sluice_priv_skip_earlier_end(q);
        /* Relaxed: a number that later ones are compared with; and one for people. */
        q->peer_epoch = sluice_priv_load_relaxed(&q->peer_doorbell->state) / SLUICE_LAYOUT_EPOCH;
        sluice_priv_store_relaxed(&q->counters->pid, (uint64_t)getpid());
        sluice_priv_wake_on_join(q);
        return 0;
}

/* ---- Opening and closing a named queue ---------------------------- */

static int read_arguments(struct sluice_priv_name *n, struct sluice_options *o, const char *name,
                          const struct sluice_options *options)
{
        int r = sluice_priv_options_read(o, options);

        if (r)
                return r;
        r = sluice_priv_name_parse(n, name);
        if (r)
                return r;
        return n->is_key && o->wake == SLUICE_WAKE_FIFO ? -EOPNOTSUPP : 0;
}

static int open_at(struct sluice_priv_endpoint *e, int role, const struct sluice_priv_name *n,
                   const struct sluice_options *o)
{
        struct sluice_priv_place place;
        struct sluice_priv_queue *q;
        int r = sluice_priv_place_open(&place, n);

        if (r)
                return r;
        place.any_owner = (o->flags & SLUICE_ANY_OWNER) != 0;
        q = queue_new(e, role, o);
        if (!q) {
                r = -ENOMEM;
                goto close_place;
        }
        r = sluice_priv_queue_list(q);
        if (r)
                goto free_queue;
        r = open_role(q, &place, o);
        if (r)
                goto free_queue;
        r = join(q);
        if (r)
                goto release_role;
        sluice_priv_place_close(&place);
        return 0;
release_role:
        release_role(q);
free_queue:
        queue_free(q);
close_place:
        sluice_priv_place_close(&place);
        return r;
}

/* Nobody else knows of it yet, so it is removed if it cannot be opened. */
static int open_unique(struct sluice_priv_endpoint *e, const char *directory,
                       const struct sluice_options *options, const struct sluice_options *o)
{
        char name[SLUICE_NAME_MAX + 1];
        struct sluice_priv_name n;
        int r = sluice_priv_create_unique(name, sizeof name, directory, options);

        if (r)
                return r;
        r = sluice_priv_name_parse(&n, name);
        if (r == 0)
                r = open_at(e, SLUICE_PRIV_ROLE_PRODUCER, &n, o);
        if (r)
                sluice_remove(name);
        return r;
}

static int create_and_open(struct sluice_priv_endpoint *e, int role,
                           const struct sluice_priv_name *n, const char *name,
                           const struct sluice_options *options, const struct sluice_options *o)
{
        int r = 0;

        if (role == SLUICE_PRIV_ROLE_PRODUCER)
                r = sluice_priv_is_directory_of_queues(name);
        if (r)
                return r > 0 ? open_unique(e, name, options, o) : r;
        r = sluice_create(name, options);
        return r && r != -EEXIST ? r : open_at(e, role, n, o);
}

static int open_endpoint(struct sluice_priv_endpoint *e, int role, const char *name,
                         const struct sluice_options *options)
{
        struct sluice_priv_name n;
        struct sluice_options o;
        int r = read_arguments(&n, &o, name, options);

        sluice_priv_limit_forget();
        if (r)
                return r;
        r = o.flags & SLUICE_CREATE ? create_and_open(e, role, &n, name, options, &o)
                                    : open_at(e, role, &n, &o);
        /* -ENOSPC of a semaphore has its note already; this is of a poll descriptor. */
        if (r == -EMFILE || r == -ENFILE || (r == -ENOSPC && *sluice_limit() == '\0'))
                sluice_priv_limit_note(SLUICE_PRIV_FD, -r, 0);
        return r;
}

static int endpoint_open(struct sluice_priv_endpoint *e, int role, const char *name,
                         const struct sluice_options *options)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        const int r = open_endpoint(e, role, name, options);

        if (r) {
                memset((void *)e, 0, sluice_priv_handle_bytes(role));
                sluice_priv_handle_disable(e, role, -EINVAL);
        }
        sluice_priv_leave(&entry);
        return r;
}

static int endpoint_close(struct sluice_priv_endpoint *e)
{
        struct sluice_priv_queue *q = e->queue;
        struct sluice_priv_entry entry;

        if (!q)
                return e->err ? e->err : -EINVAL;
        entry = sluice_priv_enter();
        if (q->role == SLUICE_PRIV_ROLE_PRODUCER)
                sluice_producer_detach(sluice_priv_producer_of(q));
        else
                sluice_consumer_detach(sluice_priv_consumer_of(q));
        e->queue = NULL;
        e->sleep = NULL;
        sluice_priv_wake_awaiting(q);
        if (q->named)
                release_role(q);
        queue_free(q);
        sluice_priv_leave(&entry);
        return 0;
}

/* ---- A handle over the caller's own memory ------------------------ */

/* The state says how this endpoint wakes, from now on; and who awaits it need not
 * look again and again. */
static void announce(struct sluice_priv_queue *q)
{
        const uint64_t state = sluice_priv_load_relaxed(&q->own_doorbell->state);

        /* STATE:store */
        sluice_priv_store_release(&q->own_doorbell->state,
                                  (state & ~SLUICE_LAYOUT_MUTE) | own_state(q));
        sluice_priv_wake_awaiting(q);
}

static int enable_sleep(struct sluice_priv_endpoint *e, int role,
                        const struct sluice_options *options)
{
        struct sluice_priv_queue *q;
        struct sluice_options o;
        const int r = sluice_priv_options_read(&o, options);

        if (r)
                return r;
        if (o.wake != SLUICE_WAKE_FUTEX)
                return -EOPNOTSUPP;
        q = queue_new(e, role, &o);
        if (!q)
                return -ENOMEM;
        connect_queue(q);
        announce(q);
        return 0;
}

static int endpoint_enable_sleep(struct sluice_priv_endpoint *e, int role, bool attached,
                                 const struct sluice_options *options)
{
        struct sluice_priv_entry entry;
        int r;

        if (e->err)
                return e->err;
        if (e->queue || !attached)
                return -EINVAL;
        entry = sluice_priv_enter();
        r = enable_sleep(e, role, options);
        sluice_priv_leave(&entry);
        return r;
}

/* ---- The public calls --------------------------------------------- */

/* Inline code and library agree on what a handle is. */
static bool is_known(size_t size, unsigned abi, int role)
{
        return abi == SLUICE_ABI && size == sluice_priv_handle_bytes(role);
}

int sluice_priv_producer_open(struct sluice_producer *p, size_t size, unsigned abi,
                              const char *name, const struct sluice_options *options)
{
        if (!is_known(size, abi, SLUICE_PRIV_ROLE_PRODUCER))
                return -EPROTONOSUPPORT;
        return endpoint_open(&p->base, SLUICE_PRIV_ROLE_PRODUCER, name, options);
}

int sluice_priv_consumer_open(struct sluice_consumer *c, size_t size, unsigned abi,
                              const char *name, const struct sluice_options *options)
{
        if (!is_known(size, abi, SLUICE_PRIV_ROLE_CONSUMER))
                return -EPROTONOSUPPORT;
        return endpoint_open(&c->base, SLUICE_PRIV_ROLE_CONSUMER, name, options);
}

int sluice_producer_close(struct sluice_producer *p)
{
        return endpoint_close(&p->base);
}

int sluice_consumer_close(struct sluice_consumer *c)
{
        return endpoint_close(&c->base);
}

int sluice_priv_producer_enable_sleep(struct sluice_producer *p, size_t size, unsigned abi,
                                      const struct sluice_options *options)
{
        if (!is_known(size, abi, SLUICE_PRIV_ROLE_PRODUCER))
                return -EPROTONOSUPPORT;
        return endpoint_enable_sleep(&p->base, SLUICE_PRIV_ROLE_PRODUCER, p->own != NULL, options);
}

int sluice_priv_consumer_enable_sleep(struct sluice_consumer *c, size_t size, unsigned abi,
                                      const struct sluice_options *options)
{
        if (!is_known(size, abi, SLUICE_PRIV_ROLE_CONSUMER))
                return -EPROTONOSUPPORT;
        return endpoint_enable_sleep(&c->base, SLUICE_PRIV_ROLE_CONSUMER, c->own != NULL, options);
}
