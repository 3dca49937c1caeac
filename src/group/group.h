/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_GROUP_INTERNAL_H
#define SLUICE_GROUP_INTERNAL_H
/*
 * What the files of libsluice-group share. Who writes what:
 *
 *   the list of members, `changes`   updaters, under the mutex; read under RCU
 *   struct server                    the serving thread alone; of several, the one that leads
 *   struct share                     each of several serving threads, under its mutex
 *   struct sluice_member             set before it is in the list; then, as said
 *
 * The serving thread's hot members are pointers that it keeps from one section
 * to the next. They are valid because each section begins with a look at
 * `changes` (CHANGES): a member that was unlinked before the section began, so
 * that its grace period may be over, has changed it, and then the hot
 * members are found in the list anew, before any of them is touched. One that
 * is unlinked later stays until the section has ended. With several serving
 * threads this holds for the one that leads, and share.c says how a member
 * passes from one to another.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "../internal.h"
#include "../member.h"
#include "rcu.h"
#include "sluice/group.h"

struct watch;
struct found; /* a name in a watched directory */
struct watch_list {
        struct found *first, *last;
};

/* What becomes of a queue whose member is forgotten. */
enum parting {
        PART,       /* nothing */
        PART_AGAIN, /* a watch looks whether there is another of its name */
        PART_REAP   /* likewise, and first it is removed, unless it is in use */
};

struct sluice_member {
        struct sluice_consumer queue;   /* the serving thread's, but `own` and what it points to */
        sluice_word next;               /* MEMBERS: of the list, a member or 0 */
        struct sluice_member *previous; /* updaters' */
        struct sluice_group *group;
        void *user;          /* the serving thread's, once it has joined */
        sluice_word leaving; /* 1: removed from the list. Relaxed: for the thread that did it */
        struct found *entry; /* of a watch that has found it, or NULL */
        struct sluice_producer *reply; /* the other queue of a channel, or NULL */
        struct rcu_head retired;
        enum parting parting; /* set before it is retired */

        /* The serving thread's; of several, the one's that has taken it. */
        unsigned hot_at; /* its place among the hot ones + 1; 0: cold */
        unsigned batch;  /* 0: the group's */
        bool joined;     /* the handler knows it */
        bool check;      /* ask the kernel for its producer at the next visit */
        bool parked;     /* its parked word is stored */
        int told;        /* -EPIPE or -EOWNERDEAD: that its producer ended so; or 0 */
        bool gone;       /* VIOLATED or REMOVED was told */
        unsigned char priority;

        /* The leader's. */
        bool taken;     /* a serving thread has it, beside the leader */
        bool rung;      /* meanwhile: its pipe is to be emptied */
        uint64_t round; /* rank.c: in which it was last visited */

        struct server *server;      /* whose visits it has */
        struct sluice_member *back; /* given back: under the mutex of struct share */

        char name[]; /* "" for a ring */
};

/* A hot member: what a look in vain needs, side by side. */
struct hot {
        const sluice_word *word; /* not 0: visit it */
        struct sluice_member *m;
        uint64_t since; /* the turn that last found something */
};

/* Costs and intervals: ns on CLOCK_MONOTONIC. */
struct server {
        struct hot *hot, *spare; /* of `room` each */
        unsigned hots, room;
        unsigned warm;       /* of the hot ones, first: visited in each turn; the others seldom */
        unsigned at;         /* the next one to be visited */
        uint64_t seen;       /* of `changes` */
        uint64_t turn;       /* counts */
        uint64_t idle_turns; /* a member that was found empty so often is parked */
        unsigned work;       /* visits and messages since the clock was read */
        unsigned messages;   /* among them */
        bool handling;       /* the handler is running */
        bool together;       /* with the producer that rang last: do not spin by default */
        bool notified;       /* inotify has something to read */
        bool look_due;       /* at the epoll descriptor, without asking the clock */
        bool by_futex;       /* the hot members have stored parked words, too */
        bool awaited;        /* and somebody waits for them: bell.c */
        bool shared;         /* served by any number of threads: share.c */
        int error;           /* for the next call */
        unsigned probed;     /* members, counted from the first, that sweeps have checked */

        int64_t now, looked_ns, parked_ns, swept_ns, warmed_ns;
        int64_t idle_since;           /* 0: the last turn found something */
        int64_t look_cost, park_cost; /* of a look at epoll; of parking, per member */
        int64_t scan_cost;            /* of finding that none is to be parked */
        int64_t warm_cost;            /* of a look at those that are not warm */
        int64_t poll_cost;            /* of 64 visits in vain */
        int64_t turn_cost;            /* of a turn, and what the caller does between two */
        uint64_t turn_then;           /* when the clock was read */
        int64_t alarm_ns;             /* when alarm_fd expires */

        struct sluice_group *group;
        uint64_t round; /* rank.c: counts */

        /* of the call in progress */
        sluice_group_handler *fn;
        void *ctx;
        size_t max, total;
        bool stop;
        int result;                    /* negative: what the handler returned */
        struct sluice_member *handled; /* whose message is being handled */
        unsigned run, run_most;        /* messages of it handed out, and at most */
};

/* What wakes the group for members without a pipe. */
enum { BELL_MOST = 127 }; /* that futex_waitv(2) takes, beside one of its own */
struct bell {
        pthread_mutex_t lock;
        sluice_word version; /* a futex: counts changes of what follows */
        unsigned n;
        const sluice_word *words[BELL_MOST];
        bool broken; /* the kernel cannot do it */
        bool ended;
        bool started; /* the serving thread's */
        pthread_t thread;
};

/* Several serving threads. */
struct share {
        pthread_mutex_t lock;
        pthread_cond_t vacant; /* nobody leads */

        /* Stored under the mutex; loaded without, as hints. */
        sluice_word leader;     /* a struct worker or 0 */
        sluice_word has_back;   /* 1: members were given back */
        sluice_word quiet;      /* 1: the leader finds nothing */
        sluice_word interrupts; /* INTERRUPT: counts */

        struct sluice_member *back;
        struct worker *workers;
        unsigned waiting; /* for the lead, by `vacant` */
        unsigned dozing;  /* in the wait for the epoll descriptor */
        bool sleeping;    /* the leader does: it touches nothing */
};

struct sluice_group {
        sluice_word changes;   /* CHANGES: counts what updaters did to the list */
        sluice_word interrupt; /* INTERRUPT */
        sluice_word first;     /* MEMBERS: a member or 0 */
        sluice_word ranked;    /* 1: some members have a priority. Relaxed: from then on */
        sluice_word watch_at;  /* when a watch has something to do: ns. Relaxed: a hint */
        sluice_word members;   /* in the list. Relaxed: a hint of how much room to have */
        unsigned char order;   /* rcu.h */
        unsigned char apart[128];

        struct server server;
        struct share share;
        struct bell bell;

        unsigned batch;
        int64_t hot_ns, spin_ns, slice_ns;
        void (*forget)(void *user);
        int epoll_fd, event_fd, alarm_fd, inotify_fd;
        uint64_t forks; /* of the process, when it was made */

        pthread_mutex_t lock;
        struct sluice_member *last;
        unsigned retired; /* members that wait for their grace period */
        pthread_cond_t forgotten;
        struct call_rcu_data *reclaimer;
        struct watch *watches;
        struct watch_list ready, later, waiting; /* watch.c */
        struct sluice_group *next, **link;       /* all groups of the process: fork.c */
};

/* What stands for an epoll entry that is no member's. */
enum { EVENT_KICK = 1, EVENT_NOTIFY = 3, EVENT_ALARM = 5 };

/* ---- MEMBERS, CHANGES --------------------------------------------- */

static inline struct sluice_member *member_at(const sluice_word *link)
{
        /* MEMBERS:load */
        return (struct sluice_member *)(uintptr_t)sluice_priv_load_acquire(link);
}

/* ---- group.c ------------------------------------------------------ */

/* 0, or -EPERM in a child. */
int group_check(const struct sluice_group *g);
/* Wakes the serving thread, if it sleeps. Async-signal-safe. */
void group_kick(const struct sluice_group *g);
/* Opens and adds. channel: the queue is the requests of one, for whose replies the
 * other one is opened, too. m: may be NULL. */
int group_add(struct sluice_group *g, const char *name, const struct sluice_options *o, void *user,
              struct found *found, bool channel, struct sluice_member **m);
/* -ENOENT: not in the list. */
int group_remove(struct sluice_group *g, struct sluice_member *m, enum parting parting);

/* ---- serve.c: with one serving thread, or for the one that leads --- */

enum {
        SERVER_WORK = 64 /* visits and messages, until the clock is read */
};

/* In a section, before each look at the hot members: walks the list, when
 * `changes` has changed; after so much work parks, looks at epoll ... 0 or -errno. */
int server_prepare(struct sluice_group *g);
/* Hands over what there is of a hot member: a batch at most. */
void server_visit(struct server *s, struct sluice_member *m);
/* How long to look before sleeping. */
int64_t server_spin_ns(const struct sluice_group *g, bool alone);
/* It has looked for that long, or there is nothing to look at. */
bool server_is_to_sleep(const struct sluice_group *g);

/* ---- rank.c: members that have priorities --------------------------- */

/* In a section. A turn: the same as without, but in order. */
void server_turn_ranked(struct server *s);
/* The next one that has something, or NULL. */
struct sluice_member *server_next_ranked(struct server *s);

/* ---- share.c: several serving threads ------------------------------ */

void share_begin(struct share *sh);
void share_end(struct share *sh);
/* A member that leaves is not given back any more. Under the group's mutex. */
void share_forget(struct share *sh, const struct sluice_member *m);

/* ---- bell.c: members without a pipe --------------------------------- */

void bell_begin(struct bell *b);
void bell_end(struct bell *b);
/* Parked words were stored, and a last look is made behind this: the group is
 * kicked when one of these, 0 by now, changes. false: it cannot be. */
bool bell_arm(struct sluice_group *g, const sluice_word *const *words, unsigned n);

/* ---- park.c: which members are hot; the serving thread's ----------- */

/* A running mean of costs, never 0. */
static inline void server_average(int64_t *mean, int64_t value)
{
        *mean += (value - *mean) / 8;
        if (*mean < 1)
                *mean = 1;
}

/* What parking and a look at epoll cost here. */
void server_begin(struct sluice_group *g);
/* Room for that many hot members. 0 or -ENOMEM. */
int server_reserve(struct server *s, unsigned n);
/* What a hot member's word is that is to be visited for another reason. */
extern const sluice_word server_visit_me;
/* The word that its next message makes not 0. */
const sluice_word *member_word(const struct sluice_member *m);

/* In a section: */
void server_heat(struct server *s, struct sluice_member *m);
void server_cool(struct server *s, struct sluice_member *m);
/* Looks at the hot ones that are visited seldom. */
void server_warm(struct server *s);
/* Parks those that were idle for that many turns. */
void server_park(struct server *s, uint64_t idle_turns);
/* Heats those that have rung. 0 or -errno. */
int server_look(struct sluice_group *g);
bool server_has_ready(const struct server *s);
/* Takes the next hot member that has something out of them, or NULL; and back. */
struct sluice_member *server_take(struct server *s);
void server_return(struct server *s, struct sluice_member *m);

/* Outside: parks all, and waits until something rings, or that time. */
int server_sleep(struct sluice_group *g, sluice_deadline until);
/* Its three parts. How long to wait, or -1: not at all. */
int64_t server_fall_asleep(struct sluice_group *g, sluice_deadline until);
/* Touches no struct server. 0 or -EBADF. */
int server_wait(const struct sluice_group *g, int64_t ns);
void server_wake_up(struct server *s);
/* Whether this thread may run on one processor only. */
bool server_is_alone(void);
int server_arm(struct sluice_group *g);

/* ---- watch.c ------------------------------------------------------ */

/* Reads what inotify has; joins one queue at most. 0 or -errno. Outside a section. */
int watch_work(struct sluice_group *g);
/* A member is forgotten. again: tries to open a queue of its name. Under the lock. */
void watch_left(struct sluice_group *g, struct found *e, bool again);
void watch_free_all(struct sluice_group *g);
/* Until when it has something to do: ns from now. */
int64_t watch_due_ns(const struct sluice_group *g);
bool watch_removes(const struct sluice_member *m);

/* ---- fork.c ------------------------------------------------------- */

uint64_t group_forks(void);
/* Opens the descriptors so that no child keeps one. */
int group_list(struct sluice_group *g);
void group_unlist(struct sluice_group *g);
/* Between the two no fork() begins. */
void group_fork_lock(void);
void group_fork_unlock(void);
/* Once, when it is needed. */
int group_open_inotify(struct sluice_group *g);

#endif
