/* SPDX-License-Identifier: MIT */
#ifndef STRESS_NEIGHBOURS_H
#define STRESS_NEIGHBOURS_H
/* What the files of stress_neighbours know of each other. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/sem.h>

#include "sluice.h"

enum { USERS = 4, EACH = 2, WORKERS = USERS * EACH, UID = 64123, GID = 64130 };
enum { SLOTS_EACH = 8, SLOTS = USERS * SLOTS_EACH, LEDGER = 1 << 18, ERRORS = 200 };
enum { KEY = 0x51c0d0, FOREIGN_KEY = 0x51c1d0, FOREIGN_KEYS = 8 };
enum { CAPACITY = 4096, RECORD = 64, HANG_S = 100 };

/* One generation. Written by the holder of the role; stamp: by its observer. */
struct entry {
        atomic_ullong generation;
        atomic_ullong sending, sent;       /* to be, acknowledged */
        atomic_ullong releasing, released; /* likewise */
        atomic_ullong stamp;               /* of its slot, before it was last seen there */
};

/* A name: its queue may have been removed if `begun` has grown since it was
 * seen, or if a removal was under way then. */
struct slot {
        char name[200], path[200]; /* as its owner and as others call it */
        int user;
        bool is_key, on_tmpfs;
        atomic_ullong begun;   /* removals and moves, ever */
        atomic_ullong current; /* the generation that was last seen */
};

enum op {
        CREATE,
        SEND,
        RECEIVE,
        REMOVE,
        RM_R,
        MOVE,
        REAP,
        STAT,
        MEDDLE,
        FOREIGN,
        KILL,
        EXEC,
        FORK,
        OPS
};

struct worker {
        atomic_ullong removing; /* the slots that it removes or moves, by bit */
        atomic_int op, slot;
};

struct arena {
        struct slot slots[SLOTS];
        struct worker workers[WORKERS];
        struct entry ledger[LEDGER];
        atomic_long left;
        atomic_ulong failed, sent, received, entries, done[OPS];
        atomic_ulong errors[OPS][ERRORS];
};

union semctl_arg {
        int val;
        struct semid_ds *buf;
        unsigned short *array;
};

extern struct arena *arena;
extern int self_worker, self_user; /* the worker, and its user */
extern uint64_t self_seed;
extern bool is_root, is_child;
extern const char *const op_names[OPS];

/* ---- arena.c ------------------------------------------------------ */

/* Counts it, and says it if it is one of the first. 1. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void pause_ns(uint64_t ns);
uint64_t below(uint64_t n);

/* r, counted; an error that is in neither list is a failure. */
int count_result(const char *call, int r, const short *documented, const short *more);

struct entry *entry_of(uint64_t generation);
void begin_removal(uint64_t slots);
void end_removal(void);

struct look {
        int slot;
        uint64_t stamp, current, current_stamp;
};

/* Before a call that returns which queue it has found, or that there is none. */
struct look look(int slot);
struct entry *seen(const struct look *l, uint64_t generation);
void seen_none(const struct look *l);

const char *name_of(int slot);
int own_slot(void);
int own_path(void);
int some_slot(void);
/* The slot that the worker is at from now on. */
int at(int slot);
uint64_t bit(int slot);
int slot_of(const char *path); /* -1: of none */
struct sluice_options options(void);
void name_foreign_key(char *name, size_t size, int i);

/* ---- users.c ------------------------------------------------------ */

/* most 0: all that there is. */
void receive_from(int slot, uint64_t most);
/* Rounds, until none is left or one has failed. 0. */
int work(void);

/* ---- strangers.c -------------------------------------------------- */

/* Objects that stay to the end, under the keys of their own. */
void settle_foreigns(void);
/* Others, under the first keys of a directory that is there now. */
void squat(void);
void check_some_foreign(void);
void check_all_foreigns(void);
void remove_foreigns(void);
unsigned long foreigns_made(void);
/* Something of theirs is not as it was. */
void hurt_foreign(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool is_foreign_hurt(void);

#endif
