# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# What the tests of the manual share; each begins with `. lib.sh` and ends with
# `finish`.
set +e
set -u
LC_ALL=C
export LC_ALL
: "${TOP:?}" "${OUT:?}"
man=$TOP/doc/man
passed=0 failed=0

# pass, fail WHAT...
pass() {
        passed=$((passed + 1))
}
fail() {
        failed=$((failed + 1))
        echo "FAILED: $*"
}

# same WHAT WANTED GOT: two files.
same() {
        if diff -u "$2" "$3"; then pass; else fail "$1"; fi
}

# within WHAT FILE ALL: each line of FILE, a test, is one of ALL; both are sorted.
within() {
        comm -23 "$2" "$3" >lacking
        passed=$((passed + $(wc -l <"$2") - $(wc -l <lacking)))
        while IFS= read -r line; do
                fail "$1: $line"
        done <lacking
}

# calls: the public ones, of both libraries.
calls() {
        sed -n 's/^ *\(sluice_[a-z_0-9]*\);$/\1/p' "$TOP/src/libsluice.map" \
                "$TOP/src/group/libsluice-group.map" | grep -v '^sluice_priv_' | sort
}

# names SOURCE: what its page can be found by.
names() {
        awk '/^# / { on = $2 == "NAME"; next } on' "$1" |
                tr '\n' ' ' | sed 's/ - .*//; s/,/ /g' | xargs -n 1
}

# code SECTION SOURCE: what stands between ``` there, each block behind a line with
# its first line's number.
code() {
        awk -v section="$1" '
                /^# / { on = substr($0, 3) == section }
                !on { next }
                /^```$/ { inside = !inside; if (inside) print "@" NR; next }
                inside' "$2"
}

finish() {
        echo "$passed passed, $failed failed"
        [ "$failed" -eq 0 ]
        exit
}
