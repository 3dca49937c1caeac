/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "numbered.h"

#include <errno.h>
#include <string.h>

#include "util.h"

static size_t capacity(const struct numbered *q)
{
        return q->align == 8 ? 512 : 2048;
}

/* Positions pass 2^64 in the second lap. */
static uint64_t first(const struct numbered *q)
{
        return 0 - capacity(q) * 3 / 2;
}

size_t numbered_length(const struct numbered *q, uint64_t i)
{
        return (size_t)(20 + i * 13 % 37) * (q->align == 8 ? 1 : 4);
}

void numbered_fill(const struct numbered *q, void *to, uint64_t i)
{
        test_fill(to, numbered_length(q, i), i);
}

static uint64_t record(const struct numbered *q, uint64_t i)
{
        return (numbered_length(q, i) + 8 + q->align - 1) / q->align * q->align;
}

static uint64_t padding(const struct numbered *q, uint64_t position, uint64_t i)
{
        const uint64_t rest = capacity(q) - position % capacity(q);

        return record(q, i) > rest ? rest : 0;
}

uint64_t numbered_end(const struct numbered *q, uint64_t n)
{
        uint64_t position = first(q);

        for (uint64_t i = 0; i < n; i++)
                position += padding(q, position, i) + record(q, i);
        return position;
}

bool numbered_wraps(const struct numbered *q, uint64_t i)
{
        return padding(q, numbered_end(q, i), i) != 0;
}

/* ---- The queue ---------------------------------------------------- */

struct sluice_options numbered_options(const struct numbered *q, int wake, int64_t slice_ns)
{
        struct sluice_options o = SLUICE_OPTIONS_INIT;

        o.capacity = capacity(q);
        o.record_align = q->align;
        o.first_position = first(q);
        o.wake = wake;
        o.spin_ns = SLUICE_SPIN_NONE;
        o.slice_ns = slice_ns;
        return o;
}

int numbered_create(const struct numbered *q)
{
        const struct sluice_options o = numbered_options(q, 0, 0);

        return sluice_create(q->queue, &o);
}

/* They look for a dead peer often. */
int numbered_open_producer(struct numbered *q)
{
        const struct sluice_options o = numbered_options(q, q->wake, 1000000);

        return sluice_producer_open(&q->p, q->queue, &o);
}

int numbered_open_consumer(struct numbered *q)
{
        const struct sluice_options o = numbered_options(q, q->wake, 1000000);

        return sluice_consumer_open(&q->c, q->queue, &o);
}

int numbered_open(struct numbered *q)
{
        const int r = numbered_open_producer(q);

        return r ? r : numbered_open_consumer(q);
}

void numbered_close(struct numbered *q)
{
        sluice_producer_close(&q->p);
        sluice_consumer_close(&q->c);
}

/* ---- Traffic ------------------------------------------------------ */

int numbered_put(struct numbered *q, sluice_deadline until)
{
        const size_t len = numbered_length(q, q->sent);
        unsigned char bytes[NUMBERED_LONGEST];
        void *payload;
        int r;

        if (q->sent % 2 == 0) {
                numbered_fill(q, bytes, q->sent);
                r = sluice_send(&q->p, bytes, len, until);
        } else {
                r = sluice_reserve(&q->p, len, &payload, until);
                if (r)
                        return r;
                numbered_fill(q, payload, q->sent);
                r = sluice_commit(&q->p, len);
        }
        q->sent += r == 0;
        return r;
}

int numbered_take(struct numbered *q, sluice_deadline until)
{
        const uint64_t i = q->received;
        struct sluice_message m;
        const int r = sluice_peek(&q->c, &m, until);

        if (r)
                return r;
        NUMBERED_CHECK(m.len, numbered_length(q, i));
        NUMBERED_CHECK(m.position, numbered_end(q, i + 1) - record(q, i));
        NUMBERED_CHECK(test_matches(m.data, m.len, i), 1);
        q->received++;
        return sluice_release(&q->c);
}

int numbered_go_on(struct numbered *q)
{
        const uint64_t target = q->sent + 14;

        while (q->received < target) {
                int r = 0;

                while (q->sent < target && r == 0)
                        r = numbered_put(q, SLUICE_NOW);
                if (r)
                        NUMBERED_CHECK(r, -EAGAIN);
                do
                        r = numbered_take(q, SLUICE_NOW);
                while (r == 0);
                NUMBERED_CHECK(r, -EAGAIN);
                NUMBERED_CHECK(q->received, q->sent);
        }
        NUMBERED_CHECK(sluice_producer_messages(&q->p), q->sent);
        NUMBERED_CHECK(sluice_consumer_messages(&q->c), q->sent);
        NUMBERED_CHECK(sluice_producer_position(&q->p), numbered_end(q, q->sent));
        NUMBERED_CHECK(sluice_consumer_position(&q->c), numbered_end(q, q->sent));
        return 0;
}
