/* SPDX-License-Identifier: MIT */
/*
 * SIGKILL behind every instruction of every call. A child executes one
 * call under ptrace and dies somewhere in it; then survivors and
 * successors of both roles check what it has left: all that was
 * published before is there once, in order and intact, what the call
 * itself publishes is there wholly or not at all, counts and positions
 * agree, traffic continues across the end of the ring, and when the queue
 * is removed nothing of it is left in the system.
 *
 * STRESS_STEP_ALL=1: every instruction, else a sample that is spread
 * evenly over the longer calls. An argument: only the tests whose names
 * contain it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "numbered.h"
#include "step.h"
#include "traffic.h"

#define KILLS  UINT64_C(20000)
#define KEY    "key:0x51755"
#define SECOND NUMBERED_SECOND
#define CHECK  NUMBERED_CHECK

/* What a call is about: messages; the role that it takes or leaves; the
 * queue, from nothing or over what a dead creator has left. */
enum { TRAFFIC, PASSAGE, MAKE, REMAKE, REMOVE, REMOVE_HALF };
/* Which endpoint dies. */
enum { PRODUCER, CONSUMER };
/* The peer: a handle of this process; one that is armed, so its descriptor
 * becomes readable; a process that sleeps in a call. */
enum { AWAKE, ARMED, SLEEPING };
enum { FULL = 99 };

struct scenario {
        int kind, role, peer;
        int wake;         /* of the endpoint that dies, and of an armed peer */
        unsigned pending; /* messages in the ring; FULL: as many as fit */
        int wraps;        /* which message of the call passes the end of the ring, from 1 */
        unsigned moves;   /* messages that the call publishes or releases: all or none */
        uint32_t align;   /* 0: 8 */
        const char *queue;
};

static struct numbered q;
static const struct scenario *now;
static struct step_census before;
static pid_t sleeper;                          /* the peer that sleeps, or 0 */
static sluice_deadline until;                  /* of the call */
static unsigned char out[3][NUMBERED_LONGEST]; /* what it is going to send */

/* ---- Before the call ---------------------------------------------- */

/* The first message that comes after more than a lap and lies as the
 * scenario wants it. */
static uint64_t base(void)
{
        for (uint64_t i = 14;; i++) {
                bool fits = true;

                for (int n = 0; n < 4; n++)
                        fits &= numbered_wraps(&q, i + (uint64_t)n) == (n + 1 == now->wraps);
                if (fits)
                        return i;
        }
}

/* The ring has been filled before, so that old bytes lie everywhere. The
 * endpoint that will die is not open yet. */
static int prepare_traffic(void)
{
        const uint64_t at = base(), pending = now->pending == FULL ? 0 : now->pending;
        const uint64_t sent = now->role == PRODUCER ? at : at + pending;
        int r = numbered_open(&q);

        while (r == 0 && q.sent < sent) {
                r = numbered_put(&q, SLUICE_NOW);
                if (r == 0 && q.received < sent - pending)
                        r = numbered_take(&q, SLUICE_NOW);
        }
        while (r == 0 && now->pending == FULL)
                r = numbered_put(&q, SLUICE_NOW);
        if (r == -EAGAIN && now->pending == FULL)
                r = 0;
        for (uint64_t i = 0; i < 3; i++)
                numbered_fill(&q, out[i], q.sent + i);
        if (now->kind == REMOVE)
                return r;
        if (now->role == PRODUCER || now->peer == SLEEPING)
                sluice_producer_close(&q.p);
        if (now->role == CONSUMER || now->peer == SLEEPING)
                sluice_consumer_close(&q.c);
        return r;
}

/* As a creator leaves it that dies before its last store. */
static int halve(void)
{
        struct sluice_queue_stat st;
        sluice_word *magic;

        if (sluice_stat(q.queue, &st) != 0)
                return 1;
        magic = shmat(st.shmid, NULL, 0);
        if (magic == (void *)-1)
                return 1;
        sluice_priv_store_relaxed(magic, 0);
        return shmdt((void *)magic);
}

static int prepare(const void *scenario)
{
        int r = 0;

        now = scenario;
        q.queue = now->queue ? now->queue : "step";
        q.align = now->align ? now->align : 8;
        q.wake = now->peer == ARMED ? now->wake : SLUICE_WAKE_FUTEX;
        q.sent = q.received = 0;
        if (now->kind != MAKE)
                r = numbered_create(&q);
        if (r == 0 && (now->kind == REMAKE || now->kind == REMOVE_HALF))
                r = halve();
        if (r == 0 && (now->kind == TRAFFIC || now->kind == PASSAGE || now->kind == REMOVE))
                r = prepare_traffic();
        return r;
}

static void clean(void)
{
        if (sleeper > 0) {
                kill(sleeper, SIGKILL);
                waitpid(sleeper, NULL, 0);
                sleeper = 0;
        }
        numbered_close(&q);
        sluice_remove(q.queue);
        step_wipe();
        before = step_census();
}

/* ---- In the child ------------------------------------------------- */

static int nothing(void)
{
        return 0;
}

static int enter(void)
{
        const struct sluice_options o = numbered_options(&q, now->wake, 10 * SECOND);

        until = sluice_after(10 * SECOND);
        return now->role == PRODUCER ? sluice_producer_open(&q.p, q.queue, &o)
                                     : sluice_consumer_open(&q.c, q.queue, &o);
}

static int leave(void)
{
        return now->role == PRODUCER ? sluice_producer_close(&q.p) : sluice_consumer_close(&q.c);
}

static int call_create(void)
{
        return numbered_create(&q);
}

static int call_remove(void)
{
        return sluice_remove(q.queue);
}

static int call_send(void)
{
        return sluice_send(&q.p, out[0], numbered_length(&q, q.sent), until);
}

static int call_batch(void)
{
        for (unsigned i = 0; i < now->moves; i++) {
                const size_t len = numbered_length(&q, q.sent + i);
                void *payload;
                int r = sluice_reserve(&q.p, len, &payload, SLUICE_NOW);

                if (r)
                        return r;
                memcpy(payload, out[i], len);
                sluice_set_tag(&q.p, i);
                r = sluice_stage(&q.p, len);
                if (r)
                        return r;
        }
        return sluice_publish(&q.p);
}

static int call_recv(void)
{
        const ssize_t n = sluice_recv(&q.c, out[0], sizeof out[0], until);

        return n < 0 ? (int)n : (size_t)n != numbered_length(&q, q.received);
}

static int call_peek(void)
{
        struct sluice_message m;
        int r = sluice_peek(&q.c, &m, SLUICE_NOW);

        for (unsigned i = 1; r == 0 && i < now->moves; i++) {
                r = sluice_advance(&q.c);
                if (r == 0)
                        r = sluice_peek(&q.c, &m, SLUICE_NOW);
        }
        return r ? r : sluice_release(&q.c);
}

static int call_arm(void)
{
        const int r = now->role == PRODUCER ? sluice_producer_arm(&q.p, numbered_length(&q, q.sent))
                                            : sluice_consumer_arm(&q.c);

        if (r)
                return r;
        return now->role == PRODUCER ? sluice_producer_disarm(&q.p) : sluice_consumer_disarm(&q.c);
}

/* ---- The other side ----------------------------------------------- */

static void wake_consumer(void)
{
        numbered_put(&q, SLUICE_NOW);
}

static void wake_producer(void)
{
        while (numbered_take(&q, SLUICE_NOW) == 0)
                continue;
}

/* Traffic until the peer is dead. */
static _Noreturn void sleep_in_call(void)
{
        const struct sluice_options o = numbered_options(&q, SLUICE_WAKE_FUTEX, 5000000);
        int r;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (now->role == PRODUCER) {
                r = sluice_consumer_open(&q.c, q.queue, &o);
                while (r == 0)
                        r = numbered_take(&q, sluice_after(5 * SECOND));
        } else {
                r = sluice_producer_open(&q.p, q.queue, &o);
                while (r == 0)
                        r = numbered_put(&q, sluice_after(5 * SECOND));
        }
        _exit(r == -EOWNERDEAD || (r == -EPIPE && now->kind == PASSAGE) ? 0 : 1);
}

/* The endpoint that will die has opened; now its peer falls asleep. */
static int lull(void)
{
        const struct timespec moment = {0, 20000};
        const struct sluice_endpoint_stat *peer;
        struct sluice_queue_stat st;

        if (now->peer == ARMED)
                return now->role == PRODUCER
                               ? sluice_consumer_arm(&q.c)
                               : sluice_producer_arm(&q.p, numbered_length(&q, q.sent));
        peer = now->role == PRODUCER ? &st.consumer : &st.producer;
        sleeper = fork();
        if (sleeper == 0)
                sleep_in_call();
        do {
                nanosleep(&moment, NULL);
                if (sluice_stat(q.queue, &st) != 0 || waitpid(sleeper, NULL, WNOHANG) != 0)
                        return 1;
        } while (!peer->asleep || !step_asleep(sleeper));
        return 0;
}

/* It notices the message or the death by itself. */
static int settle(void)
{
        const pid_t pid = sleeper;
        struct pollfd fd = {-1, POLLIN, 0};
        int status;

        if (now->peer == ARMED) {
                fd.fd = now->role == PRODUCER ? sluice_consumer_fd(&q.c) : sluice_producer_fd(&q.p);
                CHECK(poll(&fd, 1, 1000), 1);
                if (now->role == PRODUCER)
                        sluice_consumer_disarm(&q.c);
                else
                        sluice_producer_disarm(&q.p);
        } else if (now->peer == SLEEPING) {
                sleeper = 0;
                CHECK(waitpid(pid, &status, 0), pid);
                CHECK(status, 0);
        }
        return 0;
}

/* ---- After the death ---------------------------------------------- */

static int check_nothing_left(void)
{
        const struct step_census left = step_census();

        CHECK(left.segments, before.segments);
        CHECK(left.sets, before.sets);
        CHECK(left.entries, before.entries);
        CHECK(left.descriptor, before.descriptor);
        return 0;
}

/* Both handles are open: continues, then removes everything. */
static int check_end(void)
{
        struct sluice_queue_stat st;

        if (numbered_go_on(&q) != 0)
                return 1;
        CHECK(sluice_stat(q.queue, &st), 0);
        CHECK(st.producer.messages, q.sent);
        CHECK(st.consumer.messages, q.sent);
        CHECK(st.attached, 2);
        CHECK(sluice_producer_close(&q.p), 0);
        CHECK(sluice_consumer_close(&q.c), 0);
        CHECK(sluice_remove(q.queue), 0);
        return check_nothing_left();
}

/* What is published and released now, seen from outside. */
static int check_moved(const struct step_death *d)
{
        const bool ours = now->peer != SLEEPING, producer = now->role == PRODUCER;
        struct sluice_queue_stat st;
        uint64_t moved;

        CHECK(sluice_stat(q.queue, &st), 0);
        CHECK(st.producer.held, ours && !producer);
        CHECK(st.consumer.held, ours && producer);
        CHECK(st.attached, ours);
        CHECK(st.producer.position, numbered_end(&q, st.producer.messages));
        CHECK(st.consumer.position, numbered_end(&q, st.consumer.messages));
        moved = producer ? st.producer.messages - q.sent : st.consumer.messages - q.received;
        if (moved != 0 || d->ended)
                CHECK(moved, now->moves);
        if (now->peer != AWAKE && d->ended)
                CHECK((producer ? st.producer.wakes : st.consumer.wakes) != 0, true);
        if (ours && producer)
                CHECK(st.consumer.messages, q.received);
        if (ours && !producer)
                CHECK(st.producer.messages, q.sent);
        if (!ours && producer) /* the sleeper has used them up */
                CHECK(st.consumer.messages, st.producer.messages);
        q.sent = st.producer.messages;
        q.received = st.consumer.messages;
        return 0;
}

/* The survivor receives what there is, and then gets the death reported. */
static int check_notice(void)
{
        int r = 0;

        while (r == 0)
                r = now->role == PRODUCER ? numbered_take(&q, sluice_after(SECOND))
                                          : numbered_put(&q, sluice_after(SECOND));
        if (r != -EPIPE || now->kind != PASSAGE)
                CHECK(r, -EOWNERDEAD);
        if (now->role == PRODUCER)
                CHECK(q.received, q.sent);
        return 0;
}

static int check_traffic(const struct step_death *d)
{
        bool survivor = now->peer != SLEEPING;

        if (settle() != 0 || check_moved(d) != 0)
                return 1;
        if (survivor && d->turn % 2 == 0 && check_notice() != 0)
                return 1;
        if (survivor && d->turn % 4 >= 2) {
                CHECK(now->role == PRODUCER ? sluice_consumer_close(&q.c)
                                            : sluice_producer_close(&q.p),
                      0);
                survivor = false;
        }
        if (now->role == CONSUMER || !survivor)
                CHECK(numbered_open_consumer(&q), 0);
        if (now->role == PRODUCER || !survivor)
                CHECK(numbered_open_producer(&q), 0);
        CHECK(sluice_producer_messages(&q.p), q.sent);
        CHECK(sluice_consumer_messages(&q.c), q.received);
        return check_end();
}

/* A queue is there or not: as an opener finds it, so creator and remover
 * do. */
static int check_made(const struct step_death *d)
{
        int r = numbered_open_producer(&q);
        bool complete = r == 0;

        if (!complete && r != -EINPROGRESS)
                CHECK(r, -ENOENT);
        if (d->ended || now->kind == REMOVE_HALF)
                CHECK(complete, now->kind != REMOVE_HALF);
        if (complete)
                CHECK(sluice_producer_close(&q.p), 0);
        if (d->turn % 2 == 1) {
                r = sluice_remove(q.queue);
                if (complete || r != -ENOENT)
                        CHECK(r, 0);
                /* An empty directory may be in use by others: it stays. */
                if ((r == 0 || step_census().entries == 0) && check_nothing_left() != 0)
                        return 1;
                complete = false;
        }
        CHECK(numbered_create(&q), complete ? -EEXIST : 0);
        CHECK(numbered_open(&q), 0);
        return check_end();
}

/* Handles that were open when their queue was removed. */
static int check_stale(void)
{
        int r = 0;

        while (r == 0)
                r = numbered_take(&q, sluice_after(SECOND));
        CHECK(r, -ESTALE);
        CHECK(q.received, q.sent);
        for (r = 0; r == 0;)
                r = numbered_put(&q, sluice_after(SECOND));
        CHECK(r, -ESTALE);
        numbered_close(&q);
        q.sent = q.received = 0;
        return 0;
}

/* Both handles were open: no other process gets their roles while the queue
 * exists, and they are stale once it does not. */
static int check_removed(const struct step_death *d)
{
        const struct sluice_options o = numbered_options(&q, SLUICE_WAKE_FUTEX, 0);
        struct sluice_producer second;
        int r = sluice_producer_open(&second, q.queue, &o);
        bool complete = r == -EBUSY;

        if (r == 0)
                sluice_producer_close(&second);
        if (!complete && r != -EINPROGRESS)
                CHECK(r, -ENOENT);
        if (d->ended)
                CHECK(complete, false);
        if (d->turn % 2 == 1) {
                r = sluice_remove(q.queue);
                if (complete || r != -ENOENT)
                        CHECK(r, 0);
                complete = false;
        }
        CHECK(numbered_create(&q), complete ? -EEXIST : 0);
        if (!complete) {
                if (check_stale() != 0)
                        return 1;
                CHECK(numbered_open(&q), 0);
        }
        return check_end();
}

static int check(const void *scenario, const struct step_death *d)
{
        (void)scenario; /* the one that was prepared */
        if (now->kind == TRAFFIC || now->kind == PASSAGE)
                return check_traffic(d);
        return now->kind == REMOVE ? check_removed(d) : check_made(d);
}

/* ---- Scenarios ---------------------------------------------------- */

#define ALONE(call)                       \
        {                                 \
                nothing, NULL, call, NULL \
        }
#define INSIDE(call)                    \
        {                               \
                enter, NULL, call, NULL \
        }
#define WOKEN(call, wake)               \
        {                               \
                enter, NULL, call, wake \
        }
#define WAKING(call)                    \
        {                               \
                enter, lull, call, NULL \
        }
#define WHERE(...)                  \
        &(const struct scenario)    \
        {                           \
                .kind = __VA_ARGS__ \
        }

static const struct step_test tests[] = {
        {"create", ALONE(call_create), WHERE(MAKE)},
        {"create, key", ALONE(call_create), WHERE(MAKE, .queue = KEY)},
        {"create over a half-made", ALONE(call_create), WHERE(REMAKE)},
        {"create over a half-made, key", ALONE(call_create), WHERE(REMAKE, .queue = KEY)},
        {"remove", ALONE(call_remove), WHERE(REMOVE, .pending = 2)},
        {"remove, key", ALONE(call_remove), WHERE(REMOVE, .pending = 2, .queue = KEY)},
        {"remove a half-made", ALONE(call_remove), WHERE(REMOVE_HALF)},
        {"remove a half-made, key", ALONE(call_remove), WHERE(REMOVE_HALF, .queue = KEY)},
        {"producer open, futex", ALONE(enter), WHERE(PASSAGE, PRODUCER, .pending = 2)},
        {"producer open, fifo", ALONE(enter), WHERE(PASSAGE, PRODUCER, .wake = 1, .pending = 2)},
        {"consumer open, futex", ALONE(enter), WHERE(PASSAGE, CONSUMER, .pending = 2)},
        {"consumer open, fifo", ALONE(enter), WHERE(PASSAGE, CONSUMER, .wake = 1, .pending = 2)},
        {"send", INSIDE(call_send), WHERE(TRAFFIC, PRODUCER, .pending = 1, .moves = 1)},
        {"send across the end", INSIDE(call_send),
         WHERE(TRAFFIC, PRODUCER, .pending = 1, .wraps = 1, .moves = 1)},
        {"send, lines", INSIDE(call_send),
         WHERE(TRAFFIC, PRODUCER, .pending = 1, .moves = 1, .align = 64)},
        {"send across the end, lines", INSIDE(call_send),
         WHERE(TRAFFIC, PRODUCER, .pending = 1, .wraps = 1, .moves = 1, .align = 64)},
        {"batch across the end", INSIDE(call_batch),
         WHERE(TRAFFIC, PRODUCER, .pending = 1, .wraps = 2, .moves = 3)},
        {"batch that begins there", INSIDE(call_batch),
         WHERE(TRAFFIC, PRODUCER, .pending = 1, .wraps = 1, .moves = 3)},
        {"batch across the end, lines", INSIDE(call_batch),
         WHERE(TRAFFIC, PRODUCER, .pending = 1, .wraps = 2, .moves = 3, .align = 64)},
        {"recv", INSIDE(call_recv), WHERE(TRAFFIC, CONSUMER, .pending = 2, .moves = 1)},
        {"recv across the end", INSIDE(call_recv),
         WHERE(TRAFFIC, CONSUMER, .pending = 2, .wraps = 1, .moves = 1)},
        {"peek, advance, release", INSIDE(call_peek),
         WHERE(TRAFFIC, CONSUMER, .pending = 3, .wraps = 2, .moves = 2)},
        {"consumer sleeps, futex", WOKEN(call_recv, wake_consumer),
         WHERE(TRAFFIC, CONSUMER, .moves = 1)},
        {"consumer sleeps, fifo", WOKEN(call_recv, wake_consumer),
         WHERE(TRAFFIC, CONSUMER, .wake = 1, .moves = 1)},
        {"producer sleeps, futex", WOKEN(call_send, wake_producer),
         WHERE(TRAFFIC, PRODUCER, .pending = FULL, .moves = 1)},
        {"producer sleeps, fifo", WOKEN(call_send, wake_producer),
         WHERE(TRAFFIC, PRODUCER, .wake = 1, .pending = FULL, .moves = 1)},
        {"consumer arms, disarms", INSIDE(call_arm), WHERE(TRAFFIC, CONSUMER, .wake = 1)},
        {"producer arms, disarms", INSIDE(call_arm),
         WHERE(TRAFFIC, PRODUCER, .wake = 1, .pending = FULL)},
        {"send wakes, futex", WAKING(call_send), WHERE(TRAFFIC, PRODUCER, SLEEPING, .moves = 1)},
        {"send wakes, fifo", WAKING(call_send),
         WHERE(TRAFFIC, PRODUCER, ARMED, .wake = 1, .moves = 1)},
        {"release wakes, futex", WAKING(call_peek),
         WHERE(TRAFFIC, CONSUMER, SLEEPING, .pending = FULL, .moves = 5)},
        {"release wakes, fifo", WAKING(call_peek),
         WHERE(TRAFFIC, CONSUMER, ARMED, .wake = 1, .pending = FULL, .moves = 5)},
        {"producer close", INSIDE(leave), WHERE(PASSAGE, PRODUCER, .pending = 2)},
        {"producer close wakes, futex", WAKING(leave), WHERE(PASSAGE, PRODUCER, SLEEPING)},
        {"producer close wakes, fifo", WAKING(leave), WHERE(PASSAGE, PRODUCER, ARMED, .wake = 1)},
        {"consumer close", INSIDE(leave), WHERE(PASSAGE, CONSUMER, .pending = 2)},
        {"consumer close wakes, futex", WAKING(leave),
         WHERE(PASSAGE, CONSUMER, SLEEPING, .pending = FULL)},
        {"consumer close wakes, fifo", WAKING(leave),
         WHERE(PASSAGE, CONSUMER, ARMED, .wake = 1, .pending = FULL)},
};

int main(int argc, char **argv)
{
        static const struct step_frame frame = {prepare, check, clean};
        const char *all = getenv("STRESS_STEP_ALL"), *tmp = getenv("TMPDIR");
        const uint64_t kills = all && strcmp(all, "1") == 0 ? UINT64_MAX : traffic_scale(KILLS);
        unsigned passed, failed;
        char directory[256];

        snprintf(directory, sizeof directory, "%s/step.XXXXXX", tmp ? tmp : "/tmp");
        if (!step_start(argv) || !mkdtemp(directory))
                return fprintf(stderr, "no single steps here, or no directory\n"), 1;
        setenv("SLUICE_DIR", directory, 1);
        before = step_census();
        failed = step_run(tests, sizeof tests / sizeof *tests, &frame, kills,
                          argc > 1 ? argv[1] : "", &passed);
        failed += rmdir(directory) != 0;
        printf("%u passed, %u failed\n", passed, failed);
        return failed != 0;
}
