/* SPDX-License-Identifier: MIT */
/* What each error means here, and what to do about it. */
#define _GNU_SOURCE
#include <errno.h>

#include "internal.h"

static const struct {
        int err;
        const char *text;
} texts[] = {
        {0, "success"},
        {EAGAIN, "nothing there, or no room, right now: try again later"},
        {ETIMEDOUT, "the deadline has passed"},
        {EMSGSIZE, "the message is too long: for the queue (at most capacity / 2 - 8 bytes: make "
                   "it with a larger capacity), or for the buffer"},
        {EPIPE, "the other side has closed, and everything is drained"},
        {EOWNERDEAD, "the other side died, and everything is drained: wait for a successor, or "
                     "close"},
        {EBADMSG, "the shared memory breaks the protocol: close, then remove the queue"},
        {EBUSY, "the role is held by another process, or the queue is being made or removed"},
        {ESTALE, "the queue was removed or made again: close, then open it anew"},
        {ECANCELED, "interrupted by sluice_*_interrupt"},
        {EINVAL, "misuse: an argument out of range (capacity and alignment are powers of two), or "
                 "a call out of order"},
        {EPERM, "the queue belongs to another user, or the handle to the parent process"},
        {EACCES, "no permission: see the mode of the queue (made with --mode 0660, say)"},
        {ENOENT, "no such queue: create it first"},
        {EEXIST, "there is such a queue already"},
        {ENAMETOOLONG, "the name is too long: at most 1023 bytes, with its folder"},
        {ENOTDIR, "the path is a file, a pipe or a device, not a queue"},
        {ELOOP, "the path is a symbolic link: name the queue itself"},
        {ENOTEMPTY, "the folder holds something else than a queue"},
        {EPROTO, "the segment under this key is another program's, not a queue"},
        {EPROTOTYPE, "the queue was made on a machine of the other byte order"},
        {EPROTONOSUPPORT, "the queue was made by another version of the library"},
        {EINPROGRESS, "the queue is half made: its maker is at work, or died; creating it again, "
                      "or removing it, clears it"},
        {EADDRINUSE, "another program holds every System V key of this name: choose another "
                     "name"},
        {EFBIG, "the capacity is too large: at most 2 GiB, and what kernel.shmmax allows"},
        {ERANGE, "the capacity is too small: at least 4 times the record alignment"},
        {ENOSPC, "a limit on System V objects is reached (kernel.shmmni, kernel.shmall, "
                 "kernel.sem), or the memory or disk is full"},
        {ENOMEM, "out of memory, or beyond RLIMIT_MEMLOCK or vm.nr_hugepages"},
        {EMFILE, "too many open descriptors in this process: RLIMIT_NOFILE"},
        {ENFILE, "too many open files in the system: fs.file-max"},
        {EOPNOTSUPP, "FIFO wake-ups need a queue with a path, not a bare key"},
        {EDQUOT, "the disk quota of this user is used up: name the queue elsewhere"},
        {EMLINK, "the folder cannot hold another folder: name the queue elsewhere"},
        {EIO, "the file system, or the memory, has failed: see the kernel's log"},
        {ENOLCK, "the file system of the path does not lock, or no more: name the queue "
                 "elsewhere"},
        {ENODEV, "the kernel cannot make an eventfd"},
        {EROFS, "the file system is read-only: name the queue elsewhere"},
};

const char *sluice_strerror(int err)
{
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
                if (-texts[i].err == err)
                        return texts[i].text;
        return "a system call failed in a way that sluice does not know";
}
