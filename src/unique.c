/* SPDX-License-Identifier: MIT */
/*
 * A queue with a name of its own in a directory of queues, for producers that
 * open "/run/logs/" with SLUICE_CREATE: so any number of them can have one
 * reader without agreeing on names. The name begins with the process id, for
 * people to read; what makes it unique is that a queue is created once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

/* Neither a queue nor the beginning of one. */
static int has_no_queue(const struct sluice_priv_place *place)
{
        const int r = sluice_priv_place_look(place);

        if (r == -ENOTEMPTY)
                return sluice_priv_place_has_queue(place) == 0;
        return r == 0;
}

bool sluice_priv_is_directory_of_queues(const char *name)
{
        struct sluice_priv_place place;
        struct sluice_priv_name n;
        bool is;

        if (!name || *name == '\0' || name[strlen(name) - 1] != '/' ||
            sluice_priv_name_parse(&n, name) != 0 || n.is_key ||
            sluice_priv_place_open(&place, &n) != 0)
                return false;
        is = has_no_queue(&place);
        sluice_priv_place_close(&place);
        return is;
}

int sluice_priv_create_unique(char *name, size_t size, const char *directory,
                              const struct sluice_options *options)
{
        for (;;) {
                const unsigned random = (unsigned)sluice_priv_generation();
                const int len = snprintf(name, size, "%s%d-%08x", directory, (int)getpid(), random);
                int r;

                if (len < 0 || (size_t)len >= size)
                        return -ENAMETOOLONG;
                r = sluice_create(name, options);
                if (r != -EEXIST)
                        return r;
        }
}
