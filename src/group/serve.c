/* SPDX-License-Identifier: MIT */
/*
 * The serving loop: a turn visits each hot member once, in a read-side section of
 * its own. Members that come and go cost it one load per turn, of `changes`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

#include "group.h"

#define SPIN_DEFAULT_NS INT64_C(50000)

enum {
        WORK = SERVER_WORK,
        RARELY = 32, /* what is done beside serving takes one part of so many */
        PROBES = 64  /* members whose producer is asked for in each slice */
};

static struct sluice_group *group_of(struct server *s)
{
        return s->group;
}

/* ---- Telling the handler ------------------------------------------ */

/* Relaxed: whether this thread has removed it; others are not waited for. */
static bool is_leaving(const struct sluice_member *m)
{
        return sluice_priv_load_relaxed(&m->leaving) != 0;
}

static void tell(struct server *s, struct sluice_member *m, enum sluice_event event)
{
        int r;

        s->handling = true;
        r = s->fn(s->ctx, m, event, NULL);
        s->handling = false;
        s->stop |= r != 0;
        if (r < 0)
                s->result = r;
}

/* The end of its producer; repeated by each look until a successor has come. */
static void tell_end(struct server *s, struct sluice_member *m, int end)
{
        if (m->told == end)
                return;
        m->told = end;
        tell(s, m, end == -EPIPE ? SLUICE_ENDED : SLUICE_DIED);
        if (watch_removes(m) && !is_leaving(m)) {
                group_remove(group_of(s), m, PART_REAP);
                m->gone = true;
        }
}

static void tell_gone(struct server *s, struct sluice_member *m, enum sluice_event event)
{
        m->gone = true;
        tell(s, m, event);
        if (event == SLUICE_REMOVED && m->entry && !is_leaving(m))
                group_remove(group_of(s), m, PART_AGAIN);
}

/* What a look answered that found no message. */
static void tell_error(struct server *s, struct sluice_member *m, int error)
{
        switch (error) {
        case -EAGAIN:
                m->told = 0;
                break;
        case -EPIPE:
        case -EOWNERDEAD:
                tell_end(s, m, error);
                break;
        case -ESTALE:
                tell_gone(s, m, SLUICE_REMOVED);
                break;
        case -EBADMSG:
                tell_gone(s, m, SLUICE_VIOLATED);
                break;
        default: /* the kernel could not be asked: later */
                break;
        }
}

/* ---- A visit ------------------------------------------------------ */

/* All messages that were handed out in this run come again. */
static void take_back(struct sluice_consumer *c)
{
        if (c->held == 0)
                return;
        c->next = c->contiguous_end = sluice_priv_released(c);
        c->word = c->behind = c->held = 0;
}

/* One message, or a run of them. */
static void hand_over_one(struct server *s, struct sluice_member *m,
                          const struct sluice_message *message)
{
        int r;

        s->handled = m;
        s->run = 1;
        s->handling = true;
        r = s->fn(s->ctx, m, SLUICE_MESSAGE, message);
        s->handling = false;
        s->handled = NULL;
        s->stop |= r != 0;
        if (r < 0) {
                take_back(&m->queue);
                s->result = r;
                return;
        }
        sluice_release(&m->queue);
        s->total += s->run;
        s->messages += s->run;
        s->stop |= s->total >= s->max;
}

/* A batch at most. 0, or why there is no other message. */
static int hand_over(struct server *s, struct sluice_member *m)
{
        const size_t batch = m->batch ? m->batch : group_of(s)->batch;
        const size_t most = s->max - s->total < batch ? s->max : s->total + batch;
        struct sluice_message message;

        while (s->total < most) {
                const int r = sluice_peek(&m->queue, &message, SLUICE_NOW);

                if (r)
                        return r;
                s->run_most = (unsigned)(most - s->total);
                hand_over_one(s, m, &message);
                if (s->stop || is_leaving(m))
                        return 0;
                /* A look in vain would be sluice_peek's slow one. Relaxed: PUBLISH:load
                 * is in sluice_peek. UNTRUSTED. */
                if (!m->check && sluice_priv_load_relaxed(sluice_priv_next_word(&m->queue)) == 0)
                        return 0;
        }
        return 0;
}

static void join(struct server *s, struct sluice_member *m)
{
        m->joined = true;
        tell(s, m, SLUICE_JOINED);
}

/* m is hot: what there is of it, and how it goes on. */
void server_visit(struct server *s, struct sluice_member *m)
{
        const size_t before = s->total;
        int r;

        if (!m->joined)
                join(s, m);
        if (s->stop || is_leaving(m))
                return; /* it stays to be visited, or goes at the next turn */
        if (m->check)
                sluice_priv_member_check_next(&m->queue);
        r = hand_over(s, m);
        if (s->total != before) {
                m->told = 0;
                s->hot[m->hot_at - 1].since = s->turn;
        }
        if (r) {
                m->check = false;
                tell_error(s, m, r);
        }
        if (m->gone)
                server_cool(s, m);
        else
                s->hot[m->hot_at - 1].word = m->check ? &server_visit_me : member_word(m);
}

/* Each hot member once, from where the last turn stopped. */
static void turn(struct server *s)
{
        unsigned left = s->warm, at = s->at;

        /* Relaxed: from some turn on. */
        if (sluice_priv_unlikely(sluice_priv_load_relaxed(&s->group->ranked) != 0)) {
                server_turn_ranked(s);
                return;
        }
        s->turn++;
        s->work += left;
        for (; left > 0 && s->warm > 0 && !s->stop; left--) {
                struct sluice_member *m;

                if (at >= s->warm)
                        at = 0;
                /* Relaxed: PUBLISH:load is in sluice_peek. UNTRUSTED. */
                if (sluice_priv_likely(sluice_priv_load_relaxed(s->hot[at].word) == 0)) {
                        at++;
                        continue;
                }
                m = s->hot[at].m;
                server_visit(s, m);
                at += m->hot_at != 0; /* else the last one stands here now */
        }
        s->at = at;
}

/* ---- Beside serving ----------------------------------------------- */

/* Walks the list: members that have gone are hot no more, and are not touched;
 * new ones are. There is room for each that was walked, hot or not, since any of
 * them may become hot; those that were walked before stand before the new ones. */
static int refresh(struct sluice_group *g)
{
        struct server *const s = &g->server;
        const uint64_t seen = sluice_priv_load_acquire(&g->changes); /* CHANGES:load */
        /* Relaxed: a hint; if it is too small, once more. */
        int r = server_reserve(s, (unsigned)sluice_priv_load_relaxed(&g->members));
        struct hot *const before = s->hot;
        struct sluice_member *m = member_at(&g->first);
        unsigned n = 0;

        if (r)
                return r;
        for (unsigned walked = 0; m && walked < s->room; m = member_at(&m->next), walked++) {
                const struct hot new = {&server_visit_me, m, s->turn};

                if (m->taken || (m->joined && m->hot_at == 0))
                        continue;
                s->spare[n] = m->hot_at ? s->hot[m->hot_at - 1] : new;
                m->hot_at = ++n;
        }
        s->hot = s->spare;
        s->spare = before;
        s->hots = s->warm = n;
        s->seen = m ? seen - 1 : seen;
        return 0;
}

/* A member is polled in vain for so many turns: until that has cost as much as
 * to park and to find it, or for hot_ns. */
static uint64_t idle_turns(const struct sluice_group *g)
{
        const struct server *s = &g->server;

        switch (g->hot_ns) {
        case SLUICE_HOT_DEFAULT:
                return (uint64_t)((s->park_cost + s->look_cost) * WORK / s->poll_cost) + 1;
        case SLUICE_HOT_NONE:
                return 1;
        default:
                return (uint64_t)(g->hot_ns / s->turn_cost) + 1;
        }
}

/* What turns take, and 64 visits in vain while that is all that is done. */
static void take_time(struct server *s)
{
        const int64_t now = sluice_now_ns(), took = now - s->now;
        const uint64_t turns = s->turn - s->turn_then;

        if (turns != 0)
                server_average(&s->turn_cost, took / (int64_t)turns);
        if (s->messages == 0 && s->work >= WORK && s->idle_since != 0)
                server_average(&s->poll_cost, took * WORK / (int64_t)s->work);
        s->now = now;
        s->turn_then = s->turn;
        s->work = s->messages = 0;
}

/* Whether its producer and its queue are still there: without making it hot, but
 * of several threads the one that leads calls no handler. */
static void probe(struct server *s, struct sluice_member *m)
{
        struct sluice_message message;
        int r;

        m->check = true;
        if (m->hot_at != 0 || s->shared) {
                server_heat(s, m);
                return;
        }
        sluice_priv_member_check_next(&m->queue);
        r = sluice_peek(&m->queue, &message, SLUICE_NOW);
        m->check = false;
        if (r == 0)
                server_heat(s, m);
        else
                tell_error(s, m, r);
}

/* A byte may be read by any process that may write it; and a producer on a key:
 * queue hangs up nothing. So once in a slice there is a look at all cold
 * members, and some producers are asked for. */
static void sweep(struct sluice_group *g)
{
        struct server *const s = &g->server;
        unsigned number = 0;

        for (struct sluice_member *m = member_at(&g->first); m; m = member_at(&m->next), number++) {
                if (m->taken || m->gone || !m->joined || s->stop)
                        continue;
                if (number >= s->probed && number < s->probed + PROBES)
                        probe(s, m);
                /* Relaxed: PUBLISH:load is the next look. UNTRUSTED. */
                else if (m->hot_at == 0 && sluice_priv_load_relaxed(member_word(m)) != 0)
                        server_heat(s, m);
        }
        s->probed = s->probed + PROBES < number ? s->probed + PROBES : 0;
        s->swept_ns = s->now;
}

static int upkeep(struct sluice_group *g)
{
        struct server *const s = &g->server;
        const bool due = s->look_due;
        int r = 0;

        take_time(s);
        if (due || s->now - s->looked_ns >= RARELY * s->look_cost)
                r = server_look(g);
        if (s->warm != s->hots && (due || s->now - s->warmed_ns >= RARELY * s->warm_cost))
                server_warm(s);
        if (g->hot_ns != SLUICE_HOT_FOREVER && s->warm != 0 &&
            s->now - s->parked_ns >= RARELY * s->park_cost)
                server_park(s, idle_turns(g));
        if (s->now - s->swept_ns >= g->slice_ns)
                sweep(g);
        return r;
}

/* ---- Serving ------------------------------------------------------ */

int server_prepare(struct sluice_group *g)
{
        struct server *const s = &g->server;
        int r = 0;

        /* CHANGES:load */
        if (sluice_priv_unlikely(sluice_priv_load_acquire(&g->changes) != s->seen))
                r = refresh(g);
        if (r == 0 && (s->look_due || s->work >= WORK))
                r = upkeep(g);
        return r;
}

/* In a section. at_once: also what has rung, so that nothing is left. */
static int pass(struct sluice_group *g, bool at_once)
{
        struct server *const s = &g->server;
        int r = server_prepare(g);

        if (r)
                return r;
        turn(s);
        if (!at_once || s->total != 0 || s->stop)
                return 0;
        r = server_look(g);
        if (r)
                return r;
        server_warm(s);
        turn(s);
        return 0;
}

int64_t server_spin_ns(const struct sluice_group *g, bool alone)
{
        if (g->hot_ns == SLUICE_HOT_FOREVER)
                return SLUICE_SPIN_FOREVER;
        if (g->spin_ns == SLUICE_SPIN_DEFAULT)
                return alone ? 0 : SPIN_DEFAULT_NS;
        return g->spin_ns == SLUICE_SPIN_NONE ? 0 : g->spin_ns;
}

bool server_is_to_sleep(const struct sluice_group *g)
{
        const struct server *const s = &g->server;
        const int64_t spin = server_spin_ns(g, s->together);

        return spin != SLUICE_SPIN_FOREVER && (s->hots == 0 || s->now - s->idle_since >= spin);
}

/* The last turn found nothing: looks on, or sleeps. 0 or why to return. */
static int rest(struct sluice_group *g, sluice_deadline until)
{
        struct server *const s = &g->server;

        if (s->idle_since == 0)
                s->idle_since = s->now = sluice_now_ns();
        if (s->now >= until)
                return -ETIMEDOUT;
        if (server_is_to_sleep(g))
                return server_sleep(g, until);
        s->work++; /* with no member hot, too, time goes by */
        sluice_priv_pause();
        return 0;
}

/* 0: go on. Negative: return that, or what was handed over. */
static int serve_once(struct sluice_group *g, sluice_deadline until)
{
        struct server *const s = &g->server;
        const size_t before = s->total;
        int r = watch_work(g);

        if (r)
                return r;
        /* Relaxed: nearly always it is 0, which orders nothing. */
        if (sluice_priv_load_relaxed(&g->interrupt) != 0)
                return -ECANCELED;
        section_begin();
        r = pass(g, until <= SLUICE_NOW);
        section_end(&g->order);
        if (r || s->stop)
                return r;
        if (until <= SLUICE_NOW)
                return -EAGAIN;
        if (s->total == before)
                return rest(g, until);
        s->idle_since = 0;
        return s->now >= until ? -ETIMEDOUT : 0;
}

/* What the call returns that ended so. */
static ssize_t result_of(struct sluice_group *g, int r)
{
        struct server *const s = &g->server;

        if (s->result)
                return s->result;
        if (r == 0 || r == -EAGAIN || r == -ETIMEDOUT)
                return (ssize_t)s->total;
        if (s->total != 0) { /* an interrupt stays as it is */
                s->error = r == -ECANCELED ? 0 : r;
                return (ssize_t)s->total;
        }
        if (r == -ECANCELED) {
                /* INTERRUPT:load. Relaxed store: the next interrupt stores 1 again. */
                (void)sluice_priv_load_acquire(&g->interrupt);
                sluice_priv_store_relaxed(&g->interrupt, 0);
        }
        return r;
}

static ssize_t serve(struct sluice_group *g, sluice_deadline until)
{
        struct server *const s = &g->server;
        int r = s->error;

        s->error = 0;
        s->total = 0;
        s->result = 0;
        s->stop = s->max == 0;
        s->idle_since = 0;
        if (until > SLUICE_NOW)
                s->now = sluice_now_ns();
        while (r == 0 && !s->stop)
                r = serve_once(g, until);
        return result_of(g, r);
}

/* 0, or why the serving thread's calls cannot be made here. */
static int server_check(const struct sluice_group *g)
{
        const int r = group_check(g);

        if (r)
                return r;
        return g->server.handling ? -EINVAL : 0;
}

ssize_t sluice_group_serve(struct sluice_group *g, sluice_group_handler *fn, void *ctx, size_t max,
                           sluice_deadline until)
{
        struct sluice_priv_entry entry;
        ssize_t r = server_check(g);

        if (r)
                return r;
        entry = sluice_priv_enter();
        g->server.fn = fn;
        g->server.ctx = ctx;
        g->server.max = max;
        r = serve(g, until);
        sluice_priv_leave(&entry);
        return r;
}

int sluice_group_fd(struct sluice_group *g)
{
        const int r = group_check(g);

        return r ? r : g->epoll_fd;
}

int sluice_group_arm(struct sluice_group *g)
{
        struct sluice_priv_entry entry;
        int r = server_check(g);

        if (r)
                return r;
        entry = sluice_priv_enter();
        r = server_arm(g);
        sluice_priv_leave(&entry);
        return r;
}

int sluice_group_disarm(struct sluice_group *g)
{
        const int r = server_check(g);

        if (r == 0)
                g->server.look_due = true;
        return r;
}

int sluice_member_next(struct sluice_member *m, struct sluice_message *message)
{
        struct server *const s = m->server;
        struct sluice_consumer *const c = &m->queue;
        const sluice_word *word;

        if (s->handled != m)
                return -EINVAL;
        if (s->run >= s->run_most)
                return -EAGAIN;
        if (c->word != 0) /* else the last one of the run was passed before */
                sluice_advance(c);
        word = sluice_priv_next_word(c);
        /* An end is told when all is released. Relaxed: PUBLISH:load is in sluice_peek.
         * UNTRUSTED. */
        if ((sluice_priv_load_relaxed(word) & SLUICE_LAYOUT_KIND) == 0 ||
            sluice_peek(c, message, SLUICE_NOW) != 0)
                return -EAGAIN;
        s->run++;
        return 0;
}

/* Its message is being handled. */
static bool is_handled(const struct sluice_member *m)
{
        return m->server->handled == m;
}

ssize_t sluice_member_recv_long(struct sluice_member *m, struct sluice_long *l,
                                const struct sluice_message *message)
{
        /* The handler has kept it, or it found no room. */
        const bool again = l->shown && message->position == l->at;
        int r;

        if (!is_handled(m))
                return -EINVAL;
        if (l->kept && !again)
                sluice_priv_give_up(&m->queue, l);
        if (!sluice_priv_show(&m->queue, l, message))
                return -EAGAIN;
        r = again && !l->kept ? 0 : sluice_priv_append(l, message);
        if (r)
                return r;
        return message->kind == SLUICE_WHOLE || message->kind == SLUICE_LAST ? (ssize_t)l->len
                                                                             : -EAGAIN;
}

int sluice_member_reply(struct sluice_member *m, uint32_t tag, const void *buf, size_t len,
                        sluice_deadline until)
{
        if (!is_handled(m) || !m->reply)
                return -EINVAL;
        return sluice_send_long(m->reply, buf, len, tag, NULL, until);
}
