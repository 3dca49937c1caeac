/* SPDX-License-Identifier: MIT */
#ifndef TEST_MODEL_H
#define TEST_MODEL_H
/*
 * What a queue is, said with an array: a list of finished messages, of
 * which the consumer has released some and may see some. Every function
 * returns what the call of the same name has to return.
 */
#include <stddef.h>
#include <stdint.h>

#define MODEL_MESSAGES 64 /* more than fit into any ring that is tested */

struct model_message {
        uint64_t number;   /* how many were finished before it */
        uint64_t position; /* of its header */
        uint64_t end;
        size_t len;
        uint32_t tag;
};

struct model {
        uint64_t capacity;
        uint64_t align;
        /* Finished and not released, oldest first. */
        struct model_message message[MODEL_MESSAGES];
        unsigned finished;  /* entries of message */
        unsigned visible;   /* the first so many are published */
        unsigned passed;    /* the first so many were passed by advance */
        uint64_t published; /* positions */
        uint64_t released;
        uint64_t messages_published; /* counts */
        uint64_t messages_released;
        uint64_t known; /* the released position that the producer knows */
        size_t reserved;
        int have_reserved;
        int have_peeked;
        int producer_left; /* in order */
        int consumer_left;
};

void model_init(struct model *m, uint64_t capacity, uint64_t align, uint64_t first);
size_t model_longest(const struct model *m);
/* End of the last finished message. */
uint64_t model_tail(const struct model *m);
/* Where a message of len would begin if it were finished now. */
uint64_t model_place(const struct model *m, size_t len);

int model_reserve(struct model *m, size_t len);
int model_stage(struct model *m, size_t len, uint32_t tag);
int model_publish(struct model *m);
int model_commit(struct model *m, size_t len, uint32_t tag);
void model_abort(struct model *m);

/* *out: the message, when 0. */
int model_peek(struct model *m, struct model_message *out);
int model_advance(struct model *m);
int model_release(struct model *m);

/* Closed or killed; then a successor continues. */
void model_producer_leaves(struct model *m);
void model_producer_joins(struct model *m);
void model_consumer_leaves(struct model *m);
void model_consumer_joins(struct model *m);

#endif
