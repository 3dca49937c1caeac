#!/bin/sh
# SPDX-License-Identifier: MIT
# Text that others wrote: what a terminal would not show, or would turn
# around, is shown as \xNN, in messages, names and errors, and as \uNNNN in
# JSON; all else comes through as it is.
. "$(dirname "$0")/lib.sh"

# utf8 CODE...: those characters, in octal escapes of printf.
utf8() {
        for code; do
                code=$((0x$code))
                if [ $code -lt 128 ]; then
                        printf '\\%03o' $code
                elif [ $code -lt 2048 ]; then
                        printf '\\%03o' $((0300 + code / 64)) $((0200 + code % 64))
                elif [ $code -lt 65536 ]; then
                        printf '\\%03o' $((0340 + code / 4096)) \
                                $((0200 + code / 64 % 64)) $((0200 + code % 64))
                else
                        printf '\\%03o' $((0360 + code / 262144)) $((0200 + code / 4096 % 64)) \
                                $((0200 + code / 64 % 64)) $((0200 + code % 64))
                fi
        done
}

# Both ends of each range of Unicode 17.0 in \p{Cc} (but NUL and newline, which
# the tests need), \p{Cf}, \p{Zl}, \p{Zp}, \p{Default_Ignorable_Code_Point} and
# \p{Noncharacter_Code_Point}; and what is beside each.
hidden='01 09 0b 1f 7f 9f ad 34f 600 605 61c 6dd 70f 890 891 8e2 115f 1160 17b4 17b5 180b 180e
180f 200b 200d 200f 2028 2029 202a 202e 2060 2066 206f 3164 fdd0 fdef fe00 fe0f feff ffa0 fff0
fff9 fffa fffb fffe ffff 110bd 110cd 13430 1343f 1bca0 1bca3 1d173 1d17a 1fffe 1ffff 2fffe 8ffff
dffff e0000 e0001 e0041 e007f e0100 e01ef e0fff effff ffffe 10fffe 10ffff'
plain='20 7e a0 ac ae 34e 350 5ff 606 61b 61d 6dc 6de 70e 710 88f 892 8e1 8e3 115e 1161 17b3
17b6 180a 1810 200a 2010 2027 202f 205f 2070 3163 3165 fdcf fdf0 fdff fe10 fefe ff00 ff9f ffa1
ffef fffc fffd 10000 110bc 110be 110cc 110ce 1342f 13440 1bc9f 1bca4 1d172 1d17b 1f600 1fffd 20000
dfffd e1000 efffd 10fffd'

for code in $hidden; do
        printf "[$(utf8 "$code")]\n"
done >hidden
for code in $plain; do
        printf "[$(utf8 "$code")]\n"
done >plain
count=$(echo $hidden | wc -w)

sluice send --create q <hidden
expect 0 'dump of what is hidden' sluice dump q
verdict 'only printable ASCII is written' [ -z "$(tr -d '\n -~' <out)" ]
same 'each is shown' "$count" "$(grep -c '  \[\(.x[0-9a-f][0-9a-f]\)\{1,4\}\]$' out)"
shows 'bytes in hex' '\[.xf3.xa0.x80.x81\]$' '\[.xe1.xa0.x8e\]$' '\[.xef.xbf.xba\]$' '\[.x7f\]$'
expect 0 'dump --json of what is hidden' sluice dump --json q
verdict 'JSON of it is printable ASCII' [ -z "$(tr -d '\n -~' <out)" ]
shows 'a pair of surrogates' '"\[.udb40.udc01\]"' '"\[.udbff.udfff\]"' '"\[.u180e\]"'
json 'JSON of it says what it is' '"\n".join(m["text"] for m in j) + "\n" ==
        open("hidden", encoding="utf-8", newline="\n").read()'
sluice rm q

sluice send --create q <plain
sluice dump q | sed '1d;s/^.*0x00000000  whole   //' >got
identical 'dump of what is plain' plain got
expect 0 'dump --json of what is plain' sluice dump --json q
json 'JSON of what is plain' '"\n".join(m["text"] for m in j) + "\n" ==
        open("plain", encoding="utf-8", newline="\n").read()'
grep -c '\\u' out >got
same 'nothing is escaped in it' 0 "$(cat got)"
sluice rm q

# Surrogates, and other bytes that are no UTF-8, are none in JSON either.
printf '\355\240\200\n\355\277\277\n\364\220\200\200\n\300\200\n\370\210\200\200\200\n' |
        sluice send --create q
expect 0 'dump of surrogates' sluice dump q
shows 'dump of surrogates' '  hex eda080$' '  hex edbfbf$' '  hex f4908080$' '  hex c080$'
expect 0 'dump --json of surrogates' sluice dump --json q
json 'dump --json of surrogates' '[m["hex"] for m in j] ==
        ["eda080", "edbfbf", "f4908080", "c080", "f888808080"]'
sluice rm q

# In names, and wherever a name or an argument is repeated.
name="$(printf "a$(utf8 e0041 202e 180e fffa)\355\240\200b")"
shown='a.xf3.xa0.x81.x81.xe2.x80.xae.xe1.xa0.x8e.xef.xbf.xba.xed.xa0.x80b'
sluice send --create "$name" </dev/null
expect 0 'ls of a hidden name' sluice ls
shows 'ls of a hidden name' "/$shown\$"
expect 0 'stat of a hidden name' sluice stat "$name"
shows 'stat of a hidden name' "/$shown\$"
expect 0 'ls --json of a hidden name' sluice ls --json
verdict 'its JSON is printable ASCII' [ -z "$(tr -d '\n -~' <out)" ]
expect 0 'rm --stale of a hidden name' sluice rm --stale
shows 'rm --stale of a hidden name' "/$shown\$"
expect 1 'rm of a hidden name' sluice rm "$name"
says 'rm of a hidden name' "^sluice: rm: $shown: "
expect 2 'a hidden command' sluice "$name"
says 'a hidden command' "'$shown'"
expect 2 'a hidden value' sluice send -t "$name" q
says 'a hidden value' "'$shown'"
finish
