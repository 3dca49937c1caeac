/* SPDX-License-Identifier: MIT */
/*
 * Messages of 1 KiB to 1 MiB. What limits them is memcpy, so that is the
 * base: "memcpy twice" copies through a buffer of the message's size, as a copy
 * in and a copy out do; "memcpy once" writes and reads each byte once, as the
 * writer and the reader of a message in place do. These copy as sluice does, by
 * plain moves, from and to the same places in a page; so does the writer
 * in place, whose payload is 8 bytes behind a cache line. The payload is a block that
 * is made in advance; its first and last words carry the number and are
 * compared always, the rest of one message in eight. The ring is the default
 * of 256 KiB up to 64 KiB, and four messages long beyond; a wide one is
 * sixteen long. Frames of 4 MiB go through a ring of 1 MiB in pieces. Both sides of
 * a ring are processes. The limit of what two
 * cores can pass to each other is "index": no header, no state to survive a
 * crash, and the message as it is.
 */
#define _GNU_SOURCE
#include "large.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "sluice/ring.h"

#if __has_include(<jack/ringbuffer.h>)
#include <jack/ringbuffer.h>
#define HAVE_JACK 1
#endif

#define SEED 77 /* number of the block */

struct rig {
        MEASURE_APART struct sluice_producer p;
        MEASURE_APART struct sluice_consumer c;
        MEASURE_APART _Atomic uint64_t tail; /* of the index ring */
        MEASURE_APART _Atomic uint64_t head;
        MEASURE_APART size_t len, bytes, slots;
        unsigned char *mem;
        void *jack;
};

static void mark(unsigned char *block, size_t len, uint64_t number)
{
        ((payload_word *)(void *)block)[0] = number;
        ((payload_word *)(void *)block)[len / 8 - 1] = number;
}

static void compare(const unsigned char *block, size_t len, uint64_t number, const char *who)
{
        const payload_word *w = (const void *)block;

        if (w[0] != number || w[len / 8 - 1] != number ||
            (number % 8 == 0 && !payload_good(block + 8, SEED + 1, len - 16)))
                bench_corrupt(who, number);
}

/* Reads all of it: what a reader in place does at least. */
static uint64_t sum(const unsigned char *block, size_t len)
{
        const payload_word *w = (const void *)block;
        uint64_t all = 0;

        for (size_t i = 0; i < len / 8; i++)
                all += w[i];
        return all;
}

static void compare_sum(uint64_t all, size_t len, uint64_t number, const char *who)
{
        const uint64_t inner = len / 8 - 2;

        if (all != 2 * number + inner * SEED + inner * (inner + 1) / 2)
                bench_corrupt(who, number);
}

/* ---- One thread, no ring: the limits ------------------------------ */

static double plain(const struct bench_case *c, uint64_t n)
{
        const size_t len = (size_t)c->arg;
        unsigned char *from = bench_mine->buf, *through = from + BENCH_BUFFER / 5 * 2 + 8;
        unsigned char *to = bench_theirs->buf;
        double start;

        payload_fill(from, SEED, len);
        start = bench_now();
        for (uint64_t i = 1; i <= n; i++) {
                mark(from, len, i);
                sluice_priv_copy_in(through, from, len);
                __asm__ __volatile__("" : : "r"(through) : "memory");
                if (c->arg2 == 2) {
                        sluice_priv_copy_out(to, through, len);
                        __asm__ __volatile__("" : : "r"(to) : "memory");
                }
        }
        return (bench_now() - start) / (double)n;
}

/* ---- sluice ------------------------------------------------------- */

static void put_copy(struct bench_side *s)
{
        struct rig *r = s->a;
        const size_t len = r->len;

        payload_fill(s->buf, SEED, len);
        for (uint64_t i = 1; i <= s->n; i++) {
                mark(s->buf, len, i);
                while (sluice_send(&r->p, s->buf, len, SLUICE_NOW) != 0)
                        bench_relax();
        }
}

static void get_copy(struct bench_side *s)
{
        struct rig *r = s->a;
        const size_t len = r->len;

        for (uint64_t i = 1; i <= s->n; i++) {
                while (sluice_recv(&r->c, s->buf, BENCH_BUFFER, SLUICE_NOW) < 0)
                        bench_relax();
                compare(s->buf, len, i, "sluice copying");
        }
}

static void put_place(struct bench_side *s)
{
        struct rig *r = s->a;
        const size_t len = r->len;
        void *to;

        payload_fill(s->buf, SEED, len);
        for (uint64_t i = 1; i <= s->n; i++) {
                mark(s->buf, len, i);
                while (sluice_reserve(&r->p, len, &to, SLUICE_NOW) != 0)
                        bench_relax();
                sluice_priv_copy_in(to, s->buf, len);
                (void)sluice_commit(&r->p, len);
        }
}

static void get_place(struct bench_side *s)
{
        struct rig *r = s->a;
        const size_t len = r->len;
        struct sluice_message m;

        for (uint64_t i = 1; i <= s->n; i++) {
                while (sluice_peek(&r->c, &m, SLUICE_NOW) != 0)
                        bench_relax();
                compare_sum(sum(m.data, len), len, i, "sluice in place");
                (void)sluice_release(&r->c);
        }
}

/* ---- sluice, in pieces -------------------------------------------- */

static void put_long(struct bench_side *s)
{
        struct rig *r = s->a;
        const size_t len = r->len;

        payload_fill(s->buf, SEED, len);
        for (uint64_t i = 1; i <= s->n; i++) {
                size_t sent = 0;

                mark(s->buf, len, i);
                while (sluice_send_long(&r->p, s->buf, len, 0, &sent, SLUICE_NOW) != 0)
                        bench_relax();
        }
}

static void get_long(struct bench_side *s)
{
        struct rig *r = s->a;
        const size_t len = r->len;
        struct sluice_long l = {.buf = s->buf, .cap = BENCH_BUFFER};

        for (uint64_t i = 1; i <= s->n; i++) {
                while (sluice_recv_long(&r->c, &l, SLUICE_NOW) < 0)
                        bench_relax();
                compare(s->buf, len, i, "sluice copying pieces");
        }
}

static void get_pieces(struct bench_side *s)
{
        struct rig *r = s->a;
        const size_t len = r->len;
        struct sluice_long l = {.buf = NULL};
        struct sluice_message m;

        for (uint64_t i = 1; i <= s->n; i++) {
                uint64_t all = 0;

                do {
                        while (sluice_peek_piece(&r->c, &l, &m, SLUICE_NOW) != 0)
                                bench_relax();
                        all += sum(m.data, m.len);
                        (void)sluice_release(&r->c);
                } while (m.kind != SLUICE_LAST);
                compare_sum(all, len, i, "sluice, pieces in place");
        }
}

/* ---- The textbook ring and JACK's --------------------------------- */

static void put_index(struct bench_side *s)
{
        struct rig *r = s->a;
        const size_t len = r->len;

        payload_fill(s->buf, SEED, len);
        for (uint64_t i = 1; i <= s->n; i++) {
                mark(s->buf, len, i);
                while (i - 1 - atomic_load_explicit(&r->head, memory_order_acquire) == r->slots)
                        bench_relax();
                memcpy(r->mem + (i - 1) % r->slots * len, s->buf, len);
                atomic_store_explicit(&r->tail, i, memory_order_release);
        }
}

static void get_index(struct bench_side *s)
{
        struct rig *r = s->a;
        const size_t len = r->len;

        for (uint64_t i = 1; i <= s->n; i++) {
                while (atomic_load_explicit(&r->tail, memory_order_acquire) < i)
                        bench_relax();
                memcpy(s->buf, r->mem + (i - 1) % r->slots * len, len);
                atomic_store_explicit(&r->head, i, memory_order_release);
                compare(s->buf, len, i, "index");
        }
}

static void get_index_place(struct bench_side *s)
{
        struct rig *r = s->a;
        const size_t len = r->len;

        for (uint64_t i = 1; i <= s->n; i++) {
                while (atomic_load_explicit(&r->tail, memory_order_acquire) < i)
                        bench_relax();
                compare_sum(sum(r->mem + (i - 1) % r->slots * len, len), len, i, "index in place");
                atomic_store_explicit(&r->head, i, memory_order_release);
        }
}

#ifdef HAVE_JACK
static void put_jack(struct bench_side *s)
{
        struct rig *r = s->a;
        const size_t len = r->len;

        payload_fill(s->buf, SEED, len);
        for (uint64_t i = 1; i <= s->n; i++) {
                mark(s->buf, len, i);
                while (jack_ringbuffer_write_space(r->jack) < len)
                        bench_relax();
                jack_ringbuffer_write(r->jack, (const void *)s->buf, len);
        }
}

static void get_jack(struct bench_side *s)
{
        struct rig *r = s->a;
        const size_t len = r->len;

        for (uint64_t i = 1; i <= s->n; i++) {
                while (jack_ringbuffer_read_space(r->jack) < len)
                        bench_relax();
                jack_ringbuffer_read(r->jack, (void *)s->buf, len);
                compare(s->buf, len, i, "jack_ringbuffer");
        }
}
#endif

/* ---- Cases -------------------------------------------------------- */

enum which { COPY, PLACE, COPY_WIDE, PLACE_WIDE, LONG, PIECES, INDEX, INDEX_PLACE, JACK };

#define FRAME      ((size_t)4 << 20)
#define FRAME_RING ((size_t)1 << 20)

/* A ring for four or sixteen messages at least; 256 KiB at least. */
static size_t capacity_for(enum which w, size_t len)
{
        const size_t messages = w == COPY_WIDE || w == PLACE_WIDE ? 16 : 4;
        size_t capacity = SLUICE_CAPACITY_DEFAULT;

        if (w == LONG || w == PIECES)
                return FRAME_RING;
        while (capacity < messages * len)
                capacity *= 2;
        return capacity;
}

static double ring_trial(const struct bench_case *c, uint64_t n)
{
        static bench_side_fn *const put[] = {
                [COPY] = put_copy,        [PLACE] = put_place,       [COPY_WIDE] = put_copy,
                [PLACE_WIDE] = put_place, [LONG] = put_long,         [PIECES] = put_long,
                [INDEX] = put_index,      [INDEX_PLACE] = put_index,
#ifdef HAVE_JACK
                [JACK] = put_jack,
#endif
        };
        static bench_side_fn *const get[] = {
                [COPY] = get_copy,      [PLACE] = get_place,
                [COPY_WIDE] = get_copy, [PLACE_WIDE] = get_place,
                [LONG] = get_long,      [PIECES] = get_pieces,
                [INDEX] = get_index,    [INDEX_PLACE] = get_index_place,
#ifdef HAVE_JACK
                [JACK] = get_jack,
#endif
        };
        const size_t len = (size_t)c->arg;
        const struct sluice_geometry g = {.capacity = capacity_for((enum which)c->arg2, len)};
        struct rig *r;
        double ns;

        bench_trial_memory(true);
        r = bench_shared(sizeof *r);
        r->len = len;
        r->slots = g.capacity / len;
        r->bytes = sluice_ring_bytes(&g);
        r->mem = bench_shared(r->bytes);
#ifdef HAVE_JACK
        if (c->arg2 == JACK) {
                r->jack = jack_ringbuffer_create(g.capacity);
                memset(((jack_ringbuffer_t *)r->jack)->buf, 1, g.capacity);
        }
#endif
        if (c->arg2 <= PIECES && (sluice_ring_format(r->mem, r->bytes, &g) != 0 ||
                                  sluice_producer_attach(&r->p, r->mem, r->bytes) != 0 ||
                                  sluice_consumer_attach(&r->c, r->mem, r->bytes) != 0))
                bench_die("sluice: cannot make a ring");
        bench_trial_memory(false);
        ns = bench_processes(put[c->arg2], get[c->arg2], r, NULL, n);
#ifdef HAVE_JACK
        if (r->jack)
                jack_ringbuffer_free(r->jack);
#endif
        bench_unshare(r->mem, r->bytes);
        bench_unshare(r, sizeof *r);
        return ns;
}

static void add_frames(void)
{
        static const struct {
                const char *metric, *contender;
                long which; /* plain: how many copies */
                bool plain;
        } lines[] = {{"frames copied", "memcpy twice", 2, true},
                     {"frames copied", "sluice copying, 1 MiB ring", LONG, false},
                     {"frames in place", "memcpy once", 1, true},
                     {"frames in place", "sluice, 1 MiB ring", PIECES, false}};

        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
                const struct bench_case c = {.contender = lines[i].contender,
                                             .metric = lines[i].metric,
                                             .label = "4 MiB",
                                             .x = (double)FRAME,
                                             .bytes = (double)FRAME,
                                             .kind = BENCH_RATE,
                                             .base = lines[i].plain,
                                             .trial = lines[i].plain ? plain : ring_trial,
                                             .arg = (long)FRAME,
                                             .arg2 = lines[i].which};

                (void)bench_add(&c);
        }
}

void bench_large_add(void)
{
        static const struct {
                const char *metric, *contender;
                long which; /* plain: how many copies */
                bool plain;
        } lines[] = {
                {"large copied", "memcpy twice", 2, true},
                {"large copied", "sluice copying", COPY, false},
                {"large copied", "sluice copying, wide ring", COPY_WIDE, false},
                {"large copied", "index", INDEX, false},
#ifdef HAVE_JACK
                {"large copied", "jack_ringbuffer", JACK, false},
#endif
                {"large in place", "memcpy once", 1, true},
                {"large in place", "sluice", PLACE, false},
                {"large in place", "sluice, wide ring", PLACE_WIDE, false},
                {"large in place", "index", INDEX_PLACE, false},
        };
        static const char *const labels[] = {"1 KiB",  "4 KiB",   "16 KiB",
                                             "64 KiB", "256 KiB", "1 MiB"};

        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
                for (int k = 0; k < 6; k++) {
                        const long len = 1024L << 2 * k;
                        const struct bench_case c = {.contender = lines[i].contender,
                                                     .metric = lines[i].metric,
                                                     .label = labels[k],
                                                     .x = (double)len,
                                                     .bytes = (double)len,
                                                     .kind = BENCH_RATE,
                                                     .base = lines[i].plain,
                                                     .trial = lines[i].plain ? plain : ring_trial,
                                                     .arg = len,
                                                     .arg2 = lines[i].which};

                        (void)bench_add(&c);
                }
        add_frames();
}
