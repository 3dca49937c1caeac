/* SPDX-License-Identifier: MIT */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H
/*
 * What all benchmarks share: two pinned sides, the yardstick, the order
 * of trials, the statistics, and how results are written.
 *
 * The yardstick is a bare ping-pong of two cache lines between the two
 * processors. There is one before and one after every trial. A trial whose
 * neighbours disagree by more than BENCH_DISAGREE is dropped: something
 * moved a processor, or took one away, meanwhile. So is a trial that was
 * disturbed (below). A latency is reported as a multiple of its own
 * yardsticks, a rate as a multiple of the rate of a named base that ran
 * in the same round; absolute figures stand beside both.
 *
 * What a ping-pong takes depends on where its two lines are: which part
 * of the shared cache holds them, and how far that is from either
 * processor. The medians of 64 pairs of lines were 239 to 384 ns, p10 to
 * p90 a range of 11 to 23 % (8 to 11 % among measurements of one pair).
 * One pair for a whole run would be an error of that size in all its
 * ratios. So each yardstick plays with BENCH_YARD_PAIRS pairs of lines,
 * one after the other, drawn at random from 8 MiB; and memory of a trial
 * begins at a random page of an arena (bench_trial_memory).
 *
 * Two virtual processors may be threads of one core, cores that share a
 * cache, or cores that do not, and may move at any time. The yardstick
 * shows it: its values form clusters, here called placements (placement.c).
 * Results of each are reported for themselves.
 *
 * A trap that costs a factor of eight: what one side writes in its loop
 * must not share a line, nor a pair of lines, with anything that the
 * other side reads. Whatever a side owns is therefore 128 bytes away
 * from everything else, its stack and its parameters included.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../src/measure/compiler.h"
#include "../src/measure/payload.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_DISAGREE 1.3
#define BENCH_BUFFER   ((size_t)10 << 20) /* bytes of a side's own buffer */

enum { BENCH_YARD_PAIRS = 16 };

/* ---- Options, from the command line of every benchmark ------------ */

struct bench_options {
        const char *suite;
        const char *out;  /* directory for SUITE.json, SUITE.tsv, SUITE.txt; NULL: none */
        const char *only; /* contenders whose names contain this; NULL: all */
        double seconds;
        uint64_t seed;
        int cpu[2];
        bool long_run, threads;
};

extern struct bench_options bench_options;

/* Reads the command line, pins the caller, starts the clock. Exits with 2 on
 * bad usage, with 77 when there are no two processors. Forks the partner: memory
 * made later is not the partner's, but for bench_trial_memory. */
void bench_begin(int argc, char **argv, const char *suite, double seconds);

/* ---- Two sides ----------------------------------------------------
 *
 * bench_processes: the caller, on the first processor, and its partner, a
 * child on the other that lives as long as the program and sleeps between
 * runs. A fork for each trial would cost as much time as the trial, and
 * leave the child to fault in every page; this pair has all pages mapped
 * before the first trial. What both use must come from bench_trial_memory,
 * or be older than bench_begin.
 *
 * bench_children: two children of this trial alone, for contenders that open
 * descriptors or start threads of their own. When one of them fails or hangs,
 * the result is negative.
 *
 * bench_threads: two threads of the caller, where memory is kept between
 * trials or too large for an arena; --threads makes bench_processes do so,
 * too.
 *
 * bench_crowd: the caller on the first processor, and many threads on the
 * others in turn. Where there are fewer processors than threads, these share
 * them, and yield whenever they cannot go on: that they have to is part of what
 * is measured, and no disturbance.
 *
 * A run is disturbed, and its trial dropped, when on either side
 *   - the scheduler took the processor away from a side that never sleeps:
 *     involuntary switches, and more than 3 % of the time not on it;
 *   - a side that sleeps (bench_children) was ready to run but did not for
 *     more than 3 % of the time, by /proc/thread-self/schedstat. Time of the
 *     process's own other threads does not count: they are part of the
 *     contender, and hide what others do to it. Involuntary switches would
 *     not do here: a fifth of all trials of sleepers have one that costs
 *     nothing, and a wake-up may be late without any. The share of such
 *     waiting is 0.1 % in the median, 1 % in the ninetieth percentile, then
 *     20 to 70 %;
 *   - of bench_processes: more than BENCH_FAULTS pages had to be mapped.
 */
enum { BENCH_FAULTS = 4, BENCH_CROWD = 64 /* at most */ };

/* What one side of a run is given, and leaves. */
struct bench_side {
        void *a, *b; /* the trial's own */
        uint64_t n;
        uint64_t batch;     /* messages of a batch, for contenders that have them */
        unsigned number;    /* of a crowd: 0, 1, ... */
        bool crowded;       /* of a crowd: others run on the same processor */
        unsigned char *buf; /* BENCH_BUFFER bytes, prefaulted, this side's alone */
        double begin, end;  /* of the timed part, on bench_now */
        double busy;        /* CPU ns in it; of bench_children: of the whole process */
        double slept;       /* voluntary switches in it, likewise */
        double waited;      /* ns in it: ready, but another program ran; of a side that
                               spins: with the time until both were there, and busy */
        long preempted, faults;
} MEASURE_APART;

typedef void bench_side_fn(struct bench_side *);

/* Run `mine` on the first processor and `theirs` on the other. Return ns per
 * operation: from the moment that all are there to the end of the slower; of
 * children, the timed part of `mine`; of a crowd, each of which has its part of n,
 * until `mine` has ended. */
double bench_processes(bench_side_fn *mine, bench_side_fn *theirs, void *a, void *b, uint64_t n);
double bench_threads(bench_side_fn *mine, bench_side_fn *theirs, void *a, void *b, uint64_t n);
double bench_crowd(bench_side_fn *mine, bench_side_fn *theirs, unsigned crowd, void *a, uint64_t n);
double bench_children(bench_side_fn *mine, bench_side_fn *theirs, void *a, void *b, uint64_t n);

/* Where children run from now on: on a processor each, or wherever the scheduler
 * likes. That they have to share one is then what is measured: such a run is
 * never disturbed. */
enum { BENCH_ANYWHERE = -1 };
void bench_place(int mine, int theirs);

/* A child says so itself, since joining is not to be counted. */
void bench_timed_begin(struct bench_side *side);
void bench_timed_end(struct bench_side *side);

enum bench_fate {
        BENCH_FINE,
        BENCH_PREEMPTED,
        BENCH_FAULTED,
        BENCH_DISAGREED,
        BENCH_FAILED,
        BENCH_FATES
};

extern enum bench_fate bench_fate; /* of the latest run */
extern const char *bench_running;  /* the contender, for messages */

/* The two sides of the latest run, as they left them. */
extern struct bench_side *bench_mine, *bench_theirs;

double bench_now(void); /* ns on CLOCK_MONOTONIC */
void bench_pin(int cpu);
void bench_unpin(void); /* to all processors that the program may use */
/* How many others there are beside the first side's, and the k-th of them, over and
 * over; the second side's is number 0. */
unsigned bench_other_cpus(void);
int bench_other_cpu(unsigned k);
uint64_t bench_random(void);
double bench_yardstick(void); /* ns per round trip */
__attribute__((noreturn, format(printf, 1, 2))) void bench_die(const char *format, ...);

static inline void bench_relax(void)
{
#if defined __x86_64__ || defined __i386__
        __builtin_ia32_pause();
#elif defined __aarch64__
        __asm__ __volatile__("yield");
#else
        __asm__ __volatile__("" ::: "memory");
#endif
}

/* ---- Memory -------------------------------------------------------
 *
 * Between bench_trial_memory(true) and (false), bench_shared takes from an
 * arena that both processes have at the same address, with all pages mapped;
 * so do malloc and operator new in programs linked with shared_heap.c, for
 * contenders that allocate by themselves. The arena starts afresh with the
 * next trial, at another page: lines near one processor, or far from both,
 * are not one contender's for a whole run. What is freed is not used again.
 */
void bench_trial_memory(bool on);
void *bench_shared(size_t bytes); /* zeroed, page-aligned, shared; never NULL */
void bench_unshare(void *mem, size_t bytes);

/* For shared_heap.c. Each allocation is MEASURE_APART from its neighbours. */
extern bool bench_in_trial_memory;
bool bench_is_trial_memory(const void *mem);
void *bench_trial_alloc(size_t align, size_t bytes);
size_t bench_trial_size(const void *mem);

/* For bench_begin and the partner. */
void bench_memory_begin(void);
void bench_memory_map(void); /* in this process, too */
void bench_sides_begin(void);

/* ---- Payload: src/measure/payload.h ------------------------------- */

__attribute__((noreturn, cold)) void bench_corrupt(const char *who, uint64_t number);

/* Lengths of the random mix: log-uniform from 8 to BENCH_MIX_MAX. */
#define BENCH_MIX_MAX  1016
#define BENCH_MIX_SLOT 1024 /* with a length in front */
extern uint16_t bench_mix[256];
double bench_mix_mean(void);

/* ---- Trials ------------------------------------------------------- */

enum bench_kind {
        BENCH_LATENCY, /* ratio: ns / yardstick */
        BENCH_RATE,    /* ratio: ns of the base / ns; shown as millions per second */
        BENCH_COST     /* ratio: ns / ns of the base */
};

/* Whose case is it? Of all rivals with the same metric, label and league, the one
 * with the lowest median is the best, in each placement: each case of the
 * league is shown as a ratio to it, and ours likewise to the best model. */
enum bench_role {
        BENCH_ALONE, /* in no league */
        BENCH_OURS,
        BENCH_RIVAL,
        BENCH_MODEL /* shows what is possible; nobody can use it */
};

struct bench_sample {
        double ns, yard;
        uint32_t round;
        bool kept;
};

/* One contender at one point of one metric. */
struct bench_case {
        const char *contender;
        const char *metric;
        const char *label; /* of the point: "56", "mix", "64 KiB" */
        double x;
        double bytes; /* payload of one operation; 0: not given */
        enum bench_kind kind;
        enum bench_role role;
        int league;
        bool base;   /* of its metric and point */
        bool across; /* one base, and one group, for all points of the metric */
        /* ns per operation, n operations; negative: not possible here, or it has
         * failed. The contender is then left out at this point. */
        double (*trial)(const struct bench_case *c, uint64_t n);
        const void *ctx;
        long arg, arg2;
        uint64_t most; /* operations of a trial; 0: no limit */
        /* The harness's own. */
        uint64_t n;
        int group;
        bool impossible;
        struct bench_sample *samples;
        size_t count, room;
};

/* Registers a case; cases with the same metric and label are one group and
 * run in the same round. Copied. Returns it, or NULL when --only excludes it. */
struct bench_case *bench_add(const struct bench_case *c);

/* Runs rounds over all groups until the time is over, and reports each case
 * as a row. target_ns: how long a trial should last. */
void bench_run(double seconds, double target_ns);

/* Runs fn between two yardsticks; the mean of both, negative: they disagree,
 * or fn was disturbed. */
double bench_bracket(double (*fn)(void *), void *ctx, double *result);

/* ---- Results ------------------------------------------------------ */

struct bench_spread {
        double low, median, high; /* p10, p50, p90 */
};

struct bench_spread bench_spread_of(double *values, size_t n); /* sorts */

/* ---- Placements: clusters of the yardstick ------------------------ */

enum { BENCH_PLACEMENTS = 4 }; /* at most */

struct bench_placements {
        int count; /* from the nearest to the farthest */
        struct {
                struct bench_spread yard;
                size_t count;
        } at[BENCH_PLACEMENTS];
};

struct bench_placements bench_find_placements(double *yards, size_t n); /* sorts */
/* -1: in none of them. */
int bench_placement_of(const struct bench_placements *p, double yard);
const char *bench_placement_name(int k);          /* "1" to "4" */
const struct bench_placements *bench_where(void); /* of all yardsticks of this run */
void bench_note_yard(double ns);

/* ---- Rows --------------------------------------------------------- */

struct bench_row {
        const char *metric, *contender, *label;
        const char *placement; /* "any", or bench_placement_name */
        double yard;           /* of that placement; 0: any */
        double x, bytes;
        const char *unit;
        bool rate; /* the table shows millions per second */
        struct bench_spread value;
        const char *ratio_of; /* "" when there is no ratio */
        struct bench_spread ratio;
        unsigned trials, dropped;
        bool series;     /* too many for a table */
        bool ratio_only; /* the table shows no value: another row does */
};

void bench_add_row(const struct bench_row *row); /* strings must stay */
void bench_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void bench_report_cases(const struct bench_case *cases, size_t n,
                        const struct bench_placements *where);
/* Median ratio of a row; negative when it rests on fewer than ten trials.
 * placement: NULL: the one with most trials. */
double bench_ratio(const char *metric, const char *contender, const char *label,
                   const char *placement);

/* Table on standard output; with --out also SUITE.json, .tsv and .txt. */
void bench_end(void);

/* Machine, kernel, compiler, packages as members of a JSON object. */
void bench_machine_json(FILE *to);
void bench_machine_text(FILE *to);

void bench_progress(const char *what, double part, unsigned trials, unsigned dropped);

#ifdef __cplusplus
}
#endif
#endif
