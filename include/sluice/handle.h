/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_HANDLE_H
#define SLUICE_HANDLE_H
/*
 * The two handles. ring.h says what they are for.
 */
#include <stdint.h>

#include "atomic.h"
#include "layout.h"
#include "wait.h"

SLUICE_PRIV_BEGIN

/*
 * The ABI: sizes and fields of the handles and of struct sluice_message, and
 * what inline code and library agree on. The calls of queue.h that fill in a
 * handle pass this number and the size, and a library of another ABI answers
 * -EPROTONOSUPPORT and writes nothing. A field that is added takes room of
 * `unused`: the size stays. Rises with the soname.
 */
#define SLUICE_ABI 2u

/* What both handles begin with. */
struct sluice_priv_endpoint {
        sluice_word nothing; /* 0: what a consumer polls that is poisoned, or all zero */
        struct sluice_priv_doorbell doorbell;
        const struct sluice_priv_sleep *sleep; /* NULL: it cannot sleep */
        void *queue;                           /* of a named queue, else NULL */
        uint32_t slot;                         /* PROGRESS: the one that is not in force */
        unsigned polls;                        /* unsuccessful looks */
        unsigned looks;                        /* before a wait begins, each with a pause */
        int err;                               /* the handle is poisoned with this, or 0 */
};

/* What a consumer has measured of its ways to treat cache lines: pace.h. */
struct sluice_priv_pace {
        uint64_t from;        /* where this window began: a position, and a time */
        uint64_t from_ticks;  /* 0: not known */
        uint64_t price;       /* of the latest window: ticks * 1024 / bytes */
        uint64_t other_price; /* in a comparison: of the other way */
        unsigned way;         /* in force */
        unsigned available;   /* ways: 0: none is ever compared */
        unsigned differs;     /* in a comparison: what the other way differs in */
        unsigned step;        /* of a comparison */
        unsigned wins;        /* of the other way, in a row */
        unsigned gap, left;   /* windows between two comparisons, and until the next */
};

/* Handles are the caller's memory and must stay where they are while
 * they are attached or open. All fields are private. The last field is
 * spare, and keeps two handles that stand side by side off each other's
 * lines: 128 bytes of it always remain. */
struct sluice_producer {
        struct sluice_priv_endpoint base;
        unsigned char *ring;
        uint64_t mask;           /* capacity - 1 */
        uint64_t unit_mask;      /* record alignment - 1 */
        uint64_t max_len;        /* bytes */
        uint64_t tail;           /* end of the last staged record */
        uint64_t contiguous_end; /* a record at tail that ends by here needs no other check */
        uint64_t limit;          /* tail must not pass this position */
        uint64_t batch;          /* where the staged messages begin, if there are any */
        uint64_t reserved;       /* a header word, of kind 0: nothing is reserved */
        uint64_t usual;          /* its kind for a whole message */
        uint64_t first;          /* header of the first staged record, stored last */
        uint64_t messages;       /* published, ever */
        uint64_t told;           /* position in the slot in force: PROGRESS */
        uint64_t staged;         /* messages finished and not published */
        struct sluice_layout_producer *own;
        const struct sluice_layout_consumer *peer;
        uint64_t seen; /* the consumer's position when last looked at */
        unsigned char unused[240];
};

struct sluice_consumer {
        struct sluice_priv_endpoint base;
        uintptr_t ring; /* where it begins, counted from `base.nothing` */
        uint64_t mask;
        uint64_t unit_mask;
        uint64_t max_len;
        uint64_t next;           /* where the current or next message begins */
        uint64_t word;           /* the current message's header, checked; 0: there is none */
        uint64_t bytes;          /* of the current or latest record */
        uint64_t contiguous_end; /* a record at next that ends by here needs no other check */
        uint64_t behind;         /* bytes before next that are not released */
        uint64_t held;           /* messages passed by advance, not released */
        uint64_t messages;       /* released, ever */
        struct sluice_layout_consumer *own;
        const struct sluice_layout_producer *peer;
        struct sluice_priv_pace pace;
        unsigned char unused[256];
};

SLUICE_PRIV_END

#endif
