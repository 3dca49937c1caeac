/* SPDX-License-Identifier: MIT */
/*
 * A queue with a name of its own in a directory of queues, for producers that
 * open "/run/logs/" with SLUICE_CREATE: so any number of them can have one
 * reader without agreeing on names. Likewise a channel, for clients. The name
 * begins with the process id, for people to read; what makes it unique is that
 * a queue is created once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "name.h"

/* Then it is not known what there is. */
static int lack(int error)
{
        return sluice_priv_is_lack(error) ? error : 0;
}

/* Neither a queue nor the beginning of one. */
static int has_no_queue(const struct sluice_priv_place *place)
{
        int r = sluice_priv_place_look(place);

        if (r == -ENOTEMPTY)
                r = sluice_priv_place_has_queue(place);
        return r < 0 ? lack(r) : r == 0;
}

int sluice_priv_is_directory_of_queues(const char *name)
{
        struct sluice_priv_place place;
        struct sluice_priv_name n;
        int r;

        if (!name || *name == '\0' || name[strlen(name) - 1] != '/' ||
            sluice_priv_name_parse(&n, name) != 0 || n.is_key)
                return 0;
        r = sluice_priv_place_open(&place, &n);
        if (r)
                return r == -ENOENT ? r : lack(r);
        r = has_no_queue(&place);
        sluice_priv_place_close(&place);
        return r;
}

int sluice_priv_unique_name(char *name, size_t size, const char *directory)
{
        const unsigned random = (unsigned)sluice_priv_generation();
        const int len = snprintf(name, size, "%s" SLUICE_PRIV_UNIQUE_FORMAT, directory,
                                 (int)getpid(), random);

        return len < 0 || (size_t)len >= size ? -ENAMETOOLONG : 0;
}

int sluice_priv_create_unique(char *name, size_t size, const char *directory,
                              const struct sluice_options *options)
{
        int r;

        do {
                r = sluice_priv_unique_name(name, size, directory);
                if (r == 0)
                        r = sluice_create(name, options);
        } while (r == -EEXIST);
        return r;
}
