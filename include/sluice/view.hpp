/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_VIEW_HPP
#define SLUICE_VIEW_HPP
/*
 * Views of memory that somebody else owns: bytes to send or that have come,
 * mutable_bytes to write to, and message, which is bytes of the ring with
 * what travels beside them. Part of sluice.hpp.
 */
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <sys/uio.h>
#include <type_traits>
#if defined __cpp_lib_span || (__cplusplus >= 202002L && __has_include(<span>))
#include <span>
#endif

#include "error.hpp"

SLUICE_PRIV_BEGIN

namespace sluice
{

namespace detail
{

template <class T>
inline constexpr bool is_plain = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>;

/* What has data() and size(), as vector, array and span have, of plain elements. */
template <class C, class = void> struct elements {
        static constexpr bool plain = false;
        static constexpr bool writable = false;
};

template <class C>
struct elements<C, std::void_t<decltype(std::declval<C &>().data()),
                               decltype(std::declval<C &>().size())>> {
        using pointer = decltype(std::declval<C &>().data());
        using element = std::remove_pointer_t<pointer>;
        static constexpr bool plain = std::is_pointer_v<pointer> && !std::is_void_v<element> &&
                                      is_plain<std::remove_cv_t<element>>;
        static constexpr bool writable = plain && !std::is_const_v<element>;
};

} // namespace detail

/* Bytes to read. Text goes without the NUL at its end. */
class bytes
{
      public:
        using value_type = std::byte;
        using const_iterator = const std::byte *;

        constexpr bytes() noexcept : iov_{nullptr, 0}
        {
        }

        bytes(const void *data, std::size_t size) noexcept : iov_{const_cast<void *>(data), size}
        {
        }

        bytes(const char *text) noexcept : bytes(text, std::strlen(text))
        {
        }

        bytes(std::string_view text) noexcept : bytes(text.data(), text.size())
        {
        }

        bytes(const std::string &text) noexcept : bytes(text.data(), text.size())
        {
        }

        /* A vector, array or span of elements that may be copied as bytes. */
        template <class C, class = std::enable_if_t<detail::elements<const C>::plain &&
                                                    !std::is_base_of_v<bytes, C>>>
        bytes(const C &c) noexcept
            : bytes(c.data(), c.size() * sizeof(typename detail::elements<const C>::element))
        {
        }

        const std::byte *data() const noexcept
        {
                return static_cast<const std::byte *>(iov_.iov_base);
        }

        std::size_t size() const noexcept
        {
                return iov_.iov_len;
        }

        bool empty() const noexcept
        {
                return size() == 0;
        }

        const_iterator begin() const noexcept
        {
                return data();
        }

        const_iterator end() const noexcept
        {
                return data() + size();
        }

        std::string_view text() const noexcept
        {
                return {static_cast<const char *>(iov_.iov_base), iov_.iov_len};
        }

        /* A copy, if it is as long as a T. */
        template <class T> std::optional<T> as() const noexcept
        {
                static_assert(detail::is_plain<T>, "may not be copied as bytes");
                std::optional<T> value;

                if (size() == sizeof(T))
                        std::memcpy(&value.emplace(), data(), sizeof(T));
                return value;
        }

#ifdef __cpp_lib_span
        operator std::span<const std::byte>() const noexcept
        {
                return {data(), size()};
        }
#endif

        /* For the C calls. */
        const iovec &native() const noexcept
        {
                return iov_;
        }

      private:
        iovec iov_;
};

/* The bytes of a value. */
template <class T> bytes bytes_of(const T &value) noexcept
{
        static_assert(detail::is_plain<T>, "may not be copied as bytes");
        return {&value, sizeof value};
}

template <class T> bytes bytes_of(const T &&value) = delete; /* it ends before the view */

/* Bytes to write. */
class mutable_bytes
{
      public:
        constexpr mutable_bytes() noexcept = default;

        constexpr mutable_bytes(void *data, std::size_t size) noexcept : data_(data), size_(size)
        {
        }

        template <class T, std::size_t N, class = std::enable_if_t<detail::is_plain<T>>>
        constexpr mutable_bytes(T (&array)[N]) noexcept : mutable_bytes(array, sizeof array)
        {
        }

        template <class C, class = std::enable_if_t<detail::elements<C>::writable &&
                                                    !std::is_same_v<C, mutable_bytes>>>
        mutable_bytes(C &c) noexcept
            : mutable_bytes(c.data(), c.size() * sizeof(typename detail::elements<C>::element))
        {
        }

        /* A span need not have a name. */
        template <class C, class = std::enable_if_t<detail::elements<const C>::writable &&
                                                    !std::is_same_v<C, mutable_bytes>>>
        mutable_bytes(const C &c) noexcept
            : mutable_bytes(c.data(),
                            c.size() * sizeof(typename detail::elements<const C>::element))
        {
        }

        std::byte *data() const noexcept
        {
                return static_cast<std::byte *>(data_);
        }

        constexpr std::size_t size() const noexcept
        {
                return size_;
        }

        std::byte *begin() const noexcept
        {
                return data();
        }

        std::byte *end() const noexcept
        {
                return data() + size();
        }

        /* The first n. */
        mutable_bytes first(std::size_t n) const noexcept
        {
                return {data_, n < size_ ? n : size_};
        }

#ifdef __cpp_lib_span
        operator std::span<std::byte>() const noexcept
        {
                return {data(), size()};
        }
#endif

      private:
        void *data_ = nullptr;
        std::size_t size_ = 0;
};

/* A message in the ring: it is there until it is released. */
class message
{
      public:
        message() noexcept : m_{}
        {
        }

        explicit message(const sluice_message &m) noexcept : m_(m)
        {
        }

        const std::byte *data() const noexcept
        {
                return static_cast<const std::byte *>(m_.data);
        }

        std::size_t size() const noexcept
        {
                return m_.len;
        }

        std::string_view text() const noexcept
        {
                return {static_cast<const char *>(m_.data), m_.len};
        }

        template <class T> std::optional<T> as() const noexcept
        {
                return bytes(m_.data, m_.len).as<T>();
        }

        std::uint32_t tag() const noexcept
        {
                return m_.tag;
        }

        sluice_kind kind() const noexcept
        {
                return m_.kind;
        }

        /* Who it is: the same again for a successor. */
        std::uint64_t position() const noexcept
        {
                return m_.position;
        }

        const sluice_message &native() const noexcept
        {
                return m_;
        }

        sluice_message &native() noexcept
        {
                return m_;
        }

      private:
        sluice_message m_;
};

namespace detail
{

/* What a call that waits for a message has filled in, or none. */
inline result<message> shown(int returned, const sluice_message &m, const char *call)
{
        check_wait(returned, call);
        return {returned, message(m)};
}

inline result<message> shown(int returned, const sluice_message &m, std::error_code &ec) noexcept
{
        record(returned, ec);
        return {returned, message(m)};
}

} // namespace detail

/* Arrays of these are given to the C calls. */
static_assert(sizeof(bytes) == sizeof(iovec) && std::is_standard_layout_v<bytes>);
static_assert(sizeof(message) == sizeof(sluice_message) && std::is_standard_layout_v<message>);

} // namespace sluice

SLUICE_PRIV_END

#endif
