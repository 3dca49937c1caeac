/* SPDX-License-Identifier: MIT */
/* Members that never have a message, beside one that is busy. */
#define _GNU_SOURCE
#include "many.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sluice/group.h"

enum { SIZES = 4, DESCRIPTORS = 65536 };

#define SETTLE_NS 3e8

static const struct size {
        const char *label;
        unsigned n;
} sizes[2][SIZES] = {{{"0", 0}, {"64", 64}, {"1024", 1024}, {"10000", 10000}},
                     /* named: two descriptors each */
                     {{"0", 0}, {"64", 64}, {"1024", 1024}, {"8000", 8000}}};

static struct idle {
        const struct size *size;
        bool named;
        struct many_rings *busy; /* made by the first trial */
        unsigned char *mem;      /* of rings */
        size_t each;
        unsigned made;
} idles[2][SIZES];

static char directory[] = "/tmp/sluice-bench-XXXXXX";

/* ---- Limits ------------------------------------------------------- */

static void write_limit(const char *file, const char *value)
{
        const int fd = open(file, O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return;
        (void)!write(fd, value, strlen(value));
        close(fd);
}

void many_limits(void)
{
        struct rlimit files;

        if (!mkdtemp(directory) || setenv("SLUICE_DIR", directory, 1) != 0)
                bench_die("no directory %s", directory);
        if (unshare(CLONE_NEWIPC) == 0)
                write_limit("/proc/sys/kernel/shmmni", "32768");
        files.rlim_cur = files.rlim_max = DESCRIPTORS;
        if (setrlimit(RLIMIT_NOFILE, &files) == 0 || getrlimit(RLIMIT_NOFILE, &files) != 0)
                return;
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
}

/* ---- Making them -------------------------------------------------- */

static void name_of(char *name, size_t size, const struct idle *idle, unsigned i)
{
        snprintf(name, size, "idle-%s-%u", idle->size->label, i);
}

static int make_queue(struct idle *idle, unsigned i)
{
        const struct sluice_options o = {
                .size = sizeof o, .flags = SLUICE_CREATE, .capacity = IDLE_CAPACITY};
        char name[40];

        name_of(name, sizeof name, idle, i);
        return sluice_group_add(idle->busy->group, name, &o, NULL, NULL);
}

static int make_ring(struct idle *idle, unsigned i)
{
        const struct sluice_geometry g = {.capacity = IDLE_CAPACITY};
        unsigned char *const mem = idle->mem + idle->each * i;
        const int r = sluice_ring_format(mem, idle->each, &g);

        return r ? r : sluice_group_add_ring(idle->busy->group, mem, idle->each, NULL, NULL);
}

static void unmake(struct idle *idle)
{
        char name[40];

        many_rings_close(idle->busy);
        for (unsigned i = 0; idle->named && i < idle->made; i++) {
                name_of(name, sizeof name, idle, i);
                (void)sluice_remove(name);
        }
        if (idle->mem)
                bench_unshare(idle->mem, idle->each * idle->size->n);
        idle->busy = NULL;
}

/* false: as many are not possible here. */
static bool make(struct idle *idle)
{
        const struct sluice_geometry g = {.capacity = IDLE_CAPACITY};
        int r = 0;

        idle->busy = many_rings_open(1, 16 * 1024, MANY_GROUP, true);
        idle->each = (sluice_ring_bytes(&g) + 127) & ~(size_t)127;
        if (!idle->named && idle->size->n != 0)
                idle->mem = bench_shared(idle->each * idle->size->n);
        for (; idle->made < idle->size->n && r == 0; idle->made += r == 0)
                r = idle->named ? make_queue(idle, idle->made) : make_ring(idle, idle->made);
        if (r == 0) {
                many_settle(idle->busy, SETTLE_NS);
                return true;
        }
        bench_note("not possible here: %u idle members; %u were: %s\n", idle->size->n, idle->made,
                   sluice_limit());
        unmake(idle);
        return false;
}

void many_idle_end(void)
{
        for (int k = 0; k < 2 * SIZES; k++)
                if (idles[k / SIZES][k % SIZES].busy)
                        unmake(&idles[k / SIZES][k % SIZES]);
        (void)rmdir(directory);
}

/* ---- Measuring ---------------------------------------------------- */

static double trial(const struct bench_case *c, uint64_t n)
{
        struct idle *const idle = &idles[c->arg][c->arg2];

        if (!idle->busy && !make(idle))
                return -1;
        many_settle(idle->busy, 0); /* what was due since the trial before is done */
        return bench_threads(many_get, many_put_in_turn, idle->busy, NULL, n);
}

void many_idle_add(void)
{
        static const char *const metrics[] = {"idle rings", "idle queues"};

        for (int named = 0; named < 2; named++)
                for (int k = 0; k < SIZES; k++) {
                        const struct bench_case c = {.contender = "sluice group",
                                                     .metric = metrics[named],
                                                     .label = sizes[named][k].label,
                                                     .x = (double)sizes[named][k].n,
                                                     .bytes = MANY_LEN,
                                                     .kind = BENCH_COST,
                                                     .base = k == 0,
                                                     .across = true,
                                                     .trial = trial,
                                                     .arg = named,
                                                     .arg2 = k};

                        idles[named][k] =
                                (struct idle){.size = &sizes[named][k], .named = named != 0};
                        (void)bench_add(&c);
                }
}
