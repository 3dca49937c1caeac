/* SPDX-License-Identifier: MIT */
/* Consumers that are members of a group: member.h. */
#define _GNU_SOURCE
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "endpoint.h"
#include "member.h"

int sluice_priv_member_fd(struct sluice_consumer *c)
{
        const struct sluice_priv_queue *q = c->base.queue;

        return q ? q->own_fd : -1;
}

bool sluice_priv_member_barrier(void)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        bool done;

        sluice_priv_fence_full(); /* DOORBELL:fence, sleeper */
        done = syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0) == 0;
        sluice_priv_leave(&entry);
        return done;
}

bool sluice_priv_member_is_rung(const struct sluice_consumer *c)
{
        const struct sluice_priv_queue *q = c->base.queue;

        return q && q->own_fd >= 0 && !q->peer_without_pipe &&
               sluice_priv_longest_ns(q) >= q->slice_ns;
}

bool sluice_priv_member_wakes(const struct sluice_consumer *c)
{
        const struct sluice_priv_queue *q = c->base.queue;

        return q && q->own_fd < 0 && sluice_priv_longest_ns(q) >= q->slice_ns;
}

void sluice_priv_member_check_next(struct sluice_consumer *c)
{
        struct sluice_priv_queue *q = c->base.queue;

        if (!q)
                return;
        q->check_due = true;
        sluice_priv_check_next(&c->base.polls);
}

void sluice_priv_member_tell_earlier_end(struct sluice_consumer *c)
{
        struct sluice_priv_queue *q = c->base.queue;

        if (q)
                q->reported_epoch = 0; /* no peer's: epochs begin at 1 */
}

void sluice_priv_member_limit(int err)
{
        sluice_priv_limit_note(SLUICE_PRIV_FD, err, 0);
}
