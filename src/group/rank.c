/* SPDX-License-Identifier: MIT */
/*
 * Members that have priorities. Visits are counted in rounds: of those that
 * have something and were not visited in this round, the ones of the highest
 * priority come first. When there are none left, the next round begins. So a
 * member waits for one visit of each other at most, and a round goes on where
 * a call has stopped. A group without priorities does nothing of this.
 */
#define _GNU_SOURCE
#include <errno.h>

#include "group.h"

static bool is_ready(const struct hot *h)
{
        /* Relaxed: PUBLISH:load is in sluice_peek. UNTRUSTED. */
        return sluice_priv_load_relaxed(h->word) != 0;
}

/* Those that have something and were not visited in this round, to `spare`. */
static unsigned collect_ready(struct server *s)
{
        unsigned n = 0;

        s->work += s->warm;
        for (unsigned i = 0; i < s->warm; i++)
                if (is_ready(&s->hot[i]) && s->hot[i].m->round != s->round)
                        s->spare[n++] = s->hot[i];
        return n;
}

void server_turn_ranked(struct server *s)
{
        unsigned n = collect_ready(s);

        s->turn++;
        if (n == 0) {
                s->round++;
                n = collect_ready(s);
        }
        for (int priority = SLUICE_PRIORITY_MAX; priority >= 0; priority--)
                for (unsigned i = 0; i < n && !s->stop; i++) {
                        struct sluice_member *const m = s->spare[i].m;

                        if (m->priority != priority || m->round == s->round || m->hot_at == 0)
                                continue;
                        m->round = s->round;
                        server_visit(s, m);
                }
}

/* A member's turn comes the later, the lower its number. */
static unsigned rank(const struct server *s, const struct sluice_member *m)
{
        return (m->round != s->round ? SLUICE_PRIORITY_MAX + 1u : 0u) + m->priority;
}

struct sluice_member *server_next_ranked(struct server *s)
{
        struct sluice_member *first = NULL;

        s->turn++;
        s->work += s->warm;
        for (unsigned i = 0; i < s->warm; i++)
                if (is_ready(&s->hot[i]) && (!first || rank(s, s->hot[i].m) > rank(s, first)))
                        first = s->hot[i].m;
        if (!first)
                return NULL;
        s->round += first->round == s->round;
        first->round = s->round;
        return first;
}

int sluice_member_set_priority(struct sluice_member *m, unsigned priority)
{
        if (priority > SLUICE_PRIORITY_MAX)
                return -EINVAL;
        m->priority = (unsigned char)priority;
        if (priority != 0)
                sluice_priv_store_relaxed(&m->group->ranked, 1); /* Relaxed: from some turn on. */
        return 0;
}
