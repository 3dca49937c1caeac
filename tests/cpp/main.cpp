// SPDX-License-Identifier: MIT
#include "check.hpp"

#include <cstdlib>
#include <filesystem>

int main()
{
        const char *const own = std::getenv("TMPDIR"); // of tools/runtest

        try {
                std::filesystem::current_path(own ? own : "/tmp");
                test_values();
                test_ends();
                test_loops();
                test_shapes();
                test_groups();
        } catch (const std::exception &e) {
                std::printf("not caught: %s\n", e.what());
                failed++;
        }
        std::printf("%d passed, %d failed\n", passed, failed);
        return failed != 0;
}
