/* SPDX-License-Identifier: MIT */
/* Both ends of a ring with the default geometry, as three adapters use it. */
#include <stdlib.h>

#include "harness.h"
#include "sluice/ring.h"

struct both {
        MEASURE_APART struct sluice_producer p;
        MEASURE_APART uint64_t pending; /* the producer's: messages staged */
        MEASURE_APART struct sluice_consumer c;
        MEASURE_APART uint64_t passed; /* the consumer's: messages not released */
        MEASURE_APART void *mem;
};

static void *both_open(void)
{
        const size_t bytes = sluice_ring_bytes(NULL);
        struct both *b = (struct both *)bench_shared(sizeof *b);

        b->mem = bench_shared(bytes);
        if (sluice_ring_format(b->mem, bytes, NULL) != 0 ||
            sluice_producer_attach(&b->p, b->mem, bytes) != 0 ||
            sluice_consumer_attach(&b->c, b->mem, bytes) != 0)
                bench_die("sluice: cannot make a ring");
        return b;
}

static void both_close(void *ring)
{
        struct both *b = (struct both *)ring;

        bench_unshare(b->mem, sluice_ring_bytes(NULL));
        bench_unshare(b, sizeof *b);
}
