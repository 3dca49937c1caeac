#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every example of the manual: programs in C are compiled, each by itself without a
# warning, and run; what a shell is told behind `$ ` is run. Either prints what the
# page shows, in which `...` stands for anything within a line. Code stands in EXAMPLES
# only, but for declarations, and for what is no code in sluice(7).
. "$(dirname "$0")/lib.sh"

# like WHAT PATTERN GOT: two files; numbers of spaces are no matter.
like() {
        if awk -v pattern="$2" '
                function next_line() {
                        if ((getline line <pattern) <= 0)
                                return 0
                        gsub(/ +/, " ", line)
                        return 1
                }
                # Do the parts between ... stand in text, in this order?
                function matches(text,   n, i, at, part) {
                        n = split(line, part, "\\.\\.\\.")
                        if (index(text, part[1]) != 1)
                                return 0
                        text = substr(text, length(part[1]) + 1)
                        for (i = 2; i < n; i++) {
                                at = index(text, part[i])
                                if (!at)
                                        return 0
                                text = substr(text, at + length(part[i]))
                        }
                        if (n == 1)
                                return text == ""
                        at = length(text) - length(part[n])
                        return at >= 0 && substr(text, at + 1) == part[n]
                }
                {
                        gsub(/ +/, " ")
                        if (!next_line() || !matches($0)) { bad = 1; exit }
                }
                END { exit bad || next_line() }' "$3"
        then
                pass
        else
                fail "$1: wanted, and got:"
                cat "$2" "$3"
        fi
}

# ---- C
flags="-std=gnu11 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -I$TOP/include"
: >all.c
: >table
for source in "$man"/*.3.scd; do
        page=$(basename "$source" .3.scd)
        code EXAMPLES "$source" |
                awk -v page="$page" '
                        /^@/ { first = 1; next }
                        first { file = page (/^#include/ ? ".c" : ".out"); first = 0 }
                        { print >file }'
        if [ ! -f "$page.c" ]; then
                fail "$page: no program"
                continue
        fi
        [ -f "$page.out" ] || : >"$page.out"
        name=$(echo "$page" | tr - _)
        {
                printf '#define main example_%s\n#line 1 "%s.c"\n' "$name" "$page"
                cat "$page.c"
                echo '#undef main'
        } >>all.c
        printf '        {"%s", example_%s},\n' "$page" "$name" >>table
        # Alone: what it includes is enough. The flags are to be split.
        # shellcheck disable=SC2086
        if "${CC:-gcc}" $flags -fsyntax-only "$page.c"; then pass; else fail "$page: does not compile"; fi
done
cat >>all.c <<C
#include <string.h>
static const struct {
        const char *name;
        int (*run)(void);
} examples[] = {
$(cat table)
};
int main(int argc, char **argv)
{
        for (size_t i = 0; argc > 1 && i < sizeof examples / sizeof *examples; i++)
                if (strcmp(argv[1], examples[i].name) == 0)
                        return examples[i].run();
        return 2;
}
C
# shellcheck disable=SC2086
"${CC:-gcc}" $flags all.c -o all "$OUT/libsluice-group.a" "$OUT/libsluice.a" -lurcu-bp -pthread ||
        fail 'the examples do not link'
for program in *.out; do
        page=${program%.out}
        timeout 20 ./all "$page" >got 2>&1
        status=$?
        if [ $status -eq 0 ]; then pass; else fail "$page: exits with $status"; fi
        like "$page" "$program" got
done
[ "$(wc -l <table)" -ge 17 ] || fail 'few programs were found'

# ---- Shell
# run SCRIPT: each command behind `$ `, and what it prints.
run() {
        grep '^\$ ' "$1" | sed 's/^\$ //' >commands
        status=0
        while IFS= read -r command <&3; do
                printf '$ %s\n' "$command"
                (exit $status) # for $?
                eval "$command"
                status=$?
        done 3<commands
}
shells=0
for source in "$man"/*.[157].scd; do
        page=$(basename "$source" .scd)
        code EXAMPLES "$source" |
                awk -v page="$page" '/^@/ { file = page "." ++n ".session"; next } { print >file }'
        for session in "$page".*.session; do
                [ -f "$session" ] || continue
                shells=$((shells + 1))
                (run "$session") >got 2>&1
                like "$page" "$session" got
        done
done
[ $shells -ge 10 ] || fail "only $shells sessions were found"

# ---- Nothing else
for source in "$man"/*.scd; do
        page=$(basename "$source" .scd)
        awk '/^# / { section = substr($0, 3) } /^```$/ && section !~ /^(SYNOPSIS|EXAMPLES)$/ { print section }' \
                "$source" | sort -u | tr '\n' ' ' >elsewhere
        case $page in
        sluice.7 | sluice_typed.3) wanted='DESCRIPTION ' ;;
        *) wanted= ;;
        esac
        if [ "$(cat elsewhere)" = "$wanted" ]; then pass; else fail "$page: code in $(cat elsewhere)"; fi
done
finish
