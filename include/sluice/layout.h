/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_LAYOUT_H
#define SLUICE_LAYOUT_H
/*
 * The shared memory of a queue, byte by byte. Frozen: a change of any
 * offset below is a new SLUICE_LAYOUT_VERSION. doc/layout.md says the
 * same in a table.
 *
 *      0     header          written once, by the creator
 *      4096  consumer half   written by the consumer only
 *      8192  producer half   written by the producer only
 *      12288 ring            written by the producer (the consumer may store again
 *                            what is there: doc/layout.md); later by payload_align - 8
 *
 * The halves are found through the offsets in the header, begin on a
 * page, and never point at each other, so that they may live in
 * separate segments one day. Words that different parties write, or
 * that are read in different rhythms, are 128 bytes apart: the
 * prefetcher of common CPUs fetches lines in pairs.
 *
 * A position is a free-running count of bytes since the queue was made;
 * masked with capacity - 1 it is an offset in the ring. Positions of
 * records are multiples of 8, which leaves three low bits for flags.
 *
 * A record is a header word, then the payload, then padding up to the
 * record alignment:
 *
 *      bits 0..2    kind: 0 no record, 1 a whole message, 2 to 4 the first,
 *                   a middle and the last piece of a long one, 5 padding,
 *                   6 a whole message, packed
 *      bits 3..31   length of the payload in bytes, without the header
 *      bits 32..63  tag, the application's own
 *
 * The low half of a published header is never 0: it is the word on
 * which a consumer sleeps. A padding record fills the ring up to its
 * end and is always followed by a message. A packed record ends at the next
 * multiple of 8; others of its batch follow it, and the last ends at a
 * multiple of the alignment, as all others do. Where no record is, the
 * word is 0, or SLUICE_LAYOUT_END behind the last record of a producer
 * that has closed.
 */
#include <stddef.h>
#include <stdint.h>

#include "atomic.h"

SLUICE_PRIV_BEGIN

#define SLUICE_LAYOUT_MAGIC      UINT64_C(0x00656369756c7300) /* "\0sluice\0" */
#define SLUICE_LAYOUT_VERSION    1u
#define SLUICE_LAYOUT_BYTE_ORDER 0x01020304u

#define SLUICE_LAYOUT_PAGE       4096u
#define SLUICE_LAYOUT_CONSUMER   4096u
#define SLUICE_LAYOUT_PRODUCER   8192u
#define SLUICE_LAYOUT_RING       12288u

/* Longest name of a queue in bytes, without the final 0. */
#define SLUICE_NAME_MAX 1023u

/* Written once by the creator before READY, then only read. Nobody
 * trusts it after attach: what is needed is copied and checked once. */
struct sluice_layout_header {
        sluice_word magic;        /* READY: stored last */
        uint32_t version;         /* SLUICE_LAYOUT_VERSION */
        uint32_t byte_order;      /* SLUICE_LAYOUT_BYTE_ORDER as the creator stores it */
        uint64_t capacity_bytes;  /* of the ring, a power of two */
        uint32_t record_align;    /* bytes, a power of two from 8 to 128 */
        uint32_t payload_align;   /* bytes, a power of two up to record_align; 0: 8 */
        uint64_t first_position;  /* of the first message ever */
        uint64_t consumer_offset; /* bytes from the start of the header */
        uint64_t producer_offset;
        uint64_t ring_offset;
        uint64_t total_bytes;           /* header, halves and ring */
        uint64_t generation;            /* differs between queues of one name */
        uint64_t device, inode;         /* of the queue's directory, 0 for a bare key */
        uint64_t type_id;               /* of what is sent; 0: anything */
        uint32_t type_size;             /* bytes of it */
        unsigned char unused[148];      /* 0 */
        char name[SLUICE_NAME_MAX + 1]; /* absolute path or key:0x..., 0-terminated */
};

/* How an endpoint is reached when it sleeps. */
struct sluice_layout_doorbell {
        /* 0 while awake. Asleep: the position that the peer has to reach
         * before it wakes this endpoint, plus flags. The position makes
         * values unique: a waker that remembers the last value that it
         * has answered never mistakes a later sleep for that one. */
        sluice_word parked;
        /* How often the role was taken, times 256, plus flags: it changes at
         * every attach and close, so whoever waits for a peer sleeps on it. */
        sluice_word state;
        /* Advice for the peer: 0 or more flags, and a note of the latest
         * wake-up call. It is free to ignore it, and ignores what it does not know. */
        sluice_word hint;
        unsigned char unused[104];
};

/* Flags of a parked word. */
#define SLUICE_LAYOUT_PARKED  UINT64_C(1) /* asleep, or about to be */
#define SLUICE_LAYOUT_BY_FIFO UINT64_C(2) /* wake with a byte in the FIFO, not by futex */
#define SLUICE_LAYOUT_FLAGS   UINT64_C(7)

/* Flags of a state word. */
#define SLUICE_LAYOUT_EPOCH     UINT64_C(256) /* one attach */
#define SLUICE_LAYOUT_ATTACHED  UINT64_C(1)   /* an endpoint has taken this role */
#define SLUICE_LAYOUT_CLOSED    UINT64_C(2)   /* ... and has left it in order */
#define SLUICE_LAYOUT_FENCELESS UINT64_C(4)   /* DOORBELL: the sleeper has to call membarrier */
#define SLUICE_LAYOUT_MUTE      UINT64_C(8) /* never wakes anybody: the peer sleeps in short slices */
#define SLUICE_LAYOUT_UNLOCKED  UINT64_C(16) /* holds no lock on its pipe: exec is not noticed */

/* Flags of a hint. The consumer's: what counts is how soon a whole message is
 * there, so the producer is asked to demote its lines (pace.h). */
#define SLUICE_LAYOUT_HINTS  UINT64_C(255)
#define SLUICE_LAYOUT_SPARSE UINT64_C(1)

/* The rest of a hint: where this endpoint was when it last woke its peer (the
 * CPU's number + 1; 0: not known), and when, in ns modulo 2^40. */
#define SLUICE_LAYOUT_WAKE_CPU        UINT64_C(0xffff00)
#define SLUICE_LAYOUT_WAKE_CPU_SHIFT  8
#define SLUICE_LAYOUT_WAKE_TIME_SHIFT 24

/* Flag of the consumer's position: it has closed. */
#define SLUICE_LAYOUT_POSITION_CLOSED UINT64_C(1)

/* Two slots, written in turn: PROGRESS. The consumer's slot in force is
 * the one that bears its released position, the producer's the one with
 * the greater position. */
struct sluice_layout_progress {
        struct {
                sluice_word messages; /* stored first */
                sluice_word position; /* stored second */
        } slot[2];
        unsigned char unused[96];
};

/* Counts of what is rare. Relaxed: for people to look at. */
struct sluice_layout_counters {
        sluice_word pid;        /* of the latest holder: a hint, never judged by */
        sluice_word stalls;     /* calls that had to wait: no message, no room */
        sluice_word parks;      /* sleeps in the kernel */
        sluice_word wakes;      /* wake-ups sent to the peer */
        sluice_word high_water; /* most bytes seen in use (producer) */
        sluice_word torn;       /* long messages that came in part (consumer) */
        sluice_word dropped;    /* messages not sent for want of room (producer) */
        unsigned char unused[72];
};

/* Written by the consumer. */
struct sluice_layout_consumer {
        sluice_word position; /* RELEASE; bit 0: closed */
        unsigned char unused[120];
        struct sluice_layout_doorbell doorbell;
        struct sluice_layout_progress progress;
        struct sluice_layout_counters counters;
};

/* Written by the producer, as is the ring behind it. */
struct sluice_layout_producer {
        struct sluice_layout_doorbell doorbell;
        struct sluice_layout_progress progress;
        struct sluice_layout_counters counters;
};

/* Header words of records, and their kinds. 7 is spare. */
#define SLUICE_LAYOUT_HEADER_BYTES 8u
#define SLUICE_LAYOUT_KIND         UINT64_C(7)
#define SLUICE_LAYOUT_WHOLE        UINT64_C(1)
#define SLUICE_LAYOUT_FIRST        UINT64_C(2)
#define SLUICE_LAYOUT_MIDDLE       UINT64_C(3)
#define SLUICE_LAYOUT_LAST         UINT64_C(4)
#define SLUICE_LAYOUT_PADDING      UINT64_C(5)
#define SLUICE_LAYOUT_PACKED       UINT64_C(6)
#define SLUICE_LAYOUT_END          UINT64_C(8) /* the whole word, of kind 0 */

/* What a message is: whole, or a piece of a long one. */
enum sluice_kind { SLUICE_WHOLE = 0, SLUICE_FIRST, SLUICE_MIDDLE, SLUICE_LAST };

#define SLUICE_CAPACITY_DEFAULT     (UINT64_C(1) << 18) /* bytes */
#define SLUICE_CAPACITY_MAX         (UINT64_C(1) << 30) /* bytes */
#define SLUICE_RECORD_ALIGN_DEFAULT 64u                 /* bytes */
#define SLUICE_RECORD_ALIGN_MIN     8u
#define SLUICE_RECORD_ALIGN_MAX     128u
/* The smallest ring holds this many of the smallest records. */
#define SLUICE_CAPACITY_MIN_UNITS 4u

static inline uint64_t sluice_priv_header_word(uint64_t kind, uint64_t len, uint32_t tag)
{
        return (uint64_t)tag << 32 | len << 3 | kind;
}

static inline uint64_t sluice_priv_header_len(uint64_t word)
{
        return (word & UINT32_MAX) >> 3;
}

/* Is it the header of a message, or of a piece, that is not packed: kinds 1
 * to 4? */
static inline int sluice_priv_is_data(uint64_t word)
{
        return ((word - 1) & 4) == 0;
}

/* For these, and for a packed one. */
static inline enum sluice_kind sluice_priv_message_kind(uint64_t word)
{
        return (word & SLUICE_LAYOUT_KIND) == SLUICE_LAYOUT_PACKED
                       ? SLUICE_WHOLE
                       : (enum sluice_kind)((word & SLUICE_LAYOUT_KIND) - SLUICE_LAYOUT_WHOLE);
}

/* Bytes that a payload of len takes behind a multiple of the alignment. */
static inline uint64_t sluice_priv_record_bytes(uint64_t len, uint64_t unit_mask)
{
        return ((len + SLUICE_LAYOUT_HEADER_BYTES - 1) | unit_mask) + 1;
}

/* The end of the record with this header at any multiple of 8. */
static inline uint64_t sluice_priv_record_end(uint64_t position, uint64_t word, uint64_t unit_mask)
{
        const uint64_t to = (word & SLUICE_LAYOUT_KIND) == SLUICE_LAYOUT_PACKED ? 7 : unit_mask;

        return (position + SLUICE_LAYOUT_HEADER_BYTES + sluice_priv_header_len(word) + to) & ~to;
}

/* Bytes from a position to the end of the ring. */
static inline uint64_t sluice_priv_rest(uint64_t position, uint64_t mask)
{
        return mask + 1 - (position & mask);
}

/* How far records may go on without another check: as far as there is room, in
 * one piece, and no more than half the ring. So a record that fits there is
 * never longer than the longest message. */
static inline uint64_t sluice_priv_run(uint64_t room, uint64_t rest, uint64_t mask)
{
        const uint64_t half = (mask + 1) / 2, run = room < rest ? room : rest;

        return run < half ? run : half;
}

static inline sluice_word *sluice_priv_word(unsigned char *ring, uint64_t off)
{
        return (sluice_word *)(void *)(ring + off);
}

static inline const sluice_word *sluice_priv_peer_word(const unsigned char *ring, uint64_t off)
{
        return (const sluice_word *)(const void *)(ring + off);
}

/* One writer, for people to look at: relaxed, and no read-modify-write. */
static inline void sluice_priv_count(sluice_word *counter)
{
        sluice_priv_store_relaxed(counter, sluice_priv_load_relaxed(counter) + 1);
}

#define SLUICE_PRIV_AT(type, field, offset) \
        SLUICE_STATIC_ASSERT(offsetof(struct type, field) == (offset), #type "." #field)

SLUICE_PRIV_AT(sluice_layout_header, magic, 0);
SLUICE_PRIV_AT(sluice_layout_header, version, 8);
SLUICE_PRIV_AT(sluice_layout_header, byte_order, 12);
SLUICE_PRIV_AT(sluice_layout_header, capacity_bytes, 16);
SLUICE_PRIV_AT(sluice_layout_header, record_align, 24);
SLUICE_PRIV_AT(sluice_layout_header, payload_align, 28);
SLUICE_PRIV_AT(sluice_layout_header, first_position, 32);
SLUICE_PRIV_AT(sluice_layout_header, consumer_offset, 40);
SLUICE_PRIV_AT(sluice_layout_header, producer_offset, 48);
SLUICE_PRIV_AT(sluice_layout_header, ring_offset, 56);
SLUICE_PRIV_AT(sluice_layout_header, total_bytes, 64);
SLUICE_PRIV_AT(sluice_layout_header, generation, 72);
SLUICE_PRIV_AT(sluice_layout_header, device, 80);
SLUICE_PRIV_AT(sluice_layout_header, inode, 88);
SLUICE_PRIV_AT(sluice_layout_header, type_id, 96);
SLUICE_PRIV_AT(sluice_layout_header, type_size, 104);
SLUICE_PRIV_AT(sluice_layout_header, name, 256);
SLUICE_PRIV_AT(sluice_layout_doorbell, parked, 0);
SLUICE_PRIV_AT(sluice_layout_doorbell, state, 8);
SLUICE_PRIV_AT(sluice_layout_doorbell, hint, 16);
SLUICE_PRIV_AT(sluice_layout_progress, slot, 0);
SLUICE_PRIV_AT(sluice_layout_counters, pid, 0);
SLUICE_PRIV_AT(sluice_layout_counters, stalls, 8);
SLUICE_PRIV_AT(sluice_layout_counters, parks, 16);
SLUICE_PRIV_AT(sluice_layout_counters, wakes, 24);
SLUICE_PRIV_AT(sluice_layout_counters, high_water, 32);
SLUICE_PRIV_AT(sluice_layout_counters, torn, 40);
SLUICE_PRIV_AT(sluice_layout_counters, dropped, 48);
SLUICE_PRIV_AT(sluice_layout_consumer, position, 0);
SLUICE_PRIV_AT(sluice_layout_consumer, doorbell, 128);
SLUICE_PRIV_AT(sluice_layout_consumer, progress, 256);
SLUICE_PRIV_AT(sluice_layout_consumer, counters, 384);
SLUICE_PRIV_AT(sluice_layout_producer, doorbell, 0);
SLUICE_PRIV_AT(sluice_layout_producer, progress, 128);
SLUICE_PRIV_AT(sluice_layout_producer, counters, 256);
SLUICE_STATIC_ASSERT(sizeof(struct sluice_layout_header) == 1280, "header");
SLUICE_STATIC_ASSERT(sizeof(struct sluice_layout_doorbell) == 128, "doorbell");
SLUICE_STATIC_ASSERT(sizeof(struct sluice_layout_progress) == 128, "progress");
SLUICE_STATIC_ASSERT(sizeof(struct sluice_layout_counters) == 128, "counters");
SLUICE_STATIC_ASSERT(sizeof(struct sluice_layout_consumer) == 512, "consumer half");
SLUICE_STATIC_ASSERT(sizeof(struct sluice_layout_producer) == 384, "producer half");

SLUICE_PRIV_END

#endif
