// SPDX-License-Identifier: MIT
// Without an argument, the program receives and prints. With one, in another
// terminal, it sends.
#include <iostream>
#include <sluice.hpp>

static void send_text(const char *text)
{
        sluice::producer out("hello", sluice::or_create);

        out.send(text).value();
}

static void print_all()
{
        sluice::consumer in("hello", sluice::or_create);

        // in place, until the sender closes
        for (auto &&m : in)
                std::cout << m.text() << '\n';
        sluice::remove("hello");
}

int main(int argc, char **argv)
try {
        argc > 1 ? send_text(argv[1]) : print_all();
} catch (const std::exception &e) {
        std::cerr << e.what() << '\n';
        return 1;
}
