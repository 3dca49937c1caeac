/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_ENDPOINT_H
#define SLUICE_ENDPOINT_H
/* What the files of the library share about an open endpoint: its descriptors,
 * how it spins, sleeps and wakes, what it knows of its peer. internal.h: about
 * queues, open or not. No public contract. */
#include "internal.h"

/* ---- handle.c ----------------------------------------------------- */

/* The descriptors of a queue. Device and inode identify a pipe and the
 * directory; all descriptors of the last three kinds share one inode. */
enum sluice_priv_which {
        SLUICE_PRIV_OWN,
        SLUICE_PRIV_PEER,
        SLUICE_PRIV_KEEPER,
        SLUICE_PRIV_DIR,
        SLUICE_PRIV_INTERRUPT,
        SLUICE_PRIV_POLL,
        SLUICE_PRIV_ALARM,
        SLUICE_PRIV_FDS
};

struct sluice_priv_file {
        dev_t dev;
        ino_t ino;
};

/* What an endpoint has learned about its waits: habit.c. */
struct sluice_priv_habit {
        int64_t usual_ns;    /* average of the latest waits */
        int64_t price_ns[2]; /* what a sleep adds to one; [1]: the peer is on the same CPU */
        int64_t paused_until_ns, pause_ns; /* no yields until then; how long that pause is */
};

/* What belongs to a handle that can sleep, and is not in the caller's memory. */
struct sluice_priv_queue {
        /* All open queues of the process, under the fork lock; neighbours write link. */
        struct sluice_priv_queue *next, **link;
        bool listed;                           /* the owner's */
        struct sluice_priv_endpoint *endpoint; /* the beginning of the handle */
        int role;
        bool named;
        struct sluice_priv_segment segment;
        int dirfd;
        bool known; /* files: what the descriptors were opened as */
        struct sluice_priv_file files[SLUICE_PRIV_FDS];

        struct sluice_layout_doorbell *own_doorbell;
        const struct sluice_layout_doorbell *peer_doorbell;
        struct sluice_layout_counters *counters;

        bool by_fifo;           /* sleeps on own_fd, not by futex */
        bool peer_without_pipe; /* the peer holds its role, but has closed its pipes */
        bool locked;            /* we have locked peer_fd */
        int own_fd;             /* the pipe that wakes us and that the peer locks, or -1 */
        int peer_fd;            /* the pipe that wakes the peer and that we lock, or -1 */
        int keeper_fd;          /* holds our own pipe open while there is no peer, or -1 */
        int interrupt_fd;       /* eventfd beside own_fd, or -1 */
        int poll_fd;            /* epoll of own_fd and alarm_fd, for the application; or -1 */
        int alarm_fd;           /* timerfd: an armed endpoint looks once per slice; or -1 */
        int64_t alarm_ns;       /* when it expires; in the past: it has */
        sluice_word interrupt;  /* 1: the next wait is to return -ECANCELED; a futex */

        int64_t spin_ns, slice_ns;
        /* -EPIPE or -EOWNERDEAD: the peer of reported_epoch ended so, and has no
         * successor; or 0. */
        int reported_end;
        struct sluice_priv_habit habit;
        uint64_t stale_note; /* of the peer, which was not on the CPU that it tells */
        unsigned yields;     /* that this endpoint has made */
        long switches;       /* of context, of the calling thread, at the last check of yields */
        /* Epochs of the peer's role, one per attach. */
        uint64_t peer_epoch;     /* the last one that await_peer returned for */
        uint64_t checked_epoch;  /* at the last check */
        uint64_t ended_epoch;    /* the last one that was found to have ended */
        uint64_t reported_epoch; /* the last one whose end was reported, or is not to be */
        int64_t checked_ns;      /* when the peer was last checked */
        uint64_t keeper_epoch;   /* when keeper_fd was opened */
        bool end_owed;           /* that end was reported to calls with SLUICE_NOW only */
        bool by_habit;           /* the caller has not said how long to spin */
        bool together;           /* by_habit: the peer is on our CPU, as far as is known */
        bool check_due;          /* check the peer at the next opportunity */
        bool hung_up;            /* no process holds the writing end of own_fd */
        bool watched;            /* poll_fd contains own_fd */
        bool byte_may_be_there;  /* in the peer's pipe, for its present parking */
        bool membarrier;         /* DOORBELL: this process can call it */
};

SLUICE_STATIC_ASSERT(offsetof(struct sluice_producer, base) == 0 &&
                             offsetof(struct sluice_consumer, base) == 0,
                     "a handle begins with its endpoint");

/* The handle, which has to be of that role. */
static inline struct sluice_producer *sluice_priv_producer_of(const struct sluice_priv_queue *q)
{
        return (struct sluice_producer *)(void *)q->endpoint;
}

static inline struct sluice_consumer *sluice_priv_consumer_of(const struct sluice_priv_queue *q)
{
        return (struct sluice_consumer *)(void *)q->endpoint;
}

static inline int sluice_priv_peer_role(const struct sluice_priv_queue *q)
{
        return q->role == SLUICE_PRIV_ROLE_PRODUCER ? SLUICE_PRIV_ROLE_CONSUMER
                                                    : SLUICE_PRIV_ROLE_PRODUCER;
}

/* sizeof the handle. */
size_t sluice_priv_handle_bytes(int role);
/* Every call of the handle returns err from now on, and no call touches the
 * ring. */
void sluice_priv_handle_disable(struct sluice_priv_endpoint *e, int role, int err);

/* fork.c: from now on a child disables its copy of the handle and closes
 * its copies of the descriptors. 0 or -ENOMEM. */
int sluice_priv_queue_list(struct sluice_priv_queue *q);
/* Closes the descriptors, too. */
void sluice_priv_queue_unlist(struct sluice_priv_queue *q);
/* Records which files the descriptors refer to, once all are open: 0 or
 * -errno. */
int sluice_priv_fds_record(struct sluice_priv_queue *q);
/* false: the program has closed our descriptor, and may have opened another
 * file under its number. */
bool sluice_priv_fd_is_ours(struct sluice_priv_queue *q, enum sluice_priv_which which);
/* Before a pipe is used: if the descriptor is no longer ours, it is set to -1,
 * and so are all others that are not. */
void sluice_priv_fd_check(struct sluice_priv_queue *q, enum sluice_priv_which which);

/* ---- park.c ------------------------------------------------------- */

/* How an endpoint with a sluice_priv_queue sleeps and wakes. */
extern const struct sluice_priv_sleep sluice_priv_queue_sleep;

/* What a sleeper waits for. */
struct sluice_priv_await {
        const sluice_word *word; /* sleep while its low half stays the same */
        bool producer;
        uint64_t position; /* wake up when RELEASE or PUBLISH reaches this */
        uint64_t enough;   /* the producer: a position before it that suffices */
};

/* Is there what is waited for? A hint: the next look decides. value: of the
 * awaited word. */
bool sluice_priv_is_ready(const struct sluice_priv_queue *q, const struct sluice_priv_await *a,
                          uint64_t *value);
void sluice_priv_await_message(struct sluice_priv_await *a, const struct sluice_consumer *c);
void sluice_priv_await_room(struct sluice_priv_await *a, const struct sluice_producer *p,
                            uint64_t need);
/* Sets the parked word and looks a last time: true, go to sleep. */
bool sluice_priv_park(struct sluice_priv_queue *q, const struct sluice_priv_await *a);
void sluice_priv_unpark(struct sluice_priv_queue *q);
/* No sleep is longer: slice_ns, or a millisecond when the peer cannot be
 * relied upon to wake us. */
int64_t sluice_priv_longest_ns(const struct sluice_priv_queue *q);
/* ns after now, which is not negative; saturates. */
int64_t sluice_priv_later(int64_t now, int64_t ns);
/* Holds our own pipe open while there is no peer. */
void sluice_priv_keep_pipe(struct sluice_priv_queue *q, bool peer_present);
bool sluice_priv_take_interrupt(struct sluice_priv_queue *q);
bool sluice_priv_membarrier_register(void);
/* A word, and what its low half was when last looked at. */
struct sluice_priv_unchanged {
        const sluice_word *word;
        uint32_t value;
};

/* Sleeps while both words (second may be NULL) are unchanged and no
 * interrupt has come, at most until that time. Only the first word is
 * woken on. */
void sluice_priv_futex_sleep(struct sluice_priv_queue *q, const struct sluice_priv_unchanged *word,
                             const struct sluice_priv_unchanged *second, int64_t now,
                             int64_t until);

/* ---- spin.c ------------------------------------------------------- */

/* true: ready, or interrupted. Keeps *now. */
bool sluice_priv_spin_until(struct sluice_priv_queue *q, const struct sluice_priv_await *a,
                            int64_t *now, int64_t until);
/* After a wait with this result. slept: when it parked; 0: it did not. */
void sluice_priv_spin_learn(struct sluice_priv_queue *q, int64_t begin, int64_t slept, int64_t now,
                            int result);
/* Notes for the peer where and when we wake it. */
void sluice_priv_note_wake(struct sluice_priv_queue *q);

/* ---- habit.c: the policy, without a clock ------------------------- */

void sluice_priv_habit_begin(struct sluice_priv_habit *h);
/* The longest wait that is worth spinning. */
int64_t sluice_priv_habit_worth_ns(const struct sluice_priv_habit *h, bool together);
/* How long the next wait spins: that, or not at all. */
int64_t sluice_priv_habit_budget_ns(const struct sluice_priv_habit *h);
/* After a wait: how long until what was waited for was there. */
void sluice_priv_habit_waited(struct sluice_priv_habit *h, bool together, int64_t ns);
/* After a sleep: how long the wake-up took. */
void sluice_priv_habit_slept(struct sluice_priv_habit *h, bool together, int64_t ns);
/* May a wait yield? And after each yield: how long it took. */
bool sluice_priv_habit_yields(const struct sluice_priv_habit *h, int64_t now);
void sluice_priv_habit_yielded(struct sluice_priv_habit *h, int64_t now, int64_t took);

/* ---- wake.c ------------------------------------------------------- */

/* sluice_priv_sleep.wake */
void sluice_priv_wake(void *handle, uint64_t parked);
/* A consumer that keeps messages and waits for more. */
void sluice_priv_nudge_producer(struct sluice_priv_queue *q);
/* A peer that waits for us in await_peer: our state has changed. */
void sluice_priv_wake_awaiting(struct sluice_priv_queue *q);
/* ... and a peer that our predecessor may have left asleep. */
void sluice_priv_wake_on_join(struct sluice_priv_queue *q);
/* Our own wait. Async-signal-safe. */
void sluice_priv_wake_interrupted(struct sluice_priv_queue *q);
/* Both endpoints of a queue that was removed: they find it gone. */
void sluice_priv_wake_all(const struct sluice_priv_segment *s,
                          const struct sluice_priv_place *place);

/* ---- peer.c ------------------------------------------------------- */

/* 0, -EPIPE or -EOWNERDEAD (of ended_epoch), -ESTALE. Sets *present when the
 * peer's role is held. */
int sluice_priv_peer_check(struct sluice_priv_queue *q, bool *present);
/* The error, or 0 when it is an end that was reported before. */
int sluice_priv_if_unreported(const struct sluice_priv_queue *q, int error);
/* Does the peer's end that is found in the ring end a wait? A hint: the next
 * look decides. */
bool sluice_priv_end_is_unreported(const struct sluice_priv_queue *q);
/* For a call that finds nothing: the end that was reported last, again, until
 * a successor has attached; or 0. */
int sluice_priv_reported_end(struct sluice_priv_queue *q);
/* For a wait that begins: the end that only SLUICE_NOW was told; or 0. */
int sluice_priv_owed_end(struct sluice_priv_queue *q);
/* Once, before joining: finds the end of a peer that ended before. */
int sluice_priv_find_earlier_end(struct sluice_priv_queue *q);
/* That peer has left nothing for us: its end is not reported. */
void sluice_priv_skip_earlier_end(struct sluice_priv_queue *q);
/* sluice_priv_sleep.end, .tell */
int sluice_priv_end(void *handle);
int sluice_priv_report(void *handle, int error, sluice_deadline until);

/* ---- descriptor.c ------------------------------------------------- */

/* What the application polls: 0 or -errno. */
int sluice_priv_descriptor_open(struct sluice_priv_queue *q);

#endif
