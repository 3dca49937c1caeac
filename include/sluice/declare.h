/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_DECLARE_H
#define SLUICE_DECLARE_H
/*
 * For SLUICE_NO_INLINE: the calls that are inline otherwise, as functions of the
 * library. Their contracts stand at the inline ones. Written by tools/calls.
 */
#include "channel.h"
#include "queue.h"

#ifdef SLUICE_NO_INLINE

#undef sluice_abort
#undef sluice_advance
#undef sluice_after
#undef sluice_channel_open
#undef sluice_commit
#undef sluice_consumer_attach
#undef sluice_consumer_detach
#undef sluice_consumer_enable_sleep
#undef sluice_consumer_is_empty
#undef sluice_consumer_max_len
#undef sluice_consumer_messages
#undef sluice_consumer_open
#undef sluice_consumer_pending
#undef sluice_consumer_position
#undef sluice_consumer_room
#undef sluice_consumer_used
#undef sluice_count_dropped
#undef sluice_drain
#undef sluice_now_ns
#undef sluice_offer
#undef sluice_peek
#undef sluice_peek_latest
#undef sluice_peek_many
#undef sluice_peek_piece
#undef sluice_producer_attach
#undef sluice_producer_detach
#undef sluice_producer_enable_sleep
#undef sluice_producer_is_empty
#undef sluice_producer_max_len
#undef sluice_producer_messages
#undef sluice_producer_open
#undef sluice_producer_pending
#undef sluice_producer_position
#undef sluice_producer_room
#undef sluice_producer_used
#undef sluice_publish
#undef sluice_recv
#undef sluice_recv_long
#undef sluice_release
#undef sluice_release_to
#undef sluice_reserve
#undef sluice_ring_bytes
#undef sluice_ring_format
#undef sluice_send
#undef sluice_send_long
#undef sluice_send_many
#undef sluice_send_tagged
#undef sluice_sendv
#undef sluice_sendv_tagged
#undef sluice_set_kind
#undef sluice_set_tag
#undef sluice_skip_long
#undef sluice_stage
#undef sluice_stat

#ifdef __cplusplus
extern "C" {
#endif

extern size_t sluice_ring_bytes(const struct sluice_geometry *g);
SLUICE_NODISCARD extern int sluice_ring_format(void *mem, size_t bytes,
                                               const struct sluice_geometry *g);
SLUICE_NODISCARD extern int sluice_producer_attach(struct sluice_producer *p, void *mem,
                                                   size_t bytes);
SLUICE_NODISCARD extern int sluice_consumer_attach(struct sluice_consumer *c, void *mem,
                                                   size_t bytes);
extern void sluice_producer_detach(struct sluice_producer *p);
extern void sluice_consumer_detach(struct sluice_consumer *c);
SLUICE_NODISCARD extern int sluice_channel_open(struct sluice_channel *ch, const char *name,
                                                enum sluice_side side,
                                                const struct sluice_options *options);
SLUICE_NODISCARD extern int sluice_peek(struct sluice_consumer *c, struct sluice_message *m,
                                        sluice_deadline until);
extern int sluice_advance(struct sluice_consumer *c);
extern int sluice_release(struct sluice_consumer *c);
SLUICE_NODISCARD extern ssize_t sluice_recv(struct sluice_consumer *c, void *buf, size_t cap,
                                            sluice_deadline until);
SLUICE_NODISCARD extern ssize_t sluice_peek_many(struct sluice_consumer *c,
                                                 struct sluice_message *m, size_t max,
                                                 sluice_deadline until);
SLUICE_NODISCARD extern ssize_t sluice_drain(struct sluice_consumer *c, sluice_handler *fn,
                                             void *ctx, size_t max);
extern size_t sluice_consumer_max_len(const struct sluice_consumer *c);
extern uint64_t sluice_consumer_position(const struct sluice_consumer *c);
extern uint64_t sluice_consumer_messages(const struct sluice_consumer *c);
SLUICE_NODISCARD extern int sluice_send_tagged(struct sluice_producer *p, const void *buf,
                                               size_t len, uint32_t tag, sluice_deadline until);
SLUICE_NODISCARD extern int sluice_sendv_tagged(struct sluice_producer *p, const struct iovec *iov,
                                                int n, uint32_t tag, sluice_deadline until);
extern void sluice_count_dropped(struct sluice_producer *p, uint64_t n);
extern int sluice_offer(struct sluice_producer *p, const void *buf, size_t len, uint32_t tag);
extern int sluice_release_to(struct sluice_consumer *c, uint64_t position);
SLUICE_NODISCARD extern int sluice_peek_latest(struct sluice_consumer *c, struct sluice_message *m,
                                               sluice_deadline until);
extern uint64_t sluice_producer_used(const struct sluice_producer *p);
extern uint64_t sluice_consumer_used(const struct sluice_consumer *c);
extern uint64_t sluice_producer_pending(const struct sluice_producer *p);
extern uint64_t sluice_consumer_pending(const struct sluice_consumer *c);
extern uint64_t sluice_producer_room(const struct sluice_producer *p);
extern uint64_t sluice_consumer_room(const struct sluice_consumer *c);
extern int sluice_producer_is_empty(const struct sluice_producer *p);
extern int sluice_consumer_is_empty(const struct sluice_consumer *c);
SLUICE_NODISCARD extern int sluice_send_long(struct sluice_producer *p, const void *buf, size_t len,
                                             uint32_t tag, size_t *sent, sluice_deadline until);
SLUICE_NODISCARD extern int sluice_peek_piece(struct sluice_consumer *c, struct sluice_long *l,
                                              struct sluice_message *m, sluice_deadline until);
SLUICE_NODISCARD extern ssize_t sluice_recv_long(struct sluice_consumer *c, struct sluice_long *l,
                                                 sluice_deadline until);
extern int sluice_skip_long(struct sluice_consumer *c, struct sluice_long *l);
SLUICE_NODISCARD extern int sluice_reserve(struct sluice_producer *p, size_t len, void **payload,
                                           sluice_deadline until);
extern void sluice_set_tag(struct sluice_producer *p, uint32_t tag);
extern int sluice_set_kind(struct sluice_producer *p, enum sluice_kind kind);
extern void sluice_abort(struct sluice_producer *p);
extern int sluice_stage(struct sluice_producer *p, size_t len);
extern int sluice_publish(struct sluice_producer *p);
extern int sluice_commit(struct sluice_producer *p, size_t len);
SLUICE_NODISCARD extern int sluice_send(struct sluice_producer *p, const void *buf, size_t len,
                                        sluice_deadline until);
SLUICE_NODISCARD extern int sluice_sendv(struct sluice_producer *p, const struct iovec *iov, int n,
                                         sluice_deadline until);
SLUICE_NODISCARD extern int sluice_send_many(struct sluice_producer *p, const struct iovec *iov,
                                             int n, sluice_deadline until);
extern size_t sluice_producer_max_len(const struct sluice_producer *p);
extern uint64_t sluice_producer_position(const struct sluice_producer *p);
extern uint64_t sluice_producer_messages(const struct sluice_producer *p);
SLUICE_NODISCARD extern int sluice_producer_open(struct sluice_producer *p, const char *name,
                                                 const struct sluice_options *options);
SLUICE_NODISCARD extern int sluice_consumer_open(struct sluice_consumer *c, const char *name,
                                                 const struct sluice_options *options);
SLUICE_NODISCARD extern int sluice_producer_enable_sleep(struct sluice_producer *p,
                                                         const struct sluice_options *options);
SLUICE_NODISCARD extern int sluice_consumer_enable_sleep(struct sluice_consumer *c,
                                                         const struct sluice_options *options);
SLUICE_NODISCARD extern int sluice_stat(const char *name, struct sluice_queue_stat *st);
extern int64_t sluice_now_ns(void);
extern sluice_deadline sluice_after(int64_t ns);

#ifdef __cplusplus
}
#endif

#endif

#endif
