/* SPDX-License-Identifier: MIT */
/*
 * Included by the build before the first line of each source file of the
 * library and the command (-include): files of any size, inodes and
 * times of 64 bits, also where `long` has 32. It must come before any
 * header of the system; internal.h refuses to compile without it.
 */
#if !defined SLUICE_WIDE_H && __SIZEOF_LONG__ == 4
#define SLUICE_WIDE_H
#undef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#undef _TIME_BITS
#define _TIME_BITS 64
#endif
