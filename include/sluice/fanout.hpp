/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_FANOUT_HPP
#define SLUICE_FANOUT_HPP
/*
 * One sender, several queues. Part of sluice.hpp; fanout.h says what each call
 * does. The producers stay whose they are, and open for as long as they are used
 * here.
 */
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <system_error>
#include <vector>

#include "deadline.hpp"
#include "error.hpp"
#include "producer.hpp"
#include "view.hpp"

SLUICE_PRIV_BEGIN

namespace sluice
{

class fanout
{
      public:
        fanout(std::initializer_list<producer_ref> producers)
            : fanout(producers.begin(), producers.end())
        {
        }

        template <class Iterator> fanout(Iterator first, Iterator last)
        {
                for (; first != last; ++first)
                        out_.push_back(first->native());
        }

        std::size_t size() const noexcept
        {
                return out_.size();
        }

        result<void> send_key(std::uint64_t key, bytes m, std::uint32_t tag = 0,
                              deadline until = forever)
        {
                return detail::waited(to_key(key, m, tag, until), "sluice_fanout_send_key");
        }

        result<void> send_key(std::uint64_t key, bytes m, std::uint32_t tag, deadline until,
                              std::error_code &ec) noexcept
        {
                return detail::waited(to_key(key, m, tag, until), ec);
        }

        result<void> send_next(bytes m, std::uint32_t tag = 0, deadline until = forever)
        {
                return detail::waited(to_next(m, tag, until), "sluice_fanout_send_next");
        }

        result<void> send_next(bytes m, std::uint32_t tag, deadline until,
                               std::error_code &ec) noexcept
        {
                return detail::waited(to_next(m, tag, until), ec);
        }

        /* Which of them took it. */
        result<std::size_t> send_any(bytes m, std::uint32_t tag = 0, deadline until = forever)
        {
                return detail::counted(to_any(m, tag, until), "sluice_fanout_send_any");
        }

        result<std::size_t> send_any(bytes m, std::uint32_t tag, deadline until,
                                     std::error_code &ec) noexcept
        {
                return detail::counted(to_any(m, tag, until), ec);
        }

        result<void> send_all(bytes m, std::uint32_t tag = 0, deadline until = forever)
        {
                return detail::waited(to_all(m, tag, until), "sluice_fanout_send_all");
        }

        result<void> send_all(bytes m, std::uint32_t tag, deadline until,
                              std::error_code &ec) noexcept
        {
                return detail::waited(to_all(m, tag, until), ec);
        }

      private:
        /* Calls one of C with what it wants, and keeps whose turn it is. */
        template <class Call> int with(Call call) noexcept
        {
                sluice_fanout f = {out_.data(), static_cast<unsigned>(out_.size()), next_};
                const int r = call(&f);

                next_ = f.next;
                return r;
        }

        int to_key(std::uint64_t key, bytes m, std::uint32_t tag, deadline until) noexcept
        {
                return with([&](sluice_fanout *f) {
                        return sluice_fanout_send_key(f, key, m.data(), m.size(), tag,
                                                      until.native());
                });
        }

        int to_next(bytes m, std::uint32_t tag, deadline until) noexcept
        {
                return with([&](sluice_fanout *f) {
                        return sluice_fanout_send_next(f, m.data(), m.size(), tag, until.native());
                });
        }

        int to_any(bytes m, std::uint32_t tag, deadline until) noexcept
        {
                return with([&](sluice_fanout *f) {
                        return sluice_fanout_send_any(f, m.data(), m.size(), tag, until.native());
                });
        }

        int to_all(bytes m, std::uint32_t tag, deadline until) noexcept
        {
                return with([&](sluice_fanout *f) {
                        return sluice_fanout_send_all(f, m.data(), m.size(), tag, until.native());
                });
        }

        std::vector<sluice_producer *> out_;
        unsigned next_ = 0;
};

} // namespace sluice

SLUICE_PRIV_END

#endif
