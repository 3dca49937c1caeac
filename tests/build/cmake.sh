#!/bin/sh
# SPDX-License-Identifier: MIT
# find_package(sluice): installed as Debian does it, moved, static, and what it
# says when it does not fit.
. "$TOP/tests/build/lib.sh"
root=$here/usr
installed "$root" "$root/lib/x86_64-linux-gnu"
package=lib/x86_64-linux-gnu/cmake/sluice

check 'it is found' configure shared -DCMAKE_PREFIX_PATH="$root" -DCMAKE_LIBRARY_ARCHITECTURE=x86_64-linux-gnu
check 'and the project built' cmake --build shared
all_run 'shared' shared
check 'the library is shared' needs libsluice.so shared/typed
check 'that of groups, too' needs libsluice-group.so shared/group
check 'headers alone need no library' has_no libsluice shared/ring

# Nothing in it says where it was installed.
mkdir moved
mv usr moved/away
check 'moved, it is found' configure static -DSLUICE_USE_STATIC_LIBS=ON \
        -Dsluice_DIR="$here/moved/away/$package"
check 'moved and static, the project is built' cmake --build static
all_run 'moved and static' static
check 'the library is static' has_no libsluice static/group
check 'and needs liburcu' needs liburcu-bp static/group

# By way of a link of directories, as /lib is of /usr/lib.
mv moved/away usr
ln -s usr/lib lib
mkdir -p small
cat >small/CMakeLists.txt <<'C'
cmake_minimum_required(VERSION 3.13)
project(small LANGUAGES ${LANGUAGE})
find_package(sluice ${VERSION} COMPONENTS ${COMPONENTS})
if(sluice_FOUND)
  message("it is found")
else()
  message("it is missed")
endif()
if(TARGET sluice::ring)
  get_target_property(where sluice::ring INTERFACE_INCLUDE_DIRECTORIES)
  message("headers ${where}")
endif()
if(TARGET sluice::sluice)
  file(WRITE ${CMAKE_BINARY_DIR}/none.c "int none;")
  file(WRITE ${CMAKE_BINARY_DIR}/none.cc "int none;")
  add_library(none SHARED ${CMAKE_BINARY_DIR}/none.${SUFFIX})
  target_link_libraries(none sluice::sluice)
endif()
C
# finds found|missed VERSION [COMPONENTS [DIRECTORY [LANGUAGE SUFFIX]]]
finds() {
        rm -rf out.small
        cmake -S small -B out.small -DVERSION="$2" -DCOMPONENTS="${3-sluice}" -DLANGUAGE="${5-C}" \
                -DSUFFIX="${6-c}" -Dsluice_DIR="${4-$root/$package}" >small.log 2>&1 || return 1
        grep -qx "it is $1" small.log || { cat small.log; return 1; }
}
check 'through a link' finds found 0.2 sluice "$here/lib/x86_64-linux-gnu/cmake/sluice"
check 'its headers are where they are' grep -qx "headers $root/include" small.log
for version in '' 0 0.2 0.2.0 0.1...0.3 0.1...0.2.0 '0.2.0;EXACT'; do
        check "version '$version' fits" finds found "$version"
done
for version in 0.1 0.1.9 0.2.1 0.3 1 0.1...0.1.9 '0.1...<0.2.0' '0.2.1;EXACT'; do
        check "version '$version' does not fit" finds missed "$version"
done
check 'in a project of C++ alone' finds found 0.2 'ring;sluice;group' "$root/$package" CXX cc
check 'an unknown component is missed' finds missed 0.2 'ring;sloop'
check 'and named' grep -q 'no sluice::sloop below' small.log
rm "$root"/lib/x86_64-linux-gnu/libsluice-group*
check 'without groups, the rest' finds found 0.2 'ring;sluice'
check 'and no more' finds missed 0.2 group
rm "$root"/lib/x86_64-linux-gnu/libsluice.so*
check 'the static library, if there is no other' finds found 0.2 sluice
sed -i 's/SIZEOF_VOID_P EQUAL 8/SIZEOF_VOID_P EQUAL 4/' "$root/$package/sluice-config-version.cmake"
check 'not for pointers of another size' finds missed 0.2 sluice
finish
