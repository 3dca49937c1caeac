/* SPDX-License-Identifier: MIT */
#define MANY      many_dpdk
#define MANY_NAME "rte_ring MP/SC"
#define MANY_SYNC RTE_RING_SYNC_MT
#define MANY_PUSH(q, k, m) \
        ((void)(k), rte_ring_mp_enqueue_elem((struct rte_ring *)(q), m, MANY_LEN) == 0)
#include "many_dpdk.h"
