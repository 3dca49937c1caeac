/* SPDX-License-Identifier: MIT */
/* Handles on the heap, for callers who cannot know their size. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "sluice/channel.h"

/* Two cache lines: no handle shares one with its neighbour, or a pair of
 * lines that the processor fetches together. */
#define HANDLE_ALIGN ((size_t)128)

static void *handle_new(size_t bytes)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        const size_t rounded = (bytes + HANDLE_ALIGN - 1) & ~(HANDLE_ALIGN - 1);
        void *handle = aligned_alloc(HANDLE_ALIGN, rounded);

        if (handle)
                memset(handle, 0, rounded);
        sluice_priv_leave(&entry);
        return handle;
}

static void handle_free(void *handle)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();

        free(handle);
        sluice_priv_leave(&entry);
}

struct sluice_producer *sluice_producer_new(void)
{
        return handle_new(sizeof(struct sluice_producer));
}

struct sluice_consumer *sluice_consumer_new(void)
{
        return handle_new(sizeof(struct sluice_consumer));
}

void sluice_producer_free(struct sluice_producer *p)
{
        handle_free(p);
}

void sluice_consumer_free(struct sluice_consumer *c)
{
        handle_free(c);
}

struct sluice_channel *sluice_channel_new(void)
{
        return handle_new(sizeof(struct sluice_channel));
}

void sluice_channel_free(struct sluice_channel *ch)
{
        handle_free(ch);
}

struct sluice_producer *sluice_channel_out(struct sluice_channel *ch)
{
        return &ch->out;
}

struct sluice_consumer *sluice_channel_in(struct sluice_channel *ch)
{
        return &ch->in;
}
