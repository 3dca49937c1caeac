/* SPDX-License-Identifier: MIT */
/*
 * Several threads serve one group. One of them leads: it alone touches the
 * group's struct server, which means that it looks at the hot members, parks
 * them, and sleeps for all. When it finds one that has something, it takes it
 * out of the hot ones, leaves the lead to another thread, and hands over a
 * batch; then it gives the member back: it puts it back itself, if nobody
 * leads or the leader sleeps, and leads from then on; else it leaves it to
 * the leader, and waits for the lead. So no member is without a thread that
 * looks at it while any thread is in the call and in no handler.
 *
 * How a member passes from one thread to the next: only the leader takes one,
 * and whoever had it before has given it back under the mutex, under which
 * the lead passes as well. So all that was done with it comes before all that
 * is done next. While it is taken it stands in no list of the leader's.
 *
 * Members that were removed: a thread has a member, from taking it to giving
 * it back, in one section. In the list of those that were given back it is
 * until the leader collects it or an updater, who then retires it, takes it
 * out (share_forget). The leader does not collect one that is leaving: if it
 * has seen the change of the list (CHANGES), it sees that, too, which was
 * stored before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <time.h>

#include "group.h"

/* Batches of one member in one section, while the leader finds nothing else. */
enum { KEEP = 16 };

/* A thread in the call. */
struct worker {
        bool alone;          /* on one CPU: who leads does not run while this one looks */
        struct server visit; /* of the member that it has taken: the only hot one there */
        struct hot one;
        pthread_t thread;
        struct worker *next;
        sluice_deadline until;
        uint64_t interrupts; /* before the call */
};

void share_begin(struct share *sh)
{
        pthread_condattr_t clock;

        pthread_mutex_init(&sh->lock, NULL);
        pthread_condattr_init(&clock);
        pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
        pthread_cond_init(&sh->vacant, &clock);
        pthread_condattr_destroy(&clock);
}

void share_end(struct share *sh)
{
        pthread_cond_destroy(&sh->vacant);
        pthread_mutex_destroy(&sh->lock);
}

/* ---- The lead ----------------------------------------------------- */

static bool leads(const struct share *sh, const struct worker *w)
{
        /* Relaxed: only this thread stores its own value there, and another one only
         * while this one waits. */
        return sluice_priv_load_relaxed(&sh->leader) == (uintptr_t)w;
}

static bool is_vacant(const struct share *sh)
{
        /* Relaxed: under the mutex, or a hint. */
        return sluice_priv_load_relaxed(&sh->leader) == 0;
}

static bool is_interrupted(const struct share *sh, const struct worker *w)
{
        return sluice_priv_load_acquire(&sh->interrupts) != w->interrupts; /* INTERRUPT:load */
}

/* Under the mutex. */
static void take_lead(struct share *sh, struct worker *w)
{
        sluice_priv_store_relaxed(&sh->leader, (uintptr_t)w); /* Relaxed: under the mutex. */
        sh->sleeping = false;
}

/* Under the mutex. One who waits for the lead has it next; or one who has slept as
 * leader, until the lead was taken from it, and has not noticed. */
static void pass_lead(struct sluice_group *g)
{
        struct share *const sh = &g->share;

        /* Relaxed: under the mutex; a hint. */
        sluice_priv_store_relaxed(&sh->leader, 0);
        sluice_priv_store_relaxed(&sh->quiet, 0);
        sh->sleeping = false;
        if (sh->waiting != 0)
                pthread_cond_signal(&sh->vacant);
        else if (sh->dozing != 0)
                group_kick(g);
}

/* What a leader begins with. */
static void begin_lead(struct server *s)
{
        s->now = sluice_now_ns();
        s->idle_since = 0;
        s->stop = false;
}

/* Looks before it sleeps, as the leader does. */
static void spin_for_lead(const struct sluice_group *g, const struct worker *w)
{
        const int64_t spin = server_spin_ns(g, w->alone), now = sluice_now_ns();
        const int64_t end = w->until - now > spin ? now + spin : w->until;

        for (unsigned i = 1; !is_vacant(&g->share); i++) {
                sluice_priv_pause();
                if (i % SERVER_WORK == 0 && sluice_now_ns() >= end)
                        return;
        }
}

/* Under the mutex. */
static int wait_for_lead(struct share *sh, sluice_deadline until)
{
        const struct timespec t = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
        int r;

        sh->waiting++;
        r = until == SLUICE_FOREVER ? pthread_cond_wait(&sh->vacant, &sh->lock)
                                    : pthread_cond_timedwait(&sh->vacant, &sh->lock, &t);
        sh->waiting--;
        return -r;
}

/* Until this thread leads. 0, -ETIMEDOUT, -ECANCELED. */
static int follow(struct sluice_group *g, struct worker *w)
{
        struct share *const sh = &g->share;
        int r = 0;

        if (leads(sh, w))
                return 0;
        if (w->until > SLUICE_NOW)
                spin_for_lead(g, w);
        pthread_mutex_lock(&sh->lock);
        if (w->until <= SLUICE_NOW)
                r = -ETIMEDOUT;
        while (r == 0 && !is_vacant(sh) && !is_interrupted(sh, w))
                r = wait_for_lead(sh, w->until);
        if (is_interrupted(sh, w))
                r = -ECANCELED;
        else if (is_vacant(sh))
                r = 0;
        if (r == 0)
                take_lead(sh, w);
        pthread_mutex_unlock(&sh->lock);
        if (r == 0)
                begin_lead(&g->server);
        return r;
}

/* ---- Members that were given back ---------------------------------- */

/* In a section, leading, under the mutex. */
static void collect(struct sluice_group *g)
{
        struct share *const sh = &g->share;

        while (sh->back) {
                struct sluice_member *const m = sh->back;

                sh->back = m->back;
                /* Relaxed: see above. */
                if (sluice_priv_load_relaxed(&m->leaving) == 0)
                        server_return(&g->server, m);
        }
        sluice_priv_store_relaxed(&sh->has_back, 0); /* Relaxed: a hint. */
}

void share_forget(struct share *sh, const struct sluice_member *m)
{
        struct sluice_member **link = &sh->back;

        pthread_mutex_lock(&sh->lock);
        while (*link && *link != m)
                link = &(*link)->back;
        if (*link)
                *link = m->back;
        pthread_mutex_unlock(&sh->lock);
}

/* In the section in which it was taken. */
static void give_back(struct sluice_group *g, struct worker *w, struct sluice_member *m)
{
        struct share *const sh = &g->share;

        pthread_mutex_lock(&sh->lock);
        m->server = &g->server;
        if (sluice_priv_load_relaxed(&m->leaving) != 0) {
                /* Relaxed: see above. Nobody looks for it any more. */
        } else if (is_vacant(sh) || sh->sleeping) {
                take_lead(sh, w);
                server_return(&g->server, m);
        } else {
                m->back = sh->back;
                sh->back = m;
                sluice_priv_store_relaxed(&sh->has_back, 1); /* Relaxed: a hint. */
        }
        pthread_mutex_unlock(&sh->lock);
        if (leads(sh, w))
                begin_lead(&g->server);
}

/* ---- Leading ------------------------------------------------------ */

/* In a section. m: taken, or NULL. 0 or -errno. */
static int find(struct sluice_group *g, const struct worker *w, struct sluice_member **m)
{
        struct server *const s = &g->server;
        struct share *const sh = &g->share;
        int r;

        *m = NULL;
        if (sluice_priv_load_relaxed(&sh->has_back) != 0) { /* Relaxed: a hint. */
                pthread_mutex_lock(&sh->lock);
                collect(g);
                pthread_mutex_unlock(&sh->lock);
        }
        r = server_prepare(g);
        if (r)
                return r;
        *m = server_take(s);
        if (*m || w->until > SLUICE_NOW)
                return 0;
        r = server_look(g);
        if (r)
                return r;
        server_warm(s);
        *m = server_take(s);
        return 0;
}

/* Has m more, and nothing else is waited for? */
static bool goes_on(const struct sluice_group *g, const struct worker *w,
                    const struct sluice_member *m)
{
        /* Relaxed: `quiet` is a hint; `leaving`, whether it may go sooner; PUBLISH:load
         * is in sluice_peek. UNTRUSTED. */
        return !w->visit.stop && !m->gone && sluice_priv_load_relaxed(&g->share.quiet) != 0 &&
               sluice_priv_load_relaxed(&m->leaving) == 0 &&
               sluice_priv_load_relaxed(member_word(m)) != 0;
}

/* In a section, with a member that was taken. */
static void serve_taken(struct sluice_group *g, struct worker *w, struct sluice_member *m)
{
        struct share *const sh = &g->share;
        const struct hot one = {NULL, m, 0};

        pthread_mutex_lock(&sh->lock);
        collect(g);
        pass_lead(g);
        pthread_mutex_unlock(&sh->lock);
        w->one = one;
        w->visit.hots = w->visit.warm = 1;
        m->hot_at = 1;
        m->server = &w->visit;
        for (int i = 0; i == 0 || (i < KEEP && goes_on(g, w, m)); i++)
                server_visit(&w->visit, m);
        give_back(g, w, m);
}

/* 0, or why to return. */
static int doze(struct sluice_group *g, struct worker *w)
{
        struct share *const sh = &g->share;
        const int64_t ns = server_fall_asleep(g, w->until);
        bool still;
        int r;

        if (ns < 0)
                return 0;
        pthread_mutex_lock(&sh->lock);
        sh->sleeping = !sh->back;
        sh->dozing += sh->sleeping;
        still = !sh->sleeping;
        pthread_mutex_unlock(&sh->lock);
        if (still) /* there is a member to be collected */
                return 0;
        r = server_wait(g, ns);
        pthread_mutex_lock(&sh->lock);
        sh->dozing--;
        still = leads(sh, w);
        if (still)
                sh->sleeping = false;
        pthread_mutex_unlock(&sh->lock);
        if (still)
                server_wake_up(&g->server);
        return r;
}

/* The last look found nothing. 0 or why to return. */
static int rest(struct sluice_group *g, struct worker *w)
{
        struct server *const s = &g->server;

        if (s->idle_since == 0) {
                s->idle_since = s->now = sluice_now_ns();
                sluice_priv_store_relaxed(&g->share.quiet, 1); /* Relaxed: a hint. */
        }
        if (s->now >= w->until)
                return -ETIMEDOUT;
        if (server_is_to_sleep(g))
                return doze(g, w);
        s->work++;
        sluice_priv_pause();
        return 0;
}

/* All that are in the call. */
static int take_interrupt(struct sluice_group *g)
{
        struct share *const sh = &g->share;

        /* INTERRUPT:load. Relaxed store: the next interrupt stores 1 again. */
        (void)sluice_priv_load_acquire(&g->interrupt);
        sluice_priv_store_relaxed(&g->interrupt, 0);
        pthread_mutex_lock(&sh->lock);
        /* INTERRUPT:store. Relaxed load: under the mutex. */
        sluice_priv_store_release(&sh->interrupts, sluice_priv_load_relaxed(&sh->interrupts) + 1);
        pthread_cond_broadcast(&sh->vacant);
        if (sh->dozing != 0)
                group_kick(g);
        pthread_mutex_unlock(&sh->lock);
        return -ECANCELED;
}

/* 0: go on. */
static int lead(struct sluice_group *g, struct worker *w)
{
        struct sluice_member *m;
        int r = is_interrupted(&g->share, w) ? -ECANCELED : watch_work(g);

        if (r)
                return r;
        /* Relaxed: nearly always it is 0, which orders nothing. */
        if (sluice_priv_load_relaxed(&g->interrupt) != 0)
                return take_interrupt(g);
        section_begin();
        r = find(g, w, &m);
        if (m)
                serve_taken(g, w, m);
        section_end(&g->order);
        if (r)
                return r;
        if (!m)
                return rest(g, w);
        return w->until != SLUICE_FOREVER && sluice_now_ns() >= w->until ? -ETIMEDOUT : 0;
}

/* ---- The call ----------------------------------------------------- */

/* 0, or -EINVAL: in a handler. */
static int enter(struct sluice_group *g, struct worker *w)
{
        struct share *const sh = &g->share;
        const struct worker *at;
        bool refused;

        pthread_mutex_lock(&sh->lock);
        for (at = sh->workers; at && !pthread_equal(at->thread, w->thread); at = at->next)
                continue;
        refused = at || (g->server.handling && !sh->workers);
        if (!refused) {
                w->next = sh->workers;
                sh->workers = w;
                g->server.handling = true; /* to other calls: not now */
                w->interrupts = sluice_priv_load_acquire(&sh->interrupts); /* INTERRUPT:load */
        }
        pthread_mutex_unlock(&sh->lock);
        return refused ? -EINVAL : 0;
}

static void leave(struct sluice_group *g, struct worker *w)
{
        struct share *const sh = &g->share;
        struct worker **link = &sh->workers;

        section_begin();
        pthread_mutex_lock(&sh->lock);
        while (*link != w)
                link = &(*link)->next;
        *link = w->next;
        if (leads(sh, w))
                collect(g);
        if (leads(sh, w) || is_vacant(sh))
                pass_lead(g);
        if (!sh->workers)
                g->server.handling = g->server.shared = false;
        pthread_mutex_unlock(&sh->lock);
        section_end(&g->order);
}

static ssize_t serve_shared(struct sluice_group *g, struct worker *w)
{
        int r = enter(g, w);

        if (r)
                return r;
        while (r == 0 && !w->visit.stop) {
                r = follow(g, w);
                if (r == 0) {
                        g->server.shared = true;
                        r = lead(g, w);
                }
        }
        leave(g, w);
        if (w->visit.result)
                return w->visit.result;
        if (r != -ECANCELED && (r == 0 || r == -ETIMEDOUT || w->visit.total != 0))
                return (ssize_t)w->visit.total;
        return r;
}

ssize_t sluice_group_serve_shared(struct sluice_group *g, sluice_group_handler *fn, void *ctx,
                                  size_t max, sluice_deadline until)
{
        struct worker w = {.visit = {.group = g, .fn = fn, .ctx = ctx, .max = max, .room = 1},
                           .thread = pthread_self(),
                           .until = until};
        struct sluice_priv_entry entry;
        ssize_t r = group_check(g);

        if (r)
                return r;
        entry = sluice_priv_enter();
        w.visit.hot = &w.one;
        w.visit.stop = max == 0;
        w.alone = server_is_alone();
        r = serve_shared(g, &w);
        sluice_priv_leave(&entry);
        return r;
}
