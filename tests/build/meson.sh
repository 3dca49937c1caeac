#!/bin/sh
# SPDX-License-Identifier: MIT
# Meson: by pkg-config, and as a subproject.
. "$TOP/tests/build/lib.sh"
root=$here/root
installed "$root" "$root/lib"
PKG_CONFIG_PATH=$root/lib/pkgconfig
export PKG_CONFIG_PATH
check 'Meson finds what is installed' meson setup shared project
check 'and builds with it' meson compile -C shared
LD_LIBRARY_PATH=$root/lib
export LD_LIBRARY_PATH
all_run 'installed' shared
unset LD_LIBRARY_PATH
check 'the library is shared' needs libsluice.so shared/typed
check 'headers alone need no library' has_no libsluice shared/ring

# Meson takes dependencies of a subproject by their names, as its wrap file says.
unset PKG_CONFIG_PATH
mkdir project/subprojects
tar -xzf "$("$TOP/tools/dist" "$here")" -C project/subprojects
version=$("$TOP/tools/version")
cat >project/subprojects/sluice.wrap <<C
[wrap-file]
directory = sluice-$version

[provide]
dependency_names = sluice, sluice-ring, sluice-group
C
check 'Meson takes a subproject' meson setup sub project --buildtype=plain
check 'and builds it' meson compile -C sub
all_run 'subproject' sub
check 'the library is static' has_no libsluice sub/group
objects "$OUT/libsluice.a" >ours
# ffi.c is a library of its own there, which has joined.
objects "sub/subprojects/sluice-$version/libsluice.a" >theirs
check 'of the same sources' diff ours theirs
objects "$OUT/libsluice-group.a" >ours
objects "sub/subprojects/sluice-$version/libsluice-group.a" | sed 's/^group_//' >theirs
check 'groups, too' diff ours theirs
finish
