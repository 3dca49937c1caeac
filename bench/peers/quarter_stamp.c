/* SPDX-License-Identifier: MIT */
/* The same with the number of the lap in the header: nobody zeroes. */
#define PEER              quarter_stamp
#define PEER_NAME         "quarter page, stamp"
#define PEER_FIXED        1
#define RECORD_ALIGN      64
#define RECORD_ONE_LENGTH 1
#define RECORD_HOW        (STAMP)
#include "record.h"
