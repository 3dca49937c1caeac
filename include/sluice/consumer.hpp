/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_CONSUMER_HPP
#define SLUICE_CONSUMER_HPP
/*
 * The consumer. Part of sluice.hpp. What each call does, and its errors, say
 * consumer.h, extra.h, long.h and queue.h at the C call of the same name.
 * consumer_ref and consumer are to each other as producer_ref and producer.
 *
 * Loops
 *      for (auto &&m : c)              waits for each message, until the other
 *                                      side has closed or died
 *      for (auto &&m : c.until(t))     likewise, and until the deadline
 *      for (auto &&m : c.drain())      what is there, without waiting
 *
 * A message is in place. It is released when the loop goes on to the next one:
 * a loop that is left by break, return or an exception has released exactly
 * those that it has passed, and the one that it was at comes again. To be rid of
 * that, call release() before break. last() says why a loop has ended. All
 * errors that are no such end are thrown.
 */
#include <cstddef>
#include <cstdint>
#include <system_error>

#include "deadline.hpp"
#include "endpoint.hpp"
#include "error.hpp"
#include "long.hpp"
#include "loop.hpp"
#include "options.hpp"
#include "view.hpp"

SLUICE_PRIV_BEGIN

namespace sluice
{

namespace detail
{

/* What one that is not open refers to: all zero, on which every call is EINVAL. */
inline sluice_consumer closed_consumer{};

} // namespace detail

class consumer_ref
{
      public:
        consumer_ref() noexcept = default;

        explicit consumer_ref(sluice_consumer &handle) noexcept : handle_(&handle)
        {
        }

        /* For all C calls. */
        sluice_consumer *native() const noexcept
        {
                return handle_;
        }

        /* ---- Loops: see above */

        auto begin()
        {
                return until(forever).begin();
        }

        end_of_messages end() const noexcept
        {
                return {};
        }

        messages_until<consumer_ref, message> until(deadline t) noexcept
        {
                return {*this, t};
        }

        /* At most max; 0: all, which are no more than a lap of the ring. */
        messages_there<consumer_ref, message> drain(std::size_t max = 0) noexcept
        {
                return {*this, max};
        }

        /* Why the latest loop has ended: no value, and which end. With a value: it has
         * not come to one, but was left, or drain had enough. */
        result<void> last() const noexcept
        {
                return result<void>(last_);
        }

        /* ---- In place. A result without a value: no message in time, the producer
         * has gone, or interrupted. */

        result<message> peek(deadline until = forever)
        {
                return look_at(handle_, until);
        }

        result<message> peek(deadline until, std::error_code &ec) noexcept
        {
                sluice_message m;
                const int r = sluice_peek(handle_, &m, until.native());

                return detail::shown(r, m, ec);
        }

        /* The newest; all before it are released. */
        result<message> peek_latest(deadline until = forever)
        {
                sluice_message m;
                const int r = sluice_peek_latest(handle_, &m, until.native());

                return detail::shown(r, m, "sluice_peek_latest");
        }

        result<message> peek_latest(deadline until, std::error_code &ec) noexcept
        {
                sluice_message m;
                const int r = sluice_peek_latest(handle_, &m, until.native());

                return detail::shown(r, m, ec);
        }

        /* Up to N, all kept until release; how many. */
        template <std::size_t N>
        result<std::size_t> peek_many(message (&to)[N], deadline until = forever)
        {
                return detail::counted(sluice_peek_many(handle_, &to->native(), N, until.native()),
                                       "sluice_peek_many");
        }

        template <std::size_t N>
        result<std::size_t> peek_many(message (&to)[N], deadline until,
                                      std::error_code &ec) noexcept
        {
                return detail::counted(sluice_peek_many(handle_, &to->native(), N, until.native()),
                                       ec);
        }

        void advance()
        {
                detail::check(sluice_advance(handle_), "sluice_advance");
        }

        void advance(std::error_code &ec) noexcept
        {
                detail::record(sluice_advance(handle_), ec);
        }

        void release()
        {
                detail::check(sluice_release(handle_), "sluice_release");
        }

        void release(std::error_code &ec) noexcept
        {
                detail::record(sluice_release(handle_), ec);
        }

        void release_to(std::uint64_t position)
        {
                detail::check(sluice_release_to(handle_, position), "sluice_release_to");
        }

        void release_to(std::uint64_t position, std::error_code &ec) noexcept
        {
                detail::record(sluice_release_to(handle_, position), ec);
        }

        /* ---- Copied, and released. EMSGSIZE: longer than `to`; it stays. */

        result<std::size_t> recv(mutable_bytes to, deadline until = forever)
        {
                return detail::counted(sluice_recv(handle_, to.data(), to.size(), until.native()),
                                       "sluice_recv");
        }

        result<std::size_t> recv(mutable_bytes to, deadline until, std::error_code &ec) noexcept
        {
                return detail::counted(sluice_recv(handle_, to.data(), to.size(), until.native()),
                                       ec);
        }

        /* Of any length up to the limit of `to`. Without a value it may have a part: the
         * next call goes on. EMSGSIZE: it is longer; skip_long gives it up. */
        result<std::size_t> recv_long(long_message &to, deadline until = forever)
        {
                return detail::counted(assembled(to, until), "sluice_recv_long");
        }

        result<std::size_t> recv_long(long_message &to, deadline until,
                                      std::error_code &ec) noexcept
        {
                return detail::counted(assembled(to, until), ec);
        }

        void skip_long(long_message &to)
        {
                detail::check(sluice_skip_long(handle_, &to.native()), "sluice_skip_long");
        }

        void skip_long(long_message &to, std::error_code &ec) noexcept
        {
                detail::record(sluice_skip_long(handle_, &to.native()), ec);
        }

        /* ---- Waiting */

        result<void> await_peer(deadline until = forever)
        {
                return detail::waited(sluice_consumer_await_peer(handle_, until.native()),
                                      "sluice_consumer_await_peer");
        }

        result<void> await_peer(deadline until, std::error_code &ec) noexcept
        {
                return detail::waited(sluice_consumer_await_peer(handle_, until.native()), ec);
        }

        /* For poll, of one that was opened with wake::fifo. */
        int fd() const
        {
                const int r = sluice_consumer_fd(handle_);

                detail::check(r, "sluice_consumer_fd");
                return r;
        }

        int fd(std::error_code &ec) const noexcept
        {
                const int r = sluice_consumer_fd(handle_);

                detail::record(r, ec);
                return r;
        }

        /* true: wait for fd(). false: there is something already, or an error. */
        bool arm()
        {
                const int r = sluice_consumer_arm(handle_);

                detail::check(r, "sluice_consumer_arm");
                return r == 0;
        }

        bool arm(std::error_code &ec) noexcept
        {
                const int r = sluice_consumer_arm(handle_);

                detail::record(r, ec);
                return r == 0;
        }

        void disarm() noexcept
        {
                sluice_consumer_disarm(handle_);
        }

        /* From any thread, or a signal handler. */
        void interrupt() noexcept
        {
                sluice_consumer_interrupt(handle_);
        }

        /* ---- Looking */

        std::size_t max_size() const noexcept
        {
                return sluice_consumer_max_len(handle_);
        }

        std::uint64_t position() const noexcept
        {
                return sluice_consumer_position(handle_);
        }

        std::uint64_t messages() const noexcept
        {
                return sluice_consumer_messages(handle_);
        }

        std::uint64_t used() const noexcept
        {
                return sluice_consumer_used(handle_);
        }

        std::uint64_t pending() const noexcept
        {
                return sluice_consumer_pending(handle_);
        }

        std::uint64_t room() const noexcept
        {
                return sluice_consumer_room(handle_);
        }

        bool empty() const noexcept
        {
                return sluice_consumer_is_empty(handle_) != 0;
        }

      protected:
        template <class, class, class> friend class detail::loop_iterator;

        static result<message> look_at(sluice_consumer *handle, deadline until)
        {
                sluice_message m;
                const int r = sluice_peek(handle, &m, until.native());

                return detail::shown(r, m, "sluice_peek");
        }

        void loop_begins() noexcept
        {
                last_ = 0;
        }

        /* An end behind messages is told again by the next call, as of sluice_drain. */
        void loop_ends(const detail::outcome &why, bool any, bool again) noexcept
        {
                last_ = -why.error().value();
                if (any && again && why.ended() && handle_->base.sleep)
                        handle_->base.sleep->tell(handle_, 0, SLUICE_NOW);
        }

        sluice_consumer *handle_ = &detail::closed_consumer;

      private:
        ssize_t assembled(long_message &to, deadline until) noexcept
        {
                return to.receive([this, until](sluice_long *l) {
                        return sluice_recv_long(handle_, l, until.native());
                });
        }

        int last_ = 0;
};

namespace detail
{

struct consumer_role {
        using handle = sluice_consumer;
        static constexpr const char *open_name = "sluice_consumer_open";
        static constexpr const char *close_name = "sluice_consumer_close";

        static handle *closed() noexcept
        {
                return &closed_consumer;
        }

        static handle *make() noexcept
        {
                return sluice_consumer_new();
        }

        static void free(handle *h) noexcept
        {
                sluice_consumer_free(h);
        }

        static int open(handle *h, const char *name, const sluice_options *o) noexcept
        {
                return sluice_consumer_open(h, name, o);
        }

        static int close(handle *h) noexcept
        {
                return sluice_consumer_close(h);
        }
};

} // namespace detail

class consumer : public detail::endpoint<consumer_ref, detail::consumer_role>
{
      public:
        using endpoint::endpoint;
};

} // namespace sluice

SLUICE_PRIV_END

#endif
