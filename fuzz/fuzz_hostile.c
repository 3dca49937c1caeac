/* SPDX-License-Identifier: MIT */
/*
 * Property: whatever the peer writes, and however it changes a word
 * between two loads of it, an endpoint
 *   - touches nothing outside the ring and the caller's buffers,
 *   - writes nothing into the peer's half,
 *   - answers each call with an error that is documented for it,
 *   - answers -EBADMSG for ever once it has said so,
 *   - makes a bounded number of shared accesses per call.
 *
 * Input: 4 bytes (role, mode, geometry), then operations: reserve to release, or,
 * with the bit SHAPES of the role, the calls of long.h and extra.h. Modes:
 *   scribble  bytes of the input are written into the peer's half (for a
 *             consumer: also into the ring) between the calls
 *   forge     each load of a word of the peer's half answers what the
 *             input says
 *   inherit   like scribble, and also into the endpoint's own half and
 *             the header, before it joins and joins again
 */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define SLUICE_ATOMIC_HEADER "atomic_hook.h"
#include "util.h"

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#elif defined __SANITIZE_ADDRESS__
#define WITH_ASAN 1
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(where, len)   ((void)(where), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(where, len) ((void)(where), (void)(len))
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                    \
        do {                                                                                  \
                if (!(condition)) {                                                           \
                        fprintf(stderr, "fuzz_hostile: line %d: %s\n", __LINE__, #condition); \
                        abort();                                                              \
                }                                                                             \
        } while (0)

enum { SCRIBBLE, FORGE, INHERIT, MODES };
enum { SHAPES = 64 };

#define ARENA (64u << 10)

static struct {
        const uint8_t *data;
        size_t left;
        unsigned char *arena; /* between two inaccessible pages */
        struct test_rig r;
        struct sluice_geometry made; /* what the header said at first */
        int producer;                /* the role under attack */
        int mode;
        int forging;
        int poisoned;
        uint64_t accesses;   /* of the running call */
        unsigned char *peer; /* the half that the endpoint must not write */
        size_t peer_bytes;
        unsigned char before[512];
        size_t reserved;
        unsigned char *payload;
        int shapes;
        struct sluice_long message; /* of calls that put pieces together */
} f;

static volatile unsigned char sink;

static uint8_t byte(void)
{
        if (f.left == 0)
                return 0;
        f.left--;
        return *f.data++;
}

static uint64_t number(unsigned bytes)
{
        uint64_t value = 0;

        while (bytes-- > 0)
                value = value << 8 | byte();
        return value;
}

/* A word that a peer may think of: near the truth more often than not. */
static uint64_t wicked(uint64_t truth)
{
        const uint8_t how = byte();
        const uint64_t align = f.r.geometry.record_align, capacity = f.r.geometry.capacity;

        switch (how % 16) {
        case 0:
                return 0;
        case 1:
                return number(8);
        case 2:
                return number(2) << 3 | (1 + how / 16 % 7);
        case 3:
                return number(4) << 3 | 1;
        case 4:
                return (capacity / 2 - 8 + (how >> 4) - 4) << 3 | 1;
        case 5:
                return (number(1) * align - 8) << 3 | 5;
        case 6:
                return ((how >> 4) * align - 8) << 3 | 1;
        case 7:
                return how >> 4 ? (uint64_t)(how >> 4) * 8 << 3 | 6 : 8;
        case 8:
                return truth + align;
        case 9:
                return truth - align;
        case 10:
                return truth + (how >> 4) * align;
        case 11:
                return truth + capacity - (how >> 4) * align;
        case 12:
                return truth ^ UINT64_C(1) << byte() % 64;
        default:
                return truth;
        }
}

static int in_peer(const void *where)
{
        const unsigned char *at = where, *ring = f.r.mem + 12288;

        if (at >= f.peer && at < f.peer + f.peer_bytes)
                return 1;
        return !f.producer && at >= ring && at < ring + f.r.geometry.capacity;
}

static uint64_t loaded(const sluice_word *word, uint64_t value)
{
        f.accesses++;
        return f.forging && in_peer((const void *)word) ? wicked(value) : value;
}

static void stored(const void *where, size_t len)
{
        f.accesses++;
        REQUIRE(len == 0 || !in_peer(where));
}

/* The memory ends where an inaccessible page begins, except for what its
 * alignment of 128 leaves over: that is poisoned. */
static void lay_out(void)
{
        const size_t page = 4096;

        if (!f.arena) {
                f.arena =
                        mmap(NULL, ARENA + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                REQUIRE(f.arena != MAP_FAILED);
                f.arena += page;
                REQUIRE(mprotect(f.arena, ARENA, PROT_READ | PROT_WRITE) == 0);
        }
        ASAN_UNPOISON_MEMORY_REGION(f.arena, ARENA);
        f.r.mem = f.arena + (ARENA - f.r.bytes) / 128 * 128;
        memset(f.r.mem, 0, f.r.bytes);
        ASAN_POISON_MEMORY_REGION(f.arena, (size_t)(f.r.mem - f.arena));
        ASAN_POISON_MEMORY_REGION(f.r.mem + f.r.bytes,
                                  (size_t)(f.arena + ARENA - f.r.mem) - f.r.bytes);
}

/* ---- the attack between two calls --------------------------------- */

static void scribble_at(size_t off)
{
        uint64_t value;

        memcpy(&value, f.r.mem + off, sizeof value);
        value = wicked(value);
        memcpy(f.r.mem + off, &value, sizeof value);
}

static void scribble(void)
{
        const uint64_t capacity = f.r.geometry.capacity, align = f.r.geometry.record_align;
        const uint8_t where = byte();
        uint64_t position;

        if (f.producer) {
                scribble_at(4096 + (where % 4 ? 0 : (size_t)(where / 4) * 8));
                return;
        }
        switch (where % 4) {
        case 0:
                scribble_at(8192 + (size_t)(where / 4 % 48) * 8);
                break;
        case 1:
                scribble_at(12288 + (size_t)(where / 4 * align % capacity));
                break;
        case 2: /* the very word that is looked at next */
                scribble_at(12288 + (sluice_priv_consumer_ring(&f.r.c, 0) == f.r.mem + 12288
                                             ? (size_t)(f.r.c.next % capacity)
                                             : 0));
                break;
        default: /* padding that is right, and something at the start */
                position = f.r.c.next % capacity;
                if (sluice_priv_consumer_ring(&f.r.c, 0) == f.r.mem + 12288 && position != 0)
                        test_poke(test_word(&f.r, position), (capacity - position - 8) << 3 | 5);
                scribble_at(12288);
                break;
        }
}

static void scribble_anywhere(void)
{
        static const size_t part[] = {0, 4096, 4096 + 256, 8192, 8192 + 128, 12288};
        const uint8_t where = byte();
        size_t off = part[where % 6] + (size_t)(where / 6) % 32 * 8;

        if (off >= f.r.bytes)
                off = 12288;
        scribble_at(off);
}

/* ---- calls and what they may answer ------------------------------- */

static void begin(void)
{
        f.accesses = 0;
        memcpy(f.before, f.peer, f.peer_bytes);
        f.forging = f.mode == FORGE;
}

static void end(long r, uint64_t most)
{
        f.forging = 0;
        REQUIRE(memcmp(f.before, f.peer, f.peer_bytes) == 0);
        REQUIRE(f.accesses <= most);
        if (f.poisoned)
                REQUIRE(r == -EBADMSG);
        if (r == -EBADMSG)
                f.poisoned = 1;
}

/* What a call that waits may look at before its deadline, long past, is
 * noticed. */
#define MOST_WAITING 300u
#define MOST         16u

/* op: half of a byte. */
static sluice_deadline deadline(uint8_t op)
{
        return op & 64 ? 1 : SLUICE_NOW;
}

static void attack_producer(uint8_t op)
{
        const size_t longest = f.r.geometry.capacity / 2 - 8;
        const sluice_deadline until = deadline(op);
        size_t len = (size_t)(number(1) * 8 % (longest + 9));
        void *payload = NULL;
        int r;

        begin();
        switch (op % 8) {
        case 0:
        case 1:
        case 2:
                r = sluice_reserve(&f.r.p, len, &payload, until);
                end(r, MOST_WAITING);
                REQUIRE(r == 0 || r == -EAGAIN || r == -ETIMEDOUT || r == -EMSGSIZE ||
                        r == -EPIPE || r == -EBADMSG);
                if (r == -EBADMSG)
                        f.reserved = 0;
                if (r == 0) {
                        REQUIRE(len <= longest);
                        f.payload = payload;
                        f.reserved = len + 1;
                        REQUIRE(f.payload >= f.r.mem + 12288 + 8);
                        REQUIRE(f.payload + len <= f.r.mem + f.r.bytes);
                        memset(payload, 0x77, len);
                }
                break;
        case 3:
        case 4:
                len = f.reserved ? len % f.reserved : len;
                r = op % 8 == 3 ? sluice_commit(&f.r.p, len) : sluice_stage(&f.r.p, len);
                end(r, MOST);
                REQUIRE(r == (f.reserved ? 0 : f.poisoned ? -EBADMSG : -EINVAL));
                f.reserved = 0;
                break;
        case 5:
                r = sluice_publish(&f.r.p);
                end(r, MOST);
                REQUIRE(r == 0 || r == -EBADMSG);
                f.reserved = 0;
                break;
        case 6:
                sluice_abort(&f.r.p);
                end(f.poisoned ? -EBADMSG : 0, MOST);
                f.reserved = 0;
                break;
        default: {
                unsigned char *from = malloc(len + 1);

                REQUIRE(from);
                memset(from, 0x33, len);
                r = sluice_send(&f.r.p, from, len, until);
                end(r, MOST_WAITING + MOST);
                REQUIRE(r == 0 || r == -EAGAIN || r == -ETIMEDOUT || r == -EMSGSIZE ||
                        r == -EPIPE || r == -EBADMSG);
                if (r == 0 || r == -EBADMSG)
                        f.reserved = 0;
                free(from);
                break;
        }
        }
}

/* The message lies in the ring, and is read to its last byte. */
static void look_at(const struct sluice_message *m)
{
        const unsigned char *data = m->data;

        REQUIRE(data >= f.r.mem + 12288 + 8);
        REQUIRE(m->len <= f.r.geometry.capacity / 2 - 8);
        REQUIRE(data + m->len <= f.r.mem + f.r.bytes);
        REQUIRE(data == f.r.mem + 12288 + 8 + m->position % f.r.geometry.capacity);
        /* No further ahead than an honest producer could be. */
        REQUIRE(m->position + ((m->len + 15) & ~(size_t)7) - sluice_consumer_position(&f.r.c) <=
                f.r.geometry.capacity - f.r.geometry.record_align);
        for (size_t i = 0; i < m->len; i++)
                sink = data[i];
}

static int handle(void *ctx, const struct sluice_message *m)
{
        unsigned *left = ctx;

        look_at(m);
        if (*left == 0)
                return -EIO;
        *left -= 1;
        return *left % 16 == 15;
}

static void attack_consumer(uint8_t op)
{
        const size_t longest = f.r.geometry.capacity / 2 - 8;
        const uint64_t before = sluice_consumer_position(&f.r.c);
        const sluice_deadline until = deadline(op);
        struct sluice_message m;
        unsigned left = op / 8 % 16;
        unsigned char *buf;
        size_t cap;
        ssize_t n;

        begin();
        switch (op % 8) {
        case 0:
        case 1:
                n = sluice_peek(&f.r.c, &m, until);
                end(n, MOST_WAITING);
                REQUIRE(n == 0 || n == -EAGAIN || n == -ETIMEDOUT || n == -EPIPE || n == -EBADMSG);
                if (n == 0)
                        look_at(&m);
                break;
        case 2:
        case 3:
                n = sluice_advance(&f.r.c);
                end(n, MOST);
                REQUIRE(n == 0 || n == -EINVAL || n == -EBADMSG);
                break;
        case 4:
                n = sluice_release(&f.r.c);
                end(n, MOST);
                REQUIRE(n == 0 || n == -EINVAL || n == -EBADMSG);
                break;
        case 5:
                n = sluice_drain(&f.r.c, handle, &left, 8);
                if (f.poisoned || n == -EBADMSG)
                        end(n, 8 * MOST);
                else
                        end(0, 8 * MOST);
                REQUIRE((n >= 0 && n <= 8) || n == -EIO || n == -EPIPE || n == -EBADMSG);
                break;
        default:
                cap = (size_t)(number(1) * 8 % (longest + 1));
                buf = malloc(cap ? cap : 1);
                REQUIRE(buf);
                n = sluice_recv(&f.r.c, buf, cap, until);
                end(n, MOST_WAITING + MOST);
                REQUIRE((n >= 0 && (size_t)n <= cap) || n == -EAGAIN || n == -ETIMEDOUT ||
                        n == -EPIPE || n == -EMSGSIZE || n == -EBADMSG);
                free(buf);
                break;
        }
        REQUIRE(sluice_consumer_position(&f.r.c) - before < 8 * f.r.geometry.capacity);
        REQUIRE(!f.poisoned || n == -EBADMSG);
}

/* ---- long.h and extra.h ------------------------------------------- */

/* A lap of the shortest records, each looked at as by a call of its own. */
static uint64_t most_of_a_lap(void)
{
        return f.r.geometry.capacity / 8 * MOST + MOST_WAITING;
}

/* Calls that answer a number keep it in bounds, whatever the peer says. */
static void ask_producer(void)
{
        const struct sluice_producer *p = &f.r.p;
        const uint64_t capacity = f.r.geometry.capacity;

        begin();
        REQUIRE(sluice_producer_used(p) <= capacity);
        REQUIRE(sluice_producer_pending(p) <= capacity / 8);
        REQUIRE(sluice_producer_room(p) <= capacity);
        sink = (unsigned char)sluice_producer_is_empty(p);
        end(f.poisoned ? -EBADMSG : 0, 4 * MOST);
}

static int is_of_send(int r)
{
        return r == 0 || r == -EAGAIN || r == -ETIMEDOUT || r == -EMSGSIZE || r == -EPIPE ||
               r == -EBADMSG;
}

static void send_any_length(uint8_t op, sluice_deadline until)
{
        const size_t len = (size_t)number(2) % (4 * f.r.geometry.capacity);
        const size_t begun = (size_t)number(1);
        unsigned char *const from = malloc(len + 1);
        size_t sent = begun;
        int r;

        REQUIRE(from);
        memset(from, 0x33, len);
        begin();
        r = sluice_send_long(&f.r.p, from, len, op, op & 8 ? &sent : NULL, until);
        if (r == 0 && f.poisoned && len != 0 && begun == len)
                r = -EBADMSG; /* nothing was left to send */
        end(r, (len / 8 + 2) * (MOST_WAITING + MOST));
        REQUIRE(is_of_send(r) || (r == -EINVAL && (op & 8) && begun > len));
        REQUIRE(r != 0 || !(op & 8) || sent == len);
        free(from);
}

static void send_tagged(uint8_t op, sluice_deadline until)
{
        static unsigned char piece[64];
        const struct iovec iov[3] = {{piece, op % 64}, {NULL, 0}, {piece, op / 2}};
        ssize_t r;

        begin();
        switch (op / 8 % 3) {
        case 0:
                r = sluice_offer(&f.r.p, piece, op % 64, op);
                break;
        case 1:
                r = sluice_sendv_tagged(&f.r.p, iov, 3, op, until);
                break;
        default:
                r = sluice_send_many(&f.r.p, iov, 3, until);
                REQUIRE(r <= 3);
                r = r > 0 ? 0 : r;
        }
        end(r, 3 * (MOST_WAITING + MOST));
        REQUIRE(is_of_send((int)r));
}

static void set_kind(uint8_t op)
{
        int r;

        begin();
        r = sluice_set_kind(&f.r.p, (enum sluice_kind)(op / 8 % 5));
        end(r, MOST);
        REQUIRE(r == 0 || r == -EINVAL || r == -EBADMSG);
}

static void attack_producer_shapes(uint8_t op)
{
        const sluice_deadline until = deadline(op);

        if (op % 4 < 2) {
                /* Whether it stays reserved depends on how far these come. */
                sluice_abort(&f.r.p);
                f.reserved = 0;
        }
        switch (op % 4) {
        case 0:
                send_any_length(op, until);
                break;
        case 1:
                send_tagged(op, until);
                break;
        case 2:
                set_kind(op);
                break;
        default:
                if (op & 8)
                        ask_producer();
                else
                        attack_producer(op / 8);
        }
}

static void ask_consumer(void)
{
        const struct sluice_consumer *c = &f.r.c;
        const uint64_t capacity = f.r.geometry.capacity;

        begin();
        REQUIRE(sluice_consumer_used(c) <= capacity);
        REQUIRE(sluice_consumer_pending(c) <= capacity / 8);
        REQUIRE(sluice_consumer_room(c) <= capacity);
        sink = (unsigned char)sluice_consumer_is_empty(c);
        end(f.poisoned ? -EBADMSG : 0, 3 * most_of_a_lap());
}

static int is_of_peek(ssize_t r)
{
        return r == 0 || r == -EAGAIN || r == -ETIMEDOUT || r == -EPIPE || r == -EBADMSG;
}

static ssize_t recv_any_length(sluice_deadline until)
{
        ssize_t n;

        begin();
        n = sluice_recv_long(&f.r.c, &f.message, until);
        end(n, 2 * most_of_a_lap());
        REQUIRE((n > 0 && (size_t)n <= f.message.cap) || n == -EMSGSIZE || is_of_peek(n));
        REQUIRE(f.message.len <= f.message.cap);
        return n;
}

static ssize_t peek_some(uint8_t op, sluice_deadline until)
{
        struct sluice_message m;
        ssize_t r;

        begin();
        r = op & 8 ? sluice_peek_piece(&f.r.c, &f.message, &m, until)
                   : sluice_peek_latest(&f.r.c, &m, until);
        end(r, 2 * most_of_a_lap());
        /* Between pieces of a message that are kept, which nobody should do. */
        REQUIRE(is_of_peek(r) || r == -EINVAL);
        if (r == 0)
                look_at(&m);
        return r;
}

static ssize_t give_back(uint8_t op)
{
        const uint64_t from = sluice_consumer_position(&f.r.c);
        ssize_t r;

        begin();
        if (op & 8)
                r = sluice_release_to(&f.r.c, op & 16 ? f.r.c.next : from + number(1) * 8);
        else
                r = sluice_skip_long(&f.r.c, &f.message);
        if (r == 0 && f.poisoned && !(op & 8))
                r = -EBADMSG; /* there was nothing to give up */
        end(r, most_of_a_lap());
        REQUIRE(r == 0 || r == -EINVAL || r == -EBADMSG);
        return r;
}

static void attack_consumer_shapes(uint8_t op)
{
        const uint64_t before = sluice_consumer_position(&f.r.c);
        const sluice_deadline until = deadline(op);
        ssize_t r;

        switch (op % 4) {
        case 0:
                r = recv_any_length(until);
                break;
        case 1:
                r = peek_some(op, until);
                break;
        case 2:
                r = give_back(op);
                break;
        default:
                if (op & 8)
                        ask_consumer();
                else
                        attack_consumer(op / 8);
                return;
        }
        REQUIRE(sluice_consumer_position(&f.r.c) - before < 8 * f.r.geometry.capacity);
        REQUIRE(!f.poisoned || r == -EBADMSG);
}

static void join(void)
{
        const uint64_t most = f.made.capacity / f.made.record_align + 32;
        int r;

        f.poisoned = 0;
        f.reserved = 0;
        begin();
        r = f.producer ? sluice_producer_attach(&f.r.p, f.r.mem, f.r.bytes)
                       : sluice_consumer_attach(&f.r.c, f.r.mem, f.r.bytes);
        /* Units may be 16 times smaller by now than they were. */
        end(r, most * 16);
        REQUIRE(r == 0 || r == -EINPROGRESS || r == -EPROTO || r == -EPROTOTYPE ||
                r == -EPROTONOSUPPORT || r == -EBADMSG);
        if (r == 0) {
                /* Whatever the header says by now: it fits the memory. */
                const uint64_t mask = f.producer ? f.r.p.mask : f.r.c.mask;
                const uint64_t unit = f.producer ? f.r.p.unit_mask : f.r.c.unit_mask;

                REQUIRE(12288 + mask + 1 <= f.r.bytes);
                f.r.geometry.capacity = (size_t)mask + 1;
                f.r.geometry.record_align = (uint32_t)unit + 1;
        } else if (r != -EBADMSG) {
                /* Nothing can be done with that one: a sound header again. */
                f.r.geometry = f.made;
                test_hook_stored = NULL;
                REQUIRE(sluice_ring_format(f.r.mem, f.r.bytes, &f.made) == 0);
                test_hook_stored = stored;
                join();
        }
}

static void leave(void)
{
        begin();
        if (f.producer)
                sluice_producer_detach(&f.r.p);
        else
                sluice_consumer_detach(&f.r.c);
        f.poisoned = 0;
        end(0, MOST);
}

static int set_up(void)
{
        static const uint32_t aligns[] = {8, 64, 16, 128, 32};
        const uint8_t role = byte(), mode = byte(), shape = byte(), first = byte();

        memset(&f.r, 0, sizeof f.r);
        f.producer = role % 2;
        f.shapes = role & SHAPES;
        f.mode = mode % MODES;
        f.forging = 0;
        f.r.geometry.record_align = aligns[shape % 5];
        f.r.geometry.capacity = (size_t)f.r.geometry.record_align << (2 + shape / 5 % 6);
        f.r.geometry.first_position = test_first(first % 3, f.r.geometry.record_align) +
                                      (uint64_t)(first / 3) * f.r.geometry.record_align;
        f.made = f.r.geometry;
        f.message = (struct sluice_long){.cap = (size_t)mode * 16};
        f.message.buf = malloc(f.message.cap + 1);
        REQUIRE(f.message.buf);
        f.r.bytes = sluice_ring_bytes(&f.r.geometry);
        lay_out();
        f.peer = f.r.mem + (f.producer ? 4096 : 8192);
        f.peer_bytes = f.producer ? sizeof(struct sluice_layout_consumer)
                                  : sizeof(struct sluice_layout_producer);
        return sluice_ring_format(f.r.mem, f.r.bytes, &f.r.geometry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 5 || size > 4096)
                return 0;
        test_hook_loaded = NULL;
        test_hook_stored = NULL;
        f.data = data;
        f.left = size;
        REQUIRE(set_up() == 0);
        test_hook_loaded = loaded;
        test_hook_stored = stored;
        join();
        while (f.left > 0) {
                const uint8_t op = byte();

                if (op % 16 == 15) {
                        if (op & 16)
                                leave();
                        join();
                } else if (op % 16 >= 12 && f.mode == INHERIT) {
                        scribble_anywhere();
                } else if (op % 16 >= 10 && f.mode != FORGE) {
                        scribble();
                } else if (f.producer) {
                        (f.shapes ? attack_producer_shapes : attack_producer)(op / 2);
                } else {
                        (f.shapes ? attack_consumer_shapes : attack_consumer)(op / 2);
                }
        }
        free(f.message.buf);
        return 0;
}
