/* SPDX-License-Identifier: MIT */
/* rte_ring in place: its zero-copy calls. */
#include "dpdk_common.h"

#ifdef HAVE_DPDK
MEASURE_INLINE void *place(void *r, size_t max)
{
        struct rte_ring_zc_data z;

        return rte_ring_enqueue_zc_bulk_elem_start(r, (unsigned)max, 1, &z, NULL) ? z.ptr1 : NULL;
}

MEASURE_INLINE const unsigned char *look(void *r, size_t max, int mix, size_t len)
{
        struct rte_ring_zc_data z;
        const unsigned char *slot;

        if (!rte_ring_dequeue_zc_bulk_elem_start(r, (unsigned)max, 1, &z, NULL))
                return NULL;
        slot = z.ptr1;
        if (mix && *(const payload_word *)(const void *)slot != len && len <= BENCH_MIX_MAX)
                bench_corrupt("rte_ring in place", 0);
        return mix ? slot + 8 : slot;
}

/* In the mix the length goes in front of the payload. */
MEASURE_INLINE void *place_mix(void *r, size_t max, int mix, size_t len)
{
        unsigned char *slot = place(r, max);

        if (!slot || !mix)
                return slot;
        *(payload_word *)(void *)slot = len;
        return slot + 8;
}

#define PEER                           dpdk_zc
#define PEER_NAME                      "rte_ring in place"
#define PEER_OPEN(MAX, MIX)            dpdk_open(MAX)
#define PEER_CLOSE(r, MAX, MIX)        dpdk_close(r, MAX)
#define PEER_RESERVE(r, MAX, MIX, len) place_mix(r, MAX, MIX, len)
#define PEER_COMMIT(r, MAX, MIX, len)  rte_ring_enqueue_zc_finish((struct rte_ring *)(r), 1)
#define PEER_PEEK(r, MAX, MIX, len)    look(r, MAX, MIX, len)
#define PEER_RELEASE(r, MAX, MIX, len) rte_ring_dequeue_zc_finish((struct rte_ring *)(r), 1)
#include "loops.h"
#else
const struct bench_peer bench_peer_dpdk_zc = {"rte_ring in place", NULL, 0};
#endif
