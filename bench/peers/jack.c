/* SPDX-License-Identifier: MIT */
/* JACK's ring of bytes, from its shared library as its users have it. */
#include "rings.h"

#if __has_include(<jack/ringbuffer.h>)
#include <jack/ringbuffer.h>

MEASURE_INLINE int push(void *r, const void *msg, size_t len)
{
        if (jack_ringbuffer_write_space(r) < len)
                return 0;
        return jack_ringbuffer_write(r, msg, len) == len;
}

MEASURE_INLINE int pop(void *r, size_t max, int mix, void *msg)
{
        const size_t space = jack_ringbuffer_read_space(r);
        uint64_t len = max;

        if (space < (mix ? 8 : max))
                return 0;
        if (mix) {
                jack_ringbuffer_peek(r, (char *)&len, sizeof len);
                len += 8;
                if (space < len)
                        return 0;
        }
        return jack_ringbuffer_read(r, msg, len) == len;
}

#define PEER                             jack
#define PEER_NAME                        "jack_ringbuffer"
#define PEER_OPEN(MAX, MIX)              jack_ringbuffer_create(BENCH_RING_BYTES)
#define PEER_CLOSE(r, MAX, MIX)          jack_ringbuffer_free(r)
#define PEER_PUSH(r, MAX, MIX, msg, len) push(r, (const void *)(msg), len)
#define PEER_POP(r, MAX, MIX, msg)       pop(r, MAX, MIX, (void *)(msg))
#include "loops.h"
#else
const struct bench_peer bench_peer_jack = {"jack_ringbuffer", NULL, 0};
#endif
