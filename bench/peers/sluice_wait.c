/* SPDX-License-Identifier: MIT */
/* sluice in place, each side waits in the call. */
#define PEER         sluice_wait
#define PEER_NAME    "sluice, waiting"
#define SLUICE_UNTIL SLUICE_FOREVER
#include "sluice_in_place.h"
