/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "remains.h"

#include <fcntl.h>

int foreign_segment(key_t key, size_t bytes)
{
        const int id = shmget(key, bytes, IPC_CREAT | IPC_EXCL | 0600);

        check(id >= 0);
        return id;
}

void rm_r(const char *path)
{
        static const char *const parts[] = {"readable", "writable", "memory", "lock"};
        const int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (int i = 0; i < 4; i++)
                eq(unlinkat(dir, parts[i], 0), 0);
        close(dir);
        eq(rmdir(path), 0);
}

static int see(void *ctx, const struct sluice_queue_stat *st)
{
        struct found *f = ctx;

        f->queues += !st->orphan;
        f->orphans += st->orphan;
        if (st->orphan)
                f->orphan = *st;
        else
                f->queue = *st;
        return 0;
}

struct found list(void)
{
        struct found f = {0};
        int n = sluice_list(see, &f);

        eq(n, f.queues + f.orphans);
        return f;
}
