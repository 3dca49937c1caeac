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

#endif
