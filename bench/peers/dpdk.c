/* SPDX-License-Identifier: MIT */
#include "dpdk_common.h"

#ifdef HAVE_DPDK
#define PEER                    dpdk
#define PEER_NAME               "rte_ring"
#define PEER_OPEN(MAX, MIX)     dpdk_open(MAX)
#define PEER_CLOSE(r, MAX, MIX) dpdk_close(r, MAX)
#define PEER_PUSH(r, MAX, MIX, msg, len) \
        (rte_ring_sp_enqueue_elem((struct rte_ring *)(r), msg, MAX) == 0)
#define PEER_POP(r, MAX, MIX, msg) (rte_ring_sc_dequeue_elem((struct rte_ring *)(r), msg, MAX) == 0)
#include "loops.h"
#else
const struct bench_peer bench_peer_dpdk = {"rte_ring", NULL, 0};
#endif
