/* SPDX-License-Identifier: MIT */
/* Checks the options of a caller and fills in the defaults. */
#define _GNU_SOURCE
#include <errno.h>

#include "internal.h"

#define ALL_FLAGS \
        (SLUICE_PREFAULT | SLUICE_LOCK | SLUICE_HUGETLB | SLUICE_CREATE | SLUICE_ANY_OWNER)

int sluice_priv_options_read(struct sluice_options *to, const struct sluice_options *from)
{
        if (sluice_priv_options_copy(to, sizeof *to, from) != 0)
                return -EINVAL;
        if (to->mode == 0)
                to->mode = 0600;
        if ((to->mode & ~(mode_t)0666) != 0 || (to->mode & 0600) != 0600 ||
            (to->flags & ~(unsigned)ALL_FLAGS) != 0 || to->numa_node < 0 || to->slice_ns < 0 ||
            to->spin_ns < SLUICE_SPIN_NONE ||
            (to->wake != SLUICE_WAKE_FUTEX && to->wake != SLUICE_WAKE_FIFO))
                return -EINVAL;
        if (to->slice_ns == 0)
                to->slice_ns = 100000000;
        return 0;
}
