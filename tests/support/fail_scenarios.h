/* SPDX-License-Identifier: MIT */
#ifndef FAIL_SCENARIOS_H
#define FAIL_SCENARIOS_H
/* The scenarios in which stress_fail makes calls fail. */

enum {
        FAIL_ATOMIC = 1,     /* a failure changes nothing */
        FAIL_OWN = 2,        /* there are no objects of other programs */
        FAIL_GONE = 4,       /* a second try may find nothing: -ENOENT */
        FAIL_ONCE_MORE = 8,  /* begins again when a directory was removed */
        FAIL_SKIPS = 16,     /* leaves out what cannot be read */
        FAIL_WAITS = 32,     /* the number of calls depends on time */
        FAIL_APART = 64,     /* in a process of its own each time */
        FAIL_ROOT = 128,     /* needs another user's queue, and the right to remove it */
        FAIL_REMOVES = 256,  /* all that was prepared */
        FAIL_PREFAULT = 512, /* by SLUICE_PREFAULT: without it, pages may stay away */
        FAIL_PARTS = 1024    /* of calls that have scenarios of their own: a share of each */
};

/* Of no particular user. */
enum { FAIL_OTHER_UID = 65534 };

struct scenario {
        const char *name;
        void (*prepare)(void);
        int (*act)(void);    /* may be called again after a failure */
        const short *errors; /* that are documented */
        int want;            /* when nothing fails; 0: anything not negative */
        unsigned flags;
};

/* Each ends with one without a name; those of libsluice-group apart. */
extern const struct scenario fail_scenarios[], fail_group_scenarios[];

/* The first error of prepare, also when an earlier attempt has left
 * something behind; its reader sets it back to 0. */
extern int fail_unprepared;

/* After each scenario, whatever its result. */
void fail_clean(void);
void fail_groups_clean(void);

#endif
