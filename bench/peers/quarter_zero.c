/* SPDX-License-Identifier: MIT */
/* sluice's protocol on a quarter of a page: the producer zeroes the next header. */
#define PEER              quarter_zero
#define PEER_NAME         "quarter page, zero"
#define PEER_FIXED        1
#define RECORD_ALIGN      64
#define RECORD_ONE_LENGTH 1
#define RECORD_HOW        (ZERO)
#include "record.h"
