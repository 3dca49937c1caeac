// SPDX-License-Identifier: MIT
// Types, long messages, channels, several queues.
#include "check.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using sluice::now;

namespace md
{
struct price {
        std::uint64_t instrument;
        double bid, ask;
};
} // namespace md

struct order {
        std::uint64_t instrument, amount;
};
struct alignas(64) wide {
        unsigned char bytes[64];
};
struct numbered {
        int n;
};

// What C calls it, and what it is here.
using price = md::price;
SLUICE_TYPE_NAMED(md::price, "struct price");
SLUICE_TYPE(struct order);
SLUICE_TYPE(struct wide);
SLUICE_TYPE_AS(numbered, 7);
SLUICE_TYPED(c_price, md::price);
SLUICE_TYPED(c_order, struct order);
SLUICE_TYPED_AS(c_numbered, numbered, 7);

static void typed_names()
{
        CHECK(sluice::type<order>::id == sluice_priv_type_id("struct order"));
        CHECK(sluice::type<md::price>::id == sluice_priv_type_id("struct price"));
        CHECK(sluice::type<numbered>::id == 7);
}

static void typed()
{
        sluice::create_typed<md::price>("prices");
        sluice::typed_producer<md::price> out("prices");
        sluice::typed_consumer<md::price> in("prices");
        std::error_code ec;
        md::price got{};

        CHECK(sluice::stat("prices").type_size == sizeof(md::price));
        CHECK_THROWS(EMEDIUMTYPE, sluice::typed_producer<order>("prices"));
        CHECK(!sluice::typed_consumer<order>("prices", {}, ec) && ec.value() == EMEDIUMTYPE);
        CHECK(out.send({1, 99.5, 100.5}) && in.peek()->ask == 100.5);
        in.release();
        auto &next = out.reserve().value();
        next = {2, 1, 2};
        out.stage();
        *out.reserve() = {3, 2, 3};
        out.commit();
        CHECK(out.offer({4, 3, 4}) && in.recv(got) && got.instrument == 2);
        std::uint64_t sum = 0;
        for (const md::price &p : in.drain())
                sum += p.instrument;
        CHECK(sum == 7 && in.last().timed_out() && in.empty());
        CHECK(in.peek(now).timed_out() && !in.peek(now, ec) && !in.recv(got, now, ec));
        CHECK(out.send({5, 4, 5}, now, ec) && !ec);
        out.close();
        sum = 0;
        for (const md::price &p : in)
                sum += p.instrument;
        CHECK(sum == 5 && in.last().closed());
        // An untyped program may send what is none.
        sluice::producer any("prices");
        CHECK(any.send("short"));
        CHECK_THROWS(EBADMSG, in.peek());
        in.release();
        sluice::remove("prices");
}

// Both languages at one queue.
static void typed_with_c()
{
        sluice::typed_producer<order> out("orders", sluice::or_create);
        sluice::typed_consumer<numbered> wrong;
        sluice_consumer c;
        order got{};
        std::error_code ec;

        CHECK(c_order_consumer_open(&c, "orders", nullptr) == 0);
        CHECK(out.send({1, 2}) && c_order_recv(&c, &got, SLUICE_NOW) == 0 && got.amount == 2);
        sluice_consumer_close(&c);
        CHECK(c_price_consumer_open(&c, "orders", nullptr) == -EMEDIUMTYPE);
        sluice::remove("orders");
        CHECK(c_numbered_create("numbers", nullptr) == 0);
        wrong = sluice::typed_consumer<numbered>("numbers", {}, ec);
        CHECK(wrong && !ec);
        sluice::remove("numbers");
        sluice::typed_producer<wide> aligned("wide", sluice::or_create);
        CHECK(reinterpret_cast<std::uintptr_t>(&*aligned.reserve()) % 64 == 0);
        aligned.abort();
        sluice::remove("wide");
}

static std::string pattern(std::size_t n)
{
        std::string s(n, ' ');

        for (std::size_t i = 0; i < n; i++)
                s[i] = static_cast<char>('a' + i % 23);
        return s;
}

static void long_messages()
{
        sluice::options small;
        small.capacity = 4096;
        sluice::queue q("q", small);
        sluice::producer p("q");
        sluice::consumer c("q");
        sluice::long_message got(40000), little(6000);
        const std::string sent = pattern(40000);
        std::size_t so_far = 0;
        std::error_code ec;

        CHECK(p.send_long(sent, 3, so_far, now).timed_out() && so_far > 0 && so_far < 40000);
        CHECK(c.recv_long(got, now).timed_out() && got.size() == so_far);
        std::thread t([&] { CHECK(p.send_long(sent, 3, so_far, 10s, ec)); });
        CHECK(*c.recv_long(got, 10s) == 40000 && got.text() == sent && got.tag() == 3);
        t.join();
        t = std::thread([&] { CHECK(p.send_long(sent, 4) && p.send("whole")); });
        CHECK_THROWS(EMSGSIZE, c.recv_long(little, 10s));
        CHECK(!c.recv_long(little, now, ec) && ec == std::errc::message_size);
        c.skip_long(little);
        CHECK(*c.recv_long(little, 10s) == 5 && little.text() == "whole");
        t.join();
        CHECK(q.stat().torn == 1);
}

static void channels()
{
        std::error_code ec;
        sluice::channel none, client;
        char reply[16];

        CHECK_THROWS(EINVAL, none.call("x", reply));
        CHECK_THROWS(EINVAL, none.close());
        CHECK(!sluice::channel("calls", sluice::side::client, {}, ec) && ec.value() == ENOENT);
        sluice::create_channel("calls");
        sluice::create_channel("calls", {}, ec);
        CHECK(ec == std::errc::file_exists);
        std::thread t([] {
                sluice::channel opened("calls", sluice::side::server);
                sluice::channel server = std::move(opened);
                for (auto &&request : server.in())
                        server.reply(request.tag(), "re: " + std::string(request.text()), 10s)
                                .value();
                CHECK(server.in().last().closed() && !opened);
        });
        client = sluice::channel("calls", sluice::side::client);
        CHECK(client.call("one", reply, 10s).value() == 7 &&
              std::strncmp(reply, "re: one", 7) == 0);
        CHECK(client.call("two", reply, 10s, ec).value() == 7 && !ec);
        CHECK_THROWS(EINVAL, client.reply(1, "not a server"));
        client.close();
        t.join();
        client = sluice::channel("calls", sluice::side::client);
        client.interrupt();
        CHECK(client.call("nobody is there", reply, 10s).interrupted());
        CHECK(client.call("nobody is there", reply, now).timed_out());
        client.close(ec);
        sluice::remove_channel("calls");
        sluice::remove_channel("calls", ec);
        CHECK(ec.value() == ENOENT);
}

static void several_queues()
{
        sluice::options small;
        small.capacity = 256;
        sluice::queue qa("a", small), qb("b", small);
        sluice::producer a("a"), b("b");
        sluice::consumer c("a"), d("b");
        sluice::fanout f{a, b};
        std::error_code ec;

        CHECK(f.size() == 2 && f.send_next("1") && f.send_next("2") && f.send_all("3"));
        CHECK(c.pending() == 2 && d.pending() == 2);
        CHECK(f.send_key(7, "4") && f.send_any("5").value() < 2);
        CHECK(f.send_all("6", 0, now).timed_out() && !f.send_all("6", 0, now, ec) && ec);
        CHECK(f.send_any("6", 0, now).timed_out() && !f.send_any("6", 0, now, ec) && ec);
        CHECK(!f.send_next("6", 0, now, ec) && !f.send_key(7, "6", 0, now, ec) && ec);
        const std::vector<sluice::producer_ref> refs{b};
        sluice::fanout one(refs.begin(), refs.end());
        CHECK(one.size() == 1);
        for (auto &&m : d.drain())
                CHECK(m.size() == 1);
        CHECK(*one.send_any("7", 3) == 0 && d.peek()->tag() == 3);
        sluice::fanout empty{};
        CHECK_THROWS(EINVAL, empty.send_next("x"));
}

void test_shapes()
{
        typed_names();
        typed();
        typed_with_c();
        long_messages();
        channels();
        several_queues();
}
