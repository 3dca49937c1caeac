/* SPDX-License-Identifier: MIT */
/*
 * A ring for each producer, read by a group that one thread or two serve with
 * sluice_group_serve_shared. The second one runs where the producers do: it is
 * the last of the crowd.
 */
#define _GNU_SOURCE
#include "many.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/group.h"

struct shared {
        MEASURE_APART struct many_rings *rings;
        const char *who;
        unsigned helpers; /* threads that serve beside the caller */
        /* A member is in one thread at a time, and passes on with what was written. */
        struct {
                MEASURE_APART uint64_t next;
        } member[BENCH_CROWD];
        MEASURE_APART _Atomic unsigned ended; /* members that have had all */
        MEASURE_APART uint64_t helped;        /* messages that a helper has handed over */
};

/* One serving thread's. */
struct server {
        MEASURE_APART struct shared *shared;
        uint64_t each; /* messages of a member */
        uint64_t taken;
};

static int take(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        struct server *const s = ctx;
        struct shared *const all = s->shared;
        const payload_word *const w = (const payload_word *)message->data;

        (void)m;
        if (event != SLUICE_MESSAGE)
                return 0;
        if (w[0] >= all->rings->rings || !payload_good(w + 1, all->member[w[0]].next, MANY_LEN - 8))
                bench_corrupt(all->who, s->taken);
        s->taken++;
        if (++all->member[w[0]].next == s->each &&
            atomic_fetch_add(&all->ended, 1) + 1 == all->rings->rings)
                (void)sluice_group_interrupt(all->rings->group);
        return 0;
}

/* Until all members have had their messages: who begins to wait after the last one
 * finds so when the deadline passes. */
static uint64_t serve(struct shared *all, uint64_t each)
{
        struct server s = {.shared = all, .each = each};

        while (atomic_load(&all->ended) < all->rings->rings) {
                const ssize_t r = sluice_group_serve_shared(all->rings->group, take, &s, SIZE_MAX,
                                                            sluice_after(SLUICE_SECOND / 10));

                if (r < 0 && r != -ECANCELED && r != -ETIMEDOUT)
                        bench_die("serve_shared: %s", sluice_strerror(r));
        }
        return s.taken;
}

static MEASURE_NOINLINE void get(struct bench_side *s)
{
        struct shared *const all = s->a;

        (void)serve(all, s->n / (all->rings->rings + all->helpers));
}

static MEASURE_NOINLINE void put_or_help(struct bench_side *s)
{
        struct shared *const all = s->a;
        struct bench_side producer = *s;

        producer.a = all->rings;
        if (s->number < all->rings->rings)
                many_put(&producer);
        else
                all->helped = serve(all, s->n);
}

static void *open_shared(unsigned producers, unsigned helpers, const char *who)
{
        struct shared *const all = aligned_alloc(128, sizeof *all);

        if (!all)
                bench_die("no memory");
        memset(all, 0, sizeof *all);
        all->rings = many_rings_settled(producers, MANY_GROUP);
        all->who = who;
        all->helpers = helpers;
        return all;
}

static void *open_alone(unsigned producers)
{
        return open_shared(producers, 0, many_shared.name);
}

static void *open_helped(unsigned producers)
{
        return open_shared(producers, 1, many_shared_by_two.name);
}

static void close_shared(void *q)
{
        struct shared *const all = q;

        many_rings_close(all->rings);
        free(all);
}

uint64_t many_helped(const void *q)
{
        return ((const struct shared *)q)->helped;
}

const struct many_peer many_shared = {"sluice group, shared, 1 thread", open_alone, close_shared,
                                      put_or_help, get};
const struct many_peer many_shared_by_two = {"sluice group, shared, 2 threads", open_helped,
                                             close_shared, put_or_help, get};
