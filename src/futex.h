/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_FUTEX_H
#define SLUICE_FUTEX_H
/* futex_waitv(2), for C libraries and kernel headers that do not have it yet. */
#include <errno.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>

#ifndef FUTEX_32
#define FUTEX_32 2
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* As linux/futex.h has it since 5.16. */
struct sluice_priv_waitv {
        uint64_t val, uaddr;
        uint32_t flags, reserved;
};

/* The kernel does not have the call, or a seccomp filter does not know it. */
static inline bool sluice_priv_is_unknown_call(int error)
{
        return error == ENOSYS || error == EPERM;
}

#endif
