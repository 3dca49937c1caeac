/* SPDX-License-Identifier: MIT */
#ifndef TESTS_CPP_HOT_H
#define TESTS_CPP_HOT_H
/* The way of a message, n times, in C (ways.c) and in C++ (ways.cpp): the same
 * work in the words of each language. Both have their handles on the heap. */
#include <sluice.h>

struct tick {
        uint64_t number;
        double value;
};

/* All of it in line, whatever else the compiler would like to save: so both have the
 * same chance. */
#define FLAT __attribute__((flatten))

struct ends {
        struct sluice_producer *p;
        struct sluice_consumer *c;
};

#ifdef __cplusplus
extern "C" {
#endif

/* Called for each message: nobody but the linker knows what it does. */
void take(const void *data, size_t len);

FLAT void c_send(struct ends *e, int n);
FLAT void c_write(struct ends *e, int n);
FLAT void c_write_typed(struct ends *e, int n);
FLAT void c_receive(struct ends *e, int n);
FLAT void c_receive_copied(struct ends *e, int n);
FLAT void c_receive_typed(struct ends *e, int n);

#ifdef __cplusplus
}
#endif

#endif
