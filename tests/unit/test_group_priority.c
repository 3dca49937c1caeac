/* SPDX-License-Identifier: MIT */
/* Groups: members of a higher priority come first, and the others in time. */
#define _GNU_SOURCE
#include "group_util.h"

enum { RANKED = 4 };

/* Four members, of priority 0, 2, 7, 2, that have joined. */
struct ranked {
        struct sluice_group *g;
        struct sluice_member *m[RANKED];
        struct sluice_producer p[RANKED];
        struct log *l;
};

static const char *const ranked_names[RANKED] = {"a", "b", "c", "d"};
static const unsigned priorities[RANKED] = {0, 2, 7, 2};

static void ranked_begin(struct ranked *r)
{
        struct sluice_group_options o = group_opt();

        o.batch = 4;
        call(sluice_group_create(&r->g, &o), 0);
        r->l = log_new();
        for (int i = 0; i < RANKED; i++) {
                r->m[i] = add(r->g, ranked_names[i]);
                producer(&r->p[i], ranked_names[i]);
                call(sluice_member_set_priority(r->m[i], priorities[i]), 0);
        }
        call(sluice_group_serve(r->g, note, r->l, 1, SLUICE_NOW), 0);
        eq(count_of(r->l, SLUICE_JOINED), RANKED);
        r->l->n = 0;
}

static void ranked_end(struct ranked *r)
{
        for (int i = 0; i < RANKED; i++)
                sluice_producer_close(&r->p[i]);
        call(sluice_group_destroy(r->g), 0);
        for (int i = 0; i < RANKED; i++)
                call(sluice_remove(ranked_names[i]), 0);
        free(r->l);
}

/* n messages for each. */
static void fill_ranked(struct ranked *r, uint64_t n)
{
        for (int i = 0; i < RANKED; i++)
                for (uint64_t k = 0; k < n; k++)
                        number(&r->p[i], k);
}

/* The priority of the member that had the i-th message. */
static unsigned priority_at(const struct ranked *r, int i)
{
        for (int k = 0; k < RANKED; k++)
                if (r->l->entry[i].m == r->m[k])
                        return priorities[k];
        return 99;
}

QTest(member_set_priority, higher_ones_come_first_in_each_turn)
{
        static const unsigned order[RANKED] = {7, 2, 2, 0};
        struct ranked r;

        ranked_begin(&r);
        fill_ranked(&r, 8);
        for (int turn = 0; turn < 2; turn++) {
                r.l->n = 0;
                call(sluice_group_serve(r.g, note, r.l, 100, SLUICE_NOW), 16);
                for (int i = 0; i < 16; i++)
                        eq(priority_at(&r, i), order[i / 4]);
        }
        ranked_end(&r);
}

QTest(member_set_priority, lower_ones_do_not_starve_when_calls_stop_early)
{
        struct ranked r;

        ranked_begin(&r);
        for (int turn = 0; turn < 20; turn++) {
                fill_ranked(&r, 1); /* the highest always has something */
                for (int i = 0; i < RANKED; i++)
                        call(sluice_group_serve(r.g, note, r.l, 1, SLUICE_NOW), 1);
                eq(priority_at(&r, turn * RANKED), 7);
                eq(priority_at(&r, turn * RANKED + 3), 0);
        }
        for (int i = 0; i < RANKED; i++)
                eq(count_for(r.l, r.m[i], SLUICE_MESSAGE), 20);
        ranked_end(&r);
}

QTest(member_set_priority, one_that_comes_within_a_turn_is_first_of_those_that_are_left)
{
        struct ranked r;

        ranked_begin(&r);
        number(&r.p[0], 1);
        number(&r.p[1], 1);
        call(sluice_group_serve(r.g, note, r.l, 1, SLUICE_NOW), 1);
        eq(priority_at(&r, 0), 2);
        number(&r.p[2], 1);
        number(&r.p[1], 2); /* has had its visit */
        for (int i = 0; i < 3; i++)
                call(sluice_group_serve(r.g, note, r.l, 1, SLUICE_NOW), 1);
        eq(priority_at(&r, 1), 7);
        eq(priority_at(&r, 2), 0);
        eq(priority_at(&r, 3), 2);
        ranked_end(&r);
}

QTest(member_set_priority, refuses_more_than_the_maximum)
{
        struct ranked r;

        ranked_begin(&r);
        call(sluice_member_set_priority(r.m[0], SLUICE_PRIORITY_MAX + 1), -EINVAL);
        ranked_end(&r);
}

QTest(member_set_priority, of_a_member_that_is_removed_meanwhile)
{
        struct ranked r;

        ranked_begin(&r);
        fill_ranked(&r, 1);
        r.l->group = r.g;
        r.l->remove = r.m[0]; /* when the first message comes */
        call(sluice_group_serve(r.g, note, r.l, 100, SLUICE_NOW), 3);
        eq(count_for(r.l, r.m[0], SLUICE_MESSAGE), 0);
        ranked_end(&r);
}
