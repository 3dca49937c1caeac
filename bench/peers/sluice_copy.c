/* SPDX-License-Identifier: MIT */
/* sluice copying: send and recv. */
#include "sluice_common.h"

#define PEER                    sluice_copy
#define PEER_NAME               "sluice copying"
#define PEER_OWN_LENGTH         1
#define PEER_OPEN(MAX, MIX)     both_open()
#define PEER_CLOSE(r, MAX, MIX) both_close(r)
#define PEER_PUSH(r, MAX, MIX, msg, len) \
        (sluice_send(&((struct both *)(r))->p, msg, len, SLUICE_NOW) == 0)
#define PEER_POP(r, MAX, MIX, msg) (sluice_recv(&((struct both *)(r))->c, msg, MAX, SLUICE_NOW) > 0)
#include "loops.h"
