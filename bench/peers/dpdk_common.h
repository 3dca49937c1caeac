/* SPDX-License-Identifier: MIT */
/* DPDK's rte_ring with one producer and one consumer, elements by value. The
 * structure is filled in by hand: that needs no EAL. */

#define _GNU_SOURCE
#include "rings.h"

#if __has_include(<rte_ring_peek_zc.h>)

#define ALLOW_EXPERIMENTAL_API 1
#include <sys/types.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <rte_ring_peek_zc.h>
#define HAVE_DPDK 1

static void *dpdk_open(size_t max)
{
        const uint32_t slots = (uint32_t)bench_slots(max);
        struct rte_ring *r = bench_shared(sizeof *r + slots * max);

        r->flags = RING_F_SP_ENQ | RING_F_SC_DEQ;
        r->size = slots;
        r->mask = slots - 1;
        r->capacity = slots - 1;
        r->prod.sync_type = RTE_RING_SYNC_ST;
        r->cons.sync_type = RTE_RING_SYNC_ST;
        return r;
}

static void dpdk_close(void *r, size_t max)
{
        bench_unshare(r, sizeof(struct rte_ring) + bench_slots(max) * max);
}
#endif
