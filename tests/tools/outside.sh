#!/bin/sh
# SPDX-License-Identifier: MIT
# Each shape from a program outside the tree, which knows the installed files and
# pkg-config alone; and what README shows of a shape is a part of one of them.
set -eu
: "${TOP:?}" "${OUT:?}"
. "$TOP/tests/tools/lib.sh"
if ! command -v pkg-config >/dev/null || is_sanitized; then
        skipped=1
        finish
fi

unset DESTDIR LIBDIR
(cd "$TOP" && PREFIX=$OLDPWD/root tools/install "$OUT") >install.log
PKG_CONFIG_PATH=$PWD/root/lib/pkgconfig LD_LIBRARY_PATH=$PWD/root/lib
export PKG_CONFIG_PATH LD_LIBRARY_PATH

# run PROGRAM: built by its users' line, in a directory of its own, which is as before.
run() {
        case $1 in
        group | server) package=sluice-group ;;
        *) package=sluice ;;
        esac
        mkdir "in-$1"
        # The words of pkg-config are to be split. shellcheck disable=SC2046
        "${CC:-cc}" -Wall -Wextra -Werror "$TOP/tests/outside/$1.c" -o "$1" -pthread \
                $(pkg-config --cflags --libs $package) && (cd "in-$1" && timeout 60 "../$1" >../out) &&
                rmdir in-*/* in-* 2>rmdir.log
        [ ! -e "in-$1" ]
}
for file in "$TOP"/tests/outside/*.c; do
        name=$(basename "$file" .c)
        check "$name.c is of use outside" run "$name"
done

# README's blocks but the first, which is examples/readme.c, without indentation,
# in parts between lines of dots: each is in one of these programs.
shown() {
        awk -v files="$(ls "$TOP"/tests/outside/*.c)" '
        function text(line) { sub(/^[ \t]+/, "", line); return line "\n" }
        function look(   i) {
                for (i = 1; i <= n && !index(program[i], part); i++)
                        continue
                if (i > n) { printf "in no program:\n%s", part; bad = 1 }
                part = ""
        }
        BEGIN {
                n = split(files, file, "\n")
                for (i = 1; i <= n; i++)
                        while ((getline line <file[i]) > 0)
                                program[i] = program[i] text(line)
        }
        /^```c$/ { block++; on = block > 1; next }
        /^```$/ { if (on) look(); on = 0; next }
        on && /^\.\.\.$/ { look(); next }
        on { part = part text($0) }
        END { exit bad || block < 2 }' "$TOP/README.md"
}
check 'what README shows compiles and runs' shown
finish
