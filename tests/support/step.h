/* SPDX-License-Identifier: MIT */
#ifndef STEP_H
#define STEP_H
/*
 * One call in a child process, executed instruction by instruction under
 * ptrace, and ended by SIGKILL behind any of them. The child is forked
 * and does not exec, so that a fresh one comes to the same instruction.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct step_script {
        int (*set_up)(void); /* in the child, unstepped. Nonzero: failed */
        int (*ready)(void);  /* in the parent, while the child stands before the call; or NULL */
        int (*call)(void);   /* in the child, stepped */
        void (*wake)(void);  /* in the parent, when the call sleeps; NULL: it never does */
};

enum { STEP_CALLS_MAX = 512 };

/* What a call executes from its beginning to its end. */
struct step_map {
        unsigned steps; /* instructions */
        unsigned calls; /* system calls among them */
        struct {
                unsigned at; /* instructions before it */
                bool sleeps;
        } call[STEP_CALLS_MAX];
};

/* How far a child has come before it was killed. */
struct step_death {
        bool ended; /* the call had returned ... */
        int result; /* ... this */
        uint64_t pc;
};

/* First thing in main: may execute the program anew, in an environment
 * where fewer instructions repeat themselves. false: this machine cannot
 * do it. */
bool step_start(char **argv);

/* Lets the call run to its end, step by step. 0, or -1: no such child. */
int step_count(struct step_map *map, const struct step_script *s);

/* Kills a fresh child after k instructions, or, when it is asleep in the
 * system call that comes next, there. 0 or -1. */
int step_kill(struct step_death *d, const struct step_script *s, const struct step_map *map,
              unsigned k, bool asleep);

/* Is this process, not a child under ptrace, asleep in the kernel? */
bool step_asleep(pid_t pid);

/* An address in the child's text, for people: object and offset. */
const char *step_where(uint64_t pc);

/* What a killed process can leave behind. */
struct step_census {
        int segments, sets; /* System V, of this namespace */
        int entries;        /* of $SLUICE_DIR */
        int descriptor;     /* the lowest that is free */
};

struct step_census step_census(void);

#endif
