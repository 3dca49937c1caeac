/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_MEASURE_COMPILER_H
#define SLUICE_MEASURE_COMPILER_H
/* What C and C++ say alike to the compilers that we build with. */

/* What one side writes in its loop has lines, and pairs of lines, to itself. */
#define MEASURE_APART    __attribute__((aligned(128)))
#define MEASURE_NOINLINE __attribute__((noinline))
/* Loops are compiled anew for each size, which is then a constant in them. */
#define MEASURE_INLINE static inline __attribute__((always_inline))

#endif
