/* SPDX-License-Identifier: MIT */
/*
 * The loops of a contender, compiled for it: included once by each adapter
 * in peers/, C or C++, so that no message passes through a function pointer
 * and every size is a constant for everybody. The adapter defines
 *
 *      PEER, PEER_NAME         bench_peer_<PEER>, and what tables call it
 *      PEER_OPEN(MAX, MIX)     a ring of BENCH_RING_BYTES or the nearest, for
 *                              messages of up to MAX bytes: void *
 *      PEER_CLOSE(r, MAX, MIX)
 *
 * and one of three ways to pass a message. MAX and MIX are constants; len is
 * one where MIX is 0. All of them return 0 when nothing can be done: at once,
 * unless PEER_TRY_... are defined, which do.
 *
 *  copying
 *      PEER_PUSH(r, MAX, MIX, msg, len)
 *      PEER_POP(r, MAX, MIX, msg)
 *  in place; the pointer stays valid until commit, release
 *      PEER_RESERVE(r, MAX, MIX, len), PEER_COMMIT(r, MAX, MIX, len)
 *      PEER_PEEK(r, MAX, MIX, len), PEER_RELEASE(r, MAX, MIX, len)
 *      PEER_FLUSH(r), behind the last; or not defined
 *  batches of messages that stand side by side
 *      PEER_PUSH_N(r, MAX, msgs, count), PEER_POP_N(r, MAX, msgs, count)
 *
 * PEER_HANDLE: a type that *PEER_OPEN has, of which each loop works on a copy of
 * its own; r points to that.
 *
 * Between two looks in vain both sides pause in a stream, and do nothing where
 * an answer is waited for; unless PEER_WAIT is defined, or PEER_WAIT_ROOM for a
 * producer alone.
 *
 * A contender with batches finds the number of messages in `batch`, a variable
 * for everybody. PEER_FIXED: no mix.
 *
 * The mix goes to peers that copy with its length as a word in front, which
 * is what a user of a ring of slots, or of bytes, has to do as well. A peer
 * with lengths of its own defines PEER_OWN_LENGTH.
 */
#include "../src/measure/roundtrip.h"
#include "rings.h"

/* The transport of a round trip, from one side. */
struct bench_way {
        void *out, *in;
        unsigned char *buf;
};

#ifdef PEER_WAIT
#define BENCH_WAIT      PEER_WAIT
#define BENCH_WAIT_TURN PEER_WAIT
#else
#define BENCH_WAIT      bench_relax()
#define BENCH_WAIT_TURN (void)0
#endif
#ifndef PEER_WAIT_ROOM
#define PEER_WAIT_ROOM BENCH_WAIT
#endif

#ifdef PEER_HANDLE
#define BENCH_HANDLE         PEER_HANDLE
#define BENCH_ENTER(r, ring) PEER_HANDLE r##_handle = *(PEER_HANDLE *)(ring), *const r = &r##_handle
#define BENCH_LEAVE(r, ring) (*(PEER_HANDLE *)(ring) = r##_handle)
#else
#define BENCH_HANDLE         void
#define BENCH_ENTER(r, ring) void *const r = (ring)
#define BENCH_LEAVE(r, ring) (void)(r)
#endif

#define BENCH_PASTE_(a, b) a##b
#define BENCH_PASTE(a, b)  BENCH_PASTE_(a, b)

/* Message i of a loop: its length. */
#define BENCH_LEN(MAX, MIX, i) ((MIX) ? (size_t)bench_mix[(i)&255] : (size_t)(MAX))

#if defined PEER_PUSH_N

#define BENCH_LAP(MAX, MIX)                   \
        while (PEER_PUSH_N(r, MAX, m, batch)) \
                ;                             \
        while (PEER_POP_N(r, MAX, m, batch))  \
                ;
#define BENCH_ROUNDTRIP(TAG, MAX, MIX)
#define BENCH_PING(TAG) NULL
#define BENCH_PONG(TAG) NULL
#define BENCH_PUT_BODY(MAX, MIX)                                                  \
        for (uint64_t i = 1; i <= n;) {                                           \
                const size_t want = n - i + 1 < batch ? n - i + 1 : batch;        \
                size_t done = 0;                                                  \
                for (size_t k = 0; k < want; k++)                                 \
                        payload_fill(m + k * MAX, i + k, MAX);                    \
                for (;;) {                                                        \
                        done += PEER_PUSH_N(r, MAX, m + done * MAX, want - done); \
                        if (done == want)                                         \
                                break;                                            \
                        bench_relax();                                            \
                }                                                                 \
                i += want;                                                        \
        }
#define BENCH_GET_BODY(MAX, MIX)                                    \
        for (uint64_t i = 1; i <= n;) {                             \
                const size_t got = PEER_POP_N(r, MAX, m, batch);    \
                for (size_t k = 0; k < got; k++)                    \
                        if (!payload_good(m + k * MAX, i + k, MAX)) \
                                bench_corrupt(PEER_NAME, i + k);    \
                i += got;                                           \
                if (got == 0)                                       \
                        bench_relax();                              \
        }

#else

#if defined PEER_RESERVE
#ifndef PEER_TRY_RESERVE
#define PEER_TRY_RESERVE PEER_RESERVE
#define PEER_TRY_PEEK    PEER_PEEK
#endif
#define BENCH_LAP(MAX, MIX)                        \
        (void)m;                                   \
        while (PEER_TRY_RESERVE(r, MAX, MIX, MAX)) \
                PEER_COMMIT(r, MAX, MIX, MAX);     \
        PEER_FLUSH(r);                             \
        while (PEER_TRY_PEEK(r, MAX, MIX, MAX))    \
                PEER_RELEASE(r, MAX, MIX, MAX);
#define BENCH_SEND(r, MAX, MIX, i, WAIT)                       \
        do {                                                   \
                const size_t len = BENCH_LEN(MAX, MIX, i);     \
                void *to;                                      \
                while (!(to = PEER_RESERVE(r, MAX, MIX, len))) \
                        WAIT;                                  \
                payload_fill(to, i, len);                      \
                PEER_COMMIT(r, MAX, MIX, len);                 \
        } while (0)
#define BENCH_RECEIVE(r, MAX, MIX, i, WAIT)                   \
        do {                                                  \
                const size_t len = BENCH_LEN(MAX, MIX, i);    \
                const void *from;                             \
                while (!(from = PEER_PEEK(r, MAX, MIX, len))) \
                        WAIT;                                 \
                if (!payload_good(from, i, len))              \
                        bench_corrupt(PEER_NAME, i);          \
                PEER_RELEASE(r, MAX, MIX, len);               \
        } while (0)
#else
#ifdef PEER_OWN_LENGTH
#define BENCH_PREFIX(MIX) 0
#else
#define BENCH_PREFIX(MIX) ((MIX) ? 8 : 0)
#endif
#define BENCH_LAP(MAX, MIX)                    \
        while (PEER_PUSH(r, MAX, MIX, m, MAX)) \
                ;                              \
        while (PEER_POP(r, MAX, MIX, m))       \
                ;
#define BENCH_SEND(r, MAX, MIX, i, WAIT)                                    \
        do {                                                                \
                const size_t len = BENCH_LEN(MAX, MIX, i);                  \
                if (BENCH_PREFIX(MIX))                                      \
                        *(payload_word *)(void *)m = len;                   \
                payload_fill(m + BENCH_PREFIX(MIX), i, len);                \
                while (!PEER_PUSH(r, MAX, MIX, m, len + BENCH_PREFIX(MIX))) \
                        WAIT;                                               \
        } while (0)
#define BENCH_RECEIVE(r, MAX, MIX, i, WAIT)                                 \
        do {                                                                \
                const size_t len = BENCH_LEN(MAX, MIX, i);                  \
                while (!PEER_POP(r, MAX, MIX, m))                           \
                        WAIT;                                               \
                if (BENCH_PREFIX(MIX) && *(payload_word *)(void *)m != len) \
                        bench_corrupt(PEER_NAME, i);                        \
                if (!payload_good(m + BENCH_PREFIX(MIX), i, len))           \
                        bench_corrupt(PEER_NAME, i);                        \
        } while (0)
#endif

#ifndef PEER_FLUSH
#define PEER_FLUSH(r) (void)(r)
#endif

#define BENCH_PUT_BODY(MAX, MIX)                            \
        for (uint64_t i = 1; i <= n; i++)                   \
                BENCH_SEND(r, MAX, MIX, i, PEER_WAIT_ROOM); \
        PEER_FLUSH(r);
#define BENCH_GET_BODY(MAX, MIX)          \
        for (uint64_t i = 1; i <= n; i++) \
                BENCH_RECEIVE(r, MAX, MIX, i, BENCH_WAIT);

#ifdef PEER_STREAM_ONLY
#define BENCH_ROUNDTRIP(TAG, MAX, MIX)
#define BENCH_PING(TAG) NULL
#define BENCH_PONG(TAG) NULL
#else
#define BENCH_ROUNDTRIP(TAG, MAX, MIX)                                                \
        MEASURE_INLINE int send_##TAG(void *way, uint64_t i)                          \
        {                                                                             \
                const struct bench_way *const w = (const struct bench_way *)way;      \
                BENCH_HANDLE *const r = (BENCH_HANDLE *)w->out;                       \
                unsigned char *const m = w->buf;                                      \
                (void)m;                                                              \
                BENCH_SEND(r, MAX, MIX, i, BENCH_WAIT_TURN);                          \
                return 0;                                                             \
        }                                                                             \
        MEASURE_INLINE int receive_##TAG(void *way, uint64_t i)                       \
        {                                                                             \
                const struct bench_way *const w = (const struct bench_way *)way;      \
                BENCH_HANDLE *const r = (BENCH_HANDLE *)w->in;                        \
                unsigned char *const m = w->buf;                                      \
                (void)m;                                                              \
                BENCH_RECEIVE(r, MAX, MIX, i, BENCH_WAIT_TURN);                       \
                return 0;                                                             \
        }                                                                             \
        static MEASURE_NOINLINE void ping_##TAG(struct bench_side *s)                 \
        {                                                                             \
                BENCH_ENTER(out, s->a);                                               \
                BENCH_ENTER(in, s->b);                                                \
                struct bench_way w = {out, in, s->buf};                               \
                (void)roundtrip_initiator(&w, send_##TAG, receive_##TAG, NULL, s->n); \
        }                                                                             \
        static MEASURE_NOINLINE void pong_##TAG(struct bench_side *s)                 \
        {                                                                             \
                BENCH_ENTER(out, s->b);                                               \
                BENCH_ENTER(in, s->a);                                                \
                struct bench_way w = {out, in, s->buf};                               \
                (void)roundtrip_reflector(&w, send_##TAG, receive_##TAG, s->n);       \
        }
#define BENCH_PING(TAG) ping_##TAG
#define BENCH_PONG(TAG) pong_##TAG
#endif
#endif

/* Messages in bursts of `batch`, each answered with one of 8 bytes. */
#if defined PEER_PUSH_N || defined PEER_STREAM_ONLY
#define BENCH_BURSTS(TAG, MAX, MIX)
#define BENCH_BURST(TAG)  NULL
#define BENCH_ANSWER(TAG) NULL
#else
#define BENCH_BURSTS(TAG, MAX, MIX)                                             \
        static MEASURE_NOINLINE void burst_##TAG(struct bench_side *s)          \
        {                                                                       \
                BENCH_ENTER(r, s->a);                                           \
                BENCH_ENTER(back, s->b);                                        \
                const uint64_t n = s->n, batch = s->batch;                      \
                unsigned char *const m = s->buf;                                \
                (void)m;                                                        \
                for (uint64_t i = 0; i < n;) {                                  \
                        for (uint64_t k = 0; k < batch; k++, i++)               \
                                BENCH_SEND(r, MAX, MIX, i, BENCH_WAIT_TURN);    \
                        BENCH_RECEIVE(back, 8, 0, i, BENCH_WAIT_TURN);          \
                }                                                               \
        }                                                                       \
        static MEASURE_NOINLINE void answer_##TAG(struct bench_side *s)         \
        {                                                                       \
                BENCH_ENTER(r, s->a);                                           \
                BENCH_ENTER(back, s->b);                                        \
                const uint64_t n = s->n, batch = s->batch;                      \
                unsigned char *const m = s->buf;                                \
                (void)m;                                                        \
                for (uint64_t i = 0; i < n;) {                                  \
                        for (uint64_t k = 0; k < batch; k++, i++)               \
                                BENCH_RECEIVE(r, MAX, MIX, i, BENCH_WAIT_TURN); \
                        BENCH_SEND(back, 8, 0, i, BENCH_WAIT_TURN);             \
                }                                                               \
        }
#define BENCH_BURST(TAG)  burst_##TAG
#define BENCH_ANSWER(TAG) answer_##TAG
#endif

/* Messages at the pace in b. */
#if defined PEER_PUSH_N || defined PEER_STREAM_ONLY
#define BENCH_PACES(TAG, MAX, MIX)
#define BENCH_PACED(TAG)   NULL
#define BENCH_CLOCKED(TAG) NULL
#else
#define BENCH_PACES(TAG, MAX, MIX)                                                      \
        static MEASURE_NOINLINE void paced_##TAG(struct bench_side *s)                  \
        {                                                                               \
                BENCH_ENTER(r, s->a);                                                   \
                struct bench_pace *const p = (struct bench_pace *)s->b;                 \
                const uint64_t n = s->n, gap = p->gap, start = bench_ticks() + gap;     \
                unsigned char *const m = s->buf;                                        \
                (void)m;                                                                \
                p->start = start;                                                       \
                for (uint64_t i = 0; i < n; i++) {                                      \
                        while ((int64_t)(bench_ticks() - start - i * gap) < 0)          \
                                ;                                                       \
                        BENCH_SEND(r, MAX, MIX, i, PEER_WAIT_ROOM);                     \
                }                                                                       \
        }                                                                               \
        static MEASURE_NOINLINE void clocked_##TAG(struct bench_side *s)                \
        {                                                                               \
                BENCH_ENTER(r, s->a);                                                   \
                const struct bench_pace *const p = (const struct bench_pace *)s->b;     \
                const uint64_t n = s->n, gap = p->gap;                                  \
                float *const late = p->late;                                            \
                unsigned char *const m = s->buf;                                        \
                (void)m;                                                                \
                for (uint64_t i = 0; i < n; i++) {                                      \
                        BENCH_RECEIVE(r, MAX, MIX, i, BENCH_WAIT);                      \
                        late[i] = (float)(int64_t)(bench_ticks() - p->start - i * gap); \
                }                                                                       \
        }
#define BENCH_PACED(TAG)   paced_##TAG
#define BENCH_CLOCKED(TAG) clocked_##TAG
#endif

#define BENCH_LOOP(TAG, MAX, MIX)                                    \
        static MEASURE_NOINLINE void put_##TAG(struct bench_side *s) \
        {                                                            \
                BENCH_ENTER(r, s->a);                                \
                const uint64_t n = s->n;                             \
                const size_t batch = s->batch;                       \
                unsigned char *const m = s->buf;                     \
                (void)m, (void)batch;                                \
                BENCH_PUT_BODY(MAX, MIX)                             \
        }                                                            \
        static MEASURE_NOINLINE void get_##TAG(struct bench_side *s) \
        {                                                            \
                BENCH_ENTER(r, s->a);                                \
                const uint64_t n = s->n;                             \
                const size_t batch = s->batch;                       \
                unsigned char *const m = s->buf;                     \
                (void)m, (void)batch;                                \
                BENCH_GET_BODY(MAX, MIX)                             \
        }                                                            \
        BENCH_ROUNDTRIP(TAG, MAX, MIX)                               \
        BENCH_BURSTS(TAG, MAX, MIX)                                  \
        BENCH_PACES(TAG, MAX, MIX)                                   \
        static void *open_##TAG(void)                                \
        {                                                            \
                void *const ring = PEER_OPEN(MAX, MIX);              \
                BENCH_ENTER(r, ring);                                \
                unsigned char *const m = bench_mine->buf;            \
                const size_t batch = bench_mine->batch;              \
                (void)batch;                                         \
                *(payload_word *)(void *)m = (MAX)-8;                \
                BENCH_LAP(MAX, MIX)                                  \
                BENCH_LEAVE(r, ring);                                \
                return ring;                                         \
        }                                                            \
        static void close_##TAG(void *r)                             \
        {                                                            \
                PEER_CLOSE(r, MAX, MIX);                             \
        }

#define BENCH_ENTRY(TAG, MAX, MIX)                                                              \
        {                                                                                       \
                MAX, MIX, open_##TAG, close_##TAG, put_##TAG, get_##TAG, BENCH_PING(TAG),       \
                        BENCH_PONG(TAG), BENCH_BURST(TAG), BENCH_ANSWER(TAG), BENCH_PACED(TAG), \
                        BENCH_CLOCKED(TAG)                                                      \
        }

/* clang-format would lay these out in two ways in turn. */
/* clang-format off */
#define BENCH_SIZES(X) \
        X(8, 8, 0) X(16, 16, 0) X(24, 24, 0) X(32, 32, 0) X(48, 48, 0) X(56, 56, 0) X(64, 64, 0) \
        X(120, 120, 0) X(248, 248, 0) X(504, 504, 0) X(1016, 1016, 0) X(4088, 4088, 0)
/* clang-format on */

#ifdef PEER_PUSH_N
#define PEER_FIXED 1
#endif

BENCH_SIZES(BENCH_LOOP)
#ifndef PEER_FIXED
BENCH_LOOP(mix, 1024, 1)
#endif

#define BENCH_ENTRY_COMMA(TAG, MAX, MIX) BENCH_ENTRY(TAG, MAX, MIX),
static const struct bench_loops loops[] = {BENCH_SIZES(BENCH_ENTRY_COMMA)
#ifndef PEER_FIXED
                                                   BENCH_ENTRY(mix, 1024, 1)
#endif
};

const struct bench_peer BENCH_PASTE(bench_peer_, PEER) = {PEER_NAME, loops,
                                                          sizeof loops / sizeof *loops};
