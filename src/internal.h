/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_INTERNAL_H
#define SLUICE_INTERNAL_H
/* What the files of the library share. No public contract. */
#define SLUICE_BUILD 1
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "sluice/queue.h"

/* An inode is part of a queue's identity, and file systems may be large. */
SLUICE_STATIC_ASSERT(sizeof(off_t) == 8 && sizeof(ino_t) == 8 && sizeof(time_t) == 8,
                     "compile with -include src/wide.h");

/* ---- Public calls that make system calls -------------------------- */

/* A call keeps errno, and defers a cancellation of its thread to its end: it
 * would leave locks and roles behind. */
struct sluice_priv_entry {
        int errno_before, cancel_before;
};

static inline struct sluice_priv_entry sluice_priv_enter(void)
{
        struct sluice_priv_entry entry = {errno, 0};

        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &entry.cancel_before);
        return entry;
}

static inline void sluice_priv_leave(const struct sluice_priv_entry *entry)
{
        pthread_setcancelstate(entry->cancel_before, NULL);
        errno = entry->errno_before;
}

/* ---- Options: a structure that begins with its size ---------------- */

/* Of this version, from a caller of an earlier or a later one, or from NULL: 0
 * in what the caller does not know. -EINVAL: no size, or an option is set that
 * this version does not know. */
static inline int sluice_priv_options_copy(void *to, size_t room, const void *from)
{
        const unsigned char *const bytes = (const unsigned char *)from;
        size_t size;

        memset(to, 0, room);
        if (!from)
                return 0;
        memcpy(&size, from, sizeof size);
        if (size < sizeof size || size > SLUICE_LAYOUT_PAGE)
                return -EINVAL;
        memcpy(to, from, size < room ? size : room);
        for (size_t i = room; i < size; i++)
                if (bytes[i] != 0)
                        return -EINVAL;
        return 0;
}

/* The caller has too few descriptors or too little memory: the error says nothing
 * about the queue. */
static inline bool sluice_priv_is_lack(int error)
{
        return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

/* ---- fork.c: what a child of fork() gets --------------------------- */

/* A descriptor that is open during a call. A child of fork() closes its copy. */
struct sluice_priv_kept {
        struct sluice_priv_kept *next, **link; /* under the fork lock; neighbours write link */
        bool listed;                           /* the owner's */
        int fd;
};

/* Between the two no fork() begins, so a descriptor is registered before it
 * can be copied. Short sections only. 0 or -ENOMEM. */
int sluice_priv_fork_lock(void);
void sluice_priv_fork_unlock(void);
/* Under the lock. */
void sluice_priv_kept_add(struct sluice_priv_kept *k, int fd);
/* Takes the lock itself, closes the descriptor, unregisters it. */
void sluice_priv_kept_close(struct sluice_priv_kept *k);

/* ---- name.c: from a name to a place ------------------------------- */

struct sluice_priv_name {
        bool is_key;      /* key:0x..., no directory */
        bool in_user_dir; /* a bare word in a directory that we make and remove */
        key_t key;
        char path[SLUICE_NAME_MAX + 1]; /* as it is opened, or key:0x... */
};

int sluice_priv_name_parse(struct sluice_priv_name *n, const char *name);
/* 0700 under any umask. 1: made, 0: it exists. -ESTALE: it was made, and
 * removed by another process at once. */
int sluice_priv_dir_make(const char *path);
/* The user's own directory, which contains the queues of bare words. Only we
 * may write to it, or another user could put queues there. n: in_user_dir. */
int sluice_priv_user_dir_make(const struct sluice_priv_name *n);
int sluice_priv_user_dir_check(const struct sluice_priv_name *n);
void sluice_priv_user_dir_unmake(void);

/* ---- place.c: the directory of a queue ---------------------------- */

/* The directory, opened; or just a key. */
struct sluice_priv_place {
        const struct sluice_priv_name *name;
        int dirfd;      /* -1: a bare key */
        int lockfd;     /* -1: not locked */
        struct stat st; /* of the directory */
        bool made;      /* by this call */
        bool lock_made; /* likewise */
        bool any_owner;
        struct sluice_priv_kept kept[2]; /* both descriptors */
};

/* The ftok(3) keys of one path that are tried. */
enum { SLUICE_PRIV_PROJECTS = 16 };

int sluice_priv_place_open(struct sluice_priv_place *place, const struct sluice_priv_name *n);
int sluice_priv_place_make(struct sluice_priv_place *place, const struct sluice_priv_name *n);
int sluice_priv_place_lock(struct sluice_priv_place *place);
int sluice_priv_place_unlock(const struct sluice_priv_place *place);
void sluice_priv_place_close(struct sluice_priv_place *place);
/* What the directory contains. 0: nothing, 1: only parts of a queue,
 * -ENOTEMPTY: something else. */
int sluice_priv_place_look(const struct sluice_priv_place *place);
/* Does it contain more than a lock? 1, 0, or -errno. */
int sluice_priv_place_has_queue(const struct sluice_priv_place *place);
int sluice_priv_place_finish(const struct sluice_priv_place *place, mode_t mode);
int sluice_priv_place_empty(const struct sluice_priv_place *place);
int sluice_priv_place_rmdir(const struct sluice_priv_place *place);
/* The user to whom the System V objects of this queue have to belong. */
uid_t sluice_priv_place_owner(const struct sluice_priv_place *place);
/* project: 1 to SLUICE_PRIV_PROJECTS. */
key_t sluice_priv_place_key(const struct sluice_priv_place *place, int project);
int sluice_priv_place_projects(const struct sluice_priv_place *place);

/* ---- record.c: which memory belongs to a directory ---------------- */

#define SLUICE_PRIV_RECORD "memory"

struct sluice_priv_record {
        uint64_t generation;
        key_t key;
        int shmid, semid;
        uint64_t ipc; /* the IPC namespace, 0: not known */
        char boot[40];
};

uint64_t sluice_priv_generation(void);
int sluice_priv_record_read(struct sluice_priv_record *r, int dirfd);
int sluice_priv_record_write(const struct sluice_priv_record *r, int dirfd);
int sluice_priv_record_remove(int dirfd);

/* ---- fifo.c: the two named pipes of a directory ------------------- */

#define SLUICE_PRIV_READABLE "readable"
#define SLUICE_PRIV_WRITABLE "writable"

/* Of the pipes of a queue of this mode. */
mode_t sluice_priv_fifo_mode(mode_t mode);
int sluice_priv_fifos_make(const struct sluice_priv_place *place, mode_t mode);
/* -ENOENT: not both are there. */
int sluice_priv_fifos_find(int dirfd);
int sluice_priv_fifos_remove(int dirfd);
/* flags: O_RDWR or O_RDONLY. Checks kind, owner and mode. */
int sluice_priv_fifo_open(const struct sluice_priv_place *place, const char *which, int flags,
                          mode_t mode);
/* For wake.c alone. once: not if the pipe already contains a byte. at: opens
 * the pipe for it, if that is possible. */
void sluice_priv_fifo_ring(int fd);
void sluice_priv_fifo_ring_once(int fd);
void sluice_priv_fifo_ring_at(const struct sluice_priv_place *place, const char *which,
                              mode_t mode);
/* Takes all bytes out. What it has found: */
enum sluice_priv_drained {
        SLUICE_PRIV_QUIET,  /* no byte, and a process that may write one */
        SLUICE_PRIV_BYTES,  /* some; or it cannot be read */
        SLUICE_PRIV_HUNG_UP /* no process holds the writing end */
};
enum sluice_priv_drained sluice_priv_fifo_drain(int fd);
/* A lock that exec releases and fork does not share: 0, -EBUSY, or -ENOLCK. */
int sluice_priv_fifo_lock(int fd);
void sluice_priv_fifo_unlock(int fd);
/* 1: locked through another descriptor, 0: not locked, -errno: not known. */
int sluice_priv_fifo_locked(int fd);
bool sluice_priv_fifo_gone(int fd);

/* ---- role.c: which role is held ----------------------------------- */

enum { /* semaphores of the set */
       SLUICE_PRIV_ROLE_PRODUCER = 0,
       SLUICE_PRIV_ROLE_CONSUMER = 1,
       SLUICE_PRIV_ROLE_CREATOR = 2,
       SLUICE_PRIV_SEMAPHORES = 11 /* with the signature of set.c */
};

struct sembuf;
/* semop: -EBUSY, -EIDRM, -ENOSPC. */
int sluice_priv_role_change(int semid, struct sembuf *ops, size_t n);

/* -EBUSY: held. -EIDRM: the set is gone. */
int sluice_priv_role_take(int semid, int role, bool locked);
void sluice_priv_role_release(int semid, int role, bool locked);
/* Takes a role away from a process that has become another program. */
int sluice_priv_role_take_over(int semid, int role);
/* 1: held, 0: free, -EIDRM, -EACCES. */
int sluice_priv_role_held(int semid, int role);

/* ---- set.c: the semaphore set of a queue -------------------------- */

struct sluice_priv_set {
        int semid;
        uid_t uid;
        key_t key;
        mode_t mode;
        bool sized;          /* has as many semaphores as the set of a queue */
        bool ours;           /* is the set of a queue, by size, mode and values */
        bool making;         /* ours, of a queue that is not complete */
        bool is_signed;      /* ours, and contains the generation of the queue */
        uint64_t generation; /* is_signed: of the queue */
};

/* The semid, or -EEXIST, -ENOSPC ... */
int sluice_priv_set_make(key_t key);
/* Takes the creator's role, too. -EBUSY: another process was faster. */
int sluice_priv_set_sign(int semid, uint64_t generation);
/* Reads it by IPC_STAT and GETALL. 0, -EIDRM, -EACCES ... */
int sluice_priv_set_look(struct sluice_priv_set *s, int semid);
/* Takes the creator's role of a set that is being made. -EBUSY: the creator
 * is alive. -EAGAIN: the set is complete by now. */
int sluice_priv_set_claim(const struct sluice_priv_set *s, uint64_t generation);
int sluice_priv_set_finish(int semid, mode_t mode);
/* Takes the creator's role of a complete set, which removers take turns by.
 * -EIDRM: another process has removed the set. */
int sluice_priv_set_hold(int semid);
int sluice_priv_set_remove(int semid);

/* ---- segment.c ---------------------------------------------------- */

/* Added to the size of each segment: the sum is an odd number that no other
 * program asks for by chance. */
#define SLUICE_PRIV_SEGMENT_TAIL 1471u

struct sluice_priv_segment {
        key_t key;
        int shmid, semid;
        void *mem;
        size_t mapped; /* bytes, whole pages of their kind */
        struct shmid_ds ds;
        struct sluice_priv_shape shape;
};

/* -ENOENT: removed. -EPROTO: another program's. */
int sluice_priv_segment_stat(struct sluice_priv_segment *s, int shmid);
int sluice_priv_segment_find(struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                             bool read_only);
/* shmat; a child of fork() gets no copy of the mapping. */
int sluice_priv_segment_attach(struct sluice_priv_segment *s, bool read_only);
/* Attaches, and checks the header. */
int sluice_priv_segment_map(struct sluice_priv_segment *s, bool read_only);
/* How many mappings there are in all processes, or -errno. */
int sluice_priv_segment_attached(const struct sluice_priv_segment *s);
void sluice_priv_segment_unmap(struct sluice_priv_segment *s);
int sluice_priv_prepare_pages(void *mem, size_t bytes, unsigned flags);

/* ---- key.c: what exists under a key -------------------------------- */

/* Before anything under a key is removed, it must have proved to be a
 * queue's, to belong to the owner, and to be in no use as a queue. */

/* Removes the segment under a key. held: we hold the creator's role of its
 * set; else only a segment of our directory's inode is removed. 0: there is
 * none now. -EADDRINUSE: another program's, or another directory's. */
int sluice_priv_key_clear_segment(const struct sluice_priv_place *place, key_t key, bool held);
/* A set that is complete. 0: its queue was abandoned, and is removed.
 * -EEXIST, -EADDRINUSE. */
int sluice_priv_key_clear_complete(const struct sluice_priv_place *place,
                                   const struct sluice_priv_set *set);
/* Any set under the key. 0: look again. 1: we have signed it. -EADDRINUSE: the
 * key is in use. -EBUSY: another process is working on it. -EEXIST. */
int sluice_priv_key_take_set(const struct sluice_priv_place *place, key_t key, uint64_t generation,
                             int *semid);

/* Is there a segment of a queue, of the set's owner, under the set's key? 1, 0,
 * or -errno if that cannot be found out. */
int sluice_priv_key_has_segment(const struct sluice_priv_set *set);

/* ---- remove.c ----------------------------------------------------- */

/* Removes the segment, and the set unless semid is negative; wakes all who
 * sleep on the queue. 1: removed, 0: another process had removed it. */
int sluice_priv_queue_remove(struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                             int semid);
/* What the record of a directory names. 1: removed, 0: there was nothing. */
int sluice_priv_remove_recorded(const struct sluice_priv_place *place);
/* A directory that is locked. */
int sluice_priv_remove_dir(const struct sluice_priv_place *place);

/* ---- stat.c, list.c ----------------------------------------------- */

/* Bytes of the shortest struct sluice_queue_stat, that of 0.2. */
#define SLUICE_PRIV_STAT_LEAST (offsetof(struct sluice_queue_stat, orphan) + sizeof(int))

/* What the kernel knows about a queue. */
void sluice_priv_stat_kernel(struct sluice_queue_stat *st, const struct sluice_priv_segment *s);
/* That, and the contents. */
int sluice_priv_stat_read(struct sluice_queue_stat *st, const struct sluice_priv_segment *s);
/* Opens the directory of that name, if its record names this segment and it
 * belongs to the segment's owner. Else -ENOENT. */
int sluice_priv_place_of(struct sluice_priv_place *place, const struct sluice_priv_name *n,
                         const struct sluice_priv_segment *s);

/* ---- observe.c ---------------------------------------------------- */

struct sluice_priv_view {
        const struct sluice_layout_consumer *consumer;
        const struct sluice_layout_producer *producer;
        const unsigned char *ring;
        const struct sluice_priv_shape *shape;
};

/* Positions and counts that were all true at one moment. */
struct sluice_priv_moment {
        struct sluice_priv_found consumer, producer;
};

/* Looks at a queue that changes during each of them, before -EAGAIN. */
enum { SLUICE_PRIV_LOOKS = 20000 };

/* -EBADMSG: the contents contradict themselves. -EAGAIN: the queue changed
 * during each look. Looks at every record once at most, and at everything
 * else SLUICE_PRIV_LOOKS times. */
int sluice_priv_observe(struct sluice_priv_moment *m, const struct sluice_priv_view *v);

/* ---- limit.c: which limit was reached ----------------------------- */

enum sluice_priv_call {
        SLUICE_PRIV_SHMGET,
        SLUICE_PRIV_SHMGET_HUGE,
        SLUICE_PRIV_SEMGET,
        SLUICE_PRIV_SEMOP,
        SLUICE_PRIV_MLOCK,
        SLUICE_PRIV_FD
};

void sluice_priv_limit_forget(void);
/* After a failed call, which left err (positive). wanted: bytes, semaphores
 * or operations. */
void sluice_priv_limit_note(enum sluice_priv_call call, int err, size_t wanted);

/* ---- unique.c ----------------------------------------------------- */

/* A directory, named with a slash at the end, that is no queue itself: 1, 0, or
 * -ENOENT: it is not there, -EMFILE, -ENFILE, -ENOMEM. */
int sluice_priv_is_directory_of_queues(const char *name);
/* A name in it, which hardly exists. 0 or -ENAMETOOLONG. */
int sluice_priv_unique_name(char *name, size_t size, const char *directory);
/* Makes a queue in it; name: where to. Errors as of sluice_create. */
int sluice_priv_create_unique(char *name, size_t size, const char *directory,
                              const struct sluice_options *options);

/* ---- options ------------------------------------------------------ */

int sluice_priv_options_read(struct sluice_options *to, const struct sluice_options *from);

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
