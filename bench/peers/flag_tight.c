/* SPDX-License-Identifier: MIT */
/* Slots with a flag, both sides look in a tight loop. */
#define PEER      flag_tight
#define PEER_NAME "flag in slot, tight"
#define PEER_WAIT (void)0
#include "flag.h"
