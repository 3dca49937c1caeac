/* SPDX-License-Identifier: MIT */
/* Handles that the library allocates. */
#define _GNU_SOURCE
#include "queue_util.h"

static bool no_memory;

void *__wrap_aligned_alloc(size_t align, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);

/* Memory as the heap gives it: not zero. */
void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
        void *block = no_memory ? NULL : __real_aligned_alloc(align, bytes);

        if (block)
                memset(block, 0xa5, bytes);
        errno = ENOMEM;
        return block;
}

static void is_zero_and_aligned(const void *handle, size_t bytes)
{
        const unsigned char *byte = handle;

        check(handle);
        eq((uintptr_t)handle % 128, 0);
        for (size_t i = 0; i < bytes; i++)
                eq(byte[i], 0);
}

QTest(allocate, handles_are_zero_aligned_and_of_use)
{
        struct sluice_producer *p = sluice_producer_new();
        struct sluice_consumer *c = sluice_consumer_new();
        char got[8];

        is_zero_and_aligned(p, sizeof *p);
        is_zero_and_aligned(c, sizeof *c);
        refused(sluice_send(p, "x", 1, SLUICE_NOW), -EINVAL);
        make("q", 1024);
        call(sluice_producer_open(p, "q", NULL), 0);
        call(sluice_consumer_open(c, "q", NULL), 0);
        call(sluice_send(p, "hello", 5, SLUICE_NOW), 0);
        eq(sluice_recv(c, got, sizeof got, SLUICE_NOW), 5);
        call(sluice_producer_close(p), 0);
        call(sluice_consumer_close(c), 0);
        sluice_producer_free(p);
        sluice_consumer_free(c);
        call(sluice_remove("q"), 0);
}

QTest(allocate, a_channel_and_its_ends_are_of_use)
{
        const struct sluice_options o = {.size = sizeof o, .flags = SLUICE_CREATE};
        struct sluice_channel *client = sluice_channel_new(), *server = sluice_channel_new();
        struct sluice_message m;

        is_zero_and_aligned(client, sizeof *client);
        check(sluice_channel_out(client) == &client->out);
        check(sluice_channel_in(client) == &client->in);
        call(sluice_channel_open(client, "ch", SLUICE_CLIENT, &o), 0);
        call(sluice_channel_open(server, "ch", SLUICE_SERVER, NULL), 0);
        call(sluice_send(sluice_channel_out(client), "hi", 2, SLUICE_NOW), 0);
        call(sluice_peek(sluice_channel_in(server), &m, SLUICE_NOW), 0);
        eq(m.len, 2);
        call(sluice_channel_close(client), 0);
        call(sluice_channel_close(server), 0);
        sluice_channel_free(client);
        sluice_channel_free(server);
        call(sluice_channel_remove("ch"), 0);
}

Test(allocate, null_without_memory_and_errno_stays)
{
        no_memory = true;
        errno = 77;
        check(sluice_producer_new() == NULL);
        check(sluice_consumer_new() == NULL);
        check(sluice_channel_new() == NULL);
        eq(errno, 77);
        no_memory = false;
}

Test(allocate, null_is_freed_without_effect)
{
        errno = 77;
        sluice_producer_free(NULL);
        sluice_consumer_free(NULL);
        sluice_channel_free(NULL);
        eq(errno, 77);
}
