/* SPDX-License-Identifier: MIT */
/*
 * Where both ends of a ring stand at one moment, seen by somebody who
 * writes nothing and keeps nobody waiting.
 *
 * A look takes the consumer's position and count, then the producer's,
 * then the header word at the producer's position, and the consumer's
 * position once more. If that is unchanged, the consumer stood there all
 * the time; and when the header word was read as "nothing yet", the
 * producer stood there. So the four numbers are of that moment. If it has
 * changed, another look is needed, and the number of these is limited.
 * OBSERVE in atomic.h says why what is read belongs together.
 */
#include <errno.h>

#include "internal.h"

/* The position in the slot that the producer writes next. While it stays
 * the same, the slot in force is the one in force. */
struct progress {
        const sluice_word *next;
        uint64_t position;
};

static uint64_t released(const struct sluice_layout_consumer *c)
{
        return sluice_priv_load_acquire(&c->position) & ~SLUICE_LAYOUT_FLAGS; /* UNTRUSTED */
}

/* What it finds, and -EBADMSG, holds if the position is the same after. */
static int consumer_read(struct sluice_priv_found *f, const struct sluice_layout_consumer *c)
{
        f->position = released(c);
        for (int i = 0; i < 2; i++) {
                if (sluice_priv_load_acquire(&c->progress.slot[i].position) != f->position)
                        continue;
                f->messages = sluice_priv_load_acquire(&c->progress.slot[i].messages);
                return 0;
        }
        return -EBADMSG;
}

static bool has_more_progress(const struct progress *t)
{
        return sluice_priv_load_acquire(t->next) != t->position;
}

/* What the producer told last. The count may be of a later slot, if it
 * has told more by then; see walk. */
static void producer_read(struct sluice_priv_found *f, struct progress *t,
                          const struct sluice_layout_producer *p)
{
        uint64_t at[2];
        int i;

        at[0] = sluice_priv_load_acquire(&p->progress.slot[0].position); /* UNTRUSTED */
        at[1] = sluice_priv_load_acquire(&p->progress.slot[1].position);
        i = (int64_t)(at[0] - at[1]) >= 0 ? 0 : 1;
        f->position = at[i];
        f->messages = sluice_priv_load_acquire(&p->progress.slot[i].messages);
        t->next = &p->progress.slot[i ^ 1].position;
        t->position = at[i ^ 1];
}

/* From what was told to what is published: further, if the producer has
 * died or stands still between the two; else it tells more, and another
 * look is shorter than a walk behind it. If the count above was of a later
 * slot, then something is published here, and this slot was told. */
static int walk(struct sluice_priv_found *f, const struct progress *t, const unsigned char *ring,
                uint64_t consumer, const struct sluice_priv_shape *s, uint64_t *left)
{
        for (; *left > 0; --*left) {
                uint64_t word;
                int r;

                if ((f->position & SLUICE_LAYOUT_FLAGS) != 0 ||
                    f->position - consumer > s->capacity - s->unit)
                        return -EBADMSG;
                word = sluice_priv_load_acquire(
                        sluice_priv_peer_word(ring, f->position & (s->capacity - 1)));
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
        struct progress told;
        uint64_t used, pending;
        int r = consumer_read(c, v->consumer);

        producer_read(p, &told, v->producer);
        /* Released is published, told or not. */
        if (r == 0 && c->position - p->position - 1 < v->shape->capacity - v->shape->unit)
                p->position = c->position, p->messages = c->messages;
        if (r == 0)
                r = walk(p, &told, v->ring, c->position, v->shape, left);
        if (released(v->consumer) != c->position)
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
