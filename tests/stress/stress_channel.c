/* SPDX-License-Identifier: MIT */
/*
 * SIGKILL of the client or the server of a channel at random moments: in calls
 * and replies, in opening and making, in closing; each time with a successor,
 * which goes on. A reply is that to the client's own request, whole, or there is
 * none. Whole requests are served in order, none is lost, and one is served again
 * only after a server died. Then makers and removers are killed: whatever they
 * leave, the next one makes a channel of it, and removes it without a rest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sluice/channel.h"
#include "traffic.h"

#define NAME "stress-channel"

struct setting {
        const char *name;
        size_t capacity;
        uint32_t align;
        uint64_t first;
        int wake;
        bool whole; /* no message is longer than the ring allows for one */
        unsigned kills;
};

static const struct setting settings[] = {
        {"futex, 256 B, whole", 256, 64, UINT64_C(0xffffffffffffff00), SLUICE_WAKE_FUTEX, true, 80},
        {"futex, 256 B, long", 256, 64, UINT64_C(0xffffff00), SLUICE_WAKE_FUTEX, false, 80},
        {"fifo, 4 KiB, aligned to 8, whole", 1 << 12, 8, 0, SLUICE_WAKE_FIFO, true, 80},
        {"fifo, 4 KiB, aligned to 8, long", 1 << 12, 8, UINT64_C(0xfffffffffffff000),
         SLUICE_WAKE_FIFO, false, 80},
};

enum { CLIENT, SERVER };
enum { DONE, FAILED };
enum { LEAST = 8, MOST_WHOLE = 100, MOST_LONG = 12000 };

static const int64_t patience_ns = 100000000;

/* What outlives the processes. One writer each. */
static struct shared {
        sluice_word replies; /* that clients got */
        sluice_word served;  /* by servers: the tag of the latest request */
} * shared;

struct worker {
        const struct setting *s;
        const struct sluice_options *o;
        uint64_t random;
};

static int fail(const char *who, ssize_t r)
{
        fprintf(stderr, "%s: %s\n", who, r < 0 ? sluice_strerror(r) : "wrong message");
        return FAILED;
}

/* One that the other side's death, or its being late, explains. */
static bool is_expected(ssize_t r)
{
        return r >= 0 || r == -ETIMEDOUT || r == -EOWNERDEAD || r == -EPIPE;
}

static size_t random_len(const struct setting *s, uint64_t *random)
{
        const size_t most = s->whole ? MOST_WHOLE : MOST_LONG;

        return LEAST + (size_t)(traffic_random(random) % (most - LEAST + 1));
}

static void fill(unsigned char *to, size_t len, uint64_t *random)
{
        for (size_t i = 0; i < len; i++)
                to[i] = (unsigned char)(traffic_random(random) >> 32);
}

/* Of a request, and of a reply the request. */
static void answer(unsigned char *bytes, size_t len)
{
        for (size_t i = 0; i < len; i++)
                bytes[i] = (unsigned char)~bytes[i];
}

/* ---- The client --------------------------------------------------- */

static ssize_t call_once(struct sluice_channel *ch, struct worker *w)
{
        static unsigned char request[MOST_LONG], reply[MOST_LONG];
        const size_t len = random_len(w->s, &w->random);
        ssize_t r;

        fill(request, len, &w->random);
        r = sluice_call(ch, request, len, reply, sizeof reply, sluice_after(patience_ns));
        if (r < 0)
                return r;
        answer(reply, (size_t)r);
        if ((size_t)r != len || memcmp(request, reply, len) != 0)
                return -EILSEQ;
        sluice_priv_store_relaxed(&shared->replies, sluice_priv_load_relaxed(&shared->replies) + 1);
        return 0;
}

/* A few calls; then it is closed and opened again. */
static ssize_t be_client(struct worker *w)
{
        const uint64_t calls = traffic_random(&w->random) % 50;
        struct sluice_channel ch;
        ssize_t r = sluice_channel_open(&ch, NAME, SLUICE_CLIENT, w->o);

        if (r)
                return r;
        for (uint64_t i = 0; i < calls && is_expected(r) && !traffic_stop; i++)
                r = call_once(&ch, w);
        return is_expected(r) ? sluice_channel_close(&ch) : r;
}

static int client(void *ctx)
{
        struct worker w = *(const struct worker *)ctx;
        ssize_t r = 0;

        while (r == 0 && !traffic_stop)
                r = be_client(&w);
        return r ? fail("client", r) : DONE;
}

/* ---- The server --------------------------------------------------- */

/* Tags count messages: of whole requests none is left out. again: this server's
 * first may be its predecessor's last. */
static bool is_in_order(const struct setting *s, uint32_t tag, bool again)
{
        const uint32_t ahead = tag - (uint32_t)sluice_priv_load_relaxed(&shared->served);

        return s->whole ? ahead == 1 || (ahead == 0 && again)
                        : ahead != 0 && ahead < UINT32_MAX / 2;
}

static int serve(struct sluice_channel *ch, uint32_t tag, unsigned char *bytes, size_t len)
{
        int r;

        answer(bytes, len);
        r = sluice_reply(ch, tag, bytes, len, sluice_after(patience_ns));
        if (is_expected(r))
                sluice_priv_store_relaxed(&shared->served, tag);
        return r;
}

/* In place: a request is released when it has been served. */
static ssize_t serve_whole(struct sluice_channel *ch, const struct setting *s, bool *again)
{
        unsigned char bytes[MOST_WHOLE];
        struct sluice_message m;
        int r = sluice_peek(&ch->in, &m, sluice_after(patience_ns));

        if (r)
                return r;
        if (m.len > sizeof bytes || !is_in_order(s, m.tag, *again))
                return -EILSEQ;
        *again = false;
        memcpy(bytes, m.data, m.len);
        r = serve(ch, m.tag, bytes, m.len);
        return is_expected(r) ? sluice_release(&ch->in) : r;
}

static ssize_t serve_long(struct sluice_channel *ch, const struct setting *s,
                          struct sluice_long *request)
{
        const ssize_t n = sluice_recv_long(&ch->in, request, sluice_after(patience_ns));

        if (n >= 0 && !is_in_order(s, request->tag, false))
                return -EILSEQ;
        return n < 0 ? n : serve(ch, request->tag, request->buf, (size_t)n);
}

static ssize_t be_server(struct worker *w)
{
        static unsigned char bytes[MOST_LONG];
        const uint64_t requests = traffic_random(&w->random) % 50;
        struct sluice_long request = {.buf = bytes, .cap = sizeof bytes};
        struct sluice_channel ch;
        bool again = true;
        ssize_t r = sluice_channel_open(&ch, NAME, SLUICE_SERVER, w->o);

        if (r)
                return r;
        for (uint64_t i = 0; i < requests && is_expected(r) && !traffic_stop; i++)
                r = w->s->whole ? serve_whole(&ch, w->s, &again) : serve_long(&ch, w->s, &request);
        return is_expected(r) ? sluice_channel_close(&ch) : r;
}

static int server(void *ctx)
{
        struct worker w = *(const struct worker *)ctx;
        ssize_t r = 0;

        while (r == 0 && !traffic_stop)
                r = be_server(&w);
        return r ? fail("server", r) : DONE;
}

/* ---- The kills ---------------------------------------------------- */

static pid_t start(int role, struct worker *w, uint64_t *random)
{
        w->random = traffic_random(random);
        return traffic_start(role == CLIENT ? client : server, w, true);
}

static int kill_some(pid_t pids[2], struct worker *w, uint64_t kills, uint64_t *random)
{
        for (uint64_t i = 0; i < kills; i++) {
                const int role = (int)(traffic_random(random) & 1);

                traffic_pause(random, 6000000);
                if (traffic_kill(pids[role]) != 0)
                        return 1;
                pids[role] = start(role, w, random);
        }
        return 0;
}

/* With nobody killed any more there are replies again. */
static int await_replies(void)
{
        const uint64_t before = sluice_priv_load_relaxed(&shared->replies);
        const sluice_deadline until = sluice_after(INT64_C(60000000000));

        while (sluice_priv_load_relaxed(&shared->replies) < before + 10) {
                if (sluice_now_ns() > until)
                        return 1;
                usleep(1000);
        }
        return 0;
}

static struct sluice_options options_of(const struct setting *s)
{
        return (struct sluice_options){.size = sizeof(struct sluice_options),
                                       .capacity = s->capacity,
                                       .record_align = s->align,
                                       .first_position = s->first,
                                       .wake = s->wake,
                                       .flags = SLUICE_CREATE};
}

static void say(const char *what, uint64_t kills, uint64_t replies, int failed)
{
        printf("%-34s %4llu kills, %7llu replies  %s\n", what, (unsigned long long)kills,
               (unsigned long long)replies, failed ? "FAILED" : "ok");
        fflush(stdout);
}

static int run(const struct setting *s, uint64_t random)
{
        const struct sluice_options o = options_of(s);
        const uint64_t kills = traffic_scale(s->kills);
        struct worker w = {s, &o, 0};
        pid_t pids[2];
        int failed;

        memset((void *)shared, 0, sizeof *shared);
        for (int role = 0; role < 2; role++)
                pids[role] = start(role, &w, &random);
        failed = kill_some(pids, &w, kills, &random);
        if (!failed)
                failed = await_replies();
        failed = traffic_end(pids, 2, 2, failed);
        failed |= sluice_channel_remove(NAME) != 0;
        say(s->name, kills, sluice_priv_load_relaxed(&shared->replies), failed);
        return failed;
}

/* ---- Makers and removers ------------------------------------------ */

static int make_and_remove(void *ctx)
{
        const struct worker *w = ctx;

        for (;;) {
                struct sluice_channel ch;
                int r = sluice_channel_open(&ch, NAME, SLUICE_CLIENT, w->o);

                if (r == 0)
                        r = sluice_channel_close(&ch);
                if (r == 0)
                        r = sluice_channel_remove(NAME);
                if (r)
                        return fail("maker", r);
        }
}

static bool is_there(const char *directory)
{
        char path[4200];

        snprintf(path, sizeof path, "%s/" NAME, directory);
        return access(path, F_OK) == 0;
}

/* What a dead one has left is a channel by now, or becomes one; or, every other
 * time, is removed as it is. */
static int clear(const struct sluice_options *o, bool make)
{
        struct sluice_channel ends[2];
        int r = 0;

        for (int side = 0; make && r == 0 && side < 2; side++)
                r = sluice_channel_open(&ends[side], NAME, (enum sluice_side)side, o);
        for (int side = 0; make && r == 0 && side < 2; side++)
                r = sluice_channel_close(&ends[side]);
        if (r == 0)
                r = sluice_channel_remove(NAME);
        if (r == -ENOENT && !make)
                r = 0;
        return r ? fail("after a maker", r) : is_there(getenv("SLUICE_DIR"));
}

static int run_makers(uint64_t random)
{
        const struct sluice_options o = options_of(&settings[0]);
        const uint64_t kills = traffic_scale(300);
        struct worker w = {&settings[0], &o, 0};
        int failed = 0;

        for (uint64_t i = 0; !failed && i < kills; i++) {
                const pid_t pid = traffic_start(make_and_remove, &w, false);

                traffic_pause(&random, 8000000);
                failed = traffic_kill(pid);
                failed |= clear(&o, i % 2);
        }
        say("made and removed", kills, 0, failed);
        return failed;
}

static int run_one(int i, uint64_t seed)
{
        const int n = sizeof settings / sizeof *settings;

        return i < n ? run(&settings[i], seed) : run_makers(seed);
}

int main(int argc, char **argv)
{
        shared = traffic_shared(sizeof *shared);
        return traffic_run(argc, argv, sizeof settings / sizeof *settings + 1, run_one);
}
