/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_HOSTILE_H
#define FUZZ_HOSTILE_H
/*
 * The hostile peer of fuzz_hostile: the memory that it shares with an endpoint, what
 * it writes there between two calls, what it answers to loads within one, and
 * what every call must keep to. Shared accesses go through atomic_hook.h, so this
 * comes before all headers of the library. Needs _DEFAULT_SOURCE.
 */
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

#define REQUIRE(condition)                                                              \
        do {                                                                            \
                if (!(condition)) {                                                     \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
                        abort();                                                        \
                }                                                                       \
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

/* ---- around a call ------------------------------------------------ */

/* Before each call. */
static void begin(void)
{
        f.accesses = 0;
        memcpy(f.before, f.peer, f.peer_bytes);
        f.forging = f.mode == FORGE;
}

/* After it: r, what it returned; most: how many shared accesses it may make. */
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

#endif
