/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_MEASURE_ROUNDTRIP_H
#define SLUICE_MEASURE_ROUNDTRIP_H
/*
 * The two loops of a round trip, through any transport: the near side
 * sends a message and awaits its answer, the far side answers each. Inline,
 * with functions that are constants at the call, so that nothing is called
 * through a pointer. C and C++.
 */
#include <stdint.h>

#include "compiler.h"

/* Sends or receives one message, whose number is known: 0, or why the loop is
 * to end. way: the caller's own. */
typedef int roundtrip_step(void *way, uint64_t number);

/* Messages 1 to `turns`. turned: called after each; NULL: nothing. Returns 0,
 * or what ended it before. */
MEASURE_INLINE int roundtrip_initiator(void *way, roundtrip_step *put, roundtrip_step *get,
                                       roundtrip_step *turned, uint64_t turns)
{
        for (uint64_t n = 1; n <= turns; n++) {
                int r = put(way, n);

                if (r == 0)
                        r = get(way, n);
                if (r == 0 && turned)
                        r = turned(way, n);
                if (r)
                        return r;
        }
        return 0;
}

MEASURE_INLINE int roundtrip_reflector(void *way, roundtrip_step *put, roundtrip_step *get,
                                       uint64_t turns)
{
        for (uint64_t n = 1; n <= turns; n++) {
                int r = get(way, n);

                if (r == 0)
                        r = put(way, n);
                if (r)
                        return r;
        }
        return 0;
}

#endif
