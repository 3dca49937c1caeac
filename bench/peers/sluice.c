/* SPDX-License-Identifier: MIT */
/* sluice in place: reserve and commit, peek and release. */
#include "sluice_common.h"

MEASURE_INLINE void *place(void *ring, size_t len)
{
        struct both *b = ring;
        void *to;

        return sluice_reserve(&b->p, len, &to, SLUICE_NOW) == 0 ? to : NULL;
}

MEASURE_INLINE const void *look(void *ring, size_t len)
{
        struct both *b = ring;
        struct sluice_message m;

        if (sluice_peek(&b->c, &m, SLUICE_NOW) != 0)
                return NULL;
        if (m.len != len)
                bench_corrupt("sluice", m.position);
        return m.data;
}

#define PEER                           sluice
#define PEER_NAME                      "sluice"
#define PEER_OPEN(MAX, MIX)            both_open()
#define PEER_CLOSE(r, MAX, MIX)        both_close(r)
#define PEER_RESERVE(r, MAX, MIX, len) place(r, len)
#define PEER_COMMIT(r, len)            (void)sluice_commit(&((struct both *)(r))->p, len)
#define PEER_PEEK(r, MAX, MIX, len)    look(r, len)
#define PEER_RELEASE(r)                (void)sluice_release(&((struct both *)(r))->c)
#include "loops.h"
