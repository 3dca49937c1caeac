/* SPDX-License-Identifier: MIT */
#ifndef TRAFFIC_H
#define TRAFFIC_H
/*
 * Messages whose length and contents follow from their number, sent and
 * received by every way that the API has, chosen at random. A receiver
 * that knows how many were received before can detect a lost, doubled, cut or
 * altered one.
 */
#include <stdbool.h>
#include <stdint.h>

#include "sluice.h"

struct traffic {
        uint64_t seed;    /* of the contents: the same on both sides */
        uint64_t random;  /* of the ways: each side its own */
        uint64_t max_len; /* bytes, of a message */
        uint64_t index;   /* of the next message */
};

uint64_t traffic_random(uint64_t *state);

/* Sends at least one message, none beyond `end`. 0 or a negative errno,
 * after which index tells what has been published. */
int traffic_send(struct traffic *t, struct sluice_producer *p, uint64_t end, sluice_deadline until);

/* Receives and releases at least one. 0, a negative errno, or 1: a wrong
 * message, described on stderr. */
int traffic_recv(struct traffic *t, struct sluice_consumer *c, sluice_deadline until);

/* STRESS_PERCENT of n, at least 1. */
uint64_t traffic_scale(uint64_t n);

/* The seed of this run: from the command line, else from the clock. */
uint64_t traffic_seed(int argc, char **argv);

#endif
