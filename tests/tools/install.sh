#!/bin/sh
# SPDX-License-Identifier: MIT
# ninja and ninja install build as a packager says, into his directory.
set -eu
: "${TOP:?}"
. "$TOP/tests/tools/lib.sh"
here=$PWD
mkdir tree
cd "$TOP"
cp -R build.ninja ninja src include tools doc completions "$here/tree/"
cd "$here/tree"

# cc NAME: a compiler that notes what it is called with. Whether our own
# configurations choose clang or gcc is no matter to it.
cc() {
        real=$(command -v clang || command -v gcc)
        printf '#!/bin/sh\necho "$0 $*" >>"%s"\nexec "%s" "$@"\n' "$here/log" "$real" >"$here/$1"
        chmod +x "$here/$1"
}
unset SLUICE_WERROR AR
cc packager-cc
id=0123456789abcdef
CC="$here/packager-cc" CFLAGS='-O1 -g0' CPPFLAGS=-DPACKAGER LDFLAGS=-Wl,--build-id=0x$id
PREFIX=/opt/sluice LIBDIR=/opt/sluice/lib/any DESTDIR=$here/stage
export CC CFLAGS CPPFLAGS LDFLAGS PREFIX LIBDIR DESTDIR

# A newer compiler has a new warning: that is no reason not to build.
echo 'static int not_used;' >>src/error.c
ninja -j2 install >ninja.log 2>&1 || {
        cat ninja.log
        exit 1
}
grep -e ' -c ' "$here/log" >compiled
grep -v -e ' -c ' "$here/log" >linked
compiled=$(wc -l <compiled)
check 'CC compiles all' [ "$compiled" -eq "$(ls src/*.c src/*/*.c | wc -l)" ]
check 'with CFLAGS' lines ' -O1 -g0 ' "$compiled" compiled
check 'with CPPFLAGS' lines ' -DPACKAGER ' "$compiled" compiled
check 'in the place of our own' lacks ' -O2' compiled
check 'a warning is no error' lacks '-Werror' compiled
check 'and is shown' grep -q not_used ninja.log
check 'LDFLAGS link libraries and command' lines " -Wl,--build-id=0x$id " 3 linked
for file in lib/any/libsluice.so lib/any/libsluice-group.so bin/sluice; do
        readelf -n "$here/stage/opt/sluice/$file" >notes
        check "$file is what they made" grep -q "Build ID: $id\$" notes
done
check 'nothing else is installed' [ "$(ls "$here/stage") $(ls "$here/stage/opt/sluice")" = \
        "opt bin
include
lib
share" ]

# What is installed is of use, and says its version in each place.
version=$(tools/version) abi=$(tools/version ABI)
root=$here/stage/opt/sluice
check 'the command tells the version' [ "$("$root/bin/sluice" --version)" = "sluice $version" ]
check 'so does pkg-config' grep -qx "Version: $version" "$root/lib/any/pkgconfig/sluice.pc"
check 'and each page of the manual' [ -z "$(grep -L "\"sluice $version\"" "$root"/share/man/man*/*)" ]
check 'which there are of all commands' \
        [ "$(ls "$root/share/man/man1" | wc -l)" -eq "$(ls "$TOP"/doc/man/*.1.scd | wc -l)" ]
check 'a further name of a page leads to it' \
        [ "$(readlink "$root/share/man/man3/sluice_sendv.3")" = sluice_send.3 ]
check 'and the change log, first' \
        [ "$(sed -n 's/^## \([0-9.]*\).*/\1/p' "$TOP/CHANGELOG.md" | head -n 1)" = "$version" ]
check 'so does the soname' sh -c \
        "readelf -d '$root/lib/any/libsluice.so' | grep -qF 'soname: [libsluice.so.$abi]'"
check 'and the file that it names is there' [ -f "$root/lib/any/libsluice.so.$abi" ]
check 'groups have a package of their own' grep -qx 'Requires: sluice' \
        "$root/lib/any/pkgconfig/sluice-group.pc"
check 'and a library, with the same version' \
        [ -f "$root/lib/any/libsluice-group.so.$abi" ]
for file in bash-completion/completions/sluice zsh/site-functions/_sluice; do
        check "shells find $file" [ -f "$root/share/$file" ]
done
check 'pkg-config finds LIBDIR' grep -qx 'libdir=/opt/sluice/lib/any' \
        "$root/lib/any/pkgconfig/sluice.pc"
cat >user.c <<'C'
#include <sluice.h>
int main(void)
{
        return sluice_remove("nobody-made-this") == -ENOENT ? 0 : 1;
}
C
gcc -isystem "$root/include" user.c -o user -L"$root/lib/any" -lsluice
check 'a program links with it' env LD_LIBRARY_PATH="$root/lib/any" ./user
cat >versions.c <<'C'
#include <sluice.h>
#include <stdio.h>
int main(void)
{
        return printf("%s %s\n", SLUICE_VERSION_STRING, sluice_version()) < 0;
}
C
gcc -isystem "$root/include" versions.c -o versions -L"$root/lib/any" -lsluice
check 'headers and library tell the version, too' \
        [ "$(LD_LIBRARY_PATH="$root/lib/any" ./versions)" = "$version $version" ]

# Without scdoc: no pages, which it says; or those that came with a release.
SCDOC=not-there DESTDIR=$here/bare tools/install out/release >install.log 2>&1
check 'without scdoc it says so' grep -q '^no scdoc here: ' install.log
check 'and installs all but the manual' [ ! -e "$here/bare/opt/sluice/share/man" ]
check 'such as the command' [ -x "$here/bare/opt/sluice/bin/sluice" ]
tools/man doc/man
SCDOC=not-there DESTDIR=$here/bare tools/install out/release >install.log 2>&1
check 'with pages of a release it does not' lacks scdoc install.log
check 'but installs these, and their links' diff -r "$here/bare/opt/sluice/share/man" "$root/share/man"

# A packager who wants warnings to be errors, as CI does, says so.
touch src/error.c
if SLUICE_WERROR=-Werror ninja out/release/obj/error.o >ninja.log 2>&1; then
        check 'SLUICE_WERROR makes it one' false
fi
check 'SLUICE_WERROR makes a warning an error' grep -q not_used ninja.log

# Without any of them: gcc, -O2 -g, and nothing else.
unset CC CFLAGS CPPFLAGS LDFLAGS
cc gcc
touch src/error.c
PATH=$here:$PATH ninja out/release/obj/error.o >ninja.log 2>&1
check 'gcc is the default' grep -q "^$here/gcc .* -O2 -g  *-include " "$here/log"
finish
