/* SPDX-License-Identifier: MIT */
/*
 * A group whose members come and go in traffic, by threads, which is what a
 * race detector can see.
 *
 * Churn: producers write to rings that two threads add and remove as fast as
 * they can, while a slow reader serves and an observer walks the list. A ring is
 * unmapped as soon as the group has forgotten it, so that whoever touches it
 * later dies; messages are numbered, so that none is lost, doubled, or handed
 * over after that.
 *
 * Churn, shared: the same with several serving threads, which come and go, too.
 * Each hands over a few messages and leaves. What a member's handler knows is
 * plain memory: so a race detector sees whether a member passes from one thread to the
 * next properly, and so does the count. Later members have priorities.
 *
 * Parking: each message is sent when the group has just parked, or is about to.
 * A wake-up that is lost is not made good for 30 seconds. Also with two serving
 * threads, and with a ring, whose producer wakes by futex.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "sluice/group.h"
#include "traffic.h"

enum { SLOTS = 1024, PRODUCERS = 4, UPDATERS = 2, SERVERS = 3, CAPACITY = 4096 };
enum { CHANGES = 200000, ROUNDS = 100000 };

#define NEVER_NS INT64_C(3000000000)

/* Of a ring: who may touch it. */
enum { EMPTY, LIVE, LEAVING, FORGOTTEN };

struct slot {
        _Atomic int state;
        _Atomic int taken; /* by an updater */
        void *mem;
        size_t bytes;
        struct sluice_member *m;
        bool attached; /* from here on the producer thread's */
        struct sluice_producer p;
        uint64_t sent;
        uint64_t handed; /* the serving thread's, then read when it is forgotten */
        _Atomic int handlers;
};

struct churn {
        struct sluice_group *g;
        struct slot *slots;
        uint64_t changes, seed;
        bool shared;
        _Atomic int stop, updating, updaters, producers, servers;
        _Atomic uint64_t handed, changed, failures;
};

static void fail(struct churn *c, const char *what, uint64_t found, uint64_t expected)
{
        traffic_differs(atomic_fetch_add(&c->failures, 1), what, found, expected);
}

static void nap(int64_t ns)
{
        const struct timespec t = {0, (long)ns};

        nanosleep(&t, NULL);
}

/* ---- Updaters ----------------------------------------------------- */

static void add_one(struct churn *c, struct slot *s)
{
        const struct sluice_geometry g = {CAPACITY, 64, 0, 0, 0, 0};

        s->bytes = (sluice_ring_bytes(&g) + 4095) & ~(size_t)4095;
        s->mem = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        s->sent = s->handed = 0;
        /* The handler may be told of it before add returns. */
        if (s->mem == MAP_FAILED || sluice_ring_format(s->mem, s->bytes, &g) != 0 ||
            sluice_group_add_ring(c->g, s->mem, s->bytes, s, &s->m) != 0)
                fail(c, "add", 1, 0);
        atomic_store(&s->state, LIVE);
}

static void change_one(struct churn *c, struct slot *s)
{
        int r;

        if (atomic_exchange(&s->taken, 1))
                return;
        switch (atomic_load(&s->state)) {
        case EMPTY:
                add_one(c, s);
                atomic_fetch_add(&c->changed, 1);
                break;
        case LIVE:
                atomic_store(&s->state, LEAVING);
                r = sluice_group_remove(c->g, s->m);
                if (r)
                        fail(c, "remove", (uint64_t)-r, 0);
                atomic_fetch_add(&c->changed, 1);
                break;
        default: /* on its way */
                break;
        }
        atomic_store(&s->taken, 0);
}

static void *update(void *ctx)
{
        struct churn *c = ctx;
        uint64_t random = c->seed + (uint64_t)atomic_fetch_add(&c->updaters, 1);

        while (atomic_load(&c->changed) < c->changes)
                change_one(c, &c->slots[traffic_random(&random) % SLOTS]);
        atomic_fetch_sub(&c->updating, 1);
        return NULL;
}

/* In a thread of the group's. */
static void forget(void *user)
{
        struct slot *s = user;

        atomic_store(&s->state, FORGOTTEN);
}

/* ---- Producers and an observer ------------------------------------ */

static void produce(struct churn *c, struct slot *s)
{
        if (!s->attached && sluice_producer_attach(&s->p, s->mem, s->bytes) != 0)
                fail(c, "attach", 1, 0);
        s->attached = true;
        if (sluice_send(&s->p, &s->sent, sizeof s->sent, SLUICE_NOW) == 0)
                s->sent++;
}

/* Nothing that was released was not handed over, and the other way round. */
static void settle(struct churn *c, struct slot *s)
{
        struct sluice_consumer successor;

        if (s->attached)
                sluice_producer_detach(&s->p);
        s->attached = false;
        if (sluice_consumer_attach(&successor, s->mem, s->bytes) != 0)
                fail(c, "successor", 1, 0);
        if (sluice_consumer_messages(&successor) != s->handed)
                fail(c, "released", sluice_consumer_messages(&successor), s->handed);
        munmap(s->mem, s->bytes);
        atomic_store(&s->state, EMPTY);
}

static void *produce_all(void *ctx)
{
        struct churn *c = ctx;
        const int first = atomic_fetch_add(&c->producers, 1);

        while (!atomic_load(&c->stop)) {
                for (int i = first; i < SLOTS; i += PRODUCERS) {
                        struct slot *s = &c->slots[i];
                        const int state = atomic_load(&s->state);

                        if (state == LIVE || state == LEAVING)
                                produce(c, s);
                        else if (state == FORGOTTEN)
                                settle(c, s);
                }
                sched_yield();
        }
        return NULL;
}

static int look_at(void *ctx, const struct sluice_member *m, const struct sluice_member_stat *st)
{
        struct churn *c = ctx;

        if (*sluice_member_name(m) != '\0' || st->messages > st->published)
                fail(c, "observed", st->messages, st->published);
        return 0;
}

static void *observe(void *ctx)
{
        struct churn *c = ctx;

        while (!atomic_load(&c->stop)) {
                if (sluice_group_each(c->g, look_at, c) < 0)
                        fail(c, "each", 1, 0);
                nap(100000);
        }
        return NULL;
}

/* ---- The serving thread ------------------------------------------- */

static int take(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        struct churn *c = ctx;
        struct slot *s = sluice_member_user(m);
        const int state = atomic_load(&s->state);
        uint64_t number;

        if (state == FORGOTTEN)
                fail(c, "handed over after it was forgotten: state", FORGOTTEN, LIVE);
        if (event == SLUICE_JOINED && c->shared && atomic_load(&c->changed) > c->changes / 2 &&
            sluice_member_set_priority(m, (unsigned)(s - c->slots) % 3) != 0)
                fail(c, "priority", 1, 0);
        if (event != SLUICE_MESSAGE)
                return 0;
        if (atomic_fetch_add_explicit(&s->handlers, 1, memory_order_relaxed) != 0)
                fail(c, "handlers of one member", 2, 1);
        memcpy(&number, message->data, sizeof number);
        if (number != s->handed)
                fail(c, "message", number, s->handed);
        s->handed++;
        if (atomic_fetch_add_explicit(&c->handed, 1, memory_order_relaxed) % 1024 == 0)
                nap(50000); /* in a section, for a while */
        atomic_fetch_sub_explicit(&s->handlers, 1, memory_order_relaxed);
        return 0;
}

static void serve_alone(struct churn *c)
{
        while (atomic_load(&c->updating) > 0)
                if (sluice_group_serve(c->g, take, c, 100000, sluice_after(1000000)) < 0)
                        fail(c, "serve", 1, 0);
}

static void *serve_some(void *ctx)
{
        struct churn *c = ctx;
        uint64_t random = c->seed + 1000 + (uint64_t)atomic_fetch_add(&c->servers, 1);

        for (int i = 0; i < 100 && atomic_load(&c->updating) > 0; i++) {
                const size_t most = traffic_random(&random) % 1000;
                const sluice_deadline until = most == 0 ? SLUICE_NOW : sluice_after(1000000);

                if (sluice_group_serve_shared(c->g, take, c, most + 1, until) < 0)
                        fail(c, "serve_shared", 1, 0);
        }
        return NULL;
}

static void serve_shared(struct churn *c)
{
        pthread_t thread[SERVERS];

        for (int i = 0; i < SERVERS; i++)
                pthread_create(&thread[i], NULL, serve_some, c);
        for (int i = 0; atomic_load(&c->updating) > 0; i = (i + 1) % SERVERS) {
                pthread_join(thread[i], NULL);
                pthread_create(&thread[i], NULL, serve_some, c);
        }
        for (int i = 0; i < SERVERS; i++)
                pthread_join(thread[i], NULL);
}

static int churn(uint64_t seed, bool shared)
{
        const struct sluice_group_options o = {.size = sizeof o, .batch = 4, .forget = forget};
        struct churn c = {.changes = traffic_scale(shared ? CHANGES / 2 : CHANGES),
                          .seed = seed,
                          .shared = shared,
                          .updating = UPDATERS};
        pthread_t updaters[UPDATERS], others[PRODUCERS + 1];

        c.slots = calloc(SLOTS, sizeof *c.slots);
        if (!c.slots || sluice_group_create(&c.g, &o) != 0)
                return 1;
        for (int i = 0; i < PRODUCERS; i++)
                pthread_create(&others[i], NULL, produce_all, &c);
        pthread_create(&others[PRODUCERS], NULL, observe, &c);
        for (int i = 0; i < UPDATERS; i++)
                pthread_create(&updaters[i], NULL, update, &c);
        if (shared)
                serve_shared(&c);
        else
                serve_alone(&c);
        for (int i = 0; i < UPDATERS; i++)
                pthread_join(updaters[i], NULL);
        atomic_store(&c.stop, 1);
        for (int i = 0; i <= PRODUCERS; i++)
                pthread_join(others[i], NULL);
        sluice_group_destroy(c.g);
        for (int i = 0; i < SLOTS; i++)
                if (atomic_load(&c.slots[i].state) != EMPTY)
                        settle(&c, &c.slots[i]);
        free(c.slots);
        printf("churn%s: %llu changes, %llu messages\n", shared ? ", shared" : "",
               (unsigned long long)atomic_load(&c.changed),
               (unsigned long long)atomic_load(&c.handed));
        return atomic_load(&c.failures) != 0 || atomic_load(&c.handed) == 0;
}

/* ---- Parking ------------------------------------------------------ */

/* QUEUE: named, one serving thread. SHARED: two. RING: no pipe; its producer may sleep. */
enum shape { QUEUE, SHARED, RING };

struct parking {
        struct sluice_group *g;
        enum shape shape;
        void *mem;
        size_t bytes;
        uint64_t rounds, seed;
        _Atomic uint64_t handed;
        _Atomic int failed;
};

static int count(void *ctx, struct sluice_member *m, enum sluice_event event,
                 const struct sluice_message *message)
{
        struct parking *p = ctx;

        (void)m;
        (void)message;
        if (event == SLUICE_MESSAGE)
                atomic_fetch_add(&p->handed, 1);
        return 0;
}

static int open_producer(const struct parking *p, struct sluice_producer *producer)
{
        int r;

        if (p->shape != RING)
                return sluice_producer_open(producer, "stress-group", NULL);
        r = sluice_producer_attach(producer, p->mem, p->bytes);
        return r ? r : sluice_producer_enable_sleep(producer, NULL);
}

/* Each message when the last one was handed over, after a pause of any length
 * between nothing and what it takes to park. */
static void *send_all(void *ctx)
{
        struct parking *p = ctx;
        struct sluice_producer producer;
        uint64_t random = p->seed;

        if (open_producer(p, &producer) != 0)
                p->failed = 1;
        for (uint64_t i = 0; i < p->rounds && !p->failed; i++) {
                const int64_t sent = sluice_now_ns();
                const uint64_t pauses = traffic_random(&random) % 512;

                if (sluice_send(&producer, &i, sizeof i, SLUICE_NOW) != 0)
                        p->failed = 1;
                while (atomic_load(&p->handed) == i && !p->failed)
                        if (sluice_now_ns() - sent > NEVER_NS) {
                                fprintf(stderr, "parking: message %llu woke nobody\n",
                                        (unsigned long long)i);
                                p->failed = 1;
                        }
                for (uint64_t k = 0; k < pauses; k++)
                        atomic_signal_fence(memory_order_seq_cst);
        }
        sluice_producer_close(&producer);
        sluice_group_interrupt(p->g);
        return NULL;
}

static void *park_shared(void *ctx)
{
        struct parking *p = ctx;
        const ssize_t r = sluice_group_serve_shared(p->g, count, p, SIZE_MAX, SLUICE_FOREVER);

        if (r != -ECANCELED)
                p->failed = 1;
        return NULL;
}

static void park_alone(struct parking *p)
{
        ssize_t r;

        do
                r = sluice_group_serve(p->g, count, p, SIZE_MAX, SLUICE_FOREVER);
        while (r > 0);
        if (r != -ECANCELED)
                p->failed = 1;
}

/* One member: a named queue, or a ring whose producer may sleep. 0 or -errno. */
static int park_one(struct parking *p)
{
        const struct sluice_options create = {
                .size = sizeof create, .flags = SLUICE_CREATE, .capacity = CAPACITY};
        const struct sluice_geometry g = {CAPACITY, 64, 0, 0, 0, 0};
        int r;

        if (p->shape != RING)
                return sluice_group_add(p->g, "stress-group", &create, NULL, NULL);
        p->bytes = sluice_ring_bytes(&g);
        p->mem = aligned_alloc(4096, (p->bytes + 4095) & ~(size_t)4095);
        r = p->mem ? sluice_ring_format(p->mem, p->bytes, &g) : -ENOMEM;
        return r ? r : sluice_group_add_ring(p->g, p->mem, p->bytes, NULL, NULL);
}

static int parking(uint64_t seed, enum shape shape)
{
        static const char *const names[] = {"", ", shared", ", a ring"};
        const struct sluice_group_options o = {.size = sizeof o,
                                               .hot_ns = SLUICE_HOT_NONE,
                                               .spin_ns = SLUICE_SPIN_NONE,
                                               .slice_ns = INT64_C(30000000000)};
        struct parking p = {.rounds = traffic_scale(shape == QUEUE ? ROUNDS : ROUNDS / 2),
                            .seed = seed,
                            .shape = shape};
        pthread_t thread, other;

        if (sluice_group_create(&p.g, &o) != 0 || park_one(&p) != 0)
                return 1;
        if (shape == SHARED)
                pthread_create(&other, NULL, park_shared, &p);
        pthread_create(&thread, NULL, send_all, &p);
        if (shape == SHARED) {
                park_shared(&p);
                pthread_join(other, NULL);
        } else {
                park_alone(&p);
        }
        pthread_join(thread, NULL);
        sluice_group_destroy(p.g);
        if (shape != RING)
                sluice_remove("stress-group");
        free(p.mem);
        printf("parking%s: %llu messages\n", names[shape],
               (unsigned long long)atomic_load(&p.handed));
        return p.failed || atomic_load(&p.handed) != p.rounds;
}

int main(int argc, char **argv)
{
        uint64_t seed = traffic_seed(argc, argv);
        int failed = 0;

        for (int shared = 0; shared < 2; shared++)
                failed += churn(traffic_random(&seed), shared);
        for (enum shape shape = QUEUE; shape <= RING; shape++)
                failed += parking(traffic_random(&seed), shape);
        printf("%d passed, %d failed\n", 5 - failed, failed);
        return failed != 0;
}
