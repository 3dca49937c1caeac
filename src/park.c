/* SPDX-License-Identifier: MIT */
/*
 * Sleeping and waking. A waiting call spins for a while, then parks: it
 * stores its parked word, executes the DOORBELL barrier (atomic.h), looks a
 * last time, and sleeps in slices until the deadline. At each slice it
 * asks the kernel whether the peer still holds its role and whether the
 * queue is still there, so that nothing that the peer does or leaves
 * undone can hold a call for longer.
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
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#ifndef FUTEX_32
#define FUTEX_32 2
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* The peer is not sure to wake us: so long is a sleep then. */
#define SHORT_SLICE_NS INT64_C(1000000)

/* So late, at most, is an interrupt on a kernel without futex_waitv(2). */
#define INTERRUPT_SLICE_NS INT64_C(10000000)

/* As linux/futex.h has it since 5.16. */
struct waitv {
        uint64_t val, uaddr;
        uint32_t flags, reserved;
};

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

/* DOORBELL, sleeper: between the parked word and the last look. */
static void sleeper_barrier(struct sluice_priv_queue *q)
{
        sluice_priv_fence_full();
        if (q->membarrier && syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0) != 0)
                q->membarrier = false;
}

/* Nobody will wake us in time: the peer was attached without the
 * library, or relies on a membarrier that we cannot call; or our own pipe is
 * hung up. One that has ended will do nothing, and its successor wakes us
 * when it joins. (One that has closed its pipes is found within a slice.) */
int64_t sluice_priv_longest_ns(const struct sluice_priv_queue *q)
{
        const uint64_t state = sluice_priv_load_relaxed(&q->peer_doorbell->state); /* UNTRUSTED */
        const bool ended =
                (state & SLUICE_LAYOUT_CLOSED) || state / SLUICE_LAYOUT_EPOCH == q->reported_epoch;
        const bool mute = (state & SLUICE_LAYOUT_MUTE) ||
                          (!q->membarrier && (state & SLUICE_LAYOUT_FENCELESS));

        const bool deaf = q->by_fifo && q->hung_up;

        return ((mute && !ended) || deaf) && q->slice_ns > SHORT_SLICE_NS ? SHORT_SLICE_NS
                                                                          : q->slice_ns;
}

/* ---- What is waited for ------------------------------------------- */

void sluice_priv_await_message(struct sluice_priv_await *a, const struct sluice_consumer *c)
{
        a->word = sluice_priv_next_word(c);
        a->producer = false;
        a->enough = 0;
        a->position = c->next + SLUICE_LAYOUT_HEADER_BYTES; /* published beyond next */
}

/* Room for need bytes, and, so that a full queue that drains slowly does
 * not cost a wake-up per message, at least a quarter of the ring: but
 * never more than what is published, which the consumer can release. */
void sluice_priv_await_room(struct sluice_priv_await *a, const struct sluice_producer *p,
                            uint64_t need)
{
        const uint64_t missing = need - (p->limit - p->tail);
        const uint64_t fair = (p->mask + 1) / 4 & ~p->unit_mask;
        const uint64_t used = p->position - p->seen;
        uint64_t until = missing > fair ? missing : fair;

        if (until > used)
                until = missing > used ? missing : used;
        a->word = &p->peer->position;
        a->producer = true;
        a->position = p->seen + until;
        a->enough = p->seen + missing;
}

/* A consumer that sleeps while it keeps messages will release no more:
 * then the producer is content with what it needs. */
bool sluice_priv_is_ready(const struct sluice_priv_queue *q, const struct sluice_priv_await *a,
                          uint64_t *value)
{
        uint64_t position;

        /* RELEASE or PUBLISH is the caller's next look. UNTRUSTED. */
        *value = sluice_priv_load_relaxed(a->word);
        if (!a->producer)
                return *value == SLUICE_LAYOUT_END ? sluice_priv_end_is_news(q) : *value != 0;
        position = *value & ~SLUICE_LAYOUT_FLAGS;
        if (((*value & SLUICE_LAYOUT_POSITION_CLOSED) && sluice_priv_end_is_news(q)) ||
            (int64_t)(position - a->position) >= 0)
                return true;
        return (int64_t)(position - a->enough) >= 0 &&
               (sluice_priv_load_relaxed(&q->peer_doorbell->parked) & SLUICE_LAYOUT_PARKED);
}

/* ---- Parking ------------------------------------------------------ */

bool sluice_priv_park(struct sluice_priv_queue *q, const struct sluice_priv_await *a)
{
        uint64_t value;

        /* DOORBELL, sleeper. Relaxed: the barrier orders it. */
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
        sluice_priv_store_relaxed(&q->own_doorbell->parked, 0); /* late is only a wasted wake-up */
}

static void interrupt_drain(struct sluice_priv_queue *q)
{
        uint64_t count;

        while (read(q->interrupt_fd, &count, sizeof count) < 0 && errno == EINTR)
                continue;
}

bool sluice_priv_take_interrupt(struct sluice_priv_queue *q)
{
        if (sluice_priv_likely(sluice_priv_load_relaxed(&q->interrupt) == 0))
                return false;
        sluice_priv_store_relaxed(&q->interrupt, 0);
        if (sluice_priv_fd_is_ours(q, SLUICE_PRIV_INTERRUPT))
                interrupt_drain(q);
        return true;
}

/* The call is not there, or a filter that is older than it says so. */
static bool is_unknown_call(void)
{
        return errno == ENOSYS || errno == EPERM;
}

/* On one word, until a time that is near. A kernel before 5.1 has no
 * other call on 32 bit than the one with times of 32 bits. */
static void futex_wait(const sluice_word *word, uint32_t value, int64_t until)
{
        const struct kernel_time t = kernel_time_of(until);
        const struct {
                __kernel_long_t s, ns;
        } t_long = {(__kernel_long_t)t.s, (__kernel_long_t)t.ns};

#ifdef SYS_futex_time64
        if (syscall(SYS_futex_time64, word, FUTEX_WAIT_BITSET, value, &t, NULL,
                    FUTEX_BITSET_MATCH_ANY) >= 0 ||
            !is_unknown_call())
                return;
#endif
        syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, &t_long, NULL, FUTEX_BITSET_MATCH_ANY);
}

void sluice_priv_futex_sleep(struct sluice_priv_queue *q, const struct sluice_priv_unchanged *word,
                             const struct sluice_priv_unchanged *second, int64_t now, int64_t until)
{
        struct waitv v[3] = {
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
            !is_unknown_call())
                return; /* woken, changed already, timed out: look again */
        if (until - now > INTERRUPT_SLICE_NS)
                until = now + INTERRUPT_SLICE_NS;
        futex_wait(word->word, word->value, until);
}

/* A pipe that is hung up, and that we could not keep open, would not let us
 * sleep: then without it, shortly. */
static void pipe_sleep(struct sluice_priv_queue *q, int64_t now, int64_t until)
{
        const bool deaf = q->hung_up;
        struct pollfd fds[2] = {
                {deaf ? -1 : q->own_fd, POLLIN, 0},
                {q->interrupt_fd, POLLIN, 0},
        };
        const int64_t ns = until > now ? until - now : 0;
        const struct kernel_time rest =
                kernel_time_of(deaf && ns > SHORT_SLICE_NS ? SHORT_SLICE_NS : ns);
        const struct timespec t = {.tv_sec = rest.s, .tv_nsec = (long)rest.ns};

        q->hung_up = false;
        if (ppoll(fds, 2, &t, NULL) <= 0)
                return;
        if (fds[0].revents & POLLIN)
                sluice_priv_fifo_drain(q->own_fd);
        /* Its word was there before it: a count that comes after the word
         * was taken is stale, and must not keep us awake. */
        if (fds[1].revents & POLLIN)
                interrupt_drain(q);
        if (fds[0].revents & POLLHUP)
                q->check_due = q->hung_up = true;
}

/* Under the fork lock. -1 when the right to open it is gone, say. */
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

/* The next holder of the role has come, and has its pipes. */
static bool is_relieved(const struct sluice_priv_queue *q, bool peer_present)
{
        return peer_present && !q->peer_apart && q->checked_epoch != q->keeper_epoch;
}

/* With no peer there is no writer, and the pipe would report a hang-up
 * without end: while there is none we hold the writing end ourselves, until
 * the next holder of the role has come. (One may be present and have closed
 * its descriptors.) If the right to open it is gone, say, the pipe is done
 * without, in short slices. */
void sluice_priv_keep_pipe(struct sluice_priv_queue *q, bool peer_present)
{
        if (!q->by_fifo || (q->keeper_fd >= 0 && !is_relieved(q, peer_present)) ||
            (q->keeper_fd < 0 && peer_present && !q->peer_apart && !q->hung_up) ||
            sluice_priv_fork_lock() != 0)
                return;
        if (q->keeper_fd >= 0) {
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

/* Parks, and sleeps until it is ready or there is a reason to give up. */
static int sleep_until(struct sluice_priv_queue *q, const struct sluice_priv_await *a, int64_t now,
                       sluice_deadline until)
{
        bool present;
        int r = 0;

        if (q->by_fifo) {
                sluice_priv_fd_check(q, SLUICE_PRIV_OWN);
                q->hung_up = sluice_priv_fifo_drain(q->own_fd);
        }
        if (!sluice_priv_park(q, a)) {
                sluice_priv_unpark(q);
                return 0;
        }
        for (;;) {
                const int64_t longest = sluice_priv_longest_ns(q);
                const int64_t slice = until - now > longest ? now + longest : until;
                struct sluice_priv_unchanged word = {a->word, 0}, parked = {0};
                uint64_t value;

                if (q->check_due || now - q->checked_ns >= q->slice_ns || q->by_fifo) {
                        q->checked_ns = now;
                        r = sluice_priv_news(q, sluice_priv_peer_check(q, &present));
                        if (r)
                                break;
                        sluice_priv_keep_pipe(q, present);
                }
                /* A consumer that parks after this look nudges us while we are not
                 * yet asleep: the kernel compares this word as well, and what the
                 * look below makes of it is not older. */
                parked.word = &q->peer_doorbell->parked;
                parked.value = (uint32_t)sluice_priv_load_acquire(parked.word);
                if (sluice_priv_is_ready(q, a, &value) ||
                    (r = sluice_priv_take_interrupt(q) ? -ECANCELED : 0))
                        break;
                word.value = (uint32_t)value;
                if (now >= until) {
                        r = sluice_priv_reported_end(q) ? sluice_priv_reported_end(q) : -ETIMEDOUT;
                        break;
                }
                if (q->spin_ns == SLUICE_SPIN_FOREVER)
                        break; /* this was only the look at the peer */
                sluice_priv_count(&q->counters->parks);
                if (q->by_fifo)
                        pipe_sleep(q, now, slice);
                else
                        sluice_priv_futex_sleep(q, &word, a->producer ? &parked : NULL, now, slice);
                if (sluice_priv_is_ready(q, a, &value))
                        break; /* the peer is looked for before the next sleep */
                /* Woken, and nothing is there: the queue may be gone. */
                q->check_due = true;
                now = sluice_now_ns();
                /* Whoever is content with any room need not wait for more. */
                if (a->producer && now >= slice)
                        break;
        }
        sluice_priv_unpark(q);
        return r;
}

static int wait_for(struct sluice_priv_queue *q, const struct sluice_priv_await *a,
                    sluice_deadline until)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        const int64_t begin = sluice_now_ns();
        int64_t now = begin;
        int r = 0;

        if (sluice_priv_take_interrupt(q)) {
                r = -ECANCELED;
        } else if (!sluice_priv_spin_until(q, a, &now, until)) {
                /* The first look at the peer comes before the first sleep. */
                q->check_due |= now - q->checked_ns >= q->slice_ns;
                r = sleep_until(q, a, now, until);
                now = sluice_now_ns();
        }
        if (r == 0)
                sluice_priv_spin_adapt(q, now - begin);
        sluice_priv_leave(&entry);
        return r;
}

static int producer_wait(void *handle, uint64_t need, sluice_deadline until)
{
        struct sluice_producer *p = handle;
        struct sluice_priv_await a;

        sluice_priv_await_room(&a, p, need);
        return wait_for(p->base.queue, &a, until);
}

static int consumer_wait(void *handle, uint64_t need, sluice_deadline until)
{
        struct sluice_consumer *c = handle;
        struct sluice_priv_await a;

        (void)need;
        sluice_priv_await_message(&a, c);
        return wait_for(c->base.queue, &a, until);
}

/* For one who polls: asks no more often than once in a slice. */
static int check(struct sluice_priv_queue *q, bool keeps_messages)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        struct timespec t;
        int64_t now;
        bool present;
        int r = 0;

        clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
        now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
        if (sluice_priv_take_interrupt(q)) {
                r = -ECANCELED;
        } else if (q->check_due || now - q->checked_ns >= q->slice_ns) {
                q->checked_ns = now;
                r = sluice_priv_news(q, sluice_priv_peer_check(q, &present));
                if (keeps_messages)
                        sluice_priv_nudge_producer(q); /* as if it had parked */
        }
        if (r == 0)
                r = sluice_priv_reported_end(q);
        sluice_priv_leave(&entry);
        return r;
}

static int producer_check(void *handle)
{
        struct sluice_producer *p = handle;

        return check(p->base.queue, false);
}

static int consumer_check(void *handle)
{
        struct sluice_consumer *c = handle;

        return check(c->base.queue, c->held != 0);
}

const struct sluice_priv_sleep sluice_priv_producer_sleep = {
        producer_wait,
        producer_check,
        sluice_priv_producer_wake,
        sluice_priv_producer_end,
        sluice_priv_producer_tell,
};
const struct sluice_priv_sleep sluice_priv_consumer_sleep = {
        consumer_wait,
        consumer_check,
        sluice_priv_consumer_wake,
        sluice_priv_consumer_end,
        sluice_priv_consumer_tell,
};
