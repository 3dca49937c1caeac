/* SPDX-License-Identifier: MIT */
/* Two queues under one name. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "endpoint.h"
#include "name.h"
#include "sluice/channel.h"

/* How often a directory is made anew that another process removes. */
enum { MAKE_TRIES = 100 };

/* How often a client that waits for room looks for replies. */
enum { LOOK_NS = 1000000 };

struct paths {
        struct sluice_priv_name name;
        char request[SLUICE_NAME_MAX + 1];
        char reply[SLUICE_NAME_MAX + 1];
};

static int join_path(char to[SLUICE_NAME_MAX + 1], const char *directory, const char *entry)
{
        const int len = snprintf(to, SLUICE_NAME_MAX + 1, "%s/%s", directory, entry);

        return len < 0 || len > (int)SLUICE_NAME_MAX ? -ENAMETOOLONG : 0;
}

static int paths_of(struct paths *p, const char *name)
{
        int r = sluice_priv_name_parse(&p->name, name);

        if (r)
                return r;
        if (p->name.is_key)
                return -EOPNOTSUPP;
        r = join_path(p->request, p->name.path, SLUICE_PRIV_REQUEST);
        return r ? r : join_path(p->reply, p->name.path, SLUICE_PRIV_REPLY);
}

/* Is a directory there, and no queue? */
static int look_at(const struct paths *p)
{
        struct sluice_priv_place place;
        int r = sluice_priv_place_open(&place, &p->name);

        if (r)
                return r;
        r = sluice_priv_place_has_queue(&place);
        sluice_priv_place_close(&place);
        return r > 0 ? -ENOTEMPTY : r;
}

/* ---- Making and removing ------------------------------------------ */

/* A directory without a queue; *made: by this call. */
static int make_directory(const struct paths *p, mode_t mode, bool *made)
{
        struct sluice_priv_place place;
        int r = sluice_priv_place_make(&place, &p->name);

        if (r)
                return r;
        *made = place.made;
        if (place.made)
                r = sluice_priv_place_finish(&place, mode);
        if (r == 0)
                r = sluice_priv_place_has_queue(&place);
        sluice_priv_place_close(&place);
        return r > 0 ? -ENOTEMPTY : r;
}

/* Both queues; -EEXIST: `request` was there. What cannot be completed is removed
 * again, as far as this call has made it. */
static int make_queues(const struct paths *p, const struct sluice_options *options)
{
        const int reply = sluice_create(p->reply, options);
        const int r = reply && reply != -EEXIST ? reply : sluice_create(p->request, options);

        if (r && r != -EEXIST && reply == 0)
                sluice_remove(p->reply);
        return r;
}

static int make_once(const struct paths *p, const struct sluice_options *options, mode_t mode)
{
        bool made = false;
        int r = make_directory(p, mode, &made);

        if (r == 0)
                r = make_queues(p, options);
        if (r && r != -EEXIST && made)
                rmdir(p->name.path); /* fails while it is not empty */
        return r;
}

static int make(const struct paths *p, const struct sluice_options *options)
{
        struct sluice_options o;
        int r = sluice_priv_options_read(&o, options);

        if (r)
                return r;
        for (int tries = 0; tries < MAKE_TRIES; tries++) {
                r = make_once(p, options, o.mode);
                if (r != -ENOENT && r != -ESTALE)
                        break; /* else the directory was removed meanwhile */
        }
        if (r && p->name.in_user_dir)
                sluice_priv_user_dir_unmake();
        return r == -ESTALE ? -EBUSY : r;
}

/* Why a directory is not removed: there is something in it. */
enum { SOMETHING_LEFT = 1, HALF_LEFT };

/* 0, `left`, or -errno. */
static int remove_directory(const char *path, int left, bool *removed)
{
        if (rmdir(path) == 0) {
                *removed = true;
                return 0;
        }
        return errno == EEXIST || errno == ENOTEMPTY ? left : -errno;
}

/* A queue, or the empty directory that its remover has left when it died. */
static int remove_half(const char *path, bool *removed)
{
        int r = sluice_remove(path);

        *removed |= r == 0;
        if (r == -ENOENT)
                r = remove_directory(path, HALF_LEFT, removed);
        return r == -ENOENT ? 0 : r;
}

static int unmake_once(const struct paths *p, bool *removed)
{
        const int request = remove_half(p->request, removed);
        const int reply = remove_half(p->reply, removed);

        if (request || reply)
                return request ? request : reply;
        return remove_directory(p->name.path, SOMETHING_LEFT, removed);
}

/* What is left may be a queue that was made meanwhile: so again, and it is known. */
static int unmake(const struct paths *p)
{
        bool removed = false;
        int r = SOMETHING_LEFT;

        for (int tries = 0; r > 0 && tries < MAKE_TRIES; tries++)
                r = unmake_once(p, &removed);
        if (removed && (r == SOMETHING_LEFT || r == -ENOENT))
                r = 0; /* the rest is something else, or was removed by another process */
        if (r == 0 && p->name.in_user_dir)
                sluice_priv_user_dir_unmake();
        return r == SOMETHING_LEFT ? -ENOTEMPTY : r == HALF_LEFT ? -EBUSY : r;
}

int sluice_channel_create(const char *name, const struct sluice_options *options)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        struct paths p;
        int r = paths_of(&p, name);

        if (r == 0)
                r = make(&p, options);
        sluice_priv_leave(&entry);
        return r;
}

int sluice_channel_remove(const char *name)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        struct paths p;
        int r = paths_of(&p, name);

        if (r == 0)
                r = look_at(&p);
        if (r == 0)
                r = unmake(&p);
        sluice_priv_leave(&entry);
        return r;
}

/* ---- Opening and closing ------------------------------------------ */

static int drop(void *ctx, const struct sluice_message *m)
{
        (void)ctx, (void)m;
        return 0;
}

/* The consumer of a client: without replies to an earlier one, nor the end of
 * a server that came before them. */
static int open_replies(struct sluice_consumer *c, const struct paths *p,
                        const struct sluice_options *o)
{
        int r = sluice_consumer_open(c, p->reply, o);
        ssize_t dropped;

        if (r)
                return r;
        dropped = sluice_drain(c, drop, NULL, SIZE_MAX);
        if (dropped == 0 || dropped == -EPIPE || dropped == -EOWNERDEAD)
                return 0;
        sluice_consumer_close(c);
        return dropped < 0 ? (int)dropped : sluice_consumer_open(c, p->reply, o);
}

/* `request` first: whoever has its role is refused before anything else. */
static int open_client(struct sluice_channel *ch, const struct paths *p,
                       const struct sluice_options *o)
{
        int r = sluice_producer_open(&ch->out, p->request, o);

        if (r)
                return r;
        r = open_replies(&ch->in, p, o);
        if (r)
                sluice_producer_close(&ch->out);
        return r;
}

static int open_server(struct sluice_channel *ch, const struct paths *p,
                       const struct sluice_options *o)
{
        int r = sluice_consumer_open(&ch->in, p->request, o);

        if (r)
                return r;
        r = sluice_producer_open(&ch->out, p->reply, o);
        if (r)
                sluice_consumer_close(&ch->in);
        return r;
}

static int open_side(struct sluice_channel *ch, const struct paths *p, enum sluice_side side,
                     const struct sluice_options *o)
{
        const int r = look_at(p);

        if (r)
                return r;
        return side == SLUICE_CLIENT ? open_client(ch, p, o) : open_server(ch, p, o);
}

/* Made by this call, and removed by another process before it is open: again. */
static int open_or_make(struct sluice_channel *ch, const struct paths *p, enum sluice_side side,
                        struct sluice_options *o)
{
        int r = 0;

        o->flags &= ~(unsigned)SLUICE_CREATE;
        for (int tries = 0; tries < MAKE_TRIES; tries++) {
                r = make(p, o);
                if (r && r != -EEXIST)
                        break;
                r = open_side(ch, p, side, o);
                if (r != -ENOENT && r != -ESTALE)
                        break;
        }
        return r;
}

/* Nobody else knows of it yet, so it is removed if it cannot be opened. */
static int open_unique(struct sluice_channel *ch, const char *directory,
                       const struct sluice_options *create)
{
        struct sluice_options o = *create;
        char name[SLUICE_NAME_MAX + 1];
        struct paths p;
        int r;

        do {
                r = sluice_priv_unique_name(name, sizeof name, directory);
                if (r == 0)
                        r = paths_of(&p, name);
                if (r == 0)
                        r = make(&p, &o);
        } while (r == -EEXIST);
        if (r)
                return r;
        o.flags &= ~(unsigned)SLUICE_CREATE;
        r = open_client(ch, &p, &o);
        if (r)
                unmake(&p);
        return r;
}

static int channel_open(struct sluice_channel *ch, const char *name, enum sluice_side side,
                        const struct sluice_options *options)
{
        struct sluice_options o;
        struct paths p;
        int r = sluice_priv_options_read(&o, options);

        if (r == 0)
                r = side == SLUICE_CLIENT || side == SLUICE_SERVER ? paths_of(&p, name) : -EINVAL;
        if (r)
                return r;
        o.size = sizeof o;
        if (!(o.flags & SLUICE_CREATE))
                return open_side(ch, &p, side, &o);
        r = side == SLUICE_CLIENT ? sluice_priv_is_directory_of_queues(name) : 0;
        if (r < 0)
                return r;
        return r ? open_unique(ch, name, &o) : open_or_make(ch, &p, side, &o);
}

int sluice_priv_channel_open(struct sluice_channel *ch, size_t size, unsigned abi, const char *name,
                             enum sluice_side side, const struct sluice_options *options)
{
        struct sluice_priv_entry entry;
        int r;

        if (size != sizeof *ch || abi != SLUICE_ABI)
                return -EPROTONOSUPPORT;
        entry = sluice_priv_enter();
        memset((void *)ch, 0, sizeof *ch);
        r = channel_open(ch, name, side, options);
        if (r)
                memset((void *)ch, 0, sizeof *ch);
        else
                ch->side = (int)side;
        sluice_priv_leave(&entry);
        return r;
}

int sluice_channel_close(struct sluice_channel *ch)
{
        const int out = sluice_producer_close(&ch->out);
        const int in = sluice_consumer_close(&ch->in);

        return out ? out : in;
}

/* ---- Calls -------------------------------------------------------- */

/* Both ends are interrupted, and a call waits at one of them: it returns for what
 * the channel says, and the other end's interrupt is for nobody. */
static bool is_canceled(struct sluice_channel *ch)
{
        /* INTERRUPT:load. Relaxed store: the next interrupt stores 1 again. */
        if (sluice_priv_load_acquire(&ch->interrupt) == 0)
                return false;
        sluice_priv_store_relaxed(&ch->interrupt, 0);
        return true;
}

static bool is_end(ssize_t r)
{
        return r == -EPIPE || r == -EOWNERDEAD;
}

/* Whose end was told last: where a call that gives an end does not change this, it
 * was told before, and is given for "not yet". */
static uint64_t told(const struct sluice_priv_endpoint *e)
{
        const struct sluice_priv_queue *q = e->queue;

        return q ? q->reported_epoch : 0;
}

/* What a call of this channel has told, be it without waiting, is told. */
static void settle_end(struct sluice_priv_endpoint *e)
{
        if (e->queue)
                ((struct sluice_priv_queue *)e->queue)->end_owed = false;
}

/* The reply with this tag, or an error; others are dropped, all if there is no tag.
 * Looks at the deadline at least once a lap, whatever a hostile server sends. */
static ssize_t await_reply(struct sluice_channel *ch, const uint32_t *tag, sluice_deadline until)
{
        uint64_t from = sluice_consumer_position(&ch->in);

        for (;;) {
                const ssize_t n = sluice_recv_long(&ch->in, &ch->reply, until);
                int r = n < 0 && n != -EMSGSIZE ? (int)n : 0;

                if (n == -EMSGSIZE)
                        r = sluice_skip_long(&ch->in, &ch->reply);
                if (r == 0 && tag && ch->reply.tag == *tag)
                        return n;
                if (r == 0) {
                        ch->late++;
                        r = sluice_priv_lap_over(&ch->in, &from, until);
                }
                if (r && (r != -ECANCELED || is_canceled(ch)))
                        return r;
        }
}

/* Before a request is sent all replies are late. A server that waits for room for
 * one serves no request. */
static int drop_late_replies(struct sluice_channel *ch)
{
        const uint64_t before = told(&ch->in.base);
        ssize_t r;

        ch->reply.cap = 0;
        r = await_reply(ch, NULL, SLUICE_NOW);
        return r == -EAGAIN || (is_end(r) && before == told(&ch->in.base)) ? 0 : (int)r;
}

/* Waits for room in slices, and takes replies in between. */
static int send_request(struct sluice_channel *ch, uint32_t tag, const void *request, size_t len,
                        sluice_deadline until)
{
        sluice_deadline slice = SLUICE_NOW;
        size_t sent = 0;

        for (;;) {
                const uint64_t before = told(&ch->out.base);
                const int r = sluice_send_long(&ch->out, request, len, tag, &sent, slice);
                int64_t now;
                int dropped;

                if (r != -EAGAIN && r != -ETIMEDOUT &&
                    !(is_end(r) && before == told(&ch->out.base)) &&
                    (r != -ECANCELED || is_canceled(ch)))
                        return r;
                dropped = drop_late_replies(ch);
                if (dropped || until <= SLUICE_NOW)
                        return dropped ? dropped : r;
                now = sluice_now_ns();
                if (now >= until)
                        return is_end(r) ? r : -ETIMEDOUT;
                slice = until - now > LOOK_NS ? now + LOOK_NS : until;
        }
}

/* The beginning of a late reply was put into the buffer of an earlier call. */
static void forget_late_reply(struct sluice_channel *ch)
{
        if (ch->reply.open) {
                ch->late++;
                sluice_skip_long(&ch->in, &ch->reply);
        }
}

ssize_t sluice_call(struct sluice_channel *ch, const void *request, size_t len, void *reply,
                    size_t cap, sluice_deadline until)
{
        const uint32_t tag = (uint32_t)sluice_producer_messages(&ch->out) + 1;
        ssize_t n;

        if (ch->side != SLUICE_CLIENT)
                return -EINVAL;
        n = send_request(ch, tag, request, len, until);
        if (n == 0) {
                forget_late_reply(ch);
                settle_end(&ch->in.base);
                ch->reply.buf = reply;
                ch->reply.cap = cap;
                n = await_reply(ch, &tag, until);
        }
        return n;
}

int sluice_reply(struct sluice_channel *ch, uint32_t tag, const void *buf, size_t len,
                 sluice_deadline until)
{
        if (ch->side != SLUICE_SERVER)
                return -EINVAL;
        return sluice_send_long(&ch->out, buf, len, tag, NULL, until);
}

int sluice_channel_interrupt(struct sluice_channel *ch)
{
        int out, in;

        sluice_priv_store_release(&ch->interrupt, 1); /* INTERRUPT:store */
        out = sluice_producer_interrupt(&ch->out);
        in = sluice_consumer_interrupt(&ch->in);
        return out ? out : in;
}
