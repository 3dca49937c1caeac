/* SPDX-License-Identifier: MIT */
/* Memory that both sides of a trial see at the same address. */
#define _GNU_SOURCE
#include "harness.h"

#include <string.h>
#include <sys/mman.h>

#define PAGE       ((size_t)4096)
#define ARENA      ((size_t)80 << 20)
#define ARENA_MOST ((size_t)40 << 20) /* of one trial */
#define APART      ((size_t)128)

bool bench_in_trial_memory;

static struct {
        unsigned char *mem;
        size_t at, end;
} arena;

static void *map(size_t bytes)
{
        void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

        if (mem == MAP_FAILED)
                bench_die("no memory for %zu bytes", bytes);
        return mem;
}

void bench_memory_begin(void)
{
        arena.mem = map(ARENA);
}

/* fork does not copy page tables of shared mappings. A read maps these pages
 * for writing, too, because the kernel need not see their first write. */
void bench_memory_map(void)
{
        const volatile unsigned char *mem = arena.mem;

        for (size_t i = 0; i < ARENA; i += PAGE)
                (void)mem[i];
}

void bench_trial_memory(bool on)
{
        if (on) {
                arena.at = bench_random() % ((ARENA - ARENA_MOST) / PAGE) * PAGE;
                arena.end = arena.at + ARENA_MOST;
        }
        bench_in_trial_memory = on;
}

static void *take(size_t align, size_t before, size_t bytes)
{
        const size_t at = (arena.at + before + align - 1) & ~(align - 1);

        if (bytes > ARENA_MOST || at + bytes > arena.end) {
                bench_in_trial_memory = false;
                bench_die("%s: the arena is too small for %zu bytes more", bench_running, bytes);
        }
        arena.at = at + bytes;
        return arena.mem + at;
}

bool bench_is_trial_memory(const void *mem)
{
        const unsigned char *m = (const unsigned char *)mem;

        return arena.mem && m >= arena.mem && m < arena.mem + ARENA;
}

/* The size is in the line before. */
void *bench_trial_alloc(size_t align, size_t bytes)
{
        unsigned char *mem = take(align > APART ? align : APART, APART, bytes);

        memcpy(mem - sizeof bytes, &bytes, sizeof bytes);
        return mem;
}

size_t bench_trial_size(const void *mem)
{
        size_t bytes;

        memcpy(&bytes, (const unsigned char *)mem - sizeof bytes, sizeof bytes);
        return bytes;
}

void *bench_shared(size_t bytes)
{
        void *mem;

        if (!bench_in_trial_memory)
                return map(bytes);
        mem = take(PAGE, 0, bytes);
        memset(mem, 0, bytes);
        return mem;
}

void bench_unshare(void *mem, size_t bytes)
{
        if (!bench_is_trial_memory(mem))
                munmap(mem, bytes);
}
