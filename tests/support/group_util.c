/* SPDX-License-Identifier: MIT */
#include "group_util.h"

int note(void *ctx, struct sluice_member *m, enum sluice_event event,
         const struct sluice_message *message)
{
        struct log *l = ctx;

        check(l->n < MOST);
        l->entry[l->n].m = m;
        l->entry[l->n].event = event;
        check((message != NULL) == (event == SLUICE_MESSAGE));
        if (message) {
                eq(message->len, 8);
                memcpy(&l->entry[l->n].number, message->data, 8);
        }
        l->n++;
        if (message && l->remove) {
                eq(sluice_group_remove(l->group, l->remove), 0);
                l->remove = NULL;
        }
        return message ? l->answer : l->answer_event;
}

int count_of(const struct log *l, enum sluice_event event)
{
        int n = 0;

        for (int i = 0; i < l->n; i++)
                n += l->entry[i].event == event;
        return n;
}

int count_for(const struct log *l, const struct sluice_member *m, enum sluice_event event)
{
        int n = 0;

        for (int i = 0; i < l->n; i++)
                n += l->entry[i].event == event && l->entry[i].m == m;
        return n;
}

struct log *log_new(void)
{
        struct log *l = calloc(1, sizeof *l);

        check(l != NULL);
        return l;
}

struct sluice_group_options group_opt(void)
{
        const struct sluice_group_options o = {.size = sizeof o};

        return o;
}

struct sluice_group *group_new(void)
{
        const struct sluice_group_options o = group_opt();
        struct sluice_group *g;

        call(sluice_group_create(&g, &o), 0);
        return g;
}

struct sluice_member *add(struct sluice_group *g, const char *name)
{
        const struct sluice_options o = {
                .size = sizeof o, .flags = SLUICE_CREATE, .capacity = 4096};
        struct sluice_member *m;

        call(sluice_group_add(g, name, &o, NULL, &m), 0);
        return m;
}

void producer(struct sluice_producer *p, const char *name)
{
        call(sluice_producer_open(p, name, NULL), 0);
}

void number(struct sluice_producer *p, uint64_t n)
{
        eq(send_number(p, n, SLUICE_NOW), 0);
}

void one_begin(struct one *o, uint64_t n)
{
        o->g = group_new();
        o->l = log_new();
        o->m = add(o->g, "one");
        o->l->group = o->g;
        producer(&o->p, "one");
        for (uint64_t k = 0; k < n; k++)
                number(&o->p, k);
        call(sluice_group_serve(o->g, note, o->l, 0, SLUICE_NOW), 0);
}

void one_end(struct one *o)
{
        sluice_producer_close(&o->p);
        call(sluice_group_destroy(o->g), 0);
        sluice_remove("one");
        free(o->l);
}

int sum_stat(void *ctx, const struct sluice_member *m, const struct sluice_member_stat *st)
{
        uint64_t *sum = ctx;

        eq(strcmp(st->name, sluice_member_name(m)), 0);
        eq(st->size, sizeof *st);
        sum[0] += st->messages;
        sum[1] += st->published - st->position;
        sum[2] += (uint64_t)st->parked;
        return *st->name == 'z' ? 42 : 0;
}
