/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_MEASURE_PAYLOAD_H
#define SLUICE_MEASURE_PAYLOAD_H
/*
 * Payload of measured messages: every byte is written, and every byte is
 * compared. len is a multiple of 8; the first word is the number of the
 * message. C and C++.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler.h"

typedef uint64_t __attribute__((may_alias)) payload_word;

MEASURE_INLINE void payload_fill(void *to, uint64_t number, size_t len)
{
        payload_word *w = (payload_word *)to;

        for (size_t i = 0; i < len / 8; i++)
                w[i] = number + i;
}

MEASURE_INLINE bool payload_good(const void *from, uint64_t number, size_t len)
{
        const payload_word *w = (const payload_word *)from;
        uint64_t bad = 0;

        for (size_t i = 0; i < len / 8; i++)
                bad |= w[i] ^ (number + i);
        return bad == 0;
}

#endif
