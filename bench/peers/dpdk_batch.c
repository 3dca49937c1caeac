/* SPDX-License-Identifier: MIT */
#include "dpdk_common.h"

#ifdef HAVE_DPDK
#define PEER                    dpdk_batch
#define PEER_NAME               "rte_ring, batches of 16"
#define PEER_OPEN(MAX, MIX)     dpdk_open(MAX)
#define PEER_CLOSE(r, MAX, MIX) dpdk_close(r, MAX)
#define PEER_PUSH_N(r, MAX, msgs, count) \
        rte_ring_sp_enqueue_burst_elem((struct rte_ring *)(r), msgs, MAX, (unsigned)(count), NULL)
#define PEER_POP_N(r, MAX, msgs, count) \
        rte_ring_sc_dequeue_burst_elem((struct rte_ring *)(r), msgs, MAX, (unsigned)(count), NULL)
#include "loops.h"
#else
const struct bench_peer bench_peer_dpdk_batch = {"rte_ring, batches of 16", NULL, 0};
#endif
