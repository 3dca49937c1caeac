/* SPDX-License-Identifier: MIT */
/*
 * Suite ipc: two processes, everything that waits waits by sleeping: sluice
 * after it has spun for a while, as is its default, or at once. Stream and
 * round trip at 64 B, 1 KiB and 64 KiB, payload written and compared in full.
 * Base of the stream: the pipe.
 */
#include "bench_ipc.h"

#include <stdlib.h>
#include <string.h>

struct channel {
        const struct bench_ipc *ipc;
        void *ctx;
        size_t len;
};

static unsigned char *message(struct bench_side *s)
{
        return s->buf + BENCH_IPC_FRONT;
}

static void begin(struct bench_side *s, const struct channel *c)
{
        if (c->ipc->begin)
                c->ipc->begin(c->ctx, s == bench_theirs);
}

static void end(struct bench_side *s, const struct channel *c)
{
        if (c->ipc->end)
                c->ipc->end(c->ctx, s == bench_theirs);
}

static void put_one(struct bench_side *s, const struct channel *c, int which, uint64_t i)
{
        bench_fill(message(s), i, c->len);
        c->ipc->send(c->ctx, which, message(s), c->len);
}

static void get_one(struct bench_side *s, const struct channel *c, int which, uint64_t i)
{
        c->ipc->recv(c->ctx, which, message(s), c->len);
        if (!bench_good(message(s), i, c->len))
                bench_corrupt(c->ipc->name, i);
}

/* The other side of a contender that calls back. */
struct server {
        struct bench_side *s;
        const struct channel *c;
        bool answers; /* each message, not only the first */
        uint64_t next;
};

static bool serve_one(void *arg, const void *msg)
{
        struct server *v = arg;

        if (!bench_good(msg, v->next, v->c->len))
                bench_corrupt(v->c->ipc->name, v->next);
        if (v->answers || v->next == 0)
                put_one(v->s, v->c, 1, v->next);
        if (v->next == 0)
                bench_timed_begin(v->s);
        return v->next++ < v->s->n;
}

static void serve(struct bench_side *s, bool answers)
{
        struct server v = {s, s->a, answers, 0};

        v.c->ipc->serve(v.c->ctx, serve_one, &v);
}

/* The first message there and back is not timed: joining takes its time. */
static void start_here(struct bench_side *s, const struct channel *c)
{
        begin(s, c);
        put_one(s, c, 0, 0);
        get_one(s, c, 1, 0);
}

static void start_there(struct bench_side *s, const struct channel *c)
{
        begin(s, c);
        get_one(s, c, 0, 0);
        put_one(s, c, 1, 0);
}

static void put(struct bench_side *s)
{
        const struct channel *c = s->a;
        start_here(s, c);
        bench_timed_begin(s);
        for (uint64_t i = 1; i <= s->n; i++)
                put_one(s, c, 0, i);
        get_one(s, c, 1, s->n + 1); /* all has arrived */
        bench_timed_end(s);
        end(s, c);
}

static void get(struct bench_side *s)
{
        const struct channel *c = s->a;

        if (c->ipc->serve) {
                begin(s, c);
                serve(s, false);
        } else {
                start_there(s, c);
                bench_timed_begin(s);
                for (uint64_t i = 1; i <= s->n; i++)
                        get_one(s, c, 0, i);
        }
        put_one(s, c, 1, s->n + 1);
        bench_timed_end(s);
        end(s, c);
}

static void ping(struct bench_side *s)
{
        const struct channel *c = s->a;
        start_here(s, c);
        bench_timed_begin(s);
        for (uint64_t i = 1; i <= s->n; i++) {
                put_one(s, c, 0, i);
                get_one(s, c, 1, i);
        }
        bench_timed_end(s);
        end(s, c);
}

static void pong(struct bench_side *s)
{
        const struct channel *c = s->a;

        if (c->ipc->serve) {
                begin(s, c);
                serve(s, true);
        } else {
                start_there(s, c);
                bench_timed_begin(s);
                for (uint64_t i = 1; i <= s->n; i++) {
                        get_one(s, c, 0, i);
                        put_one(s, c, 1, i);
                }
        }
        bench_timed_end(s);
        end(s, c);
}

static double trial(const struct bench_case *c, uint64_t n)
{
        const struct bench_ipc *ipc = c->ctx;
        struct channel channel = {ipc, NULL, (size_t)c->arg};
        double ns;

        if (!ipc->open || (ipc->most && channel.len > ipc->most))
                return -1;
        channel.ctx = ipc->open(channel.len);
        if (!channel.ctx)
                return -1;
        ns = bench_children(c->arg2 ? put : ping, c->arg2 ? get : pong, &channel, NULL, n);
        ipc->close(channel.ctx);
        return ns;
}

int main(int argc, char **argv)
{
        static const struct bench_ipc *const lists[] = {
                bench_ipc_sluice, bench_ipc_kernel, bench_ipc_shm, bench_ipc_boost,
                bench_ipc_libqb,  bench_ipc_zmq,    bench_ipc_nng, bench_ipc_iceoryx};
        static const struct {
                const char *label;
                long len;
        } sizes[] = {{"64", 64}, {"1 KiB", 1024}, {"64 KiB", 65536}};

        bench_begin(argc, argv, "ipc", 90);
        for (size_t l = 0; l < sizeof lists / sizeof *lists; l++)
                for (const struct bench_ipc *ipc = lists[l]; ipc->name; ipc++)
                        for (int k = 0; k < 6; k++) {
                                const struct bench_case c = {
                                        .contender = ipc->name,
                                        .metric = k % 2 ? "ipc stream" : "ipc roundtrip",
                                        .label = sizes[k / 2].label,
                                        .x = (double)sizes[k / 2].len,
                                        .bytes = (double)sizes[k / 2].len,
                                        .kind = k % 2 ? BENCH_RATE : BENCH_LATENCY,
                                        .base = k % 2 && strcmp(ipc->name, "pipe") == 0,
                                        .trial = trial,
                                        .ctx = ipc,
                                        .arg = sizes[k / 2].len,
                                        .arg2 = k % 2};

                                (void)bench_add(&c);
                        }
        bench_run(bench_options.seconds, 5e6);
        bench_end();
        return 0;
}
