/* SPDX-License-Identifier: MIT */
#ifndef TRAFFIC_H
#define TRAFFIC_H
/*
 * Messages whose length and contents follow from their number, sent and
 * received by every way that the API has, chosen at random. A receiver
 * that knows how many were received before can detect a lost, doubled, cut or
 * altered one.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

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

/* ---- Processes that are killed ------------------------------------ */

/* 1: this process was told to end, by SIGTERM. */
extern volatile sig_atomic_t traffic_stop;

typedef int traffic_body(void *ctx); /* the exit status */

/* A child that ends with its parent. SIGTERM sets traffic_stop, or, if the child
 * is not `told` that way, ends it. */
pid_t traffic_start(traffic_body *body, void *ctx, bool told);

/* SIGKILL. 0: it was alive, and is gone; 1: it had ended by itself. */
int traffic_kill(pid_t pid);

/* Tells the first `told` of them to end, by SIGTERM, and waits for all; all are
 * killed if `failed`, or if one of them fails. 0: all ended well. */
int traffic_end(const pid_t *pids, int n, int told, int failed);

void traffic_pause(uint64_t *random, long up_to_ns);

/* Shared with children, all zero. Does not return on failure. */
void *traffic_shared(size_t bytes);

/* ---- How much, and which ------------------------------------------ */

/* "what: found, not expected" on stderr, unless ten were before. */
void traffic_differs(uint64_t before, const char *what, uint64_t found, uint64_t expected);

/* STRESS_PERCENT of n, at least 1. */
uint64_t traffic_scale(uint64_t n);

/* The seed of this run: from the command line, else from the clock. */
uint64_t traffic_seed(int argc, char **argv);

/* A program of n runs, each of which returns 1 if it has failed, else 0.
 * Prints the counts, and returns what main does. */
int traffic_run(int argc, char **argv, int n, int (*run)(int i, uint64_t seed));

#endif
