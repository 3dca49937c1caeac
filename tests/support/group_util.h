/* SPDX-License-Identifier: MIT */
#ifndef TEST_GROUP_UTIL_H
#define TEST_GROUP_UTIL_H
/* For tests of groups, which link with libsluice-group: a handler that writes down
 * what it is told, a group with one member. */
#include "queue_util.h"
#include "sluice/group.h"

enum { MOST = 4096 };

struct log {
        struct {
                const struct sluice_member *m;
                enum sluice_event event;
                uint64_t number;
        } entry[MOST];
        int n;
        int answer;       /* to messages */
        int answer_event; /* to others */
        struct sluice_group *group;
        struct sluice_member *remove; /* when a message comes */
};

/* The handler; ctx is a log. */
int note(void *ctx, struct sluice_member *m, enum sluice_event event,
         const struct sluice_message *message);
struct log *log_new(void); /* free() it */
int count_of(const struct log *l, enum sluice_event event);
int count_for(const struct log *l, const struct sluice_member *m, enum sluice_event event);

struct sluice_group_options group_opt(void);
struct sluice_group *group_new(void);
/* Adds a queue, which is made if there is none. */
struct sluice_member *add(struct sluice_group *g, const char *name);
/* Opens a producer, and sends a number. */
void producer(struct sluice_producer *p, const char *name);
void number(struct sluice_producer *p, uint64_t n);

struct one {
        struct sluice_group *g;
        struct sluice_member *m;
        struct sluice_producer p;
        struct log *l;
};

/* A group with a member, the queue "one", that has n messages. */
void one_begin(struct one *o, uint64_t n);
void one_end(struct one *o);

/* For sluice_group_each. ctx: three sums, of messages, of bytes not yet released,
 * of parked members. Answers 42 to a name that begins with z. */
int sum_stat(void *ctx, const struct sluice_member *m, const struct sluice_member_stat *st);

#endif
