/* SPDX-License-Identifier: MIT */
/*
 * Listing all queues of an IPC namespace, from the kernel's tables. The name
 * in a queue's memory counts only if the record in the directory of that name
 * names the segment, and the directory belongs to the segment's owner. A set
 * without a segment was left by a creator or remover that was killed: if its
 * directory was removed, too, only this listing finds it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <unistd.h>

#include "internal.h"

/* Entries of a directory that are looked at for a renamed queue. */
enum { SIBLINGS = 4096 };

int sluice_priv_place_of(struct sluice_priv_place *place, const struct sluice_priv_name *n,
                         const struct sluice_priv_segment *s)
{
        struct sluice_priv_record record;
        int r = sluice_priv_place_open(place, n);

        if (r)
                return r;
        if (n->is_key)
                return n->key == s->key ? 0 : -ENOENT;
        r = sluice_priv_record_read(&record, place->dirfd);
        if (r == 0 && (record.shmid != s->shmid || record.key != s->key ||
                       place->st.st_uid != s->ds.shm_perm.uid))
                r = -ENOENT;
        if (r)
                sluice_priv_place_close(place);
        return r;
}

/* Does this name lead to the segment? 1, 0, or a lack. */
static int leads_here(const char *name, const struct sluice_priv_segment *s)
{
        struct sluice_priv_place place;
        struct sluice_priv_name n;
        int r;

        if (sluice_priv_name_parse(&n, name) != 0 || (!n.is_key && *name != '/'))
                return 0;
        r = sluice_priv_place_of(&place, &n, s);
        if (r)
                return sluice_priv_is_lack(r) ? r : 0;
        sluice_priv_place_close(&place);
        return 1;
}

/* The entry of a directory that has this inode: 1, 0, or
 * a lack. Under the fork lock, so no child inherits the
 * descriptor. */
static int find_entry(const char *dir_name, uint64_t inode, char *entry_name, size_t size)
{
        int found = sluice_priv_fork_lock();
        struct dirent *entry;
        DIR *dir;

        if (found)
                return found;
        dir = opendir(dir_name);
        if (!dir && sluice_priv_is_lack(-errno))
                found = -errno;
        for (int i = 0; dir && !found && i < SIBLINGS && (entry = readdir(dir)) != NULL; i++) {
                found = (uint64_t)entry->d_ino == inode && strlen(entry->d_name) < size;
                if (found)
                        memcpy(entry_name, entry->d_name, strlen(entry->d_name) + 1);
        }
        if (dir)
                closedir(dir);
        sluice_priv_fork_unlock();
        return found;
}

/* Looks for a renamed directory beside the path that the queue was made with.
 * inode: UNTRUSTED, it only says which directory to open. */
static int find_renamed(char *name, const struct sluice_priv_segment *s, uint64_t inode)
{
        char *base = strrchr(name, '/'), path[SLUICE_NAME_MAX + 1];
        size_t dir_len;
        int r;

        if (!base || base == name)
                return 0;
        dir_len = (size_t)(base - name);
        memcpy(path, name, dir_len);
        path[dir_len] = '\0';
        r = find_entry(path, inode, path + dir_len + 1, sizeof path - dir_len - 1);
        path[dir_len] = '/';
        if (r > 0)
                r = leads_here(path, s);
        if (r > 0)
                memcpy(name, path, strlen(path) + 1);
        return r;
}

/* A name that leads to the segment. UNTRUSTED: name and inode in the memory
 * only say where to look. */
static int find_name(struct sluice_queue_stat *st, const struct sluice_priv_segment *s,
                     const struct sluice_layout_header *h)
{
        int r = leads_here(st->name, s);

        if (r == 0)
                r = find_renamed(st->name, s, h->inode);
        if (r)
                return r > 0 ? 0 : r;
        st->orphan = h->inode != 0;
        if (!st->orphan) /* no directory's: its key is its name */
                snprintf(st->name, sizeof st->name, "key:0x%x", (unsigned)s->key);
        return 0;
}

static int read_shape(struct sluice_priv_segment *s)
{
        const int r = sluice_priv_shape_read(&s->shape, s->mem, s->ds.shm_segsz);

        s->semid = semget(s->key, 0, 0);
        if (s->semid >= 0)
                return r;
        return errno != ENOENT ? -errno : r ? r : -EINPROGRESS;
}

/* A segment that proves to be a queue's by its size. */
static int stat_segment(struct sluice_queue_stat *st, struct sluice_priv_segment *s)
{
        const struct sluice_layout_header *h;
        int r = sluice_priv_segment_attach(s, true);

        if (r)
                return r;
        h = s->mem;
        r = read_shape(s);
        if (r == 0)
                r = sluice_priv_stat_read(st, s);
        if (r) {
                memset(st, 0, sizeof *st);
                sluice_priv_stat_kernel(st, s);
                memcpy(st->name, h->name, sizeof st->name);
                st->name[sizeof st->name - 1] = '\0'; /* UNTRUSTED */
                st->error = r;
        }
        r = sluice_priv_is_lack(r) ? r : find_name(st, s, h);
        sluice_priv_segment_unmap(s);
        return r;
}

static int stat_slot(struct sluice_queue_stat *st, int slot)
{
        struct sluice_priv_segment s = {0};
        const int shmid = shmctl(slot, SHM_STAT, &s.ds);
        const int r = shmid < 0 ? -errno : sluice_priv_segment_stat(&s, shmid);

        if (r)
                return r;
        return s.key == IPC_PRIVATE ? -ENOENT : stat_segment(st, &s);
}

static int stat_set(struct sluice_queue_stat *st, int slot)
{
        struct semid_ds ds = {.sem_nsems = 0};
        union {
                int val;
                struct semid_ds *buf;
        } arg = {.buf = &ds};
        struct sluice_priv_set set = {0};
        const int semid = semctl(slot, 0, SEM_STAT, arg);
        int r = semid < 0 ? -errno : sluice_priv_set_look(&set, semid);

        if (r)
                return r;
        if (!set.ours || set.key == IPC_PRIVATE)
                return -ENOENT;
        r = sluice_priv_key_has_segment(&set);
        if (r)
                return r > 0 ? -ENOENT : r;
        memset(st, 0, sizeof *st);
        snprintf(st->name, sizeof st->name, "key:0x%x", (unsigned)set.key);
        st->mode = set.mode;
        st->uid = set.uid;
        st->gid = ds.sem_perm.gid;
        st->key = set.key;
        st->shmid = -1;
        st->semid = semid;
        st->created_s = (int64_t)ds.sem_ctime;
        st->error = -EINPROGRESS;
        return 0;
}

/* The last slot of the kernel's table of segments, or of sets. */
static int last_segment(void)
{
        struct shm_info info;
        const int last = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info);

        return last < 0 ? -errno : last;
}

static int last_set(void)
{
        struct seminfo info;
        union {
                int val;
                struct seminfo *info;
        } arg = {.info = &info};
        const int last = semctl(0, 0, SEM_INFO, arg);

        return last < 0 ? -errno : last;
}

typedef int stat_fn(struct sluice_queue_stat *st, int slot);

/* Whatever one of the two tables holds. */
static int list_slots(int last, stat_fn *stat_one, sluice_list_fn *fn, void *ctx, int *n)
{
        struct sluice_queue_stat st;
        int r = last < 0 ? last : 0;

        for (int slot = 0; r == 0 && slot <= last; slot++) {
                const int e = stat_one(&st, slot);

                if (sluice_priv_is_lack(e))
                        r = e;
                if (e)
                        continue;
                st.size = sizeof st;
                r = fn(ctx, &st);
                ++*n;
        }
        return r;
}

int sluice_list(sluice_list_fn *fn, void *ctx)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        int n = 0, r = list_slots(last_segment(), stat_slot, fn, ctx, &n);

        if (r == 0)
                r = list_slots(last_set(), stat_set, fn, ctx, &n);
        sluice_priv_leave(&entry);
        return r ? r : n;
}
