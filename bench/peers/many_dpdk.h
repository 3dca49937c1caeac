/* SPDX-License-Identifier: MIT */
/* DPDK's rte_ring with several producers and one consumer, elements by value. */
#include "dpdk_common.h"
#include "many.h"

#include <string.h>

#ifdef HAVE_DPDK
static void *ring_open(enum rte_ring_sync_type producers)
{
        struct rte_ring *const r = dpdk_open(MANY_LEN);

        r->prod.sync_type = producers;
        if (producers == RTE_RING_SYNC_MT_RTS)
                r->rts_prod.htd_max = r->capacity / 8; /* the default */
        return r;
}

#define MANY_OPEN(n)   ((void)(n), ring_open(MANY_SYNC))
#define MANY_CLOSE(q)  dpdk_close(q, MANY_LEN)
#define MANY_POP(q, m) (rte_ring_sc_dequeue_elem((struct rte_ring *)(q), m, MANY_LEN) == 0)
#include "many_loops.h"
#else
const struct many_peer MANY = {MANY_NAME, NULL, NULL, NULL, NULL};
#endif
