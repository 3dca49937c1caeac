// SPDX-License-Identifier: MIT
// Ranges: what a loop has released, however it is left.
#include "check.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>
#if __cplusplus >= 202002L
#include <ranges>
#endif

using namespace std::chrono_literals;
using sluice::now;

#if __cplusplus >= 202002L
static_assert(std::ranges::input_range<sluice::consumer>);
static_assert(std::ranges::input_range<decltype(std::declval<sluice::consumer>().drain())>);
static_assert(std::ranges::input_range<sluice::typed_consumer<int>>);
#endif

namespace
{

struct pair_of_ends {
        sluice::queue q{"q"};
        sluice::producer p{"q"};
        sluice::consumer c{"q"};

        void fill(int n)
        {
                for (int i = 0; i < n; i++)
                        p.send(sluice::bytes_of(i)).value();
        }
};

} // namespace

static void drained()
{
        pair_of_ends e;
        std::vector<int> got;

        for (auto &&m : e.c.drain())
                got.push_back(*m.as<int>());
        CHECK(got.empty() && e.c.last().timed_out());
        e.fill(5);
        for (auto &&m : e.c.drain(2))
                got.push_back(*m.as<int>());
        CHECK(got == (std::vector<int>{0, 1}) && e.c.messages() == 2 && e.c.last());
        for (auto &&m : e.c.drain()) {
                got.push_back(*m.as<int>());
                if (e.p.messages() < 6) // what comes meanwhile is there, too
                        e.fill(1);
        }
        CHECK(got == (std::vector<int>{0, 1, 2, 3, 4, 0}) && e.c.empty());
        // A producer that is faster does not hold the loop for longer than a lap.
        std::uint64_t n = 0;
        e.fill(1);
        for (auto it = e.c.drain().begin(); it != sluice::end_of_messages(); ++it, n++)
                e.fill(1);
        CHECK(n > 1000 && n <= 256 * 1024 / 64 && !e.c.empty());
}

static void left_early()
{
        pair_of_ends e;

        e.fill(6);
        for (auto &&m : e.c)
                if (m.as<int>() == 2)
                        break;
        CHECK(e.c.messages() == 2 && e.c.peek()->as<int>() == 2 && e.c.last());
        try {
                for (auto &&m : e.c)
                        if (m.as<int>() == 4)
                                throw std::runtime_error("enough");
                CHECK(false);
        } catch (const std::runtime_error &) {
                CHECK(e.c.messages() == 4 && e.c.peek()->as<int>() == 4);
        }
        for (auto &&m : e.c) {
                CHECK(m.as<int>() == 4);
                e.c.release();
                break;
        }
        CHECK(e.c.messages() == 5);
        for (auto &&m : e.c.until(1ms)) {
                CHECK(m.as<int>() == 5);
                e.c.release(); // and the loop goes on without harm
        }
        CHECK(e.c.messages() == 6 && e.c.last().timed_out());
}

// The end of a stream behind messages: drain tells it, and so does the next call.
static void end_behind()
{
        pair_of_ends e;

        e.fill(1);
        e.p.close();
        int n = 0;
        for (auto &&m : e.c.drain())
                n += m.size() == sizeof(int);
        CHECK(n == 1 && e.c.last().closed());
        // At once: a later call tells it again only when it has waited in vain.
        const auto before = std::chrono::steady_clock::now();
        CHECK(e.c.peek(10s).closed() && std::chrono::steady_clock::now() - before < 5s);
        CHECK(e.c.peek(now).closed() && e.c.peek(1ms).closed());
        CHECK(e.c.drain().begin() == sluice::end_of_messages() && e.c.last().closed());
}

static void violated()
{
        pair_of_ends e;
        std::error_code ec;

        e.fill(2);
        // As a hostile producer: a header that is none.
        std::memset(const_cast<std::byte *>(e.c.peek()->data()) + 56, 0xff, 8);
        CHECK_THROWS(EBADMSG, [&] {
                for (auto &&m : e.c)
                        CHECK(m.as<int>() == 0);
        }());
        CHECK(!e.c.peek(now, ec) && ec == std::errc::bad_message && e.c.messages() == 1);
}

static void with_algorithms()
{
        pair_of_ends e;

        e.fill(10);
        e.p.close();
#if __cplusplus >= 202002L
        CHECK(std::ranges::count_if(e.c, [](auto &&m) { return *m.template as<int>() % 2; }) == 5);
#else
        int odd = 0;
        for (auto i = e.c.begin(); i != e.c.end(); i++)
                odd += *i->as<int>() % 2;
        CHECK(odd == 5);
#endif
        CHECK(e.c.messages() == 10 && e.c.last().closed());
}

void test_loops()
{
        drained();
        left_early();
        end_behind();
        violated();
        with_algorithms();
}
