/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_DEADLINE_HPP
#define SLUICE_DEADLINE_HPP
/*
 * Deadlines from <chrono>. Part of sluice.hpp.
 *
 *      a duration                   from now on; 0 and less: now; what 64 bits
 *                                   of nanoseconds cannot hold: forever
 *      a time of steady_clock       exactly then: it is the clock of all
 *                                   deadlines, CLOCK_MONOTONIC
 *      a time of any other clock    as far from now as it is on that clock when
 *                                   the deadline is made; min() is now, max() is
 *                                   forever
 *
 * Fractions of a nanosecond are rounded up: no call gives up too early.
 */
#include <chrono>
#include <cstdint>
#include <ratio>
#include <type_traits>

#include "../sluice.h"

SLUICE_PRIV_BEGIN

namespace sluice
{

namespace detail
{

/* Nanoseconds, above 0: 0 for those that are not, INT64_MAX for too many. */
template <class Rep, class Period>
constexpr std::int64_t saturated_ns(const std::chrono::duration<Rep, Period> &d) noexcept
{
        using std::chrono::nanoseconds;

        if (!(d > d.zero())) /* nor a number at all */
                return 0;
        if constexpr (std::chrono::treat_as_floating_point_v<Rep>) {
                const auto ns = std::chrono::duration<long double, std::nano>(d).count();

                if (!(ns < 9223372036854775807.0L))
                        return INT64_MAX;
                const auto whole = static_cast<std::int64_t>(ns);

                return whole + (static_cast<long double>(whole) < ns ? 1 : 0);
        } else {
                using in_ns = std::ratio_divide<Period, std::nano>;
                constexpr std::uint64_t num = in_ns::num, den = in_ns::den, most = INT64_MAX;
                const auto n = static_cast<std::uint64_t>(d.count());
                const std::uint64_t rest = (n % den * num + den - 1) / den;

                static_assert(num <= most / den, "a period that 64 bits cannot convert");
                if (n / den > (most - rest) / num)
                        return INT64_MAX;
                return static_cast<std::int64_t>(n / den * num + rest);
        }
}

} // namespace detail

class deadline
{
      public:
        template <class Rep, class Period>
        deadline(const std::chrono::duration<Rep, Period> &d) noexcept
            : until_(after(detail::saturated_ns(d)))
        {
        }

        template <class Duration>
        deadline(const std::chrono::time_point<std::chrono::steady_clock, Duration> &t) noexcept
            : until_(detail::saturated_ns(t.time_since_epoch()))
        {
        }

        template <class Clock, class Duration>
        deadline(const std::chrono::time_point<Clock, Duration> &t) noexcept
            : until_(of_clock<Clock>(t))
        {
        }

        /* What the C calls take: SLUICE_NOW, SLUICE_FOREVER, sluice_after(ns). */
        constexpr explicit deadline(sluice_deadline until) noexcept : until_(until)
        {
        }

        constexpr sluice_deadline native() const noexcept
        {
                return until_;
        }

      private:
        static sluice_deadline after(std::int64_t ns) noexcept
        {
                return ns == 0 || ns == INT64_MAX ? ns : sluice_after(ns);
        }

        template <class Clock, class Time> static sluice_deadline of_clock(const Time &t) noexcept
        {
                if (t == Time::max() || t == Time::min())
                        return t == Time::max() ? SLUICE_FOREVER : SLUICE_NOW;
                const auto now = Clock::now();

                /* Only what lies ahead is subtracted: that cannot overflow
                 * for a clock that has begun to count at its epoch. */
                return t > now ? after(detail::saturated_ns(t - now)) : SLUICE_NOW;
        }

        sluice_deadline until_;
};

inline constexpr deadline now{SLUICE_NOW};
inline constexpr deadline forever{SLUICE_FOREVER};

} // namespace sluice

SLUICE_PRIV_END

#endif
