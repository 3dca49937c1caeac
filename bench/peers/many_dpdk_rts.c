/* SPDX-License-Identifier: MIT */
/* The mode that is recommended where producers share processors. */
#define MANY      many_dpdk_rts
#define MANY_NAME "rte_ring MP/SC, RTS"
#define MANY_SYNC RTE_RING_SYNC_MT_RTS
#define MANY_PUSH(q, k, m) \
        ((void)(k),        \
         rte_ring_mp_rts_enqueue_bulk_elem((struct rte_ring *)(q), m, MANY_LEN, 1, NULL) == 1)
#include "many_dpdk.h"
