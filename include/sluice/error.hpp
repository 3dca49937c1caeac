/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_ERROR_HPP
#define SLUICE_ERROR_HPP
/*
 * Errors, and what becomes of a call that may wait. Part of sluice.hpp.
 *
 * Each call that can fail has two forms, as those of std::filesystem:
 *
 *      f(args)                          throws std::system_error
 *      f(args, std::error_code &ec)     noexcept, sets or clears ec
 *
 * That there is no message or no room in time, that the other side has
 * closed or died, and an interruption are no failures: a call that may wait
 * returns them in a sluice::result, in both forms, and the first form does
 * not throw them. So a loop of messages needs no exception.
 */
#include <cerrno>
#include <new>
#include <string>
#include <system_error>
#include <type_traits>

#include "../sluice.h"

SLUICE_PRIV_BEGIN

namespace sluice
{

namespace detail
{

/* One object in a program, whatever its parts hide of their symbols: categories
 * are compared by address. */
#if defined __clang__
#pragma clang diagnostic push
/* Without a source file there is no place for the table of virtual functions. */
#pragma clang diagnostic ignored "-Wweak-vtables"
#endif
class __attribute__((visibility("default"))) error_category final : public std::error_category
{
      public:
        const char *name() const noexcept override
        {
                return "sluice";
        }

        std::string message(int error) const override
        {
                return sluice_strerror(-error);
        }

        std::error_condition default_error_condition(int error) const noexcept override
        {
                return {error, std::generic_category()};
        }
};
#if defined __clang__
#pragma clang diagnostic pop
#endif

} // namespace detail

/* Of all errors here: their values are those of errno, their messages those of
 * sluice_strerror, and each equals the std::errc of its value. */
__attribute__((visibility("default"))) inline const std::error_category &category() noexcept
{
        /* Never destroyed: a destructor of the program's may still need it. */
        alignas(detail::error_category) static unsigned char memory[sizeof(detail::error_category)];
        static const std::error_category *const the = ::new (memory) detail::error_category;

        return *the;
}

/* Of a value that the C calls return: 0 or a count, or a negative errno. */
inline std::error_code make_error(int returned) noexcept
{
        return {returned < 0 ? -returned : 0, category()};
}

namespace detail
{

/* Says which call it was, of which queue, and which limit was reached. */
[[noreturn, gnu::cold, gnu::noinline]] inline void
fail(int returned, const char *call, const char *name = "", const char *limit = "")
{
        std::string what = call;

        if (*name != '\0')
                what.append(" ").append(name);
        if (*limit != '\0')
                what.append(" (").append(limit).append(")");
        throw std::system_error(make_error(returned), what);
}

inline void check(int returned, const char *call)
{
        if (__builtin_expect(returned < 0, 0))
                fail(returned, call);
}

inline void record(int returned, std::error_code &ec) noexcept
{
        if (__builtin_expect(returned < 0, 0))
                ec = make_error(returned);
        else if (ec)
                ec.clear();
}

/* What a call that may wait returns rather than throws. */
constexpr bool is_ordinary(int returned) noexcept
{
        return returned == -EAGAIN || returned == -ETIMEDOUT || returned == -EPIPE ||
               returned == -EOWNERDEAD || returned == -ECANCELED;
}

[[gnu::cold, gnu::noinline]] inline void check_unusual(int returned, const char *call)
{
        if (!is_ordinary(returned))
                fail(returned, call);
}

/* As check, but for what is ordinary. */
inline void check_wait(int returned, const char *call)
{
        if (__builtin_expect(returned != 0, 0))
                check_unusual(returned, call);
}

/* What all results have, value or none. */
class outcome
{
      public:
        constexpr bool has_value() const noexcept
        {
                return returned_ == 0;
        }

        constexpr explicit operator bool() const noexcept
        {
                return has_value();
        }

        /* No message, or no room: now, or until the deadline. */
        constexpr bool timed_out() const noexcept
        {
                return returned_ == -EAGAIN || returned_ == -ETIMEDOUT;
        }

        /* The other side has closed, and a consumer has received all of it. */
        constexpr bool closed() const noexcept
        {
                return returned_ == -EPIPE;
        }

        /* It died, likewise. */
        constexpr bool died() const noexcept
        {
                return returned_ == -EOWNERDEAD;
        }

        /* Either. Told once; later calls wait for a successor. */
        constexpr bool ended() const noexcept
        {
                return closed() || died();
        }

        constexpr bool interrupted() const noexcept
        {
                return returned_ == -ECANCELED;
        }

        /* Why there is no value; no error if there is one. */
        std::error_code error() const noexcept
        {
                return make_error(returned_);
        }

      protected:
        constexpr explicit outcome(int returned) noexcept : returned_(returned)
        {
        }

        void require_value() const
        {
                if (__builtin_expect(!has_value(), 0))
                        fail(returned_, "sluice::result");
        }

        int returned_;
};

} // namespace detail

/*
 * A value, or why there is none. *r and r-> want one, as of std::optional;
 * value() throws std::system_error without.
 */
template <class T> class [[nodiscard]] result : public detail::outcome
{
        static_assert(std::is_trivially_copyable_v<T>, "only what is cheap to return");

      public:
        constexpr result(int returned, const T &value) noexcept : outcome(returned), value_(value)
        {
        }

        constexpr const T &operator*() const noexcept
        {
                return value_;
        }

        constexpr const T *operator->() const noexcept
        {
                return &value_;
        }

        const T &value() const
        {
                require_value();
                return value_;
        }

      private:
        T value_;
};

/* A reference to memory of the ring. */
template <class T> class [[nodiscard]] result<T &> : public detail::outcome
{
      public:
        constexpr result(int returned, T *value) noexcept : outcome(returned), value_(value)
        {
        }

        constexpr T &operator*() const noexcept
        {
                return *value_;
        }

        constexpr T *operator->() const noexcept
        {
                return value_;
        }

        T &value() const
        {
                require_value();
                return *value_;
        }

      private:
        T *value_;
};

/* Done, or why not. */
template <> class [[nodiscard]] result<void> : public detail::outcome
{
      public:
        constexpr explicit result(int returned) noexcept : outcome(returned)
        {
        }

        void value() const
        {
                require_value();
        }
};

namespace detail
{

/* Either form of a call that may wait, and returns 0 or a count. */
inline result<void> waited(int returned, const char *call)
{
        check_wait(returned, call);
        return result<void>(returned);
}

inline result<void> waited(int returned, std::error_code &ec) noexcept
{
        record(returned, ec);
        return result<void>(returned);
}

inline result<std::size_t> counted(ssize_t returned, const char *call)
{
        const int error = returned < 0 ? static_cast<int>(returned) : 0;

        check_wait(error, call);
        return {error, static_cast<std::size_t>(returned)};
}

inline result<std::size_t> counted(ssize_t returned, std::error_code &ec) noexcept
{
        const int error = returned < 0 ? static_cast<int>(returned) : 0;

        record(error, ec);
        return {error, static_cast<std::size_t>(returned)};
}

} // namespace detail

} // namespace sluice

SLUICE_PRIV_END

#endif
