/* SPDX-License-Identifier: MIT */
/*
 * Suite growth: does a message cost the same when things get larger?
 *
 *   capacity         4 KiB to 1 GiB, normal and huge pages, 56 B, a stream
 *                    that always has room: every page is used in turn
 *   message size     8 B to 64 KiB, in place
 *   queues           1 to 1,024 served in turn by one thread each side
 *   drift (--long)   10^9 messages through one ring (drift.c)
 *
 * The sides are threads, but for the drift: rings of a gigabyte stay mapped between trials.
 * Bases: 256 KiB, 56 B, one queue. The steps are those of the caches: what
 * is used in turn is the whole ring, and 1,024 rings of 4 KiB are 4 MiB and
 * as many pages.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "drift.h"
#include "harness.h"
#include "sluice/ring.h"

enum { LEN = 56, QUEUES_MOST = 1024, BATCH = 16 };

struct ends {
        BENCH_APART struct sluice_producer p;
        BENCH_APART struct sluice_consumer c;
};

struct rig {
        struct ends *ends; /* of each queue */
        unsigned char *mem;
        size_t bytes, each, count, len;
        bool huge;
};

/* Without reserved huge pages: transparent ones, where the kernel gives them
 * to shared memory that asks (shmem_enabled: advise). */
static unsigned char *transparent(size_t bytes, size_t page)
{
        unsigned char *mem =
                mmap(NULL, bytes + page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        size_t skip;

        if (mem == MAP_FAILED)
                return mem;
        skip = (page - (uintptr_t)mem % page) % page;
        if (skip)
                munmap(mem, skip);
        if (skip < page)
                munmap(mem + skip + bytes, page - skip);
        mem += skip;
        (void)madvise(mem, bytes, MADV_HUGEPAGE);
        memset(mem, 0, bytes);
        return mem;
}

static bool rig_open(struct rig *r, size_t capacity, size_t count, bool huge)
{
        const struct sluice_geometry g = {.capacity = capacity};
        const size_t page = (size_t)2 << 20;

        r->count = count;
        r->huge = huge;
        r->each = (sluice_ring_bytes(&g) + 4095) & ~(size_t)4095;
        r->bytes = r->each * count;
        if (huge) {
                r->bytes = (r->bytes + page - 1) & ~(page - 1);
                r->mem = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
                if (r->mem == MAP_FAILED)
                        r->mem = transparent(r->bytes, page);
        } else {
                r->mem = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        }
        if (r->mem == MAP_FAILED)
                return false;
        r->ends = bench_shared(count * sizeof *r->ends);
        for (size_t i = 0; i < count; i++) {
                void *mem = r->mem + i * r->each;

                if (sluice_ring_format(mem, r->each, &g) != 0 ||
                    sluice_producer_attach(&r->ends[i].p, mem, r->each) != 0 ||
                    sluice_consumer_attach(&r->ends[i].c, mem, r->each) != 0)
                        bench_die("sluice: cannot make a ring of %zu bytes", capacity);
        }
        return true;
}

static void rig_close(struct rig *r)
{
        bench_unshare(r->ends, r->count * sizeof *r->ends);
        munmap(r->mem, r->bytes);
}

BENCH_INLINE void put_one(struct sluice_producer *p, uint64_t i, size_t len)
{
        void *to;

        while (sluice_reserve(p, len, &to, SLUICE_NOW) != 0)
                bench_relax();
        bench_fill(to, i, len);
        (void)sluice_commit(p, len);
}

BENCH_INLINE void get_one(struct sluice_consumer *c, uint64_t i, size_t len)
{
        struct sluice_message m;

        while (sluice_peek(c, &m, SLUICE_NOW) != 0)
                bench_relax();
        if (m.len != len || !bench_good(m.data, i, len))
                bench_corrupt("sluice", i);
        (void)sluice_release(c);
}

/* BATCH messages to each queue in turn. */
static BENCH_NOINLINE void put_many(struct bench_side *s)
{
        const struct rig *r = s->a;
        const size_t count = r->count;
        size_t q = 0;

        for (uint64_t i = 1; i <= s->n; i++) {
                put_one(&r->ends[q].p, i, LEN);
                if (i % BATCH == 0)
                        q = q + 1 < count ? q + 1 : 0;
        }
}

static BENCH_NOINLINE void get_many(struct bench_side *s)
{
        const struct rig *r = s->a;
        const size_t count = r->count;
        size_t q = 0;

        for (uint64_t i = 1; i <= s->n; i++) {
                get_one(&r->ends[q].c, i, LEN);
                if (i % BATCH == 0)
                        q = q + 1 < count ? q + 1 : 0;
        }
}

static BENCH_NOINLINE void put_sized(struct bench_side *s)
{
        const struct rig *r = s->a;
        const size_t len = r->len;

        for (uint64_t i = 1; i <= s->n; i++)
                put_one(&r->ends[0].p, i, len);
}

static BENCH_NOINLINE void get_sized(struct bench_side *s)
{
        const struct rig *r = s->a;
        const size_t len = r->len;

        for (uint64_t i = 1; i <= s->n; i++)
                get_one(&r->ends[0].c, i, len);
}

/* arg: capacity, arg2: huge pages. Large rings are kept between trials: to
 * make them takes longer than to use them. */
static double by_capacity(const struct bench_case *c, uint64_t n)
{
        static struct rig kept[2][24];
        static bool failed[2][24];
        const int huge = c->arg2 != 0, k = __builtin_ctzl((unsigned long)c->arg) - 12;
        struct rig *r = &kept[huge][k];

        if (!r->mem && !failed[huge][k])
                failed[huge][k] = !rig_open(r, (size_t)c->arg, 1, huge);
        if (failed[huge][k])
                return -1;
        /* The largest are not passed round in one trial: each goes on where
         * the one before has stopped. */
        return bench_threads(put_many, get_many, r, NULL, n);
}

static double by_count(const struct bench_case *c, uint64_t n)
{
        struct rig r;
        double ns;

        if (!rig_open(&r, 4096, (size_t)c->arg, false))
                return -1;
        if (n < (uint64_t)c->arg * BATCH * 4)
                n = (uint64_t)c->arg * BATCH * 4;
        ns = bench_threads(put_many, get_many, &r, NULL, n);
        rig_close(&r);
        return ns;
}

static double by_size(const struct bench_case *c, uint64_t n)
{
        struct rig r;
        double ns;

        if (!rig_open(&r, SLUICE_CAPACITY_DEFAULT, 1, false))
                return -1;
        r.len = (size_t)c->arg;
        ns = bench_threads(put_sized, get_sized, &r, NULL, n);
        rig_close(&r);
        return ns;
}

/* ---- Cases -------------------------------------------------------- */

static const char *bytes_label(char *to, size_t room, double bytes)
{
        static const char *const unit[] = {"B", "KiB", "MiB", "GiB"};
        int k = 0;

        for (; bytes >= 1024 && k < 3; k++)
                bytes /= 1024;
        snprintf(to, room, bytes < 10 && k > 0 ? "%.3g %s" : "%.0f %s", bytes, unit[k]);
        return to;
}

static void add(const char *metric, const char *contender, const char *label, double x, bool base,
                double (*trial)(const struct bench_case *, uint64_t), long arg, long arg2)
{
        /* All points of a metric in one group: label is told apart by x. */
        const struct bench_case c = {.contender = contender,
                                     .metric = metric,
                                     .label = label,
                                     .x = x,
                                     .bytes = trial == by_size ? x : LEN,
                                     .kind = BENCH_COST,
                                     .base = base,
                                     .across = true,
                                     .trial = trial,
                                     .arg = arg,
                                     .arg2 = arg2};

        (void)bench_add(&c);
}

int main(int argc, char **argv)
{
        static char labels[64][16];
        char(*label)[16] = labels;

        bench_begin(argc, argv, "growth", 60);
        for (int k = 12; k <= 30; k += 2, label++) {
                bytes_label(*label, sizeof *label, (double)(1L << k));
                add("capacity", "normal pages", *label, (double)(1L << k), k == 18, by_capacity,
                    1L << k, 0);
                if (k >= 20)
                        add("capacity", "huge pages", *label, (double)(1L << k), false, by_capacity,
                            1L << k, 1);
        }
        for (int k = 4; k <= 16; k++, label++) {
                /* A power of two with its header; 64 KiB without. */
                const long len = (1L << k) - (k < 16 ? 8 : 0);

                bytes_label(*label, sizeof *label, (double)len);
                add("message size", "sluice", *label, (double)len, k == 6, by_size, len, 0);
        }
        for (int k = 0; k <= 10; k += 2, label++) {
                snprintf(*label, sizeof *label, "%d", 1 << k);
                add("queues", "sluice", *label, (double)(1L << k), k == 0, by_count, 1L << k, 0);
        }
        bench_run(bench_options.seconds, 3e6);
        if (bench_options.long_run)
                bench_drift();
        bench_end();
        return 0;
}
