/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_ENDPOINT_HPP
#define SLUICE_ENDPOINT_HPP
/*
 * How an endpoint that owns its handle is opened, moved and closed, be it a
 * producer or a consumer. Part of sluice.hpp.
 */
#include <cerrno>
#include <system_error>
#include <utility>

#include "../sluice.h"
#include "error.hpp"
#include "options.hpp"

SLUICE_PRIV_BEGIN

namespace sluice
{
namespace detail
{

/* Only moved; the handle stays where it is, on the heap. Role: its calls; Ref has
 * the handle, which is Role::closed() while nothing is open. */
template <class Ref, class Role> class endpoint : public Ref
{
        using handle = typename Role::handle;

      public:
        endpoint() noexcept = default;

        explicit endpoint(queue_name name, const options &o = {})
        {
                open_as(name, o.native());
        }

        endpoint(queue_name name, std::error_code &ec) noexcept : endpoint(name, options(), ec)
        {
        }

        endpoint(queue_name name, const options &o, std::error_code &ec) noexcept
        {
                record(open(name, o.native()), ec);
        }

        endpoint(endpoint &&other) noexcept : Ref(*std::exchange(other.handle_, Role::closed()))
        {
        }

        endpoint &operator=(endpoint &&other) noexcept
        {
                if (this != &other) {
                        drop();
                        this->handle_ = std::exchange(other.handle_, Role::closed());
                }
                return *this;
        }

        endpoint(const endpoint &) = delete;
        endpoint &operator=(const endpoint &) = delete;

        ~endpoint()
        {
                drop();
        }

        bool is_open() const noexcept
        {
                return this->handle_ != Role::closed();
        }

        explicit operator bool() const noexcept
        {
                return is_open();
        }

        /* Staged messages are forgotten; what is not released stays. Always closes. */
        void close()
        {
                check(drop(), Role::close_name);
        }

        void close(std::error_code &ec) noexcept
        {
                record(drop(), ec);
        }

      protected:
        int open(queue_name name, const sluice_options &o) noexcept
        {
                handle *const h = Role::make();
                const int r = h ? Role::open(h, name.c_str(), &o) : -ENOMEM;

                if (r)
                        Role::free(h);
                else
                        this->handle_ = h;
                return r;
        }

        void open_as(queue_name name, const sluice_options &o)
        {
                const int r = open(name, o);

                if (r)
                        fail(r, Role::open_name, name.c_str(), sluice_limit());
        }

      private:
        int drop() noexcept
        {
                handle *const h = std::exchange(this->handle_, Role::closed());
                const int r = Role::close(h);

                if (h != Role::closed())
                        Role::free(h);
                return r;
        }
};

} // namespace detail
} // namespace sluice

SLUICE_PRIV_END

#endif
