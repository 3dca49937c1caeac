/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_WAIT_H
#define SLUICE_WAIT_H
/*
 * Deadlines, and the question "does the other side sleep?", which is
 * asked after every publish and every release and therefore inline.
 * Sleeping itself, and waking, are system calls and live in the library.
 */
#include <stdint.h>
#include <time.h>

#include "atomic.h"
#include "cpu.h"
#include "layout.h"

SLUICE_PRIV_BEGIN

/* Absolute nanoseconds on CLOCK_MONOTONIC. A deadline that has passed
 * still looks once; a call that finds what it wants never reads the
 * clock. */
typedef int64_t sluice_deadline;

#define SLUICE_NOW     INT64_C(0) /* look, return at once: -EAGAIN */
#define SLUICE_FOREVER INT64_MAX  /* never -ETIMEDOUT */

/* In nanoseconds, as all durations here: sluice_after(2 * SLUICE_SECOND),
 * options.slice_ns = 10 * SLUICE_MILLISECOND. */
#define SLUICE_MICROSECOND INT64_C(1000)
#define SLUICE_MILLISECOND INT64_C(1000000)
#define SLUICE_SECOND      INT64_C(1000000000)

/* clock_gettime(3) is hidden by <time.h> under a strict -std=c11, and a
 * header must not set feature macros for the file that includes it. On 32
 * bit it has two names, for the two sizes of time_t: glibc says which in
 * the first two macros, musl in the third. */
#if (defined __USE_TIME_BITS64 && defined __TIMESIZE && __TIMESIZE == 32) || \
        (defined _REDIR_TIME64 && _REDIR_TIME64)
#define SLUICE_PRIV_CLOCK_SYMBOL "__clock_gettime64"
#else
#define SLUICE_PRIV_CLOCK_SYMBOL "clock_gettime"
#endif
#ifdef __cplusplus
extern "C" {
#endif
extern int sluice_priv_clock_gettime(int clock,
                                     struct timespec *now) __asm__(SLUICE_PRIV_CLOCK_SYMBOL);
extern int sluice_priv_sched_yield(void) __asm__("sched_yield");
#ifdef __cplusplus
}
#endif

/* Nanoseconds on CLOCK_MONOTONIC, the clock of all deadlines. */
SLUICE_INLINE int64_t sluice_now_ns(void)
{
        struct timespec now;

        sluice_priv_clock_gettime(1 /* CLOCK_MONOTONIC */, &now);
        return (int64_t)now.tv_sec * 1000000000 + (int64_t)now.tv_nsec;
}

/* The deadline ns nanoseconds from now; saturates at SLUICE_FOREVER. */
SLUICE_INLINE sluice_deadline sluice_after(int64_t ns)
{
        const int64_t now = sluice_now_ns();

        return ns > SLUICE_FOREVER - now ? SLUICE_FOREVER : now + ns;
}

/* What an endpoint needs in order to wake its peer. */
struct sluice_priv_doorbell {
        const sluice_word *peer_parked;
        uint64_t answered; /* the last parked value that was woken */
        int open;          /* 0: this endpoint never wakes anybody */
        int fence;         /* DOORBELL: 1: not registered with membarrier, pay for the fence here */
};

/* Called after PUBLISH or RELEASE has made `position` visible. Returns
 * the parked word to answer, or 0. A peer that was killed in its sleep
 * is answered once, because its parked word never changes again. */
static inline uint64_t sluice_priv_doorbell_due(const struct sluice_priv_doorbell *bell,
                                                uint64_t position)
{
        uint64_t parked;

        if (!bell->open)
                return 0;
        if (bell->fence)
                sluice_priv_fence_full(); /* DOORBELL:fence, waker */
        else
                sluice_priv_fence_compiler(); /* DOORBELL:fence: the sleeper calls membarrier */
        /* DOORBELL:load. UNTRUSTED: decides only whether a system call is made.
         * Relaxed: the fence orders it, and nothing is read on the strength of it. */
        parked = sluice_priv_load_relaxed(bell->peer_parked);
        if (sluice_priv_likely(!(parked & SLUICE_LAYOUT_PARKED)))
                return 0;
        if (parked == bell->answered)
                return 0;
        return (int64_t)(position - (parked & ~SLUICE_LAYOUT_FLAGS)) >= 0 ? parked : 0;
}

/* The calls of an endpoint that can sleep. A handle without them (attached
 * through ring.h alone) waits by spinning. */
struct sluice_priv_sleep {
        /* Sleep until the awaited word may have changed. 0: look again. A
         * negative errno: give up, after a last look. */
        int (*wait)(void *handle, uint64_t need_bytes, sluice_deadline until);
        /* For a caller that polls: 0, or why it is to give up. */
        int (*check)(void *handle);
        /* Wake the peer that parked with this word. */
        void (*wake)(void *handle, uint64_t parked);
        /* The ring says that the peer has closed: -EPIPE, or 0 when that end was
         * reported before, or is older than this handle and left nothing. */
        int (*end)(void *handle);
        /* Records that this error is returned to the caller, by a call with this
         * deadline: each end ends one wait. 0: the end that was recorded last has not
         * reached the caller. */
        int (*tell)(void *handle, int error, sluice_deadline until);
};

/* The wait of a handle that cannot sleep. turn counts from 0 and is kept
 * by the caller. The peer may need this CPU: yields after 1,024 and 2,048 turns,
 * and from 4,096 on after each 64. Returns 0: look again, or -ETIMEDOUT. */
static inline int sluice_priv_spin(unsigned *turn, sluice_deadline until, int timed_out)
{
        if (++*turn % 64 != 0) {
                sluice_priv_pause();
                return 0;
        }
        if (until != SLUICE_FOREVER && sluice_now_ns() >= until)
                return timed_out;
        if (*turn == 1024 || *turn == 2048 || *turn >= 4096)
                sluice_priv_sched_yield();
        return 0;
}

SLUICE_PRIV_END

#endif
