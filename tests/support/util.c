/* SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "util.h"

#include <stdio.h>
#include <stdlib.h>

const uint32_t test_align[TEST_ALIGNS] = {8, 64, 16, 128};

unsigned char *test_memory(size_t bytes)
{
        void *mem = NULL;

        if (posix_memalign(&mem, 128, bytes) != 0) {
                fputs("test: out of memory\n", stderr);
                abort();
        }
        memset(mem, 0xa5, bytes);
        return mem;
}

void test_memory_free(unsigned char *mem)
{
        free(mem);
}

uint64_t test_first(int which, uint32_t align)
{
        switch (which) {
        case 1:
                return (UINT64_C(1) << 32) - 3 * (uint64_t)align;
        case 2:
                return 0 - 3 * (uint64_t)align;
        default:
                return 0;
        }
}

unsigned char test_byte(uint64_t number, size_t i)
{
        return (unsigned char)(number * 131 + i * 7 + (i >> 5) * 3 + 0x51);
}

void test_fill(void *to, size_t len, uint64_t number)
{
        unsigned char *bytes = to;

        for (size_t i = 0; i < len; i++)
                bytes[i] = test_byte(number, i);
}

int test_matches(const void *from, size_t len, uint64_t number)
{
        const unsigned char *bytes = from;

        for (size_t i = 0; i < len; i++)
                if (bytes[i] != test_byte(number, i))
                        return 0;
        return 1;
}

uint64_t test_random(uint64_t *state)
{
        uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
}
