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
        int err;                               /* the handle is poisoned with this, or 0 */
};

/* What a consumer has observed of how messages come: pace.h. */
struct sluice_priv_pace {
        uint64_t stride; /* bytes of the latest record, as the next may have */
        uint64_t passed; /* messages, when the ring was last found empty behind one */
        int64_t since_ns;
        uint64_t from_passed, from_position; /* likewise, when this period began */
        int64_t from_ns;
        unsigned times;     /* that the ring was found empty in this period */
        unsigned sparse;    /* periods in a row, modulo SLUICE_PRIV_TRIAL */
        int64_t backoff_ns; /* a stream: how long to back off; else 0 */
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
        uint64_t position;       /* end of the last published record */
        uint64_t reserved;       /* SLUICE_PRIV_RESERVED, 0: nothing is */
        uint64_t first;          /* header of the first staged record, stored last */
        uint64_t messages;       /* published, ever */
        uint64_t staged;         /* messages finished and not published */
        struct sluice_layout_producer *own;
        const struct sluice_layout_consumer *peer;
        uint64_t seen; /* the consumer's position when last looked at */
        unsigned char unused[256];
};

struct sluice_consumer {
        struct sluice_priv_endpoint base;
        uintptr_t ring; /* where it begins, counted from `base.nothing` */
        uint64_t mask;
        uint64_t unit_mask;
        uint64_t max_len;
        uint64_t next;           /* where the current or next message begins */
        uint64_t end;            /* of the current message; next: there is none */
        uint64_t word;           /* its header, checked */
        uint64_t contiguous_end; /* a record at next that ends by here needs no other check */
        uint64_t position;       /* released */
        uint64_t held;           /* messages passed by advance, not released */
        uint64_t messages;       /* released, ever */
        struct sluice_layout_consumer *own;
        const struct sluice_layout_producer *peer;
        struct sluice_priv_pace pace;
        unsigned char unused[256];
};

SLUICE_PRIV_END

#endif
