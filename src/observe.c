/* SPDX-License-Identifier: MIT */
/*
 * The positions and message counts of both endpoints at one moment, for an
 * observer that writes nothing and delays neither endpoint.
 *
 * A look reads the consumer's position and count, then the producer's, then
 * the header word at the producer's position, and the consumer's position
 * once more. If that is unchanged, it was unchanged during the whole look;
 * and when the header word said "nothing published", the producer's position
 * was right. So all four numbers belong to that moment. If it has changed,
 * another look is needed; their number is limited. OBSERVE in atomic.h says
 * why a position and its count belong together.
 */
#include <errno.h>

#include "internal.h"

/* The position in the slot that the producer writes next. While it is
 * unchanged, the other slot is still the one in force. */
struct progress {
        const sluice_word *next;
        uint64_t position;
};

static bool has_more_progress(const struct progress *t)
{
        return sluice_priv_load_acquire(t->next) != t->position; /* PROGRESS:load */
}

/* The slot in force. The count may belong to a later slot, if the producer has
 * written more meanwhile; see walk. */
static void producer_read(struct sluice_priv_found *f, struct progress *t,
                          const struct sluice_layout_producer *p)
{
        uint64_t at[2];
        int i;

        /* PROGRESS:load, both, then OBSERVE:load. UNTRUSTED. */
        at[0] = sluice_priv_load_acquire(&p->progress.slot[0].position);
        at[1] = sluice_priv_load_acquire(&p->progress.slot[1].position);
        i = (int64_t)(at[0] - at[1]) >= 0 ? 0 : 1;
        f->position = at[i];
        f->messages = sluice_priv_load_acquire(&p->progress.slot[i].messages);
        t->next = &p->progress.slot[i ^ 1].position;
        t->position = at[i ^ 1];
}

/* From the producer's slot to the end of what is published. The slot is behind
 * if the producer died, or is interrupted, between publishing and storing its
 * slot. If it is neither, it soon writes the next slot (-EAGAIN), and another
 * look is shorter than following it. That also detects a count that belonged
 * to a later slot: then a record is published here, and the next slot is
 * written. */
static int walk(struct sluice_priv_found *f, const struct progress *t, const unsigned char *ring,
                uint64_t consumer, const struct sluice_priv_shape *s, uint64_t *left)
{
        for (; *left > 0; --*left) {
                uint64_t word;
                int r;

                if ((f->position & SLUICE_LAYOUT_FLAGS) != 0 ||
                    f->position - consumer > s->capacity - s->unit)
                        return -EBADMSG;
                word = sluice_priv_load_acquire(/* PUBLISH:load */
                                                sluice_priv_peer_word(
                                                        ring, f->position & (s->capacity - 1)));
                r = sluice_priv_is_open(f->position, word, s);
                if (r != 0)
                        return r < 0 ? r : 0;
                if (has_more_progress(t))
                        return -EAGAIN;
                if (sluice_priv_step_over(f, word, s) != 0)
                        return -EBADMSG;
        }
        return -EAGAIN;
}

static int look(struct sluice_priv_moment *m, const struct sluice_priv_view *v, uint64_t *left)
{
        struct sluice_priv_found *const c = &m->consumer, *const p = &m->producer;
        struct progress slot;
        uint64_t used, pending;
        int r = sluice_priv_consumer_find(c, v->consumer);

        producer_read(p, &slot, v->producer);
        /* What is released is published, even if the slot is behind it. */
        if (r == 0 && c->position - p->position - 1 < v->shape->capacity - v->shape->unit) {
                p->position = c->position;
                p->messages = c->messages;
        }
        if (r == 0)
                r = walk(p, &slot, v->ring, c->position, v->shape, left);
        if (sluice_priv_consumer_position(v->consumer) != c->position)
                return -EAGAIN;
        used = p->position - c->position;
        pending = p->messages - c->messages;
        if (r == 0 &&
            (pending > used / SLUICE_LAYOUT_HEADER_BYTES || (pending == 0) != (used == 0)))
                return -EBADMSG;
        return r;
}

int sluice_priv_observe(struct sluice_priv_moment *m, const struct sluice_priv_view *v)
{
        uint64_t left = v->shape->capacity / SLUICE_LAYOUT_HEADER_BYTES + SLUICE_PRIV_LOOKS;
        int r = -EAGAIN;

        for (int i = 0; r == -EAGAIN && i < SLUICE_PRIV_LOOKS; i++)
                r = look(m, v, &left);
        return r;
}
