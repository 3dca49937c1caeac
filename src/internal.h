/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_INTERNAL_H
#define SLUICE_INTERNAL_H
/* What the parts of the library share. No public contract. */
#define SLUICE_BUILD 1
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "sluice/queue.h"

/* An inode is part of what a queue is known by, and files may be large. */
SLUICE_STATIC_ASSERT(sizeof(off_t) == 8 && sizeof(ino_t) == 8 && sizeof(time_t) == 8,
                     "compile with -include src/wide.h");

/* ---- Public calls that make system calls -------------------------- */

/* errno stays as it was, and a cancellation of the thread waits until
 * the call is through: it would leave locks and roles behind. */
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

/* ---- fork.c: what a child of fork() gets --------------------------- */

/* A descriptor of a call that is under way, which a child closes. */
struct sluice_priv_kept {
        struct sluice_priv_kept *next, **link; /* link NULL: none */
        int fd;
};

/* Between the two no fork() begins: what is opened is noted before it is
 * copied. Short sections only. 0 or -ENOMEM. */
int sluice_priv_fork_lock(void);
void sluice_priv_fork_unlock(void);
/* Under the lock. */
void sluice_priv_kept_add(struct sluice_priv_kept *k, int fd);
/* Takes the lock itself, closes the descriptor, forgets it. */
void sluice_priv_kept_close(struct sluice_priv_kept *k);

/* ---- name.c: from a name to a place ------------------------------- */

struct sluice_priv_name {
        bool is_key;      /* key:0x..., no directory */
        bool in_user_dir; /* a bare word in a directory that we make and unmake */
        key_t key;
        char path[SLUICE_NAME_MAX + 1]; /* as it is opened, or key:0x... */
};

int sluice_priv_name_parse(struct sluice_priv_name *n, const char *name);
/* 0700 under any umask. 1: made, 0: it was there. -ESTALE: it was made, and
 * removed by another at once. */
int sluice_priv_dir_make(const char *path);
/* The user's own directory, where bare words live: ours alone, or a
 * stranger could lay out queues for us. n: in_user_dir. */
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
        bool made;      /* by us, just now */
        bool lock_made; /* likewise */
        bool any_owner;
        struct sluice_priv_kept kept[2]; /* both descriptors */
};

/* ftok(3) gives this many keys to one path before we give up. */
enum { SLUICE_PRIV_PROJECTS = 16 };

int sluice_priv_place_open(struct sluice_priv_place *place, const struct sluice_priv_name *n);
int sluice_priv_place_make(struct sluice_priv_place *place, const struct sluice_priv_name *n);
int sluice_priv_place_lock(struct sluice_priv_place *place);
int sluice_priv_place_unlock(const struct sluice_priv_place *place);
void sluice_priv_place_close(struct sluice_priv_place *place);
/* What it holds beside nothing: 0 empty, 1 only parts of a queue,
 * -ENOTEMPTY something else. */
int sluice_priv_place_look(const struct sluice_priv_place *place);
/* More than a lock: 1, 0, or -errno. */
int sluice_priv_place_has_queue(const struct sluice_priv_place *place);
int sluice_priv_place_finish(const struct sluice_priv_place *place, mode_t mode);
int sluice_priv_place_empty(const struct sluice_priv_place *place);
int sluice_priv_place_rmdir(const struct sluice_priv_place *place);
/* Whose the System V objects of this queue have to be. */
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
void sluice_priv_fifo_ring(int fd);
void sluice_priv_fifo_ring_once(int fd);
/* Whoever sleeps on that pipe looks again, if it can be opened. */
void sluice_priv_fifo_ring_at(const struct sluice_priv_place *place, const char *which,
                              mode_t mode);
/* true: and nobody holds the writing end. */
bool sluice_priv_fifo_drain(int fd);
/* A lock that exec gives back and fork does not share: 0, -EBUSY, or
 * -ENOLCK. */
int sluice_priv_fifo_lock(int fd);
void sluice_priv_fifo_unlock(int fd);
/* 1: by somebody else, 0, or -errno: not to be told. */
int sluice_priv_fifo_locked(int fd);
bool sluice_priv_fifo_gone(int fd);

/* ---- role.c: who holds what --------------------------------------- */

enum {
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
void sluice_priv_role_give(int semid, int role, bool locked);
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
        bool sized;          /* as many semaphores as ours have */
        bool ours;           /* it has proved to be a queue's */
        bool making;         /* ... that is not complete */
        bool is_signed;      /* ... and says whose */
        uint64_t generation; /* of the queue */
};

/* The semid, or -EEXIST, -ENOSPC ... */
int sluice_priv_set_make(key_t key);
/* Takes the creator's role, too. -EBUSY: another was faster. */
int sluice_priv_set_sign(int semid, uint64_t generation);
/* IPC_STAT and GETALL only. 0, -EIDRM, -EACCES ... */
int sluice_priv_set_look(struct sluice_priv_set *s, int semid);
/* The creator's role of a set that is being made. -EBUSY: it lives. -EAGAIN:
 * it is complete by now. */
int sluice_priv_set_claim(const struct sluice_priv_set *s, uint64_t generation);
int sluice_priv_set_finish(int semid, mode_t mode);
/* Before a complete one is removed. -EIDRM: another has. */
int sluice_priv_set_hold(int semid);
int sluice_priv_set_remove(int semid);

/* ---- segment.c ---------------------------------------------------- */

/* What the size of each segment has beyond the ring: with it, an odd number
 * that no other program asks for by chance. */
#define SLUICE_PRIV_SEGMENT_TAIL 1471u

struct sluice_priv_segment {
        key_t key;
        int shmid, semid;
        void *mem;
        size_t mapped; /* bytes, whole pages of their kind */
        struct shmid_ds ds;
        struct sluice_priv_shape shape;
};

/* -ENOENT: gone. -EPROTO: another program's. */
int sluice_priv_segment_stat(struct sluice_priv_segment *s, int shmid);
int sluice_priv_segment_find(struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                             bool read_only);
/* shmat, and no copy of it for a child of fork(). */
int sluice_priv_segment_attach(struct sluice_priv_segment *s, bool read_only);
/* ... and the header, checked. */
int sluice_priv_segment_map(struct sluice_priv_segment *s, bool read_only);
/* How often it is mapped, by whomever, or -errno. */
int sluice_priv_segment_attached(const struct sluice_priv_segment *s);
void sluice_priv_segment_unmap(struct sluice_priv_segment *s);
int sluice_priv_prepare_pages(void *mem, size_t bytes, unsigned flags);

/* ---- key.c: what stands under a key ------------------------------- */

/* What must be so before anything under a key is removed: it has proved to
 * be a queue's, it is the owner's, and it is nobody's queue any longer. */

/* The segment under a key. held: whose set we hold; else it is only looked for
 * what was our inode's. 0: there is none any longer. -EADDRINUSE: another
 * program's, or another directory's. */
int sluice_priv_key_clear_segment(const struct sluice_priv_place *place, key_t key, bool held);
/* A set that is complete. 0: it was nobody's, and is gone. -EEXIST,
 * -EADDRINUSE. */
int sluice_priv_key_clear_complete(const struct sluice_priv_place *place,
                                   const struct sluice_priv_set *set);
/* Whatever set stands there. 0: look again. 1: we have signed it. -EADDRINUSE:
 * the key is taken. -EBUSY: another is at work on it. -EEXIST. */
int sluice_priv_key_take_set(const struct sluice_priv_place *place, key_t key, uint64_t generation,
                             int *semid);

/* A segment of ours and of the set's owner stands beside it: 1, 0, or -errno
 * if that cannot be found out. */
int sluice_priv_key_has_segment(const struct sluice_priv_set *set);

/* ---- remove.c ----------------------------------------------------- */

/* The segment, the set unless semid is negative; wakes everybody who sleeps
 * on the queue. 1: we did, 0: another had, already. */
int sluice_priv_queue_remove(struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                             int semid);
/* What the record of a directory names. 1: removed, 0: there was nothing. */
int sluice_priv_remove_recorded(const struct sluice_priv_place *place);
/* A directory that is locked. */
int sluice_priv_remove_dir(const struct sluice_priv_place *place);

/* ---- stat.c, list.c ----------------------------------------------- */

/* What the kernel keeps of a queue. */
void sluice_priv_stat_kernel(struct sluice_queue_stat *st, const struct sluice_priv_segment *s);
/* ... and what it says itself. */
int sluice_priv_stat_read(struct sluice_queue_stat *st, const struct sluice_priv_segment *s);
/* Opens the directory that leads to this segment. -ENOENT: that one does
 * not. The record of a directory counts only with the segment's owner. */
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

/* Looks at a queue that never keeps still, before it is told to be so. */
enum { SLUICE_PRIV_LOOKS = 20000 };

/* -EBADMSG: the contents contradict themselves. -EAGAIN: not once still.
 * Looks at every record once at most, and at all else SLUICE_PRIV_LOOKS
 * times. */
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

/* ---- options ------------------------------------------------------ */

int sluice_priv_options_read(struct sluice_options *to, const struct sluice_options *from);

/* ---- handle.c ----------------------------------------------------- */

/* The descriptors of a queue. Pipes and the directory are known from any
 * other file; of the last three there are many that look the same. */
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

/* Behind a handle that can sleep. */
struct sluice_priv_queue {
        struct sluice_priv_queue *next, **link; /* all open queues of the process */
        void *handle;
        int role;
        bool named;
        struct sluice_priv_segment segment;
        int dirfd;
        bool known; /* what the descriptors were opened as: */
        struct sluice_priv_file files[SLUICE_PRIV_FDS];

        struct sluice_layout_doorbell *own_doorbell;
        const struct sluice_layout_doorbell *peer_doorbell;
        struct sluice_layout_counters *counters;

        bool by_fifo;          /* sleeps on own_fd, not by futex */
        bool peer_apart;       /* the peer holds its role, but no pipe: it cannot ring */
        bool locked;           /* peer_fd bears our lock */
        int own_fd;            /* the pipe that wakes us and that the peer locks, or -1 */
        int peer_fd;           /* the pipe that wakes the peer and that we lock, or -1 */
        int keeper_fd;         /* holds our own pipe open while there is no peer, or -1 */
        int interrupt_fd;      /* eventfd beside own_fd, or -1 */
        int poll_fd;           /* epoll of own_fd and alarm_fd, for the application; or -1 */
        int alarm_fd;          /* timerfd: an armed endpoint looks once in a slice; or -1 */
        int64_t alarm_ns;      /* when it goes off; in the past: it has */
        sluice_word interrupt; /* 1: the next wait is to return -ECANCELED; a futex */

        int64_t spin_ns, spin_budget_ns, slice_ns;
        int reported_end; /* -EPIPE or -EOWNERDEAD: reported_epoch ended so, and has no successor; or 0 */
        unsigned spin_skips_left; /* so many more waits do not spin */
        unsigned spin_skips_next; /* and so many the next time that spinning is in the way */
        uint64_t peer_epoch;      /* the last holder of the peer's role that await_peer reported */
        uint64_t checked_epoch;   /* its holder, when it was last looked for */
        uint64_t ended_epoch;     /* the holder that was last found to have ended */
        uint64_t reported_epoch;  /* the one whose end was reported, or is older than this handle */
        unsigned *polls;          /* the handle's */
        int64_t checked_ns;       /* when the peer was last looked for */
        uint64_t keeper_epoch;    /* the peer's, when we took keeper_fd */
        bool shares_cpu;          /* the peer may have no other CPU than ours */
        bool check_due;           /* look for the peer at the next chance */
        bool hung_up;             /* nobody holds the writing end of own_fd */
        bool watched;             /* poll_fd has own_fd */
        bool byte_may_be_there; /* a byte may be in the peer's pipe for the parking that it is in */
        bool membarrier;        /* DOORBELL: this process can call it */
};

/* fork.c: from here on a child poisons its copy of the handle and closes
 * its copies of the descriptors. 0 or -ENOMEM. */
int sluice_priv_queue_list(struct sluice_priv_queue *q);
/* Closes the descriptors, too. */
void sluice_priv_queue_unlist(struct sluice_priv_queue *q);
/* Once all are open: 0 or -errno. */
int sluice_priv_fds_know(struct sluice_priv_queue *q);
/* A program may close what is not its own, and open something else by that
 * number. false: so it is. */
bool sluice_priv_fd_is_ours(struct sluice_priv_queue *q, enum sluice_priv_which which);
/* Before a pipe is used: from then on it is -1 if it is not ours any more, and so
 * is all else that is not. */
void sluice_priv_fd_check(struct sluice_priv_queue *q, enum sluice_priv_which which);

/* ---- park.c ------------------------------------------------------- */

#define SLUICE_PRIV_SPIN_SKIPS_LEAST 128u
extern const struct sluice_priv_sleep sluice_priv_producer_sleep;
extern const struct sluice_priv_sleep sluice_priv_consumer_sleep;

/* What a sleeper waits for. */
struct sluice_priv_await {
        const sluice_word *word; /* sleep while its low half stays the same */
        bool producer;
        uint64_t position; /* to be woken at: RELEASE or PUBLISH up to here */
        uint64_t enough;   /* the producer: less, but all that it needs */
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
/* No sleep is longer: slice_ns, or a millisecond when nobody will wake us
 * in time. */
int64_t sluice_priv_longest_ns(const struct sluice_priv_queue *q);
/* ns after now, a time that is not negative; saturates. */
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
 * interrupt has come, at most until. Only the first is woken on. */
void sluice_priv_futex_sleep(struct sluice_priv_queue *q, const struct sluice_priv_unchanged *word,
                             const struct sluice_priv_unchanged *second, int64_t now,
                             int64_t until);

/* ---- spin.c ------------------------------------------------------- */

/* true: ready. Spins no longer than has lately been of use; keeps *now. */
bool sluice_priv_spin_until(struct sluice_priv_queue *q, const struct sluice_priv_await *a,
                            int64_t *now, int64_t until);
/* After a wait that has ended well. */
void sluice_priv_spin_adapt(struct sluice_priv_queue *q, int64_t waited_ns);

/* ---- wake.c ------------------------------------------------------- */

/* Everybody who sleeps on this word. */
void sluice_priv_futex_wake(const sluice_word *word);
/* The peer that has parked with this word; no answer to it. */
void sluice_priv_wake_peer(struct sluice_priv_queue *q, uint64_t parked);
void sluice_priv_producer_wake(void *handle, uint64_t parked);
void sluice_priv_consumer_wake(void *handle, uint64_t parked);
void sluice_priv_nudge_producer(struct sluice_priv_queue *q);
/* Whoever sleeps on a queue that was removed looks again, and finds it gone. */
void sluice_priv_wake_all(const struct sluice_priv_segment *s,
                          const struct sluice_priv_place *place);

/* ---- peer.c ------------------------------------------------------- */

/* 0, -EPIPE, -EOWNERDEAD (of `gone`), -ESTALE. Sets *present when the
 * peer's role is held. */
int sluice_priv_peer_check(struct sluice_priv_queue *q, bool *present);
/* What of such an answer is news to this handle; else 0. */
int sluice_priv_news(const struct sluice_priv_queue *q, int error);
/* Once, before joining: an end that stands there was before our time. */
int sluice_priv_meet_peer(struct sluice_priv_queue *q);
/* After it: was anything left for us to tell the end behind? */
void sluice_priv_met_peer(struct sluice_priv_queue *q, bool left);
/* Does the peer's end that stands in the ring end a wait? A hint: the next
 * look decides. */
bool sluice_priv_end_is_news(const struct sluice_priv_queue *q);
/* For a call that finds nothing: the end that was told, once more, while
 * nobody has come since; or 0. */
int sluice_priv_reported_end(struct sluice_priv_queue *q);
int sluice_priv_producer_tell(void *handle, int error);
int sluice_priv_consumer_tell(void *handle, int error);
int sluice_priv_producer_end(void *handle);
int sluice_priv_consumer_end(void *handle);

/* ---- descriptor.c ------------------------------------------------- */

/* What the application polls: 0 or -errno. */
int sluice_priv_descriptor_open(struct sluice_priv_queue *q);

#endif
