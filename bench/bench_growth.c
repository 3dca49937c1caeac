/* SPDX-License-Identifier: MIT */
/*
 * Suite growth: does a message cost the same when things get larger?
 *
 *   capacity         4 KiB to 1 GiB, normal and huge pages, 56 B, a stream
 *                    that always has room: every page is used in turn. Huge
 *                    pages are used where the kernel grants them: reserved
 *                    ones (as root: sysctl vm.nr_hugepages=800), or else
 *                    transparent ones (echo advise
 *                    >/sys/kernel/mm/transparent_hugepage/shmem_enabled).
 *                    /proc/self/smaps says; what is not granted is said to
 *                    be so, and not measured
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
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "drift.h"
#include "harness.h"
#include "sluice/ring.h"

enum { LEN = 56, QUEUES_MOST = 1024, BATCH = 16 };

#define HUGE_PAGE ((size_t)2 << 20)

struct ends {
        MEASURE_APART struct sluice_producer p;
        MEASURE_APART struct sluice_consumer c;
};

struct rig {
        struct ends *ends; /* of each queue */
        unsigned char *mem;
        size_t bytes, each, count, len;
};

enum pages { NORMAL, RESERVED, TRANSPARENT };

static const char *const pages_name[] = {"normal pages", "huge pages, reserved",
                                         "huge pages, transparent"};

/* Where the kernel gives them to shared memory that asks for them. */
static unsigned char *transparent(size_t bytes)
{
        const size_t page = HUGE_PAGE;
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

/* How many bytes of the mapping that begins at mem lie in huge pages. */
static size_t huge_bytes(const void *mem)
{
        FILE *f = fopen("/proc/self/smaps", "r");
        unsigned long from, to, at = 0, kib, size = 0, huge = 0;
        char line[512];

        if (!f)
                bench_die("no /proc/self/smaps");
        while (fgets(line, sizeof line, f)) {
                if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
                        at = from;
                        size = to - from;
                } else if (at == (uintptr_t)mem) {
                        if (sscanf(line, "KernelPageSize: %lu kB", &kib) == 1 &&
                            kib * 1024 >= HUGE_PAGE)
                                huge = size;
                        else if (sscanf(line, "ShmemPmdMapped: %lu kB", &kib) == 1)
                                huge += kib * 1024;
                }
        }
        fclose(f);
        return huge;
}

static unsigned char *map(size_t bytes, enum pages pages)
{
        const int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE;

        if (pages == TRANSPARENT)
                return transparent(bytes);
        return mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    flags | (pages == RESERVED ? MAP_HUGETLB : 0), -1, 0);
}

static bool rig_open(struct rig *r, size_t capacity, size_t count, enum pages pages)
{
        const struct sluice_geometry g = {.capacity = capacity};

        r->count = count;
        r->each = (sluice_ring_bytes(&g) + 4095) & ~(size_t)4095;
        r->bytes = r->each * count;
        if (pages != NORMAL)
                r->bytes = (r->bytes + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
        r->mem = map(r->bytes, pages);
        if (r->mem == MAP_FAILED) {
                r->mem = NULL;
                return false;
        }
        if (pages != NORMAL && huge_bytes(r->mem) < r->bytes) {
                munmap(r->mem, r->bytes);
                r->mem = NULL;
                return false;
        }
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

MEASURE_INLINE void put_one(struct sluice_producer *p, uint64_t i, size_t len)
{
        void *to;

        while (sluice_reserve(p, len, &to, SLUICE_NOW) != 0)
                bench_relax();
        payload_fill(to, i, len);
        (void)sluice_commit(p, len);
}

MEASURE_INLINE void get_one(struct sluice_consumer *c, uint64_t i, size_t len)
{
        struct sluice_message m;

        while (sluice_peek(c, &m, SLUICE_NOW) != 0)
                bench_relax();
        if (m.len != len || !payload_good(m.data, i, len))
                bench_corrupt("sluice", i);
        (void)sluice_release(c);
}

/* BATCH messages to each queue in turn. */
static MEASURE_NOINLINE void put_many(struct bench_side *s)
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

static MEASURE_NOINLINE void get_many(struct bench_side *s)
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

static MEASURE_NOINLINE void put_sized(struct bench_side *s)
{
        const struct rig *r = s->a;
        const size_t len = r->len;

        for (uint64_t i = 1; i <= s->n; i++)
                put_one(&r->ends[0].p, i, len);
}

static MEASURE_NOINLINE void get_sized(struct bench_side *s)
{
        const struct rig *r = s->a;
        const size_t len = r->len;

        for (uint64_t i = 1; i <= s->n; i++)
                get_one(&r->ends[0].c, i, len);
}

/* Large rings are kept between trials: to make them takes longer than to use
 * them. NULL: the kernel does not grant that much in such pages. */
static struct rig *kept_rig(size_t capacity, enum pages pages)
{
        static struct rig kept[3][20];
        static bool failed[3][20];
        const int k = __builtin_ctzl(capacity) - 12;
        struct rig *r = &kept[pages][k];

        if (!r->mem && !failed[pages][k])
                failed[pages][k] = !rig_open(r, capacity, 1, pages);
        return failed[pages][k] ? NULL : r;
}

/* arg: capacity, arg2: pages. */
static double by_capacity(const struct bench_case *c, uint64_t n)
{
        struct rig *r = kept_rig((size_t)c->arg, (enum pages)c->arg2);

        /* One trial does not write all of the largest rings: each trial continues
         * where the one before has stopped. */
        return r ? bench_threads(put_many, get_many, r, NULL, n) : -1;
}

static double by_count(const struct bench_case *c, uint64_t n)
{
        struct rig r;
        double ns;

        if (!rig_open(&r, 4096, (size_t)c->arg, NORMAL))
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

        if (!rig_open(&r, SLUICE_CAPACITY_DEFAULT, 1, NORMAL))
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
        /* All points of a metric in one group, distinguished by x. */
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

/* An empty row: "-" in the tables, and not normal pages under that name. */
static void not_granted(const char *label, double capacity)
{
        const struct bench_placements *where = bench_where();
        struct bench_row row = {.metric = "capacity",
                                .contender = "huge pages: not granted",
                                .label = label,
                                .x = capacity,
                                .bytes = LEN,
                                .unit = "ns",
                                .value = {NAN, NAN, NAN},
                                .ratio_of = "normal pages",
                                .ratio = {NAN, NAN, NAN}};

        for (int k = 0; k < where->count; k++) {
                row.placement = bench_placement_name(k);
                row.yard = where->at[k].yard.median;
                bench_add_row(&row);
        }
}

static enum pages add_huge(const char *label, long capacity)
{
        enum pages pages = NORMAL;

        if (kept_rig((size_t)capacity, RESERVED))
                pages = RESERVED;
        else if (kept_rig((size_t)capacity, TRANSPARENT))
                pages = TRANSPARENT;
        if (pages != NORMAL)
                add("capacity", pages_name[pages], label, (double)capacity, false, by_capacity,
                    capacity, pages);
        return pages;
}

int main(int argc, char **argv)
{
        static char labels[64][16];
        char(*label)[16] = labels;
        int refused[16], refusals = 0;

        bench_begin(argc, argv, "growth", 60);
        for (int k = 12; k <= 30; k += 2, label++) {
                bytes_label(*label, sizeof *label, (double)(1L << k));
                add("capacity", pages_name[NORMAL], *label, (double)(1L << k), k == 18, by_capacity,
                    1L << k, NORMAL);
                if (k >= 20 && add_huge(*label, 1L << k) == NORMAL)
                        refused[refusals++] = k;
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
        for (int i = 0; i < refusals; i++)
                not_granted(labels[(refused[i] - 12) / 2], (double)(1L << refused[i]));
        if (refusals > 0)
                bench_note("huge pages were not granted for all capacities: "
                           "vm.nr_hugepages=800, or shmem_enabled\n");
        if (bench_options.long_run)
                bench_drift();
        bench_end();
        return 0;
}
