/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_TYPED_H
#define SLUICE_TYPED_H
/*
 * Queues of one type. At file scope,
 *
 *      SLUICE_TYPED(price, struct price);
 *
 * defines these calls; handles are those of queue.h, and all other calls
 * (sluice_release, sluice_publish, sluice_producer_close, ...) are as for
 * every queue:
 *
 *      int price_producer_open(struct sluice_producer *, const char *name,
 *                              const struct sluice_options *);
 *      int price_consumer_open(struct sluice_consumer *, ...);
 *      int price_create(const char *name, const struct sluice_options *);
 *      int price_ring_format(void *mem, size_t bytes, const struct sluice_geometry *);
 *      int price_producer_attach(struct sluice_producer *, void *mem, size_t bytes);
 *      int price_consumer_attach(struct sluice_consumer *, ...);
 *
 *      int price_send(struct sluice_producer *, const struct price *, sluice_deadline);
 *      int price_reserve(struct sluice_producer *, struct price **, sluice_deadline);
 *      int price_stage(struct sluice_producer *), price_commit(...);
 *      int price_recv(struct sluice_consumer *, struct price *, sluice_deadline);
 *      int price_peek(struct sluice_consumer *, const struct price **, sluice_deadline);
 *      ssize_t price_drain(struct sluice_consumer *, price_handler *, void *ctx, size_t max);
 *
 * with typedef int price_handler(void *ctx, const struct price *). They do
 * what those of ring.h and queue.h do, with these differences:
 *   - The queue's header says what type it is for, and its size. Whoever
 *     opens it as another type gets -EMEDIUMTYPE. (Tools that give no
 *     type may open it: sluice_dump, `sluice stat`.)
 *   - The length is a constant for the compiler, and which lengths are allowed
 *     was checked when the handle was opened: use them only with handles that
 *     were opened, or attached, by the type's own calls.
 *   - The type's alignment is honoured, up to 128: options of create and open
 *     get it as payload_align, where they ask for none that is greater.
 *   - A message of another length, which only an untyped program can have
 *     sent, is -EBADMSG, and stays; sluice_release passes over it.
 *
 * A type is known by a number, made of the text of its name: all programs
 * give the same text. To tell versions of a type apart, give another number
 * for each: SLUICE_TYPED_AS(price, struct price, 2). Any but 0.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "atomic.h"
#include "attach.h"
#include "consumer.h"
#include "layout.h"
#include "pace.h"
#include "producer.h"
#include "queue.h"

SLUICE_PRIV_BEGIN

/* What a type's calls know of it. */
struct sluice_priv_type {
        uint64_t id;
        uint32_t size, align;
};

/* FNV-1a: any spread does, and other languages have it, too. */
static inline uint64_t sluice_priv_type_id(const char *name)
{
        uint64_t id = UINT64_C(0xcbf29ce484222325);

        for (; *name != '\0'; name++)
                id = (id ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
        return id;
}

/* What was asked for, or what the type needs. */
static inline uint32_t sluice_priv_typed_align(uint32_t asked, const struct sluice_priv_type *type)
{
        return asked < type->align && type->align > SLUICE_LAYOUT_HEADER_BYTES ? type->align
                                                                               : asked;
}

/* The caller's options, NULL for the defaults, for this type. 0 or -EINVAL. */
static inline int sluice_priv_typed_options(struct sluice_options *to,
                                            const struct sluice_options *from,
                                            const struct sluice_priv_type *type)
{
        const struct sluice_options init = SLUICE_OPTIONS_INIT;

        *to = init;
        if (from) {
                if (from->size != sizeof *from)
                        return -EINVAL;
                *to = *from;
        }
        to->type_id = type->id;
        to->type_size = type->size;
        to->payload_align = sluice_priv_typed_align(to->payload_align, type);
        return 0;
}

static inline int sluice_priv_typed_create(const char *name, const struct sluice_options *options,
                                           const struct sluice_priv_type *type)
{
        struct sluice_options o;
        const int r = sluice_priv_typed_options(&o, options, type);

        return r ? r : sluice_create(name, &o);
}

static inline int sluice_priv_typed_producer_open(struct sluice_producer *p, const char *name,
                                                  const struct sluice_options *options,
                                                  const struct sluice_priv_type *type)
{
        struct sluice_options o;
        const int r = sluice_priv_typed_options(&o, options, type);

        if (r == 0)
                return sluice_producer_open(p, name, &o);
        memset((void *)p, 0, sizeof *p); /* as theirs: it may be closed */
        return r;
}

static inline int sluice_priv_typed_consumer_open(struct sluice_consumer *c, const char *name,
                                                  const struct sluice_options *options,
                                                  const struct sluice_priv_type *type)
{
        struct sluice_options o;
        const int r = sluice_priv_typed_options(&o, options, type);

        if (r == 0)
                return sluice_consumer_open(c, name, &o);
        memset((void *)c, 0, sizeof *c); /* as theirs: it may be closed */
        return r;
}

static inline int sluice_priv_typed_format(void *mem, size_t bytes,
                                           const struct sluice_geometry *geometry,
                                           const struct sluice_priv_type *type)
{
        struct sluice_geometry g = {0, 0, 0, 0, 0, 0};

        if (geometry)
                g = *geometry;
        g.type_id = type->id;
        g.type_size = type->size;
        g.payload_align = sluice_priv_typed_align(g.payload_align, type);
        return sluice_ring_format(mem, bytes, &g);
}

/* Is the ring for this type? */
static inline int sluice_priv_typed_check(const void *mem, size_t bytes,
                                          const struct sluice_priv_type *type)
{
        struct sluice_priv_shape s;
        const int r = sluice_priv_shape_read(&s, mem, bytes);

        if (r)
                return r;
        if (s.type_id != type->id || s.type_size != type->size || s.payload_align < type->align)
                return -EMEDIUMTYPE;
        return type->size > s.capacity / 2 - SLUICE_LAYOUT_HEADER_BYTES ? -EMSGSIZE : 0;
}

static inline int sluice_priv_typed_producer_attach(struct sluice_producer *p, void *mem,
                                                    size_t bytes,
                                                    const struct sluice_priv_type *type)
{
        const int r = sluice_priv_typed_check(mem, bytes, type);

        if (r == 0)
                return sluice_producer_attach(p, mem, bytes);
        memset((void *)p, 0, sizeof *p); /* as theirs: it may be closed */
        return r;
}

static inline int sluice_priv_typed_consumer_attach(struct sluice_consumer *c, void *mem,
                                                    size_t bytes,
                                                    const struct sluice_priv_type *type)
{
        const int r = sluice_priv_typed_check(mem, bytes, type);

        if (r == 0)
                return sluice_consumer_attach(c, mem, bytes);
        memset((void *)c, 0, sizeof *c); /* as theirs: it may be closed */
        return r;
}

static inline int sluice_priv_typed_peek(struct sluice_consumer *c, const void **value, size_t size,
                                         sluice_deadline until)
{
        struct sluice_message m;
        const int r = sluice_peek(c, &m, until);

        if (sluice_priv_unlikely(r != 0))
                return r;
        *value = m.data;
        return sluice_priv_likely(m.len == size) ? 0 : -EBADMSG;
}

static inline int sluice_priv_typed_recv(struct sluice_consumer *c, void *value, size_t size,
                                         sluice_deadline until)
{
        const void *data;
        const int r = sluice_priv_typed_peek(c, &data, size, until);

        if (sluice_priv_unlikely(r != 0))
                return r;
        sluice_priv_copy_out(value, data, size);
        return sluice_release(c);
}

SLUICE_PRIV_END

/* A program uses some of a type's calls, and wants no warning for the others. */
#define SLUICE_PRIV_TYPED        static inline __attribute__((unused))

#define SLUICE_TYPED(name, type) SLUICE_TYPED_AS(name, type, sluice_priv_type_id(#type))

#define SLUICE_TYPED_AS(name, type, id)                                                           \
        SLUICE_STATIC_ASSERT(__alignof__(type) <= SLUICE_RECORD_ALIGN_MAX,                        \
                             #type " is aligned to more than a record");                          \
        typedef type name##_sluice_value;                                                         \
        typedef int name##_handler(void *ctx, const name##_sluice_value *value);                  \
        struct name##_sluice_drain {                                                              \
                name##_handler *fn;                                                               \
                void *ctx;                                                                        \
        };                                                                                        \
        SLUICE_PRIV_TYPED struct sluice_priv_type name##_sluice_type(void)                        \
        {                                                                                         \
                const struct sluice_priv_type t = {id, sizeof(type), __alignof__(type)};          \
                return t;                                                                         \
        }                                                                                         \
        SLUICE_PRIV_TYPED int name##_create(const char *queue,                                    \
                                            const struct sluice_options *options)                 \
        {                                                                                         \
                const struct sluice_priv_type t = name##_sluice_type();                           \
                return sluice_priv_typed_create(queue, options, &t);                              \
        }                                                                                         \
        SLUICE_PRIV_TYPED int name##_producer_open(struct sluice_producer *p, const char *queue,  \
                                                   const struct sluice_options *options)          \
        {                                                                                         \
                const struct sluice_priv_type t = name##_sluice_type();                           \
                return sluice_priv_typed_producer_open(p, queue, options, &t);                    \
        }                                                                                         \
        SLUICE_PRIV_TYPED int name##_consumer_open(struct sluice_consumer *c, const char *queue,  \
                                                   const struct sluice_options *options)          \
        {                                                                                         \
                const struct sluice_priv_type t = name##_sluice_type();                           \
                return sluice_priv_typed_consumer_open(c, queue, options, &t);                    \
        }                                                                                         \
        SLUICE_PRIV_TYPED int name##_ring_format(void *mem, size_t bytes,                         \
                                                 const struct sluice_geometry *geometry)          \
        {                                                                                         \
                const struct sluice_priv_type t = name##_sluice_type();                           \
                return sluice_priv_typed_format(mem, bytes, geometry, &t);                        \
        }                                                                                         \
        SLUICE_PRIV_TYPED int name##_producer_attach(struct sluice_producer *p, void *mem,        \
                                                     size_t bytes)                                \
        {                                                                                         \
                const struct sluice_priv_type t = name##_sluice_type();                           \
                return sluice_priv_typed_producer_attach(p, mem, bytes, &t);                      \
        }                                                                                         \
        SLUICE_PRIV_TYPED int name##_consumer_attach(struct sluice_consumer *c, void *mem,        \
                                                     size_t bytes)                                \
        {                                                                                         \
                const struct sluice_priv_type t = name##_sluice_type();                           \
                return sluice_priv_typed_consumer_attach(c, mem, bytes, &t);                      \
        }                                                                                         \
        SLUICE_NODISCARD SLUICE_PRIV_TYPED int name##_send(struct sluice_producer *p,             \
                                                           const name##_sluice_value *value,      \
                                                           sluice_deadline until)                 \
        {                                                                                         \
                return sluice_send(p, value, sizeof(type), until);                                \
        }                                                                                         \
        SLUICE_NODISCARD SLUICE_PRIV_TYPED int name##_reserve(                                    \
                struct sluice_producer *p, name##_sluice_value **value, sluice_deadline until)    \
        {                                                                                         \
                void *payload;                                                                    \
                const int r = sluice_reserve(p, sizeof(type), &payload, until);                   \
                if (sluice_priv_likely(r == 0))                                                   \
                        *value = SLUICE_PRIV_POINTER(name##_sluice_value *, payload);             \
                return r;                                                                         \
        }                                                                                         \
        SLUICE_PRIV_TYPED int name##_stage(struct sluice_producer *p)                             \
        {                                                                                         \
                return sluice_stage(p, sizeof(type));                                             \
        }                                                                                         \
        SLUICE_PRIV_TYPED int name##_commit(struct sluice_producer *p)                            \
        {                                                                                         \
                return sluice_commit(p, sizeof(type));                                            \
        }                                                                                         \
        SLUICE_NODISCARD SLUICE_PRIV_TYPED int name##_recv(                                       \
                struct sluice_consumer *c, name##_sluice_value *value, sluice_deadline until)     \
        {                                                                                         \
                return sluice_priv_typed_recv(c, value, sizeof(type), until);                     \
        }                                                                                         \
        SLUICE_NODISCARD SLUICE_PRIV_TYPED int name##_peek(struct sluice_consumer *c,             \
                                                           const name##_sluice_value **value,     \
                                                           sluice_deadline until)                 \
        {                                                                                         \
                const void *data;                                                                 \
                const int r = sluice_priv_typed_peek(c, &data, sizeof(type), until);              \
                if (sluice_priv_likely(r == 0))                                                   \
                        *value = SLUICE_PRIV_POINTER(const name##_sluice_value *, data);          \
                return r;                                                                         \
        }                                                                                         \
        SLUICE_PRIV_TYPED int name##_sluice_hand(void *ctx, const struct sluice_message *m)       \
        {                                                                                         \
                const struct name##_sluice_drain *const d =                                       \
                        SLUICE_PRIV_POINTER(struct name##_sluice_drain *, ctx);                   \
                return m->len == sizeof(type)                                                     \
                               ? d->fn(d->ctx,                                                    \
                                       SLUICE_PRIV_POINTER(const name##_sluice_value *, m->data)) \
                               : -EBADMSG;                                                        \
        }                                                                                         \
        SLUICE_NODISCARD SLUICE_PRIV_TYPED ssize_t name##_drain(                                  \
                struct sluice_consumer *c, name##_handler *fn, void *ctx, size_t max)             \
        {                                                                                         \
                struct name##_sluice_drain d = {fn, ctx};                                         \
                return sluice_drain(c, name##_sluice_hand, &d, max);                              \
        }                                                                                         \
        struct name##_sluice_drain

/* A pointer to payload, by a cast that gives no warning in either language. */
#ifdef __cplusplus
#define SLUICE_PRIV_POINTER(type, pointer) static_cast<type>(pointer)
#else
#define SLUICE_PRIV_POINTER(type, pointer) ((type)(pointer))
#endif

#endif
