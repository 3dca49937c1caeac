/* SPDX-License-Identifier: MIT */
/*
 * A group and its members: made, added, removed, shown. Updaters take turns by
 * the group's mutex, which the serving thread does not take for them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "../name.h"
#include "group.h"

/* As the handles of the core library. */
#define MEMBER_ALIGN     ((size_t)128)

#define BATCH_DEFAULT    64u
#define SLICE_DEFAULT_NS INT64_C(100000000)

int group_check(const struct sluice_group *g)
{
        return g->forks == group_forks() ? 0 : -EPERM;
}

void group_kick(const struct sluice_group *g)
{
        const uint64_t one = 1;

        /* EAGAIN: the counter is at its maximum, so the descriptor is readable. */
        while (write(g->event_fd, &one, sizeof one) < 0 && errno == EINTR)
                continue;
}

/* ---- Members ------------------------------------------------------ */

static struct sluice_member *member_new(struct sluice_group *g, const char *name, void *user)
{
        const size_t len = strlen(name);
        const size_t bytes = sizeof(struct sluice_member) + len + 1;
        struct sluice_member *m =
                aligned_alloc(MEMBER_ALIGN, (bytes + MEMBER_ALIGN - 1) & ~(MEMBER_ALIGN - 1));

        if (!m)
                return NULL;
        memset((void *)m, 0, sizeof *m);
        memcpy(m->name, name, len + 1);
        m->group = g;
        m->server = &g->server;
        m->user = user;
        m->check = true; /* its producer may have ended before */
        return m;
}

/* Under the lock. */
static void count_members(struct sluice_group *g, int more)
{
        /* Relaxed: a hint. */
        sluice_priv_store_relaxed(&g->members,
                                  sluice_priv_load_relaxed(&g->members) + (uint64_t)more);
}

/* Under the lock: from here on the serving thread may touch it. */
static void list_append(struct sluice_group *g, struct sluice_member *m)
{
        sluice_word *const link = g->last ? &g->last->next : &g->first;

        m->previous = g->last;
        g->last = m;
        count_members(g, 1);
        sluice_priv_store_release(link, (uint64_t)(uintptr_t)m); /* MEMBERS:store */
        /* CHANGES:store. Relaxed load: under the lock. */
        sluice_priv_store_release(&g->changes, sluice_priv_load_relaxed(&g->changes) + 1);
}

/* Under the lock. m->next stays, for those who stand at m. */
static void list_unlink(struct sluice_group *g, struct sluice_member *m)
{
        struct sluice_member *const next = member_at(&m->next);

        sluice_priv_store_release(m->previous ? &m->previous->next : &g->first, /* MEMBERS:store */
                                  (uint64_t)(uintptr_t)next);
        if (next)
                next->previous = m->previous;
        else
                g->last = m->previous;
        count_members(g, -1);
        /* Relaxed: the handler's own thread asks. */
        sluice_priv_store_relaxed(&m->leaving, 1);
        /* CHANGES:store. Relaxed load: under the lock. */
        sluice_priv_store_release(&g->changes, sluice_priv_load_relaxed(&g->changes) + 1);
}

static bool is_listed(const struct sluice_group *g, const struct sluice_member *m)
{
        const struct sluice_member *at = member_at(&g->first);

        while (at && at != m)
                at = member_at(&at->next);
        return at != NULL;
}

/* Both the list and the epoll set, or neither. */
static int member_enter(struct sluice_group *g, struct sluice_member *m)
{
        struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.ptr = m};
        const int fd = sluice_priv_member_fd(&m->queue);
        int r = 0;

        pthread_mutex_lock(&g->lock);
        if (fd >= 0 && epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0)
                r = -errno;
        else
                list_append(g, m);
        pthread_mutex_unlock(&g->lock);
        if (r)
                sluice_priv_member_limit(-r);
        else
                group_kick(g);
        return r;
}

/* From the name of a channel's requests, which could be opened. */
static void reply_name(char to[SLUICE_NAME_MAX + 1], const char *request)
{
        const int directory = (int)(strlen(request) - strlen(SLUICE_PRIV_REQUEST));

        snprintf(to, SLUICE_NAME_MAX + 1, "%.*s%s", directory, request, SLUICE_PRIV_REPLY);
}

/* -EBUSY: later. Both queues of a channel are there, unless it is just being
 * removed. */
static int open_reply(struct sluice_member *m)
{
        char name[SLUICE_NAME_MAX + 1];
        int r;

        m->reply = sluice_producer_new();
        if (!m->reply)
                return -ENOMEM;
        reply_name(name, m->name);
        r = sluice_producer_open(m->reply, name, NULL);
        if (r) {
                sluice_producer_free(m->reply);
                m->reply = NULL;
        }
        return r == -ENOENT || r == -EINPROGRESS ? -EBUSY : r;
}

static int open_member(struct sluice_member *m, const struct sluice_options *o, bool channel)
{
        int r = sluice_consumer_open(&m->queue, m->name, o);

        if (r || !channel)
                return r;
        r = open_reply(m);
        if (r)
                sluice_consumer_close(&m->queue);
        return r;
}

static void close_member(struct sluice_member *m)
{
        sluice_consumer_close(&m->queue);
        if (m->reply) {
                sluice_producer_close(m->reply);
                sluice_producer_free(m->reply);
        }
}

int group_add(struct sluice_group *g, const char *name, const struct sluice_options *o, void *user,
              struct found *found, bool channel, struct sluice_member **m)
{
        struct sluice_member *new = member_new(g, name, user);
        int r;

        if (!new)
                return -ENOMEM;
        new->entry = found;
        r = open_member(new, o, channel);
        if (r)
                goto free_member;
        if (watch_removes(new))
                sluice_priv_member_tell_earlier_end(&new->queue);
        r = member_enter(g, new);
        if (r)
                goto close_member;
        if (m)
                *m = new;
        return 0;
close_member:
        close_member(new);
free_member:
        free(new);
        return r;
}

static int add_ring(struct sluice_group *g, void *mem, size_t bytes, void *user,
                    struct sluice_member **m)
{
        struct sluice_member *new = member_new(g, "", user);
        int r;

        if (!new)
                return -ENOMEM;
        r = sluice_consumer_attach(&new->queue, mem, bytes);
        if (r)
                goto free_member;
        r = sluice_consumer_enable_sleep(&new->queue, NULL); /* so that it wakes its producer */
        if (r)
                goto detach;
        r = member_enter(g, new);
        if (r)
                goto close_queue;
        if (m)
                *m = new;
        return 0;
close_queue:
        sluice_consumer_close(&new->queue);
        goto free_member;
detach:
        sluice_consumer_detach(&new->queue);
free_member:
        free(new);
        return r;
}

/* ---- After the grace period --------------------------------------- */

static int reap_queue(const char *name, unsigned flags)
{
        struct sluice_queue_stat st;
        const int r = sluice_stat(name, &st);

        return r ? r : sluice_reap(&st, flags);
}

/* Unless a new producer has come, or messages have; then a channel stays, too. Its
 * replies were for whom has gone. */
static void reap_member(const char *name, bool channel)
{
        char other[SLUICE_NAME_MAX + 1];

        if (reap_queue(name, 0) != 0 || !channel)
                return;
        reply_name(other, name);
        if (reap_queue(other, SLUICE_REAP_PENDING) == 0) {
                *strrchr(other, '/') = '\0';
                rmdir(other); /* unless a new client has come */
        }
}

static void part(struct sluice_member *m)
{
        const bool channel = m->reply != NULL;

        close_member(m);
        if (m->parting == PART_REAP)
                reap_member(m->name, channel);
}

/* In a child, which may run what its parent had queued, all this is its
 * parent's. */
static void forget(struct rcu_head *head)
{
        struct sluice_member *m =
                (struct sluice_member *)(void *)((char *)head -
                                                 offsetof(struct sluice_member, retired));
        struct sluice_group *g;

        rcu_order_after(head); /* what was written to the member before it retired */
        g = m->group;
        if (group_check(g) != 0)
                return;
        rcu_order_after(&g->order); /* sections that could have found it */
        part(m);
        if (g->forget)
                g->forget(m->user);
        pthread_mutex_lock(&g->lock);
        if (m->entry)
                watch_left(g, m->entry, m->parting != PART);
        free(m);
        if (--g->retired == 0)
                pthread_cond_broadcast(&g->forgotten);
        pthread_mutex_unlock(&g->lock);
}

/* By the group's own thread; the caller's setting stays as it was. */
static void retire(struct sluice_group *g, struct sluice_member *m)
{
        struct call_rcu_data *const before = urcu_bp_get_thread_call_rcu_data();

        g->retired++;
        rcu_order_before(&g->order);
        rcu_order_before(&m->retired);
        urcu_bp_set_thread_call_rcu_data(g->reclaimer);
        urcu_bp_call_rcu(&m->retired, forget);
        urcu_bp_set_thread_call_rcu_data(before);
}

/* Under the lock. The epoll set is a list, too: it must not lead to the member
 * in a section that begins from now on. */
static void member_leave(struct sluice_group *g, struct sluice_member *m)
{
        const int fd = sluice_priv_member_fd(&m->queue);

        list_unlink(g, m);
        share_forget(&g->share, m);
        if (fd >= 0)
                epoll_ctl(g->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        retire(g, m);
}

int group_remove(struct sluice_group *g, struct sluice_member *m, enum parting parting)
{
        int r = 0;

        pthread_mutex_lock(&g->lock);
        if (is_listed(g, m)) {
                m->parting = parting;
                member_leave(g, m);
        } else {
                r = -ENOENT;
        }
        pthread_mutex_unlock(&g->lock);
        return r;
}

/* ---- A group ------------------------------------------------------ */

static int read_options(struct sluice_group_options *to, const struct sluice_group_options *from)
{
        if (sluice_priv_options_copy(to, sizeof *to, from) != 0)
                return -EINVAL;
        if (to->hot_ns < SLUICE_HOT_NONE || to->spin_ns < SLUICE_SPIN_NONE || to->slice_ns < 0)
                return -EINVAL;
        if (to->batch == 0)
                to->batch = BATCH_DEFAULT;
        if (to->slice_ns == 0)
                to->slice_ns = SLICE_DEFAULT_NS;
        return 0;
}

/* A thread that the program does not know must not take its signals. */
static struct call_rcu_data *reclaimer_new(void)
{
        struct call_rcu_data *reclaimer;
        sigset_t all, before;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        reclaimer = urcu_bp_create_call_rcu_data(0, -1);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return reclaimer;
}

/* Since 0.14, which also brought this call, liburcu joins the thread itself. */
extern const char urcu_joins __asm__("urcu_bp_start_poll_synchronize_rcu") __attribute__((weak));

static void reclaimer_free(struct call_rcu_data *reclaimer)
{
        const pthread_t thread = urcu_bp_get_call_rcu_thread(reclaimer);

        urcu_bp_call_rcu_data_free(reclaimer);
        if (!&urcu_joins)
                pthread_join(thread, NULL);
}

static int group_new(struct sluice_group **to, const struct sluice_group_options *o)
{
        struct sluice_group *g =
                aligned_alloc(MEMBER_ALIGN, (sizeof *g + MEMBER_ALIGN - 1) & ~(MEMBER_ALIGN - 1));
        int r;

        if (!g)
                return -ENOMEM;
        memset((void *)g, 0, sizeof *g);
        g->batch = o->batch;
        g->hot_ns = o->hot_ns;
        g->spin_ns = o->spin_ns;
        g->slice_ns = o->slice_ns;
        g->forget = o->forget;
        r = group_list(g);
        if (r) {
                free(g);
                return r;
        }
        pthread_mutex_init(&g->lock, NULL);
        pthread_cond_init(&g->forgotten, NULL);
        share_begin(&g->share);
        bell_begin(&g->bell);
        g->reclaimer = reclaimer_new();
        sluice_priv_store_relaxed(&g->watch_at, INT64_MAX); /* Relaxed: no other thread yet */
        server_begin(g);
        *to = g;
        return 0;
}

static void group_empty(struct sluice_group *g)
{
        struct sluice_member *m;

        pthread_mutex_lock(&g->lock);
        while ((m = member_at(&g->first)) != NULL)
                member_leave(g, m);
        while (g->retired != 0)
                pthread_cond_wait(&g->forgotten, &g->lock);
        pthread_mutex_unlock(&g->lock);
}

static void group_free(struct sluice_group *g)
{
        group_empty(g);
        bell_end(&g->bell);
        reclaimer_free(g->reclaimer);
        watch_free_all(g);
        group_unlist(g);
        free(g->server.hot);
        free(g->server.spare);
        share_end(&g->share);
        pthread_cond_destroy(&g->forgotten);
        pthread_mutex_destroy(&g->lock);
        free(g);
}

/* ---- Observers ---------------------------------------------------- */

/* Position and count at one moment, which the consumer may not leave us: then 0. */
static void released_read(struct sluice_priv_found *f, const struct sluice_layout_consumer *c)
{
        for (int tries = 0; tries < 1000; tries++)
                if (sluice_priv_consumer_find(f, c) == 0 &&
                    sluice_priv_consumer_position(c) == f->position)
                        return;
        memset(f, 0, sizeof *f);
}

static void member_stat(struct sluice_member_stat *st, const struct sluice_member *m)
{
        const struct sluice_layout_consumer *c = m->queue.own;
        const struct sluice_layout_producer *p = m->queue.peer;
        struct sluice_priv_found found;
        uint64_t at[2];

        memset(st, 0, sizeof *st);
        st->size = sizeof *st;
        st->name = m->name;
        released_read(&found, c);
        st->messages = found.messages;
        st->position = found.position;
        for (int i = 0; i < 2; i++) /* PROGRESS:load. UNTRUSTED: for people to look at. */
                at[i] = sluice_priv_load_acquire(&p->progress.slot[i].position);
        st->published = (int64_t)(at[0] - at[1]) >= 0 ? at[0] : at[1];
        if ((int64_t)(st->position - st->published) > 0) /* told after it was published */
                st->published = st->position;
        /* Relaxed: for people to look at. */
        st->parks = sluice_priv_load_relaxed(&c->counters.parks);
        st->parked = (sluice_priv_load_relaxed(&c->doorbell.parked) & SLUICE_LAYOUT_PARKED) != 0;
}

static int show_each(struct sluice_group *g, sluice_member_fn *fn, void *ctx)
{
        const struct sluice_member *m = member_at(&g->first);
        struct sluice_member_stat st;
        int n = 0, r = 0;

        for (; m && r == 0; m = member_at(&m->next)) {
                member_stat(&st, m);
                r = fn(ctx, m, &st);
                n++;
        }
        return r ? r : n;
}

/* ---- The public calls --------------------------------------------- */

int sluice_group_create(struct sluice_group **g, const struct sluice_group_options *o)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        struct sluice_group_options options;
        int r = read_options(&options, o);

        *g = NULL;
        if (r == 0)
                r = group_new(g, &options);
        if (r == -EMFILE || r == -ENFILE)
                sluice_priv_member_limit(-r);
        sluice_priv_leave(&entry);
        return r;
}

int sluice_group_destroy(struct sluice_group *g)
{
        struct sluice_priv_entry entry;
        const int r = group_check(g);

        if (r || g->server.handling)
                return r ? r : -EBUSY;
        entry = sluice_priv_enter();
        group_free(g);
        sluice_priv_leave(&entry);
        return 0;
}

int sluice_group_add(struct sluice_group *g, const char *name, const struct sluice_options *o,
                     void *user, struct sluice_member **m)
{
        struct sluice_priv_entry entry;
        int r = group_check(g);

        if (r || !name || (o && o->wake != SLUICE_WAKE_FUTEX))
                return r ? r : -EINVAL;
        entry = sluice_priv_enter();
        r = group_add(g, name, o, user, NULL, false, m);
        sluice_priv_leave(&entry);
        return r;
}

int sluice_group_add_ring(struct sluice_group *g, void *mem, size_t bytes, void *user,
                          struct sluice_member **m)
{
        struct sluice_priv_entry entry;
        int r = group_check(g);

        if (r)
                return r;
        entry = sluice_priv_enter();
        r = add_ring(g, mem, bytes, user, m);
        sluice_priv_leave(&entry);
        return r;
}

int sluice_group_remove(struct sluice_group *g, struct sluice_member *m)
{
        struct sluice_priv_entry entry;
        int r = group_check(g);

        if (r)
                return r;
        entry = sluice_priv_enter();
        r = group_remove(g, m, PART);
        sluice_priv_leave(&entry);
        return r;
}

int sluice_group_each(struct sluice_group *g, sluice_member_fn *fn, void *ctx)
{
        struct sluice_priv_entry entry;
        int r = group_check(g);

        if (r)
                return r;
        entry = sluice_priv_enter();
        section_begin();
        r = show_each(g, fn, ctx);
        section_end(&g->order);
        sluice_priv_leave(&entry);
        return r;
}

int sluice_group_interrupt(struct sluice_group *g)
{
        struct sluice_priv_entry entry;
        const int r = group_check(g);

        if (r)
                return r;
        entry = sluice_priv_enter();
        sluice_priv_store_release(&g->interrupt, 1); /* INTERRUPT:store */
        group_kick(g);
        sluice_priv_leave(&entry);
        return 0;
}

const char *sluice_member_name(const struct sluice_member *m)
{
        return m->name;
}

void *sluice_member_user(const struct sluice_member *m)
{
        return m->user;
}

void sluice_member_set_user(struct sluice_member *m, void *user)
{
        m->user = user;
}

void sluice_member_set_batch(struct sluice_member *m, unsigned batch)
{
        m->batch = batch;
}
