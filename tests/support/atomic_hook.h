/* SPDX-License-Identifier: MIT */
#ifndef TEST_ATOMIC_HOOK_H
#define TEST_ATOMIC_HOOK_H
/*
 * The shared accesses of sluice/atomic.h with a hook behind each store
 * and in each load. A test defines SLUICE_ATOMIC_HEADER as this file
 * before it includes the library, and sets the hooks that it wants.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef _Atomic uint64_t sluice_word;

/* After each store, and after each half of a copy into shared memory. */
static void (*test_hook_stored)(const void *where, size_t len);
/* May answer something else than what is there. */
static uint64_t (*test_hook_loaded)(const sluice_word *word, uint64_t value);
/* Before a copy out of shared memory. */
static void (*test_hook_copied)(const void *from, size_t len);
/* At each compiler fence, which each pause is, too. */
static void (*test_hook_fenced)(void);

static inline void test_stored(const void *where, size_t len)
{
        if (test_hook_stored)
                test_hook_stored(where, len);
}

static inline uint64_t test_loaded(const sluice_word *word, uint64_t value)
{
        return test_hook_loaded ? test_hook_loaded(word, value) : value;
}

static inline uint64_t sluice_priv_load_relaxed(const sluice_word *word)
{
        return test_loaded(word, atomic_load_explicit(word, memory_order_relaxed));
}

static inline uint64_t sluice_priv_load_acquire(const sluice_word *word)
{
        return test_loaded(word, atomic_load_explicit(word, memory_order_acquire));
}

static inline void sluice_priv_store_relaxed(sluice_word *word, uint64_t value)
{
        atomic_store_explicit(word, value, memory_order_relaxed);
        test_stored((const void *)word, sizeof *word);
}

static inline void sluice_priv_store_release(sluice_word *word, uint64_t value)
{
        atomic_store_explicit(word, value, memory_order_release);
        test_stored((const void *)word, sizeof *word);
}

static inline void sluice_priv_fence_full(void)
{
        atomic_thread_fence(memory_order_seq_cst);
}

static inline void sluice_priv_fence_compiler(void)
{
        atomic_signal_fence(memory_order_seq_cst);
        if (test_hook_fenced)
                test_hook_fenced();
}

static inline void sluice_priv_copy_in(void *shared, const void *from, size_t len)
{
        const size_t half = len / 2;

        memcpy(shared, from, half);
        test_stored(shared, half);
        memcpy((unsigned char *)shared + half, (const unsigned char *)from + half, len - half);
        test_stored((unsigned char *)shared + half, len - half);
}

static inline void sluice_priv_copy_out(void *to, const void *shared, size_t len)
{
        if (test_hook_copied)
                test_hook_copied(shared, len);
        memcpy(to, shared, len);
}

#endif
