/* SPDX-License-Identifier: MIT */
/*
 * Looks at queues that are used as fast as they can be. Lengths follow
 * from a message's number, so the position of each message follows from
 * its number, too: an observer knows for each count which position
 * belongs to it. Through the public calls, and, where headers lie in the
 * same places in every lap, on the endpoints' own mapping: there a race
 * detector sees all three threads. (Elsewhere it would see an observer
 * load payload of the next lap for a header, which is dropped: OBSERVE.)
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/internal.h"
#include "traffic.h"

#define NAME "watched"

struct setting {
        const char *name;
        struct sluice_options o;
        bool one_thread; /* both endpoints, so that no core is missing */
        bool one_length;
        uint64_t looks;
};

#define OPTIONS(bytes, align, first)                                                       \
        {                                                                                  \
                .size = sizeof(struct sluice_options), .capacity = (bytes),                \
                .record_align = (align), .first_position = (first), .flags = SLUICE_CREATE \
        }

static const struct setting settings[] = {
        {"one length, 64 KiB", OPTIONS(1 << 16, 64, 0), false, true, 100000},
        {"one length, 256 B", OPTIONS(256, 64, 0), false, true, 20000},
        {"all lengths, 64 KiB", OPTIONS(1 << 16, 8, UINT64_C(0xfffffffffff00000)), false, false,
         100000},
        {"all lengths, 1 KiB", OPTIONS(1 << 10, 8, UINT64_C(0xfff00000)), false, false, 20000},
        {"one length, 64 KiB, one thread", OPTIONS(1 << 16, 64, 0), true, true, 100000},
        {"all lengths, 512 B, one thread", OPTIONS(512, 16, 0), true, false, 100000},
};

/* ---- Where each message lies -------------------------------------- */

struct course {
        const struct setting *s;
        uint64_t messages, position;
};

static size_t length_of(const struct setting *s, uint64_t message)
{
        uint64_t random = message;

        return s->one_length ? 56 : traffic_random(&random) % (s->o.capacity / 4);
}

/* The position behind so many messages, not fewer than the last time. */
static uint64_t position_behind(struct course *c, uint64_t messages)
{
        const uint64_t align = c->s->o.record_align;

        for (; c->messages < messages; c->messages++) {
                const uint64_t len = length_of(c->s, c->messages);
                const uint64_t bytes = (len + 8 + align - 1) / align * align;
                const uint64_t rest = c->s->o.capacity - c->position % c->s->o.capacity;

                c->position += bytes > rest ? rest + bytes : bytes;
        }
        return c->position;
}

/* ---- The endpoints ------------------------------------------------ */

static struct {
        const struct setting *s;
        struct sluice_producer p;
        struct sluice_consumer c;
        uint64_t sent;
        _Atomic bool stop;
        _Atomic int failed; /* a negative errno */
} q;

static int send_some(uint64_t *random, sluice_deadline until)
{
        static const unsigned char bytes[1 << 14];
        const uint64_t n = traffic_random(random) % 4 + 1;
        int r = 0;

        for (uint64_t i = 0; i < n && r == 0; i++) {
                const size_t len = length_of(q.s, q.sent);
                void *payload;

                r = sluice_reserve(&q.p, len, &payload, i == 0 ? until : SLUICE_NOW);
                if (r)
                        break;
                memcpy(payload, bytes, len);
                r = sluice_stage(&q.p, len);
                q.sent += r == 0;
        }
        /* Staged ones leave no room: they are published. */
        sluice_publish(&q.p);
        return r == -EAGAIN || r == -EMSGSIZE ? 0 : r;
}

static int recv_some(uint64_t *random, sluice_deadline until)
{
        const uint64_t n = traffic_random(random) % 4 + 1;
        struct sluice_message m;
        int r = sluice_peek(&q.c, &m, until), end = 0;

        if (r)
                return r == -EAGAIN ? 0 : r;
        for (uint64_t i = 0; i < n && (end = sluice_peek(&q.c, &m, SLUICE_NOW)) == 0; i++)
                sluice_advance(&q.c);
        r = sluice_release(&q.c);
        return r == 0 && end == -EPIPE ? end : r; /* it is reported once */
}

static void *sends(void *seed)
{
        uint64_t random = *(uint64_t *)seed;
        int r = 0;

        while (r == 0 && !atomic_load_explicit(&q.stop, memory_order_relaxed))
                r = send_some(&random, sluice_after(INT64_C(60000000000)));
        if (r)
                q.failed = r;
        sluice_producer_close(&q.p);
        return NULL;
}

static void *receives(void *seed)
{
        uint64_t random = *(uint64_t *)seed;
        int r = 0;

        while (r == 0)
                r = recv_some(&random, sluice_after(INT64_C(60000000000)));
        if (r != -EPIPE)
                q.failed = r;
        sluice_consumer_close(&q.c);
        return NULL;
}

static void *does_both(void *seed)
{
        uint64_t random = *(uint64_t *)seed;
        int r = 0;

        while (r == 0 && !atomic_load_explicit(&q.stop, memory_order_relaxed)) {
                r = send_some(&random, SLUICE_NOW);
                r = r ? r : recv_some(&random, SLUICE_NOW);
        }
        if (r)
                q.failed = r;
        sluice_producer_close(&q.p);
        sluice_consumer_close(&q.c);
        return NULL;
}

/* ---- The observer ------------------------------------------------- */

struct watcher {
        struct course producer, consumer;
};

static int is_true(struct watcher *w, const struct sluice_priv_moment *m)
{
        const struct sluice_options *const o = &w->producer.s->o;
        const uint64_t used = m->producer.position - m->consumer.position;
        const uint64_t pending = m->producer.messages - m->consumer.messages;

        if (m->producer.messages >= w->producer.messages &&
            m->consumer.messages >= w->consumer.messages &&
            position_behind(&w->producer, m->producer.messages) == m->producer.position &&
            position_behind(&w->consumer, m->consumer.messages) == m->consumer.position &&
            used <= o->capacity - o->record_align && pending <= used / o->record_align &&
            (pending == 0) == (used == 0))
                return 0;
        fprintf(stderr, "not true: producer %llu at %llu, consumer %llu at %llu\n",
                (unsigned long long)m->producer.messages, (unsigned long long)m->producer.position,
                (unsigned long long)m->consumer.messages, (unsigned long long)m->consumer.position);
        return 1;
}

static int look_by_name(struct watcher *w)
{
        struct sluice_queue_stat st;
        struct sluice_priv_moment m = {0};
        const int r = sluice_stat(NAME, &st);

        if (r) {
                fprintf(stderr, "sluice_stat: %d\n", r);
                return 1;
        }
        m.producer.position = st.producer.position;
        m.producer.messages = st.producer.messages;
        m.consumer.position = st.consumer.position;
        m.consumer.messages = st.consumer.messages;
        return is_true(w, &m) || st.used != st.producer.position - st.consumer.position ||
               st.pending != st.producer.messages - st.consumer.messages || st.high_water < st.used;
}

static int look_at(struct watcher *w, const unsigned char *mem,
                   const struct sluice_priv_shape *shape)
{
        const struct sluice_priv_view v = {(const void *)(mem + shape->consumer),
                                           (const void *)(mem + shape->producer), mem + shape->ring,
                                           shape};
        struct sluice_priv_moment m;
        const int r = sluice_priv_observe(&m, &v);

        if (r)
                fprintf(stderr, "sluice_priv_observe: %d\n", r);
        return r || is_true(w, &m);
}

static int in_order(void *ctx, const struct sluice_message *m)
{
        uint64_t *const last = ctx;
        const bool ok = *last == 0 || (int64_t)(m->position - *last) > 0;

        *last = m->position;
        return ok ? 0 : -EPROTO;
}

static int watch(const struct setting *s)
{
        struct watcher w = {.producer = {s, 0, s->o.first_position},
                            .consumer = {s, 0, s->o.first_position}};
        const unsigned char *const mem = (const unsigned char *)q.p.own - SLUICE_LAYOUT_PRODUCER;
        struct sluice_priv_shape shape;
        int failed = sluice_priv_shape_read(&shape, mem, SLUICE_LAYOUT_RING + s->o.capacity);

        for (uint64_t i = 0; !failed && i < traffic_scale(s->looks); i++) {
                uint64_t last = 0;

                for (int k = 0; s->one_length && k < 4; k++)
                        failed = failed || look_at(&w, mem, &shape);
                failed = failed || look_by_name(&w);
                if (i % 16 == 0 && sluice_dump(NAME, in_order, &last) < 0)
                        failed = 1;
        }
        printf("%-35s %9llu looks at %10llu messages\n", s->name,
               (unsigned long long)((s->one_length ? 5 : 1) * traffic_scale(s->looks)),
               (unsigned long long)w.consumer.messages);
        return failed;
}

static int run(const struct setting *s, uint64_t seed)
{
        uint64_t seeds[2] = {seed + 1, seed + 2};
        pthread_t threads[2];
        int failed, n = 0;

        q.s = s;
        q.sent = 0;
        q.stop = false;
        q.failed = 0;
        if (sluice_producer_open(&q.p, NAME, &s->o) != 0 ||
            sluice_consumer_open(&q.c, NAME, NULL) != 0)
                return 1;
        if (s->one_thread) {
                n += pthread_create(&threads[n], NULL, does_both, &seeds[0]) == 0;
        } else {
                n += pthread_create(&threads[n], NULL, sends, &seeds[0]) == 0;
                n += pthread_create(&threads[n], NULL, receives, &seeds[1]) == 0;
        }
        failed = watch(s) || n != (s->one_thread ? 1 : 2);
        q.stop = true;
        for (int i = 0; i < n; i++)
                pthread_join(threads[i], NULL);
        if (q.failed) {
                fprintf(stderr, "endpoints: %d\n", q.failed);
                failed = 1;
        }
        return sluice_remove(NAME) != 0 || failed;
}

static int run_one(int i, uint64_t seed)
{
        return run(&settings[i], seed);
}

int main(int argc, char **argv)
{
        return traffic_run(argc, argv, sizeof settings / sizeof *settings, run_one);
}
