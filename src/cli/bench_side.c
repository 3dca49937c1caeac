/* SPDX-License-Identifier: MIT */
/*
 * sluice bench: what the two sides do. The near side sends first and holds
 * the clock; the far side answers, or takes. Every word of every message is
 * written, and compared where it arrives.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../measure/roundtrip.h"
#include "bench_message.h"

#define WARM      16    /* turns of a slice that do not count */
#define YARD_PART 4     /* of a round trip's slice, one part is the yardstick's */
#define BURST     16384 /* bytes of a stream between two looks at the clock */

/* ---- Loops -------------------------------------------------------- */

/* A rendezvous: what was written before it is visible after it. So the
 * other has read the end of a yardstick, and this may take it back: at the
 * meeting behind it, long before the next one. */
static void meet(struct side *s)
{
        struct bench_shared *const shared = s->bench->shared;
        bench_word *const own = s->is_reflector ? &shared->met_reflector : &shared->met_initiator;
        bench_word *const other = s->is_reflector ? &shared->met_initiator : &shared->met_reflector;

        atomic_store_explicit(own, ++s->met, memory_order_release);
        for (unsigned i = 0; atomic_load_explicit(other, memory_order_acquire) < s->met; i++)
                if (i >= 1000)
                        sched_yield();
        atomic_store_explicit(s->mine, 0, memory_order_relaxed);
}

/* What a round trip goes through, and the near side's clock. */
struct way {
        struct side *side;
        enum bench_link link;
        size_t len;
        sluice_deadline wait;
        int64_t until, before;
};

MEASURE_INLINE int way_put(void *way, uint64_t n)
{
        const struct way *const w = way;

        return put(w->side, w->link, w->len, n);
}

MEASURE_INLINE int way_get(void *way, uint64_t n)
{
        const struct way *const w = way;
        const int r = get(w->side, w->link, w->len, n, w->wait);

        if (r)
                w->side->number = n;
        return r;
}

/* Each turn is timed: what reading the clock takes is taken off. */
MEASURE_INLINE int way_turned(void *way, uint64_t n)
{
        struct way *const w = way;
        const int64_t now = sluice_now_ns();

        if (n > WARM)
                histogram_add(&w->side->turns, now - w->before - w->side->clock_ns);
        w->before = now;
        return n > WARM && now >= w->until ? ENDED : 0;
}

/* Turns until the time is over. */
MEASURE_INLINE int near_turns(struct side *s, enum bench_link link, size_t len,
                              sluice_deadline wait, int64_t ns)
{
        struct way w = {s, link, len, wait, sluice_now_ns() + ns, 0};
        const int r = roundtrip_initiator(&w, way_put, way_get, way_turned, UINT64_MAX);

        return r == ENDED ? put(s, link, len, PAYLOAD_LAST) : r;
}

MEASURE_INLINE int far_turns(struct side *s, enum bench_link link, size_t len, sluice_deadline wait,
                             int64_t ns)
{
        struct way w = {.side = s, .link = link, .len = len, .wait = wait};

        (void)ns;
        return roundtrip_reflector(&w, way_put, way_get, UINT64_MAX);
}

MEASURE_INLINE int near_stream(struct side *s, enum bench_link link, size_t len,
                               sluice_deadline wait, int64_t ns)
{
        const unsigned burst = len < BURST ? (unsigned)(BURST / len) : 1;
        const int64_t until = sluice_now_ns() + ns;

        (void)wait;
        for (uint64_t n = 1;;) {
                for (const uint64_t end = n + burst; n < end; n++) {
                        const int r = put(s, link, len, n);

                        if (r)
                                return r;
                }
                s->number = n;
                if (sluice_now_ns() >= until)
                        return put(s, link, len, PAYLOAD_LAST);
        }
}

MEASURE_INLINE int far_stream(struct side *s, enum bench_link link, size_t len,
                              sluice_deadline wait, int64_t ns)
{
        (void)ns;
        for (uint64_t n = 1;; n++) {
                const int r = get(s, link, len, n, wait);

                if (r) {
                        s->number = n;
                        return r;
                }
        }
}

/* A loop of its own for each figure, so that lengths are constants in it, as
 * they mostly are in a program. */
#define LOOPS(NAME, TURNS, STREAM)                                                              \
        static __attribute__((noinline)) int NAME(struct side *s, enum bench_part part,         \
                                                  enum bench_link link, size_t len, int64_t ns) \
        {                                                                                       \
                if (part == BENCH_SLEEP)                                                        \
                        return TURNS(s, link, len, SLUICE_FOREVER, ns);                         \
                if (link == BENCH_LINES)                                                        \
                        return TURNS(s, BENCH_LINES, 0, SLUICE_NOW, ns);                        \
                if (link == BENCH_PIPE)                                                         \
                        return STREAM(s, BENCH_PIPE, len, SLUICE_FOREVER, ns);                  \
                SIZE(8, TURNS, STREAM)                                                          \
                SIZE(56, TURNS, STREAM)                                                         \
                SIZE(64, TURNS, STREAM)                                                         \
                SIZE(120, TURNS, STREAM)                                                        \
                SIZE(248, TURNS, STREAM)                                                        \
                SIZE(1016, TURNS, STREAM)                                                       \
                SIZE(4088, TURNS, STREAM)                                                       \
                return STREAM(s, BENCH_QUEUE, len, SLUICE_FOREVER, ns);                         \
        }
#define SIZE(LEN, TURNS, STREAM)                                                              \
        if (len == (LEN))                                                                     \
                return part == BENCH_STREAM ? STREAM(s, BENCH_QUEUE, LEN, SLUICE_FOREVER, ns) \
                                            : TURNS(s, BENCH_QUEUE, LEN, SLUICE_NOW, ns);

LOOPS(near_loop, near_turns, near_stream)
LOOPS(far_loop, far_turns, far_stream)

/* ---- Slices: a far and a near half of each ------------------------ */

/* adds = -1 before, 1 after: what happened in between is left. Library
 * errors as of sluice_stat. */
static int count_stalls(const struct side *s, const struct bench_figure *f, struct bench_result *r,
                        int adds)
{
        const uint64_t sign = (uint64_t)(int64_t)adds;
        struct sluice_queue_stat st;
        int error;

        if (f->link == BENCH_PIPE)
                return 0;
        error = sluice_stat(s->bench->name[f->link][0], &st);
        if (error)
                return error;
        r->stalls += sign * (st.producer.stalls + st.consumer.stalls);
        r->parks += sign * (st.producer.parks + st.consumer.parks);
        r->wakes += sign * (st.producer.wakes + st.consumer.wakes);
        return 0;
}

static int near_stream_slice(struct side *s, const struct bench_figure *f, struct bench_result *to,
                             unsigned round)
{
        int64_t begin;
        int r = count_stalls(s, f, to, -1);

        meet(s);
        begin = sluice_now_ns();
        if (r == 0)
                r = near_loop(s, f->part, f->link, f->len, s->bench->slice_ns);
        if (r)
                return r;
        meet(s); /* all has arrived */
        to->value[round] = (double)s->number * 1e9 / (double)(sluice_now_ns() - begin);
        to->messages += s->number;
        return count_stalls(s, f, to, 1);
}

/* Into s->turns. */
static int time_turns(struct side *s, enum bench_part part, enum bench_link link, size_t len,
                      int64_t ns)
{
        meet(s);
        s->turns = (struct histogram){0};
        return near_loop(s, part, link, len, ns);
}

static int near_turns_slice(struct side *s, const struct bench_figure *f, struct bench_result *to,
                            unsigned round)
{
        const int64_t ns = f->part == BENCH_ROUND_TRIP ? s->bench->slice_ns / YARD_PART : 0;
        int r;

        if (ns) {
                r = time_turns(s, BENCH_ROUND_TRIP, BENCH_LINES, 0, ns);
                if (r)
                        return r;
                to->ratio[round] = 1 / histogram_percentile(&s->turns, 50);
                histogram_merge(&s->bench->shared->yard, &s->turns);
        }
        r = time_turns(s, f->part, f->link, f->len, s->bench->slice_ns - ns);
        if (r)
                return r;
        to->value[round] = histogram_percentile(&s->turns, 50);
        to->ratio[round] *= to->value[round];
        histogram_merge(&to->turns, &s->turns);
        return 0;
}

static int far_slice(struct side *s, const struct bench_figure *f)
{
        int r = ENDED;

        if (f->part == BENCH_ROUND_TRIP) {
                meet(s);
                r = far_loop(s, BENCH_ROUND_TRIP, BENCH_LINES, 0, 0);
        }
        if (r == ENDED) {
                meet(s);
                r = far_loop(s, f->part, f->link, f->len, 0);
        }
        if (r != ENDED)
                return r;
        if (f->part == BENCH_STREAM)
                meet(s);
        return 0;
}

static int slice(struct side *s, unsigned figure, unsigned round)
{
        const struct bench_figure *const f = &bench_figures[figure];
        struct bench_result *const to = &s->bench->shared->result[figure];

        if (s->is_reflector)
                return far_slice(s, f);
        if (f->part == BENCH_STREAM)
                return near_stream_slice(s, f, to, round);
        return near_turns_slice(s, f, to, round);
}

/* ---- A side's life ------------------------------------------------ */

static void measure_clock(struct side *s)
{
        int64_t before = sluice_now_ns();

        for (int i = 0; i < 10000; i++) {
                const int64_t now = sluice_now_ns();

                histogram_add(&s->turns, now - before);
                before = now;
        }
        s->clock_ns = (int64_t)histogram_percentile(&s->turns, 50);
        if (!s->is_reflector)
                s->bench->shared->clock_ns = s->clock_ns;
}

static int open_queues(struct side *s)
{
        struct bench *const b = s->bench;

        for (int i = 0; i < BENCH_PAIRS; i++) {
                struct sluice_options o = {.size = sizeof o, .flags = SLUICE_PREFAULT};
                int r;

                o.wake = i == BENCH_FIFO ? SLUICE_WAKE_FIFO : SLUICE_WAKE_FUTEX;
                o.spin_ns = i == BENCH_QUEUE ? SLUICE_SPIN_DEFAULT : SLUICE_SPIN_NONE;
                b->cli->name = b->name[i][s->is_reflector];
                r = ends_open(&s->ends[i], b->name[i][s->is_reflector],
                              b->name[i][!s->is_reflector], &o);
                if (r)
                        return cli_fail_open(b->cli, r);
        }
        b->cli->name = NULL;
        return 0;
}

/* A side that finds its peer gone reports nothing: the peer has, or its
 * exit code does. */
static int fail(struct side *s, const struct bench_figure *f, int r)
{
        static char title[40];

        if (r == -EPIPE || r == -EOWNERDEAD)
                return CLI_PEER;
        s->bench->cli->name = bench_title(f, title);
        if (r != WRONG)
                return cli_fail(s->bench->cli, r);
        cli_say(s->bench->cli,
                "message %llu arrived damaged or out of order at the %s side, on processor %d: "
                "check this machine's memory; if that is sound, please report a bug",
                (unsigned long long)s->number, s->is_reflector ? "far" : "near",
                s->bench->cpu[s->is_reflector]);
        return CLI_ERROR;
}

static void prepare(struct side *s, struct bench *b, int is_reflector)
{
        s->bench = b;
        s->is_reflector = is_reflector;
        s->mine = is_reflector ? &b->shared->pong : &b->shared->ping;
        s->theirs = is_reflector ? &b->shared->ping : &b->shared->pong;
        s->out_fd = b->pipe[is_reflector][1];
        s->in_fd = b->pipe[!is_reflector][0];
        close(b->pipe[is_reflector][0]);
        close(b->pipe[!is_reflector][1]);
}

static void close_queues(struct side *s)
{
        for (int i = 0; i < BENCH_PAIRS; i++)
                ends_close(&s->ends[i]);
}

static int run_rounds(struct side *s)
{
        const struct bench *const b = s->bench;

        measure_clock(s);
        for (unsigned round = 0; round < b->rounds; round++) {
                for (unsigned i = 0; i < BENCH_FIGURES; i++) {
                        int r;

                        if (!bench_possible(b, &bench_figures[i]))
                                continue;
                        r = slice(s, i, round);
                        if (r)
                                return fail(s, &bench_figures[i], r);
                        if (!s->is_reflector)
                                atomic_fetch_add(&b->shared->slices, 1);
                }
        }
        meet(s); /* neither side leaves before the other has received all */
        close_queues(s);
        return 0;
}

int bench_side_run(struct bench *b, int is_reflector)
{
        /* Behind a pointer, as handles mostly are: loops that the compiler made
         * for static ones have been slower by a third. */
        struct side *const s = aligned_alloc(4096, (sizeof *s + 4095) / 4096 * 4096);
        int code;

        if (!s)
                return cli_fail(b->cli, -ENOMEM);
        memset(s, 0, sizeof *s);
        prepare(s, b, is_reflector);
        code = open_queues(s); /* unpinned: with one processor, a side yields it */
        if (code == 0)
                code = bench_pin(b, b->cpu[is_reflector]);
        if (code == 0)
                code = run_rounds(s);
        free(s); /* nothing but the end of the process follows */
        return code;
}
