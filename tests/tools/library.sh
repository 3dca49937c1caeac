#!/bin/sh
# SPDX-License-Identifier: MIT
# The library shows every public call of the headers and nothing else, and is
# of use to a program that knows nothing but these names.
set -eu
: "${TOP:?}" "${OUT:?}"
passed=0 failed=0 skipped=0

# same WHAT FILE1 FILE2
same() {
        if diff -u "$2" "$3"; then
                passed=$((passed + 1))
        else
                failed=$((failed + 1))
                echo "FAILED $1"
        fi
}

# What the headers declare: the name before the first parenthesis.
# The last one is shown to libsluice-group.
cat "$TOP"/include/sluice.h $(ls "$TOP"/include/sluice/*.h | grep -v declare.h) \
        "$TOP/src/member.h" | tr '\n' ' ' |
        grep -oE 'SLUICE_(INLINE|API) [^;{}()#]*[ *]sluice_[a-z_0-9]+\(' |
        sed 's/.*[ *]\(sluice_[a-z_0-9]*\)($/\1/' | sort >declared
[ "$(wc -l <declared)" -gt 50 ]
[ "$(sort -u declared | wc -l)" -eq "$(wc -l <declared)" ]

# The headers for SLUICE_NO_INLINE are what tools/calls writes.
for part in rename declare; do
        "$TOP/tools/calls" $part | tr -s ' \n' ' ' >written
        tr -s ' \n' ' ' <"$TOP/include/sluice/$part.h" >present
        same "$part.h is as written by tools/calls" written present
done

# None is inline without the macro, or a name of the parts.
cat "$TOP"/include/sluice/*.h | tr '\n' ' ' |
        grep -oE 'static [^;{}()#]*[ *]sluice_[a-z_0-9]+\(' |
        grep -v '[ *]sluice_priv_[a-z_0-9]*($' >inline || :
: >nothing
same 'public calls that are inline bear SLUICE_INLINE' inline nothing
grep sluice_priv_ declared >private || :
cat >behind <<EOF
sluice_priv_channel_open
sluice_priv_consumer_enable_sleep
sluice_priv_consumer_open
sluice_priv_member_barrier
sluice_priv_member_check_next
sluice_priv_member_fd
sluice_priv_member_is_rung
sluice_priv_member_limit
sluice_priv_member_tell_earlier_end
sluice_priv_member_wakes
sluice_priv_producer_enable_sleep
sluice_priv_producer_open
sluice_priv_stat
EOF
same 'no part of it is public but what stands behind inline calls and what groups use' behind private

nm -D --defined-only "$OUT/libsluice.so" |
        awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort >shown
same 'the shared library shows what the headers declare' declared shown
nm -D --defined-only "$OUT/libsluice.so" | awk '$2 != "T" { print $3 }' | sort >others
soname=$(readlink "$OUT/libsluice.so")
echo "SLUICE_${soname#libsluice.so.}" >node
sed 's/@.*//' others | grep -v -e '^_\{0,2\}\(asan\|ubsan\|tsan\|odr\)' >versions || :
same 'and one version, that of the soname' node versions
nm --defined-only "$OUT/libsluice.a" 2>nm.log |
        awk '$2 == "T" && $3 ~ /^sluice_/ && $3 !~ /^sluice_priv_/ { print $3 }' | sort >archived
grep -v sluice_priv_ declared >public
same 'so does the archive' public archived

# The same of groups, whose library is another.
tr '\n' ' ' <"$TOP/include/sluice/group.h" |
        grep -oE 'SLUICE_GROUP_API [^;{}()#]*[ *]sluice_[a-z_0-9]+\(' |
        sed 's/.*[ *]\(sluice_[a-z_0-9]*\)($/\1/' | sort >group_declared
nm -D --defined-only "$OUT/libsluice-group.so" |
        awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort >group_shown
same 'the library of groups shows what its header declares' group_declared group_shown
nm -D --defined-only "$OUT/libsluice-group.so" | awk '$2 == "A" { print $3 }' >group_versions
echo "SLUICE_GROUP_${soname#libsluice.so.}" >group_node
same 'and one version, that of the soname' group_node group_versions
readelf -d "$OUT/libsluice.so" | grep -o 'liburcu[^]]*' >urcu || :
same 'the library itself does not need liburcu' urcu nothing

# The values of the headers, of the library, and of the change log.
printf '%s\n' '#include <sluice.h>' 'SLUICE_VERSION_STRING' |
        "${CC:-gcc}" -E -P -I"$TOP/include" - | tail -n 1 | tr -d '" ' >version
same 'the change log begins with the version of the headers' version - <<EOF
$(sed -n 's/^## \([0-9.]*\).*/\1/p' "$TOP/CHANGELOG.md" | head -n 1)
EOF
"$OUT/tests/dynamic" "$OUT/libsluice.so" q >said || failed=$((failed + 1))
same 'a program that loads it sends and receives, and is told the version' version said
sluice --version | sed 's/^sluice //' >said
same 'the command tells that of the library' version said
# A program without inline code: it calls the library for everything.
"${CC:-gcc}" -std=c11 -O2 -Wall -Wextra -Werror -DSLUICE_NO_INLINE -I"$TOP/include" -c \
        "$TOP/examples/readme.c" -o readme.o
nm readme.o | sed -n 's/^ *U \(sluice_[a-z_]*\)$/\1/p' >called
cat >expected <<EOF
sluice_consumer_close
sluice_consumer_open
sluice_peek
sluice_producer_close
sluice_producer_open
sluice_release
sluice_remove
sluice_send
sluice_strerror
EOF
same 'without inline code all calls are of the library' expected called
nm readme.o | grep sluice_priv_ >private || :
same 'and nothing inline is left' private nothing
# The example of doc/languages.md, as it stands there. A sanitizer's library
# wants a program of its own.
if ! command -v python3 >/dev/null || ldd "$OUT/libsluice.so" | grep -q 'lib[a-z]*san'; then
        skipped=1
else
        sed -n '/^```python$/,/^```$/p' "$TOP/doc/languages.md" | sed '1d;$d' >example.py
        LD_LIBRARY_PATH=$OUT python3 example.py >said || failed=$((failed + 1))
        same 'the example in Python receives what it sends' said - <<EOF
hello
EOF
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
