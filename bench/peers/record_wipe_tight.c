/* SPDX-License-Identifier: MIT */
/* Records, packed; the consumer zeroes what it has read. Tight loops. */
#define PEER              record_wipe_tight
#define PEER_NAME         "record wiped, tight"
#define PEER_WAIT         (void)0
#define RECORD_ALIGN      8
#define RECORD_ONE_LENGTH 0
#define RECORD_HOW        (WIPE)
#include "record.h"
