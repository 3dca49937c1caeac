/* SPDX-License-Identifier: MIT */
/*
 * Making queues. Creators of one directory take turns by its lock. Under
 * one key a set of semaphores is made first, and whoever signs it (set.c)
 * is the creator: both the lock and the creator's semaphore are given back
 * by the kernel, so whoever gets them and finds something half made knows
 * that its maker is dead.
 *
 * The magic is the last word of the memory to be stored, the record the
 * last entry of the directory to be made. Until the set is finished all is
 * for the owner alone.
 *
 * What stands under a key is removed by its identifier, and only after it
 * has proved to be ours: a half-made queue under its creator's semaphore;
 * a complete one, if it is no longer any directory's.
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

/* The path as others can use it; a key as it was given. */
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

        if (r == 0)
                r = sluice_priv_format(s->mem, s->ds.shm_segsz, g);
        if (r)
                return r;
        h->generation = generation;
        h->device = (uint64_t)place->st.st_dev; /* 0 for a bare key */
        h->inode = (uint64_t)place->st.st_ino;
        r = write_name(h, place);
        return r ? r
                 : sluice_priv_prepare_pages(s->mem, s->ds.shm_segsz, o->flags & SLUICE_PREFAULT);
}

/* A segment that is gone was removed by another: not by us, for its set is
 * claimed. */
static int segment_error(int error)
{
        return error == EINVAL || error == EIDRM || error == ENOENT ? -EIDRM : -error;
}

/* For the owner alone, until it is complete. */
static int segment_get(struct sluice_priv_segment *s, const struct sluice_options *o,
                       const struct sluice_geometry *g)
{
        const size_t bytes = sluice_ring_bytes(g) + SLUICE_PRIV_SEGMENT_TAIL;
        const int huge = o->flags & SLUICE_HUGETLB ? SHM_HUGETLB : 0;

        s->shmid = shmget(s->key, bytes, IPC_CREAT | IPC_EXCL | 0600 | huge);
        if (s->shmid < 0) {
                const int error = errno;

                if (error == EEXIST)
                        return -EADDRINUSE; /* another program's, just now */
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

/* A set under the key that nobody else makes a queue with. */
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

        if (r == 0 && place->dirfd >= 0)
                r = sluice_priv_fifos_make(place, o->mode);
        if (r == 0)
                r = segment_open_to_all(s, o->mode);
        if (r)
                return r;
        sluice_priv_store_release(&h->magic, SLUICE_LAYOUT_MAGIC); /* READY */
        r = sluice_priv_set_finish(s->semid, o->mode);
        if (r == 0 && place->dirfd >= 0)
                r = sluice_priv_place_finish(place, o->mode);
        if (r == 0 && place->dirfd >= 0)
                r = sluice_priv_record_write(&record, place->dirfd);
        return r;
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
        if (r == 0)
                r = segment_get(&s, o, g);
        if (r == 0) {
                r = sluice_priv_segment_attach(&s, false);
                r = r ? segment_error(-r) : 0;
        }
        if (r == 0)
                r = make_rest(&s, place, o, g, generation);
        sluice_priv_segment_unmap(&s);
        if (r && s.shmid >= 0)
                shmctl(s.shmid, IPC_RMID, NULL);
        if (r)
                sluice_priv_set_remove(s.semid); /* gives the role back, too */
        else
                sluice_priv_role_release(s.semid, SLUICE_PRIV_ROLE_CREATOR, true);
        return r;
}

/* ---- A queue ------------------------------------------------------ */

/* What the directory says that it has. 0: nothing any longer. */
static int clear_recorded(const struct sluice_priv_place *place)
{
        struct sluice_priv_segment s;
        int r = sluice_priv_segment_find(&s, place, true);

        if (r == 0) {
                sluice_priv_segment_unmap(&s);
                return -EEXIST;
        }
        if (r == -EBADMSG || r == -EPROTO)
                return -EEXIST; /* spoiled: to open it tells how, to remove it mends */
        if (r != -ENOENT && r != -EINPROGRESS)
                return r;
        r = sluice_priv_remove_recorded(place);
        return r < 0 ? r : 0;
}

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
        if (r == 0)
                r = sluice_priv_fifos_remove(place->dirfd); /* a dead creator's */
        for (int project = 1; r == 0 && project <= SLUICE_PRIV_PROJECTS; project++) {
                r = create_key(place, sluice_priv_place_key(place, project), o, g);
                /* We have the lock: who is at work there makes another
                 * directory's queue. */
                if (r != -EADDRINUSE && r != -EBUSY)
                        break;
                r = project < SLUICE_PRIV_PROJECTS ? 0 : -EADDRINUSE;
        }
        if (r) { /* as it was */
                sluice_priv_place_empty(place);
                fchmod(place->dirfd, place->st.st_mode & 07777);
        }
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

static int create(const char *name, const struct sluice_options *options)
{
        struct sluice_geometry g;
        struct sluice_priv_name n;
        struct sluice_priv_shape shape;
        struct sluice_options o;
        int r = sluice_priv_options_read(&o, options);

        g.capacity = o.capacity;
        g.record_align = o.record_align;
        g.first_position = o.first_position;
        if (r == 0)
                r = sluice_priv_shape_of(&shape, &g);
        if (r == 0)
                r = sluice_priv_name_parse(&n, name);
        if (r)
                return r;
        for (int tries = 0; tries < 1000; tries++) {
                struct sluice_priv_place place;

                r = sluice_priv_place_make(&place, &n);
                if (r == 0)
                        r = create_once(&place, &o, &g);
                if (r && r != -EEXIST && r != -ESTALE && place.made && place.dirfd >= 0)
                        sluice_priv_place_rmdir(&place);
                sluice_priv_place_close(&place);
                if (r != -ESTALE && !(r == -ENOENT && n.in_user_dir))
                        break; /* else removed under our hands: once more */
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
