/* SPDX-License-Identifier: MIT */
/*
 * The first message after a while: from just before it is sent until the receiver,
 * which sleeps for all of its queues, has it. Between two there is time to fall
 * asleep. A trial's figure is the median of its messages.
 */
#define _GNU_SOURCE
#include "many.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sluice/group.h"

enum { MOST = 32, MEMBERS = 500, FEW = 1 };

#define GAP_NS 300e3

/* One that sleeps: its n members were made, of which the last gets messages. */
struct sleeper {
        const char *name;
        bool (*open)(struct sleeper *s, unsigned n); /* false: not possible here */
        void (*send)(struct sleeper *s, const void *message);
        void (*receive)(struct sleeper *s, void *message);
        unsigned n;
        MEASURE_APART struct sluice_producer producer;
        MEASURE_APART struct sluice_group *group;
        MEASURE_APART unsigned char slot[MANY_LEN];
        int fd[2], epoll_fd, others[MEMBERS];
        MEASURE_APART _Atomic uint64_t received;
        MEASURE_APART double sent[MOST], late[MOST];
};

static void need(bool fine, const char *what)
{
        if (!fine)
                bench_die("%s: %s", what, strerror(errno));
}

/* ---- A group ------------------------------------------------------ */

static void queue_name(char *name, size_t size, const struct sleeper *s, unsigned i)
{
        snprintf(name, size, "first-%u-%u", s->n, i);
}

static void group_close(struct sleeper *s)
{
        char name[40];

        sluice_producer_close(&s->producer);
        (void)sluice_group_destroy(s->group);
        for (unsigned i = 0; i < s->n; i++) {
                queue_name(name, sizeof name, s, i);
                (void)sluice_remove(name);
        }
}

static bool group_open(struct sleeper *s, unsigned n)
{
        const struct sluice_options o = {
                .size = sizeof o, .flags = SLUICE_CREATE, .capacity = IDLE_CAPACITY};
        char name[40];
        int r = 0;

        if (sluice_group_create(&s->group, NULL) != 0)
                bench_die("no group");
        for (unsigned i = 0; i < n && r == 0; i++) {
                queue_name(name, sizeof name, s, i);
                r = sluice_group_add(s->group, name, &o, NULL, NULL);
        }
        if (r == 0)
                r = sluice_producer_open(&s->producer, name, NULL);
        if (r == 0)
                return true;
        bench_note("not possible here: %u parked members: %s\n", n, sluice_limit());
        group_close(s);
        return false;
}

static void group_send(struct sleeper *s, const void *message)
{
        need(sluice_send(&s->producer, message, MANY_LEN, SLUICE_FOREVER) == 0, "send");
}

static int take(void *to, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        (void)m;
        if (event == SLUICE_MESSAGE)
                memcpy(to, message->data, MANY_LEN);
        return 0;
}

static void group_receive(struct sleeper *s, void *message)
{
        while (sluice_group_serve(s->group, take, message, 1, SLUICE_FOREVER) == 0)
                continue;
}

/* ---- A pipe, an epoll of eventfds --------------------------------- */

static bool pipe_open(struct sleeper *s, unsigned n)
{
        (void)n;
        return pipe2(s->fd, O_CLOEXEC) == 0;
}

static void pipe_send(struct sleeper *s, const void *message)
{
        need(write(s->fd[1], message, MANY_LEN) == MANY_LEN, "write");
}

static void pipe_receive(struct sleeper *s, void *message)
{
        need(read(s->fd[0], message, MANY_LEN) == MANY_LEN, "read");
}

static bool eventfd_open(struct sleeper *s, unsigned n)
{
        struct epoll_event e = {.events = EPOLLIN};

        s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        for (unsigned i = 0; i < n; i++) {
                s->others[i] = e.data.fd = eventfd(0, EFD_CLOEXEC);
                if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->others[i], &e) != 0)
                        return false;
        }
        s->fd[1] = s->others[n - 1];
        return true;
}

static void eventfd_send(struct sleeper *s, const void *message)
{
        const uint64_t one = 1;

        memcpy(s->slot, message, MANY_LEN);
        need(write(s->fd[1], &one, sizeof one) == sizeof one, "eventfd");
}

static void eventfd_receive(struct sleeper *s, void *message)
{
        struct epoll_event e;
        uint64_t n;

        while (epoll_wait(s->epoll_fd, &e, 1, -1) != 1)
                continue;
        need(read(e.data.fd, &n, sizeof n) == sizeof n, "eventfd");
        memcpy(message, s->slot, MANY_LEN);
}

/* ---- A trial ------------------------------------------------------ */

enum { KINDS = 3 };

static struct sleeper sleepers[KINDS][2] = {
        {{.name = "sluice group", .open = group_open, .send = group_send, .receive = group_receive},
         {.name = "sluice group",
          .open = group_open,
          .send = group_send,
          .receive = group_receive}},
        {{.name = "pipe", .open = pipe_open, .send = pipe_send, .receive = pipe_receive},
         {.name = "pipe", .open = pipe_open, .send = pipe_send, .receive = pipe_receive}},
        {{.name = "epoll of eventfds",
          .open = eventfd_open,
          .send = eventfd_send,
          .receive = eventfd_receive},
         {.name = "epoll of eventfds",
          .open = eventfd_open,
          .send = eventfd_send,
          .receive = eventfd_receive}}};

static void send_after_gaps(struct bench_side *side)
{
        struct sleeper *const s = side->a;
        unsigned char message[MANY_LEN];

        for (uint64_t i = 0; i < side->n; i++) {
                double now = bench_now();
                const double due = now + GAP_NS;

                many_fill(message, 0, i);
                for (; now < due; now = bench_now())
                        bench_relax();
                s->sent[i] = now;
                s->send(s, message);
                while (atomic_load(&s->received) <= i)
                        bench_relax();
        }
}

static void take_each(struct bench_side *side)
{
        static struct many_seen seen;
        struct sleeper *const s = side->a;
        unsigned char message[MANY_LEN];

        memset(&seen, 0, sizeof seen);
        for (uint64_t i = 0; i < side->n; i++) {
                s->receive(s, message);
                s->late[i] = bench_now() - s->sent[i];
                many_check(&seen, message, s->name);
                atomic_store(&s->received, i + 1);
        }
}

static double trial(const struct bench_case *c, uint64_t n)
{
        struct sleeper *const s = &sleepers[c->arg][c->arg2];
        const uint64_t messages = n < MOST ? n : MOST;

        if (s->n == 0) {
                s->n = c->arg2 ? MEMBERS : FEW;
                if (!s->open(s, s->n)) {
                        s->n = 0;
                        return -1;
                }
        }
        atomic_store(&s->received, 0);
        (void)bench_threads(take_each, send_after_gaps, s, NULL, messages);
        return bench_spread_of(s->late, messages).median;
}

void many_first_add(void)
{
        static const char *const labels[] = {"1", "500"};

        for (int kind = 0; kind < KINDS; kind++)
                for (int many = 0; many < 2; many++) {
                        const struct bench_case c = {.contender = sleepers[kind][many].name,
                                                     .metric = "first message",
                                                     .label = labels[many],
                                                     .x = many ? MEMBERS : FEW,
                                                     .bytes = MANY_LEN,
                                                     .kind = BENCH_COST,
                                                     .role = kind ? BENCH_RIVAL : BENCH_OURS,
                                                     .base = kind == 1,
                                                     .trial = trial,
                                                     .arg = kind,
                                                     .arg2 = many,
                                                     .most = MOST};

                        (void)bench_add(&c);
                }
}

/* Descriptors are the process's, queues are not. */
void many_first_end(void)
{
        for (int many = 0; many < 2; many++)
                if (sleepers[0][many].n != 0)
                        group_close(&sleepers[0][many]);
}
