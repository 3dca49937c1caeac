#!/bin/sh
# SPDX-License-Identifier: MIT
#
# pictures.sh: every picture in doc/pictures is what tools/picture makes of its
# text, and stands in a page of doc/. Last line: `N passed, N failed`.
set +e -u
top=$(cd "$(dirname "$0")/../.." && pwd) || exit 2
. "$top/tests/tools/lib.sh"

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
finish
