// SPDX-License-Identifier: MIT
// `server DIR` answers any number of clients with their text in capitals, until
// SIGTERM or SIGINT; `server DIR/ TEXT...` is a client.
#include <cctype>
#include <csignal>
#include <iostream>
#include <sluice.hpp>

using namespace std::chrono_literals;

static sluice::group *serving;

static void serve(const char *directory)
{
        sluice::group clients;

        clients.watch(directory, SLUICE_WATCH_CHANNELS | SLUICE_WATCH_REMOVE);
        serving = &clients;
        std::signal(SIGTERM, [](int) { serving->interrupt(); });
        std::signal(SIGINT, [](int) { serving->interrupt(); });
        auto answer = [](sluice::member m, const sluice::message &request) {
                std::string reply(request.text()); // a copy: a client may be hostile

                for (char &c : reply)
                        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
                if (std::error_code ec; !m.reply(request.tag(), reply, sluice::now, ec))
                        std::cerr << m.name() << ": " << ec.message() << '\n';
        };
        while (clients.serve(answer)) // until it is interrupted
                continue;
        std::signal(SIGTERM, SIG_DFL);
        std::signal(SIGINT, SIG_DFL);
}

static void ask(const char *directory, char **texts)
{
        sluice::channel server(directory, sluice::side::client, sluice::or_create);
        char reply[256];

        for (; *texts; texts++) {
                const std::size_t n = server.call(*texts, reply, 10s).value();

                std::cout << std::string_view(reply, n) << '\n';
        }
}

int main(int argc, char **argv)
try {
        argc > 2 ? ask(argv[1], argv + 2) : serve(argc > 1 ? argv[1] : ".");
} catch (const std::exception &e) {
        std::cerr << e.what() << '\n';
        return 1;
}
