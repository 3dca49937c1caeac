/* SPDX-License-Identifier: MIT */
/*
 * Sleeping until there is a message, or room. A waiting call spins for a
 * while (spin.c), then parks: it stores its parked word, executes the
 * DOORBELL barrier (atomic.h), looks a last time, and sleeps in slices until
 * the deadline. After each slice it asks the kernel whether the peer still
 * holds its role and whether the queue still exists, so nothing that the
 * peer does or fails to do can delay a call for longer.
 *
 * Futex: the sleeper sleeps on the very word it waits for, which its
 * peer writes. The kernel compares the word once more under its own
 * lock, so a change between the last look and the sleep is not missed.
 * FIFO: the byte that the waker writes stays in the pipe until the
 * sleeper takes it out, which it does before it parks, never after.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "futex.h"
#include "endpoint.h"

/* The longest sleep when the peer cannot be relied upon to wake us. */
#define SHORT_SLICE_NS INT64_C(1000000)

/* The longest delay of an interrupt on a kernel without futex_waitv(2). */
#define INTERRUPT_SLICE_NS INT64_C(10000000)

/* As linux/time_types.h has it since 5.1: on every machine, whatever size
 * time_t has there. */
struct kernel_time {
        int64_t s, ns;
};

static struct kernel_time kernel_time_of(int64_t ns)
{
        const struct kernel_time t = {ns / 1000000000, ns % 1000000000};

        return t;
}

int64_t sluice_priv_later(int64_t now, int64_t ns)
{
        return ns > INT64_MAX - now ? INT64_MAX : now + ns;
}

/* ---- Barriers ----------------------------------------------------- */

bool sluice_priv_membarrier_register(void)
{
        return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0) == 0;
}

/* DOORBELL:fence, sleeper: between the parked word and the last look. */
static void sleeper_barrier(struct sluice_priv_queue *q)
{
        sluice_priv_fence_full();
        if (q->membarrier && syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0) != 0)
                q->membarrier = false;
}

/* A peer that makes no system calls, because it was attached through ring.h
 * alone, or that leaves the barrier to a membarrier that we cannot call. Once
 * it has ended that does not matter: its successor wakes us when it joins, but in
 * memory of the caller's own, where it may be attached through ring.h alone.
 * (A peer that has closed its pipes is found within a slice.) */
static bool peer_may_not_wake(const struct sluice_priv_queue *q)
{
        /* Relaxed: it decides only how long a sleep is. UNTRUSTED. */
        const uint64_t state = sluice_priv_load_relaxed(&q->peer_doorbell->state);

        if (!(state & SLUICE_LAYOUT_ATTACHED) || (state & SLUICE_LAYOUT_CLOSED) ||
            state / SLUICE_LAYOUT_EPOCH == q->reported_epoch)
                return !q->named;
        return (state & SLUICE_LAYOUT_MUTE) ||
               (!q->membarrier && (state & SLUICE_LAYOUT_FENCELESS));
}

int64_t sluice_priv_longest_ns(const struct sluice_priv_queue *q)
{
        const bool pipe_is_unusable = q->by_fifo && q->hung_up;

        if (q->slice_ns <= SHORT_SLICE_NS)
                return q->slice_ns;
        return pipe_is_unusable || peer_may_not_wake(q) ? SHORT_SLICE_NS : q->slice_ns;
}

/* ---- What is waited for ------------------------------------------- */

void sluice_priv_await_message(struct sluice_priv_await *a, const struct sluice_consumer *c)
{
        a->word = sluice_priv_next_word(c);
        a->producer = false;
        a->enough = 0;
        a->position = c->next + SLUICE_LAYOUT_HEADER_BYTES; /* published beyond next */
}

/* Room for need bytes, but at least for a quarter of the ring, so that a full
 * queue that drains slowly does not cost a wake-up per message; and never for
 * more than is published, because the consumer cannot release more. */
void sluice_priv_await_room(struct sluice_priv_await *a, const struct sluice_producer *p,
                            uint64_t need)
{
        const uint64_t missing = need - (p->limit - p->tail);
        const uint64_t quarter = (p->mask + 1) / 4 & ~p->unit_mask;
        const uint64_t used = sluice_priv_published(p) - p->seen;
        uint64_t until = missing > quarter ? missing : quarter;

        if (until > used)
                until = missing > used ? missing : used;
        a->word = &p->peer->position;
        a->producer = true;
        a->position = p->seen + until;
        a->enough = p->seen + missing;
}

/* A consumer that sleeps while it keeps messages will release no more: then
 * the producer accepts as much as it needs. */
bool sluice_priv_is_ready(const struct sluice_priv_queue *q, const struct sluice_priv_await *a,
                          uint64_t *value)
{
        uint64_t position;

        /* Relaxed: RELEASE:load or PUBLISH:load is the caller's next look.
         * UNTRUSTED. */
        *value = sluice_priv_load_relaxed(a->word);
        if (!a->producer)
                return *value == SLUICE_LAYOUT_END ? sluice_priv_end_is_unreported(q) : *value != 0;
        position = *value & ~SLUICE_LAYOUT_FLAGS;
        if (((*value & SLUICE_LAYOUT_POSITION_CLOSED) && sluice_priv_end_is_unreported(q)) ||
            (int64_t)(position - a->position) >= 0)
                return true;
        return (int64_t)(position - a->enough) >= 0 &&
               (sluice_priv_load_relaxed(&q->peer_doorbell->parked) & SLUICE_LAYOUT_PARKED);
}

/* ---- Parking ------------------------------------------------------ */

bool sluice_priv_park(struct sluice_priv_queue *q, const struct sluice_priv_await *a)
{
        uint64_t value;

        /* DOORBELL:store. Relaxed: the barrier orders it. */
        sluice_priv_store_relaxed(&q->own_doorbell->parked,
                                  (a->position & ~SLUICE_LAYOUT_FLAGS) | SLUICE_LAYOUT_PARKED |
                                          (q->by_fifo ? SLUICE_LAYOUT_BY_FIFO : 0));
        sleeper_barrier(q);
        if (!a->producer)
                sluice_priv_nudge_producer(q);
        return !sluice_priv_is_ready(q, a, &value);
}

void sluice_priv_unpark(struct sluice_priv_queue *q)
{
        /* Relaxed: a peer that sees it late makes one wake-up in vain. */
        sluice_priv_store_relaxed(&q->own_doorbell->parked, 0);
}

static void interrupt_drain(struct sluice_priv_queue *q)
{
        uint64_t count;

        while (read(q->interrupt_fd, &count, sizeof count) < 0 && errno == EINTR)
                continue;
}

bool sluice_priv_take_interrupt(struct sluice_priv_queue *q)
{
        /* Relaxed: nearly always it is 0, which orders nothing. */
        if (sluice_priv_likely(sluice_priv_load_relaxed(&q->interrupt) == 0))
                return false;
        /* INTERRUPT:load. Relaxed store: the next interrupt stores 1 again. */
        (void)sluice_priv_load_acquire(&q->interrupt);
        sluice_priv_store_relaxed(&q->interrupt, 0);
        if (sluice_priv_fd_is_ours(q, SLUICE_PRIV_INTERRUPT))
                interrupt_drain(q);
        return true;
}

/* On one word, until a time that is near: on 32 bit a kernel before 5.1 has
 * only the call with times of 32 bits. */
static void futex_wait(const sluice_word *word, uint32_t value, int64_t until)
{
        const struct kernel_time t = kernel_time_of(until);
        const struct {
                __kernel_long_t s, ns;
        } t_long = {(__kernel_long_t)t.s, (__kernel_long_t)t.ns};

#ifdef SYS_futex_time64
        if (syscall(SYS_futex_time64, word, FUTEX_WAIT_BITSET, value, &t, NULL,
                    FUTEX_BITSET_MATCH_ANY) >= 0 ||
            !sluice_priv_is_unknown_call(errno))
                return;
#endif
        syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, &t_long, NULL, FUTEX_BITSET_MATCH_ANY);
}

void sluice_priv_futex_sleep(struct sluice_priv_queue *q, const struct sluice_priv_unchanged *word,
                             const struct sluice_priv_unchanged *second, int64_t now, int64_t until)
{
        struct sluice_priv_waitv v[3] = {
                {word->value, (uintptr_t)word->word, FUTEX_32, 0},
                {0, (uintptr_t)&q->interrupt, FUTEX_32, 0},
        };
        const struct kernel_time t = kernel_time_of(until);

        if (second) {
                v[2].val = second->value;
                v[2].uaddr = (uintptr_t)second->word;
                v[2].flags = FUTEX_32;
        }
        if (syscall(SYS_futex_waitv, v, second ? 3 : 2, 0, &t, CLOCK_MONOTONIC) >= 0 ||
            !sluice_priv_is_unknown_call(errno))
                return; /* woken, changed already, timed out: look again */
        if (until - now > INTERRUPT_SLICE_NS)
                until = now + INTERRUPT_SLICE_NS;
        futex_wait(word->word, word->value, until);
}

/* A pipe that is hung up, because we could not hold it open ourselves, is
 * always ready: then the sleep is short and does not use it. */
static void pipe_sleep(struct sluice_priv_queue *q, int64_t now, int64_t until)
{
        const bool without_pipe = q->hung_up;
        struct pollfd fds[2] = {
                {without_pipe ? -1 : q->own_fd, POLLIN, 0},
                {q->interrupt_fd, POLLIN, 0},
        };
        const int64_t ns = until > now ? until - now : 0;
        const struct kernel_time rest =
                kernel_time_of(without_pipe && ns > SHORT_SLICE_NS ? SHORT_SLICE_NS : ns);
        const struct timespec t = {.tv_sec = rest.s, .tv_nsec = (long)rest.ns};

        q->hung_up = false;
        if (ppoll(fds, 2, &t, NULL) <= 0)
                return;
        if (fds[0].revents & POLLIN)
                sluice_priv_fifo_drain(q->own_fd);
        /* The interrupt word is stored before the eventfd is written: a count
         * that arrives after the word was cleared is stale, and must not keep
         * us awake. */
        if (fds[1].revents & POLLIN)
                interrupt_drain(q);
        if (fds[0].revents & POLLHUP)
                q->check_due = q->hung_up = true;
}

/* Under the fork lock. -1: the pipe cannot be opened (any more). */
static int open_keeper(const struct sluice_priv_queue *q)
{
        const struct sluice_priv_name nowhere = {0};
        struct sluice_priv_place place = {.name = &nowhere, .dirfd = q->dirfd};
        int fd;

        if (fstat(q->dirfd, &place.st) != 0)
                return -1;
        fd = sluice_priv_fifo_open(&place,
                                   q->role == SLUICE_PRIV_ROLE_CONSUMER ? SLUICE_PRIV_READABLE
                                                                        : SLUICE_PRIV_WRITABLE,
                                   O_RDWR, q->segment.ds.shm_perm.mode);
        return fd < 0 ? -1 : fd;
}

/* With no peer no process holds the writing end, and the pipe would report a
 * hang-up all the time. A peer that is present may have closed its pipes. */
static bool needs_keeper(const struct sluice_priv_queue *q, bool peer_present)
{
        return !peer_present || q->peer_without_pipe || q->hung_up;
}

/* A later peer than the one that we opened the keeper for has its pipes open. */
static bool keeper_is_replaced(const struct sluice_priv_queue *q, bool peer_present)
{
        return peer_present && !q->peer_without_pipe && q->checked_epoch != q->keeper_epoch;
}

/* While there is no peer we hold the writing end of our own pipe ourselves,
 * until the next peer has opened it. If it cannot be opened, the pipe is not
 * used: hung_up makes sleeps short. */
void sluice_priv_keep_pipe(struct sluice_priv_queue *q, bool peer_present)
{
        const bool has_keeper = q->keeper_fd >= 0;

        if (!q->by_fifo)
                return;
        if (has_keeper ? !keeper_is_replaced(q, peer_present) : !needs_keeper(q, peer_present))
                return;
        if (sluice_priv_fork_lock() != 0)
                return;
        if (has_keeper) {
                close(q->keeper_fd);
                q->keeper_fd = -1;
                q->hung_up = false;
        } else {
                q->keeper_fd = open_keeper(q);
                q->keeper_epoch = q->checked_epoch;
                q->hung_up = q->keeper_fd < 0;
        }
        sluice_priv_fork_unlock();
}

/* ---- Waiting ------------------------------------------------------ */

/* What a round of sleeping returns beside 0, the wait has ended, and a
 * negative errno. */
enum { SLEEP_ON = 1 };

static bool is_check_due(const struct sluice_priv_queue *q, int64_t now)
{
        return q->check_due || now - q->checked_ns >= q->slice_ns;
}

/* An error that ends the wait, or 0. */
static int check_peer(struct sluice_priv_queue *q, int64_t now, bool *present)
{
        q->checked_ns = now;
        return sluice_priv_if_unreported(q, sluice_priv_peer_check(q, present));
}

/* SLEEP_ON while nothing speaks against a sleep. value: of the awaited word. */
static int last_look(struct sluice_priv_queue *q, const struct sluice_priv_await *a, int64_t now,
                     sluice_deadline until, uint64_t *value)
{
        if (sluice_priv_is_ready(q, a, value))
                return 0;
        if (sluice_priv_take_interrupt(q))
                return -ECANCELED;
        if (now >= until) {
                const int end = sluice_priv_reported_end(q);

                return end ? end : -ETIMEDOUT;
        }
        /* Without sleeping: this was only the check of the peer. */
        return q->spin_ns == SLUICE_SPIN_FOREVER ? 0 : SLEEP_ON;
}

static void sleep_slice(struct sluice_priv_queue *q, const struct sluice_priv_await *a,
                        const struct sluice_priv_unchanged *word,
                        const struct sluice_priv_unchanged *parked, int64_t now, int64_t until)
{
        sluice_priv_count(&q->counters->parks);
        if (q->by_fifo)
                pipe_sleep(q, now, until);
        else
                sluice_priv_futex_sleep(q, word, a->producer ? parked : NULL, now, until);
}

/* Checks the peer if that is due, looks, and sleeps for a slice; keeps *now. */
static int sleep_round(struct sluice_priv_queue *q, const struct sluice_priv_await *a, int64_t *now,
                       sluice_deadline until)
{
        const int64_t longest = sluice_priv_longest_ns(q);
        const int64_t slice_end = until - *now > longest ? *now + longest : until;
        struct sluice_priv_unchanged word = {a->word, 0};
        struct sluice_priv_unchanged parked = {&q->peer_doorbell->parked, 0};
        uint64_t value;
        int r;

        if (is_check_due(q, *now)) {
                bool present;

                r = check_peer(q, *now, &present);
                if (r)
                        return r;
                sluice_priv_keep_pipe(q, present);
        }
        /* DOORBELL:load. A consumer that parks after this load nudges us before we are
         * asleep. So the kernel compares this word as well; the look below
         * sees at least what belongs to its value. */
        parked.value = (uint32_t)sluice_priv_load_acquire(parked.word);
        r = last_look(q, a, *now, until, &value);
        if (r != SLEEP_ON)
                return r;
        word.value = (uint32_t)value;
        sleep_slice(q, a, &word, &parked, *now, slice_end);
        if (sluice_priv_is_ready(q, a, &value))
                return 0;
        /* Woken up for nothing: the queue may have been removed. */
        q->check_due = true;
        *now = sluice_now_ns();
        /* A producer may not need as much room as it parked for. */
        return a->producer && *now >= slice_end ? 0 : SLEEP_ON;
}

/* Takes stale bytes out of the pipe. The peer is checked before the sleep unless the
 * pipe is as a peer that is there leaves it: a stale byte may come from whoever
 * has removed the queue, and a pipe that we hold open ourselves tells nothing. */
static void prepare_pipe(struct sluice_priv_queue *q)
{
        enum sluice_priv_drained found;

        sluice_priv_fd_check(q, SLUICE_PRIV_OWN);
        found = sluice_priv_fifo_drain(q->own_fd);
        q->hung_up = found == SLUICE_PRIV_HUNG_UP;
        if (found != SLUICE_PRIV_QUIET || q->keeper_fd >= 0)
                q->check_due = true;
}

/* Parks, and sleeps until it is ready or there is a reason to give up. */
static int sleep_until(struct sluice_priv_queue *q, const struct sluice_priv_await *a, int64_t now,
                       sluice_deadline until)
{
        int r;

        if (q->by_fifo)
                prepare_pipe(q);
        r = sluice_priv_park(q, a) ? SLEEP_ON : 0;
        while (r == SLEEP_ON)
                r = sleep_round(q, a, &now, until);
        sluice_priv_unpark(q);
        return r;
}

/* slept: when it parked, if it did. */
static int spin_then_sleep(struct sluice_priv_queue *q, const struct sluice_priv_await *a,
                           int64_t *now, int64_t *slept, sluice_deadline until)
{
        const int owed = sluice_priv_owed_end(q);
        int r;

        if (sluice_priv_take_interrupt(q))
                return -ECANCELED;
        if (owed)
                return owed;
        if (sluice_priv_spin_until(q, a, now, until))
                return 0;
        /* The first check of the peer comes before the first sleep. */
        q->check_due = is_check_due(q, *now);
        *slept = *now;
        r = sleep_until(q, a, *now, until);
        *now = sluice_now_ns();
        return r;
}

static int wait_until(void *handle, uint64_t need, sluice_deadline until)
{
        struct sluice_priv_endpoint *e = handle;
        struct sluice_priv_queue *q = e->queue;
        const struct sluice_priv_entry entry = sluice_priv_enter();
        const int64_t begin = sluice_now_ns();
        int64_t now = begin, slept = 0;
        struct sluice_priv_await a;
        int r;

        if (q->role == SLUICE_PRIV_ROLE_PRODUCER)
                sluice_priv_await_room(&a, sluice_priv_producer_of(q), need);
        else
                sluice_priv_await_message(&a, sluice_priv_consumer_of(q));
        r = spin_then_sleep(q, &a, &now, &slept, until);
        sluice_priv_spin_learn(q, begin, slept, now, r);
        sluice_priv_leave(&entry);
        return r;
}

/* ---- Polling ------------------------------------------------------ */

/* Close enough for slices, and cheaper than sluice_now_ns. */
static int64_t coarse_now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
        return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool keeps_messages(const struct sluice_priv_queue *q)
{
        return q->role == SLUICE_PRIV_ROLE_CONSUMER && sluice_priv_consumer_of(q)->held != 0;
}

static int poll_peer(struct sluice_priv_queue *q)
{
        const int64_t now = coarse_now_ns();
        bool present;
        int r;

        if (sluice_priv_take_interrupt(q))
                return -ECANCELED;
        if (is_check_due(q, now)) {
                r = check_peer(q, now, &present);
                if (keeps_messages(q))
                        sluice_priv_nudge_producer(q); /* as if we had parked */
                if (r)
                        return r;
        }
        return sluice_priv_reported_end(q);
}

/* For a caller that polls: asks the kernel once per slice at most. */
static int check(void *handle)
{
        struct sluice_priv_endpoint *e = handle;
        const struct sluice_priv_entry entry = sluice_priv_enter();
        const int r = poll_peer(e->queue);

        sluice_priv_leave(&entry);
        return r;
}

const struct sluice_priv_sleep sluice_priv_queue_sleep = {
        wait_until, check, sluice_priv_wake, sluice_priv_end, sluice_priv_report,
};
