/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_LOOP_HPP
#define SLUICE_LOOP_HPP
/*
 * What `for (auto &&m : consumer)` is made of. Part of sluice.hpp; consumer.hpp
 * says what the loops do.
 */
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>

#include "../sluice.h"
#include "deadline.hpp"
#include "error.hpp"

SLUICE_PRIV_BEGIN

namespace sluice
{

/* The end of every loop. */
struct end_of_messages {
};

namespace detail
{

/* How many (0: any number), and up to where: of a loop that ends although more
 * comes. */
struct bound {
        std::size_t left;
        std::uint64_t first, lap;
};

struct no_bound {
};

/*
 * Where a loop is. Source has the handle, and keeps why the loop has ended; it
 * knows how to look for a Value. Beside that all state is here, so that the
 * compiler keeps it in registers.
 */
template <class Source, class Value, class Bound> class loop_iterator
{
      public:
        using iterator_category = std::input_iterator_tag;
        using iterator_concept = std::input_iterator_tag;
        using value_type = std::remove_cv_t<std::remove_reference_t<Value>>;
        using difference_type = std::ptrdiff_t;
        using reference = const value_type &;
        using pointer = const value_type *;

        loop_iterator(Source &source, deadline until, Bound bound)
            : source_(&source), handle_(source.native()), until_(until.native()), bound_(bound),
              current_(Source::look_at(handle_, until))
        {
                source.loop_begins();
                if (__builtin_expect(!current_, 0))
                        source.loop_ends(current_, false, bounded);
        }

        reference operator*() const noexcept
        {
                return *current_;
        }

        pointer operator->() const noexcept
        {
                return &*current_;
        }

        loop_iterator &operator++()
        {
                /* -EINVAL: it is released already; others come again, from look_at. */
                (void)sluice_release(handle_);
                if constexpr (bounded) {
                        if (--bound_.left == 0 ||
                            sluice_consumer_position(handle_) - bound_.first > bound_.lap) {
                                source_ = nullptr;
                                return *this;
                        }
                }
                current_ = Source::look_at(handle_, deadline(until_));
                if (__builtin_expect(!current_, 0))
                        source_->loop_ends(current_, true, bounded);
                return *this;
        }

        void operator++(int)
        {
                ++*this;
        }

        bool at_end() const noexcept
        {
                if constexpr (bounded)
                        return !source_ || !current_;
                else
                        return !current_;
        }

        friend bool operator==(const loop_iterator &i, end_of_messages) noexcept
        {
                return i.at_end();
        }

        friend bool operator!=(const loop_iterator &i, end_of_messages) noexcept
        {
                return !i.at_end();
        }

        friend bool operator==(end_of_messages, const loop_iterator &i) noexcept
        {
                return i.at_end();
        }

        friend bool operator!=(end_of_messages, const loop_iterator &i) noexcept
        {
                return !i.at_end();
        }

      private:
        static constexpr bool bounded = std::is_same_v<Bound, bound>;

        Source *source_; /* NULL: the bound is reached */
        sluice_consumer *handle_;
        sluice_deadline until_;
        Bound bound_;
        result<Value> current_;
};

} // namespace detail

/* The messages of a consumer until a deadline. */
template <class Source, class Value> class messages_until
{
      public:
        using iterator = detail::loop_iterator<Source, Value, detail::no_bound>;

        messages_until(Source &source, deadline until) noexcept : source_(&source), until_(until)
        {
        }

        iterator begin() const
        {
                return iterator(*source_, until_, {});
        }

        end_of_messages end() const noexcept
        {
                return {};
        }

      private:
        Source *source_;
        deadline until_;
};

/* Those that are there, as sluice_drain takes them: what was there when the loop
 * began, and of what comes meanwhile only as much as ends that lap of the ring. */
template <class Source, class Value> class messages_there
{
      public:
        using iterator = detail::loop_iterator<Source, Value, detail::bound>;

        messages_there(Source &source, std::size_t max) noexcept : source_(&source), max_(max)
        {
        }

        iterator begin() const
        {
                const sluice_consumer *const c = source_->native();
                const std::uint64_t first = sluice_consumer_position(c);

                return iterator(*source_, now,
                                {max_, first, sluice_priv_consumer_limit(c) - first});
        }

        end_of_messages end() const noexcept
        {
                return {};
        }

      private:
        Source *source_;
        std::size_t max_;
};

} // namespace sluice

SLUICE_PRIV_END

#endif
