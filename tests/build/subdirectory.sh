#!/bin/sh
# SPDX-License-Identifier: MIT
# CMake: as a directory of somebody's project, shared, and fetched, static.
. "$TOP/tests/build/lib.sh"
archive=$("$TOP/tools/dist" "$here")
tar -xzf "$archive"
mv sluice-*/ tree
check 'a directory' configure shared -DSLUICE_SOURCE="$here/tree" -DBUILD_SHARED_LIBS=ON
check 'is built with the project' cmake --build shared
all_run 'directory' shared
for library in libsluice libsluice-group; do
        soname=$(readlink "$OUT/$library.so")
        nm -D --defined-only "$OUT/$library.so" | cut -d ' ' -f 2- | sort >ours
        nm -D --defined-only "shared/sluice/$library.so" | cut -d ' ' -f 2- | sort >theirs
        check "$library shows the same" diff ours theirs
        check "$library has the same soname" [ "$(readlink "shared/sluice/$library.so")" = "$soname" ]
        check 'and is needed by it' needs "$soname" shared/group
done

check 'an archive' configure static -DSLUICE_URL="$archive"
check 'is fetched and built' cmake --build static
all_run 'fetched' static
check 'the library is static' has_no libsluice static/group
for library in libsluice libsluice-group; do
        objects "$OUT/$library.a" >ours
        objects "static/_deps/sluice-build/$library.a" >theirs
        check "$library has the same sources" diff ours theirs
done
finish
