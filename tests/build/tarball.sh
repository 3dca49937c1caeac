#!/bin/sh
# SPDX-License-Identifier: MIT
# The release: the same bytes whoever makes it, and of use with ninja alone.
. "$TOP/tests/build/lib.sh"
unset SOURCE_DATE_EPOCH
mkdir first second third
archive=$("$TOP/tools/dist" first)
name=$(basename "$archive" .tar.gz)
check 'it has the version in its name' [ "$name" = "sluice-$("$TOP/tools/version")" ]
tar -xzf "$archive"
check 'all is below one directory' [ "$(tar -tzf "$archive" | cut -d / -f 1 | sort -u)" = "$name" ]
check 'nothing that was built is in it' lacks "^$name/out" - <<C
$(tar -tzf "$archive")
C

# Unpacked, where there is no git, by another user's rules, after a build.
umask 077
mkdir "$name/out"
touch "$name/out/built" "$name/.ninja_log"
chmod -R go-rwx "$name"
"$name/tools/dist" second >second.log
check 'the archive of what is unpacked is the same' cmp "$archive" "second/$name.tar.gz"
SOURCE_DATE_EPOCH=1000000000 "$name/tools/dist" third >third.log
check 'SOURCE_DATE_EPOCH is the time of all' [ "$(tar -tvzf "third/$name.tar.gz" |
        awk '{ print $4 }' | sort -u)" = 2001-09-09 ]
rm -r "$name/out"
umask 022

cd "$name"
check 'ninja builds it' env -i PATH="$PATH" HOME="$here" CFLAGS=-O0 ninja
check 'and installs it' env -i PATH="$PATH" HOME="$here" CFLAGS=-O0 PREFIX="$here/root" ninja install
check 'with the manual, without scdoc' env -i PATH="$PATH" HOME="$here" SCDOC=/nonexistent \
        PREFIX="$here/bare" tools/install out/release
check 'its links lead to its pages' [ -s "$here/bare/share/man/man3/sluice_sendv.3" ]
check 'what it says has the version' [ "$("$here/root/bin/sluice" --version)" = "sluice $("$TOP/tools/version")" ]
cd "$here"
PKG_CONFIG_PATH=$here/root/lib/pkgconfig LD_LIBRARY_PATH=$here/root/lib
export PKG_CONFIG_PATH LD_LIBRARY_PATH
for file in "$name"/tests/outside/*.c; do
        program=$(basename "$file" .c)
        # The words of pkg-config are to be split. shellcheck disable=SC2046
        check "$program.c compiles" gcc -Wall -Wextra -Werror "$file" -o "$program" -pthread \
                $(pkg-config --cflags --libs sluice-group)
        check "$program.c runs" runs "$here/$program"
done
finish
