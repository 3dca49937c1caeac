/* SPDX-License-Identifier: MIT */
/*
 * Sleeping and waking. A waiting call spins for a while, then parks: it
 * stores its parked word, executes the DOOR barrier (atomic.h), looks a
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
#include <sched.h>
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

/* Who gives way, and gets the CPU back later than that, was in the way of
 * somebody with much to do: then it is better to sleep, for the scheduler
 * prefers who was asleep to who only waits for his turn. So many waits do,
 * and twice as many each time, up to the most. */
#define TURN_NS INT64_C(500000)
enum { CROWDED_MOST = 65536 };

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

/* DOOR, sleeper: between the parked word and the last look. */
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
        const uint64_t state = sluice_priv_load_relaxed(&q->peer_door->state); /* UNTRUSTED */
        const bool ended = (state & SLUICE_LAYOUT_CLOSED) || state / SLUICE_LAYOUT_EPOCH == q->told;
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

/* Does the peer's end that stands in the ring end a wait? A hint: the next
 * look decides. */
static bool end_is_news(const struct sluice_priv_queue *q)
{
        const uint64_t state = sluice_priv_load_relaxed(&q->peer_door->state); /* UNTRUSTED */

        return state / SLUICE_LAYOUT_EPOCH != q->told;
}

/* A consumer that sleeps while it keeps messages will release no more:
 * then the producer is content with what it needs. */
static bool is_ready(const struct sluice_priv_queue *q, const struct sluice_priv_await *a,
                     uint64_t *value)
{
        uint64_t position;

        /* RELEASE or PUBLISH is the caller's next look. UNTRUSTED. */
        *value = sluice_priv_load_relaxed(a->word);
        if (!a->producer)
                return *value == SLUICE_LAYOUT_END ? end_is_news(q) : *value != 0;
        position = *value & ~SLUICE_LAYOUT_FLAGS;
        if (((*value & SLUICE_LAYOUT_POSITION_CLOSED) && end_is_news(q)) ||
            (int64_t)(position - a->position) >= 0)
                return true;
        return (int64_t)(position - a->enough) >= 0 &&
               (sluice_priv_load_relaxed(&q->peer_door->parked) & SLUICE_LAYOUT_PARKED);
}

/* ---- Parking ------------------------------------------------------ */

/* DOOR once more, between two sleepers: each stores its parked word and
 * then looks at the other's, so that a producer that waits for a fair
 * part of the ring and a consumer that keeps messages cannot both sleep.
 * It is not an answer: the producer may need more, and sleep on. */
static void nudge_producer(struct sluice_priv_queue *q)
{
        struct sluice_consumer *c = q->handle;
        const uint64_t answered = c->door.answered;
        const uint64_t parked = sluice_priv_load_relaxed(&q->peer_door->parked); /* UNTRUSTED */

        if (!c->door.open || !(parked & SLUICE_LAYOUT_PARKED) || parked == answered)
                return;
        c->sleep->wake(c, parked);
        c->door.answered = answered;
}

bool sluice_priv_park(struct sluice_priv_queue *q, const struct sluice_priv_await *a)
{
        uint64_t value;

        /* DOOR, sleeper. Relaxed: the barrier orders it. */
        sluice_priv_store_relaxed(&q->own_door->parked,
                                  (a->position & ~SLUICE_LAYOUT_FLAGS) | SLUICE_LAYOUT_PARKED |
                                          (q->by_fifo ? SLUICE_LAYOUT_BY_FIFO : 0));
        sleeper_barrier(q);
        if (!a->producer)
                nudge_producer(q);
        return !is_ready(q, a, &value);
}

void sluice_priv_unpark(struct sluice_priv_queue *q)
{
        sluice_priv_store_relaxed(&q->own_door->parked, 0); /* late is only a wasted wake-up */
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
        if (q->interrupt_fd >= 0)
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

/* ---- Is anybody there? -------------------------------------------- */

/*
 * Does anybody hold the peer's role? (fifo.c) A locked pipe says yes, a
 * free role without one says no. A role that is held without a lock: by a
 * process that has become another program, and maps nothing any more, or
 * by one that has closed its pipes, and still maps the queue beside us.
 * When we may not ask for the role any more, the lock alone says it; on
 * a bare key nothing does. state: the peer's. 1, 0, or an error.
 */
static int peer_held(struct sluice_priv_queue *q, int role, uint64_t state)
{
        const int held = sluice_priv_role_held(q->segment.semid, role);
        const int locked = q->own_fd >= 0 ? sluice_priv_fifo_locked(q->own_fd) : -EBADF;

        q->peer_apart = false;
        if (held < 0 && held != -EACCES)
                return held;
        if (locked < 0)
                return held == -EACCES ? 1 : held;
        if (locked > 0 || held == 0)
                return locked;
        if (held > 0 && !(state & SLUICE_LAYOUT_UNLOCKED) &&
            sluice_priv_segment_attached(&q->segment) == 1)
                return 0;
        q->peer_apart = held > 0;
        return q->peer_apart;
}

/*
 * Death is: nobody holds the role, and its last holder has not closed.
 * The state word changes with every holder and every close, so when it is
 * the same before and after the role was seen deserted, it was that
 * holder that is gone.
 */
int sluice_priv_peer_check(struct sluice_priv_queue *q, bool *present)
{
        const int role = q->role == SLUICE_PRIV_ROLE_PRODUCER ? SLUICE_PRIV_ROLE_CONSUMER
                                                              : SLUICE_PRIV_ROLE_PRODUCER;
        uint64_t before, after;
        int held;

        *present = true;
        if (!q->named)
                return 0;
        before = sluice_priv_load_acquire(&q->peer_door->state); /* UNTRUSTED */
        held = peer_held(q, role, before);
        after = sluice_priv_load_acquire(&q->peer_door->state);
        q->checked_epoch = before / SLUICE_LAYOUT_EPOCH;
        q->check_due = held < 0; /* removed is for ever: say so at once next time */
        *present = held > 0;
        if (held < 0)
                return held == -EIDRM ? -ESTALE : held;
        if (q->own_fd >= 0 && sluice_priv_fifo_gone(q->own_fd))
                return -ESTALE;
        if (held == 0 && before == after && (after & SLUICE_LAYOUT_ATTACHED)) {
                q->gone = after / SLUICE_LAYOUT_EPOCH;
                return after & SLUICE_LAYOUT_CLOSED ? -EPIPE : -EOWNERDEAD;
        }
        return 0;
}

/* ---- An end is told once ------------------------------------------ */

int sluice_priv_news(const struct sluice_priv_queue *q, int error)
{
        return (error == -EPIPE || error == -EOWNERDEAD) && q->gone == q->told ? 0 : error;
}

/* For a call that finds nothing: the end that was told, once more, while
 * nobody has come since; or 0. */
static int told_before(struct sluice_priv_queue *q)
{
        if (q->ended && end_is_news(q))
                q->ended = 0;
        if (q->ended)
                *q->polls = SLUICE_PRIV_POLLS_CHECK_NEXT;
        return q->ended;
}

static int tell(struct sluice_priv_queue *q, int error)
{
        if (error == 0) {
                q->told = 0; /* nobody's: epochs begin at 1 */
                q->ended = 0;
        } else if (error == -EPIPE || error == -EOWNERDEAD) {
                q->told = q->peer_epoch = q->gone;
                q->ended = error;
                *q->polls = SLUICE_PRIV_POLLS_CHECK_NEXT;
        }
        return error;
}

static int producer_tell(void *handle, int error)
{
        struct sluice_producer *p = handle;

        return tell(p->queue, error);
}

static int consumer_tell(void *handle, int error)
{
        struct sluice_consumer *c = handle;

        return tell(c->queue, error);
}

/* ENDING: the state first, then once more what was found. */
static int producer_end(void *handle)
{
        struct sluice_producer *p = handle;
        struct sluice_priv_queue *q = p->queue;
        const uint64_t state = sluice_priv_load_acquire(&q->peer_door->state); /* UNTRUSTED */

        if (!(sluice_priv_load_acquire(&p->peer->position) & SLUICE_LAYOUT_POSITION_CLOSED))
                return 0;
        q->gone = state / SLUICE_LAYOUT_EPOCH;
        return sluice_priv_news(q, -EPIPE);
}

static int consumer_end(void *handle)
{
        struct sluice_consumer *c = handle;
        struct sluice_priv_queue *q = c->queue;
        const uint64_t state = sluice_priv_load_acquire(&q->peer_door->state); /* UNTRUSTED */

        if (sluice_priv_load_acquire(sluice_priv_next_word(c)) != SLUICE_LAYOUT_END)
                return 0;
        q->gone = state / SLUICE_LAYOUT_EPOCH;
        return sluice_priv_news(q, -EPIPE);
}

/* A role that is still held beside the closed flag is on its way out. */
int sluice_priv_meet_peer(struct sluice_priv_queue *q)
{
        const uint64_t state = sluice_priv_load_acquire(&q->peer_door->state); /* UNTRUSTED */
        bool present;
        const int r = sluice_priv_peer_check(q, &present);

        if (r == 0 && (state & SLUICE_LAYOUT_CLOSED))
                q->gone = state / SLUICE_LAYOUT_EPOCH;
        return r == -EPIPE || r == -EOWNERDEAD ? 0 : r;
}

void sluice_priv_met_peer(struct sluice_priv_queue *q, bool left)
{
        if (!left)
                q->told = q->gone;
}

/* ---- Waiting ------------------------------------------------------ */

/* Between looks; for one who may share the only CPU that it has. */
static void give_way(struct sluice_priv_queue *q)
{
        const int64_t before = sluice_now_ns();

        sched_yield();
        if (sluice_now_ns() - before < TURN_NS)
                return;
        q->crowded = q->crowd;
        if (q->crowd < CROWDED_MOST)
                q->crowd *= 2;
}

/* true: ready. Spins no longer than has lately been of use. */
static bool spin(struct sluice_priv_queue *q, const struct sluice_priv_await *a, int64_t *now,
                 int64_t until)
{
        const int64_t begin = *now;
        unsigned turn = 0;
        uint64_t value;

        if (q->crowded > 0) {
                q->crowded--;
                return false;
        }
        if (q->spin_budget_ns < until - begin)
                until = begin + q->spin_budget_ns;
        while (*now < until && q->crowded == 0) {
                for (int i = 0; i < 32; i++) {
                        if (is_ready(q, a, &value)) {
                                if (q->crowd > SLUICE_PRIV_CROWDED_LEAST)
                                        q->crowd--;
                                return true;
                        }
                        sluice_priv_relax();
                }
                if (sluice_priv_load_relaxed(&q->interrupt) != 0)
                        return true;
                if (q->gives_way && (turn & (turn + 1)) == 0) /* turn 0, 1, 3, 7 ... */
                        give_way(q);
                turn++;
                *now = sluice_now_ns();
                if (q->spin_ns == SLUICE_SPIN_FOREVER && *now - q->checked_ns >= q->slice_ns)
                        return false;
        }
        return false;
}

/* A wait that spinning would have covered makes the next one spin
 * longer, up to spin_ns; one that it would not, half as long, down to a
 * sixteenth. */
static void adapt(struct sluice_priv_queue *q, int64_t waited_ns)
{
        if (q->spin_ns == SLUICE_SPIN_FOREVER)
                return;
        if (waited_ns <= q->spin_ns)
                q->spin_budget_ns =
                        q->spin_budget_ns < q->spin_ns / 2 ? q->spin_budget_ns * 2 : q->spin_ns;
        else if (q->spin_budget_ns / 2 >= q->spin_ns / 16)
                q->spin_budget_ns /= 2;
}

/* Parks, and sleeps until it is ready or there is a reason to give up. */
static int sleep_until(struct sluice_priv_queue *q, const struct sluice_priv_await *a, int64_t now,
                       sluice_deadline until)
{
        bool present;
        int r = 0;

        if (q->by_fifo)
                q->hung_up = sluice_priv_fifo_drain(q->own_fd);
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
                parked.word = &q->peer_door->parked;
                parked.value = (uint32_t)sluice_priv_load_acquire(parked.word);
                if (is_ready(q, a, &value) || (r = sluice_priv_take_interrupt(q) ? -ECANCELED : 0))
                        break;
                word.value = (uint32_t)value;
                if (now >= until) {
                        r = told_before(q) ? told_before(q) : -ETIMEDOUT;
                        break;
                }
                if (q->spin_ns == SLUICE_SPIN_FOREVER)
                        break; /* this was only the look at the peer */
                sluice_priv_count(&q->counters->parks);
                if (q->by_fifo)
                        pipe_sleep(q, now, slice);
                else
                        sluice_priv_futex_sleep(q, &word, a->producer ? &parked : NULL, now, slice);
                if (is_ready(q, a, &value))
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
        } else if (!spin(q, a, &now, until)) {
                /* The first look at the peer comes before the first sleep. */
                q->check_due |= now - q->checked_ns >= q->slice_ns;
                r = sleep_until(q, a, now, until);
                now = sluice_now_ns();
        }
        if (r == 0)
                adapt(q, now - begin);
        sluice_priv_leave(&entry);
        return r;
}

static int producer_wait(void *handle, uint64_t need, sluice_deadline until)
{
        struct sluice_producer *p = handle;
        struct sluice_priv_await a;

        sluice_priv_await_room(&a, p, need);
        return wait_for(p->queue, &a, until);
}

static int consumer_wait(void *handle, uint64_t need, sluice_deadline until)
{
        struct sluice_consumer *c = handle;
        struct sluice_priv_await a;

        (void)need;
        sluice_priv_await_message(&a, c);
        return wait_for(c->queue, &a, until);
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
                        nudge_producer(q); /* as if it had parked */
        }
        if (r == 0)
                r = told_before(q);
        sluice_priv_leave(&entry);
        return r;
}

static int producer_check(void *handle)
{
        struct sluice_producer *p = handle;

        return check(p->queue, false);
}

static int consumer_check(void *handle)
{
        struct sluice_consumer *c = handle;

        return check(c->queue, c->held != 0);
}

/* ---- Waking ------------------------------------------------------- */

void sluice_priv_futex_wake(const sluice_word *word)
{
        syscall(SYS_futex, word, FUTEX_WAKE, 1 << 30, NULL, NULL, 0);
}

static void wake(struct sluice_priv_queue *q, struct sluice_priv_door *door, uint64_t parked,
                 const sluice_word *word)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();

        door->answered = parked;
        sluice_priv_count(&q->counters->wakes);
        if (!(parked & SLUICE_LAYOUT_BY_FIFO))
                sluice_priv_futex_wake(word);
        else if (q->peer_fd >= 0 && q->rang)
                sluice_priv_fifo_ring_once(q->peer_fd);
        else if (q->peer_fd >= 0)
                sluice_priv_fifo_ring(q->peer_fd);
        q->rang = false;
        sluice_priv_leave(&entry);
}

/* The consumer sleeps on the header word that it waits for, which its
 * parked word names. UNTRUSTED, hence masked: a wrong one wakes nobody. */
const sluice_word *sluice_priv_awaited_word(const struct sluice_producer *p, uint64_t parked)
{
        const uint64_t at = (parked & ~SLUICE_LAYOUT_FLAGS) - SLUICE_LAYOUT_HEADER_BYTES;

        return sluice_priv_peer_word(p->ring, at & p->mask);
}

static void producer_wake(void *handle, uint64_t parked)
{
        struct sluice_producer *p = handle;

        wake(p->queue, &p->door, parked, sluice_priv_awaited_word(p, parked));
}

static void consumer_wake(void *handle, uint64_t parked)
{
        struct sluice_consumer *c = handle;

        wake(c->queue, &c->door, parked, &c->own->position);
}

const struct sluice_priv_sleep sluice_priv_producer_sleep = {
        producer_wait, producer_check, producer_wake, producer_end, producer_tell,
};
const struct sluice_priv_sleep sluice_priv_consumer_sleep = {
        consumer_wait, consumer_check, consumer_wake, consumer_end, consumer_tell,
};
