/* SPDX-License-Identifier: MIT */
/* Records, packed; the producer zeroes the next header. Both sides pause. */
#define PEER              record
#define PEER_NAME         "flag in record"
#define RECORD_ALIGN      8
#define RECORD_ONE_LENGTH 0
#define RECORD_HOW        (ZERO)
#include "record.h"
