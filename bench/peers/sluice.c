/* SPDX-License-Identifier: MIT */
/* sluice in place, each side polls. */
#define PEER         sluice
#define PEER_NAME    "sluice"
#define SLUICE_UNTIL SLUICE_NOW
#include "sluice_in_place.h"
