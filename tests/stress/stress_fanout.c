/* SPDX-License-Identifier: MIT */
/*
 * One sender, three queues, and SIGKILL of the sender or a receiver at random
 * moments, each time with a successor. Messages are numbered by attempts to
 * send them, and every receiver notes which it has got. To all: every queue has
 * got every message; but for the one that a sender was killed in, which the
 * first few queues may have and the others not. By key, and to any: exactly one
 * queue has got it; in each queue the messages of a key come in order, and only
 * the latest may come again; a key stays with its queue.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sluice/fanout.h"
#include "traffic.h"

enum { N = 3, KEYS = 7, MOST_MESSAGES = 1 << 20 };
enum { SENDER = 0, DONE = 0, FAILED };
enum how { TO_ALL, BY_KEY, TO_NEXT, TO_ANY };

static const char *const names[N] = {"stress-fanout-0", "stress-fanout-1", "stress-fanout-2"};

struct setting {
        const char *name;
        enum how how;
        size_t capacity;
        uint32_t align;
        uint64_t first;
        int wake;
        unsigned kills;
};

static const struct setting settings[] = {
        {"all, futex, 256 B", TO_ALL, 256, 64, UINT64_C(0xffffffffffffff00), SLUICE_WAKE_FUTEX,
         100},
        {"all, fifo, 4 KiB, aligned to 8", TO_ALL, 1 << 12, 8, UINT64_C(0xffffff00),
         SLUICE_WAKE_FIFO, 100},
        {"key, futex, 64 B, aligned to 8", BY_KEY, 64, 8, UINT64_C(0xffffffffffffff00),
         SLUICE_WAKE_FUTEX, 100},
        {"next, fifo, 256 B", TO_NEXT, 256, 64, 0, SLUICE_WAKE_FIFO, 100},
        {"any, fifo, 256 B", TO_ANY, 256, 64, 0, SLUICE_WAKE_FIFO, 100},
};

/* What outlives the processes. One writer each; of a queue's part its receiver. */
static struct shared {
        sluice_word attempt, completed; /* the latest message */
        uint64_t last[N][KEYS];         /* of a key */
        unsigned char got[N][MOST_MESSAGES];
} * shared;

/* Messages that a sender was killed in. */
static unsigned char broken[MOST_MESSAGES];

struct worker {
        const struct setting *s;
        const struct sluice_options *o;
        int receiver;
};

static int fail(const char *who, int r)
{
        fprintf(stderr, "%s: %s\n", who, r < 0 ? sluice_strerror(r) : "wrong message");
        return FAILED;
}

static uint64_t key_of(const struct setting *s, uint64_t number)
{
        return s->how == BY_KEY ? number % KEYS : 0;
}

/* ---- The sender --------------------------------------------------- */

/* 16 bytes, so that a half of one is seen. */
static int send_once(struct sluice_fanout *f, const struct setting *s, uint64_t number)
{
        const uint64_t value[2] = {number, ~number};
        const sluice_deadline until = sluice_after(20000000);
        const uint32_t tag = (uint32_t)number;
        int r;

        switch (s->how) {
        case TO_ALL:
                return sluice_fanout_send_all(f, value, sizeof value, tag, until);
        case BY_KEY:
                return sluice_fanout_send_key(f, key_of(s, number), value, sizeof value, tag,
                                              until);
        case TO_NEXT:
                return sluice_fanout_send_next(f, value, sizeof value, tag, until);
        default:
                r = sluice_fanout_send_any(f, value, sizeof value, tag, until);
                return r > 0 ? 0 : r;
        }
}

/* Until it is sent: whoever does not receive has a successor. */
static int send_number(struct sluice_fanout *f, const struct setting *s, uint64_t number)
{
        int r;

        sluice_priv_store_relaxed(&shared->attempt, number);
        do
                r = send_once(f, s, number);
        while ((r == -ETIMEDOUT || r == -EOWNERDEAD) && !traffic_stop);
        if (r == 0)
                sluice_priv_store_relaxed(&shared->completed, number);
        return r;
}

static int send(void *ctx)
{
        const struct worker *w = ctx;
        struct sluice_producer p[N];
        struct sluice_producer *const out[N] = {&p[0], &p[1], &p[2]};
        struct sluice_fanout f = {out, N, 0};
        uint64_t number = sluice_priv_load_relaxed(&shared->attempt);
        int r = 0;

        for (int i = 0; r == 0 && i < N; i++)
                r = sluice_producer_open(&p[i], names[i], w->o);
        while (r == 0 && !traffic_stop) {
                if (number + 1 < MOST_MESSAGES)
                        r = send_number(&f, w->s, ++number);
                else
                        usleep(1000);
        }
        if (r && r != -ETIMEDOUT && r != -EOWNERDEAD)
                return fail("sender", r);
        for (int i = 0; i < N; i++)
                sluice_producer_close(&p[i]);
        return DONE;
}

/* ---- A receiver --------------------------------------------------- */

/* What was released does not come again, and what is there is whole. again: this
 * receiver's first may be its predecessor's last. */
static bool take(const struct worker *w, const struct sluice_message *m, bool again)
{
        uint64_t value[2], *last;

        if (m->len != sizeof value)
                return false;
        memcpy(value, m->data, sizeof value);
        last = &shared->last[w->receiver][key_of(w->s, value[0])];
        if (value[1] != ~value[0] || m->tag != (uint32_t)value[0] || value[0] >= MOST_MESSAGES ||
            value[0] < *last || (value[0] == *last && !again))
                return false;
        *last = value[0];
        shared->got[w->receiver][value[0]] = 1;
        return true;
}

static int receive(void *ctx)
{
        const struct worker *w = ctx;
        struct sluice_consumer c;
        bool again = true;
        int r = sluice_consumer_open(&c, names[w->receiver], w->o);

        while (r == 0) {
                struct sluice_message m;

                r = sluice_peek(&c, &m, SLUICE_FOREVER);
                if (r == 0) {
                        if (!take(w, &m, again))
                                return fail(names[w->receiver], 1);
                        again = false;
                        r = sluice_release(&c);
                }
                if (r == -EOWNERDEAD)
                        r = sluice_consumer_await_peer(&c, SLUICE_FOREVER);
        }
        if (r != -EPIPE)
                return fail(names[w->receiver], r);
        return sluice_consumer_close(&c) == 0 ? DONE : FAILED;
}

/* ---- The kills ---------------------------------------------------- */

static pid_t start(int which, struct worker w)
{
        w.receiver = which - 1;
        return traffic_start(which == SENDER ? send : receive, &w, which == SENDER);
}

static void note_broken(void)
{
        const uint64_t attempt = sluice_priv_load_relaxed(&shared->attempt);

        if (attempt != sluice_priv_load_relaxed(&shared->completed))
                broken[attempt] = 1;
}

static int kill_some(pid_t pids[N + 1], struct worker w, uint64_t kills, uint64_t *random)
{
        for (uint64_t i = 0; i < kills; i++) {
                const int which = (int)(traffic_random(random) % (2 * N));
                const int victim = which < N ? SENDER : which - N + 1;

                traffic_pause(random, 4000000);
                if (traffic_kill(pids[victim]) != 0)
                        return 1;
                if (victim == SENDER)
                        note_broken();
                pids[victim] = start(victim, w);
        }
        traffic_pause(random, 50000000);
        return 0;
}

/* One message, in the queues where it must be. */
static bool is_right(enum how how, uint64_t number)
{
        int n = 0, first_without = N;

        for (int i = N - 1; i >= 0; i--) {
                n += shared->got[i][number];
                if (!shared->got[i][number])
                        first_without = i;
        }
        if (how == TO_ALL)
                return n == N || (broken[number] && n == first_without);
        return n == 1 || (broken[number] && n == 0);
}

/* The messages of a key are all in one queue: which one, home says, -1 at first. */
static bool is_at_home(int home[KEYS], const struct setting *s, uint64_t number)
{
        int *const at = &home[key_of(s, number)];

        for (int i = 0; s->how == BY_KEY && i < N; i++) {
                if (!shared->got[i][number])
                        continue;
                if (*at >= 0 && *at != i)
                        return false;
                *at = i;
        }
        return true;
}

static int check_all(const struct setting *s)
{
        const uint64_t attempts = sluice_priv_load_relaxed(&shared->attempt);
        int home[KEYS] = {-1, -1, -1, -1, -1, -1, -1};

        for (uint64_t i = 1; i <= attempts; i++)
                if (!is_right(s->how, i) || !is_at_home(home, s, i)) {
                        fprintf(stderr, "message %llu of %llu: in queues %d, %d, %d\n",
                                (unsigned long long)i, (unsigned long long)attempts,
                                shared->got[0][i], shared->got[1][i], shared->got[2][i]);
                        return 1;
                }
        return attempts == 0;
}

static int run(const struct setting *s, uint64_t random)
{
        const struct sluice_options o = {.size = sizeof o,
                                         .capacity = s->capacity,
                                         .record_align = s->align,
                                         .first_position = s->first,
                                         .wake = s->wake};
        const struct worker w = {s, &o, 0};
        const uint64_t kills = traffic_scale(s->kills);
        pid_t pids[N + 1];
        int failed;

        memset((void *)shared, 0, sizeof *shared);
        memset(broken, 0, sizeof broken);
        for (int i = 0; i < N; i++)
                if (sluice_create(names[i], &o) != 0)
                        return 1;
        for (int i = 0; i <= N; i++)
                pids[i] = start(i, w);
        failed = kill_some(pids, w, kills, &random);
        failed = traffic_end(pids, N + 1, 1, failed);
        note_broken(); /* told to end in the middle */
        failed |= check_all(s);
        for (int i = 0; i < N; i++)
                failed |= sluice_remove(names[i]) != 0;
        printf("%-32s %4llu kills, %8llu messages  %s\n", s->name, (unsigned long long)kills,
               (unsigned long long)sluice_priv_load_relaxed(&shared->completed),
               failed ? "FAILED" : "ok");
        fflush(stdout);
        return failed;
}

static int run_one(int i, uint64_t seed)
{
        return run(&settings[i], seed);
}

int main(int argc, char **argv)
{
        shared = traffic_shared(sizeof *shared);
        return traffic_run(argc, argv, sizeof settings / sizeof *settings, run_one);
}
