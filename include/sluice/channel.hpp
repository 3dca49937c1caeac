/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_CHANNEL_HPP
#define SLUICE_CHANNEL_HPP
/*
 * Two queues under one name, for request and reply. Part of sluice.hpp; channel.h
 * says what each call does. A server that has one client:
 *
 *      sluice::channel ch("calls", sluice::side::server, sluice::or_create);
 *      for (auto &&request : ch.in())
 *              (void)ch.reply(request.tag(), "pong", 1s);
 *
 * Of many clients the server is a group.
 */
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

#include "../sluice.h"
#include "consumer.hpp"
#include "deadline.hpp"
#include "error.hpp"
#include "options.hpp"
#include "producer.hpp"
#include "view.hpp"

SLUICE_PRIV_BEGIN

namespace sluice
{

enum class side { client = SLUICE_CLIENT, server = SLUICE_SERVER };

inline void create_channel(queue_name name, const options &o = {})
{
        const sluice_options native = o.native();
        const int r = sluice_channel_create(name.c_str(), &native);

        if (r)
                detail::fail(r, "sluice_channel_create", name.c_str(), sluice_limit());
}

inline void create_channel(queue_name name, const options &o, std::error_code &ec) noexcept
{
        const sluice_options native = o.native();

        detail::record(sluice_channel_create(name.c_str(), &native), ec);
}

inline void remove_channel(queue_name name)
{
        const int r = sluice_channel_remove(name.c_str());

        if (r)
                detail::fail(r, "sluice_channel_remove", name.c_str());
}

inline void remove_channel(queue_name name, std::error_code &ec) noexcept
{
        detail::record(sluice_channel_remove(name.c_str()), ec);
}

/* One end. Only moved; the handle stays where it is, on the heap. One that is not
 * open answers EINVAL. */
class channel
{
      public:
        channel() noexcept = default;

        channel(queue_name name, side s, const options &o = {})
        {
                const int r = open(name, s, o);

                if (r)
                        detail::fail(r, "sluice_channel_open", name.c_str(), sluice_limit());
        }

        channel(queue_name name, side s, const options &o, std::error_code &ec) noexcept
        {
                detail::record(open(name, s, o), ec);
        }

        explicit operator bool() const noexcept
        {
                return handle_ != nullptr;
        }

        /* For all C calls; NULL: not open. */
        sluice_channel *native() const noexcept
        {
                return handle_.get();
        }

        /* The length of the reply, in `reply`. */
        result<std::size_t> call(bytes request, mutable_bytes reply, deadline until = forever)
        {
                return detail::counted(ask(request, reply, until), "sluice_call");
        }

        result<std::size_t> call(bytes request, mutable_bytes reply, deadline until,
                                 std::error_code &ec) noexcept
        {
                return detail::counted(ask(request, reply, until), ec);
        }

        result<void> reply(std::uint32_t tag, bytes m, deadline until = forever)
        {
                return detail::waited(answer(tag, m, until), "sluice_reply");
        }

        result<void> reply(std::uint32_t tag, bytes m, deadline until, std::error_code &ec) noexcept
        {
                return detail::waited(answer(tag, m, until), ec);
        }

        /* Of a server: the requests, in a loop, say. Valid until the channel ends. */
        consumer_ref &in() noexcept
        {
                return in_;
        }

        producer_ref &out() noexcept
        {
                return out_;
        }

        /* From any thread, or a signal handler. */
        void interrupt() noexcept
        {
                if (handle_)
                        sluice_channel_interrupt(handle_.get());
        }

        void close()
        {
                detail::check(drop(), "sluice_channel_close");
        }

        void close(std::error_code &ec) noexcept
        {
                detail::record(drop(), ec);
        }

        channel(channel &&other) noexcept
        {
                take(other);
        }

        channel &operator=(channel &&other) noexcept
        {
                if (this != &other) {
                        drop();
                        take(other);
                }
                return *this;
        }

        channel(const channel &) = delete;
        channel &operator=(const channel &) = delete;

        ~channel()
        {
                drop();
        }

      private:
        int open(queue_name name, side s, const options &o) noexcept
        {
                std::unique_ptr<sluice_channel> h(new (std::nothrow) sluice_channel());
                const sluice_options native = o.native();
                const int r = h ? sluice_channel_open(h.get(), name.c_str(),
                                                      static_cast<sluice_side>(s), &native)
                                : -ENOMEM;

                if (r == 0) {
                        handle_ = std::move(h);
                        in_ = consumer_ref(handle_->in);
                        out_ = producer_ref(handle_->out);
                }
                return r;
        }

        void take(channel &other) noexcept
        {
                handle_ = std::move(other.handle_);
                in_ = std::exchange(other.in_, consumer_ref());
                out_ = std::exchange(other.out_, producer_ref());
        }

        int drop() noexcept
        {
                const int r = handle_ ? sluice_channel_close(handle_.get()) : -EINVAL;

                handle_.reset();
                in_ = consumer_ref();
                out_ = producer_ref();
                return r;
        }

        ssize_t ask(bytes m, mutable_bytes to, deadline until) noexcept
        {
                return handle_ ? sluice_call(handle_.get(), m.data(), m.size(), to.data(),
                                             to.size(), until.native())
                               : -EINVAL;
        }

        int answer(std::uint32_t tag, bytes m, deadline until) noexcept
        {
                return handle_ ? sluice_reply(handle_.get(), tag, m.data(), m.size(),
                                              until.native())
                               : -EINVAL;
        }

        std::unique_ptr<sluice_channel> handle_;
        consumer_ref in_;
        producer_ref out_;
};

} // namespace sluice

SLUICE_PRIV_END

#endif
