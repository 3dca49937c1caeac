/* SPDX-License-Identifier: MIT */
#ifndef TEST_CROWD_H
#define TEST_CROWD_H
/* Many short-lived processes, of which most are killed at random moments. */
#include <stdint.h>

#include "sluice/group.h"

struct crowd {
        int total, at_once;
        unsigned spared;                     /* one of so many is left to end by itself */
        int (*body)(int i, uint64_t random); /* in the child; 0 when it went well */
};

/* Starts them all, and waits for them. 0: each was killed, or went well. */
int crowd_run(const struct crowd *crowd, uint64_t random);

/* The same in a process of its own, which dies with its parent: its id. */
int crowd_start(const struct crowd *crowd, uint64_t random);
/* 1: that is still at it. 0: crowd_run has answered 0; -1: it has not. Once. */
int crowd_alive(int starter);

/* Serves a watched directory until that process has ended, and then until there was
 * nothing for a second: no message, and no event that *ended counts. 0, or nonzero
 * if either went wrong. For programs with libsluice-group. */
int crowd_serve(const char *directory, unsigned flags, sluice_group_handler *fn, void *ctx,
                const int *ended, int starter);

void crowd_nap(int64_t ns);

#endif
