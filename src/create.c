/* SPDX-License-Identifier: MIT */
/*
 * Creating queues. Creators in one directory take turns by its lock. Under
 * a key the set of semaphores is made first, and the process that signs it
 * (set.c) is the creator. The kernel releases both the lock and the creator's
 * semaphore when their holder dies, so a process that gets them and finds an
 * incomplete queue knows that its creator is dead.
 *
 * The magic is the last word of the memory to be stored, the record the
 * last entry of the directory to be made. Only the owner has access until
 * the set is finished.
 *
 * An object under a key is removed by its identifier, and only after it has
 * proved to be a queue's: an incomplete one, with its creator's semaphore
 * held; a complete one, if it no longer belongs to a directory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

/* ---- The memory --------------------------------------------------- */

static int bind_node(const struct sluice_priv_segment *s, int node)
{
        unsigned long mask[16] = {0};
        const unsigned bits = 8 * sizeof *mask;

        if ((unsigned)node >= 8 * sizeof mask)
                return -EINVAL;
        mask[(unsigned)node / bits] = 1ul << (unsigned)node % bits;
        if (syscall(SYS_mbind, s->mem, s->mapped, 2 /* MPOL_BIND */, mask, 8 * sizeof mask, 0) != 0)
                return errno == ENOSYS ? -EINVAL : -errno; /* a kernel without nodes */
        return 0;
}

/* The absolute path, which other processes can use; a key as it was given. */
static int write_name(struct sluice_layout_header *h, const struct sluice_priv_place *place)
{
        char *full = place->dirfd >= 0 ? realpath(place->name->path, NULL) : NULL;
        const char *name = full ? full : place->name->path;
        const size_t len = strlen(name);

        if (len < sizeof h->name)
                memcpy(h->name, name, len + 1);
        free(full);
        return len < sizeof h->name ? 0 : -ENAMETOOLONG;
}

/* Everything but the magic. */
static int fill(const struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                const struct sluice_options *o, const struct sluice_geometry *g,
                uint64_t generation)
{
        struct sluice_layout_header *h = s->mem;
        int r = o->numa_node ? bind_node(s, o->numa_node - 1) : 0;

        if (r)
                return r;
        r = sluice_priv_format(s->mem, s->ds.shm_segsz, g);
        if (r)
                return r;
        h->generation = generation;
        h->device = (uint64_t)place->st.st_dev; /* 0 for a bare key */
        h->inode = (uint64_t)place->st.st_ino;
        r = write_name(h, place);
        if (r)
                return r;
        return sluice_priv_prepare_pages(s->mem, s->ds.shm_segsz, o->flags & SLUICE_PREFAULT);
}

/* A segment that has disappeared was removed by another program: we hold its
 * set, so not by sluice. */
static int segment_error(int error)
{
        return error == EINVAL || error == EIDRM || error == ENOENT ? -EIDRM : -error;
}

/* By which a segment is known to be ours: whatever the alignment of payloads,
 * for which the tail has room. */
static size_t segment_bytes(const struct sluice_geometry *g)
{
        struct sluice_geometry plain = *g;

        plain.payload_align = 0;
        return sluice_ring_bytes(&plain) + SLUICE_PRIV_SEGMENT_TAIL;
}

/* Only the owner has access, until it is complete. */
static int segment_get(struct sluice_priv_segment *s, const struct sluice_options *o,
                       const struct sluice_geometry *g)
{
        const size_t bytes = segment_bytes(g);
        const int huge = o->flags & SLUICE_HUGETLB ? SHM_HUGETLB : 0;

        s->shmid = shmget(s->key, bytes, IPC_CREAT | IPC_EXCL | 0600 | huge);
        if (s->shmid < 0) {
                const int error = errno;

                if (error == EEXIST)
                        return -EADDRINUSE; /* another program has just made one */
                sluice_priv_limit_note(huge ? SLUICE_PRIV_SHMGET_HUGE : SLUICE_PRIV_SHMGET, error,
                                       bytes);
                return error == EINVAL ? -EFBIG : -error; /* kernel.shmmax */
        }
        return shmctl(s->shmid, IPC_STAT, &s->ds) == 0 ? 0 : segment_error(errno);
}

static int segment_open_to_all(struct sluice_priv_segment *s, mode_t mode)
{
        s->ds.shm_perm.mode = (unsigned short)((s->ds.shm_perm.mode & ~0777u) | mode);
        return shmctl(s->shmid, IPC_SET, &s->ds) == 0 ? 0 : segment_error(errno);
}

/* ---- One key ------------------------------------------------------ */

/* A set under the key, with which no other process makes a queue. */
static int claim_key(const struct sluice_priv_place *place, key_t key, uint64_t generation,
                     int *semid)
{
        for (int tries = 0; tries < 100; tries++) {
                int r = *semid = sluice_priv_set_make(key);

                if (r >= 0) {
                        r = sluice_priv_set_sign(*semid, generation);
                        if (r == 0)
                                return 0;
                        if (r != -EBUSY && r != -EIDRM) {
                                sluice_priv_set_remove(*semid);
                                return r;
                        }
                } else if (r == -EEXIST) {
                        r = sluice_priv_key_take_set(place, key, generation, semid);
                        if (r)
                                return r < 0 ? r : 0;
                } else {
                        return r;
                }
        }
        return -EBUSY;
}

/* The segment, the pipes and the record of a queue whose set is claimed. */
static int make_rest(struct sluice_priv_segment *s, const struct sluice_priv_place *place,
                     const struct sluice_options *o, const struct sluice_geometry *g,
                     uint64_t generation)
{
        const struct sluice_priv_record record = {generation, s->key, s->shmid, s->semid, 0, ""};
        struct sluice_layout_header *h = s->mem;
        int r = fill(s, place, o, g, generation);

        if (r)
                return r;
        if (place->dirfd >= 0) {
                r = sluice_priv_fifos_make(place, o->mode);
                if (r)
                        return r;
        }
        r = segment_open_to_all(s, o->mode);
        if (r)
                return r;
        sluice_priv_store_release(&h->magic, SLUICE_LAYOUT_MAGIC); /* READY:store */
        r = sluice_priv_set_finish(s->semid, o->mode);
        if (r || place->dirfd < 0)
                return r;
        r = sluice_priv_place_finish(place, o->mode);
        return r ? r : sluice_priv_record_write(&record, place->dirfd);
}

/* -EADDRINUSE: another program's key, try the next one. */
static int create_key(const struct sluice_priv_place *place, key_t key,
                      const struct sluice_options *o, const struct sluice_geometry *g)
{
        const uint64_t generation = sluice_priv_generation();
        struct sluice_priv_segment s = {.key = key, .shmid = -1};
        int r = claim_key(place, key, generation, &s.semid);

        if (r)
                return r;
        r = sluice_priv_key_clear_segment(place, key, true);
        if (r)
                goto remove_set;
        r = segment_get(&s, o, g);
        if (r)
                goto remove_segment;
        r = sluice_priv_segment_attach(&s, false);
        if (r) {
                r = segment_error(-r);
                goto remove_segment;
        }
        r = make_rest(&s, place, o, g, generation);
        sluice_priv_segment_unmap(&s);
        if (r)
                goto remove_segment;
        sluice_priv_role_release(s.semid, SLUICE_PRIV_ROLE_CREATOR, true);
        return 0;
remove_segment:
        if (s.shmid >= 0) /* segment_get may fail after shmget */
                shmctl(s.shmid, IPC_RMID, NULL);
remove_set:
        sluice_priv_set_remove(s.semid); /* releases the role, too */
        return r;
}

/* ---- A queue ------------------------------------------------------ */

/* Removes what the record of the directory names. 0: nothing is left. */
static int clear_recorded(const struct sluice_priv_place *place)
{
        struct sluice_priv_segment s;
        int r = sluice_priv_segment_find(&s, place, true);

        if (r == 0) {
                sluice_priv_segment_unmap(&s);
                return -EEXIST;
        }
        if (r == -EBADMSG || r == -EPROTO)
                return -EEXIST; /* damaged: opening it says how; remove it first */
        if (r != -ENOENT && r != -EINPROGRESS)
                return r;
        r = sluice_priv_remove_recorded(place);
        return r < 0 ? r : 0;
}

/* Under the first key of the directory that can be had. */
static int create_any_key(const struct sluice_priv_place *place, const struct sluice_options *o,
                          const struct sluice_geometry *g)
{
        for (int project = 1; project <= SLUICE_PRIV_PROJECTS; project++) {
                const int r = create_key(place, sluice_priv_place_key(place, project), o, g);

                /* We have the lock of our directory: a process that is busy under
                 * this key makes another directory's queue. */
                if (r != -EADDRINUSE && r != -EBUSY)
                        return r;
        }
        return -EADDRINUSE;
}

/* A directory that is locked. */
static int create_in_dir(const struct sluice_priv_place *place, const struct sluice_options *o,
                         const struct sluice_geometry *g)
{
        int r = clear_recorded(place);

        if (r) {
                if (place->lock_made)
                        sluice_priv_place_unlock(place);
                return r;
        }
        r = sluice_priv_record_remove(place->dirfd);
        if (r)
                goto restore;
        r = sluice_priv_fifos_remove(place->dirfd); /* of a creator that died */
        if (r)
                goto restore;
        r = create_any_key(place, o, g);
        if (r)
                goto restore;
        return 0;
restore:
        sluice_priv_place_empty(place);
        fchmod(place->dirfd, place->st.st_mode & 07777);
        return r;
}

static int create_once(struct sluice_priv_place *place, const struct sluice_options *o,
                       const struct sluice_geometry *g)
{
        int r;

        if (place->dirfd < 0)
                return create_key(place, place->name->key, o, g);
        r = sluice_priv_place_look(place);
        if (r < 0)
                return r;
        if (place->st.st_uid != geteuid())
                return -EPERM;
        r = sluice_priv_place_lock(place);
        return r ? r : create_in_dir(place, o, g);
}

/* Checks everything that needs no system call. */
static int read_arguments(struct sluice_priv_name *n, struct sluice_options *o,
                          struct sluice_geometry *g, const char *name,
                          const struct sluice_options *options)
{
        struct sluice_priv_shape shape;
        int r = sluice_priv_options_read(o, options);

        if (r)
                return r;
        g->capacity = o->capacity;
        g->record_align = o->record_align;
        g->first_position = o->first_position;
        g->payload_align = o->payload_align;
        g->type_id = o->type_id;
        g->type_size = o->type_size;
        r = sluice_priv_shape_of(&shape, g);
        return r ? r : sluice_priv_name_parse(n, name);
}

/* -ESTALE: the directory was removed meanwhile. */
static int create_at(const struct sluice_priv_name *n, const struct sluice_options *o,
                     const struct sluice_geometry *g)
{
        struct sluice_priv_place place;
        int r = sluice_priv_place_make(&place, n);

        if (r == 0)
                r = create_once(&place, o, g);
        if (r && r != -EEXIST && r != -ESTALE && place.made && place.dirfd >= 0)
                sluice_priv_place_rmdir(&place);
        sluice_priv_place_close(&place);
        return r;
}

static int create(const char *name, const struct sluice_options *options)
{
        struct sluice_geometry g;
        struct sluice_priv_name n;
        struct sluice_options o;
        int r = read_arguments(&n, &o, &g, name, options);

        if (r)
                return r;
        for (int tries = 0; tries < 1000; tries++) {
                r = create_at(&n, &o, &g);
                if (r != -ESTALE && !(r == -ENOENT && n.in_user_dir))
                        break; /* else the directory was removed meanwhile */
        }
        if (r && n.in_user_dir)
                sluice_priv_user_dir_unmake();
        return r == -ESTALE || r == -EIDRM ? -EBUSY : r;
}

int sluice_create(const char *name, const struct sluice_options *options)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        int r;

        sluice_priv_limit_forget();
        r = create(name, options);
        if (r == -EMFILE || r == -ENFILE)
                sluice_priv_limit_note(SLUICE_PRIV_FD, -r, 0);
        sluice_priv_leave(&entry);
        return r;
}
