/* SPDX-License-Identifier: MIT */
#ifndef TESTS_CPP_CHECK_HPP
#define TESTS_CPP_CHECK_HPP
/* What the tests of sluice.hpp count with. The last line that they print is
 * `N passed, N failed`. */
#include <cstdio>
#include <system_error>

#include <sluice.hpp>

inline int passed = 0, failed = 0;

inline void count(bool holds, const char *file, int line, const char *what)
{
        if (holds) {
                passed++;
        } else {
                failed++;
                std::printf("%s:%d: %s\n", file, line, what);
        }
}

#define CHECK(...) count(static_cast<bool>(__VA_ARGS__), __FILE__, __LINE__, #__VA_ARGS__)

/* Throws a system_error with this value? */
#define CHECK_THROWS(error, ...) \
        count(thrown([&] { (void)(__VA_ARGS__); }) == (error), __FILE__, __LINE__, #__VA_ARGS__)

template <class F> int thrown(F &&f)
{
        try {
                f();
                return 0;
        } catch (const std::system_error &e) {
                return e.code().category() == sluice::category() ? e.code().value() : -1;
        }
}

/* The parts, one in each file. */
void test_values();
void test_ends();
void test_loops();
void test_shapes();
void test_groups();

#endif
