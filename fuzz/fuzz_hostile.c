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
#include "hostile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- calls and what they may answer ------------------------------- */

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
