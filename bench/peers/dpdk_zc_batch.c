/* SPDX-License-Identifier: MIT */
/* rte_ring in place: slots of a whole batch asked for, and shown, at once. */
#include "dpdk_common.h"

#ifdef HAVE_DPDK

/* One side's slots in hand: in one piece, or in two at the ring's end. */
struct hand {
        struct rte_ring_zc_data z;
        unsigned count, used;
};

struct rig {
        MEASURE_APART struct hand p;
        MEASURE_APART struct hand c;
        MEASURE_APART struct rte_ring *ring;
};

static void *rig_open(size_t max)
{
        struct rig *r = bench_shared(sizeof *r);

        r->ring = dpdk_open(max);
        return r;
}

static void rig_close(void *rig, size_t max)
{
        struct rig *r = rig;

        dpdk_close(r->ring, max);
        bench_unshare(r, sizeof *r);
}

MEASURE_INLINE void *slot(const struct hand *h, size_t max)
{
        return h->used < h->z.n1 ? (unsigned char *)h->z.ptr1 + h->used * max
                                 : (unsigned char *)h->z.ptr2 + (h->used - h->z.n1) * max;
}

MEASURE_INLINE void *place(void *rig, size_t max, size_t batch)
{
        struct rig *r = rig;
        struct hand *h = &r->p;

        if (h->count == 0)
                h->count = rte_ring_enqueue_zc_burst_elem_start(r->ring, (unsigned)max,
                                                                (unsigned)batch, &h->z, NULL);
        return h->count ? slot(h, max) : NULL;
}

MEASURE_INLINE void flush(void *rig)
{
        struct rig *r = rig;

        rte_ring_enqueue_zc_finish(r->ring, r->p.used);
        r->p.count = r->p.used = 0;
}

MEASURE_INLINE void done(void *rig)
{
        struct rig *r = rig;

        if (++r->p.used == r->p.count)
                flush(rig);
}

MEASURE_INLINE const void *look(void *rig, size_t max, size_t batch)
{
        struct rig *r = rig;
        struct hand *h = &r->c;

        if (h->count == 0)
                h->count = rte_ring_dequeue_zc_burst_elem_start(r->ring, (unsigned)max,
                                                                (unsigned)batch, &h->z, NULL);
        return h->count ? slot(h, max) : NULL;
}

MEASURE_INLINE void seen(void *rig)
{
        struct rig *r = rig;

        if (++r->c.used < r->c.count)
                return;
        rte_ring_dequeue_zc_finish(r->ring, r->c.used);
        r->c.count = r->c.used = 0;
}

#define PEER                           dpdk_zc_batch
#define PEER_NAME                      "rte_ring in place, batches"
#define PEER_STREAM_ONLY               1
#define PEER_OPEN(MAX, MIX)            rig_open(MAX)
#define PEER_CLOSE(r, MAX, MIX)        rig_close(r, MAX)
#define PEER_RESERVE(r, MAX, MIX, len) place(r, MAX, batch)
#define PEER_COMMIT(r, MAX, MIX, len)  done(r)
#define PEER_FLUSH(r)                  flush(r)
#define PEER_PEEK(r, MAX, MIX, len)    look(r, MAX, batch)
#define PEER_RELEASE(r, MAX, MIX, len) seen(r)
#define PEER_FIXED                     1
#include "loops.h"
#else
const struct bench_peer bench_peer_dpdk_zc_batch = {"rte_ring in place, batches", NULL, 0};
#endif
