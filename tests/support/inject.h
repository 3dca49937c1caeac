/* SPDX-License-Identifier: MIT */
#ifndef INJECT_H
#define INJECT_H
/*
 * Makes the system calls of the library fail. The linker puts a wrapper
 * around each function of libc that the library calls and that can fail
 * (--wrap; the list is beside the link edge in ninja/graph.ninja). Each
 * way of calling one is a kind, with the errors that its manual page
 * lists for that way.
 *
 * An error that says that a System V object was removed is made true: the
 * object is removed before the error is returned. So is "gone" for the
 * removal of a file, and for the record of a queue.
 */
#include <stdbool.h>

enum inject_kind {
        K_SHMGET_FIND,
        K_SHMGET_MAKE,
        K_SHMAT,
        K_SHMCTL_STAT,
        K_SHMCTL_SET,
        K_SHMCTL_SLOT,
        K_SHMCTL_INFO,
        K_SHMCTL_RMID,
        K_SEMGET_FIND,
        K_SEMGET_MAKE,
        K_SEMOP_TAKE,
        K_SEMOP_GIVE,
        K_SEMCTL_STAT,
        K_SEMCTL_SET,
        K_SEMCTL_GETALL,
        K_SEMCTL_GETVAL,
        K_SEMCTL_SETVAL,
        K_SEMCTL_SLOT,
        K_SEMCTL_INFO,
        K_SEMCTL_RMID,
        K_OPEN,
        K_OPEN_PROC,
        K_OPENAT_DIR,
        K_OPENAT_FIFO,
        K_LOCK_FIND,
        K_LOCK_MAKE,
        K_OPENDIR,
        K_MKDIR,
        K_MKFIFOAT,
        K_CHMOD,
        K_FCHMOD,
        K_FCHMODAT,
        K_FCHOWN,
        K_FACCESSAT,
        K_READLINKAT,
        K_SYMLINKAT,
        K_UNLINKAT,
        K_RMDIRAT,
        K_RMDIR,
        K_FLOCK,
        K_STAT,
        K_LSTAT,
        K_FSTAT,
        K_FSTATAT,
        K_DUPFD,
        K_SETLK,
        K_GETLK,
        K_EVENTFD,
        K_EPOLL_CREATE,
        K_EPOLL_ADD,
        K_TIMER_CREATE,
        K_TIMER_SET,
        K_DONTFORK,
        K_POPULATE,
        K_MLOCK,
        K_ALIGNED_ALLOC,
        K_CALLOC,
        K_MALLOC,
        K_REALPATH,
        K_FDOPENDIR,
        K_READDIR,
        K_READ,
        K_GETRANDOM,
        K_WRITE,
        K_CLOSE,
        K_PPOLL,
        K_FUTEX_WAKE,
        K_FUTEX_WAIT,
        K_FUTEX_WAITV,
        K_MEMBARRIER_REGISTER,
        K_MEMBARRIER,
        K_MBIND,
        K_ATFORK,
        K_NANOSLEEP,
        K_EPOLL_WAIT,
        K_INOTIFY_INIT,
        K_INOTIFY_ADD,
        K_REALLOC,
        K_KINDS
};

enum { INJECT_ERRORS = 14, INJECT_TRACE = 1 << 16 };

struct inject_info {
        const char *name;
        short errors[INJECT_ERRORS]; /* ends with 0 */
        short once;                  /* this one of them never lasts */
};

extern const struct inject_info inject_info[K_KINDS];

/* Which calls fail: number `first` and number `second`, counted from 0,
 * -1 for none; with `lasting`, all of the same kind after the first. */
struct inject_plan {
        int first, second;
        int first_error, second_error;
        bool lasting;
};

/* What has happened since inject_begin. */
struct inject_seen {
        int calls;
        int injected;
        bool vanished;                     /* a System V object or a record was removed */
        unsigned char trace[INJECT_TRACE]; /* the kind of each call */
};

extern struct inject_seen inject_seen;

/* From now on the process ends where it would make a call of this kind, as if
 * it had been killed before. */
void inject_exit_at(enum inject_kind kind);

/* Calls between the two are counted, and fail as planned. */
void inject_begin(const struct inject_plan *plan);
void inject_end(void);

/* Blocks on the heap, and mappings, that the program holds. */
extern long inject_blocks, inject_mapped;

#endif
