#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every declaration in a SYNOPSIS is that of the headers, to the name of the last
# parameter; every public call has one, on one page, which bears its name.
. "$(dirname "$0")/lib.sh"

# plain: C without comments.
plain() {
        awk '{
                text = ""
                for (rest = $0; rest != "";) {
                        at = index(rest, inside ? "*/" : "/*")
                        if (!inside)
                                text = text (at ? substr(rest, 1, at - 1) : rest)
                        rest = at ? substr(rest, at + 2) : ""
                        if (at)
                                inside = !inside
                }
                print text
        }'
}
# normal: in one line, with no space that means nothing.
normal() {
        tr -s ' \t\n' ' ' | sed -E 's/^ //; s/ *([][(){},;*=]) */\1/g'
}
# statements: one in a line; of a structure all fields are in its line.
statements() {
        awk '{
                n = split($0, part, ";")
                for (i = 1; i <= n; i++) {
                        text = text (text == "" ? "" : ";") part[i]
                        rest = text
                        if (gsub(/\{/, "", rest) == gsub(/\}/, "", rest)) {
                                if (text ~ /[a-z]/)
                                        print text
                                text = ""
                        }
                }
        }'
}

# What the headers say: macros that say how a call is linked end a statement here,
# and the bodies of inline functions stay.
find "$TOP/include" -name '*.h' ! -name rename.h ! -name declare.h -exec cat {} + |
        plain >plain.h
awk '/^#/ { while (/\\$/) getline; next } 1' plain.h | normal |
        sed -E 's/SLUICE_(NODISCARD|INLINE|API|GROUP_API) /;/g' >declared
# What SLUICE_TYPED defines.
awk '/^#define SLUICE_TYPED_AS/ { on = 1 } on { print; if (!/\\$/) exit }' plain.h | tr -d '\\' |
        sed -E 's/SLUICE_(NODISCARD|PRIV_TYPED) /;/g' | normal >typed
# Macros, each in its line.
awk '/^#define/ { line = $0; while (sub(/\\$/, "", line)) { getline; line = line $0 } print line }' \
        plain.h | while read -r line; do printf '%s\n' "$line" | normal; done >macros

: >documented
for source in "$man"/*.3.scd; do
        page=$(basename "$source" .scd)
        {
                code SYNOPSIS "$source"
                code DESCRIPTION "$source"
        } >blocks
        grep '^#define' blocks | while read -r line; do
                printf '%s\n' "$line" | normal | sed 's/ *\.\.\.$//'
        done >page.macros
        while IFS= read -r line; do
                if [ -n "$(awk -v line="$line" 'index($0, line) == 1' macros)" ]; then
                        pass
                else
                        fail "$page: not in the headers: $line"
                fi
        done <page.macros
        grep -v '^[#@]' blocks | normal | statements >page.statements
        while IFS= read -r line; do
                from=declared text=";$line"
                case $line in
                *price_*)
                        from=typed
                        text=$(printf '%s\n' ";$line" | sed 's/price_/name##_/g
                                s/struct price/name##_sluice_value/g')
                        ;;
                struct* | enum* | typedef*) text=$line ;;
                esac
                if grep -qF -e "$text;" -e "$text{" -e "$text}" $from; then
                        pass
                else
                        fail "$page: not in the headers: $line"
                fi
        done <page.statements
        sed -n 's/^[^({]*[ *]\(sluice_[a-z_0-9]*\)(.*)$/\1/p' page.statements |
                grep -v -e '_handler$' -e '_fn$' >page.calls
        cat page.calls >>documented
        names "$source" >page.names
        while read -r call; do
                if grep -qx "$call" page.names; then pass; else fail "$page: $call is not in NAME"; fi
        done <page.calls
done
calls >wanted
sort documented >got
same 'each public call has one synopsis' wanted got
[ "$passed" -gt 200 ] || fail "only $passed declarations were found"
finish
