#!/bin/sh
# SPDX-License-Identifier: MIT
#
# example.sh: the example on the first screen of include/sluice.h compiles as C11,
# without a warning. Last line: `N passed, N failed`.
set +e -u
top=$(cd "$(dirname "$0")/../.." && pwd) || exit 2
passed=0
failed=0

# The function in the comment, and a use of it.
{
        echo '#include <sluice.h>'
        awk '/^ \*      static int hello/ { on = 1 } on { print substr($0, 3) } /^ \*      }$/ { on = 0 }' \
                "$top/include/sluice.h"
        echo 'int main(void) { return hello(); }'
} >example.c

compiles() {
        if "$@" -Wall -Wextra -Wshadow -Wconversion -Werror -fsyntax-only "-I$top/include"; then
                passed=$((passed + 1))
        else
                failed=$((failed + 1))
        fi
}
compiles "${CC:-gcc}" -std=c11 -Wpedantic example.c
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
