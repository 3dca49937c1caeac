/* SPDX-License-Identifier: MIT */
/*
 * Suite price: what it costs a stream that the queue could sleep, when it
 * never has to. The same loops over the ring of ring.h alone (the base), over
 * a named queue that sleeps by futex, and over one that sleeps on its FIFO;
 * all poll. "waiting" calls with SLUICE_FOREVER instead, so it may sleep when
 * it catches up. The sides are threads: a queue's two handles are opened by one
 * process, in turn. A last table says how many sleeps and wake-ups there were.
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "sluice/queue.h"

struct ends {
        MEASURE_APART struct sluice_producer p;
        MEASURE_APART struct sluice_consumer c;
        MEASURE_APART char end;
};

MEASURE_INLINE void put_loop(struct bench_side *s, size_t len, sluice_deadline until)
{
        struct sluice_producer *p = &((struct ends *)s->a)->p;
        void *to;

        for (uint64_t i = 1; i <= s->n; i++) {
                while (sluice_reserve(p, len, &to, until) != 0)
                        bench_relax();
                payload_fill(to, i, len);
                (void)sluice_commit(p, len);
        }
}

MEASURE_INLINE void get_loop(struct bench_side *s, size_t len, sluice_deadline until)
{
        struct sluice_consumer *c = &((struct ends *)s->a)->c;
        struct sluice_message m;

        for (uint64_t i = 1; i <= s->n; i++) {
                while (sluice_peek(c, &m, until) != 0)
                        bench_relax();
                if (m.len != len || !payload_good(m.data, i, len))
                        bench_corrupt("sluice", i);
                (void)sluice_release(c);
        }
}

#define LOOPS(LEN)                                                        \
        static MEASURE_NOINLINE void put_now_##LEN(struct bench_side *s)  \
        {                                                                 \
                put_loop(s, LEN, SLUICE_NOW);                             \
        }                                                                 \
        static MEASURE_NOINLINE void get_now_##LEN(struct bench_side *s)  \
        {                                                                 \
                get_loop(s, LEN, SLUICE_NOW);                             \
        }                                                                 \
        static MEASURE_NOINLINE void put_wait_##LEN(struct bench_side *s) \
        {                                                                 \
                put_loop(s, LEN, SLUICE_FOREVER);                         \
        }                                                                 \
        static MEASURE_NOINLINE void get_wait_##LEN(struct bench_side *s) \
        {                                                                 \
                get_loop(s, LEN, SLUICE_FOREVER);                         \
        }
LOOPS(8)
LOOPS(56)
LOOPS(248)
LOOPS(1016)

static const struct size {
        const char *label;
        double len;
        bench_side_fn *put[2], *get[2];
} sizes[] = {{"8", 8, {put_now_8, put_wait_8}, {get_now_8, get_wait_8}},
             {"56", 56, {put_now_56, put_wait_56}, {get_now_56, get_wait_56}},
             {"248", 248, {put_now_248, put_wait_248}, {get_now_248, get_wait_248}},
             {"1016", 1016, {put_now_1016, put_wait_1016}, {get_now_1016, get_wait_1016}}};

enum way { ALONE, FUTEX, FIFO, FUTEX_WAITS, FIFO_WAITS, WAYS };

static const char *const way_name[WAYS] = {"ring alone", "futex", "FIFO", "futex, waiting",
                                           "FIFO, waiting"};

/* Sleeps and wake-ups, and messages, of all trials. */
static double calls[WAYS][4], messages[WAYS][4];

static void must(int r, const char *what)
{
        if (r != 0)
                bench_die("sluice: %s: %s", what, sluice_strerror(r));
}

static double alone(const struct size *size, uint64_t n)
{
        const size_t bytes = sluice_ring_bytes(NULL);
        struct ends *e = bench_shared(sizeof *e);
        void *mem = bench_shared(bytes);
        double ns;

        must(sluice_ring_format(mem, bytes, NULL), "format");
        must(sluice_producer_attach(&e->p, mem, bytes), "attach");
        must(sluice_consumer_attach(&e->c, mem, bytes), "attach");
        ns = bench_threads(size->put[0], size->get[0], e, NULL, n);
        bench_unshare(mem, bytes);
        bench_unshare(e, sizeof *e);
        return ns;
}

static double trial(const struct bench_case *c, uint64_t n)
{
        const struct size *size = c->ctx;
        const enum way way = (enum way)c->arg;
        struct sluice_options o = SLUICE_OPTIONS_INIT;
        char directory[] = "/tmp/bench-XXXXXX", name[64];
        struct sluice_queue_stat st;
        struct ends *e;
        double ns;

        if (way == ALONE)
                return alone(size, n);
        e = bench_shared(sizeof *e);
        if (!mkdtemp(directory))
                bench_die("no directory for a queue");
        snprintf(name, sizeof name, "%s/queue", directory);
        o.flags = SLUICE_PREFAULT;
        o.wake = way == FIFO || way == FIFO_WAITS ? SLUICE_WAKE_FIFO : SLUICE_WAKE_FUTEX;
        must(sluice_create(name, &o), "create");
        must(sluice_producer_open(&e->p, name, &o), "producer");
        must(sluice_consumer_open(&e->c, name, &o), "consumer");
        ns = bench_threads(size->put[way >= FUTEX_WAITS], size->get[way >= FUTEX_WAITS], e, NULL,
                           n);
        must(sluice_stat(name, &st), "stat");
        calls[way][size - sizes] += (double)(st.producer.parks + st.producer.wakes +
                                             st.consumer.parks + st.consumer.wakes);
        messages[way][size - sizes] += (double)n;
        sluice_producer_close(&e->p);
        sluice_consumer_close(&e->c);
        must(sluice_remove(name), "remove");
        rmdir(directory);
        bench_unshare(e, sizeof *e);
        return ns;
}

int main(int argc, char **argv)
{
        bench_begin(argc, argv, "price", 40);
        for (int w = 0; w < WAYS; w++)
                for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
                        const struct bench_case c = {.contender = way_name[w],
                                                     .metric = "price",
                                                     .label = sizes[k].label,
                                                     .x = sizes[k].len,
                                                     .bytes = sizes[k].len,
                                                     .kind = BENCH_RATE,
                                                     .base = w == ALONE,
                                                     .trial = trial,
                                                     .ctx = &sizes[k],
                                                     .arg = w};

                        (void)bench_add(&c);
                }
        bench_run(bench_options.seconds, 3e6);
        for (int w = FUTEX; w < WAYS; w++)
                for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
                        const double v = 1e6 * calls[w][k] / messages[w][k];
                        const struct bench_row r = {
                                .metric = "price calls",
                                .contender = way_name[w],
                                .label = sizes[k].label,
                                .placement = "any",
                                .x = sizes[k].len,
                                .unit = "sleeps and wake-ups for a million messages",
                                .value = {v, v, v},
                                .ratio_of = "",
                                .ratio = {NAN, NAN, NAN},
                                .trials = 1};

                        if (!isnan(v))
                                bench_add_row(&r);
                }
        bench_end();
        return 0;
}
