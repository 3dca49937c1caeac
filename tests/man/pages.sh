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
: >see.lines
for source in "$man"/*.scd; do
        page=$(basename "$source" .scd)
        references <"$source" | sort -u | sed "s/$/ $page/"
        awk '/^# / { on = substr($0, 3) == "SEE ALSO"; next } on' "$source" | references |
                sed "s/^/$page /" >>see.lines
done >references.lines
cut -d ' ' -f 1 references.lines | sort -u >referred
cut -d ' ' -f 1 known | sort -u >known.names
within 'there is no such page' referred known.names
sort -u see.lines >see
cut -d ' ' -f 2 see | sort -u >see.pages
find "$man" -name '*.scd' -exec basename {} .scd \; | sort >sources
within 'SEE ALSO names what is no page of its own' see.pages sources
awk '{ print $2, $1 }' see | sort >seen
within 'SEE ALSO without the page that refers to it' seen see
[ "$(wc -l <see)" -ge 100 ] || fail 'few references were found'

# Words of ours: of the headers, of the commands, or the name of a page.
cat "$TOP"/include/*.h "$TOP"/include/sluice/*.h "$TOP"/src/cli/*.c "$TOP/src/name.c" |
        grep -o -w -i 'sluice_[a-z_0-9]*' | sort -u >words
cut -d . -f 1 known >>words
sort -u -o words words
cat "$man"/*.scd | tr -d '\\' | grep -o -w -i 'sluice_[a-z_0-9]*' | sort -u >said
within 'no such thing' said words

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
within 'sluice(3) has on another page' index known

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
        cmp -s "a/$name" "a/$page" || fail "$name does not lead to $page"
        [ "$name" = "$page" ] || [ -h "a/$name" ] || fail "$name is no link"
done <known
awk -F ' *[|] *' 'NF == 8 && $2 ~ /^[0-9]/ { gsub(/`/, "", $4); print $4, $2, $3 }' \
        "$TOP/doc/layout.md" >wanted
sed 's/\\f.//g; s/\\[&]//g; s/\\-/-/g' a/sluice-protocol.5 |
        sed -n 's/^\([^ ]*\): offset \([0-9]*\), \([0-9]*\) bytes$/\1 \2 \3/p' >got
same 'every field of doc/layout.md' wanted got
[ "$(wc -l <got)" -ge 40 ] || fail 'few fields were found'
finish
