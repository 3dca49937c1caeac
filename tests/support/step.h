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
        int (*ready)(void); /* in the parent, while the child is stopped before the call; or NULL */
        int (*call)(void);  /* in the child, stepped */
        void (*wake)(void); /* in the parent, when the call sleeps; NULL: it never does */
};

/* How far a child has come before it was killed. */
struct step_death {
        unsigned turn; /* which death of this script, from 0 */
        bool ended;    /* the call had returned ... */
        int result;    /* ... this */
        uint64_t pc;
};

struct step_test {
        const char *name;
        struct step_script script;
        const void *what; /* for the frame */
};

/* What the parent does before and after the child runs. */
struct step_frame {
        int (*prepare)(const void *what);                           /* nonzero: failed */
        int (*check)(const void *what, const struct step_death *d); /* nonzero: wrong */
        void (*clean)(void); /* after a failure, and after the count */
};

/* First thing in main: may execute the program anew, in an environment
 * where fewer instructions repeat themselves. false: this machine cannot
 * do it. */
bool step_start(char **argv);

/*
 * Counts the instructions of each script whose name contains `only`,
 * then kills it behind as many of them as make `kills` in all, spread
 * evenly over the long ones, and once in each of its sleeps. One line to
 * stdout for each. Returns how many failed; *passed: the others.
 */
unsigned step_run(const struct step_test *tests, unsigned n, const struct step_frame *frame,
                  uint64_t kills, const char *only, unsigned *passed);

/* Is this process, not a child under ptrace, asleep in the kernel? */
bool step_asleep(pid_t pid);

/* What a killed process can leave behind. */
struct step_census {
        int segments, sets; /* System V, of this namespace */
        int entries;        /* of $SLUICE_DIR */
        int descriptor;     /* the lowest that is free */
};

struct step_census step_census(void);

/* Removes the System V objects, where the namespace is our own. */
void step_wipe(void);

#endif
