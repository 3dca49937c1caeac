#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The manual as a whole: every page that is referred to exists, and refers back
# where both are in SEE ALSO; what is named exists; sluice(3) has all calls; each
# name leads to its page; sluice-protocol(5) has every line of the tables of
# doc/layout.md; nothing is wider than a terminal.
. "$(dirname "$0")/lib.sh"

# ---- Sources
: >known
for source in "$man"/*.scd; do
        page=$(basename "$source" .scd)
        name=${page%.*} section=${page##*.}
        if [ "$(head -n 1 "$source")" = "$name($section) \"sluice @VERSION@\" \"sluice manual\"" ]; then
                pass
        else
                fail "$page: its first line"
        fi
        for name in $(names "$source"); do
                echo "$name.$section $page" >>known
        done
done
sort -o known known
twice=$(cut -d ' ' -f 1 known | uniq -d)
if [ -z "$twice" ]; then pass; else fail "two pages of one name: $twice"; fi

# references: of ours, NAME.SECTION.
references() {
        grep -o '\*[A-Za-z0-9_-]*\*([0-9])' | tr -d '*)' | tr '(' '.' | grep -i '^sluice'
}
: >see
for source in "$man"/*.scd; do
        page=$(basename "$source" .scd)
        grep -v '^	*```' "$source" | references | sort -u >found
        while read -r reference; do
                if grep -q "^$reference " known; then pass; else fail "$page: there is no $reference"; fi
        done <found
        awk '/^# / { on = substr($0, 3) == "SEE ALSO"; next } on' "$source" | references |
                sed "s/^/$page /" >>see
done
while read -r from to; do
        if [ -f "$man/$to.scd" ]; then pass; else fail "$from: SEE ALSO $to, which is no page of its own"; fi
        if grep -qx "$to $from" see; then pass; else fail "$to: SEE ALSO without $from"; fi
done <see
[ "$(wc -l <see)" -ge 100 ] || fail 'few references were found'

# Words of ours: of the headers, of the commands, or the name of a page.
cat "$TOP"/include/*.h "$TOP"/include/sluice/*.h "$TOP"/src/cli/*.c "$TOP/src/name.c" |
        grep -o -w -i 'sluice_[a-z_0-9]*' | sort -u >words
cut -d . -f 1 known >>words
cat "$man"/*.scd | tr -d '\\' | grep -o -w -i 'sluice_[a-z_0-9]*' | sort -u >said
while read -r word; do
        if grep -qx "$word" words; then pass; else fail "no such thing: $word"; fi
done <said

# The index: each call once, behind its page.
awk '/^\*sluice_[a-z]*\*\(3\): / { page = substr($0, 2, index($0, "*(") - 2); next }
        /^# / { on = $2 == "CALLS" }
        on && /^\t/ {
                n = split($0, part, "*")
                for (i = 2; i <= n; i += 2)
                        print part[i] ".3 " page ".3"
        }' "$man/sluice.3.scd" | grep '^sluice_' | grep -v '^sluice_options.3' | sort >index
cut -d . -f 1 index | sort >got
calls >wanted
same 'sluice(3) has every public call' wanted got
while read -r line; do
        if grep -qx "$line" known; then pass; else fail "sluice(3): not there: $line"; fi
done <index

# In 80 columns, of which 9 are margin, or 7 in a synopsis.
awk 'FNR == 1 { inside = 0 }
        /^# / { most = /SYNOPSIS/ ? 73 : 71 }
        /^```$/ { inside = !inside; next }
        inside && length($0) > most { print FILENAME ": " $0 }' "$man"/*.scd >wide
: >none
same 'code fits a terminal' none wide

# ---- Pages
for directory in a b; do
        SOURCE_DATE_EPOCH=0 "$TOP/tools/man" $directory || fail 'tools/man'
done
if diff -r a b; then pass; else fail 'two runs differ'; fi
if grep -q '^\.TH .* "1970-01-01"' a/sluice.7; then pass; else fail 'the date is not as told'; fi
ls a | sort >got
cut -d ' ' -f 1 known >wanted
same 'every name has a page' wanted got
while read -r name page; do
        if cmp -s "a/$name" "a/$page"; then pass; else fail "$name does not lead to $page"; fi
done <known
awk -F ' *[|] *' 'NF == 8 && $2 ~ /^[0-9]/ { gsub(/`/, "", $4); print $4, $2, $3 }' \
        "$TOP/doc/layout.md" >wanted
sed 's/\\f.//g; s/\\[&]//g' a/sluice-protocol.5 |
        sed -n 's/^\([^ ]*\): offset \([0-9]*\), \([0-9]*\) bytes$/\1 \2 \3/p' >got
same 'every field of doc/layout.md' wanted got
[ "$(wc -l <got)" -ge 40 ] || fail 'few fields were found'
finish
