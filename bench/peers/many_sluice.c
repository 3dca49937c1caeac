/* SPDX-License-Identifier: MIT */
/*
 * A ring for each producer, read by a group, message by message or a run at a
 * time, or by a loop over all rings: what one writes who has no group. Written and
 * read in place.
 */
#define _GNU_SOURCE
#include "many.h"

#include <stdlib.h>
#include <string.h>

#include "sluice/group.h"

enum { VISIT = 64 }; /* messages of a ring in a row, as the group's default */

static const char *const names[] = {"sluice group", "sluice, loop over rings"};

static void *alloc(size_t bytes)
{
        void *const mem = aligned_alloc(128, (bytes + 127) & ~(size_t)127);

        if (!mem)
                bench_die("no memory");
        return memset(mem, 0, bytes);
}

static void add_ring(struct many_rings *r, unsigned i)
{
        unsigned char *const mem = r->mem + r->each * i;
        int bad = sluice_producer_attach(&r->producers[i], mem, r->each);

        bad |= r->group ? sluice_group_add_ring(r->group, mem, r->each, NULL, NULL)
                        : sluice_consumer_attach(&r->consumers[i], mem, r->each);
        if (bad)
                bench_die("a ring cannot be attached: %s", sluice_strerror(bad));
}

static struct many_rings *rings_new(unsigned rings, size_t capacity, bool lasting)
{
        const struct sluice_geometry g = {.capacity = capacity};
        struct many_rings *const r = alloc(sizeof *r);

        r->each = (sluice_ring_bytes(&g) + 4095) & ~(size_t)4095;
        r->producers = alloc(rings * sizeof *r->producers);
        r->consumers = alloc(rings * sizeof *r->consumers);
        bench_trial_memory(!lasting);
        r->mem = bench_shared(r->each * rings);
        bench_trial_memory(false);
        for (unsigned i = 0; i < rings; i++)
                if (sluice_ring_format(r->mem + r->each * i, r->each, &g) != 0)
                        bench_die("a ring cannot be formatted");
        r->rings = r->busy = rings;
        return r;
}

struct many_rings *many_rings_open(unsigned rings, size_t capacity, enum many_reader reader,
                                   bool lasting)
{
        struct many_rings *const r = rings_new(rings, capacity, lasting);

        r->who = names[reader];
        if (reader == MANY_GROUP && sluice_group_create(&r->group, NULL) != 0)
                bench_die("no group");
        for (unsigned i = 0; i < rings; i++)
                add_ring(r, i);
        return r;
}

void many_rings_close(struct many_rings *r)
{
        if (r->group)
                (void)sluice_group_destroy(r->group);
        bench_unshare(r->mem, r->each * r->rings);
        free(r->producers);
        free(r->consumers);
        free(r);
}

/* ---- Sending ------------------------------------------------------ */

static void send_one(struct many_rings *r, unsigned i, uint64_t number, const struct bench_side *s)
{
        void *to;

        while (sluice_reserve(&r->producers[i], MANY_LEN, &to, SLUICE_NOW) != 0)
                many_wait(s);
        many_fill(to, i, number);
        (void)sluice_commit(&r->producers[i], MANY_LEN);
}

void many_put_in_turn(struct bench_side *s)
{
        struct many_rings *const r = s->a;
        const unsigned step = r->rings / r->busy;
        unsigned i = 0;

        for (uint64_t n = 0; n < s->n; n++) {
                send_one(r, i, r->sent[i]++, s);
                i = i + step < r->rings ? i + step : 0;
        }
}

MEASURE_NOINLINE void many_put(struct bench_side *s)
{
        struct many_rings *const r = s->a;

        for (uint64_t n = 0; n < s->n; n++)
                send_one(r, s->number, n, s);
}

/* ---- Receiving ---------------------------------------------------- */

static int take(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        struct many_rings *const r = ctx;

        (void)m;
        if (event == SLUICE_MESSAGE)
                many_check(&r->seen, message->data, r->who);
        return 0;
}

static int take_run(void *ctx, struct sluice_member *m, enum sluice_event event,
                    const struct sluice_message *message)
{
        struct many_rings *const r = ctx;
        struct sluice_message next;

        if (event != SLUICE_MESSAGE)
                return 0;
        many_check(&r->seen, message->data, r->who);
        while (sluice_member_next(m, &next) == 0)
                many_check(&r->seen, next.data, r->who);
        return 0;
}

static void serve(struct bench_side *s, sluice_group_handler *fn)
{
        struct many_rings *const r = s->a;

        for (uint64_t n = 0; n < s->n;) {
                const ssize_t more = sluice_group_serve(r->group, fn, r, s->n - n, SLUICE_FOREVER);

                if (more < 0)
                        bench_die("serve: %s", sluice_strerror(more));
                n += (uint64_t)more;
        }
}

static int take_one(void *ctx, const struct sluice_message *m)
{
        struct many_rings *const r = ctx;

        many_check(&r->seen, m->data, r->who);
        return 0;
}

static void loop(struct bench_side *s)
{
        struct many_rings *const r = s->a;

        for (uint64_t n = 0; n < s->n;) {
                const uint64_t before = n;

                for (unsigned i = 0; i < r->rings; i++) {
                        const ssize_t more = sluice_drain(&r->consumers[i], take_one, r, VISIT);

                        if (more < 0)
                                bench_die("drain: %s", sluice_strerror(more));
                        n += (uint64_t)more;
                }
                if (n == before)
                        bench_relax();
        }
}

void many_get(struct bench_side *s)
{
        const struct many_rings *const r = s->a;

        if (r->group)
                serve(s, take);
        else
                loop(s);
}

static MEASURE_NOINLINE void get_runs(struct bench_side *s)
{
        serve(s, take_run);
}

void many_settle(struct many_rings *r, double ns)
{
        const uint64_t lap = r->each / MANY_LEN * r->busy;
        const double end = bench_now() + ns;

        do {
                (void)bench_threads(many_get, many_put_in_turn, r, NULL, lap);
        } while (bench_now() < end);
}

/* ---- As contenders ------------------------------------------------ */

struct many_rings *many_rings_settled(unsigned producers, enum many_reader reader)
{
        struct many_rings *const r =
                many_rings_open(producers, BENCH_RING_BYTES / producers, reader, false);

        many_settle(r, 0);
        memset(&r->seen, 0, sizeof r->seen);
        memset(r->sent, 0, sizeof r->sent);
        return r;
}

static void *open_group(unsigned producers)
{
        return many_rings_settled(producers, MANY_GROUP);
}

static void *open_loop(unsigned producers)
{
        return many_rings_settled(producers, MANY_LOOP);
}

static void close_rings(void *r)
{
        many_rings_close(r);
}

const struct many_peer many_group = {"sluice group", open_group, close_rings, many_put, many_get};
const struct many_peer many_runs = {"sluice group, runs", open_group, close_rings, many_put,
                                    get_runs};
const struct many_peer many_loop = {"sluice, loop over rings", open_loop, close_rings, many_put,
                                    many_get};
