/* SPDX-License-Identifier: MIT */
/* sluice_send_many, which copies, and sluice_peek_many. */
#include "sluice_common.h"

enum { MOST = 64, LONGEST = 4096 };

struct rig {
        struct both *ring;
        MEASURE_APART struct iovec iov[MOST];
        unsigned char *out; /* LONGEST bytes for each */
        size_t pending;     /* of iov: written, not yet sent */
        MEASURE_APART struct sluice_message in[MOST];
        size_t count, used; /* of in */
};

static void *rig_open(size_t max)
{
        struct rig *const r = (struct rig *)bench_shared(sizeof *r);

        r->ring = (struct both *)both_open();
        r->out = (unsigned char *)bench_shared((size_t)MOST * LONGEST);
        for (size_t i = 0; i < MOST; i++) {
                r->iov[i].iov_base = r->out + i * max;
                r->iov[i].iov_len = max;
        }
        return r;
}

static void rig_close(void *rig)
{
        struct rig *const r = (struct rig *)rig;

        both_close(r->ring);
        bench_unshare(r->out, (size_t)MOST * LONGEST);
        bench_unshare(r, sizeof *r);
}

/* What is written has room: place has seen to it. */
MEASURE_INLINE void flush(void *rig)
{
        struct rig *const r = (struct rig *)rig;

        if (sluice_send_many(&r->ring->p, r->iov, (int)r->pending, SLUICE_NOW) != (int)r->pending)
                bench_die("sluice, many: no room");
        r->pending = 0;
}

MEASURE_INLINE void *place(void *rig, size_t max, size_t batch)
{
        struct rig *const r = (struct rig *)rig;
        void *room;

        if (r->pending == 0) {
                if (sluice_reserve(&r->ring->p, batch * ((max + 8 + 63) / 64 * 64) - 8, &room,
                                   SLUICE_NOW) != 0)
                        return NULL;
                sluice_abort(&r->ring->p);
        }
        return r->iov[r->pending].iov_base;
}

MEASURE_INLINE void done(void *rig, size_t batch)
{
        struct rig *const r = (struct rig *)rig;

        if (++r->pending == batch)
                flush(rig);
}

MEASURE_INLINE const void *look(void *rig, size_t len, size_t batch)
{
        struct rig *const r = (struct rig *)rig;

        if (r->used == r->count) {
                const ssize_t n = sluice_peek_many(&r->ring->c, r->in, batch, SLUICE_NOW);

                r->used = 0;
                r->count = n > 0 ? (size_t)n : 0;
                if (n <= 0)
                        return NULL;
        }
        if (r->in[r->used].len != len)
                bench_corrupt("sluice, many", r->in[r->used].position);
        return r->in[r->used].data;
}

MEASURE_INLINE void seen(void *rig)
{
        struct rig *const r = (struct rig *)rig;

        if (++r->used == r->count)
                (void)sluice_release(&r->ring->c);
}

#define PEER                           sluice_many
#define PEER_NAME                      "sluice, 16 in a call"
#define PEER_STREAM_ONLY               1
#define PEER_OPEN(MAX, MIX)            rig_open(MAX)
#define PEER_CLOSE(r, MAX, MIX)        rig_close(r)
#define PEER_RESERVE(r, MAX, MIX, len) place(r, MAX, batch)
#define PEER_COMMIT(r, MAX, MIX, len)  done(r, batch)
#define PEER_FLUSH(r)                  flush(r)
#define PEER_PEEK(r, MAX, MIX, len)    look(r, len, batch)
#define PEER_RELEASE(r, MAX, MIX, len) seen(r)
#define PEER_FIXED                     1
#include "loops.h"
