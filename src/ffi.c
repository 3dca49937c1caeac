/* SPDX-License-Identifier: MIT */
/* Every public call that is inline in the headers, as a function of the
 * library: SLUICE_INLINE in sluice/atomic.h. */
#define SLUICE_FFI_SOURCE 1
#include "internal.h"
#include "sluice/channel.h"
