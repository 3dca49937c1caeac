/* SPDX-License-Identifier: MIT */
#ifndef TEST_IPC_RECORD_H
#define TEST_IPC_RECORD_H
/*
 * Which System V objects a test program and its children have made and not
 * removed, by id. The record is a file that all of them map, and outlives
 * them: what is left after a test that failed or was killed can be
 * removed, and nothing else.
 *
 * The program is linked with --wrap of shmget, semget, shmctl, semctl and
 * semop ($wrap_ipc in build.ninja). Changing or
 * removing an object that is not in the record ends the program with a
 * message: neither a test nor the library may touch what belongs to others.
 *
 * The file is $RUNTEST_MADE; without it nothing is recorded or refused.
 * tools/runtest reads it, too: 64-bit words, first the
 * inode of the IPC namespace, then 0 or the id below the kind.
 */
#include <stdbool.h>

enum { IPC_RECORD_SEGMENT = 1, IPC_RECORD_SET = 2 };
#define IPC_RECORD_WORDS 2048

/* Maps the file; false: it cannot be. Done before main() if the variable
 * is set by then. */
bool ipc_record_open(const char *path);
/* What of it exists. */
int ipc_record_count(int kind);
/* Removes what is left, and forgets all. */
void ipc_record_remove(void);

#endif
