/* SPDX-License-Identifier: MIT */
/* The two queues of a channel, by the channel's name. */
#define _GNU_SOURCE
#include <errno.h>

#include "../name.h"
#include "cli.h"

int cli_queue_of_channel(char path[SLUICE_NAME_MAX + 1], const char *name, const char *queue)
{
        const size_t size = SLUICE_NAME_MAX + 1;
        const char *variable;
        int dir = 0, len;
        bool own;

        if (sluice_priv_name_is_key(name))
                return -EOPNOTSUPP;
        if (sluice_priv_name_is_bare(name))
                dir = sluice_priv_user_dir(path, size, &variable, &own);
        if (dir < 0 || (size_t)dir >= size)
                return -ENAMETOOLONG;
        len = snprintf(path + dir, size - (size_t)dir, "%s%.*s/%s", dir ? "/" : "",
                       (int)sluice_priv_name_len(name), name, queue);
        return len < 0 || (size_t)len >= size - (size_t)dir ? -ENAMETOOLONG : 0;
}
