/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_TYPED_HPP
#define SLUICE_TYPED_HPP
/*
 * Queues of one type. Part of sluice.hpp; typed.h says what is checked, and when.
 *
 *      struct price { std::uint64_t instrument; double bid, ask; };
 *      SLUICE_TYPE(struct price);
 *
 *      sluice::typed_producer<price> out("prices", sluice::or_create);
 *      sluice::typed_consumer<price> in("prices");
 *      for (const price &p : in) ...
 *
 * SLUICE_TYPE stands outside of any namespace. Its text is what programs know the
 * type by, those in C, too: there it is SLUICE_TYPED(price, struct price). A type
 * with another name there: SLUICE_TYPE_NAMED(md::price, "struct price"); with a
 * number instead, as of SLUICE_TYPED_AS: SLUICE_TYPE_AS(md::price, 2).
 */
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <type_traits>

#include "consumer.hpp"
#include "deadline.hpp"
#include "error.hpp"
#include "options.hpp"
#include "producer.hpp"
#include "../sluice.h"
#include "view.hpp"

#define SLUICE_TYPE(t)             SLUICE_TYPE_NAMED(t, #t)
#define SLUICE_TYPE_NAMED(t, text) SLUICE_TYPE_AS(t, sluice::detail::type_id(text))
#define SLUICE_TYPE_AS(t, number)                                \
        template <> struct sluice::type<t> {                     \
                static constexpr std::uint64_t id = number;      \
                static_assert(id != 0, "0 stands for any type"); \
        }

SLUICE_PRIV_BEGIN

namespace sluice
{

/* Its specialization by SLUICE_TYPE has the number of the type. */
template <class T> struct type;

namespace detail
{

/* The number of a name: sluice_priv_type_id of typed.h, for the compiler. */
constexpr std::uint64_t type_id(const char *name) noexcept
{
        std::uint64_t id = 0xcbf29ce484222325;

        for (; *name != '\0'; name++)
                id = (id ^ static_cast<unsigned char>(*name)) * 0x100000001b3;
        return id;
}

template <class T> sluice_options typed_options(const options &o) noexcept
{
        static_assert(std::is_trivially_copyable_v<T>,
                      "only trivially copyable types travel between processes");
        static_assert(!std::is_pointer_v<T>, "a pointer means nothing in another process");
        static_assert(alignof(T) <= SLUICE_RECORD_ALIGN_MAX, "aligned to more than a record");
        sluice_options native = o.native();

        native.type_id = type<T>::id;
        native.type_size = sizeof(T);
        if (alignof(T) > native.payload_align && alignof(T) > SLUICE_LAYOUT_HEADER_BYTES)
                native.payload_align = alignof(T);
        return native;
}

} // namespace detail

/* A queue of T, empty. */
template <class T> void create_typed(queue_name name, const options &o = {})
{
        const sluice_options native = detail::typed_options<T>(o);
        const int r = sluice_create(name.c_str(), &native);

        if (r)
                detail::fail(r, "sluice_create", name.c_str(), sluice_limit());
}

template <class T>
void create_typed(queue_name name, const options &o, std::error_code &ec) noexcept
{
        const sluice_options native = detail::typed_options<T>(o);

        detail::record(sluice_create(name.c_str(), &native), ec);
}

template <class T> class typed_producer : private producer
{
      public:
        typed_producer() noexcept = default;

        explicit typed_producer(queue_name name, const options &o = {})
        {
                open_as(name, detail::typed_options<T>(o));
        }

        typed_producer(queue_name name, const options &o, std::error_code &ec) noexcept
        {
                detail::record(open(name, detail::typed_options<T>(o)), ec);
        }

        result<void> send(const T &value, deadline until = forever)
        {
                return detail::waited(sluice_send(handle_, &value, sizeof(T), until.native()),
                                      "sluice_send");
        }

        result<void> send(const T &value, deadline until, std::error_code &ec) noexcept
        {
                return detail::waited(sluice_send(handle_, &value, sizeof(T), until.native()), ec);
        }

        result<void> offer(const T &value)
        {
                return producer::offer(bytes_of(value));
        }

        result<void> offer(const T &value, std::error_code &ec) noexcept
        {
                return producer::offer(bytes_of(value), 0, ec);
        }

        /* Memory for a T, with anything in it. Assign all of it, then commit or stage. */
        result<T &> reserve(deadline until = forever)
        {
                void *to;
                const int r = sluice_reserve(handle_, sizeof(T), &to, until.native());

                detail::check_wait(r, "sluice_reserve");
                return {r, static_cast<T *>(to)};
        }

        result<T &> reserve(deadline until, std::error_code &ec) noexcept
        {
                void *to;
                const int r = sluice_reserve(handle_, sizeof(T), &to, until.native());

                detail::record(r, ec);
                return {r, static_cast<T *>(to)};
        }

        void stage()
        {
                producer::stage(sizeof(T));
        }

        void stage(std::error_code &ec) noexcept
        {
                producer::stage(sizeof(T), ec);
        }

        void commit()
        {
                producer::commit(sizeof(T));
        }

        void commit(std::error_code &ec) noexcept
        {
                producer::commit(sizeof(T), ec);
        }

        using producer::abort;
        using producer::arm;
        using producer::await_peer;
        using producer::close;
        using producer::count_dropped;
        using producer::disarm;
        using producer::empty;
        using producer::fd;
        using producer::interrupt;
        using producer::is_open;
        using producer::messages;
        using producer::native;
        using producer::pending;
        using producer::position;
        using producer::publish;
        using producer::room;
        using producer::set_tag;
        using producer::used;
        using producer::operator bool;
};

/* A message of another length, which only an untyped program can have sent, is
 * EBADMSG, and stays; release() passes over it. */
template <class T> class typed_consumer : private consumer
{
      public:
        typed_consumer() noexcept = default;

        explicit typed_consumer(queue_name name, const options &o = {})
        {
                open_as(name, detail::typed_options<T>(o));
        }

        typed_consumer(queue_name name, const options &o, std::error_code &ec) noexcept
        {
                detail::record(open(name, detail::typed_options<T>(o)), ec);
        }

        /* ---- Loops, as of consumer */

        auto begin()
        {
                return until(forever).begin();
        }

        end_of_messages end() const noexcept
        {
                return {};
        }

        messages_until<typed_consumer, const T &> until(deadline t) noexcept
        {
                return {*this, t};
        }

        messages_there<typed_consumer, const T &> drain(std::size_t max = 0) noexcept
        {
                return {*this, max};
        }

        /* ---- */

        result<const T &> peek(deadline until = forever)
        {
                return look_at(handle_, until);
        }

        result<const T &> peek(deadline until, std::error_code &ec) noexcept
        {
                const void *value;
                const int r = sluice_priv_typed_peek(handle_, &value, sizeof(T), until.native());

                detail::record(r, ec);
                return {r, static_cast<const T *>(value)};
        }

        /* A copy. */
        result<void> recv(T &to, deadline until = forever)
        {
                return detail::waited(
                        sluice_priv_typed_recv(handle_, &to, sizeof(T), until.native()),
                        "sluice_recv");
        }

        result<void> recv(T &to, deadline until, std::error_code &ec) noexcept
        {
                return detail::waited(
                        sluice_priv_typed_recv(handle_, &to, sizeof(T), until.native()), ec);
        }

        using consumer::advance;
        using consumer::arm;
        using consumer::await_peer;
        using consumer::close;
        using consumer::disarm;
        using consumer::empty;
        using consumer::fd;
        using consumer::interrupt;
        using consumer::is_open;
        using consumer::last;
        using consumer::messages;
        using consumer::native;
        using consumer::pending;
        using consumer::position;
        using consumer::release;
        using consumer::room;
        using consumer::used;
        using consumer::operator bool;

      private:
        template <class, class, class> friend class detail::loop_iterator;

        static result<const T &> look_at(sluice_consumer *handle, deadline until)
        {
                const void *value;
                const int r = sluice_priv_typed_peek(handle, &value, sizeof(T), until.native());

                detail::check_wait(r, "sluice_peek");
                return {r, static_cast<const T *>(value)};
        }
};

} // namespace sluice

SLUICE_PRIV_END

#endif
