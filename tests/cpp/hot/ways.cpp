// SPDX-License-Identifier: MIT
// In one file, so that the compiler treats the functions below both alike.
#include "ways.c"
#include "ways.hpp"

void cpp_send(cpp_ends &e, int n)
{
        const tick t = {1, 2};

        for (int i = 0; i < n; i++)
                if (!e.any_p.send(sluice::bytes_of(t)))
                        return;
}

void cpp_send_ec(cpp_ends &e, int n)
{
        const tick t = {1, 2};
        std::error_code ec;

        for (int i = 0; i < n; i++)
                if (!e.any_p.send(sluice::bytes_of(t), sluice::forever, ec))
                        return;
}

void cpp_send_typed(cpp_ends &e, int n)
{
        const tick t = {1, 2};

        for (int i = 0; i < n; i++)
                if (!e.p.send(t))
                        return;
}

void cpp_write(cpp_ends &e, int n)
{
        const std::uint64_t number = 1;

        for (int i = 0; i < n; i++) {
                const auto to = e.any_p.reserve(sizeof number);

                if (!to)
                        return;
                std::memcpy(to->data(), &number, sizeof number);
                e.any_p.commit(sizeof number);
        }
}

void cpp_write_ec(cpp_ends &e, int n)
{
        const std::uint64_t number = 1;
        std::error_code ec;

        for (int i = 0; i < n; i++) {
                const auto to = e.any_p.reserve(sizeof number, sluice::forever, ec);

                if (!to)
                        return;
                std::memcpy(to->data(), &number, sizeof number);
                e.any_p.commit(sizeof number, ec);
                if (ec)
                        return;
        }
}

void cpp_write_typed(cpp_ends &e, int n)
{
        for (int i = 0; i < n; i++) {
                const auto to = e.p.reserve();

                if (!to)
                        return;
                to->number = 1;
                to->value = 2;
                e.p.commit();
        }
}

// Until the end, which comes after n.
void cpp_receive(cpp_ends &e, int)
{
        for (auto &&m : e.any_c)
                take(m.data(), m.size());
}

void cpp_receive_calls(cpp_ends &e, int)
{
        sluice::consumer_ref c = e.any_c;

        while (const auto m = c.peek()) {
                take(m->data(), m->size());
                c.release();
        }
}

void cpp_receive_ec(cpp_ends &e, int)
{
        sluice::consumer_ref c = e.any_c;
        std::error_code ec;

        while (const auto m = c.peek(sluice::forever, ec)) {
                take(m->data(), m->size());
                c.release(ec);
        }
}

void cpp_receive_copied(cpp_ends &e, int n)
{
        tick t;

        for (int i = 0; i < n; i++) {
                if (!e.any_c.recv({&t, sizeof t}))
                        return;
                take(&t, sizeof t);
        }
}

void cpp_receive_typed(cpp_ends &e, int)
{
        for (const tick &t : e.c)
                take(&t, sizeof t);
}
