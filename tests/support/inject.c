/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "inject.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/*
 * Left out: errors of arguments that are never given (EFAULT, EBADF,
 * ...), EINTR of calls that do not block, EOVERFLOW of 32-bit systems,
 * EPERM for the owner of a System V object.
 */
const struct inject_info inject_info[K_KINDS] = {
        [K_SHMGET_FIND] = {"shmget", {ENOMEM, ENOENT, ENFILE, EACCES}, 0},
        [K_SHMGET_MAKE] = {"shmget, make",
                           {ENOSPC, EACCES, EEXIST, EINVAL, ENFILE, ENOMEM, EPERM},
                           0},
        [K_SHMAT] = {"shmat", {ENOMEM, EACCES, EIDRM, EINVAL}, 0},
        [K_SHMCTL_STAT] = {"shmctl IPC_STAT", {EIDRM, EINVAL, EACCES}, 0},
        [K_SHMCTL_SET] = {"shmctl IPC_SET", {EIDRM, EINVAL}, 0},
        [K_SHMCTL_SLOT] = {"shmctl SHM_STAT", {EACCES, EINVAL}, 0},
        [K_SHMCTL_INFO] = {"shmctl SHM_INFO", {EINVAL}, 0},
        [K_SHMCTL_RMID] = {"shmctl IPC_RMID", {EIDRM, EINVAL}, 0},
        [K_SEMGET_FIND] = {"semget", {ENOMEM, ENOENT, EACCES}, 0},
        [K_SEMGET_MAKE] = {"semget, make", {ENOSPC, EACCES, EEXIST, ENOMEM}, 0},
        [K_SEMOP_TAKE] = {"semop, take", {ENOMEM, EACCES, EAGAIN, EIDRM, EINVAL}, 0},
        [K_SEMOP_GIVE] = {"semop, give", {ENOMEM, EACCES, EIDRM, EINVAL}, 0},
        [K_SEMCTL_STAT] = {"semctl IPC_STAT", {EIDRM, EINVAL, EACCES}, 0},
        [K_SEMCTL_SET] = {"semctl IPC_SET", {EIDRM, EINVAL}, 0},
        [K_SEMCTL_GETALL] = {"semctl GETALL", {ENOMEM, EIDRM, EINVAL, EACCES}, 0},
        [K_SEMCTL_GETVAL] = {"semctl GETVAL", {EIDRM, EINVAL, EACCES}, 0},
        [K_SEMCTL_SETVAL] = {"semctl SETVAL", {EIDRM, EINVAL, EACCES}, 0},
        [K_SEMCTL_SLOT] = {"semctl SEM_STAT", {EACCES, EINVAL}, 0},
        [K_SEMCTL_INFO] = {"semctl SEM_INFO", {EINVAL}, 0},
        [K_SEMCTL_RMID] = {"semctl IPC_RMID", {EIDRM, EINVAL}, 0},
        [K_OPEN] = {"open",
                    {EMFILE, EACCES, ELOOP, ENAMETOOLONG, ENFILE, ENOENT, ENOMEM, ENOTDIR},
                    0},
        [K_OPEN_PROC] = {"open /proc", {EMFILE, EACCES, ENFILE, ENOENT, ENOMEM}, 0},
        [K_OPENAT_DIR] = {"openat .", {EMFILE, EACCES, ENFILE, ENOENT, ENOMEM}, 0},
        [K_OPENAT_FIFO] = {"openat pipe", {EMFILE, EACCES, ELOOP, ENFILE, ENOENT, ENOMEM}, 0},
        [K_LOCK_FIND] = {"openat lock",
                         {EMFILE, EACCES, EISDIR, ELOOP, ENFILE, ENOENT, ENOMEM, EROFS},
                         0},
        [K_LOCK_MAKE] = {"openat lock, make",
                         {ENOSPC, EACCES, EDQUOT, EEXIST, EMFILE, ENFILE, ENOENT, ENOMEM, EROFS},
                         0},
        [K_OPENDIR] = {"opendir", {EMFILE, EACCES, ENFILE, ENOENT, ENOMEM, ENOTDIR}, 0},
        [K_MKDIR] = {"mkdir",
                     {ENOSPC, EACCES, EDQUOT, EEXIST, ELOOP, EMLINK, ENAMETOOLONG, ENOENT, ENOMEM,
                      ENOTDIR, EPERM, EROFS},
                     0},
        [K_MKFIFOAT] = {"mkfifoat", {ENOSPC, EACCES, EDQUOT, EEXIST, ENOENT, EROFS}, 0},
        [K_CHMOD] = {"chmod",
                     {EPERM, EACCES, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, EROFS},
                     0},
        [K_FCHMOD] = {"fchmod", {EIO, EPERM, EROFS}, 0},
        [K_FCHMODAT] = {"fchmodat", {EIO, EACCES, ELOOP, ENOENT, ENOMEM, EPERM, EROFS}, 0},
        [K_FCHOWN] = {"fchown", {EPERM, EIO, EROFS}, 0},
        [K_FACCESSAT] = {"faccessat", {EACCES, EIO, ENOENT, ENOMEM, EROFS}, 0},
        [K_READLINKAT] = {"readlinkat", {EIO, EACCES, EINVAL, ENOENT, ENOMEM}, 0},
        [K_SYMLINKAT] = {"symlinkat",
                         {ENOSPC, EACCES, EDQUOT, EEXIST, EIO, ENOENT, ENOMEM, EPERM, EROFS},
                         0},
        [K_UNLINKAT] = {"unlinkat", {EIO, EACCES, EBUSY, EISDIR, ENOENT, ENOMEM, EPERM, EROFS}, 0},
        [K_RMDIRAT] = {"unlinkat AT_REMOVEDIR",
                       {EBUSY, EACCES, ENOENT, ENOMEM, ENOTDIR, ENOTEMPTY, EPERM, EROFS},
                       0},
        [K_RMDIR] = {"rmdir",
                     {ENOTEMPTY, EACCES, EBUSY, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR, EPERM,
                      EROFS},
                     0},
        [K_FLOCK] = {"flock", {EWOULDBLOCK, EINTR, ENOLCK}, 0},
        [K_STAT] = {"stat /proc", {EACCES, ENOENT, ENOMEM}, 0},
        [K_LSTAT] = {"lstat", {EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR}, 0},
        [K_FSTAT] = {"fstat", {ENOMEM}, 0},
        [K_FSTATAT] = {"fstatat", {ENOMEM, EACCES, ENOENT}, 0},
        [K_DUPFD] = {"fcntl F_DUPFD_CLOEXEC", {EMFILE}, 0},
        [K_SETLK] = {"fcntl F_OFD_SETLK", {EAGAIN, EACCES, EINTR, EINVAL, ENOLCK}, 0},
        [K_GETLK] = {"fcntl F_OFD_GETLK", {EINVAL, ENOLCK}, 0},
        [K_EVENTFD] = {"eventfd", {EMFILE, ENFILE, ENODEV, ENOMEM}, 0},
        [K_EPOLL_CREATE] = {"epoll_create1", {EMFILE, ENFILE, ENOMEM}, 0},
        [K_EPOLL_ADD] = {"epoll_ctl EPOLL_CTL_ADD", {ENOSPC, ENOMEM}, 0},
        [K_TIMER_CREATE] = {"timerfd_create", {EMFILE, ENFILE, ENODEV, ENOMEM}, 0},
        [K_TIMER_SET] = {"timerfd_settime", {ENOMEM, EINVAL}, 0},
        [K_DONTFORK] = {"madvise MADV_DONTFORK", {ENOMEM, EAGAIN}, 0},
        [K_POPULATE] = {"madvise MADV_POPULATE_WRITE",
                        {ENOMEM, EAGAIN, EFAULT, EHWPOISON, EINVAL},
                        0},
        [K_MLOCK] = {"mlock", {ENOMEM, EAGAIN, EPERM}, 0},
        [K_ALIGNED_ALLOC] = {"aligned_alloc", {ENOMEM}, 0},
        [K_CALLOC] = {"calloc", {ENOMEM}, 0},
        [K_MALLOC] = {"malloc", {ENOMEM}, 0},
        [K_REALPATH] = {"realpath", {ENOMEM, EACCES, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR}, 0},
        [K_FDOPENDIR] = {"fdopendir", {ENOMEM}, 0},
        [K_READDIR] = {"readdir", {EIO, ENOENT}, 0},
        [K_READ] = {"read", {EAGAIN, EINTR, EIO}, EINTR},
        [K_GETRANDOM] = {"getrandom", {EAGAIN, ENOSYS}, 0},
        [K_WRITE] = {"write", {EAGAIN, EINTR, EIO}, EINTR},
        [K_CLOSE] = {"close", {EIO, EINTR, ENOSPC, EDQUOT}, 0},
        [K_PPOLL] = {"ppoll", {EINTR, EINVAL, ENOMEM}, 0},
        [K_FUTEX_WAKE] = {"futex FUTEX_WAKE", {EINVAL, ENOSYS, EPERM}, 0},
        [K_FUTEX_WAIT] = {"futex FUTEX_WAIT_BITSET", {EAGAIN, EINTR, EINVAL, ETIMEDOUT}, 0},
        [K_FUTEX_WAITV] = {"futex_waitv",
                           {ENOSYS, EAGAIN, EINTR, EINVAL, ENOMEM, EPERM, ETIMEDOUT},
                           0},
        [K_MEMBARRIER_REGISTER] = {"membarrier, register", {ENOSYS, EINVAL, EPERM}, 0},
        [K_MEMBARRIER] = {"membarrier", {EPERM, EINVAL, ENOMEM, ENOSYS}, 0},
        [K_MBIND] = {"mbind", {EINVAL, EIO, ENOMEM, ENOSYS, EPERM}, 0},
        [K_ATFORK] = {"pthread_atfork", {ENOMEM}, 0},
        [K_EPOLL_WAIT] = {"epoll_wait", {EINTR}, 0},
        [K_INOTIFY_INIT] = {"inotify_init1", {EMFILE, ENFILE, ENOMEM}, 0},
        [K_INOTIFY_ADD] = {"inotify_add_watch", {ENOSPC, EACCES, ENOENT, ENOMEM, ENOTDIR}, 0},
        [K_REALLOC] = {"realloc", {ENOMEM}, 0},
        [K_NANOSLEEP] = {"nanosleep", {EINTR}, 0},
};

struct inject_seen inject_seen;
long inject_blocks, inject_mapped;

static struct inject_plan plan;
static bool armed;
static enum inject_kind lasting_kind, exit_kind = K_KINDS;

void inject_begin(const struct inject_plan *p)
{
        plan = *p;
        inject_seen.calls = inject_seen.injected = 0;
        inject_seen.vanished = false;
        lasting_kind = K_KINDS;
        armed = true;
}

void inject_end(void)
{
        armed = false;
}

void inject_exit_at(enum inject_kind kind)
{
        exit_kind = kind;
}

/* Another call may have taken the place of the one that it was meant for: how many
 * there are may depend on time. */
static int if_possible(enum inject_kind kind, int error)
{
        for (const short *e = inject_info[kind].errors; *e; e++)
                if (*e == error)
                        return error;
        return 0;
}

/* The error that this call is to fail with, or 0. */
static int due(enum inject_kind kind)
{
        const int n = inject_seen.calls;
        int error = 0;

        if (kind == exit_kind)
                _exit(0);
        if (!armed)
                return 0;
        if (n < INJECT_TRACE)
                inject_seen.trace[n] = (unsigned char)kind;
        inject_seen.calls++;
        if (n == plan.first) {
                error = if_possible(kind, plan.first_error);
                if (plan.lasting && error)
                        lasting_kind = kind;
        } else if (n == plan.second) {
                error = if_possible(kind, plan.second_error);
        } else if (kind == lasting_kind) {
                error = plan.first_error;
        }
        if (error)
                inject_seen.injected++;
        return error;
}

#define FAIL(kind, failure)                      \
        do {                                     \
                const int error_due = due(kind); \
                if (error_due) {                 \
                        errno = error_due;       \
                        return failure;          \
                }                                \
        } while (0)

static bool is_gone(int error)
{
        return error == ENOENT || error == EIDRM || error == EINVAL;
}

int __real_unlinkat(int dirfd, const char *path, int flags);

union semun {
        int val;
        void *pointer;
};

#define REAL(type, name, ...)            \
        type __real_##name(__VA_ARGS__); \
        type __wrap_##name(__VA_ARGS__)

/* ---- System V ----------------------------------------------------- */

int __real_shmctl(int id, int cmd, struct shmid_ds *ds);
int __real_semctl(int id, int num, int cmd, ...);

static int segment_fails(int id, int error)
{
        if (id >= 0 && is_gone(error)) {
                inject_seen.vanished = true;
                __real_shmctl(id, IPC_RMID, NULL);
        }
        errno = error;
        return -1;
}

static int set_fails(int id, int error)
{
        if (id >= 0 && is_gone(error)) {
                inject_seen.vanished = true;
                __real_semctl(id, 0, IPC_RMID);
        }
        errno = error;
        return -1;
}

REAL(int, shmget, key_t key, size_t size, int flags)
{
        const int error = due(flags & IPC_CREAT ? K_SHMGET_MAKE : K_SHMGET_FIND);

        if (!error)
                return __real_shmget(key, size, flags);
        if (!(flags & IPC_CREAT))
                return segment_fails(__real_shmget(key, 0, 0), error);
        errno = error;
        return -1;
}

REAL(void *, shmat, int id, const void *at, int flags)
{
        const int error = due(K_SHMAT);
        void *mem;

        if (error) {
                segment_fails(id, error);
                return (void *)-1;
        }
        mem = __real_shmat(id, at, flags);
        inject_mapped += mem != (void *)-1;
        return mem;
}

REAL(int, shmdt, const void *mem)
{
        inject_mapped--;
        return __real_shmdt(mem);
}

int __wrap_shmctl(int id, int cmd, struct shmid_ds *ds);
int __wrap_shmctl(int id, int cmd, struct shmid_ds *ds)
{
        /* The kernel takes one slot after the other: which are empty differs each
         * time, so to ask for these is no call that is counted. */
        const int slot = cmd == SHM_STAT ? __real_shmctl(id, cmd, ds) : 0;
        const bool info = cmd == SHM_INFO || cmd == IPC_INFO;
        const int error = slot < 0 ? 0
                                   : due(info              ? K_SHMCTL_INFO
                                         : cmd == IPC_STAT ? K_SHMCTL_STAT
                                         : cmd == IPC_RMID ? K_SHMCTL_RMID
                                         : cmd == IPC_SET  ? K_SHMCTL_SET
                                                           : K_SHMCTL_SLOT);

        if (error)
                return segment_fails(info || cmd == SHM_STAT ? -1 : id, error);
        return cmd == SHM_STAT ? slot : __real_shmctl(id, cmd, ds);
}

REAL(int, semget, key_t key, int n, int flags)
{
        const int error = due(flags & IPC_CREAT ? K_SEMGET_MAKE : K_SEMGET_FIND);

        if (!error)
                return __real_semget(key, n, flags);
        if (!(flags & IPC_CREAT))
                return set_fails(__real_semget(key, 0, 0), error);
        errno = error;
        return -1;
}

REAL(int, semop, int id, struct sembuf *ops, size_t n)
{
        const int error = due(ops[n - 1].sem_op > 0 ? K_SEMOP_TAKE : K_SEMOP_GIVE);

        return error ? set_fails(id, error) : __real_semop(id, ops, n);
}

int __wrap_semctl(int id, int num, int cmd, ...);
int __wrap_semctl(int id, int num, int cmd, ...)
{
        const bool info = cmd == SEM_INFO || cmd == IPC_INFO;
        const int error = due(info              ? K_SEMCTL_INFO
                              : cmd == SEM_STAT ? K_SEMCTL_SLOT
                              : cmd == IPC_STAT ? K_SEMCTL_STAT
                              : cmd == IPC_RMID ? K_SEMCTL_RMID
                              : cmd == SETVAL   ? K_SEMCTL_SETVAL
                              : cmd == IPC_SET  ? K_SEMCTL_SET
                              : cmd == GETALL   ? K_SEMCTL_GETALL
                                                : K_SEMCTL_GETVAL);
        union semun arg = {.pointer = NULL};
        va_list arguments;

        if (error)
                return set_fails(info || cmd == SEM_STAT ? -1 : id, error);
        if (cmd == IPC_RMID || cmd == GETVAL)
                return __real_semctl(id, num, cmd);
        va_start(arguments, cmd);
        arg = va_arg(arguments, union semun);
        va_end(arguments);
        return __real_semctl(id, num, cmd, arg);
}

/* ---- Files -------------------------------------------------------- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
        FAIL(flags & O_DIRECTORY ? K_OPEN : K_OPEN_PROC, -1);
        return __real_open(path, flags, 0);
}

int __real_openat(int dirfd, const char *path, int flags, ...);
int __wrap_openat(int dirfd, const char *path, int flags, ...);
int __wrap_openat(int dirfd, const char *path, int flags, ...)
{
        va_list arguments;
        mode_t mode = 0;

        FAIL(flags & O_DIRECTORY            ? K_OPENAT_DIR
             : strcmp(path, "lock") != 0    ? K_OPENAT_FIFO
             : (flags & O_CREAT) == O_CREAT ? K_LOCK_MAKE
                                            : K_LOCK_FIND,
             -1);
        va_start(arguments, flags);
        if (flags & O_CREAT)
                mode = va_arg(arguments, mode_t);
        va_end(arguments);
        return __real_openat(dirfd, path, flags, mode);
}

REAL(int, epoll_wait, int fd, struct epoll_event *events, int most, int ms)
{
        FAIL(K_EPOLL_WAIT, -1);
        return __real_epoll_wait(fd, events, most, ms);
}

REAL(int, inotify_init1, int flags)
{
        FAIL(K_INOTIFY_INIT, -1);
        return __real_inotify_init1(flags);
}

REAL(int, inotify_add_watch, int fd, const char *path, uint32_t mask)
{
        FAIL(K_INOTIFY_ADD, -1);
        return __real_inotify_add_watch(fd, path, mask);
}

REAL(void *, realloc, void *block, size_t size)
{
        void *new;

        FAIL(K_REALLOC, NULL);
        new = __real_realloc(block, size);
        inject_blocks += new && !block;
        return new;
}

REAL(DIR *, opendir, const char *path)
{
        FAIL(K_OPENDIR, NULL);
        return __real_opendir(path);
}

REAL(int, mkdir, const char *path, mode_t mode)
{
        FAIL(K_MKDIR, -1);
        return __real_mkdir(path, mode);
}

REAL(int, mkfifoat, int dirfd, const char *path, mode_t mode)
{
        FAIL(K_MKFIFOAT, -1);
        return __real_mkfifoat(dirfd, path, mode);
}

REAL(int, chmod, const char *path, mode_t mode)
{
        FAIL(K_CHMOD, -1);
        return __real_chmod(path, mode);
}

REAL(int, fchmod, int fd, mode_t mode)
{
        FAIL(K_FCHMOD, -1);
        return __real_fchmod(fd, mode);
}

REAL(int, fchmodat, int dirfd, const char *path, mode_t mode, int flags)
{
        FAIL(K_FCHMODAT, -1);
        return __real_fchmodat(dirfd, path, mode, flags);
}

REAL(int, fchown, int fd, uid_t uid, gid_t gid)
{
        FAIL(K_FCHOWN, -1);
        return __real_fchown(fd, uid, gid);
}

REAL(int, faccessat, int dirfd, const char *path, int mode, int flags)
{
        FAIL(K_FACCESSAT, -1);
        return __real_faccessat(dirfd, path, mode, flags);
}

REAL(ssize_t, readlinkat, int dirfd, const char *path, char *text, size_t size)
{
        const int error = due(K_READLINKAT);

        if (!error)
                return __real_readlinkat(dirfd, path, text, size);
        if (error == ENOENT && __real_unlinkat(dirfd, path, 0) == 0)
                inject_seen.vanished = true;
        errno = error;
        return -1;
}

REAL(int, symlinkat, const char *text, int dirfd, const char *path)
{
        FAIL(K_SYMLINKAT, -1);
        return __real_symlinkat(text, dirfd, path);
}

REAL(int, unlinkat, int dirfd, const char *path, int flags)
{
        const int error = due(flags & AT_REMOVEDIR ? K_RMDIRAT : K_UNLINKAT);
        int r;

        if (error && error != ENOENT) {
                errno = error;
                return -1;
        }
        r = __real_unlinkat(dirfd, path, flags);
        if (error == 0 || r != 0)
                return r;
        errno = ENOENT;
        return -1;
}

REAL(int, rmdir, const char *path)
{
        const int error = due(K_RMDIR);
        int r;

        if (error && error != ENOENT) {
                errno = error;
                return -1;
        }
        r = __real_rmdir(path);
        if (error == 0 || r != 0)
                return r;
        errno = ENOENT;
        return -1;
}

REAL(int, flock, int fd, int operation)
{
        FAIL(K_FLOCK, -1);
        return __real_flock(fd, operation);
}

REAL(int, stat, const char *path, struct stat *st)
{
        FAIL(K_STAT, -1);
        return __real_stat(path, st);
}

REAL(int, lstat, const char *path, struct stat *st)
{
        FAIL(K_LSTAT, -1);
        return __real_lstat(path, st);
}

REAL(int, fstat, int fd, struct stat *st)
{
        FAIL(K_FSTAT, -1);
        return __real_fstat(fd, st);
}

REAL(int, fstatat, int dirfd, const char *path, struct stat *st, int flags)
{
        const int error = due(K_FSTATAT);

        if (error) {
                inject_seen.vanished |= error == ENOENT; /* a part of the queue */
                errno = error;
                return -1;
        }
        return __real_fstatat(dirfd, path, st, flags);
}

int __real_fcntl(int fd, int cmd, ...);
int __wrap_fcntl(int fd, int cmd, ...);
int __wrap_fcntl(int fd, int cmd, ...)
{
        va_list arguments;
        struct flock *lock;

        FAIL(cmd == F_OFD_SETLK ? K_SETLK : cmd == F_OFD_GETLK ? K_GETLK : K_DUPFD, -1);
        if (cmd != F_OFD_SETLK && cmd != F_OFD_GETLK)
                return __real_fcntl(fd, cmd, 0);
        va_start(arguments, cmd);
        lock = va_arg(arguments, struct flock *);
        va_end(arguments);
        return __real_fcntl(fd, cmd, lock);
}

REAL(int, eventfd, unsigned value, int flags)
{
        FAIL(K_EVENTFD, -1);
        return __real_eventfd(value, flags);
}

REAL(int, epoll_create1, int flags)
{
        FAIL(K_EPOLL_CREATE, -1);
        return __real_epoll_create1(flags);
}

REAL(int, epoll_ctl, int loop, int operation, int fd, struct epoll_event *event)
{
        FAIL(K_EPOLL_ADD, -1);
        return __real_epoll_ctl(loop, operation, fd, event);
}

REAL(int, timerfd_create, int clock, int flags)
{
        FAIL(K_TIMER_CREATE, -1);
        return __real_timerfd_create(clock, flags);
}

REAL(int, timerfd_settime, int fd, int flags, const struct itimerspec *to, struct itimerspec *was)
{
        FAIL(K_TIMER_SET, -1);
        return __real_timerfd_settime(fd, flags, to, was);
}

REAL(DIR *, fdopendir, int fd)
{
        FAIL(K_FDOPENDIR, NULL);
        return __real_fdopendir(fd);
}

REAL(struct dirent *, readdir, DIR *dir)
{
        FAIL(K_READDIR, NULL);
        return __real_readdir(dir);
}

REAL(ssize_t, read, int fd, void *buf, size_t n)
{
        FAIL(K_READ, -1);
        return __real_read(fd, buf, n);
}

REAL(ssize_t, getrandom, void *buf, size_t n, unsigned flags)
{
        FAIL(K_GETRANDOM, -1);
        return __real_getrandom(buf, n, flags);
}

REAL(ssize_t, write, int fd, const void *buf, size_t n)
{
        FAIL(K_WRITE, -1);
        return __real_write(fd, buf, n);
}

/* Linux closes whatever it then says. */
REAL(int, close, int fd)
{
        const int error = due(K_CLOSE), r = __real_close(fd);

        if (r == 0 && error)
                errno = error;
        return r == 0 && error ? -1 : r;
}

REAL(int, ppoll, struct pollfd *fds, nfds_t n, const struct timespec *t, const sigset_t *mask)
{
        FAIL(K_PPOLL, -1);
        return __real_ppoll(fds, n, t, mask);
}

/* ---- Memory ------------------------------------------------------- */

REAL(int, madvise, void *mem, size_t bytes, int advice)
{
        FAIL(advice == MADV_DONTFORK ? K_DONTFORK : K_POPULATE, -1);
        return __real_madvise(mem, bytes, advice);
}

REAL(int, mlock, const void *mem, size_t bytes)
{
        FAIL(K_MLOCK, -1);
        return __real_mlock(mem, bytes);
}

REAL(void *, aligned_alloc, size_t align, size_t size)
{
        FAIL(K_ALIGNED_ALLOC, NULL);
        inject_blocks++;
        return __real_aligned_alloc(align, size);
}

REAL(void *, calloc, size_t n, size_t size)
{
        FAIL(K_CALLOC, NULL);
        inject_blocks++;
        return __real_calloc(n, size);
}

REAL(void *, malloc, size_t size)
{
        FAIL(K_MALLOC, NULL);
        inject_blocks++;
        return __real_malloc(size);
}

REAL(void, free, void *block)
{
        inject_blocks -= block != NULL;
        __real_free(block);
}

REAL(char *, realpath, const char *path, char *resolved)
{
        char *full;

        FAIL(K_REALPATH, NULL);
        full = __real_realpath(path, resolved);
        inject_blocks += full && !resolved;
        return full;
}

/* ---- The rest ----------------------------------------------------- */

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
        long a[6] = {0};
        int count = 6;
        va_list arguments;
        enum inject_kind kind = K_MBIND;

        if (number == SYS_membarrier)
                count = 2;
        else if (number == SYS_futex_waitv)
                count = 5;
        va_start(arguments, number);
        for (int i = 0; i < count; i++)
                a[i] = va_arg(arguments, long);
        va_end(arguments);
        if (number == SYS_membarrier)
                kind = (int)a[0] == MEMBARRIER_CMD_GLOBAL_EXPEDITED ? K_MEMBARRIER
                                                                    : K_MEMBARRIER_REGISTER;
        else if (number == SYS_futex_waitv)
                kind = K_FUTEX_WAITV;
        else if (number == SYS_futex)
                kind = (int)a[1] == FUTEX_WAKE ? K_FUTEX_WAKE : K_FUTEX_WAIT;
        FAIL(kind, -1);
        return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

REAL(int, pthread_atfork, void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
        const int error = due(K_ATFORK);

        return error ? error : __real_pthread_atfork(prepare, parent, child);
}

/* Does not sleep: five seconds for a lock that never comes are too long. */
REAL(int, nanosleep, const struct timespec *t, struct timespec *rest)
{
        FAIL(K_NANOSLEEP, -1);
        return armed ? 0 : __real_nanosleep(t, rest);
}
