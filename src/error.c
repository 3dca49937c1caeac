/* SPDX-License-Identifier: MIT */
/* sluice_strerror: what each error means here, and what to do about it. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>

#include "internal.h"

static const struct {
        int err;
        const char *text;
} texts[] = {
        {0, "success"},
        {EAGAIN, "nothing there, no room, or (stat, dump) not still for a moment: try again later"},
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
        {EINVAL, "misuse: a name that is none (., .., /, or key: without a number from 1 to "
                 "0xffffffff), an argument out of range (capacity and alignment are powers of "
                 "two; memory of a ring is aligned to 128), options without their size "
                 "(SLUICE_OPTIONS), a descriptor without SLUICE_WAKE_FIFO, or a call out of "
                 "order"},
        {EPERM, "the queue, or the user's directory of queues, belongs to another user, the handle "
                "to the parent process, or huge pages are not for this process (sluice_limit)"},
        {EACCES, "no permission: see the mode of the queue, and of the directory that it is in"},
        {ENOENT, "no such queue: create it first; or the directory of its path is not there"},
        {EEXIST, "there is such a queue already"},
        {ENAMETOOLONG,
         "the name is too long: at most 1023 bytes with its directory, and 255 between "
         "two slashes (where the file system does not take less)"},
        {ENOTDIR, "the path is a file, a pipe or a device, not a queue, or leads through one"},
        {ELOOP, "the path is a symbolic link: name the queue itself"},
        {ENOTEMPTY, "the directory holds something else than a queue: name the queue elsewhere"},
        {EPROTO, "the segment under this key is another program's, not a queue"},
        {EPROTOTYPE, "the queue was made on a machine of the other byte order"},
        {EMEDIUMTYPE, "the queue is for messages of another type, or for any: open it as what it "
                      "was made for, or remove it and make it anew"},
        {EPROTONOSUPPORT, "the queue was made by another version of the library: use that one, "
                          "or remove the queue with it; or this program was compiled with another "
                          "version's headers: compile it again"},
        {EINPROGRESS, "the queue is half made: its maker is at work, or died; creating it again, "
                      "or removing it, clears it"},
        {EREMOTE,
         "the queue's memory is in another IPC namespace: share that namespace (for example "
         "one container's --ipc with the other's), or, if it is gone, delete the queue's "
         "directory"},
        {EADDRINUSE, "another program holds every System V key of this name: choose another "
                     "name"},
        {EFBIG, "the capacity is too large: at most 1 GiB, and what kernel.shmmax allows"},
        {ERANGE, "the capacity is too small: at least 4 times the record alignment"},
        {ENOSPC, "a limit on System V objects is reached (kernel.shmmni, kernel.shmall or "
                 "kernel.sem: sluice_limit tells which), or the file system is full"},
        {ENOMEM, "out of memory, or a limit of it is reached (RLIMIT_MEMLOCK, vm.nr_hugepages: "
                 "sluice_limit tells which)"},
        {EMFILE, "too many open descriptors in this process: RLIMIT_NOFILE (ulimit -n)"},
        {ENFILE, "too many open files in the system: fs.file-max"},
        {EOPNOTSUPP, "FIFO wake-ups and channels need a path, not a bare key"},
        {EDQUOT, "the disk quota of this user is used up: name the queue elsewhere"},
        {EMLINK, "the directory cannot hold another directory: name the queue elsewhere"},
        {EIO, "the file system, or the memory, has failed: see the kernel's log"},
        {ENOLCK, "the file system of the path has no file locks, or none left: name the queue "
                 "elsewhere"},
        {ENODEV, "the kernel cannot make an eventfd: it was built without (CONFIG_EVENTFD)"},
        {EROFS, "the file system is read-only: name the queue elsewhere"},
};

static _Thread_local char unknown[80];

const char *sluice_strerror(ssize_t err)
{
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
                if (err == -texts[i].err)
                        return texts[i].text;
        if (err > 0)
                snprintf(unknown, sizeof unknown, "%lld is no error: those of sluice are negative",
                         (long long)err);
        else
                snprintf(unknown, sizeof unknown,
                         "a system call failed with error %lld, which sluice does not know",
                         -(long long)err);
        return unknown;
}
