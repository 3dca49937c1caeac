/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_GROUP_HPP
#define SLUICE_GROUP_HPP
/*
 * Groups: one thread, or a few, serve many queues. Part of sluice.hpp; whoever uses
 * them links with -lsluice-group. group.h says what each call does, its errors, and
 * who may call.
 *
 *      sluice::group g;
 *      g.watch("logs", SLUICE_WATCH_REMOVE);
 *      g.serve([](sluice::member m, const sluice::message &text) {
 *              std::cout << m.name() << ": " << text.text() << '\n';
 *      });
 *
 * A handler takes (member, const message &), or, to be told of events as well,
 * (member, event, const message &), where the message is empty for all but
 * event::message. It returns nothing, and all goes on, or a sluice::then.
 *
 * What a handler throws, serve throws: it has stopped, and the message is not
 * released and comes again. No exception passes through the library.
 */
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <type_traits>
#include <utility>

#include "deadline.hpp"
#include "error.hpp"
#include "group.h"
#include "long.hpp"
#include "options.hpp"
#include "queue.hpp"
#include "view.hpp"

SLUICE_PRIV_BEGIN

namespace sluice
{

enum class event {
        message = SLUICE_MESSAGE,
        joined = SLUICE_JOINED,
        ended = SLUICE_ENDED,
        died = SLUICE_DIED,
        violated = SLUICE_VIOLATED,
        removed = SLUICE_REMOVED
};

/* What is to be after a handler: keep: stop, and the same message comes again. */
enum class then { go_on, stop, keep };

/* A queue in a group; valid until it is removed from it. */
class member
{
      public:
        member() noexcept = default;

        explicit member(sluice_member *m) noexcept : m_(m)
        {
        }

        sluice_member *native() const noexcept
        {
                return m_;
        }

        friend bool operator==(member a, member b) noexcept
        {
                return a.m_ == b.m_;
        }

        friend bool operator!=(member a, member b) noexcept
        {
                return a.m_ != b.m_;
        }

        const char *name() const noexcept
        {
                return sluice_member_name(m_);
        }

        template <class T> T *user() const noexcept
        {
                return static_cast<T *>(sluice_member_user(m_));
        }

        /* ---- All below: in the handler */

        void set_user(void *user) noexcept
        {
                sluice_member_set_user(m_, user);
        }

        void set_batch(unsigned batch) noexcept
        {
                sluice_member_set_batch(m_, batch);
        }

        void set_priority(unsigned priority)
        {
                detail::check(sluice_member_set_priority(m_, priority),
                              "sluice_member_set_priority");
        }

        void set_priority(unsigned priority, std::error_code &ec) noexcept
        {
                detail::record(sluice_member_set_priority(m_, priority), ec);
        }

        /* The next message of this member, without going through the handler. */
        result<message> next()
        {
                sluice_message m;
                const int r = sluice_member_next(m_, &m);

                return detail::shown(r, m, "sluice_member_next");
        }

        result<message> next(std::error_code &ec) noexcept
        {
                sluice_message m;
                const int r = sluice_member_next(m_, &m);

                return detail::shown(r, m, ec);
        }

        /* `to` is this member's own. No value: it is not complete yet. */
        result<std::size_t> recv_long(long_message &to, const message &piece)
        {
                return detail::counted(assembled(to, piece), "sluice_member_recv_long");
        }

        result<std::size_t> recv_long(long_message &to, const message &piece,
                                      std::error_code &ec) noexcept
        {
                return detail::counted(assembled(to, piece), ec);
        }

        /* Of a channel: the reply to the request with this tag. By default it waits for
         * no client. */
        result<void> reply(std::uint32_t tag, bytes m, deadline until = now)
        {
                return detail::waited(
                        sluice_member_reply(m_, tag, m.data(), m.size(), until.native()),
                        "sluice_member_reply");
        }

        result<void> reply(std::uint32_t tag, bytes m, deadline until, std::error_code &ec) noexcept
        {
                return detail::waited(
                        sluice_member_reply(m_, tag, m.data(), m.size(), until.native()), ec);
        }

      private:
        ssize_t assembled(long_message &to, const message &piece) noexcept
        {
                return to.receive([this, &piece](sluice_long *l) {
                        return sluice_member_recv_long(m_, l, &piece.native());
                });
        }

        sluice_member *m_ = nullptr;
};

using member_stat = ::sluice_member_stat;

/* As they are: the defaults. */
struct group_options {
        unsigned batch = 0;
        std::chrono::nanoseconds hot{SLUICE_HOT_DEFAULT};
        std::chrono::nanoseconds spin{SLUICE_SPIN_DEFAULT};
        std::chrono::nanoseconds slice{0};
        void (*forget)(void *user) = nullptr; /* throws nothing */

        sluice_group_options native() const noexcept
        {
                sluice_group_options o{};

                o.size = sizeof o;
                o.batch = batch;
                o.hot_ns = hot.count();
                o.spin_ns = spin.count();
                o.slice_ns = slice.count();
                o.forget = forget;
                return o;
        }
};

namespace detail
{

/* A handler behind the function pointer of C. */
template <class F> class handler
{
      public:
        explicit handler(F &f) noexcept : f_(f)
        {
        }

        static int call(void *ctx, sluice_member *m, sluice_event e,
                        const sluice_message *data) noexcept
        {
                return static_cast<handler *>(ctx)->handle(member(m), static_cast<event>(e), data);
        }

        /* What serve returned, and what to make of it. */
        ssize_t finish(ssize_t returned) const
        {
                f_.rethrow();
                return kept_ ? static_cast<ssize_t>(calls_) : returned;
        }

      private:
        static constexpr bool takes_events =
                std::is_invocable_v<F &, member, event, const message &>;

        int handle(member m, event e, const sluice_message *data) noexcept
        {
                const message shown = data ? message(*data) : message();
                int r = 0;

                if constexpr (takes_events)
                        r = f_(thrown, m, e, shown);
                else if (e == event::message)
                        r = f_(thrown, m, shown);
                if (r == static_cast<int>(then::keep)) {
                        kept_ = true;
                        return -ECANCELED;
                }
                calls_ += e == event::message;
                return r;
        }

        /* Stops serve, and keeps the message. */
        static constexpr int thrown = -ECANCELED;

        guarded<F> f_;
        std::size_t calls_ = 0;
        bool kept_ = false;
};

} // namespace detail

/* Only moved. Its threads and members end with it. */
class group
{
      public:
        group() : group(group_options())
        {
        }

        explicit group(const group_options &o)
        {
                const int r = make(o);

                if (r)
                        detail::fail(r, "sluice_group_create", "", sluice_limit());
        }

        group(const group_options &o, std::error_code &ec) noexcept
        {
                detail::record(make(o), ec);
        }

        group(group &&other) noexcept : g_(std::exchange(other.g_, nullptr))
        {
        }

        group &operator=(group &&other) noexcept
        {
                if (this != &other) {
                        drop();
                        g_ = std::exchange(other.g_, nullptr);
                }
                return *this;
        }

        group(const group &) = delete;
        group &operator=(const group &) = delete;

        ~group()
        {
                drop();
        }

        explicit operator bool() const noexcept
        {
                return g_ != nullptr;
        }

        /* For all C calls; NULL: moved from, or closed. */
        sluice_group *native() const noexcept
        {
                return g_;
        }

        /* Errors leave it as it is. */
        void close()
        {
                detail::check(drop(), "sluice_group_destroy");
        }

        void close(std::error_code &ec) noexcept
        {
                detail::record(drop(), ec);
        }

        member add(queue_name name, const options &o = {}, void *user = nullptr)
        {
                sluice_member *m = nullptr;
                const int r = join(name, o, user, &m);

                if (r)
                        detail::fail(r, "sluice_group_add", name.c_str(), sluice_limit());
                return member(m);
        }

        member add(queue_name name, const options &o, void *user, std::error_code &ec) noexcept
        {
                sluice_member *m = nullptr;

                detail::record(join(name, o, user, &m), ec);
                return member(m);
        }

        void remove(member m)
        {
                detail::check(g_ ? sluice_group_remove(g_, m.native()) : -EINVAL,
                              "sluice_group_remove");
        }

        void remove(member m, std::error_code &ec) noexcept
        {
                detail::record(g_ ? sluice_group_remove(g_, m.native()) : -EINVAL, ec);
        }

        /* flags: SLUICE_WATCH_REMOVE, SLUICE_WATCH_CHANNELS. */
        void watch(queue_name directory, unsigned flags = 0, void *user = nullptr)
        {
                const int r = look_into(directory, flags, user);

                if (r)
                        detail::fail(r, "sluice_group_watch", directory.c_str());
        }

        void watch(queue_name directory, unsigned flags, void *user, std::error_code &ec) noexcept
        {
                detail::record(look_into(directory, flags, user), ec);
        }

        /* How many messages were handed over; no value: interrupted. */
        template <class F>
        result<std::size_t> serve(F &&f, deadline until = forever, std::size_t max = SIZE_MAX)
        {
                return run(sluice_group_serve, f, until, max, "sluice_group_serve");
        }

        /* As serve, for any number of threads. */
        template <class F>
        result<std::size_t> serve_shared(F &&f, deadline until = forever,
                                         std::size_t max = SIZE_MAX)
        {
                return run(sluice_group_serve_shared, f, until, max, "sluice_group_serve_shared");
        }

        int fd() const
        {
                const int r = g_ ? sluice_group_fd(g_) : -EINVAL;

                detail::check(r, "sluice_group_fd");
                return r;
        }

        int fd(std::error_code &ec) const noexcept
        {
                const int r = g_ ? sluice_group_fd(g_) : -EINVAL;

                detail::record(r, ec);
                return r;
        }

        /* true: wait for fd(). false: serve has something to do, or an error. */
        bool arm()
        {
                const int r = g_ ? sluice_group_arm(g_) : -EINVAL;

                detail::check(r, "sluice_group_arm");
                return r == 0;
        }

        bool arm(std::error_code &ec) noexcept
        {
                const int r = g_ ? sluice_group_arm(g_) : -EINVAL;

                detail::record(r, ec);
                return r == 0;
        }

        void disarm() noexcept
        {
                if (g_)
                        sluice_group_disarm(g_);
        }

        /* From any thread, or a signal handler. */
        void interrupt() noexcept
        {
                if (g_)
                        sluice_group_interrupt(g_);
        }

        /* f(member, const member_stat &) for each; it returns nothing, or true to stop.
         * How many; 1 after a stop. */
        template <class F> int each(F &&f)
        {
                detail::guarded<std::remove_reference_t<F>> guard(f);
                using guard_type = decltype(guard);
                const int r = g_ ? sluice_group_each(g_, show<guard_type>, &guard) : -EINVAL;

                guard.rethrow();
                detail::check(r, "sluice_group_each");
                return r;
        }

      private:
        using serve_call = ssize_t(sluice_group *, sluice_group_handler *, void *, std::size_t,
                                   sluice_deadline);

        template <class F>
        result<std::size_t> run(serve_call *c, F &f, deadline until, std::size_t max,
                                const char *call)
        {
                using handler = detail::handler<F>;
                handler h(f);
                const ssize_t r = g_ ? c(g_, handler::call, &h, max, until.native()) : -EINVAL;

                return detail::counted(h.finish(r), call);
        }

        template <class Guard>
        static int show(void *ctx, const sluice_member *m, const sluice_member_stat *st) noexcept
        {
                return (*static_cast<Guard *>(ctx))(1, member(const_cast<sluice_member *>(m)), *st);
        }

        int make(const group_options &o) noexcept
        {
                const sluice_group_options native = o.native();

                return sluice_group_create(&g_, &native);
        }

        int join(queue_name name, const options &o, void *user, sluice_member **m) noexcept
        {
                const sluice_options native = o.native();

                return g_ ? sluice_group_add(g_, name.c_str(), &native, user, m) : -EINVAL;
        }

        int look_into(queue_name directory, unsigned flags, void *user) noexcept
        {
                return g_ ? sluice_group_watch(g_, directory.c_str(), flags, user) : -EINVAL;
        }

        int drop() noexcept
        {
                const int r = g_ ? sluice_group_destroy(g_) : -EINVAL;

                if (r == 0)
                        g_ = nullptr;
                return r;
        }

        sluice_group *g_ = nullptr;
};

} // namespace sluice

SLUICE_PRIV_END

#endif
