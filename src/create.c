/* SPDX-License-Identifier: MIT */
/*
 * Making and removing queues. The magic is the last word to be stored,
 * so an opener finds a complete queue or none. Creators and removers of
 * one folder take turns by flock; those of one key by a semaphore with
 * SEM_UNDO. Both are given back by the kernel, so whoever holds them and
 * finds something half made knows that its maker is dead.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

#define ALL_FLAGS \
        (SLUICE_PREFAULT | SLUICE_LOCK | SLUICE_HUGETLB | SLUICE_CREATE | SLUICE_ANY_OWNER)
#define HUGE_PAGE ((size_t)2 << 20)

int sluice_priv_options_read(struct sluice_options *to, const struct sluice_options *from)
{
        const unsigned char *bytes = (const unsigned char *)from;

        memset(to, 0, sizeof *to);
        if (from) {
                if (from->size < sizeof from->size || from->size > SLUICE_LAYOUT_PAGE)
                        return -EINVAL;
                memcpy(to, from, from->size < sizeof *to ? from->size : sizeof *to);
                for (size_t i = sizeof *to; i < from->size; i++)
                        if (bytes[i] != 0)
                                return -EINVAL; /* asks for what this version does not know */
        }
        if (to->mode == 0)
                to->mode = 0600;
        if ((to->mode & ~(mode_t)0666) != 0 || (to->mode & 0600) != 0600 ||
            (to->flags & ~(unsigned)ALL_FLAGS) != 0 || to->numa_node < 0 || to->slice_ns < 0 ||
            to->spin_ns < SLUICE_SPIN_NONE ||
            (to->wake != SLUICE_WAKE_FUTEX && to->wake != SLUICE_WAKE_FIFO))
                return -EINVAL;
        if (to->slice_ns == 0)
                to->slice_ns = 100000000;
        return 0;
}

/* ---- One key ------------------------------------------------------ */

/* The set of roles under a key, made when it is not there. -EADDRINUSE:
 * the key is another program's. */
static int roles_make(key_t key, mode_t mode, int *semid, bool *made)
{
        struct semid_ds ds;
        union {
                int val;
                struct semid_ds *buf;
        } arg;

        *semid = semget(key, SLUICE_PRIV_ROLES, IPC_CREAT | IPC_EXCL | (int)mode);
        *made = *semid >= 0;
        if (*made)
                return 0;
        if (errno != EEXIST) {
                sluice_priv_limit_note(SLUICE_PRIV_SEMGET, errno, 0);
                return -errno;
        }
        *semid = semget(key, 0, 0);
        arg.buf = &ds;
        if (*semid < 0 || semctl(*semid, 0, IPC_STAT, arg) != 0)
                return errno == EACCES ? -EADDRINUSE : errno == ENOMEM ? -ENOMEM : -EAGAIN;
        return ds.sem_nsems == SLUICE_PRIV_ROLES && ds.sem_perm.uid == geteuid() ? 0 : -EADDRINUSE;
}

static bool all_zero(const unsigned char *bytes, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (bytes[i] != 0)
                        return false;
        return true;
}

static uint64_t shape_bytes(size_t segsz)
{
        return segsz > SLUICE_LAYOUT_RING ? segsz - SLUICE_LAYOUT_RING : 0;
}

/* Ours, of a size that a queue has, with our folder in it, and without
 * its magic, as a creator has left it; or with nothing in it at all yet
 * and nobody attached. alone: its set of roles is not there, so that it
 * is no queue even when it is complete; and an empty one is another
 * program's, because a set is made first. Anything else stays untouched.
 * 1, 0, -ENOMEM, or -EAGAIN: removed meanwhile. */
static int is_half_made(int shmid, const struct sluice_priv_place *place, bool alone)
{
        const struct sluice_layout_header *h;
        struct shmid_ds ds;
        uint64_t magic;
        bool half;

        if (shmctl(shmid, IPC_STAT, &ds) != 0)
                return errno == EIDRM || errno == EINVAL ? -EAGAIN : 0;
        if (ds.shm_perm.uid != geteuid() ||
            shape_bytes(ds.shm_segsz) <
                    (uint64_t)SLUICE_CAPACITY_MIN_UNITS * SLUICE_RECORD_ALIGN_MIN)
                return 0;
        h = shmat(shmid, NULL, SHM_RDONLY);
        if (h == (void *)-1)
                return errno == ENOMEM ? -ENOMEM : errno == EACCES ? 0 : -EAGAIN;
        magic = sluice_priv_load_acquire(&h->magic);
        if (magic == SLUICE_LAYOUT_MAGIC)
                half = alone && sluice_priv_header_is_of(h, place);
        else
                half = magic == 0 && ((!alone && ds.shm_nattch == 0 &&
                                       all_zero((const unsigned char *)h, sizeof *h)) ||
                                      (h->version == SLUICE_LAYOUT_VERSION &&
                                       h->byte_order == SLUICE_LAYOUT_BYTE_ORDER &&
                                       (h->inode == 0 || sluice_priv_header_is_of(h, place))));
        shmdt(h);
        return half;
}

/* Why there is already a segment under the key. 0: no longer. alone: one
 * that had no set. */
static int clear_key(const struct sluice_priv_place *place, key_t key, int alone)
{
        struct sluice_priv_segment s = {.key = key};
        const int shmid = shmget(key, 0, 0);
        int r;

        if (shmid < 0)
                return errno == ENOENT ? 0 : errno == EACCES ? -EADDRINUSE : -errno;
        r = is_half_made(shmid, place, shmid == alone);
        if (r < 0)
                return r;
        if (r > 0)
                return shmctl(shmid, IPC_RMID, NULL) == 0 ? 0 : -EAGAIN;
        /* Whatever a stranger's says about its folder. */
        if (shmctl(shmid, IPC_STAT, &s.ds) == 0 && s.ds.shm_perm.uid != geteuid())
                return -EADDRINUSE;
        r = sluice_priv_segment_map(&s, shmid, true);
        if (r == 0) {
                const bool same = sluice_priv_header_is_of(s.mem, place);

                sluice_priv_segment_unmap(&s);
                return same ? -EEXIST : -EADDRINUSE;
        }
        if (r == -ENOENT)
                return 0;
        return r == -EINPROGRESS || sluice_priv_segment_is_foreign(r) ? -EADDRINUSE : r;
}

static int bind_node(void *mem, size_t bytes, int node)
{
        unsigned long mask[16] = {0};
        const unsigned bits = 8 * sizeof *mask;

        if ((unsigned)node >= 8 * sizeof mask)
                return -EINVAL;
        mask[(unsigned)node / bits] = 1ul << (unsigned)node % bits;
        if (syscall(SYS_mbind, mem, bytes, 2 /* MPOL_BIND */, mask, 8 * sizeof mask, 0) != 0)
                return errno == ENOSYS ? -EINVAL : -errno; /* a kernel without nodes */
        return 0;
}

static uint64_t generation(void)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Everything but the magic. */
static int segment_fill(void *mem, size_t bytes, const struct sluice_priv_place *place,
                        const struct sluice_options *o, const struct sluice_geometry *g)
{
        struct sluice_layout_header *h = mem;
        int r = o->numa_node ? bind_node(mem, bytes, o->numa_node - 1) : 0;

        if (r == 0)
                r = sluice_priv_format(mem, bytes, g);
        if (r)
                return r;
        h->generation = generation();
        if (place->dirfd >= 0) {
                char *full = realpath(place->name->path, NULL);

                if (full && strlen(full) >= sizeof h->name) {
                        free(full);
                        return -ENAMETOOLONG;
                }
                h->device = (uint64_t)place->st.st_dev;
                h->inode = (uint64_t)place->st.st_ino;
                snprintf(h->name, sizeof h->name, "%s", full ? full : place->name->path);
                free(full);
        } else {
                snprintf(h->name, sizeof h->name, "%s", place->name->path);
        }
        return sluice_priv_prepare_pages(mem, bytes, o->flags & SLUICE_PREFAULT);
}

/* Under the creator's role. */
static int segment_make(const struct sluice_priv_place *place, key_t key,
                        const struct sluice_options *o, const struct sluice_geometry *g)
{
        size_t bytes = sluice_ring_bytes(g);
        int flags = IPC_CREAT | IPC_EXCL | (int)o->mode, shmid, r;
        void *mem;

        if (o->flags & SLUICE_HUGETLB) {
                flags |= SHM_HUGETLB;
                bytes = (bytes + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
        }
        shmid = shmget(key, bytes, flags);
        if (shmid < 0) {
                if (errno == EEXIST)
                        return -EAGAIN;
                sluice_priv_limit_note(SLUICE_PRIV_SHMGET, errno, bytes);
                return errno == EINVAL ? -EFBIG : -errno; /* kernel.shmmax */
        }
        mem = shmat(shmid, NULL, 0);
        if (mem == (void *)-1) /* removed by another already: once more */
                r = errno == EIDRM || errno == EINVAL ? -EAGAIN : -errno;
        else
                r = segment_fill(mem, bytes, place, o, g);
        if (r == 0 && place->dirfd >= 0) {
                r = sluice_priv_fifos_remove(place->dirfd); /* a dead creator's */
                if (r == 0)
                        r = sluice_priv_fifos_make(place, o->mode);
                if (r == 0 && fchmod(place->dirfd, 0700 | (o->mode & 060 ? 050 : 0) |
                                                           (o->mode & 06 ? 05 : 0)) != 0)
                        r = -errno;
        }
        if (r == 0)
                sluice_priv_store_release(&((struct sluice_layout_header *)mem)->magic,
                                          SLUICE_LAYOUT_MAGIC); /* READY */
        if (mem != (void *)-1)
                shmdt(mem);
        if (r) {
                shmctl(shmid, IPC_RMID, NULL);
                if (place->dirfd >= 0)
                        sluice_priv_fifos_remove(place->dirfd);
        }
        return r;
}

/* A remover that was killed between segment and set leaves a set whose
 * roles old users may still hold. */
static bool is_worn(int semid)
{
        return sluice_priv_role_held(semid, SLUICE_PRIV_ROLE_PRODUCER) > 0 ||
               sluice_priv_role_held(semid, SLUICE_PRIV_ROLE_CONSUMER) > 0;
}

/* -EADDRINUSE: another program's key, try the next one. Under a bare key
 * another creator may use the set that we have made, and be faster. */
static int create_key(const struct sluice_priv_place *place, key_t key,
                      const struct sluice_options *o, const struct sluice_geometry *g)
{
        for (int tries = 0; tries < 100; tries++) {
                const int before = shmget(key, 0, 0);
                bool made;
                int semid, r;

                if (before < 0 && errno != ENOENT && errno != EACCES)
                        return -errno;
                r = roles_make(key, o->mode, &semid, &made);
                if (r == -EAGAIN)
                        continue;
                if (r)
                        return r;
                r = sluice_priv_role_take(semid, SLUICE_PRIV_ROLE_CREATOR, true);
                if (r == -EIDRM)
                        continue;
                if (r) {
                        if (made && r != -EBUSY)
                                semctl(semid, 0, IPC_RMID);
                        return r;
                }
                r = clear_key(place, key, made ? before : -1);
                if (r == 0 && !made && is_worn(semid))
                        r = -EAGAIN;
                if (r == 0)
                        r = segment_make(place, key, o, g);
                if (r == -EEXIST ? made && shmget(key, 0, 0) == before
                                 : r && (made || r != -EADDRINUSE))
                        semctl(semid, 0, IPC_RMID); /* gives the role back, too */
                else
                        sluice_priv_role_give(semid, SLUICE_PRIV_ROLE_CREATOR, true);
                if (r != -EAGAIN)
                        return r;
        }
        return -EBUSY;
}

/* ---- A queue ------------------------------------------------------ */

/* With its pipes in the folder: a queue that another version looks after. */
static bool is_other_version(int r)
{
        return r == -EPROTONOSUPPORT || r == -EPROTOTYPE;
}

static int create_locked(const struct sluice_priv_place *place, const struct sluice_options *o,
                         const struct sluice_geometry *g)
{
        struct sluice_priv_segment s;
        int r = 0;

        if (place->dirfd >= 0) {
                const int pipes = sluice_priv_fifos_look(place->dirfd);

                if (place->st.st_uid != geteuid() || pipes < 0)
                        return pipes < 0 ? pipes : -EPERM;
                r = sluice_priv_segment_find(&s, place, true);
                if (pipes > 0 && is_other_version(r))
                        return r;
                if (r == 0) {
                        sluice_priv_segment_unmap(&s);
                        return -EEXIST;
                }
                if (!sluice_priv_segment_is_foreign(r) && r != -ENOENT && r != -EINPROGRESS)
                        return r;
        }
        for (int project = 1; project <= sluice_priv_place_projects(place); project++) {
                r = create_key(place, sluice_priv_place_key(place, project), o, g);
                if (r != -EADDRINUSE)
                        break;
        }
        return r;
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
                if (r == 0) {
                        r = sluice_priv_place_lock(&place);
                        if (r == 0)
                                r = create_locked(&place, &o, &g);
                        if (r && r != -EEXIST && r != -ESTALE && place.made)
                                rmdir(n.path);
                }
                sluice_priv_place_close(&place);
                if (r != -ESTALE && !(r == -ENOENT && n.in_user_dir))
                        break; /* else removed under our hands: once more */
        }
        if (r && n.in_user_dir)
                sluice_priv_user_dir_unmake();
        return r == -ESTALE ? -EBUSY : r;
}

int sluice_create(const char *name, const struct sluice_options *options)
{
        const int saved = errno;
        int r;

        sluice_priv_limit_forget();
        r = create(name, options);
        if (r == -EMFILE || r == -ENFILE)
                sluice_priv_limit_note(SLUICE_PRIV_FD, -r, 0);
        errno = saved;
        return r;
}

/* Whoever sleeps on the queue looks again, and finds it gone. */
static void wake_all(const struct sluice_priv_segment *s, const struct sluice_priv_place *place)
{
        unsigned char *base = s->mem;
        const struct sluice_layout_consumer *c = (const void *)(base + s->shape.consumer);
        const struct sluice_layout_producer *p = (const void *)(base + s->shape.producer);
        const uint64_t at = sluice_priv_load_acquire(&c->position) & (s->shape.capacity - 1) &
                            ~SLUICE_LAYOUT_FLAGS;
        const char *pipes[] = {SLUICE_PRIV_READABLE, SLUICE_PRIV_WRITABLE};

        sluice_priv_futex_wake(sluice_priv_peer_word(base + s->shape.ring, at));
        sluice_priv_futex_wake(&c->position);
        sluice_priv_futex_wake(&c->door.state);
        sluice_priv_futex_wake(&p->door.state);
        for (int i = 0; i < 2 && place->dirfd >= 0; i++) {
                const int fd = sluice_priv_fifo_open(place, pipes[i], O_RDWR, s->ds.shm_perm.mode);

                if (fd >= 0) {
                        sluice_priv_fifo_ring(fd);
                        close(fd);
                }
        }
}

/* The set of roles of a queue that is half made: takes it away from
 * under its creator, unless that lives. 1: taken. */
static int take_half_made(int semid)
{
        struct semid_ds ds = {.sem_nsems = 0};
        union {
                int val;
                struct semid_ds *buf;
        } arg = {.buf = &ds};
        int r;

        if (semctl(semid, 0, IPC_STAT, arg) != 0)
                return errno == EIDRM || errno == EINVAL ? -EAGAIN : 0;
        if (ds.sem_nsems != SLUICE_PRIV_ROLES || ds.sem_perm.uid != geteuid())
                return 0;
        r = sluice_priv_role_take(semid, SLUICE_PRIV_ROLE_CREATOR, true);
        return r == 0 ? 1 : r == -EIDRM ? -EAGAIN : r == -ENOMEM ? r : 0;
}

/* What a creator or a remover that was killed has left under a key.
 * 1: something, removed. -EAGAIN: it changed meanwhile, look again. */
static int remove_half_made(const struct sluice_priv_place *place, key_t key)
{
        const int shmid = shmget(key, 0, 0), shm_error = errno;
        const int semid = semget(key, 0, 0), sem_error = errno;
        int r;

        if (shmid < 0 && shm_error != ENOENT)
                return shm_error == EACCES ? 0 : -shm_error;
        if (semid < 0 && sem_error != ENOENT)
                return sem_error == EACCES ? 0 : -sem_error;
        r = shmid >= 0 ? is_half_made(shmid, place, semid < 0) : semid >= 0;
        if (r > 0 && semid >= 0)
                r = take_half_made(semid);
        if (r <= 0)
                return r;
        if (shmid >= 0)
                shmctl(shmid, IPC_RMID, NULL);
        if (semid >= 0)
                semctl(semid, 0, IPC_RMID);
        return 1;
}

/* Under the creator's role, as a bare key has no lock. The segment
 * first: a set alone is no queue, a segment alone looks like one. */
static int remove_complete(struct sluice_priv_segment *s, const struct sluice_priv_place *place)
{
        int r = sluice_priv_role_take(s->semid, SLUICE_PRIV_ROLE_CREATOR, true);

        if (r && r != -EIDRM)
                return r;
        r = 0;
        if (place->dirfd < 0 && shmget(s->key, 0, 0) != s->shmid)
                r = -ENOENT; /* another has removed it just now */
        else if (shmctl(s->shmid, IPC_RMID, NULL) != 0 && errno != EIDRM && errno != EINVAL)
                r = -errno;
        if (r) {
                sluice_priv_role_give(s->semid, SLUICE_PRIV_ROLE_CREATOR, true);
                return r;
        }
        semctl(s->semid, 0, IPC_RMID); /* gives the role back, too */
        wake_all(s, place);
        return 0;
}

static int remove_locked(const struct sluice_priv_place *place)
{
        struct sluice_priv_segment s;
        int found = 0, r;

        if (place->dirfd >= 0) {
                if (place->st.st_uid != geteuid() && geteuid() != 0)
                        return -EPERM;
                found = sluice_priv_fifos_look(place->dirfd);
                if (found < 0)
                        return found;
        }
        r = sluice_priv_segment_find(&s, place, false);
        if (r == 0) {
                found = 1;
                r = remove_complete(&s, place);
                sluice_priv_segment_unmap(&s);
                if (r || place->dirfd < 0)
                        return r;
        } else if (r != -ENOENT && r != -EINPROGRESS &&
                   (is_other_version(r) || place->dirfd < 0 || r == -EACCES ||
                    !sluice_priv_segment_is_foreign(r))) {
                return r;
        }
        for (int project = 1; project <= sluice_priv_place_projects(place); project++) {
                const key_t key = sluice_priv_place_key(place, project);
                int tries = 0;

                do {
                        r = remove_half_made(place, key);
                } while (r == -EAGAIN && ++tries < 100);
                if (r < 0)
                        return r == -EAGAIN ? -EBUSY : r;
                found |= r;
        }
        if (!found)
                return -ENOENT;
        if (place->dirfd < 0)
                return 0;
        r = sluice_priv_fifos_remove(place->dirfd);
        if (r == 0 && rmdir(place->name->path) != 0)
                r = -errno;
        return r;
}

int sluice_remove(const char *name)
{
        const int saved = errno;
        struct sluice_priv_place place;
        struct sluice_priv_name n;
        int r = sluice_priv_name_parse(&n, name);

        if (r == 0) {
                r = sluice_priv_place_open(&place, &n);
                place.any_owner = true;
                if (r == 0)
                        r = sluice_priv_place_lock(&place);
                if (r == 0)
                        r = remove_locked(&place);
                sluice_priv_place_close(&place);
                if (r == 0 && n.in_user_dir)
                        sluice_priv_user_dir_unmake();
        }
        errno = saved;
        return r == -ESTALE ? -ENOENT : r;
}
