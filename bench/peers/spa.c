/* SPDX-License-Identifier: MIT */
/* PipeWire's ring of bytes: two indices side by side, as its header has them. */
#include "rings.h"

#if __has_include(<spa/utils/ringbuffer.h>)
#include <spa/utils/ringbuffer.h>

struct rig {
        MEASURE_APART struct spa_ringbuffer ring;
        MEASURE_APART unsigned char bytes[BENCH_RING_BYTES];
};

enum { SIZE = BENCH_RING_BYTES, MASK = SIZE - 1 };

MEASURE_INLINE int push(void *rig, const void *msg, size_t len)
{
        struct rig *r = rig;
        uint32_t index;
        const int32_t used = spa_ringbuffer_get_write_index(&r->ring, &index);

        if ((size_t)(SIZE - used) < len)
                return 0;
        spa_ringbuffer_write_data(&r->ring, r->bytes, SIZE, index & MASK, msg, (uint32_t)len);
        spa_ringbuffer_write_update(&r->ring, (int32_t)(index + (uint32_t)len));
        return 1;
}

MEASURE_INLINE int pop(void *rig, size_t max, int mix, void *msg)
{
        struct rig *r = rig;
        uint32_t index, len = (uint32_t)max;
        const int32_t used = spa_ringbuffer_get_read_index(&r->ring, &index);

        if (used < (mix ? 8 : (int32_t)max))
                return 0;
        if (mix) {
                uint64_t prefix;

                spa_ringbuffer_read_data(&r->ring, r->bytes, SIZE, index & MASK, &prefix, 8);
                len = (uint32_t)prefix + 8;
        }
        spa_ringbuffer_read_data(&r->ring, r->bytes, SIZE, index & MASK, msg, len);
        spa_ringbuffer_read_update(&r->ring, (int32_t)(index + len));
        return 1;
}

#define PEER                             spa
#define PEER_NAME                        "spa_ringbuffer"
#define PEER_OPEN(MAX, MIX)              bench_shared(sizeof(struct rig))
#define PEER_CLOSE(r, MAX, MIX)          bench_unshare(r, sizeof(struct rig))
#define PEER_PUSH(r, MAX, MIX, msg, len) push(r, msg, len)
#define PEER_POP(r, MAX, MIX, msg)       pop(r, MAX, MIX, msg)
#include "loops.h"
#else
const struct bench_peer bench_peer_spa = {"spa_ringbuffer", NULL, 0};
#endif
