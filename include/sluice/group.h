/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_GROUP_H
#define SLUICE_GROUP_H
/*
 * Groups: one thread, or a few, serve many queues. Link with
 * -lsluice-group, which needs liburcu.
 *
 *            add, remove, watch: any thread         statistics: any thread
 *                    |                                     |
 *                    v                                     v
 *      members: a list that is read under RCU --------------------------
 *                    |
 *      serving thread: hot members are polled <-> cold ones are parked:
 *      in turn, batch by batch                   epoll tells which rang
 *
 * Each member is a queue with its own producer, so producers share nothing:
 * no lock, no cache line, no order. Messages of one member are handed over
 * in order; there is none between members.
 *
 * A member that has messages is hot: the serving thread looks at its ring in
 * turn. One that had none for so long that looking has cost as much as
 * parking does is parked, many at a time with one barrier, and costs nothing
 * from then on; its first message costs its producer one system call. A
 * parked member's first message waits no longer than 32 times what a look
 * at the epoll descriptor takes (some 10 us), plus a turn of the hot ones.
 *
 * Who may call
 *   any thread, at any time: sluice_group_add, add_ring, remove, watch, each,
 *            interrupt (that one also from a signal handler)
 *   the serving thread, one at a time: serve, arm, disarm; in the handler
 *            also the calls with sluice_member, and add, remove, watch, each
 *   instead of it any number of threads at a time: serve_shared
 *   nobody else is in any call: destroy
 *
 * What RCU protects: a member, its handle and the mapping of its queue, from
 * the moment that it was found in the list (or in the serving thread's set of
 * hot members, which is checked against the list whenever that has
 * changed) to the end of that read-side section. remove unlinks a member
 * and returns; its role, descriptors, mapping and memory are given back
 * after a grace period, by a thread of liburcu's that the group has for
 * itself. A section of the serving thread is a turn, at most `batch` messages
 * of each hot member; it is in none while it sleeps. What RCU does not
 * protect: messages (RELEASE does), and your own data, for which there is
 * `forget`.
 *
 * The flavour is liburcu-bp: threads are registered by their first call and
 * unregistered by their end, so the program registers nothing, and may use
 * any flavour itself. In a handler you are in a read-side section of
 * liburcu-bp: do not wait for a grace period of that flavour there.
 *
 * fork     A child may not use its parent's groups: -EPERM. It has none of
 *          their descriptors and none of their threads. It may make groups of
 *          its own, provided that no member was just being removed at the
 *          time of fork(); otherwise the program has to surround fork() with
 *          urcu_bp_before_fork() and its companions, as liburcu asks of all
 *          its users.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "queue.h"

#ifdef SLUICE_BUILD
#define SLUICE_GROUP_API __attribute__((visibility("default")))
#else
#define SLUICE_GROUP_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct sluice_group;  /* opaque */
struct sluice_member; /* opaque; one queue in a group */

#define SLUICE_HOT_DEFAULT INT64_C(0)  /* adapts to what looking and parking cost */
#define SLUICE_HOT_NONE    INT64_C(-1) /* parked whenever it is found empty, at the next chance */
#define SLUICE_HOT_FOREVER INT64_MAX   /* never parked: pure polling, by spin_ns as well */

/* 0 in any field: the default; but size is always set: SLUICE_GROUP_OPTIONS does it. */
struct sluice_group_options {
        size_t size;    /* sizeof(struct sluice_group_options) */
        unsigned batch; /* messages of a member at each visit; default 64 */
        /* How long a member that is found empty is polled before it is parked. */
        int64_t hot_ns;
        /* How long serve looks at hot members, when none has a message, before
         * it sleeps; SLUICE_SPIN_*; by default 50 us, and none while the producer
         * that rang last was on this CPU. */
        int64_t spin_ns;
        /* Longest sleep without a look at all members: default 100 ms. */
        int64_t slice_ns;
        /* Called once for each member when nobody can see it any more, from
         * another thread: its user data, and the memory of a ring, may be
         * freed. Must not call the group. NULL: nothing. */
        void (*forget)(void *user);
};

/* In C: as SLUICE_OPTIONS. */
#define SLUICE_GROUP_OPTIONS(...)                                        \
        (struct sluice_group_options)                                    \
        {                                                                \
                .size = sizeof(struct sluice_group_options), __VA_ARGS__ \
        }

/* What the handler is told. */
enum sluice_event {
        SLUICE_MESSAGE,  /* a message, in place */
        SLUICE_JOINED,   /* from now on the member is served: told first */
        SLUICE_ENDED,    /* its producer has closed, and all is received */
        SLUICE_DIED,     /* its producer died, and all is received */
        SLUICE_VIOLATED, /* its memory violates the protocol: it is served no more */
        SLUICE_REMOVED   /* its queue was removed: it is served no more */
};

/*
 * message: only with SLUICE_MESSAGE, in place until the handler returns.
 * 0: released, go on. Positive: released, stop. Negative: not released,
 * stop, and serve returns it; the same message comes again. After other events:
 * 0, or anything else to stop. After ENDED and DIED a member stays, for a
 * successor of its producer; so it does after VIOLATED and REMOVED, until it is
 * removed from the group.
 */
typedef int sluice_group_handler(void *ctx, struct sluice_member *m, enum sluice_event event,
                                 const struct sluice_message *message);

/* Live as long as the member. "" for a ring without a name. */
SLUICE_GROUP_API const char *sluice_member_name(const struct sluice_member *m);

/* What was given when it was added, or set since. Set: in the handler. */
SLUICE_GROUP_API void *sluice_member_user(const struct sluice_member *m);
SLUICE_GROUP_API void sluice_member_set_user(struct sluice_member *m, void *user);

/* Messages at each visit from now on, instead of the group's: a weight.
 * 0: the group's. In the handler. */
SLUICE_GROUP_API void sluice_member_set_batch(struct sluice_member *m, unsigned batch);

enum { SLUICE_PRIORITY_MAX = 7 };

/*
 * From the next turn on. 0, the default, to SLUICE_PRIORITY_MAX: in each
 * turn members of a higher priority are visited before those of a lower
 * one. Each that has messages is visited once in a turn, for a batch: so
 * no member starves, and none waits for more than a batch of each other
 * in this turn, and one of each that comes before it in the next. When a
 * call stops within a turn, the next call goes on with it. A member that
 * is parked is found as soon, or as late, as any other. For a share of
 * the time see sluice_member_set_batch. In the handler (with
 * SLUICE_JOINED, say). -EINVAL: above the maximum.
 */
SLUICE_GROUP_API int sluice_member_set_priority(struct sluice_member *m, unsigned priority);

/*
 * In the handler, with SLUICE_MESSAGE: the next message of the same member, so
 * that a run is handled in one call. All that were handed out since the
 * handler was called stay valid until it returns, and are released together, or
 * none is. -EAGAIN: there is no other, or the batch is complete. -EINVAL: not
 * the member whose message is being handled.
 */
SLUICE_NODISCARD SLUICE_GROUP_API int sluice_member_next(struct sluice_member *m,
                                                         struct sluice_message *message);

/*
 * In the handler, with SLUICE_MESSAGE: for members whose messages may be longer than
 * the ring (long.h): those come in pieces, of which this one is put together with
 * those before, in l->buf; l is the member's own, all zero at first. Returns the
 * length of the message when it is complete, be it of one piece or of many; its tag is
 * l->tag. -EAGAIN: not yet, or a piece of a torn message, which is counted. -EMSGSIZE:
 * this piece does not fit behind the l->len bytes that are there: enlarge buf and cap
 * and call again in the same call of the handler, else the message is given up. -EINVAL:
 * not the member whose message is being handled. Released pieces do not come again,
 * so a long message arrives at most once across the death of the serving process.
 */
SLUICE_NODISCARD SLUICE_GROUP_API ssize_t sluice_member_recv_long(
        struct sluice_member *m, struct sluice_long *l, const struct sluice_message *message);

/*
 * In the handler, with SLUICE_MESSAGE, of a member that is a channel's: sends its
 * client the reply to the request with this tag, as sluice_reply. While it waits, no
 * other member is served, and a client need not take its replies: so SLUICE_NOW is
 * usual (-EAGAIN: there is no room), or a short time for those longer than the
 * ring. Other errors as of sluice_send_long; they concern that client alone.
 * -EINVAL: no channel's, or not the member whose message is being handled.
 */
SLUICE_NODISCARD SLUICE_GROUP_API int sluice_member_reply(struct sluice_member *m, uint32_t tag,
                                                          const void *buf, size_t len,
                                                          sluice_deadline until);

/* -EINVAL: options. -ENOMEM, -EMFILE, -ENFILE: sluice_limit() says which limit. */
SLUICE_NODISCARD SLUICE_GROUP_API int sluice_group_create(struct sluice_group **g,
                                                          const struct sluice_group_options *o);

/* Removes all members and waits until they are forgotten. -EBUSY: called in the
 * handler. -EPERM: in a child; nothing is done. */
SLUICE_GROUP_API int sluice_group_destroy(struct sluice_group *g);

/*
 * Opens a queue as its consumer, as sluice_consumer_open does, and adds it; *m
 * (m may be NULL) is valid until it is removed. Options: flags, and with
 * SLUICE_CREATE all those of sluice_create. A member takes two descriptors;
 * above RLIMIT_NOFILE: -EMFILE, and sluice_limit() says so. A queue that is
 * key: only has no pipes and takes none: it stays hot, as a ring does (see
 * sluice_group_add_ring).
 *
 * Errors as of sluice_consumer_open: -ENOENT, -EBUSY (also for a moment after
 * the same queue was removed from a group), -EMFILE ...; -ENOSPC:
 * fs.epoll.max_user_watches.
 */
SLUICE_NODISCARD SLUICE_GROUP_API int sluice_group_add(struct sluice_group *g, const char *name,
                                                       const struct sluice_options *o, void *user,
                                                       struct sluice_member **m);

/*
 * Adds a ring of ring.h, as its consumer, over memory that stays valid until
 * the member is forgotten. It has no pipe, so it stays hot, and what wakes a
 * group that sleeps is a futex: if all such members, 127 at most, have a producer
 * that may sleep itself (sluice_producer_enable_sleep), a thread of the group's,
 * made when it is first needed, waits for them. If one has a producer that was
 * attached by ring.h alone, or none, the group looks every millisecond while it
 * sleeps. Errors as of sluice_consumer_attach; -ENOMEM.
 */
SLUICE_NODISCARD SLUICE_GROUP_API int sluice_group_add_ring(struct sluice_group *g, void *mem,
                                                            size_t bytes, void *user,
                                                            struct sluice_member **m);

/*
 * The member leaves. Does not wait: a serving thread that is just handling its
 * messages may go on to the end of that turn; when the handler itself
 * removes it, no further message of it comes. What is not released stays for
 * the next consumer. -ENOENT: not a member (any more).
 */
SLUICE_GROUP_API int sluice_group_remove(struct sluice_group *g, struct sluice_member *m);

enum {
        /* A queue that has ended or died and is drained goes: it leaves the group, and
         * is removed unless a new producer came; of a channel both queues and the
         * directory. Its end is told also if it came before the queue was found. (A
         * queue that its creator has not opened yet stays.) */
        SLUICE_WATCH_REMOVE = 1,
        /* What is in the directory are channels (channel.h), of which the group is the
         * server: the members are their requests, with sluice_member_reply. */
        SLUICE_WATCH_CHANNELS = 2
};

/*
 * From now on every queue in this directory is a member, or with
 * SLUICE_WATCH_CHANNELS that of each channel which has the requests: those that are
 * there, and each that appears, opened by the serving thread between two turns.
 * One that was removed leaves. Those that are open in another process are tried
 * again once in a second. user: of all of them. A channel takes four descriptors.
 *
 * -EEXIST: watched already. -ENOENT, -ENOTDIR, -EACCES, -ENAMETOOLONG, -EINVAL:
 * flags. -ENOMEM, -ENOSPC: fs.inotify.max_user_watches. -EMFILE.
 */
SLUICE_NODISCARD SLUICE_GROUP_API int
sluice_group_watch(struct sluice_group *g, const char *directory, unsigned flags, void *user);

/*
 * Hands over messages and events until the deadline, at most max messages;
 * with SLUICE_NOW those that are there, in one turn. Returns how many messages
 * were handed over: 0 when the deadline came first, or the handler stopped at
 * an event. Takes no lock, executes no fence and no read-modify-write for
 * members that come and go.
 *
 * The handler's negative value. -ECANCELED: interrupted. -EPERM: in a child.
 * -EBADF: the program has closed the group's descriptors. -EINVAL: called in
 * the handler. -ENOMEM. -EMFILE, -ENFILE, -ENOSPC: a watched queue could not be
 * opened; it is tried again in a second. All but the handler's are
 * returned when no message was handed over, else by the next call.
 */
SLUICE_NODISCARD SLUICE_GROUP_API ssize_t sluice_group_serve(struct sluice_group *g,
                                                             sluice_group_handler *fn, void *ctx,
                                                             size_t max, sluice_deadline until);

/*
 * As serve, for any number of threads at a time, each with its own
 * handler and deadline: a pool of workers. Threads may begin and return
 * at any time. A member is served by one thread at a time, in order; it
 * passes from one to another between two batches, and what the one did in
 * its handler comes before what the other does in its own. One thread
 * looks for all: when it has found a member that has something, another
 * takes its place, and it handles a batch. So while any thread is in the
 * call and in no handler, no message waits for another member's handler.
 * Where a handler takes no longer than the group itself does for a
 * message, one thread in serve is faster.
 *
 * In the handler, calls with sluice_member are for the member that it is
 * called for. A section (RCU, above) is at most 16 batches of one member.
 * With SLUICE_NOW: messages of one member at most, and none while another
 * thread is looking. -ECANCELED: interrupted, all that are in the call;
 * how many messages were handed over is not told then. -EINVAL: called in
 * a handler. Meanwhile serve, arm and disarm return -EINVAL, destroy
 * -EBUSY; the group's descriptor means nothing. Other errors as of serve;
 * one thread returns them, and the others go on.
 */
SLUICE_NODISCARD SLUICE_GROUP_API ssize_t sluice_group_serve_shared(struct sluice_group *g,
                                                                    sluice_group_handler *fn,
                                                                    void *ctx, size_t max,
                                                                    sluice_deadline until);

/* The descriptor that stands for the whole group, for poll, epoll and event
 * loops, never to be read, written or closed. -EPERM: in a child. */
SLUICE_NODISCARD SLUICE_GROUP_API int sluice_group_fd(struct sluice_group *g);

/* Before waiting for it: parks all members. 0: it becomes readable when there
 * is something, and once in a slice_ns without (a millisecond with members whose
 * producers wake nobody). 1: serve has something to do already. Negative: errors
 * of serve. After waiting: disarm, then serve with SLUICE_NOW. */
SLUICE_NODISCARD SLUICE_GROUP_API int sluice_group_arm(struct sluice_group *g);
SLUICE_GROUP_API int sluice_group_disarm(struct sluice_group *g);

/* Makes the current or next serve return -ECANCELED, once; of serve_shared, all
 * that are in the call, or the next one. */
SLUICE_GROUP_API int sluice_group_interrupt(struct sluice_group *g);

/* A member, as an observer sees it. */
struct sluice_member_stat {
        size_t size;        /* bytes of this structure that are filled in */
        const char *name;   /* as of sluice_member_name */
        uint64_t messages;  /* released, ever, by all consumers of the queue */
        uint64_t position;  /* up to where */
        uint64_t published; /* position of the producer, up to 16 messages ago */
        uint64_t parks;     /* times that it was parked */
        int parked;         /* 1: it is */
};

/* Nonzero: stop; each returns it. */
typedef int sluice_member_fn(void *ctx, const struct sluice_member *m,
                             const struct sluice_member_stat *st);

/* Every member, in the order in which they were added; one that is added or
 * removed meanwhile may be shown or not. m and st are valid until fn
 * returns. How many, or the function's value. */
SLUICE_NODISCARD SLUICE_GROUP_API int sluice_group_each(struct sluice_group *g,
                                                        sluice_member_fn *fn, void *ctx);

#ifdef __cplusplus
}
#endif

#endif
