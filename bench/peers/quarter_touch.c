/* SPDX-License-Identifier: MIT */
/* The same with the number of the lap in the header, and lines taken over. */
#define PEER              quarter_touch
#define PEER_NAME         "quarter page, touch"
#define PEER_FIXED        1
#define RECORD_ALIGN      64
#define RECORD_ONE_LENGTH 1
#define RECORD_HOW        (STAMP | TOUCH)
#include "record.h"
