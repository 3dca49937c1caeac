#!/bin/sh
# SPDX-License-Identifier: MIT
# shellcheck disable=SC1091,SC2046,SC2088,SC2154 # lists without blanks; lib.sh
# What bash completes: what the help names, and the queues that are there.
here=$(cd "$(dirname "$0")" && pwd)
. "$TOP/tests/cli/lib.sh"
completions=$TOP/completions/sluice.bash

# check WHAT LINE ANSWER...: exactly these, in any order, at the end of the line
check() {
        what=$1 line=$2
        shift 2
        bash "$here/answers.bash" "$completions" "$line" 2>&1 | sort >got
        { [ $# -eq 0 ] || printf '%s\n' "$@"; } | sort >wanted
        identical "$what" wanted got
}

sluice help | awk '/^  [a-z]+ / { print $1 }' >commands
check commands 'sluice ' $(cat commands) help
check 'of help, too' 'sluice help ' $(cat commands) help
check 'options without a command' 'sluice -' --help --version -h
while read -r command; do
        set -- $(sluice "$command" --help | awk '/^ +-/ {
                for (i = 1; $i ~ /^-/; i++) {
                        sub(/,/, "", $i)
                        names = $i ~ /^--/ && $(i + 1) ~ /^[A-Z]/ ? $i "=" : $i
                        print names
                }
        }')
        check "options of $command" "sluice $command -" "$@"
        verdict "$command has options" [ $# -ge 3 ]
done <commands

check 'values' 'sluice recv --wait f' futex fifo
check 'values behind =' 'sluice recv --wait=f' futex fifo
check 'and behind nothing but =' 'sluice recv --wait=' futex fifo spin
check 'another command, another --raw' 'sluice send --raw ' 4K 16K 64K
check 'of a processor' 'sluice bench --cpus 0' 0
check 'the other one' 'sluice bench --cpus 0,0'
check 'any number' 'sluice recv -t '

# Names with all that a shell gives a meaning to.
odd="it's \$x\\y"
mkdir -p there/more
for name in 'a b' "$odd" apple key:0x7123 ./there/queue; do
        echo x | sluice send -q --create "$name"
done
mkdir "$SLUICE_DIR/gone"
check 'a bare word' 'sluice recv app' apple
check 'quoted' 'sluice dump it' "it\\'s\\ \\\$x\\\\y"
check 'several, behind an option and its value' 'sluice recv -t 3 --once a' 'a\ b' apple
check 'in open quotes' 'sluice recv "a' 'a b' apple
check 'in those of the other kind' "sluice recv 'it" "it'\\''s \$x\\y"
check 'half quoted' 'sluice recv a\ ' 'a\ b'
check 'a key, behind the colon' 'sluice rm key:0x71' 0x7123
check 'a path' 'sluice stat ./there/' ./there/queue ./there/more/
check 'a path as queues know it' "sluice stat $work/there/q" "$work/there/queue"
HOME=$work check 'a path below home' 'sluice stat ~/there/q' '~/there/queue'
check 'directories of gather: a queue is none' 'sluice gather ./there/' ./there/more/
check 'one name is all that recv takes' 'sluice recv apple '
check 'rm takes more' 'sluice rm apple app' apple
check 'behind -- there are no options' 'sluice rm -- --'
check 'ls takes none' 'sluice ls '

# In a real one, typed: without the package bash-completion, and without colour.
typed() {
        printf '%s\n' "$@" exit | timeout 20 script -qec \
                "env -i TERM=dumb PATH='$PATH' SLUICE_DIR='$SLUICE_DIR' HOME='$work' INPUTRC=/dev/null \
                bash --norc --noprofile -i" /dev/null >screen 2>&1
}
tab=$(printf '\t')
typed ". '$completions'" "sluice rec${tab}--onc${tab}it$tab >odd" "sluice rec$tab'a $tab >blank" \
        "sluice recv key:0x71$tab >key"
same 'typed: the message of a queue with an odd name' x "$(cat odd)"
same 'typed: of one with a blank, in quotes' x "$(cat blank)"
same 'typed: of a key' x "$(cat key)"

# What has lost its directory has no name to be completed.
mv "$SLUICE_DIR/apple" "$SLUICE_DIR/gone/"
check 'not what was moved away' 'sluice rm app'
mv "$SLUICE_DIR/gone/apple" "$SLUICE_DIR/"
rmdir "$SLUICE_DIR/gone"
sluice rm 'a b' "$odd" apple key:0x7123 ./there/queue
finish
