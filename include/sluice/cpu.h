/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_CPU_H
#define SLUICE_CPU_H
/*
 * Hints to the processor or to the compiler, which change no result:
 * a pause, hints to the caches, a value that the compiler must not see
 * through. All inline assembly of these headers is here. A build that
 * replaces atomic.h (SLUICE_ATOMIC_HEADER) has none at all: its hints are
 * empty, and its pause is the compiler fence of the replacement.
 */
#include <stdint.h>

#include "atomic.h"

SLUICE_PRIV_BEGIN

/* One pause of a spin loop. */
static inline void sluice_priv_pause(void)
{
#if defined SLUICE_ATOMIC_HEADER
        sluice_priv_fence_compiler();
#elif defined __x86_64__ || defined __i386__
        __builtin_ia32_pause();
#elif defined __aarch64__ || (defined __arm__ && __ARM_ARCH >= 7)
        __asm__ __volatile__("yield");
#else
        sluice_priv_fence_compiler();
#endif
}

/* A hint: this line will be written soon. (As a builtin it would be one for
 * reading, unless the compiler's target is a newer processor; an older one
 * executes the instruction as a no-operation.) */
static inline void sluice_priv_prefetch_write(const void *line)
{
#if defined SLUICE_ATOMIC_HEADER
        (void)line;
#elif defined __x86_64__
        __asm__ __volatile__("prefetchw %0" : : "m"(*(const char *)line));
#else
        __builtin_prefetch(line, 1, 3);
#endif
}

/* A hint: this line has been written and will be read by another core next. It
 * is moved from this core's caches to the shared one, from which that core
 * gets it in half the time. (A no-operation on processors without it.) */
static inline void sluice_priv_demote(const void *line)
{
#if defined __x86_64__ && !defined SLUICE_ATOMIC_HEADER
        __asm__ __volatile__("cldemote %0" : : "m"(*(const char *)line));
#else
        (void)line;
#endif
}

/* A counter that runs at a constant rate, and costs a few instructions and no
 * system call. 0: there is none. (Where user programs may not read it, the
 * C library's clock does not work either.) */
static inline uint64_t sluice_priv_ticks(void)
{
#if defined SLUICE_ATOMIC_HEADER
        return 0;
#elif defined __x86_64__ || defined __i386__
        return __builtin_ia32_rdtsc();
#elif defined __aarch64__
        uint64_t ticks = 0;

        __asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(ticks));
        return ticks;
#else
        return 0;
#endif
}

/* Does sluice_priv_demote do something here? */
static inline int sluice_priv_can_demote(void)
{
#if defined __x86_64__ && !defined SLUICE_ATOMIC_HEADER
        uint32_t eax = 0, ebx, ecx, edx;

        __asm__ __volatile__("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
        if (eax < 7)
                return 0;
        eax = 7;
        ecx = 0;
        __asm__ __volatile__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
        return (ecx >> 25) & 1;
#else
        return 0;
#endif
}

/* Returns the value, but the compiler knows nothing about it: so it cannot
 * replace it by another one that it is compared with, or reorder its
 * computation. No instruction. */
static inline uint64_t sluice_priv_hide_from_compiler(uint64_t value)
{
#if !defined SLUICE_ATOMIC_HEADER
        __asm__("" : "+r"(value));
#endif
        return value;
}

static inline uintptr_t sluice_priv_hide_address(uintptr_t address)
{
#if !defined SLUICE_ATOMIC_HEADER
        __asm__("" : "+r"(address));
#endif
        return address;
}

SLUICE_PRIV_END

#endif
