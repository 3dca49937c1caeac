/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_CLI_BENCH_H
#define SLUICE_CLI_BENCH_H
/*
 * The parts of `sluice bench`. bench.c makes queues, starts two processes,
 * the near and the far side, and removes all of it; bench_side.c is what the
 * sides do; bench_machine.c chooses processors; bench_figure.c makes one
 * figure of many rounds; bench_report.c writes the results. What it shares
 * with the benchmarks and the demo is in src/measure.
 *
 * Time is cut into rounds, a round into slices, one for each figure: so a
 * machine that drifts does it to all of them. The near side decides how long
 * a slice lasts, and announces the end with its last message; it writes all
 * results.
 */
#include <stdatomic.h>

#include "../measure/compiler.h"
#include "../measure/figures.h"
#include "cli.h"

enum {
        BENCH_ROUNDS_MAX = 256,
        BENCH_PAIRS = 3 /* of queues: there and back */
};

/* Through what a message goes. The pairs of queues come first. */
enum bench_link {
        BENCH_QUEUE, /* the default options */
        BENCH_FUTEX, /* sleeps at once */
        BENCH_FIFO,  /* the same, by FIFO */
        BENCH_PIPE,
        BENCH_LINES /* two bare cache lines: the yardstick */
};

enum bench_part {
        BENCH_ROUND_TRIP, /* both sides poll */
        BENCH_STREAM,
        BENCH_SLEEP /* round trip of two sleepers */
};

struct bench_figure {
        enum bench_part part;
        enum bench_link link;
        size_t len; /* bytes of a message */
};

enum { BENCH_FIGURES = 17 };
extern const struct bench_figure bench_figures[BENCH_FIGURES];

struct bench_result {
        double value[BENCH_ROUNDS_MAX]; /* of each slice: median ns, or messages/s */
        double ratio[BENCH_ROUNDS_MAX]; /* round trip: to the yardstick of the slice */
        struct histogram turns;
        uint64_t messages, stalls, parks, wakes;
};

typedef _Atomic uint64_t bench_word;

/* Shared by the sides and their parent. */
struct bench_shared {
        MEASURE_APART bench_word ping;          /* near */
        MEASURE_APART bench_word pong;          /* far */
        MEASURE_APART bench_word met_initiator; /* meetings so far */
        MEASURE_APART bench_word met_reflector;
        MEASURE_APART bench_word slices; /* done; near */
        MEASURE_APART int64_t clock_ns;  /* what reading the clock takes; near, like the rest */
        struct histogram yard;
        struct bench_result result[BENCH_FIGURES];
};

struct bench {
        struct cli *cli;
        int cpu[2]; /* twice the same: there is only one */
        const char *placement;
        unsigned rounds;
        int64_t slice_ns;
        char name[BENCH_PAIRS][2][32];
        unsigned queues; /* made so far */
        int pipe[2][2];  /* there and back */
        struct bench_shared *shared;
};

/* ---- bench.c ------------------------------------------------------ */

/* "round trip, 56 B", for people. */
const char *bench_title(const struct bench_figure *f, char text[40]);
/* Does this machine allow it? */
int bench_possible(const struct bench *b, const struct bench_figure *f);

/* ---- bench_machine.c ---------------------------------------------- */

/* Chooses the processors, or takes those of --cpus. */
int bench_choose_cpus(struct bench *b);
int bench_pin(const struct bench *b, int cpu);

/* ---- bench_side.c ------------------------------------------------- */

/* The life of a side, in a process of its own. */
int bench_side_run(struct bench *b, int is_reflector);

/* ---- bench_figure.c ----------------------------------------------- */

/* Of those that are no NAN; NAN: there are none. */
double bench_median(const double *values, unsigned n);
/* Median of the ratios of two figures, round by round. */
double bench_ratio(const double *values, const double *base, unsigned n);

/* ---- bench_report.c ----------------------------------------------- */

/* A table, or JSON. */
int bench_report(const struct bench *b);

#endif
