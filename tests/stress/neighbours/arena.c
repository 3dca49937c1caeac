/* SPDX-License-Identifier: MIT */
/* What all processes of stress_neighbours share: which queue was seen where, by
 * whom one may have been removed, which errors came. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "neighbours.h"
#include "traffic.h"

struct arena *arena;
int self_worker, self_user;
uint64_t self_seed;
bool is_root, is_child;

const char *const op_names[OPS] = {"create", "send",   "receive", "remove", "rm -r", "mv",  "reap",
                                   "stat",   "meddle", "foreign", "kill",   "exec",  "fork"};

int fail(const char *format, ...)
{
        const struct worker *w = &arena->workers[self_worker];
        const int op = atomic_load(&w->op);
        va_list list;

        if (atomic_fetch_add(&arena->failed, 1) < 20) {
                fprintf(stderr, "user %d, %s of %s: ", self_user, op_names[op],
                        arena->slots[atomic_load(&w->slot)].name);
                va_start(list, format);
                vfprintf(stderr, format, list);
                va_end(list);
                fputc('\n', stderr);
        }
        return 1;
}

void pause_ns(uint64_t ns)
{
        const struct timespec t = {0, (long)ns};

        nanosleep(&t, NULL);
}

uint64_t below(uint64_t n)
{
        return traffic_random(&self_seed) % n;
}

/* ---- Errors ------------------------------------------------------- */

static bool is_in(int r, const short *documented)
{
        while (*documented && -*documented != r)
                documented++;
        return *documented != 0;
}

/* r, counted; an error that is in neither list is a failure. */
int count_result(const char *call, int r, const short *documented, const short *more)
{
        if (r >= 0)
                return r;
        atomic_fetch_add(&arena->errors[atomic_load(&arena->workers[self_worker].op)][-r % ERRORS],
                         1);
        if (!is_in(r, documented) && !(more && is_in(r, more)))
                fail("%s: %s", call, strerrorname_np(-r));
        return r;
}

/* ---- What was seen where ------------------------------------------ */

struct entry *entry_of(uint64_t generation)
{
        for (uint64_t i = generation; generation != 0; i++) {
                struct entry *e = &arena->ledger[i % LEDGER];
                unsigned long long free = 0;

                if (atomic_load(&e->generation) == generation)
                        return e;
                if (atomic_compare_exchange_strong(&e->generation, &free, generation))
                        return atomic_fetch_add(&arena->entries, 1) < LEDGER / 2 ? e : NULL;
                if (free == generation)
                        return e;
        }
        fail("a queue without a generation");
        return NULL;
}

/* The slot, how many removals of it have begun, and whether one is under way
 * now. */
static uint64_t stamp_of(int slot)
{
        const uint64_t begun = atomic_load(&arena->slots[slot].begun);
        uint64_t removing = 0;

        for (int i = 0; i < WORKERS; i++)
                removing |= atomic_load(&arena->workers[i].removing);
        return (uint64_t)slot << 48 | begun << 1 | (removing >> slot & 1);
}

/* Whether it may have gone from there since; seen elsewhere, it has moved. */
static bool may_be_gone(int slot, uint64_t stamp)
{
        return (stamp & 1) || stamp >> 48 != (uint64_t)slot ||
               atomic_load(&arena->slots[slot].begun) > (stamp << 16) >> 17;
}

void begin_removal(uint64_t slots)
{
        atomic_store(&arena->workers[self_worker].removing, slots);
        for (int i = 0; i < SLOTS; i++)
                if (slots >> i & 1)
                        atomic_fetch_add(&arena->slots[i].begun, 1);
}

/* Also for a child that was killed meanwhile. */
void end_removal(void)
{
        atomic_store(&arena->workers[self_worker].removing, 0);
}

/* The slot does not lead to this generation any longer. */
static void check_gone(int slot, uint64_t generation, uint64_t stamp)
{
        if (generation != 0 && !may_be_gone(slot, stamp))
                fail("generation %llx has gone, and nobody has removed or moved it",
                     (unsigned long long)generation);
}

/* Before a call that returns which queue it has found, or that there is none. */
struct look look(int slot)
{
        struct look l = {slot, stamp_of(slot), atomic_load(&arena->slots[slot].current), 0};

        if (l.current)
                l.current_stamp = atomic_load(&entry_of(l.current)->stamp);
        return l;
}

struct entry *seen(const struct look *l, uint64_t generation)
{
        struct entry *e = entry_of(generation);

        if (!e)
                return NULL;
        if (l->current != generation)
                check_gone(l->slot, l->current, l->current_stamp);
        atomic_store(&e->stamp, l->stamp);
        atomic_store(&arena->slots[l->slot].current, generation);
        return e;
}

void seen_none(const struct look *l)
{
        unsigned long long current = l->current;

        check_gone(l->slot, l->current, l->current_stamp);
        if (current)
                atomic_compare_exchange_strong(&arena->slots[l->slot].current, &current, 0);
}

/* ---- Slots -------------------------------------------------------- */

const char *name_of(int slot)
{
        const struct slot *s = &arena->slots[slot];

        return s->user == self_user ? s->name : s->path;
}

int own_slot(void)
{
        return self_user * SLOTS_EACH + (int)below(SLOTS_EACH);
}

int own_path(void)
{
        int slot;

        do
                slot = own_slot();
        while (arena->slots[slot].is_key);
        return slot;
}

int some_slot(void)
{
        return below(4) ? own_slot() : (int)below(SLOTS);
}

int at(int slot)
{
        atomic_store(&arena->workers[self_worker].slot, slot);
        return slot;
}

uint64_t bit(int slot)
{
        return UINT64_C(1) << slot;
}

struct sluice_options options(void)
{
        static const mode_t modes[] = {0600, 0660, 0666, 0640};
        struct sluice_options o = SLUICE_OPTIONS_INIT;

        o.capacity = CAPACITY;
        o.mode = modes[below(4)];
        o.first_position = UINT64_C(0) - below(3) * CAPACITY;
        o.wake = below(4) ? SLUICE_WAKE_FUTEX : SLUICE_WAKE_FIFO;
        o.flags = SLUICE_ANY_OWNER;
        return o;
}

int slot_of(const char *path)
{
        for (int i = 0; i < SLOTS; i++)
                if (strcmp(arena->slots[i].path, path) == 0)
                        return i;
        return -1;
}

void name_foreign_key(char *name, size_t size, int i)
{
        snprintf(name, size, "key:0x%x", FOREIGN_KEY + (unsigned)i);
}
