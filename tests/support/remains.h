/* SPDX-License-Identifier: MIT */
#ifndef TEST_REMAINS_H
#define TEST_REMAINS_H
/* What queues consist of, for tests that take them apart, and what is left of
 * them then. */
#include "queue_util.h"

/* Semaphores in a set, bytes of a segment, the mode of a set in the making. */
enum { SEMAPHORES = 11, SEGMENT = 12288 + 4096 + 1471, MAKING = 0611 };

union semctl_arg {
        int val;
        struct semid_ds *buf;
        unsigned short *array;
};

/* Makes a segment that is not the library's: its id. */
int foreign_segment(key_t key, size_t bytes);

/* Removes the directory of a queue, and nothing else. */
void rm_r(const char *path);

/* What sluice_list finds: how many, and the last of each. */
struct found {
        int queues, orphans;
        struct sluice_queue_stat orphan, queue;
};

struct found list(void);

#endif
