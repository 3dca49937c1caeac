/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_MEASURE_COMPILER_H
#define SLUICE_MEASURE_COMPILER_H
/* Attributes of gcc and clang, for C and C++. */

/* Keeps what one side writes in its loop off the cache lines, and pairs of
 * lines, of the other. */
#define MEASURE_APART    __attribute__((aligned(128)))
#define MEASURE_NOINLINE __attribute__((noinline))
/* Loops are compiled anew for each size, which is then a constant in them. */
#define MEASURE_INLINE static inline __attribute__((always_inline))

#endif
