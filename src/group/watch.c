/* SPDX-License-Identifier: MIT */
/*
 * Watched directories. A name that appears is an entry, found by inotify or by
 * a scan; the serving thread opens its queue between two turns. The last thing
 * that is made of a queue is the record in its directory (src/record.c): until
 * then an entry waits for that, by inotify on its own directory, which is added
 * before the open is tried again. So nothing is polled, and none is missed.
 *
 * All lists are under the group's mutex. The serving thread takes it only
 * when there is news.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "../name.h"
#include "group.h"

/* Before a queue is tried again that another process receives from, or for
 * which something was lacking here. */
#define AGAIN_NS    INT64_C(1000000000)

#define WATCH_FLAGS ((unsigned)(SLUICE_WATCH_REMOVE | SLUICE_WATCH_CHANNELS))

#define MASK_WATCH  (IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR)
#define MASK_ENTRY  (IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

enum state {
        READY,   /* to be opened: in the queue of those */
        LATER,   /* at its time: in the queue of those */
        WAITING, /* for the record of its queue: in that list */
        MEMBER,  /* of the group, or just being opened */
        LEFT     /* removed from the group by the program */
};

struct found {
        struct found *next, **link; /* in one of three lists */
        struct watch *watch;
        enum state state;
        int wd;        /* inotify on its directory, for the record; or -1 */
        int64_t at_ns; /* LATER */
        char *name;    /* in the directory; behind path */
        char path[];   /* of the queue */
};

struct watch {
        struct watch *next;
        int wd;
        unsigned flags;
        void *user;
        void *entries; /* by name: tsearch(3) */
        char directory[];
};

bool watch_removes(const struct sluice_member *m)
{
        return m->entry && (m->entry->watch->flags & SLUICE_WATCH_REMOVE);
}

static bool is_channel(const struct found *e)
{
        return (e->watch->flags & SLUICE_WATCH_CHANNELS) != 0;
}

/* ---- Lists -------------------------------------------------------- */

static void list_push(struct watch_list *l, struct found *e)
{
        e->next = NULL;
        e->link = l->last ? &l->last->next : &l->first;
        *e->link = e;
        l->last = e;
}

static struct found *before(struct watch_list *l, const struct found *e)
{
        return e->link == &l->first
                       ? NULL
                       : (struct found *)(void *)((char *)e->link - offsetof(struct found, next));
}

static void list_take(struct watch_list *l, struct found *e)
{
        if (l->last == e)
                l->last = before(l, e);
        *e->link = e->next;
        if (e->next)
                e->next->link = e->link;
}

static bool is_queued(enum state state)
{
        return state == READY || state == LATER || state == WAITING;
}

static struct watch_list *list_of(struct sluice_group *g, enum state state)
{
        if (state == READY)
                return &g->ready;
        return state == LATER ? &g->later : &g->waiting;
}

/* What the serving thread asks without the lock. */
static void publish_due(struct sluice_group *g)
{
        const int64_t later = g->later.first ? g->later.first->at_ns : INT64_MAX;

        /* Relaxed: whoever sees it late is woken by a kick, or looks in a moment. */
        sluice_priv_store_relaxed(&g->watch_at, g->ready.first ? 0 : (uint64_t)later);
}

static void entry_set(struct sluice_group *g, struct found *e, enum state state)
{
        if (is_queued(e->state))
                list_take(list_of(g, e->state), e);
        e->state = state;
        if (state == LATER)
                e->at_ns = sluice_now_ns() + AGAIN_NS;
        if (is_queued(state))
                list_push(list_of(g, state), e);
        publish_due(g);
}

int64_t watch_due_ns(const struct sluice_group *g)
{
        /* Relaxed: as it was stored. */
        const int64_t at = (int64_t)sluice_priv_load_relaxed(&g->watch_at);

        if (at == INT64_MAX)
                return INT64_MAX;
        return at > g->server.now ? at - g->server.now : 0;
}

/* ---- Entries ------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
        const struct found *const x = a, *const y = b;

        return strcmp(x->name, y->name);
}

static struct found *entry_new(struct watch *w, const char *name)
{
        const char *const queue = w->flags & SLUICE_WATCH_CHANNELS ? "/" SLUICE_PRIV_REQUEST : "";
        const size_t len = strlen(name);
        const size_t path = strlen(w->directory) + 1 + len + strlen(queue) + 1;
        struct found *e = calloc(1, sizeof *e + path + len + 1);

        if (!e)
                return NULL;
        e->watch = w;
        e->state = LEFT; /* in no list yet */
        e->wd = -1;
        snprintf(e->path, path, "%s/%s%s", w->directory, name, queue);
        e->name = e->path + path;
        memcpy(e->name, name, len + 1);
        return e;
}

/* No longer for its record. */
static void end_wait(struct sluice_group *g, struct found *e)
{
        if (e->wd >= 0)
                inotify_rm_watch(g->inotify_fd, e->wd);
        e->wd = -1;
}

static void entry_drop(struct sluice_group *g, struct found *e)
{
        end_wait(g, e);
        entry_set(g, e, LEFT);
        tdelete(e, &e->watch->entries, compare);
        free(e);
}

/* A name has appeared: created, or found by a scan. */
static int appear(struct sluice_group *g, struct watch *w, const char *name)
{
        struct found *e = entry_new(w, name);
        struct found **found = e ? tsearch(e, &w->entries, compare) : NULL;

        if (!found) {
                free(e);
                return -ENOMEM;
        }
        if (*found != e) {
                free(e);
                e = *found;
                if (e->state == MEMBER || e->state == READY)
                        return 0;
        }
        entry_set(g, e, READY);
        return 0;
}

/* ---- Opening ------------------------------------------------------ */

/* Also of inotify's watches, or of epoll's. */
static bool is_lack(int error)
{
        return sluice_priv_is_lack(error) || error == -ENOSPC;
}

/* By inotify, where the queue's record will be made: in its directory, or, until
 * that is there, in that of its channel. */
static int watch_for_record(struct sluice_group *g, struct found *e)
{
        char *const queue = is_channel(e) ? strrchr(e->path, '/') : NULL;
        int wd = inotify_add_watch(g->inotify_fd, e->path, MASK_ENTRY);

        if (wd < 0 && errno == ENOENT && queue) {
                *queue = '\0';
                wd = inotify_add_watch(g->inotify_fd, e->path, MASK_ENTRY);
                *queue = '/';
        }
        return wd;
}

/* No queue, or not yet: until its record is made. It is tried once more when
 * inotify was not asked before, or about another directory. 0 or -errno. */
static int await_record(struct sluice_group *g, struct found *e)
{
        const int wd = watch_for_record(g, e);
        const int error = wd < 0 ? errno : 0;

        if (error == ENOSPC || error == ENOMEM) {
                entry_set(g, e, LATER);
        } else if (error) {
                entry_drop(g, e); /* it is gone, or no directory */
                return 0;
        } else if (wd == e->wd) {
                entry_set(g, e, WAITING);
        } else {
                end_wait(g, e);
                e->wd = wd;
                entry_set(g, e, READY);
        }
        return -error;
}

/* What the open of its queue answered; 0 or an error of serve. */
static int entry_opened(struct sluice_group *g, struct found *e, int r)
{
        if (r == 0) {
                end_wait(g, e);
                return 0;
        }
        if (r == -ENOENT || r == -EINPROGRESS)
                return await_record(g, e);
        if (r == -EBUSY || is_lack(r)) {
                entry_set(g, e, LATER);
                return r == -EBUSY ? 0 : r;
        }
        entry_drop(g, e); /* no queue of ours: until it appears again */
        return 0;
}

static int open_one(struct sluice_group *g)
{
        struct found *e;
        int r;

        pthread_mutex_lock(&g->lock);
        e = g->ready.first;
        if (!e && g->later.first && g->later.first->at_ns <= g->server.now)
                e = g->later.first;
        if (e)
                entry_set(g, e, MEMBER);
        pthread_mutex_unlock(&g->lock);
        if (!e)
                return 0;
        r = group_add(g, e->path, NULL, e->watch->user, e, is_channel(e), NULL);
        pthread_mutex_lock(&g->lock);
        r = entry_opened(g, e, r);
        pthread_mutex_unlock(&g->lock);
        return r;
}

/* Under the lock, once the member is forgotten. */
void watch_left(struct sluice_group *g, struct found *e, bool again)
{
        entry_set(g, e, again ? READY : LEFT);
        if (again)
                group_kick(g);
}

/* ---- Inotify ------------------------------------------------------ */

static int scan_entries(struct sluice_group *g, struct watch *w, DIR *dir)
{
        for (;;) {
                const struct dirent *entry;
                int r = 0;

                errno = 0;
                entry = readdir(dir);
                if (!entry)
                        return -errno; /* 0 at the end */
                if (entry->d_name[0] != '.' &&
                    (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN))
                        r = appear(g, w, entry->d_name);
                if (r)
                        return r;
        }
}

static int scan(struct sluice_group *g, struct watch *w)
{
        DIR *dir;
        int r = 0;

        group_fork_lock();
        dir = opendir(w->directory);
        if (!dir) {
                r = -errno;
                goto unlock;
        }
        r = scan_entries(g, w, dir);
        closedir(dir);
unlock:
        group_fork_unlock();
        return r;
}

/* Events were lost: all that they may have told. */
static int scan_all(struct sluice_group *g)
{
        int r = 0;

        for (struct watch *w = g->watches; w && r == 0; w = w->next)
                r = scan(g, w);
        while (g->waiting.first)
                entry_set(g, g->waiting.first, READY);
        return r == -ENOMEM ? r : 0;
}

static int take_event(struct sluice_group *g, const struct inotify_event *event)
{
        struct found *e = g->waiting.first;

        if (event->mask & IN_Q_OVERFLOW)
                return scan_all(g);
        for (struct watch *w = g->watches; w; w = w->next)
                if (w->wd == event->wd)
                        return event->len && (event->mask & IN_ISDIR) && event->name[0] != '.'
                                       ? appear(g, w, event->name)
                                       : 0;
        while (e && e->wd != event->wd)
                e = e->next;
        if (!e)
                return 0;
        if (event->mask & IN_IGNORED)
                e->wd = -1; /* its directory is gone */
        entry_set(g, e, READY);
        return 0;
}

static int read_events(struct sluice_group *g)
{
        _Alignas(struct inotify_event) char events[4096];
        const ssize_t n = read(g->inotify_fd, events, sizeof events);
        int r = 0;

        g->server.notified = n > 0;
        pthread_mutex_lock(&g->lock);
        for (ssize_t at = 0; at < n;) {
                const struct inotify_event *event = (const void *)(events + at);
                const int e = take_event(g, event);

                r = e ? e : r;
                at += (ssize_t)(sizeof *event + event->len);
        }
        pthread_mutex_unlock(&g->lock);
        return r;
}

int watch_work(struct sluice_group *g)
{
        int r = 0;

        if (sluice_priv_likely(!g->server.notified && watch_due_ns(g) != 0))
                return 0;
        if (g->server.notified)
                r = read_events(g);
        return r ? r : open_one(g);
}

/* ---- Watching ----------------------------------------------------- */

static struct watch *watch_new(const char *directory, unsigned flags, void *user)
{
        char *const full = realpath(directory, NULL);
        const size_t len = full ? strlen(full) : 0;
        struct watch *w = full ? calloc(1, sizeof *w + len + 1) : NULL;

        if (w) {
                w->flags = flags;
                w->user = user;
                memcpy(w->directory, full, len + 1);
        }
        free(full);
        return w;
}

/* Under the lock. */
static int watch_begin(struct sluice_group *g, struct watch *w)
{
        int r = group_open_inotify(g);

        if (r)
                return r;
        w->wd = inotify_add_watch(g->inotify_fd, w->directory, MASK_WATCH);
        if (w->wd < 0)
                return -errno;
        for (const struct watch *other = g->watches; other; other = other->next)
                if (other->wd == w->wd)
                        return -EEXIST;
        r = scan(g, w);
        if (r) {
                inotify_rm_watch(g->inotify_fd, w->wd);
                return r;
        }
        w->next = g->watches;
        g->watches = w;
        return 0;
}

static void drop_first(struct sluice_group *g, struct watch *w)
{
        /* The analyzer does not know that tdelete(3) has taken the last one out. */
        entry_drop(g, *(struct found **)w->entries); /* NOLINT(clang-analyzer-unix.Malloc) */
}

static void watch_free(struct sluice_group *g, struct watch *w)
{
        while (w->entries)
                drop_first(g, w);
        free(w);
}

void watch_free_all(struct sluice_group *g)
{
        while (g->watches) {
                struct watch *const next = g->watches->next;

                watch_free(g, g->watches);
                g->watches = next;
        }
}

static int watch(struct sluice_group *g, const char *directory, unsigned flags, void *user)
{
        struct watch *w = watch_new(directory, flags, user);
        int r;

        if (!w)
                return -errno;
        pthread_mutex_lock(&g->lock);
        r = watch_begin(g, w);
        if (r)
                watch_free(g, w);
        /* w is in the group's list by now. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        pthread_mutex_unlock(&g->lock);
        if (r == -EMFILE || r == -ENFILE)
                sluice_priv_member_limit(-r);
        if (r == 0)
                group_kick(g);
        return r;
}

int sluice_group_watch(struct sluice_group *g, const char *directory, unsigned flags, void *user)
{
        struct sluice_priv_entry entry;
        int r = group_check(g);

        if (r)
                return r;
        if (!directory || (flags & ~WATCH_FLAGS) != 0)
                return -EINVAL;
        entry = sluice_priv_enter();
        r = watch(g, directory, flags, user);
        sluice_priv_leave(&entry);
        return r;
}
