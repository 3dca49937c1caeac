/* SPDX-License-Identifier: MIT */
/*
 * The heap of the programs whose contenders allocate by themselves: while
 * bench_trial_memory is on, malloc and its kin, and operator new, which calls
 * them, take from the arena that the partner sees. They cannot be made to use
 * another allocator without changing what is compared.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

/* glibc's own, for the rest of the time. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *mem, size_t bytes);
void *__libc_memalign(size_t align, size_t bytes);
void __libc_free(void *mem);

void *malloc(size_t bytes)
{
        return bench_in_trial_memory ? bench_trial_alloc(1, bytes) : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
        size_t all;
        void *mem;

        if (!bench_in_trial_memory)
                return __libc_calloc(count, bytes);
        if (__builtin_mul_overflow(count, bytes, &all)) {
                errno = ENOMEM;
                return NULL;
        }
        mem = bench_trial_alloc(1, all);
        return memset(mem, 0, all);
}

void free(void *mem)
{
        if (!bench_is_trial_memory(mem))
                __libc_free(mem);
}

void *realloc(void *mem, size_t bytes)
{
        size_t old;
        void *to;

        if (!bench_is_trial_memory(mem) && !(bench_in_trial_memory && !mem))
                return __libc_realloc(mem, bytes);
        to = malloc(bytes);
        if (!to || !mem)
                return to;
        old = bench_trial_size(mem);
        return memcpy(to, mem, old < bytes ? old : bytes);
}

void *memalign(size_t align, size_t bytes)
{
        return bench_in_trial_memory ? bench_trial_alloc(align, bytes)
                                     : __libc_memalign(align, bytes);
}

void *aligned_alloc(size_t align, size_t bytes)
{
        return memalign(align, bytes);
}

int posix_memalign(void **to, size_t align, size_t bytes)
{
        void *mem = memalign(align, bytes);

        if (!mem)
                return ENOMEM;
        *to = mem;
        return 0;
}
