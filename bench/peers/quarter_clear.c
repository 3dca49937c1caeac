/* SPDX-License-Identifier: MIT */
/* The same, but the consumer zeroes the header that it has read. */
#define PEER              quarter_clear
#define PEER_NAME         "quarter page, clear"
#define PEER_FIXED        1
#define RECORD_ALIGN      64
#define RECORD_ONE_LENGTH 1
#define RECORD_HOW        (CLEAR)
#include "record.h"
