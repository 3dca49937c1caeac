/* SPDX-License-Identifier: MIT */
/*
 * The record of a directory: a symbolic link `memory` that leads nowhere and
 * whose text names the System V objects of the queue. It is made last when a
 * queue is created, atomically, and only the owner of the directory can
 * change it. So it decides which objects belong to the directory, whatever a
 * peer writes to the memory. Inode numbers and keys are reused, a generation
 * is not. Identifiers are valid in one IPC namespace and for one boot, which
 * the record names.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define PREFIX "sluice-"

enum { BOOT_LEN = 36 };

uint64_t sluice_priv_generation(void)
{
        uint64_t random = 0;
        struct timespec now;

        if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random) {
                clock_gettime(CLOCK_REALTIME, &now); /* early in the boot */
                random = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
        }
        return random ? random : 1;
}

/* The present boot; "" if /proc does not say. -EMFILE, -ENFILE, -ENOMEM: whoever
 * lacks a descriptor would create a queue that lives in every boot, and could not
 * remove it, which takes as many. */
static int this_boot(char *boot, size_t size)
{
        ssize_t n;
        int fd, r = sluice_priv_fork_lock();

        boot[0] = '\0';
        if (r)
                return r;
        fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
                r = sluice_priv_is_lack(-errno) ? -errno : 0;
        } else {
                n = read(fd, boot, size - 1);
                boot[n > 0 ? n : 0] = '\0';
                boot[strcspn(boot, "\n")] = '\0';
                close(fd);
        }
        sluice_priv_fork_unlock();
        return r;
}

/* The present IPC namespace and boot; 0 and "-" if /proc does not say. */
static int here(struct sluice_priv_record *r)
{
        struct stat st;
        const int e = this_boot(r->boot, sizeof r->boot);

        r->ipc = stat("/proc/self/ns/ipc", &st) == 0 ? (uint64_t)st.st_ino : 0;
        if (r->boot[0] == '\0')
                memcpy(r->boot, "-", 2);
        return e;
}

/* The number behind this word; moves *text behind both, or sets it to NULL. */
static uint64_t number(const char **text, const char *word, int base)
{
        const size_t len = strlen(word);
        char *end = NULL;
        uint64_t value = 0;

        if (*text && strncmp(*text, word, len) == 0)
                value = strtoull(*text + len, &end, base);
        *text = end && *end == ' ' ? end + 1 : NULL;
        return value;
}

static int parse(struct sluice_priv_record *r, const char *text)
{
        const char *at = strncmp(text, PREFIX "1 ", strlen(PREFIX "1 ")) == 0
                                 ? text + strlen(PREFIX "1 ")
                                 : NULL;

        r->generation = number(&at, "generation=", 16);
        r->key = (key_t)number(&at, "key=", 16);
        r->shmid = (int)number(&at, "shmid=", 10);
        r->semid = (int)number(&at, "semid=", 10);
        r->ipc = number(&at, "ipc=", 10);
        if (!at || strncmp(at, "boot=", 5) != 0 ||
            (strlen(at + 5) != BOOT_LEN && strcmp(at + 5, "-") != 0))
                return strncmp(text, PREFIX, strlen(PREFIX)) == 0 ? -EPROTONOSUPPORT : -ENOTEMPTY;
        memcpy(r->boot, at + 5, strlen(at + 5) + 1);
        return 0;
}

/* 0. -ENOENT: none, or of an earlier boot. -EREMOTE: the memory is in
 * another IPC namespace. -EPROTONOSUPPORT: of another version. -ENOTEMPTY:
 * another kind of file has the name. */
int sluice_priv_record_read(struct sluice_priv_record *r, int dirfd)
{
        struct sluice_priv_record now;
        char text[256];
        const ssize_t n = readlinkat(dirfd, SLUICE_PRIV_RECORD, text, sizeof text - 1);
        int e;

        memset(r, 0, sizeof *r);
        if (n < 0)
                return errno == EINVAL ? -ENOTEMPTY : -errno; /* no link */
        text[n] = '\0';
        e = parse(r, text);
        if (e == 0)
                e = here(&now);
        if (e)
                return e;
        if (*r->boot != '-' && *now.boot != '-' && strcmp(r->boot, now.boot) != 0)
                return -ENOENT;
        return r->ipc != 0 && now.ipc != 0 && r->ipc != now.ipc ? -EREMOTE : 0;
}

int sluice_priv_record_write(const struct sluice_priv_record *record, int dirfd)
{
        struct sluice_priv_record r = *record;
        char text[256];
        const int e = here(&r);

        if (e)
                return e;
        snprintf(text, sizeof text,
                 PREFIX "1 generation=%llx key=%x shmid=%d semid=%d ipc=%llu boot=%s",
                 (unsigned long long)r.generation, (unsigned)r.key, r.shmid, r.semid,
                 (unsigned long long)r.ipc, r.boot);
        if (symlinkat(text, dirfd, SLUICE_PRIV_RECORD) == 0)
                return 0;
        return errno == EEXIST ? -ENOTEMPTY : -errno; /* another process made it */
}

int sluice_priv_record_remove(int dirfd)
{
        if (unlinkat(dirfd, SLUICE_PRIV_RECORD, 0) == 0 || errno == ENOENT)
                return 0;
        return errno == EISDIR ? -ENOTEMPTY : -errno;
}
