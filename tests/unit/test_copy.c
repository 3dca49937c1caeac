/* SPDX-License-Identifier: MIT */
/* Copies of payloads: every byte and no other, at any two offsets. */
#include "check.h"

enum { GUARD = 64, LONGEST = 65536 };

typedef void copy_function(void *to, const void *from, size_t len);

static copy_function *const directions[] = {sluice_priv_copy_in, sluice_priv_copy_out};

static const size_t long_lens[] = {504,  1016, 2040, 2047, 2048, 2049, 2050, 3000,  4087,  4088,
                                   4095, 4096, 4097, 6143, 6144, 6145, 8184, 16376, 65528, LONGEST};
#define LONG_LENS (sizeof long_lens / sizeof *long_lens)

static unsigned char from_room[LONGEST + 2 * GUARD] __attribute__((aligned(64)));
static unsigned char to_room[LONGEST + 2 * GUARD] __attribute__((aligned(64)));

/* ---- How the C library is asked ----------------------------------- */

static size_t calls, longest_call;

void *__real_memcpy(void *to, const void *from, size_t len);
void *__wrap_memcpy(void *to, const void *from, size_t len);
void *__wrap_memcpy(void *to, const void *from, size_t len)
{
        calls++;
        if (len > longest_call)
                longest_call = len;
        return __real_memcpy(to, from, len);
}

/* No call is so long that a C library uses a string instruction. */
static void asked_in_pieces(size_t len)
{
        test_eq(calls, (len + 2047) / 2048);
        test_eq(longest_call, len < 2048 ? len : 2048);
}

/* ---- What arrives ------------------------------------------------- */

static void arrived(size_t to, size_t from, size_t len)
{
        const unsigned char *const t = to_room + GUARD + to, *const f = from_room + GUARD + from;
        unsigned char guard[GUARD];

        memset(guard, 0xee, sizeof guard);
        test_eq(memcmp(t, f, len), 0);
        test_eq(memcmp(to_room, guard, GUARD), 0);
        test_eq(memcmp(t - to, guard, to), 0);
        test_eq(memcmp(t + len, guard, GUARD - to), 0);
}

static void copy_at(copy_function *copy, size_t to, size_t from, size_t len)
{
        test_at("%zu bytes from offset %zu to %zu", len, from, to);
        memset(to_room, 0xee, len + 2 * GUARD);
        copy(to_room + GUARD + to, from_room + GUARD + from, len);
        arrived(to, from, len);
}

static void at_all_offsets(copy_function *copy, size_t len)
{
        for (size_t to = 0; to < 16; to++)
                for (size_t from = 0; from < 16; from++)
                        copy_at(copy, to, from, len);
}

static void make_bytes(void)
{
        test_fill(from_room, sizeof from_room, 5);
}

Test(copy, short_lengths_at_all_offsets)
{
        make_bytes();
        for (size_t d = 0; d < 2; d++)
                for (size_t len = 0; len <= 300; len++)
                        at_all_offsets(directions[d], len);
}

Test(copy, long_lengths_at_all_offsets)
{
        make_bytes();
        for (size_t d = 0; d < 2; d++)
                for (size_t i = 0; i < LONG_LENS && long_lens[i] <= 8184; i++)
                        at_all_offsets(directions[d], long_lens[i]);
}

Test(copy, long_lengths_in_pieces)
{
        make_bytes();
        for (size_t d = 0; d < 2; d++) {
                for (size_t i = 0; i < LONG_LENS; i++) {
                        calls = longest_call = 0;
                        directions[d](to_room, from_room, long_lens[i]);
                        asked_in_pieces(long_lens[i]);
                        copy_at(directions[d], 3, 8, long_lens[i]);
                }
        }
}

/* ---- Lengths that the compiler knows ------------------------------ */

/* Always inline: the length is a constant where it is copied. */
static inline __attribute__((always_inline)) void copy_known(size_t len)
{
        test_at("%zu bytes, known", len);
        memset(to_room, 0xee, len + 2 * GUARD);
        calls = longest_call = 0;
        sluice_priv_copy_in(to_room + GUARD + 8, from_room + GUARD + 3, len);
        if (len > 256)
                asked_in_pieces(len);
        arrived(8, 3, len);
        sluice_priv_copy_out(to_room + GUARD + 3, from_room + GUARD + 8, len);
}

Test(copy, known_lengths)
{
        make_bytes();
        copy_known(0);
        copy_known(1);
        copy_known(7);
        copy_known(8);
        copy_known(9);
        copy_known(16);
        copy_known(17);
        copy_known(56);
        copy_known(120);
        copy_known(255);
        copy_known(256);
        copy_known(257);
        copy_known(1016);
        copy_known(2047);
        copy_known(2048);
        copy_known(2049);
        copy_known(4096);
        copy_known(6145);
        copy_known(LONGEST);
}

/* ---- Through a ring ----------------------------------------------- */

static void gather(struct test_rig *r, size_t first, size_t second)
{
        const struct iovec iov[2] = {{from_room, first}, {from_room + first, second}};
        const size_t len = first + second;

        test_at("%zu and %zu bytes", first, second);
        test_eq(sluice_sendv(&r->p, iov, 2, SLUICE_NOW), 0);
        memset(to_room, 0xee, len + GUARD);
        test_eq(sluice_recv(&r->c, to_room, LONGEST, SLUICE_NOW), (ssize_t)len);
        test_eq(memcmp(to_room, from_room, len), 0);
        test_eq(to_room[len], 0xee);
}

Test(copy, long_messages_through_a_ring)
{
        struct test_rig r;

        make_bytes();
        test_open(&r, 4096, 64, 0);
        for (size_t i = 0; i < LONG_LENS; i++) {
                const size_t len = long_lens[i];

                test_eq(sluice_send(&r.p, from_room + 5, len, SLUICE_NOW), 0);
                test_eq(sluice_recv(&r.c, to_room + 3, LONGEST, SLUICE_NOW), (ssize_t)len);
                test_eq(memcmp(to_room + 3, from_room + 5, len), 0);
                gather(&r, len / 3, len - len / 3);
        }
        test_rig_close(&r);
}
