/* SPDX-License-Identifier: MIT */
/* A trial of a contender of the suite ipc, in two children. */
#include "../src/measure/roundtrip.h"
#include "bench_ipc.h"

struct channel {
        const struct bench_ipc *ipc;
        void *ctx;
        size_t len;
};

/* One side's way through a channel. */
struct way {
        struct bench_side *s;
        const struct channel *c;
        int out; /* `which` that it sends into */
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
        payload_fill(message(s), i, c->len);
        c->ipc->send(c->ctx, which, message(s), c->len);
}

static void get_one(struct bench_side *s, const struct channel *c, int which, uint64_t i)
{
        c->ipc->recv(c->ctx, which, message(s), c->len);
        if (!payload_good(message(s), i, c->len))
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

        if (!payload_good(msg, v->next, v->c->len))
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

static int way_put(void *way, uint64_t i)
{
        const struct way *w = way;

        put_one(w->s, w->c, w->out, i);
        return 0;
}

static int way_get(void *way, uint64_t i)
{
        const struct way *w = way;

        get_one(w->s, w->c, !w->out, i);
        return 0;
}

static void ping(struct bench_side *s)
{
        struct way w = {s, s->a, 0};

        start_here(s, w.c);
        bench_timed_begin(s);
        (void)roundtrip_initiator(&w, way_put, way_get, NULL, s->n);
        bench_timed_end(s);
        end(s, w.c);
}

static void pong(struct bench_side *s)
{
        struct way w = {s, s->a, 1};

        if (w.c->ipc->serve) {
                begin(s, w.c);
                serve(s, true);
        } else {
                start_there(s, w.c);
                bench_timed_begin(s);
                (void)roundtrip_reflector(&w, way_put, way_get, s->n);
        }
        bench_timed_end(s);
        end(s, w.c);
}

static double run(const struct bench_ipc *ipc, size_t len, bench_side_fn *near, bench_side_fn *far,
                  uint64_t n)
{
        struct channel channel = {ipc, NULL, len};
        double ns;

        if (!ipc->open || (ipc->most && len > ipc->most))
                return -1;
        channel.ctx = ipc->open(len);
        if (!channel.ctx)
                return -1;
        ns = bench_children(near, far, &channel, NULL, n);
        ipc->close(channel.ctx);
        return ns;
}

double bench_ipc_roundtrip(const struct bench_ipc *ipc, size_t len, uint64_t n)
{
        return run(ipc, len, ping, pong, n);
}

double bench_ipc_stream(const struct bench_ipc *ipc, size_t len, uint64_t n)
{
        return run(ipc, len, put, get, n);
}
