/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <errno.h>
#include <string.h>

void model_init(struct model *m, uint64_t capacity, uint64_t align, uint64_t first)
{
        memset(m, 0, sizeof *m);
        m->capacity = capacity;
        m->align = align;
        m->published = m->released = m->known = first;
}

size_t model_longest(const struct model *m)
{
        return (size_t)m->capacity / 2 - 8;
}

uint64_t model_tail(const struct model *m)
{
        return m->finished > m->visible ? m->message[m->finished - 1].end : m->published;
}

static uint64_t record_bytes(const struct model *m, size_t len)
{
        return (len + 8 + m->align - 1) / m->align * m->align;
}

uint64_t model_place(const struct model *m, size_t len)
{
        const uint64_t tail = model_tail(m), left = m->capacity - tail % m->capacity;

        return record_bytes(m, len) <= left ? tail : tail + left;
}

/* All but one unit of the ring can be in use. */
static int fits(const struct model *m, uint64_t from, uint64_t end)
{
        return end - from <= m->capacity - m->align;
}

int model_reserve(struct model *m, size_t len)
{
        uint64_t end;

        if (len > model_longest(m))
                return -EMSGSIZE;
        end = model_place(m, len) + record_bytes(m, len);
        if (!fits(m, m->known, end)) {
                if (m->consumer_left)
                        return -EPIPE;
                m->known = m->released;
                if (!fits(m, m->released, end))
                        return fits(m, m->published, end) ? -EAGAIN : -EMSGSIZE;
        }
        m->reserved = len;
        m->have_reserved = 1;
        return 0;
}

int model_stage(struct model *m, size_t len, uint32_t tag)
{
        struct model_message *new = &m->message[m->finished];

        if (!m->have_reserved || len > m->reserved)
                return -EINVAL;
        new->number = m->messages_released + m->finished;
        new->position = model_place(m, m->reserved);
        new->end = new->position + record_bytes(m, len);
        new->len = len;
        new->tag = tag;
        m->finished++;
        m->have_reserved = 0;
        return 0;
}

int model_publish(struct model *m)
{
        m->have_reserved = 0;
        m->published = model_tail(m);
        m->messages_published += m->finished - m->visible;
        m->visible = m->finished;
        return 0;
}

int model_commit(struct model *m, size_t len, uint32_t tag)
{
        const int r = model_stage(m, len, tag);

        return r ? r : model_publish(m);
}

void model_abort(struct model *m)
{
        m->have_reserved = 0;
}

int model_peek(struct model *m, struct model_message *out)
{
        if (m->passed == m->visible)
                return m->producer_left ? -EPIPE : -EAGAIN;
        m->have_peeked = 1;
        *out = m->message[m->passed];
        return 0;
}

int model_advance(struct model *m)
{
        if (!m->have_peeked)
                return -EINVAL;
        m->have_peeked = 0;
        m->passed++;
        return 0;
}

int model_release(struct model *m)
{
        const unsigned n = m->passed + (m->have_peeked ? 1 : 0);

        if (n == 0)
                return -EINVAL;
        m->released = m->message[n - 1].end;
        m->messages_released += n;
        m->finished -= n;
        m->visible -= n;
        memmove(m->message, m->message + n, m->finished * sizeof m->message[0]);
        m->passed = 0;
        m->have_peeked = 0;
        return 0;
}

static void forget_unpublished(struct model *m)
{
        m->finished = m->visible;
        m->have_reserved = 0;
}

void model_producer_leaves(struct model *m)
{
        forget_unpublished(m);
        m->producer_left = 1;
}

void model_producer_joins(struct model *m)
{
        forget_unpublished(m);
        m->producer_left = 0;
        m->known = m->released;
}

static void forget_peeked(struct model *m)
{
        m->passed = 0;
        m->have_peeked = 0;
}

void model_consumer_leaves(struct model *m)
{
        forget_peeked(m);
        m->consumer_left = 1;
}

void model_consumer_joins(struct model *m)
{
        forget_peeked(m);
        m->consumer_left = 0;
}
