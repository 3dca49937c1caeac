#!/bin/sh
# SPDX-License-Identifier: MIT
#
# assembly.sh: a build that replaces sluice/atomic.h replaces nothing else: no
# inline assembly is left, and only sluice/cpu.h has any otherwise. (The name
# of a symbol in `__asm__("name")` is none.) Last line: `N passed, N failed`.
set +e -u
top=$(cd "$(dirname "$0")/../.." && pwd) || exit 2
passed=0
failed=0

check() {
        if [ "$2" = "$3" ]; then
                passed=$((passed + 1))
        else
                failed=$((failed + 1))
                echo "$1: $2, not $3"
        fi
}

# statements OPTION...: how many of the preprocessed header are assembly
statements() {
        "${CC:-gcc}" -std=c11 -E -P "-I$top/include" "-I$top/tests/support" "$@" \
                "$top/include/sluice.h" | tr -d '\n' |
                grep -oE '(__asm__|asm) *(__volatile__|volatile|\("[^"]*" *:)|__builtin_(ia32_pause|prefetch)' |
                wc -l | tr -d ' '
}

check 'with atomic_hook.h' "$(statements '-DSLUICE_ATOMIC_HEADER="atomic_hook.h"')" 0
others=$(grep -lE '__asm__ *(__volatile__|\("[^"]*" *:)' "$top"/include/sluice/*.h | sed 's/.*\///' | tr '\n' ' ')
check 'headers with inline assembly' "$others" 'cpu.h '
# The pattern finds what there is to find.
[ "$(statements)" -gt 0 ]
check 'found without the hook' $? 0
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
