// SPDX-License-Identifier: MIT
// Asks for every template once, so that compilers can say what they think of it;
// it is not run.
#include <sluice.hpp>

#include <array>
#include <string>

namespace use
{

struct price {
        std::uint64_t instrument;
        double bid, ask;
};

bool ends();
bool typed();
bool shapes();
bool queues();
bool groups();

} // namespace use

SLUICE_TYPE_NAMED(use::price, "struct price");

bool use::ends()
{
        using namespace std::chrono_literals;
        sluice::producer p("q", sluice::or_create);
        sluice::consumer c(std::string("q"));
        sluice::message got[4];
        std::array<char, 4> array{};
        char text[4];
        std::error_code ec;
        std::size_t bytes = 0;

        for (auto &&m : c)
                bytes += m.size();
        for (const auto &m : c.until(std::chrono::system_clock::now() + 1.5s))
                bytes += m.as<int>() ? 1U : 0U;
        for (auto &&m : c.drain(3))
                bytes += m.text().size();
        if (const auto to = p.reserve(array.size(), 10ms, ec))
                bytes += to->first(2).size();
        bytes += c.peek_many(got, sluice::now).value() + c.peek_many(got, sluice::now, ec).value();
        bytes += c.recv(array).value() + c.recv(text, std::chrono::steady_clock::now(), ec).value();
        return p.send(array) && p.send("text", 1s, ec) && p.sendv({"a", array}) && bytes > 0;
}

bool use::typed()
{
        sluice::create_typed<price>("prices");
        sluice::typed_producer<price> p("prices");
        sluice::typed_consumer<price> c("prices");
        std::error_code ec;
        price got{};
        double sum = 0;

        p.reserve().value() = {1, 99.5, 100.5};
        p.commit();
        for (const price &value : c)
                sum += value.ask;
        for (const price &value : c.drain())
                sum += value.bid;
        return p.send(got, sluice::now, ec) && c.peek() && c.recv(got) && sum > 0 &&
               p.offer(got, ec) && c.peek(sluice::now, ec) && p.reserve(sluice::now, ec);
}

bool use::shapes()
{
        sluice::channel ch("calls", sluice::side::client);
        sluice::producer p;
        sluice::fanout f{p, p};
        sluice::long_message frame(1 << 20);
        std::string reply(100, ' ');

        return ch.call("ping", reply).value() > 0 && f.send_any("x") && ch.in().recv_long(frame);
}

bool use::queues()
{
        sluice::queue q("q");
        int n = sluice::list([](const sluice::queue_stat &st) { return st.pending > 0; });
        std::size_t bytes =
                sluice::dump(q.name(), [&n](const sluice::message &m) { n += m.tag() != 0; });

        bytes += sluice::list().size() + sluice::bytes_of(n).size();
        return n > 0 && bytes > 0;
}

bool use::groups()
{
        sluice::group g;
        std::uint64_t n = g.add("q") != sluice::member();

        g.each([&n](sluice::member, const sluice::member_stat &st) { n += st.messages; });
        return g.serve([](sluice::member, const sluice::message &) {}) &&
               g.serve_shared([](sluice::member, sluice::event e, const sluice::message &) {
                       return e == sluice::event::died ? sluice::then::stop : sluice::then::go_on;
               }) &&
               n > 0;
}
