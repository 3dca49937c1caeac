/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_LONG_HPP
#define SLUICE_LONG_HPP
/*
 * Where messages longer than the ring are put together. Part of sluice.hpp;
 * long.h says how they travel.
 */
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "../sluice.h"
#include "view.hpp"

SLUICE_PRIV_BEGIN

namespace sluice
{

/*
 * One for each consumer. Its memory grows with what comes, up to `limit`: no sender,
 * however hostile, makes it grow beyond.
 */
class long_message
{
      public:
        explicit long_message(std::size_t limit) noexcept : limit_(limit)
        {
        }

        long_message(const long_message &) = delete;
        long_message &operator=(const long_message &) = delete;

        const std::byte *data() const noexcept
        {
                return memory_.data();
        }

        /* Of a message that is not complete yet: what is there. */
        std::size_t size() const noexcept
        {
                return state_.len;
        }

        std::string_view text() const noexcept
        {
                return bytes(data(), size()).text();
        }

        std::uint32_t tag() const noexcept
        {
                return state_.tag;
        }

        std::uint64_t position() const noexcept
        {
                return state_.position;
        }

        sluice_long &native() noexcept
        {
                return state_;
        }

        /* call(sluice_long *), and again with more memory for as long as it wants more. */
        template <class Call> ssize_t receive(Call call) noexcept
        {
                for (;;) {
                        const ssize_t r = call(&state_);

                        if (r != -EMSGSIZE)
                                return r;
                        if (const int error = grow())
                                return error;
                }
        }

      private:
        /* 0, or -EMSGSIZE or -ENOMEM with all as it was. */
        int grow() noexcept
        {
                const std::size_t first = 4096, cap = memory_.size();

                if (cap >= limit_)
                        return -EMSGSIZE;
                try {
                        memory_.resize(cap > limit_ / 2
                                               ? limit_
                                               : std::min(limit_, std::max(first, 2 * cap)));
                } catch (const std::exception &) {
                        return -ENOMEM;
                }
                state_.buf = memory_.data();
                state_.cap = memory_.size();
                return 0;
        }

        sluice_long state_{};
        std::size_t limit_;
        std::vector<std::byte> memory_;
};

} // namespace sluice

SLUICE_PRIV_END

#endif
