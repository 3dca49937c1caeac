/* SPDX-License-Identifier: MIT */
/*
 * Messages longer than the ring, and SIGKILL of either side at random
 * moments, each time with a successor. A message's length and contents follow
 * from its number; what is received is compared, and numbers only grow: no
 * half message, none twice. A kill of the receiver costs two complete messages
 * at most, the one that it was in and one that it had not yet counted; a kill
 * of the sender none.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traffic.h"

#define NAME "stress-long"

struct setting {
        const char *name;
        size_t capacity;
        uint32_t align;
        uint64_t first;
        int wake;
        unsigned kills;
};

static const struct setting settings[] = {
        {"futex, 256 B", 256, 64, UINT64_C(0xffffffffffffff00), SLUICE_WAKE_FUTEX, 150},
        {"fifo, 4 KiB, aligned to 8", 1 << 12, 8, UINT64_C(0xfffff000), SLUICE_WAKE_FIFO, 150},
        {"futex, 64 KiB", 1 << 16, 64, 0, SLUICE_WAKE_FUTEX, 150},
};

enum { PRODUCER, CONSUMER };
enum { DONE, FAILED };

/* What outlives the processes. One writer each. */
static struct shared {
        sluice_word completed; /* by senders */
        sluice_word received, last;
} * shared;

/* What a process begins with. */
struct worker {
        const struct setting *s;
        const struct sluice_options *o;
};

/* Of message `number`: up to ten times the ring. */
static size_t length_of(uint32_t number, size_t capacity)
{
        uint64_t state = number;

        return (size_t)(traffic_random(&state) % (10 * capacity));
}

static void fill(unsigned char *to, size_t len, uint32_t number)
{
        for (size_t i = 0; i < len; i++)
                to[i] = (unsigned char)(number * 131 + i / 7 + (i >> 8) * 29);
}

static int fail(const char *who, int r)
{
        fprintf(stderr, "%s: %s\n", who, r < 0 ? sluice_strerror(r) : "wrong message");
        return FAILED;
}

/* The number of pieces sent so far names a message: it only grows. */
static int send_one(struct sluice_producer *p, unsigned char *bytes, size_t capacity)
{
        const uint32_t number = (uint32_t)sluice_producer_messages(p) + 1;
        const size_t len = length_of(number, capacity);
        size_t sent = 0;
        int r;

        fill(bytes, len, number);
        do {
                r = sluice_send_long(p, bytes, len, number, &sent, sluice_after(20000000));
                if (r == -EOWNERDEAD)
                        r = sluice_producer_await_peer(p, sluice_after(20000000));
                if (r && r != -ETIMEDOUT)
                        return r;
        } while (sent < len && !traffic_stop);
        if (sent == len)
                sluice_priv_store_relaxed(&shared->completed,
                                          sluice_priv_load_relaxed(&shared->completed) + 1);
        return 0;
}

static int produce(void *ctx)
{
        const struct worker *w = ctx;
        const struct setting *s = w->s;
        unsigned char *const bytes = malloc(10 * s->capacity);
        struct sluice_producer p;
        int r = bytes ? sluice_producer_open(&p, NAME, w->o) : -ENOMEM;

        if (r)
                return fail("producer", r);
        while (r == 0 && !traffic_stop)
                r = send_one(&p, bytes, s->capacity);
        if (r)
                return fail("producer", r);
        return sluice_producer_close(&p) == 0 ? DONE : FAILED;
}

static int is_right(const struct sluice_long *l, unsigned char *expected, size_t capacity)
{
        const size_t len = length_of(l->tag, capacity);

        fill(expected, len, l->tag);
        return l->len == len && memcmp(l->buf, expected, len) == 0 &&
               l->tag > sluice_priv_load_relaxed(&shared->last);
}

static int consume(void *ctx)
{
        const struct worker *w = ctx;
        const struct setting *s = w->s;
        unsigned char *const expected = malloc(10 * s->capacity);
        struct sluice_long l = {.buf = malloc(10 * s->capacity), .cap = 10 * s->capacity};
        struct sluice_consumer c;
        ssize_t r = expected && l.buf ? sluice_consumer_open(&c, NAME, w->o) : -ENOMEM;

        while (r >= 0) {
                r = sluice_recv_long(&c, &l, SLUICE_FOREVER);
                if (r >= 0 && !is_right(&l, expected, s->capacity))
                        return fail("consumer", 1);
                if (r >= 0) {
                        sluice_priv_store_relaxed(&shared->last, l.tag);
                        sluice_priv_store_relaxed(&shared->received,
                                                  sluice_priv_load_relaxed(&shared->received) + 1);
                }
                if (r == -EOWNERDEAD)
                        r = sluice_consumer_await_peer(&c, SLUICE_FOREVER);
        }
        if (r != -EPIPE)
                return fail("consumer", (int)r);
        return sluice_consumer_close(&c) == 0 ? DONE : FAILED;
}

static pid_t start(int role, struct worker w)
{
        return traffic_start(role == PRODUCER ? produce : consume, &w, role == PRODUCER);
}

static int kill_one(pid_t pids[2], int role, uint64_t *random, struct worker w)
{
        traffic_pause(random, 6000000);
        if (traffic_kill(pids[role]) != 0)
                return 1;
        pids[role] = start(role, w);
        return 0;
}

static int run(const struct setting *s, uint64_t random)
{
        const struct sluice_options o = {.size = sizeof o,
                                         .capacity = s->capacity,
                                         .record_align = s->align,
                                         .first_position = s->first,
                                         .wake = s->wake};
        const struct worker w = {s, &o};
        const uint64_t kills = traffic_scale(s->kills);
        struct sluice_queue_stat st = {.pending = 1};
        uint64_t completed, received, receivers = 0;
        pid_t pids[2];
        int failed = 0;

        memset((void *)shared, 0, sizeof *shared);
        if (sluice_create(NAME, &o) != 0)
                return 1;
        for (int role = 0; role < 2; role++)
                pids[role] = start(role, w);
        for (uint64_t i = 0; !failed && i < kills; i++) {
                const int role = (int)(traffic_random(&random) & 1);

                failed = kill_one(pids, role, &random, w);
                receivers += role == CONSUMER;
        }
        traffic_pause(&random, 50000000);
        failed = traffic_end(pids, 2, 1, failed);
        completed = sluice_priv_load_relaxed(&shared->completed);
        received = sluice_priv_load_relaxed(&shared->received);
        failed |= sluice_stat(NAME, &st) != 0 || st.pending != 0 || received == 0 ||
                  completed > received + 2 * receivers;
        failed |= sluice_remove(NAME) != 0;
        printf("%-28s %4llu kills, %7llu messages received, %5llu torn  %s\n", s->name,
               (unsigned long long)kills, (unsigned long long)received, (unsigned long long)st.torn,
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
