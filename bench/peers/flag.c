/* SPDX-License-Identifier: MIT */
/* Slots with a flag, both sides pause between two looks. */
#define PEER      flag
#define PEER_NAME "flag in slot"
#include "flag.h"
