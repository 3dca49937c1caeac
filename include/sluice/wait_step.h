/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_WAIT_STEP_H
#define SLUICE_WAIT_STEP_H
/*
 * What a call does that has found no room, or no message, before it looks
 * again.
 */
#include <errno.h>
#include <stdint.h>

#include "cpu.h"
#include "handle.h"
#include "layout.h"
#include "wait.h"

SLUICE_PRIV_BEGIN

enum {
        /* A caller that polls checks its peer at every 64th look in vain. */
        SLUICE_PRIV_POLLS_PER_CHECK = 64,
        /* Looks of a caller that waits, before the wait begins. */
        SLUICE_PRIV_FIRST_LOOKS = 64
};

/* Does the next look in vain check the peer? */
static inline int sluice_priv_check_is_next(const struct sluice_priv_endpoint *e)
{
        return e->polls % SLUICE_PRIV_POLLS_PER_CHECK == SLUICE_PRIV_POLLS_PER_CHECK - 1;
}

/* Makes it do so. */
static inline void sluice_priv_check_next(unsigned *polls)
{
        *polls = SLUICE_PRIV_POLLS_PER_CHECK - 1;
}

/*
 * 0: look again. A negative errno: give up, after a last look; but at once,
 * without one, when sluice_priv_is_final says so. A caller that polls never
 * waits here. turn counts from 0 and is kept by the caller. e is the beginning of
 * the handle, which is what the functions of `sleep` expect.
 */
static inline int sluice_priv_wait_step(struct sluice_priv_endpoint *e,
                                        struct sluice_layout_counters *own, unsigned *turn,
                                        uint64_t need, sluice_deadline until)
{
        if (until <= SLUICE_NOW) {
                const int ask = sluice_priv_check_is_next(e);
                int r;

                e->polls++;
                r = ask && e->sleep ? e->sleep->check(e) : 0;
                return r ? r : -EAGAIN;
        }
        if (*turn == 0)
                sluice_priv_count(&own->stalls);
        if (!e->sleep)
                return sluice_priv_spin(turn, until, -ETIMEDOUT);
        *turn = 1;
        return e->sleep->wait(e, need, until);
}

/* The peer was not checked, or a last look would lose an interrupt. */
static inline int sluice_priv_is_final(int given_up)
{
        return given_up == -EAGAIN || given_up == -ECANCELED;
}

SLUICE_PRIV_END

#endif
