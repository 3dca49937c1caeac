#!/bin/sh
# SPDX-License-Identifier: MIT
#
# pictures.sh: every picture in doc/pictures is what tools/picture makes of its
# text, and stands in a page of doc/. Last line: `N passed, N failed`.
set +e -u
top=$(cd "$(dirname "$0")/../.." && pwd) || exit 2
passed=0
failed=0

check() {
        what=$1
        shift
        if "$@"; then
                passed=$((passed + 1))
        else
                failed=$((failed + 1))
                echo "FAIL $what"
        fi
}
is_drawn() {
        "$top/tools/picture" "$1" | cmp - "${1%.txt}.svg"
}
is_shown() {
        grep -q "](pictures/$(basename "$1" .txt).svg)" "$top"/doc/*.md
}
refuses() {
        ! "$top/tools/picture" "$1" >/dev/null 2>&1
}

for text in "$top"/doc/pictures/*.txt; do
        check "$text is drawn" is_drawn "$text"
        check "$text is shown" is_shown "$text"
done
echo 'circle 1 2 3' >unknown.txt
check 'an unknown shape is refused' refuses unknown.txt
check 'a missing text is refused' refuses none.txt
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
