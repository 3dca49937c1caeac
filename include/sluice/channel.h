/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_CHANNEL_H
#define SLUICE_CHANNEL_H
/*
 * Two queues under one name, for request and reply. A channel is a directory
 * with the queues `request` and `reply`: the client sends to the one and
 * receives from the other, the server the other way round. Either is a queue
 * like any other: `sluice stat NAME/request`; and the two ends of a
 * channel are handles like any others, for all calls of ring.h and queue.h.
 *
 *      server:  while ((r = sluice_peek(&ch.in, &m, SLUICE_FOREVER)) == 0) {
 *                       work on m; then
 *                       sluice_reply(&ch, m.tag, buf, len, sluice_after(...));
 *                       sluice_release(&ch.in);
 *               }
 *      client:  n = sluice_call(&ch, buf, len, answer, sizeof answer, sluice_after(...));
 *
 * A request is known by its tag, and so is its reply: the number of messages
 * that clients of this channel have ever sent, so that no two have the same
 * (of 2^32), whoever dies. A reply that comes later than its call waits is
 * recognised by it and dropped. (A client that waits for room for a request drops
 * what comes meanwhile: a server that waits for room for a reply takes none.)
 *
 * Many clients, one server: each client opens "DIR/" with SLUICE_CREATE, which
 * makes a channel with a name of its own in this directory; the server is a group
 * (group.h) that watches it.
 *
 * Death. A server that is killed between reply and release leaves the request to
 * its successor, which replies again: the client drops the second one. A
 * server has to expect that a request comes twice. A client that is killed
 * leaves requests, which are served, and replies, which its successor drops.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "handle.h"
#include "long.h"
#include "queue.h"
#include "wait.h"

SLUICE_PRIV_BEGIN

enum sluice_side { SLUICE_CLIENT = 0, SLUICE_SERVER };

/* One end of a channel, in the caller's memory; it must not be moved while it is
 * open. */
struct sluice_channel {
        struct sluice_producer out; /* requests of a client, replies of a server */
        struct sluice_consumer in;
        struct sluice_long reply; /* sluice_call's */
        uint64_t late;            /* replies that came after their call had returned */
        sluice_word interrupt;    /* 1: sluice_call is to return -ECANCELED */
        int side;                 /* enum sluice_side */
        unsigned char unused[44];
};

SLUICE_PRIV_END

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes both queues, with these options. What is there already, because another
 * program makes the channel at this moment or died half way, is used as it is.
 * An opener finds a complete channel or none: `request` is made last.
 *
 * -EEXIST: there is one. -ENOTEMPTY: a queue has this name. -EOPNOTSUPP: a
 * key: name. -ENOTDIR, -ELOOP: a file or a symbolic link is there. Others as
 * of sluice_create.
 */
SLUICE_NODISCARD SLUICE_API int sluice_channel_create(const char *name,
                                                      const struct sluice_options *options);

/* Removes both queues, `request` first, and the directory; also what is left
 * of a channel. What else is in the directory stays, and so does that. -ENOENT:
 * there is none. -ENOTEMPTY: the directory has something else only. Others as of
 * sluice_remove, after which the call may be repeated. */
SLUICE_API int sluice_channel_remove(const char *name);

SLUICE_API int sluice_priv_channel_open(struct sluice_channel *ch, size_t size, unsigned abi,
                                        const char *name, enum sluice_side side,
                                        const struct sluice_options *options);

/*
 * Opens the channel as its client, or server; one process at a time may be
 * either. With SLUICE_CREATE it is made if it is not there; and a client that
 * names a directory, with a slash at the end, gets a channel of its own in it
 * (-ENOENT: it is not there), which the server removes when that client has gone.
 * Replies to an
 * earlier client are dropped. -EINVAL: side. Others as of
 * sluice_producer_open, sluice_consumer_open and sluice_channel_create.
 */
SLUICE_NODISCARD SLUICE_INLINE int sluice_channel_open(struct sluice_channel *ch, const char *name,
                                                       enum sluice_side side,
                                                       const struct sluice_options *options)
{
        return sluice_priv_channel_open(ch, sizeof *ch, SLUICE_ABI, name, side, options);
}

/* As sluice_producer_new and its companions (queue.h): for callers who cannot know
 * the size of a channel, nor where its ends are in it. The ends live as long as
 * the channel. */
SLUICE_NODISCARD SLUICE_API struct sluice_channel *sluice_channel_new(void);
SLUICE_API void sluice_channel_free(struct sluice_channel *ch);
SLUICE_NODISCARD SLUICE_API struct sluice_producer *sluice_channel_out(struct sluice_channel *ch);
SLUICE_NODISCARD SLUICE_API struct sluice_consumer *sluice_channel_in(struct sluice_channel *ch);

/* Closes both ends. Always closes; -EINVAL: not open. */
SLUICE_API int sluice_channel_close(struct sluice_channel *ch);

/*
 * Sends a request of any length and waits for its reply, which it copies to
 * reply; returns the length of that. One deadline for both. On a client's end.
 *
 * After an error the request may have been served or not. -ETIMEDOUT, -EAGAIN,
 * -ECANCELED: a reply that comes later is dropped by the next call. -EPIPE,
 * -EOWNERDEAD: the server has closed, or died, and has not replied; told once, a
 * later call waits for a successor, which also serves what its predecessor has
 * left. -EMSGSIZE: the reply is longer than cap; it is dropped. Others as of
 * sluice_send_long and sluice_recv_long. -EINVAL: not a client.
 */
SLUICE_NODISCARD SLUICE_API ssize_t sluice_call(struct sluice_channel *ch, const void *request,
                                                size_t len, void *reply, size_t cap,
                                                sluice_deadline until);

/* Sends the reply to the request with this tag; as sluice_send_long. A reply that
 * cannot be sent in time, because nobody takes it, is given up by the next one.
 * -EINVAL: not a server. */
SLUICE_NODISCARD SLUICE_API int sluice_reply(struct sluice_channel *ch, uint32_t tag,
                                             const void *buf, size_t len, sluice_deadline until);

/* Makes the current or next sluice_call that waits return -ECANCELED, once; so
 * it does with the current or next call that waits at an end itself.
 * Async-signal-safe; any thread. (sluice_producer_interrupt of an end does not
 * end a sluice_call.) */
SLUICE_API int sluice_channel_interrupt(struct sluice_channel *ch);

#ifdef __cplusplus
}
#endif

#endif
