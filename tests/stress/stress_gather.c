/* SPDX-License-Identifier: MIT */
/*
 * 1,024 processes send to one reader, each by a queue of its own with a unique
 * name in a watched directory, and are killed at random, or close. The reader
 * receives from each all that it had published when it ended, in order and once,
 * and removes what was left behind. At the end the directory is empty, but for
 * queues whose creators were killed before they had opened them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crowd.h"
#include "sluice/group.h"
#include "traffic.h"

enum { SENDERS = 1024, MESSAGES = 400 };

/* In memory that all processes share. */
struct sender {
        _Atomic uint64_t sent; /* stored after it is published */
        _Atomic int closed;
        uint64_t received; /* the reader's */
        int ended;
};

struct shared {
        struct sender sender[SENDERS];
};

static struct shared *shared;
static char directory[200];
static int senders;

struct message {
        uint64_t sender, number;
};

/* ---- Senders ------------------------------------------------------ */

static int send_all(int i, uint64_t random)
{
        const struct sluice_options o = {
                .size = sizeof o, .flags = SLUICE_CREATE, .capacity = 4096};
        struct sender *s = &shared->sender[i];
        struct message m = {(uint64_t)i, 0};
        struct sluice_producer p;
        char name[210];
        int r;

        snprintf(name, sizeof name, "%s/", directory);
        r = sluice_producer_open(&p, name, &o);
        for (; r == 0 && m.number < MESSAGES; m.number++) {
                r = sluice_send(&p, &m, sizeof m, SLUICE_FOREVER);
                atomic_store(&s->sent, m.number + 1);
                if (traffic_random(&random) % 64 == 0)
                        crowd_nap(200000);
        }
        if (r) {
                fprintf(stderr, "sender %d: %d\n", i, r);
                return 1;
        }
        sluice_producer_close(&p);
        atomic_store(&s->closed, 1);
        return 0;
}

/* ---- The reader --------------------------------------------------- */

struct reader {
        int failures;
        int ended; /* members */
};

static void fail(struct reader *r, const char *what, uint64_t found, uint64_t expected)
{
        traffic_differs((uint64_t)r->failures++, what, found, expected);
}

/* A sender that was killed may have published one that it has not told. */
static void end(struct reader *r, struct sender *s, enum sluice_event event)
{
        const uint64_t sent = atomic_load(&s->sent);

        if (s->received != sent && s->received != sent + 1)
                fail(r, "received of a sender that has ended", s->received, sent);
        if (event == SLUICE_ENDED && s->received != MESSAGES)
                fail(r, "received of one that has closed", s->received, MESSAGES);
        if (s->ended++)
                fail(r, "ends of a sender", (uint64_t)s->ended, 1);
}

static int take(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        struct reader *r = ctx;
        struct sender *s = sluice_member_user(m);
        struct message got;

        if (event == SLUICE_ENDED || event == SLUICE_DIED) {
                r->ended++;
                if (s)
                        end(r, s, event);
        } else if (event == SLUICE_VIOLATED || event == SLUICE_REMOVED) {
                fail(r, "event", event, SLUICE_DIED);
        }
        if (event != SLUICE_MESSAGE)
                return 0;
        memcpy(&got, message->data, sizeof got);
        s = &shared->sender[got.sender % SENDERS];
        sluice_member_set_user(m, s);
        if (got.number != s->received)
                fail(r, "message", got.number, s->received);
        s->received++;
        return 0;
}

static int count_left(void)
{
        DIR *dir = opendir(directory);
        int n = 0;

        for (const struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
                char name[480];

                if (e->d_name[0] == '.')
                        continue;
                snprintf(name, sizeof name, "%s/%s", directory, e->d_name);
                sluice_remove(name);
                n++;
        }
        if (dir)
                closedir(dir);
        return n;
}

static void check_all(struct reader *r)
{
        for (int i = 0; i < senders; i++) {
                const struct sender *s = &shared->sender[i];

                if (atomic_load(&s->sent) != 0 && s->ended != 1)
                        fail(r, "ends of a sender that has sent", (uint64_t)s->ended, 1);
        }
}

int main(int argc, char **argv)
{
        uint64_t seed = traffic_seed(argc, argv);
        const char *tmp = getenv("TMPDIR");
        struct reader r = {0};
        const struct crowd crowd = {
                .total = (int)traffic_scale(SENDERS), .at_once = 64, .spared = 4, .body = send_all};
        int left;

        senders = crowd.total;
        snprintf(directory, sizeof directory, "%s/stress-gather-%d", tmp ? tmp : "/tmp", getpid());
        shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        if (shared == MAP_FAILED || mkdir(directory, 0700) != 0)
                return 1;
        if (crowd_serve(directory, SLUICE_WATCH_REMOVE, take, &r, &r.ended,
                        crowd_start(&crowd, seed)) != 0)
                r.failures++;
        check_all(&r);
        left = count_left();
        rmdir(directory);
        printf("%d senders, %d members have ended, %d queues without a producer were left\n",
               senders, r.ended, left);
        printf("%d passed, %d failed\n", r.failures == 0, r.failures != 0);
        return r.failures != 0;
}
