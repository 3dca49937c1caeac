/* SPDX-License-Identifier: MIT */
/*
 * Hot and cold members. Hot ones stand in an array with the word that each
 * waits for, so that a look in vain touches that word and nothing of the
 * member. Cold ones are parked: DOORBELL, as in src/park.c, but with one
 * barrier for many; the byte in a member's pipe is found by epoll,
 * edge-triggered, so that a pipe that stays hung up reports it once.
 *
 * Three rules, none with a number of one machine in it:
 *   - A member is parked when looking at it in vain has cost as much as
 *     parking and finding it again does: so all in all it costs at most twice
 *     of what it would, had one known before when the next message comes.
 *   - Members are parked, and the epoll descriptor is looked at, so seldom that
 *     either takes 1/32 of the time at most.
 *   - What these cost is measured while they are done.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "group.h"

/* Longest sleep while the producers of some members wake nobody. */
#define SHORT_SLEEP_NS INT64_C(1000000)

enum { EVENTS = 128 }; /* that one look takes */

const sluice_word server_visit_me = 1;

/* ---- Hot ---------------------------------------------------------- */

const sluice_word *member_word(const struct sluice_member *m)
{
        const sluice_word *const word = sluice_priv_next_word(&m->queue);

        /* An end that was told is no news. Relaxed, UNTRUSTED: the next look decides. */
        return m->told && sluice_priv_load_relaxed(word) == SLUICE_LAYOUT_END
                       ? &m->queue.base.nothing
                       : word;
}

int server_reserve(struct server *s, unsigned n)
{
        const unsigned room = n + n / 2 + 64;
        struct hot *hot, *spare;

        if (n <= s->room)
                return 0;
        hot = realloc(s->hot, room * sizeof *hot);
        if (!hot)
                return -ENOMEM;
        s->hot = hot;
        spare = realloc(s->spare, room * sizeof *spare);
        if (!spare)
                return -ENOMEM;
        s->spare = spare;
        s->room = room;
        return 0;
}

static void unpark(struct sluice_member *m)
{
        /* Relaxed: a producer that sees it late makes one wake-up in vain. */
        sluice_priv_store_relaxed(&m->queue.own->doorbell.parked, 0);
        m->parked = false;
}

static void put_at(struct server *s, unsigned i, struct hot h)
{
        s->hot[i] = h;
        h.m->hot_at = i + 1;
}

/* From those that are visited seldom, or from the end. */
static void make_warm(struct server *s, struct sluice_member *m)
{
        const unsigned i = m->hot_at - 1;
        const struct hot h = s->hot[i];

        if (i < s->warm)
                return;
        put_at(s, i, s->hot[s->warm]);
        put_at(s, s->warm, h);
        s->hot[s->warm++].since = s->turn;
}

static void make_seldom(struct server *s, struct sluice_member *m)
{
        const unsigned i = m->hot_at - 1;
        const struct hot h = s->hot[i];

        if (i >= s->warm)
                return;
        put_at(s, i, s->hot[--s->warm]);
        put_at(s, s->warm, h);
}

/* All members that have joined have room. */
void server_heat(struct server *s, struct sluice_member *m)
{
        if (m->gone || !m->joined)
                return;
        if (m->parked)
                unpark(m);
        if (m->hot_at == 0) {
                const struct hot new = {NULL, m, s->turn};

                put_at(s, s->hots++, new);
        }
        make_warm(s, m);
        s->hot[m->hot_at - 1].word = m->check ? &server_visit_me : member_word(m);
}

void server_cool(struct server *s, struct sluice_member *m)
{
        unsigned i = m->hot_at - 1;

        if (m->hot_at == 0)
                return;
        if (i < s->warm && i != --s->warm) { /* the last warm one takes its place */
                put_at(s, i, s->hot[s->warm]);
                i = s->warm;
        }
        if (i != --s->hots)
                put_at(s, i, s->hot[s->hots]);
        m->hot_at = 0;
}

/* Those that have no pipe. */
static void unpark_hot(struct server *s)
{
        for (unsigned i = 0; i < s->hots; i++)
                if (s->hot[i].m->parked)
                        unpark(s->hot[i].m);
        s->by_futex = false;
}

void server_warm(struct server *s)
{
        const int64_t begin = sluice_now_ns();

        if (s->by_futex)
                unpark_hot(s);
        for (unsigned i = s->warm; i < s->hots; i++) {
                /* Relaxed: PUBLISH:load is in sluice_peek. UNTRUSTED. */
                if (sluice_priv_load_relaxed(s->hot[i].word) != 0)
                        make_warm(s, s->hot[i].m);
        }
        s->warmed_ns = sluice_now_ns();
        server_average(&s->warm_cost, s->warmed_ns - begin);
}

/* What the pipe contains means only "look again". Another program may fill it
 * as fast as it is emptied. */
static void drain(int fd)
{
        char bytes[512];

        for (int i = 0; i < 128; i++)
                if (read(fd, bytes, sizeof bytes) < (ssize_t)sizeof bytes)
                        return;
}

/* The next one. A turn is over when all have been looked at. */
static struct sluice_member *next_ready(struct server *s)
{
        for (unsigned left = s->warm; left > 0; left--) {
                if (s->at >= s->warm) {
                        s->at = 0;
                        s->turn++;
                }
                s->work++;
                /* Relaxed: PUBLISH:load is in sluice_peek. UNTRUSTED. */
                if (sluice_priv_load_relaxed(s->hot[s->at].word) != 0)
                        return s->hot[s->at].m;
                s->at++;
        }
        return NULL;
}

struct sluice_member *server_take(struct server *s)
{
        /* Relaxed: from some turn on. */
        const bool ranked = sluice_priv_load_relaxed(&s->group->ranked) != 0;
        struct sluice_member *const m = ranked ? server_next_ranked(s) : next_ready(s);

        if (!m)
                return NULL;
        server_cool(s, m);
        m->taken = true;
        s->messages++;
        return m;
}

void server_return(struct server *s, struct sluice_member *m)
{
        m->taken = false;
        m->hot_at = 0;
        if (m->rung) {
                m->rung = false;
                m->check = true;
                drain(sluice_priv_member_fd(&m->queue));
        }
        server_heat(s, m);
}

bool server_has_ready(const struct server *s)
{
        /* Relaxed: PUBLISH:load is the next look. UNTRUSTED. */
        for (unsigned i = 0; i < s->hots; i++)
                if (sluice_priv_load_relaxed(s->hot[i].word) != 0)
                        return true;
        return false;
}

/* ---- Parking ------------------------------------------------------ */

static void store_parked(struct sluice_member *m, uint64_t how)
{
        struct sluice_layout_consumer *const own = m->queue.own;
        const uint64_t position = m->queue.next + SLUICE_LAYOUT_HEADER_BYTES;

        /* DOORBELL:store. Relaxed: the barrier orders it. */
        sluice_priv_store_relaxed(&own->doorbell.parked,
                                  (position & ~SLUICE_LAYOUT_FLAGS) | SLUICE_LAYOUT_PARKED | how);
        sluice_priv_count(&own->counters.parks);
        m->parked = true;
}

/* For that many turns, and now. */
static bool is_idle(const struct server *s, const struct hot *h, uint64_t idle_turns)
{
        /* Relaxed: there is a last look. UNTRUSTED. */
        return s->turn - h->since >= idle_turns && h->word != &server_visit_me &&
               sluice_priv_load_relaxed(h->word) == 0;
}

/* Moves those that are idle from hot to spare, and stores their parked words: how
 * many. Those that cannot ring are visited seldom from now on. From the last to
 * the first: what takes the place of one that leaves was looked at before. */
static unsigned take_idle(struct server *s, uint64_t idle_turns)
{
        unsigned n = 0;

        for (unsigned i = idle_turns != 0 ? s->warm : s->hots; i-- > 0;) {
                const struct hot h = s->hot[i];

                if (sluice_priv_likely(!is_idle(s, &h, idle_turns)))
                        continue;
                if (!sluice_priv_member_is_rung(&h.m->queue)) {
                        make_seldom(s, h.m);
                        continue;
                }
                store_parked(h.m, SLUICE_LAYOUT_BY_FIFO);
                server_cool(s, h.m);
                s->spare[n++] = h;
        }
        return n;
}

/* The last look at each. */
static void look_again(struct server *s, unsigned n, bool parked)
{
        for (unsigned i = 0; i < n; i++) {
                struct sluice_member *const m = s->spare[i].m;

                /* DOORBELL:load. Relaxed: PUBLISH:load is the next look. UNTRUSTED. */
                if (!parked || sluice_priv_load_relaxed(member_word(m)) != 0)
                        server_heat(s, m);
        }
}

void server_park(struct server *s, uint64_t idle_turns)
{
        const int64_t begin = sluice_now_ns();
        const unsigned n = take_idle(s, idle_turns);

        if (n != 0)
                look_again(s, n, sluice_priv_member_barrier()); /* DOORBELL:fence, sleeper */
        s->parked_ns = sluice_now_ns();
        server_average(n != 0 ? &s->park_cost : &s->scan_cost, s->parked_ns - begin);
}

/* ---- Finding what has rung ---------------------------------------- */

/* Did its producer ring from this CPU? Then it does not run while this thread looks. */
static bool rang_from_here(const struct sluice_member *m)
{
        /* Relaxed, UNTRUSTED: advice, which changes only how a wait is spent. */
        const uint64_t hint = sluice_priv_load_relaxed(&m->queue.peer->doorbell.hint);
        const uint64_t cpu = (hint & SLUICE_LAYOUT_WAKE_CPU) >> SLUICE_LAYOUT_WAKE_CPU_SHIFT;

        return cpu != 0 && (int)cpu - 1 == sched_getcpu();
}

static void take_event(struct sluice_group *g, const struct epoll_event *e)
{
        struct sluice_member *m;

        switch (e->data.u64) {
        case EVENT_KICK:
                drain(g->event_fd);
                break;
        case EVENT_ALARM:
                drain(g->alarm_fd);
                break;
        case EVENT_NOTIFY:
                g->server.notified = true;
                break;
        default:
                m = e->data.ptr;
                m->rung = m->taken;
                if (m->taken)
                        break;
                drain(sluice_priv_member_fd(&m->queue));
                g->server.together = rang_from_here(m);
                /* A hang-up: or a producer that came; told anew in either case. */
                m->check |= (e->events & EPOLLHUP) != 0 || m->told != 0;
                server_heat(&g->server, m);
        }
}

int server_look(struct sluice_group *g)
{
        struct server *const s = &g->server;
        struct epoll_event events[EVENTS];
        const int64_t begin = sluice_now_ns();
        const int n = epoll_wait(g->epoll_fd, events, EVENTS, 0);

        s->look_due = n == EVENTS;
        if (n < 0 && errno != EINTR)
                return -errno;
        for (int i = 0; i < n; i++)
                take_event(g, &events[i]);
        s->looked_ns = sluice_now_ns();
        server_average(&s->look_cost, s->looked_ns - begin);
        return 0;
}

/* ---- Sleeping ----------------------------------------------------- */

/* In a section: the hot members that are left have no pipe. If all their
 * producers wake by futex, they are parked like that, and stay hot; else they are
 * looked at every millisecond. */
static bool park_by_futex(struct sluice_group *g)
{
        struct server *const s = &g->server;
        const sluice_word *words[BELL_MOST];

        if (s->hots == 0 || s->hots > BELL_MOST)
                return false;
        for (unsigned i = 0; i < s->hots; i++)
                if (s->hot[i].m->told || !sluice_priv_member_wakes(&s->hot[i].m->queue))
                        return false;
        for (unsigned i = 0; i < s->hots; i++) {
                store_parked(s->hot[i].m, 0);
                words[i] = sluice_priv_next_word(&s->hot[i].m->queue);
        }
        s->by_futex = true;
        /* DOORBELL:fence, sleeper */
        return sluice_priv_member_barrier() && bell_arm(g, words, s->hots);
}

/* In a section. true: there is nothing to do but to wait. */
static bool park_all(struct sluice_group *g)
{
        struct server *const s = &g->server;

        /* CHANGES:load. Relaxed load of `interrupt`: INTERRUPT:load is where it is taken. */
        if (sluice_priv_load_acquire(&g->changes) != s->seen ||
            sluice_priv_load_relaxed(&g->interrupt) != 0 || s->notified || s->look_due ||
            watch_due_ns(g) == 0)
                return false;
        server_park(s, 0);
        s->awaited = !server_has_ready(s) && park_by_futex(g);
        if (!server_has_ready(s))
                return true;
        server_warm(s); /* it may be one that is visited seldom */
        return false;
}

static int64_t longest_ns(const struct sluice_group *g)
{
        const bool is_short =
                g->server.hots != 0 && !g->server.awaited && g->slice_ns > SHORT_SLEEP_NS;

        return is_short ? SHORT_SLEEP_NS : g->slice_ns;
}

static int64_t sooner(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

/* Then a producer needs the processor, and does not run while this thread looks. */
bool server_is_alone(void)
{
        cpu_set_t set;

        return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1;
}

int64_t server_fall_asleep(struct sluice_group *g, sluice_deadline until)
{
        struct server *const s = &g->server;
        int64_t ns;
        bool asleep;

        section_begin();
        asleep = park_all(g);
        section_end(&g->order);
        s->now = sluice_now_ns();
        if (!asleep)
                return -1;
        ns = sooner(sooner(until - s->now, longest_ns(g)), watch_due_ns(g));
        return ns > 0 ? ns : 0;
}

int server_wait(const struct sluice_group *g, int64_t ns)
{
        const struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
        struct pollfd fd = {g->epoll_fd, POLLIN, 0};

        if (ns > 0 && ppoll(&fd, 1, &t, NULL) > 0 && (fd.revents & (POLLNVAL | POLLERR)))
                return -EBADF;
        return 0;
}

void server_wake_up(struct server *s)
{
        s->look_due = true;
        s->now = sluice_now_ns();
}

int server_sleep(struct sluice_group *g, sluice_deadline until)
{
        const int64_t ns = server_fall_asleep(g, until);
        int r;

        if (ns < 0)
                return 0;
        r = server_wait(g, ns);
        if (r == 0)
                server_wake_up(&g->server);
        return r;
}

/* The timer is set only when it has expired: an idle loop pays one system call
 * per slice for it. */
static int set_alarm(struct sluice_group *g)
{
        struct server *const s = &g->server;
        const int64_t due = s->now + sooner(longest_ns(g), watch_due_ns(g));
        const struct itimerspec t = {
                .it_value = {(time_t)(due / 1000000000), (long)(due % 1000000000)}};

        if (s->alarm_ns > s->now && s->alarm_ns <= due)
                return 0;
        if (timerfd_settime(g->alarm_fd, TFD_TIMER_ABSTIME, &t, NULL) != 0)
                return -errno;
        s->alarm_ns = due;
        return 0;
}

int server_arm(struct sluice_group *g)
{
        struct server *const s = &g->server;
        bool asleep;

        section_begin();
        asleep = park_all(g);
        section_end(&g->order);
        s->now = sluice_now_ns();
        return asleep ? set_alarm(g) : 1;
}

/* ---- What it costs here ------------------------------------------- */

/* Before the first measurement in use. */
void server_begin(struct sluice_group *g)
{
        struct server *const s = &g->server;
        struct epoll_event event;

        s->group = g;
        s->now = sluice_now_ns();
        sluice_priv_member_barrier();
        s->park_cost = sluice_now_ns() - s->now + 1;
        s->now += s->park_cost;
        epoll_wait(g->epoll_fd, &event, 1, 0);
        s->look_cost = sluice_now_ns() - s->now + 1;
        s->poll_cost = s->turn_cost = s->look_cost;
        s->swept_ns = s->now;
}
