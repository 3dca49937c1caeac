/* SPDX-License-Identifier: MIT */
/*
 * Members without a pipe, whose producers wake by futex: rings with
 * sluice_producer_enable_sleep, and queues that are a key only. No system
 * call waits for a futex and a descriptor. So while the group sleeps, a
 * thread of its own, made when it is first needed, waits for the words of all
 * such members, by futex_waitv(2), and writes to the group's eventfd when one
 * changes.
 *
 * No wake-up is lost, although this thread may come late: the words are
 * parked before (DOORBELL), and the kernel compares each with 0 before it
 * waits. It touches no member: it has addresses only, and one that is mapped
 * no more counts as a change.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../futex.h"
#include "group.h"

void bell_begin(struct bell *b)
{
        pthread_mutex_init(&b->lock, NULL);
}

/* Under the mutex: the thread begins anew. */
static void change(struct bell *b)
{
        /* Relaxed: under the mutex; the kernel compares it. */
        sluice_priv_store_relaxed(&b->version, sluice_priv_load_relaxed(&b->version) + 1);
        syscall(SYS_futex, &b->version, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void bell_end(struct bell *b)
{
        if (b->started) {
                pthread_mutex_lock(&b->lock);
                b->ended = true;
                change(b);
                pthread_mutex_unlock(&b->lock);
                pthread_join(b->thread, NULL);
        }
        pthread_mutex_destroy(&b->lock);
}

/* What to wait for, with the version first; 0: it is to end. */
static unsigned read_words(struct bell *b, struct sluice_priv_waitv *v)
{
        unsigned n = 0;

        pthread_mutex_lock(&b->lock);
        if (!b->ended) {
                v[n].val = (uint32_t)sluice_priv_load_relaxed(&b->version);
                v[n++].uaddr = (uintptr_t)&b->version;
                for (unsigned i = 0; i < b->n; i++) {
                        v[n].val = 0;
                        v[n++].uaddr = (uintptr_t)b->words[i];
                }
        }
        pthread_mutex_unlock(&b->lock);
        for (unsigned i = 0; i < n; i++) {
                v[i].flags = FUTEX_32;
                v[i].reserved = 0;
        }
        return n;
}

/* The wait is over. Nothing is waited for until the group sleeps again. */
static void ring(struct sluice_group *g, uint64_t version, bool unknown)
{
        struct bell *const b = &g->bell;

        pthread_mutex_lock(&b->lock);
        b->broken |= unknown;
        /* Relaxed: under the mutex. */
        if ((uint32_t)sluice_priv_load_relaxed(&b->version) == version) {
                b->n = 0;
                group_kick(g);
        }
        pthread_mutex_unlock(&b->lock);
}

static void *wait_for_words(void *group)
{
        struct sluice_group *g = group;
        struct sluice_priv_waitv v[BELL_MOST + 1];
        unsigned n;
        int r;

        while ((n = read_words(&g->bell, v)) != 0) {
                if (n == 1) {
                        syscall(SYS_futex, v[0].uaddr, FUTEX_WAIT, (uint32_t)v[0].val, NULL, NULL,
                                0);
                        continue;
                }
                r = syscall(SYS_futex_waitv, v, n, 0, NULL, 0) >= 0 ? 0 : errno;
                if (r != EINTR)
                        ring(g, v[0].val, sluice_priv_is_unknown_call(r));
        }
        return NULL;
}

/* A thread that the program does not know must not take its signals. */
static bool start(struct sluice_group *g)
{
        struct bell *const b = &g->bell;
        sigset_t all, before;

        if (b->started)
                return true;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        b->started = pthread_create(&b->thread, NULL, wait_for_words, g) == 0;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return b->started;
}

bool bell_arm(struct sluice_group *g, const sluice_word *const *words, unsigned n)
{
        struct bell *const b = &g->bell;
        bool armed;

        pthread_mutex_lock(&b->lock);
        armed = n <= BELL_MOST && !b->broken && start(g);
        if (armed && (n != b->n || memcmp(words, b->words, n * sizeof *words) != 0)) {
                b->n = n;
                memcpy(b->words, words, n * sizeof *words);
                change(b);
        }
        pthread_mutex_unlock(&b->lock);
        return armed;
}
