/* SPDX-License-Identifier: MIT */
/* sluice in place: reserve and commit, peek and release, with the deadline
 * SLUICE_UNTIL. The first lap polls: it ends when the ring is full, or empty. */
#include "sluice_common.h"

MEASURE_INLINE void *place(void *ring, size_t len, sluice_deadline until)
{
        struct both *b = ring;
        void *to;

        return sluice_reserve(&b->p, len, &to, until) == 0 ? to : NULL;
}

MEASURE_INLINE const void *look(void *ring, size_t len, sluice_deadline until)
{
        struct both *b = ring;
        struct sluice_message m;

        if (sluice_peek(&b->c, &m, until) != 0)
                return NULL;
        if (m.len != len)
                bench_corrupt(PEER_NAME, m.position);
        return m.data;
}

#define PEER_OPEN(MAX, MIX)                both_open()
#define PEER_CLOSE(r, MAX, MIX)            both_close(r)
#define PEER_TRY_RESERVE(r, MAX, MIX, len) place(r, len, SLUICE_NOW)
#define PEER_TRY_PEEK(r, MAX, MIX, len)    look(r, len, SLUICE_NOW)
#define PEER_RESERVE(r, MAX, MIX, len)     place(r, len, SLUICE_UNTIL)
#define PEER_COMMIT(r, MAX, MIX, len)      (void)sluice_commit(&((struct both *)(r))->p, len)
#define PEER_PEEK(r, MAX, MIX, len)        look(r, len, SLUICE_UNTIL)
#define PEER_RELEASE(r, MAX, MIX, len)     (void)sluice_release(&((struct both *)(r))->c)
#include "loops.h"
