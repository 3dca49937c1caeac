#!/bin/sh
# SPDX-License-Identifier: MIT
# shellcheck disable=SC1091,SC2046,SC2088,SC2154 # lists without blanks; lib.sh
# What zsh completes, in an interactive shell: what the help names, and the
# queues that are there.
here=$(cd "$(dirname "$0")" && pwd)
. "$TOP/tests/cli/lib.sh"

sluice help | awk '/^  [a-z]+ / { print $1 }' >commands
mkdir -p there/more
odd="it's \$x\\y"
for name in 'a b' "$odd" apple key:0x7123 ./there/queue; do
        echo x | sluice send -q --create "$name"
done

# What is typed, in the file typed; below it what the line becomes and, if that is
# not all, what is offered. All lines are typed in one shell: that is started once.
: >wanted
: >typed
check() {
        printf '%s\n' "$1" >>typed
        printf '%s|\n' "$2" >>wanted
        shift 2
        [ $# -eq 0 ] || printf '    %s\n' "$@" | sort -u >>wanted
}
while read -r command; do
        check "sluice $command -" "sluice $command -" $(sluice "$command" --help | awk '/^ +-/ {
                for (i = 1; $i ~ /^-/; i++) {
                        sub(/,/, "", $i)
                        print $i
                }
        }')
done <commands
check 'sluice ' 'sluice ' $(cat commands) help
check 'sluice help s' 'sluice help s' send stat
check 'sluice -' 'sluice -' --help --version -h
check 'sluice re' 'sluice recv ' recv
check 'sluice recv --wait=f' 'sluice recv --wait=f' futex fifo
check 'sluice recv --wait fu' 'sluice recv --wait futex ' futex
check 'sluice send --raw ' 'sluice send --raw ' 4K 16K 64K
check 'sluice bench --cpus 0' 'sluice bench --cpus 0,' 0
check 'sluice recv app' 'sluice recv apple ' apple
check 'sluice recv -t 3 --once a' 'sluice recv -t 3 --once a' 'a b' apple
check 'sluice dump it' "sluice dump it\\'s\\ \\\$x\\\\y " "$odd"
check "sluice recv 'a " "sluice recv 'a b' " 'a b'
check 'sluice recv "it' "sluice recv \"it's \\\$x\\\\y\" " "$odd"
check 'sluice rm key:0x71' 'sluice rm key:0x7123 ' key:0x7123
check 'sluice stat ./there/' 'sluice stat ./there/' more queue
check 'sluice stat ./there/q' 'sluice stat ./there/queue ' queue
check 'sluice stat ./there/m' 'sluice stat ./there/more/' more
check 'sluice stat ~/there/q' 'sluice stat ~/there/queue ' queue
check 'sluice gather ./th' 'sluice gather ./there/' there
check 'sluice recv apple a' 'sluice recv apple a'
check 'sluice rm apple app' 'sluice rm apple apple ' apple

set --
while IFS= read -r line; do
        set -- "$@" "$line"
done <typed
HOME=$work TERM=dumb timeout 60 zsh -f "$here/answers.zsh" "$TOP/completions" "$@" >got 2>err
verdict 'the shell answers' [ $? -eq 0 ]
number=0
for line; do
        number=$((number + 1))
        for file in wanted got; do
                awk -v n=$number '/^[^ ]/ { at++ } at == n' $file >$file.one
        done
        identical "$line" wanted.one got.one
done
verdict 'all lines were typed' [ $number -ge 28 ]
sluice rm 'a b' "$odd" apple key:0x7123 ./there/queue
finish
