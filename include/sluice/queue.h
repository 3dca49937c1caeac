/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_QUEUE_H
#define SLUICE_QUEUE_H
/*
 * Named queues: a ring in a System V segment, with a role for each
 * endpoint that the kernel gives back at any death, sleeping and waking,
 * and a life cycle. Link with -lsluice.
 *
 * Names
 *   /run/user/1000/prices, ./q  a path: a directory that holds two named
 *                               pipes, `readable` and `writable`; its
 *                               ftok(3) key names the segment
 *   prices                      a bare word: that path in the user's queue
 *                               directory, $SLUICE_DIR, else
 *                               $XDG_RUNTIME_DIR/sluice, else
 *                               /tmp/sluice-<uid>, made 0700 on demand
 *   key:0x2020                  a bare System V key: no directory, so no
 *                               FIFO wake-ups
 *   /run/logs/                  for a producer that opens with SLUICE_CREATE,
 *                               and where that is a directory and no queue: a
 *                               new queue in it, with a name that no other
 *                               has; a group (group.h) watches and serves all
 *                               of them. -ENOENT: there is nothing
 *
 * Who may call: create, remove, stat and list: anybody, any thread. A
 * handle belongs to one thread at a time; only sluice_*_interrupt may be
 * called from another thread or from a signal handler.
 *
 * Threads and processes that end, or change
 *   fork     A child may not use its parent's handles: it is answered
 *            -EPERM. It gets no descriptor and no mapping of them,
 *            whatever another thread was doing at the time. A handle in
 *            memory that parent and child share stays the parent's; the
 *            child must keep its hands off it (and neither may put one
 *            in shared huge pages).
 *   exec     gives a role up, as death does. As long as an observer maps
 *            the queue beside the two ends, nobody can tell that from a
 *            holder who lives: the role is then still held. On a key:
 *            queue, and for one who has opened a path's queue by its
 *            key, a role is held until the new program ends.
 *   closefrom(3), unshare(CLONE_SYSVSEM)
 *            of descriptors and undo lists that are the library's: the
 *            role stays, and a second holder is refused; on a key: queue
 *            only after the former. Without its descriptors an endpoint
 *            neither wakes by FIFO nor is woken: its peer looks every
 *            millisecond.
 *   setuid   after open: everything goes on. Where the semaphores may
 *            not be asked for any more, the pipes tell who is there; on
 *            a key: queue the peer counts as present, only removal is
 *            noticed, and the role is held until the process ends. A
 *            peer that has closed its descriptors counts as dead.
 *   pthread_cancel
 *            waits until a call is through, be it asleep until its
 *            deadline: sluice_*_interrupt ends a wait. So it does while
 *            a function runs that was given to sluice_list or
 *            sluice_dump.
 *
 * Guarantees, beside those of ring.h
 *   6. One producer and one consumer at a time. A role ends with its
 *      process, however it ends; a forked child does not keep it.
 *   7. Close: the other side drains, then -EPIPE. Death: it drains, then
 *      -EOWNERDEAD, distinguished by what the kernel keeps, never by
 *      process id. Each end ends one wait; then calls wait for a
 *      successor, with whom traffic goes on.
 *   8. After SIGKILL at any instruction a successor finds exactly what
 *      was published and what was released; counts and positions too.
 *   9. No call sleeps past its deadline for anything that the peer does
 *      or leaves undone.
 *  10. An opener finds a complete queue or none. A creator that died half
 *      way is cleaned up by the next creator.
 */
#include <stdint.h>
#include <sys/types.h>

#include "ring.h"

#ifdef SLUICE_BUILD
#define SLUICE_API __attribute__((visibility("default")))
#else
#define SLUICE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Pages: create and open bring those of a ring of up to 1 MiB, of a larger
 * one with SLUICE_PREFAULT, so that the first lap waits for none. On an AMD
 * EPYC 7003 with pages of 4 KiB that costs a create, which makes them, 0.7
 * to 1.2 ms for each MiB, an open 0.25 to 0.4 ms; and in the first lap a
 * message of 56 bytes, sent and received, takes 19 to 26 ns instead of 105
 * to 146. So a queue is in memory as a whole from its beginning: in a
 * cgroup that has no room for it the kernel kills a process at create,
 * instead of in the first lap. A refusal is an error (-ENOMEM) only with
 * the flag; without it the pages come when they are used.
 */
enum {
        SLUICE_PREFAULT = 1,  /* bring all pages now, also those of a large ring */
        SLUICE_LOCK = 2,      /* mlock: never paged out; -ENOMEM: RLIMIT_MEMLOCK */
        SLUICE_HUGETLB = 4,   /* create: huge pages; -ENOMEM: vm.nr_hugepages */
        SLUICE_CREATE = 8,    /* open: create the queue if there is none */
        SLUICE_ANY_OWNER = 16 /* key: queues: accept a segment of another user */
};

enum {
        SLUICE_WAKE_FUTEX = 0,
        SLUICE_WAKE_FIFO = 1 /* sleep on a descriptor that can be polled */
};

#define SLUICE_SPIN_DEFAULT INT64_C(0)
#define SLUICE_SPIN_NONE    INT64_C(-1)
#define SLUICE_SPIN_FOREVER INT64_MAX

/* 0 in any field: the default; but size is always set: SLUICE_OPTIONS does it. */
struct sluice_options {
        size_t size; /* sizeof(struct sluice_options) */
        /* create */
        size_t capacity;         /* bytes, a power of two; default 256 KiB */
        uint32_t record_align;   /* bytes, a power of two from 8 to 128; default 64 */
        uint64_t first_position; /* of the first message, a multiple of record_align: not 0
                                  * for a queue that goes on where another one ended,
                                  * and to test a program across a wrap of 2^32 or 2^64 */
        mode_t mode;             /* of segment, pipes and semaphores; default 0600 */
        unsigned flags;          /* SLUICE_PREFAULT ... */
        /* open */
        int wake;        /* how this endpoint sleeps: SLUICE_WAKE_FUTEX or _FIFO */
        int64_t spin_ns; /* spin so long before sleeping; SLUICE_SPIN_*; by default as long
                          * as that pays, and giving way to a peer on the same CPU */
        /* create */
        int numa_node; /* node + 1; 0: where it is first touched */
        /* open */
        int64_t slice_ns; /* longest sleep between checks of the peer; default 100 ms */
        /* create */
        uint32_t payload_align; /* of every message, bytes, up to record_align; default 8 */
        /* create and open; typed.h sets them */
        uint32_t type_size; /* bytes of each message, with type_id */
        uint64_t type_id;   /* of what is sent; 0: create: anything, open: whatever it is */
};

/*
 * In C, options with their size and the fields that are given:
 *
 *      sluice_producer_open(&p, "prices", &SLUICE_OPTIONS(.flags = SLUICE_CREATE));
 *
 * They live until the block ends that this stands in. In C++, and at file scope:
 * SLUICE_OPTIONS_INIT.
 */
#define SLUICE_OPTIONS(...)                                        \
        (struct sluice_options)                                    \
        {                                                          \
                .size = sizeof(struct sluice_options), __VA_ARGS__ \
        }

#define SLUICE_OPTIONS_INIT                                                       \
        {                                                                         \
                sizeof(struct sluice_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 \
        }

/*
 * Makes an empty queue. Exclusive. NULL options: the defaults.
 *
 * -EEXIST: there is one. -EINVAL: capacity no power of two, bad
 * record_align, payload_align, first_position, mode, flags or options size. -ERANGE,
 * -EFBIG: capacity too small, too large. -ENAMETOOLONG. -ENOENT: the
 * directory of the path is not there. -ENOTDIR: a file, a pipe or a device
 * is there. -ELOOP: a symbolic link is. -ENOTEMPTY: a directory that holds
 * something else. -EPERM: somebody else's. -EACCES. -EADDRINUSE: all
 * keys that ftok gives for the path are taken by others; for key: names,
 * another program has the key. -ENOSPC: kernel.shmmni, shmall or sem is
 * reached. -ENOMEM. -EBUSY: being created or
 * removed by another process. -EMFILE, -ENFILE; of the file system:
 * -EROFS, -EDQUOT, -EMLINK, -EIO, -ENOLCK. A directory that could not be
 * locked (-EBUSY, -ENOLCK) stays, with nothing but its lock.
 */
SLUICE_NODISCARD SLUICE_API int sluice_create(const char *name,
                                              const struct sluice_options *options);

/*
 * Removes the queue. Its memory lives until the last process unmaps it,
 * but everybody who has it open is woken and gets -ESTALE once drained.
 * A half-made one, or what a reboot has left of one, is removed too.
 * -ENOENT, and the errors of the path as of sluice_create.
 */
SLUICE_API int sluice_remove(const char *name);

/* Behind the inline calls of the same names: with the size of the caller's
 * structure, and with SLUICE_ABI of the headers that it was compiled with. */
SLUICE_API int sluice_priv_producer_open(struct sluice_producer *p, size_t size, unsigned abi,
                                         const char *name, const struct sluice_options *options);
SLUICE_API int sluice_priv_consumer_open(struct sluice_consumer *c, size_t size, unsigned abi,
                                         const char *name, const struct sluice_options *options);
SLUICE_API int sluice_priv_producer_enable_sleep(struct sluice_producer *p, size_t size,
                                                 unsigned abi,
                                                 const struct sluice_options *options);
SLUICE_API int sluice_priv_consumer_enable_sleep(struct sluice_consumer *c, size_t size,
                                                 unsigned abi,
                                                 const struct sluice_options *options);

/*
 * Opens the queue as its producer, or consumer. A handle must not be
 * moved while it is open. Options: wake, spin_ns, slice_ns, flags; with
 * SLUICE_CREATE all of them.
 *
 * Ends before the open, be it by a close or by a death: a consumer drains
 * the messages that an earlier producer left, and then gets that producer's
 * end, once. If no messages were left (published and not released when
 * this consumer opened), the end is not reported, whether it was reported
 * to another consumer or not: calls wait for the next producer (-EAGAIN,
 * -ETIMEDOUT; arm returns 0). A producer never gets the end of a consumer
 * before its open: it may fill the ring for the next one.
 *
 * -ENOENT: no such queue. -EBUSY: the role is taken. -EACCES: its mode
 * says no. -EPERM: directory and segment belong to different users.
 * -EPROTO, -EPROTOTYPE, -EPROTONOSUPPORT, -EBADMSG, -EINPROGRESS: see
 * sluice_producer_attach. -EPROTONOSUPPORT also: the library is of another
 * ABI than the program, SLUICE_ABI; then the handle is as it was. -ENOTDIR, -ELOOP, -ENAMETOOLONG: the path.
 * -EINVAL: options. -EMEDIUMTYPE: options give a type_id, and the queue is
 * not for that type: another id, size, or a smaller payload_align. -EMSGSIZE:
 * it is, and too small for one. -EOPNOTSUPP: SLUICE_WAKE_FIFO on a key: queue.
 * -EMFILE, -ENFILE, -ENOMEM; for SLUICE_WAKE_FIFO -ENOSPC:
 * fs.epoll.max_user_watches. -ENOLCK: its file system cannot lock a pipe.
 * A queue that SLUICE_CREATE has made stays when the opening fails. A handle
 * that could not be opened is closed: it may be closed again, and every
 * call on it answers -EINVAL (not when the ABI differs). May
 * sleep for some 200 ms while a predecessor leaves.
 */
SLUICE_NODISCARD SLUICE_INLINE int sluice_producer_open(struct sluice_producer *p, const char *name,
                                                        const struct sluice_options *options)
{
        return sluice_priv_producer_open(p, sizeof *p, SLUICE_ABI, name, options);
}

SLUICE_NODISCARD SLUICE_INLINE int sluice_consumer_open(struct sluice_consumer *c, const char *name,
                                                        const struct sluice_options *options)
{
        return sluice_priv_consumer_open(c, sizeof *c, SLUICE_ABI, name, options);
}

/*
 * A handle on the heap, all zero and aligned to 128 bytes, for callers who
 * cannot know its size: other languages, programs that load the library by
 * dlopen(3). NULL: no memory; errno stays. Free does not close: a handle
 * that is open or attached is closed or detached before. NULL may be freed.
 */
SLUICE_NODISCARD SLUICE_API struct sluice_producer *sluice_producer_new(void);
SLUICE_NODISCARD SLUICE_API struct sluice_consumer *sluice_consumer_new(void);
SLUICE_API void sluice_producer_free(struct sluice_producer *p);
SLUICE_API void sluice_consumer_free(struct sluice_consumer *c);

/* Closes the endpoint and releases the role. Staged messages are
 * discarded, messages not released stay for the next consumer. Always
 * closes; -EINVAL: not open. */
SLUICE_API int sluice_producer_close(struct sluice_producer *p);
SLUICE_API int sluice_consumer_close(struct sluice_consumer *c);

/*
 * For a handle of ring.h alone, over memory that another thread or
 * process maps too: from now on it sleeps by futex and wakes its peer.
 * NULL options: the defaults; spin_ns and slice_ns are used. The peer's
 * death is not noticed. Undone by sluice_*_close, which also detaches.
 */
SLUICE_NODISCARD SLUICE_INLINE int
sluice_producer_enable_sleep(struct sluice_producer *p, const struct sluice_options *options)
{
        return sluice_priv_producer_enable_sleep(p, sizeof *p, SLUICE_ABI, options);
}

SLUICE_NODISCARD SLUICE_INLINE int
sluice_consumer_enable_sleep(struct sluice_consumer *c, const struct sluice_options *options)
{
        return sluice_priv_consumer_enable_sleep(c, sizeof *c, SLUICE_ABI, options);
}

/*
 * Sleeps until the peer's role is held, or has been since this endpoint
 * was opened, or since an end was last reported to it, or since this call
 * last returned 0. A peer that has closed, or whose end was reported, does
 * not count, even if it still holds the role for a moment. For a survivor
 * that wants to go on with a successor, and for a start in any order. 0,
 * -ETIMEDOUT, -EAGAIN with SLUICE_NOW, -ESTALE, -ECANCELED.
 */
SLUICE_NODISCARD SLUICE_API int sluice_producer_await_peer(struct sluice_producer *p,
                                                           sluice_deadline until);
SLUICE_NODISCARD SLUICE_API int sluice_consumer_await_peer(struct sluice_consumer *c,
                                                           sluice_deadline until);

/*
 * The descriptor of an endpoint that was opened with SLUICE_WAKE_FIFO:
 * for poll, epoll and event loops, level- or edge-triggered, never to be
 * read, written or closed. It is an epoll descriptor, of the pipe and of a
 * timer: an armed endpoint also looks once in a slice_ns, because anybody
 * who may write to the pipe may take the waking byte out of it, too.
 * -EINVAL: another kind of endpoint. -EBADF: the program has closed it (as
 * closefrom(3) does). In a loop:
 *
 *      for (;;) {
 *              while (sluice_peek(&c, &m, SLUICE_NOW) == 0)
 *                      work on m, sluice_release(&c);
 *              look at the error of peek; then
 *              if (sluice_consumer_arm(&c) == 0)
 *                      wait for the descriptor, beside others;
 *              sluice_consumer_disarm(&c);
 *      }
 */
SLUICE_NODISCARD SLUICE_API int sluice_consumer_fd(struct sluice_consumer *c);
SLUICE_NODISCARD SLUICE_API int sluice_producer_fd(struct sluice_producer *p);

/* Before waiting for the descriptor. 0: it will become readable when
 * there is something, and once in a slice_ns at most without. 1: do not
 * wait, there is something already, be it a message, room for len bytes,
 * or an error that the next call returns. (A consumer that polls and keeps
 * messages meanwhile lets a producer know of less room than it hoped for,
 * but all that it needs, once in a slice.) When a call has reported the end of
 * a peer, by close or by death, be it with SLUICE_NOW, arming is for a successor. The slice is
 * a millisecond while the peer cannot be relied upon to wake anybody (it
 * was attached through ring.h alone; or membarrier is forbidden here, and
 * it has no fence). Negative: an error, and nothing is armed: -EINVAL,
 * -EMFILE, -ENFILE, -ENOMEM, -ENOSPC, or of opening the pipe. */
SLUICE_NODISCARD SLUICE_API int sluice_consumer_arm(struct sluice_consumer *c);
SLUICE_NODISCARD SLUICE_API int sluice_producer_arm(struct sluice_producer *p, size_t len);

/* After waiting for it. 0. */
SLUICE_API int sluice_consumer_disarm(struct sluice_consumer *c);
SLUICE_API int sluice_producer_disarm(struct sluice_producer *p);

/* Makes the handle's current or next waiting call return -ECANCELED,
 * once. Async-signal-safe; any thread. */
SLUICE_API int sluice_consumer_interrupt(struct sluice_consumer *c);
SLUICE_API int sluice_producer_interrupt(struct sluice_producer *p);

/* One endpoint of a queue, as an observer sees it. */
struct sluice_endpoint_stat {
        int held;          /* 1: a process holds the role */
        int closed;        /* the last holder has closed */
        int asleep;        /* parked, as it says itself */
        uint64_t position; /* published, released */
        uint64_t messages; /* published, released, ever */
        uint64_t attaches, stalls, parks, wakes;
        int64_t pid; /* of the latest holder, a hint only */
};

/*
 * key, shmid and semid say which System V objects belong to the queue, as
 * ipcs(1) shows them: an operator finds a queue by them, and sluice_reap the
 * very one that was listed. They are what the kernel keeps, not a part of how
 * the library works.
 */
struct sluice_queue_stat {
        size_t size; /* bytes of this structure that are filled in */
        char name[SLUICE_NAME_MAX + 1];
        uint64_t capacity;     /* bytes */
        uint32_t record_align; /* bytes */
        mode_t mode;
        uid_t uid;
        gid_t gid;
        int key, shmid, semid;
        uint64_t max_len;    /* of a message, bytes */
        uint64_t used;       /* bytes in the ring, published and not released */
        uint64_t pending;    /* messages in it */
        uint64_t high_water; /* most bytes in use that the producer has seen, or used */
        uint64_t attached;   /* processes that map the segment */
        uint64_t generation;
        int64_t created_s; /* seconds since 1970 */
        struct sluice_endpoint_stat producer, consumer;
        int error;        /* sluice_list: why the contents cannot be shown, or 0 */
        int orphan;       /* sluice_list: no directory leads to it: removed, or moved elsewhere */
        uint64_t dropped; /* messages that producers did not send for want of room */
        uint64_t torn;    /* long messages of which consumers have seen only a part */
        uint64_t type_id; /* as of the options */
        uint32_t type_size, payload_align;
};

/* Behind sluice_stat: with the size of the caller's structure. */
SLUICE_API int sluice_priv_stat(const char *name, struct sluice_queue_stat *st, size_t size);

/*
 * Looks at a queue, live or dead, and changes nothing. Positions, message
 * counts, used and pending were all true at one moment, between call and
 * return; so were held, closed and attaches of each endpoint; all others
 * were true at some moment each. Needs read permission only.
 *
 * A program that was compiled with another version's headers gets the fields
 * that both know, and 0 in others of its own; `size` says how far. A structure
 * that is shorter than that of 0.2: -EPROTONOSUPPORT.
 *
 * Looks at each record once at most, and usually at none. -EBADMSG: the
 * contents contradict themselves. -EAGAIN: it was in motion during each
 * of 20,000 looks; ask again. Other errors as of sluice_producer_open.
 */
SLUICE_NODISCARD SLUICE_INLINE int sluice_stat(const char *name, struct sluice_queue_stat *st)
{
        return sluice_priv_stat(name, st, sizeof *st);
}

/* Called for each queue. Nonzero: stop, sluice_list returns it. */
typedef int sluice_list_fn(void *ctx, const struct sluice_queue_stat *st);

/* All queues of this machine (this IPC namespace) that the caller may
 * read. One whose contents contradict themselves is shown with error set,
 * and only mode to key, shmid to attached and created_s are set; one that
 * is half made, with -EINPROGRESS. What a killed creator or remover has
 * left may be semaphores alone: shown likewise, by its key, with shmid -1.
 * A queue whose directory was renamed is shown by its new name, one whose
 * directory was removed or moved elsewhere as an orphan, with the name
 * that it had. Returns how many, or the function's nonzero value;
 * -ENOMEM, -EMFILE, -ENFILE when it cannot go on. */
SLUICE_NODISCARD SLUICE_API int sluice_list(sluice_list_fn *fn, void *ctx);

enum {
        SLUICE_REAP_PENDING = 1,   /* even with messages that nobody has received */
        SLUICE_REAP_ALL_USERS = 2, /* root: other users' queues, too */
        SLUICE_REAP_DRY_RUN = 4    /* only say whether */
};

/*
 * Removes the very queue that sluice_list has shown, whatever bears its name
 * by now, if nobody uses it: both roles are taken before, so nobody can
 * begin to. A holder that has left its undo list (unshare(CLONE_SYSVSEM)) is
 * seen by the pipes of the directory. Orphans and what a dead creator has left
 * go, too; but the directory of a queue that is half made stays, for the
 * next creator.
 *
 * Needs `size`, name, key, shmid, semid and generation of *st.
 *
 * -EBUSY: in use, or being created. -ENOTEMPTY: messages wait in it.
 * -EPERM: another user's. -ENOENT: it is no longer there. -ESTALE: its name
 * leads to another queue by now. -EINVAL: flags, or st->size. Others as of sluice_remove.
 */
SLUICE_NODISCARD SLUICE_API int sluice_reap(const struct sluice_queue_stat *st, unsigned flags);

/*
 * Hands every message that is published and not released to fn, oldest
 * first, and changes nothing; data points to a private copy that lives
 * until fn returns. For inspection, also after a crash. On a live queue
 * it ends with what was published when it began, and messages that are
 * released meanwhile are skipped. Copies each byte of the ring once at
 * most. Returns how many were shown, or the function's nonzero value;
 * errors as of sluice_stat, also after some were shown.
 */
SLUICE_NODISCARD SLUICE_API ssize_t sluice_dump(const char *name, sluice_handler *fn, void *ctx);

/* What an error of this library means and what to do, in a sentence.
 * Never NULL. err: negative, as returned by any call. The text of one that is not
 * known has its number, and is valid until the thread's next such call;
 * all others are constant. */
SLUICE_API const char *sluice_strerror(ssize_t err);

/* After -ENOSPC, -ENOMEM, -EFBIG, -EMFILE, -ENFILE or -EPERM of create or
 * open: which limit of the system this thread has run into, and where it
 * is set; "" when it was none. Valid until the thread's next create or
 * open. */
SLUICE_API const char *sluice_limit(void);

/* The version of the library in use, as SLUICE_VERSION_STRING of sluice.h is
 * that of the headers: "0.2.0". Constant. */
SLUICE_API const char *sluice_version(void);

#ifdef __cplusplus
}
#endif

#endif
