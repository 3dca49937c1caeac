/* SPDX-License-Identifier: MIT */
/* Records, packed; the consumer zeroes what it has read. Both sides pause. */
#define PEER              record_wipe
#define PEER_NAME         "record wiped"
#define RECORD_ALIGN      8
#define RECORD_ONE_LENGTH 0
#define RECORD_HOW        (WIPE)
#include "record.h"
