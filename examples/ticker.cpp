// SPDX-License-Identifier: MIT
// `ticker send N` sends prices, written in place; `ticker` prints the spread of
// each until the sender has gone, or for ten seconds without one. A C program that
// has SLUICE_TYPED(price, struct price) may be either side.
#include <cstdlib>
#include <iostream>
#include <sluice.hpp>
#include <string_view>

using namespace std::chrono_literals;

struct price {
        std::uint64_t instrument;
        double bid, ask;
};
SLUICE_TYPE(struct price);

static int send_prices(unsigned long n)
{
        sluice::typed_producer<price> out("prices", sluice::or_create);

        for (unsigned long i = 1; i <= n; i++) {
                const auto next = out.reserve(1s);

                if (!next) {
                        std::cerr << "nobody reads: " << next.error().message() << '\n';
                        return 1;
                }
                *next = {i, 99.5, 99.5 + static_cast<double>(i)};
                out.commit();
        }
        return 0;
}

static int print_spreads()
{
        sluice::typed_consumer<price> in("prices", sluice::or_create);

        for (const price &p : in.until(10s))
                std::cout << p.instrument << ' ' << p.ask - p.bid << '\n';
        if (!in.last().ended())
                std::cerr << "no end: " << in.last().error().message() << '\n';
        if (in.last().died()) // what it has sent is there all the same
                std::cerr << "the sender died\n";
        sluice::remove("prices");
        return in.last().closed() ? 0 : 1;
}

int main(int argc, char **argv)
try {
        if (argc > 2 && std::string_view(argv[1]) == "send")
                return send_prices(std::strtoul(argv[2], nullptr, 10));
        return print_spreads();
} catch (const std::exception &e) {
        std::cerr << e.what() << '\n';
        return 1;
}
