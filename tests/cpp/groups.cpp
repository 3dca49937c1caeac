// SPDX-License-Identifier: MIT
// Groups, and what a handler may do: return, stop, keep, throw.
#include "check.hpp"

#include <atomic>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using sluice::event;
using sluice::now;
using sluice::then;

namespace
{

struct served {
        sluice::queue qa{"a"}, qb{"b"};
        sluice::producer a{"a"}, b{"b"};
        sluice::group g;
        sluice::member ma = g.add("a"), mb = g.add("b");

        void fill(int n)
        {
                for (int i = 0; i < n; i++) {
                        a.send("a").value();
                        b.send("b").value();
                }
        }
};

} // namespace

static void handlers()
{
        served s;
        int joined = 0, got = 0;

        s.fill(3);
        CHECK(*s.g.serve(
                      [&](sluice::member m, event e, const sluice::message &text) {
                              joined += e == event::joined && text.size() == 0;
                              got += e == event::message && (m == s.ma || m != s.ma) &&
                                     text.size() == 1;
                      },
                      now) == 6);
        CHECK(joined == 2 && got == 6);
        s.fill(3);
        CHECK(*s.g.serve([](sluice::member, const sluice::message &) { return then::stop; }, now) ==
              1);
        CHECK(*s.g.serve([](sluice::member, const sluice::message &) {}, now, 2) == 2);
        CHECK(*s.g.serve([](sluice::member, const sluice::message &) {}, now) == 3);
        s.a.close();
        std::vector<event> events;
        CHECK(*s.g.serve(
                      [&](sluice::member, event e, const sluice::message &) {
                              events.push_back(e);
                              return then::stop;
                      },
                      10s) == 0);
        CHECK(events == std::vector<event>{event::ended});
        s.g.remove(s.mb);
        CHECK_THROWS(ENOENT, s.g.remove(s.mb));
}

static void kept()
{
        served s;
        int calls = 0;
        const auto keep_third = [&](sluice::member, const sluice::message &) {
                return ++calls == 3 ? then::keep : then::go_on;
        };

        s.fill(4);
        CHECK(*s.g.serve(keep_third, now) == 2);
        CHECK(s.a.pending() + s.b.pending() == 6);
        CHECK(*s.g.serve(keep_third, 10s, 6) == 6 && calls == 9);
        CHECK(s.a.empty() && s.b.empty());
}

static void thrown_by_handlers()
{
        served s;
        std::string said;

        s.fill(1);
        CHECK(*s.g.serve([](sluice::member, event, const sluice::message &) {}, now) == 2);
        s.a.send("x").value();
        try {
                (void)s.g.serve(
                        [](sluice::member m, const sluice::message &text) {
                                throw std::runtime_error(m.name() + std::string(text.text()));
                        },
                        10s);
        } catch (const std::runtime_error &e) {
                said = e.what();
        }
        CHECK(said.size() > 1 && said.substr(said.size() - 2) == "ax" && s.a.pending() == 1);
        CHECK(*s.g.serve([](sluice::member, const sluice::message &) {}, 10s, 1) == 1);
        CHECK_THROWS(EIO, s.g.each([](sluice::member, const sluice::member_stat &) {
                throw std::system_error(EIO, sluice::category());
        }));
        // Also from one of several threads.
        s.b.send("y").value();
        CHECK_THROWS(EIO, s.g.serve_shared(
                                  [](sluice::member, const sluice::message &) {
                                          throw std::system_error(EIO, sluice::category());
                                  },
                                  10s));
        CHECK(s.b.pending() == 1);
        CHECK(*s.g.serve_shared([](sluice::member, const sluice::message &) {}, 10s, 1) == 1);
}

static void members()
{
        served s;
        int user = 5;
        unsigned run = 0;

        CHECK(s.g.each([](sluice::member, const sluice::member_stat &st) {
                return st.parked != 0;
        }) == 2);
        s.a.send("1").value();
        s.a.send("2").value();
        CHECK(*s.g.serve(
                      [&](sluice::member m, event e, const sluice::message &) {
                              m.set_user(&user);
                              m.set_batch(8);
                              m.set_priority(1);
                              std::error_code ec;
                              m.set_priority(99, ec);
                              CHECK(ec.value() == EINVAL && m.user<int>() == &user);
                              while (e == event::message && m.next())
                                      run++;
                              CHECK(e != event::message || (!m.next(ec) && ec.value() == EAGAIN));
                      },
                      now) == 2);
        CHECK(run == 1 && s.ma.user<int>() == &user);
        s.b.send_long("long enough", 4).value();
        sluice::long_message got(100);
        CHECK(*s.g.serve(
                      [&](sluice::member m, const sluice::message &piece) {
                              CHECK(m.recv_long(got, piece).value() == 11 && got.tag() == 4);
                              CHECK_THROWS(EINVAL, m.reply(1, "no channel"));
                      },
                      10s, 1) == 1);
        CHECK(got.text() == "long enough");
}

static void waiting()
{
        served s;
        std::error_code ec;

        CHECK(s.g.fd() >= 0 && s.g.fd(ec) >= 0 && !ec);
        while (!s.g.arm())
                CHECK(s.g.serve([](sluice::member, event, const sluice::message &) {}, now));
        s.g.disarm();
        s.g.interrupt();
        CHECK(s.g.serve([](sluice::member, const sluice::message &) {}).interrupted());
        CHECK_THROWS(EEXIST, (std::filesystem::create_directory("watched"), s.g.watch("watched"),
                              s.g.watch("watched")));
        s.g.watch("not/there", 0, nullptr, ec);
        CHECK(ec.value() == ENOENT);
        CHECK(!s.g.add("none", {}, nullptr, ec).native() && ec.value() == ENOENT);
        CHECK_THROWS(EBUSY, s.g.serve([&](sluice::member, const sluice::message &) { s.g.close(); },
                                      (s.a.send("x").value(), 10s)));
        sluice::group moved = std::move(s.g);
        CHECK(!s.g && moved);
        CHECK_THROWS(EINVAL, s.g.serve([](sluice::member, const sluice::message &) {}, now));
        CHECK_THROWS(EINVAL, s.g.close());
        moved.close();
        CHECK(!moved);
        std::filesystem::remove("watched");
}

// One server, several clients.
static void server()
{
        std::filesystem::create_directory("calls");
        sluice::group g;
        char reply[8];
        int clients = 0;

        g.watch("calls", SLUICE_WATCH_CHANNELS | SLUICE_WATCH_REMOVE);
        std::thread t([&] {
                const auto r = g.serve(
                        [&](sluice::member m, event e, const sluice::message &q) {
                                if (e == event::message)
                                        m.reply(q.tag(), q).value();
                                return e == event::ended && ++clients == 3 ? then::stop
                                                                           : then::go_on;
                        },
                        20s);
                CHECK(r.has_value());
        });
        for (int i = 0; i < 3; i++) {
                sluice::channel ch("calls/", sluice::side::client, sluice::or_create);
                CHECK(*ch.call("ping", reply, 10s) == 4);
        }
        t.join();
        while (!std::filesystem::is_empty("calls"))
                (void)g.serve([](sluice::member, const sluice::message &) {}, 1ms);
        std::filesystem::remove("calls");
}

void test_groups()
{
        handlers();
        kept();
        thrown_by_handlers();
        members();
        waiting();
        server();
}
