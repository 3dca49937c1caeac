/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_PRODUCER_HPP
#define SLUICE_PRODUCER_HPP
/*
 * The producer. Part of sluice.hpp. What each call does, and its errors, say
 * producer.h, extra.h, long.h and queue.h at the C call of the same name.
 *
 *      producer_ref    a pointer to a producer's handle that somebody else owns:
 *                      copied at will, as long as that one is open
 *      producer        owns one, and closes it. Only moved: the handle itself
 *                      stays where it is, on the heap, because it may not move
 *                      while it is open. So each call loads a pointer more than
 *                      in a C program with its handle on the stack, unless the
 *                      compiler has it in a register.
 *
 * One that is not open, or was moved from, answers EINVAL.
 */
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <new>
#include <system_error>

#include "deadline.hpp"
#include "endpoint.hpp"
#include "error.hpp"
#include "options.hpp"
#include "view.hpp"

SLUICE_PRIV_BEGIN

namespace sluice
{

namespace detail
{

/* What one that is not open refers to: all zero, on which every call is EINVAL. */
inline sluice_producer closed_producer{};

} // namespace detail

class producer_ref
{
      public:
        producer_ref() noexcept = default;

        explicit producer_ref(sluice_producer &handle) noexcept : handle_(&handle)
        {
        }

        /* For all C calls. */
        sluice_producer *native() const noexcept
        {
                return handle_;
        }

        /* ---- Sending. A result without a value: no room in time, the consumer
         * has gone, or interrupted. */

        result<void> send(bytes message, deadline until = forever)
        {
                return detail::waited(
                        sluice_send(handle_, message.data(), message.size(), until.native()),
                        "sluice_send");
        }

        result<void> send(bytes message, deadline until, std::error_code &ec) noexcept
        {
                return detail::waited(
                        sluice_send(handle_, message.data(), message.size(), until.native()), ec);
        }

        result<void> send_tagged(bytes message, std::uint32_t tag, deadline until = forever)
        {
                return detail::waited(tagged(message, tag, until), "sluice_send_tagged");
        }

        result<void> send_tagged(bytes message, std::uint32_t tag, deadline until,
                                 std::error_code &ec) noexcept
        {
                return detail::waited(tagged(message, tag, until), ec);
        }

        /* One message of several pieces. */
        result<void> sendv(std::initializer_list<bytes> pieces, deadline until = forever)
        {
                return detail::waited(gathered(pieces, until), "sluice_sendv");
        }

        result<void> sendv(std::initializer_list<bytes> pieces, deadline until,
                           std::error_code &ec) noexcept
        {
                return detail::waited(gathered(pieces, until), ec);
        }

        /* n messages that appear together, or the first of them; how many. */
        result<std::size_t> send_many(const bytes *messages, std::size_t n,
                                      deadline until = forever)
        {
                return detail::counted(many(messages, n, until), "sluice_send_many");
        }

        result<std::size_t> send_many(const bytes *messages, std::size_t n, deadline until,
                                      std::error_code &ec) noexcept
        {
                return detail::counted(many(messages, n, until), ec);
        }

        /* Never waits: without room, the message is dropped and counted. */
        result<void> offer(bytes message, std::uint32_t tag = 0)
        {
                return detail::waited(sluice_offer(handle_, message.data(), message.size(), tag),
                                      "sluice_offer");
        }

        result<void> offer(bytes message, std::uint32_t tag, std::error_code &ec) noexcept
        {
                return detail::waited(sluice_offer(handle_, message.data(), message.size(), tag),
                                      ec);
        }

        void count_dropped(std::uint64_t n) noexcept
        {
                sluice_count_dropped(handle_, n);
        }

        /* Of any length, in pieces if it is longer than the ring takes. One that is
         * not sent in time is given up. */
        result<void> send_long(bytes message, std::uint32_t tag = 0, deadline until = forever)
        {
                return detail::waited(in_pieces(message, tag, nullptr, until), "sluice_send_long");
        }

        /* It goes on by the same call: `sent`, 0 at first, is how far it has come. */
        result<void> send_long(bytes message, std::uint32_t tag, std::size_t &sent, deadline until)
        {
                return detail::waited(in_pieces(message, tag, &sent, until), "sluice_send_long");
        }

        result<void> send_long(bytes message, std::uint32_t tag, std::size_t &sent, deadline until,
                               std::error_code &ec) noexcept
        {
                return detail::waited(in_pieces(message, tag, &sent, until), ec);
        }

        /* ---- In place: reserve, write, commit; or stage several, and publish. */

        result<mutable_bytes> reserve(std::size_t size, deadline until = forever)
        {
                void *to;
                const int r = sluice_reserve(handle_, size, &to, until.native());

                detail::check_wait(r, "sluice_reserve");
                return {r, {to, size}};
        }

        result<mutable_bytes> reserve(std::size_t size, deadline until,
                                      std::error_code &ec) noexcept
        {
                void *to;
                const int r = sluice_reserve(handle_, size, &to, until.native());

                detail::record(r, ec);
                return {r, {to, size}};
        }

        void set_tag(std::uint32_t tag) noexcept
        {
                sluice_set_tag(handle_, tag);
        }

        void set_kind(sluice_kind kind)
        {
                detail::check(sluice_set_kind(handle_, kind), "sluice_set_kind");
        }

        void set_kind(sluice_kind kind, std::error_code &ec) noexcept
        {
                detail::record(sluice_set_kind(handle_, kind), ec);
        }

        void stage(std::size_t size)
        {
                detail::check(sluice_stage(handle_, size), "sluice_stage");
        }

        void stage(std::size_t size, std::error_code &ec) noexcept
        {
                detail::record(sluice_stage(handle_, size), ec);
        }

        void commit(std::size_t size)
        {
                detail::check(sluice_commit(handle_, size), "sluice_commit");
        }

        void commit(std::size_t size, std::error_code &ec) noexcept
        {
                detail::record(sluice_commit(handle_, size), ec);
        }

        void publish()
        {
                detail::check(sluice_publish(handle_), "sluice_publish");
        }

        void publish(std::error_code &ec) noexcept
        {
                detail::record(sluice_publish(handle_), ec);
        }

        void abort() noexcept
        {
                sluice_abort(handle_);
        }

        /* ---- Waiting */

        result<void> await_peer(deadline until = forever)
        {
                return detail::waited(sluice_producer_await_peer(handle_, until.native()),
                                      "sluice_producer_await_peer");
        }

        result<void> await_peer(deadline until, std::error_code &ec) noexcept
        {
                return detail::waited(sluice_producer_await_peer(handle_, until.native()), ec);
        }

        /* For poll, of one that was opened with wake::fifo. */
        int fd() const
        {
                const int r = sluice_producer_fd(handle_);

                detail::check(r, "sluice_producer_fd");
                return r;
        }

        int fd(std::error_code &ec) const noexcept
        {
                const int r = sluice_producer_fd(handle_);

                detail::record(r, ec);
                return r;
        }

        /* true: wait for fd(). false: there is room for `size` bytes, or an error. */
        bool arm(std::size_t size)
        {
                const int r = sluice_producer_arm(handle_, size);

                detail::check(r, "sluice_producer_arm");
                return r == 0;
        }

        bool arm(std::size_t size, std::error_code &ec) noexcept
        {
                const int r = sluice_producer_arm(handle_, size);

                detail::record(r, ec);
                return r == 0;
        }

        void disarm() noexcept
        {
                sluice_producer_disarm(handle_);
        }

        /* From any thread, or a signal handler. */
        void interrupt() noexcept
        {
                sluice_producer_interrupt(handle_);
        }

        /* ---- Looking */

        std::size_t max_size() const noexcept
        {
                return sluice_producer_max_len(handle_);
        }

        std::uint64_t position() const noexcept
        {
                return sluice_producer_position(handle_);
        }

        std::uint64_t messages() const noexcept
        {
                return sluice_producer_messages(handle_);
        }

        std::uint64_t used() const noexcept
        {
                return sluice_producer_used(handle_);
        }

        std::uint64_t pending() const noexcept
        {
                return sluice_producer_pending(handle_);
        }

        std::uint64_t room() const noexcept
        {
                return sluice_producer_room(handle_);
        }

        bool empty() const noexcept
        {
                return sluice_producer_is_empty(handle_) != 0;
        }

      protected:
        sluice_producer *handle_ = &detail::closed_producer;

      private:
        int tagged(bytes message, std::uint32_t tag, deadline until) noexcept
        {
                return sluice_send_tagged(handle_, message.data(), message.size(), tag,
                                          until.native());
        }

        int gathered(std::initializer_list<bytes> pieces, deadline until) noexcept
        {
                return sluice_sendv(handle_, &pieces.begin()->native(),
                                    static_cast<int>(pieces.size()), until.native());
        }

        /* More than an int counts are not sent at once. */
        int many(const bytes *messages, std::size_t n, deadline until) noexcept
        {
                const int most = n < INT32_MAX ? static_cast<int>(n) : INT32_MAX;

                return sluice_send_many(handle_, &messages->native(), most, until.native());
        }

        int in_pieces(bytes message, std::uint32_t tag, std::size_t *sent, deadline until) noexcept
        {
                return sluice_send_long(handle_, message.data(), message.size(), tag, sent,
                                        until.native());
        }
};

namespace detail
{

struct producer_role {
        using handle = sluice_producer;
        static constexpr const char *open_name = "sluice_producer_open";
        static constexpr const char *close_name = "sluice_producer_close";

        static handle *closed() noexcept
        {
                return &closed_producer;
        }

        static handle *make() noexcept
        {
                return sluice_producer_new();
        }

        static void free(handle *h) noexcept
        {
                sluice_producer_free(h);
        }

        static int open(handle *h, const char *name, const sluice_options *o) noexcept
        {
                return sluice_producer_open(h, name, o);
        }

        static int close(handle *h) noexcept
        {
                return sluice_producer_close(h);
        }
};

} // namespace detail

class producer : public detail::endpoint<producer_ref, detail::producer_role>
{
      public:
        using endpoint::endpoint;
};

} // namespace sluice

SLUICE_PRIV_END

#endif
