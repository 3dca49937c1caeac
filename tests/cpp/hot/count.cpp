// SPDX-License-Identifier: MIT
// count: how many instructions a message takes in C and in C++, counted one by
// one under ptrace; what FEW and MANY messages have in common does not count.
// Fails where C++ takes more. Last line: `N passed, N failed`.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ways.hpp"

enum { FEW = 16, MANY = 32 };

void take(const void *, std::size_t)
{
}

namespace
{

struct way {
        const char *name;
        void (*c)(ends *, int);
        void (*cpp)(cpp_ends &, int);
        bool receives;
};

const way ways[] = {
        {"send", c_send, cpp_send, false},
        {"send, error_code", c_send, cpp_send_ec, false},
        {"send, typed", c_send, cpp_send_typed, false},
        {"reserve and commit", c_write, cpp_write, false},
        {"reserve and commit, error_code", c_write, cpp_write_ec, false},
        {"reserve and commit, typed", c_write_typed, cpp_write_typed, false},
        {"for each message", c_receive, cpp_receive, true},
        {"peek and release", c_receive, cpp_receive_calls, true},
        {"peek and release, error_code", c_receive, cpp_receive_ec, true},
        {"recv", c_receive_copied, cpp_receive_copied, true},
        {"for each message, typed", c_receive_typed, cpp_receive_typed, true},
};

// In a child that is traced: stops before and behind n messages.
[[noreturn]] void run(const way &w, bool in_cpp, int n)
{
        int status = 1;

        try {
                cpp_ends e{sluice::typed_producer<tick>("q", sluice::or_create),
                           sluice::typed_consumer<tick>("q"),
                           {},
                           {}};
                ends c{e.p.native(), e.c.native()};

                // How a consumer treats cache lines depends on the clock else.
                c.c->pace.available = 0;
                e.any_p = sluice::producer_ref(*c.p);
                e.any_c = sluice::consumer_ref(*c.c);
                if (w.receives) {
                        cpp_send_typed(e, n);
                        e.p.close();
                }
                raise(SIGSTOP);
                if (in_cpp)
                        w.cpp(e, n);
                else
                        w.c(&c, n);
                raise(SIGSTOP);
                const auto done = w.receives ? e.c.messages() : e.p.messages();

                status = done == static_cast<unsigned>(n) ? 0 : 1;
                sluice::remove("q");
        } catch (const std::exception &e) {
                std::printf("%s\n", e.what());
        }
        std::fflush(stdout);
        _exit(status);
}

[[noreturn]] void give_up(const char *what)
{
        std::perror(what);
        std::exit(1);
}

// Waits until the child stops: its signal; or -1, when it has ended well.
int await(pid_t child)
{
        int status;

        if (waitpid(child, &status, 0) != child)
                give_up("waitpid");
        if (WIFSTOPPED(status))
                return WSTOPSIG(status);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return -1;
        std::printf("the child has failed\n");
        std::exit(1);
}

long count_all(const way &w, bool in_cpp, int n)
{
        std::fflush(stdout);
        const pid_t child = fork();
        long steps = 0;

        if (child < 0)
                give_up("fork");
        if (child == 0) {
                if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0)
                        give_up("ptrace");
                run(w, in_cpp, n);
        }
        while (await(child) != SIGSTOP)
                if (ptrace(PTRACE_CONT, child, nullptr, nullptr) != 0)
                        give_up("ptrace");
        do {
                if (ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0)
                        give_up("ptrace");
                steps++;
        } while (await(child) == SIGTRAP);
        if (ptrace(PTRACE_CONT, child, nullptr, nullptr) != 0 || await(child) != -1)
                give_up("ptrace");
        return steps;
}

double for_each_message(const way &w, bool in_cpp)
{
        const long many = count_all(w, in_cpp, MANY), few = count_all(w, in_cpp, FEW);

        return static_cast<double>(many - few) / (MANY - FEW);
}

} // namespace

int main()
{
        int passed = 0, failed = 0;

        for (const way &w : ways) {
                const double c = for_each_message(w, false), cpp = for_each_message(w, true);
                const bool holds = cpp <= c && c > 10;

                std::printf("%s%-32s C %7.2f  C++ %7.2f\n", holds ? "" : "FAILED ", w.name, c, cpp);
                (holds ? passed : failed)++;
        }
        std::printf("%d passed, %d failed\n", passed, failed);
        return failed != 0;
}
