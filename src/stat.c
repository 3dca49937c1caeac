/* SPDX-License-Identifier: MIT */
/*
 * sluice_stat and sluice_dump: observers, which attach read-only, change
 * nothing, and trust nothing in the memory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#include "internal.h"

/* While endpoints attach and close, which takes system calls each time. */
enum { STATE_LOOKS = 1000 };

static const struct sluice_layout_consumer *consumer_of(const struct sluice_priv_segment *s)
{
        return (const void *)((const unsigned char *)s->mem + s->shape.consumer);
}

static const struct sluice_layout_producer *producer_of(const struct sluice_priv_segment *s)
{
        return (const void *)((const unsigned char *)s->mem + s->shape.producer);
}

static const unsigned char *ring_of(const struct sluice_priv_segment *s)
{
        return (const unsigned char *)s->mem + s->shape.ring;
}

/* The role and the state at one moment; else an endpoint that attaches or
 * closes meanwhile would be reported as dead. */
static int state_read(struct sluice_endpoint_stat *e, const struct sluice_layout_doorbell *doorbell,
                      int semid, int role)
{
        for (int i = 0; i < STATE_LOOKS; i++) {
                /* STATE:load, before and after the kernel's answer. UNTRUSTED. */
                const uint64_t state = sluice_priv_load_acquire(&doorbell->state);
                const int held = sluice_priv_role_held(semid, role);

                if (held < 0)
                        return held == -EIDRM ? -ENOENT : held;
                e->held = held;
                e->attaches = state / SLUICE_LAYOUT_EPOCH;
                e->closed = (state & SLUICE_LAYOUT_CLOSED) != 0;
                if (sluice_priv_load_acquire(&doorbell->state) == state) /* STATE:load */
                        return 0;
        }
        return -EAGAIN;
}

static void counters_read(struct sluice_endpoint_stat *e,
                          const struct sluice_layout_doorbell *doorbell,
                          const struct sluice_layout_counters *counters)
{
        e->asleep = (sluice_priv_load_relaxed(&doorbell->parked) & SLUICE_LAYOUT_PARKED) != 0;
        e->stalls = sluice_priv_load_relaxed(&counters->stalls);
        e->parks = sluice_priv_load_relaxed(&counters->parks);
        e->wakes = sluice_priv_load_relaxed(&counters->wakes);
        e->pid = (int64_t)sluice_priv_load_relaxed(&counters->pid);
}

static int observe(struct sluice_priv_moment *m, const struct sluice_priv_segment *s)
{
        const struct sluice_priv_view v = {consumer_of(s), producer_of(s), ring_of(s), &s->shape};

        return sluice_priv_observe(m, &v);
}

void sluice_priv_stat_kernel(struct sluice_queue_stat *st, const struct sluice_priv_segment *s)
{
        st->mode = (mode_t)(s->ds.shm_perm.mode & 0777);
        st->uid = s->ds.shm_perm.uid;
        st->gid = s->ds.shm_perm.gid;
        st->key = s->key;
        st->shmid = s->shmid;
        st->semid = s->semid;
        st->attached = s->ds.shm_nattch;
        st->created_s = (int64_t)s->ds.shm_ctime;
}

static void segment_read(struct sluice_queue_stat *st, const struct sluice_priv_segment *s)
{
        const struct sluice_layout_header *h = s->mem;

        sluice_priv_stat_kernel(st, s);
        memcpy(st->name, h->name, sizeof st->name);
        st->name[sizeof st->name - 1] = '\0'; /* UNTRUSTED */
        st->capacity = s->shape.capacity;
        st->record_align = (uint32_t)s->shape.unit;
        st->payload_align = s->shape.payload_align;
        st->type_id = s->shape.type_id;
        st->type_size = s->shape.type_size;
        st->max_len = s->shape.capacity / 2 - SLUICE_LAYOUT_HEADER_BYTES;
        st->generation = h->generation;
}

static void moment_read(struct sluice_queue_stat *st, const struct sluice_priv_moment *m,
                        const struct sluice_layout_producer *p)
{
        st->producer.position = m->producer.position;
        st->producer.messages = m->producer.messages;
        st->consumer.position = m->consumer.position;
        st->consumer.messages = m->consumer.messages;
        st->used = m->producer.position - m->consumer.position;
        st->pending = m->producer.messages - m->consumer.messages;
        /* The producer looks only when it runs out of room. */
        st->high_water = sluice_priv_load_relaxed(&p->counters.high_water);
        if (st->high_water < st->used)
                st->high_water = st->used;
}

int sluice_priv_stat_read(struct sluice_queue_stat *st, const struct sluice_priv_segment *s)
{
        const struct sluice_layout_producer *const p = producer_of(s);
        const struct sluice_layout_consumer *const c = consumer_of(s);
        struct sluice_priv_moment moment;
        int r;

        memset(st, 0, sizeof *st);
        r = state_read(&st->producer, &p->doorbell, s->semid, SLUICE_PRIV_ROLE_PRODUCER);
        if (r)
                return r;
        r = state_read(&st->consumer, &c->doorbell, s->semid, SLUICE_PRIV_ROLE_CONSUMER);
        if (r)
                return r;
        r = observe(&moment, s);
        if (r)
                return r;
        segment_read(st, s);
        counters_read(&st->producer, &p->doorbell, &p->counters);
        counters_read(&st->consumer, &c->doorbell, &c->counters);
        moment_read(st, &moment, p);
        st->dropped = sluice_priv_load_relaxed(&p->counters.dropped);
        st->torn = sluice_priv_load_relaxed(&c->counters.torn);
        return 0;
}

static int find(struct sluice_priv_segment *s, const char *name)
{
        struct sluice_priv_place place;
        struct sluice_priv_name n;
        int r = sluice_priv_name_parse(&n, name);

        if (r)
                return r;
        r = sluice_priv_place_open(&place, &n);
        if (r)
                return r;
        place.any_owner = true;
        r = sluice_priv_segment_find(s, &place, true);
        sluice_priv_place_close(&place);
        return r;
}

static int stat_by_name(struct sluice_queue_stat *st, const char *name)
{
        struct sluice_priv_segment s;
        int r = find(&s, name);

        if (r)
                return r;
        r = sluice_priv_stat_read(st, &s);
        sluice_priv_segment_unmap(&s);
        return r;
}

/* As much as both structures have; 0 in what only the caller's has. */
static void give_stat(struct sluice_queue_stat *to, size_t size, struct sluice_queue_stat *st)
{
        const size_t common = size < sizeof *st ? size : sizeof *st;

        st->size = common;
        memcpy((void *)to, st, common);
        memset((unsigned char *)to + common, 0, size - common);
}

int sluice_priv_stat(const char *name, struct sluice_queue_stat *st, size_t size)
{
        struct sluice_priv_entry entry;
        struct sluice_queue_stat found;
        int r;

        if (size < SLUICE_PRIV_STAT_LEAST)
                return -EPROTONOSUPPORT;
        entry = sluice_priv_enter();
        r = stat_by_name(&found, name);
        if (r == 0)
                give_stat(st, size, &found);
        sluice_priv_leave(&entry);
        return r;
}

/* ---- Dump --------------------------------------------------------- */

/* Where the oldest message begins by now, if that is behind position. */
static uint64_t overtaken(const struct sluice_priv_segment *s, uint64_t position)
{
        const uint64_t now = /* RELEASE:load */
                sluice_priv_load_acquire(&consumer_of(s)->position) & ~SLUICE_LAYOUT_FLAGS;

        return (int64_t)(now - position) > 0 ? now : position;
}

/* Copies the record at *position to copy and m; end: of what is published.
 * 1: copied, 0: go on at the new *position, -EBADMSG. After a copy *position
 * is further on by as much, so each byte of the ring is copied once at most.
 * OBSERVE: if the word or the bytes were overwritten, the consumer's
 * position, which is read after them, has moved on. */
static int dump_one(const struct sluice_priv_segment *s, uint64_t *position, uint64_t end,
                    unsigned char *copy, struct sluice_message *m)
{
        const uint64_t from = *position, off = from & (s->shape.capacity - 1);
        /* PUBLISH:load, OBSERVE:load. UNTRUSTED. */
        const uint64_t word = sluice_priv_load_acquire(sluice_priv_peer_word(ring_of(s), off));
        struct sluice_priv_found next = {.position = from};

        *position = overtaken(s, from);
        if (*position != from)
                return 0;
        if (sluice_priv_step_over(&next, word, &s->shape) != 0 || next.position - from > end - from)
                return -EBADMSG;
        *position = next.position;
        m->len = (size_t)sluice_priv_header_len(word);
        if (next.messages == 0)
                return 0; /* padding */
        if (m->len > s->shape.capacity / 2 - SLUICE_LAYOUT_HEADER_BYTES)
                return -EBADMSG;
        sluice_priv_copy_out(copy, ring_of(s) + off + SLUICE_LAYOUT_HEADER_BYTES, m->len);
        sluice_priv_fence_full(); /* OBSERVE:fence: plain bytes, before the look at the position */
        if (overtaken(s, from) != from)
                return 0;
        m->data = copy;
        m->tag = (uint32_t)(word >> 32);
        m->kind = sluice_priv_message_kind(word);
        m->position = from;
        return 1;
}

/* Only what was published when we began: a live queue has no end. */
static ssize_t dump(const struct sluice_priv_segment *s, sluice_handler *fn, void *ctx)
{
        struct sluice_priv_moment begin;
        int r = observe(&begin, s);
        uint64_t position = begin.consumer.position;
        unsigned char *copy;
        ssize_t n = 0;

        if (r)
                return r;
        copy = malloc((size_t)s->shape.capacity / 2);
        if (!copy)
                return -ENOMEM;
        while (r == 0 && (int64_t)(begin.producer.position - position) > 0) {
                struct sluice_message m;

                r = dump_one(s, &position, begin.producer.position, copy, &m);
                if (r == 1) {
                        r = fn(ctx, &m);
                        n++;
                }
        }
        free(copy);
        return r ? r : n;
}

ssize_t sluice_dump(const char *name, sluice_handler *fn, void *ctx)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        struct sluice_priv_segment s;
        ssize_t r = find(&s, name);

        if (r == 0) {
                r = dump(&s, fn, ctx);
                sluice_priv_segment_unmap(&s);
        }
        sluice_priv_leave(&entry);
        return r;
}
