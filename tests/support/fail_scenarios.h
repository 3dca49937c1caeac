/* SPDX-License-Identifier: MIT */
#ifndef FAIL_SCENARIOS_H
#define FAIL_SCENARIOS_H
/* What stress_fail makes fail. */
#include <stdbool.h>

struct scenario {
        const char *name;
        void (*prepare)(void);
        int (*act)(void);   /* may be called again after a failure */
        void (*undo)(void); /* whatever act has done */
        const short *errors; /* that are documented */
        int want;            /* when nothing fails; 0 stands for anything not negative */
        int want_again;      /* of the second try, beside want; 0: nothing */
        short overcomes[8];  /* inject_kind + 1, whose failure this one overcomes */
        bool atomic;         /* a failure changes nothing */
        bool waits;          /* the number of calls depends on time */
        bool apart;          /* in a process of its own each time */
};

/* Ends with one without a name. */
extern const struct scenario fail_scenarios[];

#endif
