/* SPDX-License-Identifier: MIT */
/*
 * Counts system calls where they are made: the linker puts these functions
 * in the place of libc's (--wrap, in ninja/bench.ninja), for sluice as for
 * its contenders. An increment does not disturb what is being measured as a
 * tracer would, which wakes up at every call, and needs no privilege. What
 * only opens, closes and looks at names is not here; nor is nanosleep, by
 * which the benchmark keeps its pace.
 */
#define _GNU_SOURCE
#include "calls.h"

#include <poll.h>
#include <stddef.h>
#include <sys/types.h>

static uint64_t calls;

uint64_t bench_calls(void)
{
        return calls;
}

#define COUNT(TYPE, NAME, PARAMETERS, ARGUMENTS) \
        TYPE __real_##NAME PARAMETERS;           \
        TYPE __wrap_##NAME PARAMETERS;           \
        TYPE __wrap_##NAME PARAMETERS            \
        {                                        \
                calls++;                         \
                return __real_##NAME ARGUMENTS;  \
        }

/* The last parameters of these are variable; one or six of a word's size
 * hand on whatever there is. */
COUNT(long, syscall, (long n, long a, long b, long c, long d, long e, long f),
      (n, a, b, c, d, e, f))
COUNT(int, ioctl, (int fd, unsigned long request, void *arg), (fd, request, arg))
COUNT(int, fcntl, (int fd, int command, void *arg), (fd, command, arg))
COUNT(int, semctl, (int id, int which, int command, void *arg), (id, which, command, arg))

COUNT(ssize_t, read, (int fd, void *to, size_t n), (fd, to, n))
COUNT(ssize_t, write, (int fd, const void *from, size_t n), (fd, from, n))
COUNT(int, ppoll, (void *fds, nfds_t n, const void *t, const void *mask), (fds, n, t, mask))
COUNT(int, epoll_wait, (int fd, void *to, int n, int ms), (fd, to, n, ms))
COUNT(int, fstat, (int fd, void *st), (fd, st))
COUNT(int, sched_yield, (void), ())
