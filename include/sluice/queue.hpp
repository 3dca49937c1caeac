/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_QUEUE_HPP
#define SLUICE_QUEUE_HPP
/*
 * Queues as a whole: made, removed, looked at. Part of sluice.hpp. What each call
 * does, and its errors, says queue.h at the C call of the same name.
 */
#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "error.hpp"
#include "options.hpp"
#include "view.hpp"

SLUICE_PRIV_BEGIN

namespace sluice
{

using queue_stat = ::sluice_queue_stat;

namespace detail
{

/* A callable behind a function pointer of C. What it throws does not cross C: the
 * call is stopped, and `rethrow` throws it on. */
template <class F> class guarded
{
      public:
        explicit guarded(F &f) noexcept : f_(std::addressof(f))
        {
        }

        /* stop: what the C function is to return after an exception. */
        template <class... Args> int operator()(int stop, Args &&...args) noexcept
        {
                try {
                        if constexpr (std::is_void_v<std::invoke_result_t<F &, Args...>>) {
                                (*f_)(std::forward<Args>(args)...);
                                return 0;
                        } else {
                                return static_cast<int>((*f_)(std::forward<Args>(args)...));
                        }
                } catch (...) {
                        thrown_ = std::current_exception();
                        return stop;
                }
        }

        void rethrow() const
        {
                if (thrown_)
                        std::rethrow_exception(thrown_);
        }

      private:
        F *f_;
        std::exception_ptr thrown_;
};

} // namespace detail

inline void create(queue_name name, const options &o = {})
{
        const sluice_options native = o.native();
        const int r = sluice_create(name.c_str(), &native);

        if (r)
                detail::fail(r, "sluice_create", name.c_str(), sluice_limit());
}

inline void create(queue_name name, const options &o, std::error_code &ec) noexcept
{
        const sluice_options native = o.native();

        detail::record(sluice_create(name.c_str(), &native), ec);
}

inline void remove(queue_name name)
{
        const int r = sluice_remove(name.c_str());

        if (r)
                detail::fail(r, "sluice_remove", name.c_str());
}

inline void remove(queue_name name, std::error_code &ec) noexcept
{
        detail::record(sluice_remove(name.c_str()), ec);
}

inline queue_stat stat(queue_name name)
{
        queue_stat st;
        const int r = sluice_stat(name.c_str(), &st);

        if (r)
                detail::fail(r, "sluice_stat", name.c_str(), sluice_limit());
        return st;
}

inline queue_stat stat(queue_name name, std::error_code &ec) noexcept
{
        queue_stat st{};

        detail::record(sluice_stat(name.c_str(), &st), ec);
        return st;
}

/* f(const queue_stat &) for each; it returns nothing, or true to stop. How many;
 * 1 after a stop. */
template <class F> int list(F &&f)
{
        detail::guarded<std::remove_reference_t<F>> g(f);
        using guard = decltype(g);
        const int r = sluice_list(
                [](void *ctx, const sluice_queue_stat *st) {
                        return (*static_cast<guard *>(ctx))(1, *st);
                },
                &g);

        g.rethrow();
        detail::check(r, "sluice_list");
        return r;
}

inline std::vector<queue_stat> list()
{
        std::vector<queue_stat> all;

        list([&all](const queue_stat &st) { all.push_back(st); });
        return all;
}

inline std::vector<queue_stat> list(std::error_code &ec) noexcept
{
        std::vector<queue_stat> all;

        try {
                all = list();
                ec.clear();
        } catch (const std::system_error &e) {
                ec = e.code();
        } catch (...) {
                ec = make_error(-ENOMEM);
        }
        return all;
}

/* f(const message &) for each that waits in the queue, copied; as of list. */
template <class F> std::size_t dump(queue_name name, F &&f)
{
        detail::guarded<std::remove_reference_t<F>> g(f);
        using guard = decltype(g);
        const ssize_t r = sluice_dump(
                name.c_str(),
                [](void *ctx, const sluice_message *m) {
                        const message shown(*m);

                        return (*static_cast<guard *>(ctx))(1, shown);
                },
                &g);

        g.rethrow();
        if (r < 0)
                detail::fail(static_cast<int>(r), "sluice_dump", name.c_str());
        return static_cast<std::size_t>(r);
}

/* The very queue that list has shown. flags: SLUICE_REAP_PENDING ... */
inline void reap(const queue_stat &st, unsigned flags = 0)
{
        const int r = sluice_reap(&st, flags);

        if (r)
                detail::fail(r, "sluice_reap", st.name);
}

inline void reap(const queue_stat &st, unsigned flags, std::error_code &ec) noexcept
{
        detail::record(sluice_reap(&st, flags), ec);
}

/* Which limit of the system this thread's latest create or open has run into. */
inline const char *limit() noexcept
{
        return sluice_limit();
}

/* Of the library in use; SLUICE_VERSION_STRING: of the headers. */
inline const char *version() noexcept
{
        return sluice_version();
}

/* A queue that is there for as long as this object: made by the constructor,
 * EEXIST if there is one, and removed by the destructor. */
class queue
{
      public:
        queue() noexcept = default;

        explicit queue(queue_name name, const options &o = {}) : name_(name.c_str())
        {
                create(name_, o);
                owns_ = true;
        }

        queue(queue_name name, const options &o, std::error_code &ec) noexcept
        {
                try {
                        name_ = name.c_str();
                } catch (...) {
                        ec = make_error(-ENOMEM);
                        return;
                }
                create(name_, o, ec);
                owns_ = !ec;
        }

        queue(queue &&other) noexcept
            : name_(std::move(other.name_)), owns_(std::exchange(other.owns_, false))
        {
        }

        queue &operator=(queue &&other) noexcept
        {
                if (this != &other) {
                        drop();
                        name_ = std::move(other.name_);
                        owns_ = std::exchange(other.owns_, false);
                }
                return *this;
        }

        queue(const queue &) = delete;
        queue &operator=(const queue &) = delete;

        ~queue()
        {
                drop();
        }

        explicit operator bool() const noexcept
        {
                return owns_;
        }

        const std::string &name() const noexcept
        {
                return name_;
        }

        queue_stat stat() const
        {
                return sluice::stat(name_);
        }

        queue_stat stat(std::error_code &ec) const noexcept
        {
                return sluice::stat(name_, ec);
        }

        /* It stays when this object ends. */
        void keep() noexcept
        {
                owns_ = false;
        }

        void remove()
        {
                std::error_code ec;

                remove(ec);
                if (ec)
                        throw std::system_error(ec, "sluice_remove " + name_);
        }

        void remove(std::error_code &ec) noexcept
        {
                detail::record(owns_ ? drop() : -EINVAL, ec);
        }

      private:
        int drop() noexcept
        {
                return std::exchange(owns_, false) ? sluice_remove(name_.c_str()) : 0;
        }

        std::string name_;
        bool owns_ = false;
};

} // namespace sluice

SLUICE_PRIV_END

#endif
