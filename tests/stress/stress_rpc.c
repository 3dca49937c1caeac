/* SPDX-License-Identifier: MIT */
/*
 * 1,024 clients call one server, each over a channel of its own in a watched
 * directory, and are killed at random, or close. Each call that returns has the
 * reply to its request; the server gets the requests of each client once and in
 * order, all of one that has closed, and of one that was killed at most one more than
 * it knows to be answered. At the end the directory is empty, but for channels whose
 * creators were killed before they had opened them.
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

enum { CLIENTS = 1024, CALLS = 200, LONGEST = 1500 };

/* In memory that all processes share. */
struct client {
        _Atomic int pid;
        _Atomic int opened;        /* sluice_channel_open has returned */
        _Atomic uint64_t answered; /* calls that have returned */
        _Atomic int closed;
        uint64_t served; /* the server's */
        int ended;
};

static struct client *client;
static char directory[200];
static int clients;

struct message {
        uint64_t client, number;
        unsigned char more[LONGEST];
};

static size_t len_of(uint64_t seed)
{
        return offsetof(struct message, more) + traffic_random(&seed) % LONGEST;
}

/* ---- Clients ------------------------------------------------------ */

static int call_once(struct sluice_channel *ch, int i, uint64_t number)
{
        struct message request = {(uint64_t)i, number, {0}}, reply;
        const size_t len = len_of(number);
        ssize_t n;

        memset(request.more, (int)number, LONGEST);
        n = sluice_call(ch, &request, len, &reply, sizeof reply, SLUICE_FOREVER);
        request.number = ~number;
        if (n == (ssize_t)len && memcmp(&request, &reply, len) == 0)
                return 0;
        fprintf(stderr, "client %d, call %llu: %zd\n", i, (unsigned long long)number, n);
        return 1;
}

static int call_all(int i, uint64_t random)
{
        const struct sluice_options o = {
                .size = sizeof o, .flags = SLUICE_CREATE, .capacity = 4096};
        struct client *c = &client[i];
        struct sluice_channel ch;
        char name[210];
        int r;

        atomic_store(&c->pid, getpid());
        snprintf(name, sizeof name, "%s/", directory);
        r = sluice_channel_open(&ch, name, SLUICE_CLIENT, &o);
        if (r)
                return fprintf(stderr, "client %d: %s\n", i, sluice_strerror(r)), 1;
        atomic_store(&c->opened, 1);
        for (uint64_t number = 0; r == 0 && number < CALLS; number++) {
                r = call_once(&ch, i, number);
                atomic_store(&c->answered, number + 1);
                if (traffic_random(&random) % 8 == 0)
                        crowd_nap(1000000);
        }
        if (sluice_channel_close(&ch) != 0 || ch.late != 0)
                r = 1;
        atomic_store(&c->closed, r == 0);
        return r;
}

/* ---- The server --------------------------------------------------- */

struct server {
        int failures;
        int ended;    /* members */
        int killed;   /* clients that had been served */
        int given_up; /* replies */
};

static void fail(struct server *s, const char *what, uint64_t found, uint64_t expected)
{
        traffic_differs((uint64_t)s->failures++, what, found, expected);
}

static void end(struct server *s, struct client *c, enum sluice_event event)
{
        const uint64_t answered = atomic_load(&c->answered);

        if (c->served != answered && c->served != answered + 1)
                fail(s, "served of a client that has ended", c->served, answered);
        if (event == SLUICE_ENDED && (c->served != CALLS || answered != CALLS))
                fail(s, "served of one that has closed", c->served, CALLS);
        if (c->ended++)
                fail(s, "ends of a client", (uint64_t)c->ended, 1);
}

static void answer(struct server *s, struct sluice_member *m, const struct sluice_message *message)
{
        struct message got;
        struct client *c;
        int r;

        if (message->len > sizeof got) {
                fail(s, "length", message->len, sizeof got);
                return;
        }
        memcpy(&got, message->data, message->len);
        c = &client[got.client % CLIENTS];
        sluice_member_set_user(m, c);
        if (got.number != c->served++)
                fail(s, "request", got.number, c->served - 1);
        got.number = ~got.number;
        r = sluice_member_reply(m, message->tag, &got, message->len, SLUICE_NOW);
        if (r == -EPIPE || r == -EOWNERDEAD)
                s->given_up++; /* it was killed while it waited */
        else if (r)
                fail(s, "reply", (uint64_t)-r, 0);
}

static int take(void *ctx, struct sluice_member *m, enum sluice_event event,
                const struct sluice_message *message)
{
        struct client *c = sluice_member_user(m);
        struct server *s = ctx;

        if (event == SLUICE_MESSAGE)
                answer(s, m, message);
        if (event == SLUICE_VIOLATED || event == SLUICE_REMOVED)
                fail(s, "event", event, SLUICE_DIED);
        if (event != SLUICE_ENDED && event != SLUICE_DIED)
                return 0;
        s->ended++;
        if (c)
                end(s, c, event);
        return 0;
}

/* ---- What is left ------------------------------------------------- */

static bool was_opened(int pid)
{
        for (int i = 0; i < clients; i++)
                if (atomic_load(&client[i].pid) == pid)
                        return atomic_load(&client[i].opened) != 0;
        return true;
}

static int count_left(struct server *s)
{
        DIR *dir = opendir(directory);
        int n = 0;

        for (const struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
                char name[480];

                if (e->d_name[0] == '.')
                        continue;
                if (was_opened(atoi(e->d_name)))
                        fail(s, "left by an opened client", (uint64_t)atoi(e->d_name), 0);
                snprintf(name, sizeof name, "%s/%s", directory, e->d_name);
                sluice_channel_remove(name);
                n++;
        }
        if (dir)
                closedir(dir);
        return n;
}

static void check_all(struct server *s)
{
        for (int i = 0; i < clients; i++) {
                const struct client *c = &client[i];

                if (atomic_load(&c->answered) != 0 && c->ended != 1)
                        fail(s, "ends of a client that was served", (uint64_t)c->ended, 1);
                s->killed += c->served != 0 && !atomic_load(&c->closed);
                if (atomic_load(&c->closed) && c->served != CALLS)
                        fail(s, "served of a client that went well", c->served, CALLS);
        }
}

int main(int argc, char **argv)
{
        uint64_t seed = traffic_seed(argc, argv);
        const struct crowd crowd = {
                .total = (int)traffic_scale(CLIENTS), .at_once = 32, .spared = 3, .body = call_all};
        const char *tmp = getenv("TMPDIR");
        struct server s = {0};
        int left;

        clients = crowd.total;
        snprintf(directory, sizeof directory, "%s/stress-rpc-%d", tmp ? tmp : "/tmp", getpid());
        client = mmap(NULL, CLIENTS * sizeof *client, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (client == MAP_FAILED || mkdir(directory, 0700) != 0)
                return 1;
        if (crowd_serve(directory, SLUICE_WATCH_REMOVE | SLUICE_WATCH_CHANNELS, take, &s, &s.ended,
                        crowd_start(&crowd, seed)) != 0)
                s.failures++;
        check_all(&s);
        left = count_left(&s);
        if (rmdir(directory) != 0)
                s.failures++;
        printf("%d clients, %d killed between calls or in one, %d members have ended, "
               "%d replies to the dead, %d channels without a client were left\n",
               clients, s.killed, s.ended, s.given_up, left);
        printf("%d passed, %d failed\n", s.failures == 0, s.failures != 0);
        return s.failures != 0;
}
