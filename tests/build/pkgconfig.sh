#!/bin/sh
# SPDX-License-Identifier: MIT
# pkg-config: headers alone, the library, groups; shared and static.
. "$TOP/tests/build/lib.sh"
root=$here/root
installed "$root" "$root/lib/any"
PKG_CONFIG_PATH=$root/lib/any/pkgconfig
export PKG_CONFIG_PATH
version=$("$TOP/tools/version")

# builds PROGRAM PACKAGE OPTION...: by its user's line
builds() {
        program=$1 package=$2
        shift 2
        # The words of pkg-config are to be split. shellcheck disable=SC2046
        gcc -Wall -Wextra -Werror "project/$program.c" -o "$program" \
                $(pkg-config --cflags --libs "$@" "$package")
}
for package in sluice-ring sluice sluice-group; do
        check "$package is valid" pkg-config --validate "$package"
        check "$package has the version" [ "$(pkg-config --modversion $package)" = "$version" ]
done
check 'headers alone' [ "$(pkg-config --cflags --libs sluice-ring | tr -d ' ')" = "-I$root/include" ]
check 'ring' builds ring sluice-ring
check 'ring runs' runs "$here/ring"
LD_LIBRARY_PATH=$root/lib/any
export LD_LIBRARY_PATH
check 'typed' builds typed sluice
check 'typed runs' runs "$here/typed"
check 'it needs the library' needs libsluice.so typed
check 'group' builds group sluice-group
check 'group runs' runs "$here/group"
unset LD_LIBRARY_PATH

rm "$root"/lib/any/*.so*
check 'typed, static' builds typed sluice --static
check 'typed, static, runs' runs "$here/typed"
check 'group, static' builds group sluice-group --static
check 'group, static, runs' runs "$here/group"
check 'it needs no library of ours' has_no libsluice group
finish
