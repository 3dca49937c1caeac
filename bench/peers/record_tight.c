/* SPDX-License-Identifier: MIT */
/* Records, packed; the producer zeroes the next header. Tight loops. */
#define PEER              record_tight
#define PEER_NAME         "flag in record, tight"
#define PEER_WAIT         (void)0
#define RECORD_ALIGN      8
#define RECORD_ONE_LENGTH 0
#define RECORD_HOW        (ZERO)
#include "record.h"
