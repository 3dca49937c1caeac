/* SPDX-License-Identifier: MIT */
/* What a group would do without grace periods: tests/stress/group_mutants. */
#define _GNU_SOURCE
#include "mutant.h"

#include <pthread.h>
#include <stdlib.h>

struct task {
        struct rcu_head *head;
        void (*function)(struct rcu_head *head);
};

static void *run(void *ctx)
{
        struct task task = *(struct task *)ctx;

        free(ctx);
        task.function(task.head);
        return NULL;
}

void mutant_at_once(struct rcu_head *head, void (*function)(struct rcu_head *head))
{
        struct task *task = malloc(sizeof *task);
        pthread_t thread;

        if (!task)
                abort();
        task->head = head;
        task->function = function;
        if (pthread_create(&thread, NULL, run, task) != 0)
                abort();
        pthread_detach(thread);
}
