/* SPDX-License-Identifier: MIT */
/* sluice in place, shown in staged batches, released likewise. */
#include "sluice_common.h"

MEASURE_INLINE void flush(void *ring)
{
        struct both *b = ring;

        b->pending = 0;
        (void)sluice_publish(&b->p);
}

MEASURE_INLINE void *place(void *ring, size_t len)
{
        struct both *b = ring;
        void *to;

        if (sluice_reserve(&b->p, len, &to, SLUICE_NOW) == 0)
                return to;
        flush(ring); /* full: what is staged must not wait */
        return NULL;
}

MEASURE_INLINE void done(void *ring, size_t len, size_t batch)
{
        struct both *b = ring;

        (void)sluice_stage(&b->p, len);
        if (++b->pending == batch)
                flush(ring);
}

MEASURE_INLINE void give_back(void *ring)
{
        struct both *b = ring;

        b->passed = 0;
        (void)sluice_release(&b->c);
}

MEASURE_INLINE const void *look(void *ring, size_t len)
{
        struct both *b = ring;
        struct sluice_message m;

        if (sluice_peek(&b->c, &m, SLUICE_NOW) != 0) {
                if (b->passed)
                        give_back(ring);
                return NULL;
        }
        if (m.len != len)
                bench_corrupt("sluice batch", m.position);
        return m.data;
}

MEASURE_INLINE void seen(void *ring, size_t batch)
{
        struct both *b = ring;

        if (++b->passed == batch)
                give_back(ring);
        else
                (void)sluice_advance(&b->c);
}

#define PEER                           sluice_batch
#define PEER_NAME                      "sluice, batches of 16"
#define PEER_STREAM_ONLY               1
#define PEER_OPEN(MAX, MIX)            both_open()
#define PEER_CLOSE(r, MAX, MIX)        both_close(r)
#define PEER_RESERVE(r, MAX, MIX, len) place(r, len)
#define PEER_COMMIT(r, MAX, MIX, len)  done(r, len, batch)
#define PEER_FLUSH(r)                  flush(r)
#define PEER_PEEK(r, MAX, MIX, len)    look(r, len)
#define PEER_RELEASE(r, MAX, MIX, len) seen(r, batch)
#include "loops.h"
