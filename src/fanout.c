/* SPDX-License-Identifier: MIT */
/* One sender, several queues. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "endpoint.h"
#include "sluice/fanout.h"

/* Descriptors that are waited for at once; with more queues the rest is looked at
 * when the wait is over. */
enum { MOST_FDS = 64 };

/* Between two looks where no descriptor tells of room, and at most, where they
 * do: an interrupt of a queue is noticed then. */
static const int64_t look_ns = 1000000, slice_ns = 100000000;

/* ---- To one ------------------------------------------------------- */

/* Multiplied, so that numbered keys are spread, too. */
static unsigned index_of(uint64_t key, unsigned n)
{
        return (unsigned)(((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) * n >> 32);
}

int sluice_fanout_send_key(struct sluice_fanout *f, uint64_t key, const void *buf, size_t len,
                           uint32_t tag, sluice_deadline until)
{
        if (f->n == 0)
                return -EINVAL;
        return sluice_send_tagged(f->out[index_of(key, f->n)], buf, len, tag, until);
}

int sluice_fanout_send_next(struct sluice_fanout *f, const void *buf, size_t len, uint32_t tag,
                            sluice_deadline until)
{
        int r;

        if (f->n == 0)
                return -EINVAL;
        f->next %= f->n;
        r = sluice_send_tagged(f->out[f->next], buf, len, tag, until);
        if (r == 0)
                f->next = (f->next + 1) % f->n;
        return r;
}

/* ---- To any ------------------------------------------------------- */

/* Of two errors the one that says more: room may come, or a peer is gone, or the
 * queue takes no such message. */
static int worth(int r)
{
        return r == -EAGAIN ? 3 : r == -EPIPE || r == -EOWNERDEAD ? 2 : r == -EMSGSIZE ? 1 : 0;
}

/* The index of the queue that has taken it, or what all say. */
static int offer_each(struct sluice_fanout *f, const void *buf, size_t len, uint32_t tag)
{
        int said = -EINVAL;

        for (unsigned i = 0; i < f->n; i++) {
                const unsigned at = (f->next + i) % f->n;
                const int r = sluice_send_tagged(f->out[at], buf, len, tag, SLUICE_NOW);

                if (r == 0) {
                        f->next = (at + 1) % f->n;
                        return (int)at;
                }
                if (i == 0 || worth(r) > worth(said))
                        said = r;
        }
        return said;
}

static int64_t shorter(int64_t ns, sluice_deadline until)
{
        const int64_t left = until - sluice_now_ns();

        return left > ns ? ns : left > 0 ? left : 0;
}

/* Arms the producers that can be polled, as many as there is room for. How long
 * to sleep: 0 when one has something already. */
static int64_t arm_each(const struct sluice_fanout *f, size_t len, struct pollfd *fds, unsigned *n)
{
        int64_t ns = slice_ns;

        for (unsigned i = 0; i < f->n; i++) {
                const int fd = *n < MOST_FDS ? sluice_producer_fd(f->out[i]) : -EINVAL;
                const int r = fd < 0 ? fd : sluice_producer_arm(f->out[i], len);

                if (r == 1)
                        ns = 0;
                else if (r < 0 && ns > look_ns)
                        ns = look_ns;
                else if (r == 0)
                        fds[(*n)++] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
        return ns;
}

/* Was one of them interrupted? All are asked, so that none is interrupted later. */
static bool take_interrupts(const struct sluice_fanout *f)
{
        bool taken = false;

        for (unsigned i = 0; i < f->n; i++)
                if (f->out[i]->base.queue && sluice_priv_take_interrupt(f->out[i]->base.queue))
                        taken = true;
        return taken;
}

/* Sleeps until one of them may have room, for a slice at most, but not less than
 * *least_ns: an arming can say that there is something, again and again, where
 * sending finds no room (a message that is too long for one queue, a hostile
 * consumer). 0 or -ECANCELED. */
static int await_any(const struct sluice_fanout *f, size_t len, int64_t *least_ns,
                     sluice_deadline until)
{
        const struct sluice_priv_entry entry = sluice_priv_enter();
        struct pollfd fds[MOST_FDS];
        unsigned n = 0;
        const int64_t found = arm_each(f, len, fds, &n);
        const int64_t ns = shorter(found > *least_ns ? found : *least_ns, until);
        const struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

        if (ns > 0)
                (void)!ppoll(fds, n, &t, NULL); /* an error: looks again */
        for (unsigned i = 0; i < f->n; i++)
                sluice_producer_disarm(f->out[i]); /* refused where it was not armed */
        *least_ns = found == 0 ? look_ns : 0;
        sluice_priv_leave(&entry);
        return take_interrupts(f) ? -ECANCELED : 0;
}

int sluice_fanout_send_any(struct sluice_fanout *f, const void *buf, size_t len, uint32_t tag,
                           sluice_deadline until)
{
        int64_t least_ns = 0;

        if (f->n == 0)
                return -EINVAL;
        for (;;) {
                int r = offer_each(f, buf, len, tag);

                if (r != -EAGAIN || until <= SLUICE_NOW)
                        return r;
                if (until != SLUICE_FOREVER && sluice_now_ns() >= until)
                        return -ETIMEDOUT;
                r = await_any(f, len, &least_ns, until);
                if (r)
                        return r;
        }
}

/* ---- To all ------------------------------------------------------- */

/* Room in each, or in none. */
static int reserve_all(const struct sluice_fanout *f, size_t len, sluice_deadline until)
{
        for (unsigned i = 0; i < f->n; i++) {
                void *payload;
                const int r = sluice_reserve(f->out[i], len, &payload, until);

                if (r == 0)
                        continue;
                while (i-- > 0)
                        sluice_abort(f->out[i]);
                return r;
        }
        return 0;
}

int sluice_fanout_send_all(struct sluice_fanout *f, const void *buf, size_t len, uint32_t tag,
                           sluice_deadline until)
{
        int r = f->n == 0 ? -EINVAL : reserve_all(f, len, until);

        for (unsigned i = 0; r == 0 && i < f->n; i++) {
                void *payload;

                /* Again, for the payload: there is room, and nobody else takes it. */
                r = sluice_reserve(f->out[i], len, &payload, SLUICE_NOW);
                if (r == 0 && len != 0)
                        sluice_priv_copy_in(payload, buf, len);
                sluice_set_tag(f->out[i], tag);
                if (r == 0)
                        r = sluice_stage(f->out[i], len);
        }
        for (unsigned i = 0; r == 0 && i < f->n; i++)
                r = sluice_publish(f->out[i]);
        return r;
}
