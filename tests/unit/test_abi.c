/* SPDX-License-Identifier: MIT */
/* Structures of programs that were compiled with other headers than the library. */
#define _GNU_SOURCE
#include "queue_util.h"

enum { MORE = 64, CANARY = 0x5a };

/* What the library knows, with room for what it does not. */
static union {
        struct sluice_producer producer;
        struct sluice_consumer consumer;
        struct sluice_queue_stat stat;
        unsigned char bytes[sizeof(struct sluice_queue_stat) + MORE];
} their;

static void fill(void)
{
        memset(their.bytes, CANARY, sizeof their.bytes);
}

static void unchanged_from(size_t off)
{
        for (size_t i = off; i < sizeof their.bytes; i++)
                eq(their.bytes[i], CANARY);
}

static void refused_unwritten(int r)
{
        refused(r, -EPROTONOSUPPORT);
        unchanged_from(0);
}

/* With size and number of another version. */
static void handles_are_refused(size_t p_size, size_t c_size, unsigned abi)
{
        fill();
        refused_unwritten(sluice_priv_producer_open(&their.producer, p_size, abi, "q", NULL));
        refused_unwritten(sluice_priv_consumer_open(&their.consumer, c_size, abi, "q", NULL));
        refused_unwritten(sluice_priv_producer_enable_sleep(&their.producer, p_size, abi, NULL));
        refused_unwritten(sluice_priv_consumer_enable_sleep(&their.consumer, c_size, abi, NULL));
}

QTest(abi, another_handle_is_refused_and_not_written)
{
        const size_t p = sizeof their.producer, c = sizeof their.consumer;

        make("q", 0);
        handles_are_refused(p - 8, c - 8, SLUICE_ABI);
        handles_are_refused(p + 8, c + 8, SLUICE_ABI);
        handles_are_refused(p, c, SLUICE_ABI + 1);
        handles_are_refused(p, c, SLUICE_ABI - 1);
        handles_are_refused(0, 0, 0);
        call(sluice_remove("q"), 0);
}

QTest(abi, ours_is_that_of_the_inline_calls)
{
        make("q", 0);
        fill();
        call(sluice_priv_producer_open(&their.producer, sizeof their.producer, SLUICE_ABI, "q",
                                       NULL),
             0);
        unchanged_from(sizeof their.producer);
        call(sluice_producer_close(&their.producer), 0);
        fill();
        call(sluice_consumer_open(&their.consumer, "q", NULL), 0);
        unchanged_from(sizeof their.consumer);
        call(sluice_consumer_close(&their.consumer), 0);
        call(sluice_remove("q"), 0);
}

QTest(abi, a_longer_stat_is_filled_as_far_as_it_is_known)
{
        make("q", 4096);
        fill();
        call(sluice_priv_stat("q", &their.stat, sizeof their.stat + MORE / 2), 0);
        eq(their.stat.size, sizeof their.stat);
        eq(their.stat.capacity, 4096);
        for (size_t i = sizeof their.stat; i < sizeof their.stat + MORE / 2; i++)
                eq(their.bytes[i], 0);
        unchanged_from(sizeof their.stat + MORE / 2);
        call(sluice_remove("q"), 0);
}

/* The last field of 0.2; behind it a later version may have more. */
QTest(abi, a_stat_as_of_0_2_is_filled_and_a_shorter_one_refused)
{
        const size_t least = offsetof(struct sluice_queue_stat, orphan) + sizeof(int);

        make("q", 4096);
        fill();
        refused_unwritten(sluice_priv_stat("q", &their.stat, least - 1));
        call(sluice_priv_stat("q", &their.stat, least), 0);
        eq(their.stat.size, least);
        eq(their.stat.capacity, 4096);
        unchanged_from(least);
        fill();
        refused(sluice_priv_stat("none", &their.stat, sizeof their.stat), -ENOENT);
        unchanged_from(0);
        call(sluice_remove("q"), 0);
}

static int size_is_told(void *ctx, const struct sluice_queue_stat *st)
{
        *(int *)ctx += st->size == sizeof *st;
        return 0;
}

QTest(abi, what_is_listed_has_its_size_and_reap_looks_at_it)
{
        struct sluice_queue_stat st;
        int n = 0;

        make("q", 0);
        check(sluice_list(size_is_told, &n) > 0);
        check(n > 0);
        st = look("q");
        st.size = sizeof st.size;
        refused(sluice_reap(&st, 0), -EINVAL);
        st = look("q");
        call(sluice_reap(&st, 0), 0);
}
