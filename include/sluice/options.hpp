/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_OPTIONS_HPP
#define SLUICE_OPTIONS_HPP
/*
 * Names and options of queues. Part of sluice.hpp; queue.h says what each means.
 */
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <sys/types.h>
#include <type_traits>
#include <utility>

#include "../sluice.h"

SLUICE_PRIV_BEGIN

namespace sluice
{

/* The name of a queue, which ends with a NUL: text, a std::string or a
 * std::filesystem::path. One with a NUL inside names no queue: EINVAL. */
class queue_name
{
      public:
        queue_name(const char *text) noexcept : text_(text)
        {
        }

        template <class T, class = std::enable_if_t<std::is_convertible_v<
                                   decltype(std::declval<const T &>().c_str()), const char *>>>
        queue_name(const T &s) noexcept
            : text_(std::strlen(s.c_str()) == length(s) ? s.c_str() : "/")
        {
        }

        const char *c_str() const noexcept
        {
                return text_;
        }

      private:
        template <class T, class = void> struct has_size : std::false_type {
        };

        template <class T>
        struct has_size<T, std::void_t<decltype(std::declval<const T &>().size())>>
            : std::true_type {
        };

        template <class T> static std::size_t length(const T &s) noexcept
        {
                if constexpr (has_size<T>::value)
                        return s.size();
                else
                        return s.native().size(); /* a path */
        }

        const char *text_;
};

enum class wake { futex = SLUICE_WAKE_FUTEX, fifo = SLUICE_WAKE_FIFO };

inline constexpr std::chrono::nanoseconds spin_none{SLUICE_SPIN_NONE};
inline constexpr std::chrono::nanoseconds spin_forever{SLUICE_SPIN_FOREVER};

/* As they are: the defaults. With C++20: {.capacity = 1 << 20, .create = true}. */
struct options {
        std::size_t capacity = 0;       /* bytes, a power of two; 0: 256 KiB */
        std::uint32_t record_align = 0; /* 0: 64 */
        std::uint32_t payload_align = 0;
        std::uint64_t first_position = 0;
        mode_t mode = 0;     /* 0: 0600 */
        bool create = false; /* open: create the queue if there is none */
        bool prefault = false;
        bool lock = false;
        bool huge_pages = false;
        bool any_owner = false;
        sluice::wake wake = sluice::wake::futex;
        std::chrono::nanoseconds spin{SLUICE_SPIN_DEFAULT}; /* spin_none, spin_forever */
        std::chrono::nanoseconds slice{0};                  /* 0: 100 ms */
        int numa_node = -1;                                 /* -1: where it is first touched */

        sluice_options native() const noexcept
        {
                sluice_options o = SLUICE_OPTIONS_INIT;

                o.capacity = capacity;
                o.record_align = record_align;
                o.payload_align = payload_align;
                o.first_position = first_position;
                o.mode = mode;
                o.flags = flags();
                o.wake = static_cast<int>(wake);
                o.spin_ns = spin.count();
                o.slice_ns = slice.count();
                o.numa_node = numa_node + 1;
                return o;
        }

      private:
        static constexpr unsigned create_flag = SLUICE_CREATE, prefault_flag = SLUICE_PREFAULT,
                                  lock_flag = SLUICE_LOCK, huge_flag = SLUICE_HUGETLB,
                                  owner_flag = SLUICE_ANY_OWNER;

        unsigned flags() const noexcept
        {
                return (create ? create_flag : 0U) | (prefault ? prefault_flag : 0U) |
                       (lock ? lock_flag : 0U) | (huge_pages ? huge_flag : 0U) |
                       (any_owner ? owner_flag : 0U);
        }
};

namespace detail
{

constexpr options creating()
{
        options o;

        o.create = true;
        return o;
}

} // namespace detail

/* open: creates the queue, as by the defaults, if there is none. */
inline constexpr options or_create = detail::creating();

} // namespace sluice

SLUICE_PRIV_END

#endif
