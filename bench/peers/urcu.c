/* SPDX-License-Identifier: MIT */
/* liburcu's wait-free concurrent queue: a linked list. Its nodes, message
 * included, are an array; they come back in order, so a count of what has been
 * consumed says which are free. */
#include "rings.h"

#if __has_include(<urcu/wfcqueue.h>)
#define _LGPL_SOURCE                1 /* inline, as its fastest users have it */
#define URCU_INLINE_SMALL_FUNCTIONS 1
#include <stdatomic.h>
#include <string.h>
#include <urcu/wfcqueue.h>

struct node {
        struct cds_wfcq_node link;
        unsigned char bytes[];
};

struct rig {
        MEASURE_APART struct __cds_wfcq_head head;
        MEASURE_APART struct cds_wfcq_tail tail;
        MEASURE_APART _Atomic uint64_t consumed;
        MEASURE_APART struct {
                uint64_t count, seen;
        } p;
        MEASURE_APART uint64_t count; /* the consumer's */
        MEASURE_APART uint64_t slots;
        MEASURE_APART unsigned char nodes[];
};

#define NODE(max) (sizeof(struct node) + (max))

static void *rig_open(size_t max)
{
        const uint64_t slots = bench_slots(NODE(max));
        struct rig *r = bench_shared(sizeof *r + slots * NODE(max));

        r->slots = slots;
        __cds_wfcq_init(&r->head, &r->tail);
        return r;
}

static void rig_close(void *r, size_t max)
{
        bench_unshare(r, sizeof(struct rig) + bench_slots(NODE(max)) * NODE(max));
}

MEASURE_INLINE int push(void *rig, size_t max, const void *msg, size_t len)
{
        struct rig *r = rig;
        struct node *node = (void *)(r->nodes + (r->p.count & (r->slots - 1)) * NODE(max));

        if (r->p.count - r->p.seen == r->slots) {
                r->p.seen = atomic_load_explicit(&r->consumed, memory_order_acquire);
                if (r->p.count - r->p.seen == r->slots)
                        return 0;
        }
        memcpy(node->bytes, msg, len);
        cds_wfcq_node_init(&node->link);
        cds_wfcq_enqueue(&r->head, &r->tail, &node->link);
        r->p.count++;
        return 1;
}

MEASURE_INLINE int pop(void *rig, size_t max, int mix, void *msg)
{
        struct rig *r = rig;
        struct cds_wfcq_node *link = __cds_wfcq_dequeue_nonblocking(&r->head, &r->tail);
        const struct node *node = (const void *)link;

        if (!link || link == CDS_WFCQ_WOULDBLOCK)
                return 0;
        memcpy(msg, node->bytes, mix ? *(const payload_word *)(const void *)node->bytes + 8 : max);
        atomic_store_explicit(&r->consumed, ++r->count, memory_order_release);
        return 1;
}

#define PEER                             urcu
#define PEER_NAME                        "urcu wfcqueue"
#define PEER_OPEN(MAX, MIX)              rig_open(MAX)
#define PEER_CLOSE(r, MAX, MIX)          rig_close(r, MAX)
#define PEER_PUSH(r, MAX, MIX, msg, len) push(r, MAX, msg, len)
#define PEER_POP(r, MAX, MIX, msg)       pop(r, MAX, MIX, msg)
#include "loops.h"
#else
const struct bench_peer bench_peer_urcu = {"urcu wfcqueue", NULL, 0};
#endif
