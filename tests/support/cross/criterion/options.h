/* SPDX-License-Identifier: MIT */
#ifndef CROSS_CRITERION_OPTIONS_H
#define CROSS_CRITERION_OPTIONS_H
/* The tests of a program run one after another here, whatever is set. */
struct criterion_options {
        unsigned jobs;
};
extern struct criterion_options criterion_options;

#endif
