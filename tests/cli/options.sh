#!/bin/sh
# SPDX-License-Identifier: MIT
# The command line: help, version, and what is said about a wrong one.
. "$(dirname "$0")/lib.sh"

expect 0 'help' sluice --help
shows 'help' '^usage: sluice COMMAND' '  send ' '  recv ' '  ls ' '  stat ' '  dump ' '  rm ' '  bench ' \
        'Exit codes:' 'SLUICE_DIR'
verdict 'help is no talk' [ ! -s err ]
expect 0 'help, short' sluice -h
expect 0 'version' sluice --version
shows 'version' '^sluice [0-9]*\.[0-9]*\.[0-9]*$'
for command in send recv ls stat dump rm bench; do
        expect 0 "help of $command" sluice $command --help
        shows "help of $command" "^usage: sluice $command" '  -h, --help ' '^  2    wrong usage'
        expect 2 "unknown option of $command" sluice $command --frobnicate
        says "unknown option of $command" \
                "^sluice: $command: unknown option '--frobnicate' (see 'sluice $command --help')\$"
        expect 2 "unknown letter of $command" sluice $command -Z q
        says "unknown letter of $command" "unknown option '-Z'"
done

# Each help lists what this command takes and answers, and nothing else.
# lacks WHAT PATTERN...
lacks() {
        what=$1
        shift
        for pattern; do
                verdict "$what: no $pattern" sh -c '! grep -q -e "$1" out' - "$pattern"
        done
}
for command in send recv stat dump rm; do
        sluice $command --help >out
        shows "help of $command" '^NAME: a bare word' SLUICE_DIR
done
for command in ls bench; do
        sluice $command --help >out
        lacks "help of $command" NAME SLUICE_DIR
done
for command in ls stat dump rm bench; do
        sluice $command --help >out
        lacks "help of $command" SIZE '^  3 ' '^  4 ' --timeout
done
for command in send recv; do
        sluice $command --help >out
        shows "help of $command" '^SIZE: ' '^  3 ' '^  4 ' '^  5 ' '^  6 ' '^  129, 130, 143 '
done
for command in ls stat dump; do
        sluice $command --help >out
        lacks "help of $command" '^  5 ' '^  6 ' '^  129'
done
for command in recv ls stat dump rm bench; do
        sluice $command --help >out
        shows "help of $command" '^  141 '
done
sluice send --help >out
shows 'help of send' '^  6 '
lacks 'help of send' '^  141 '
sluice rm --help >out
shows 'help of rm' '^  6 '
sluice bench --help >out
shows 'help of bench' '^  5 ' '^  129, 130, 143 '
sluice --help >out
shows 'help' '^  3 ' '^  6 ' '^  141 ' '^SIZE: '

# In any order.
for command in send recv ls stat dump rm bench; do
        sluice $command --help >wanted
        for order in "help $command" "--help $command" "-h $command" "$command -h"; do
                expect 0 "$order" sluice $order
                identical "$order" wanted out
        done
done
sluice --help >wanted
expect 0 'help without a command' sluice help
identical 'help without a command' wanted out
for order in help --help -h; do
        expect 2 "$order of no command" sluice $order sned
        says "$order of no command" "^sluice: unknown command 'sned'"
        verdict "$order of no command: no result" [ ! -s out ]
        expect 2 "$order of two commands" sluice $order send recv
        says "$order of two commands" "^sluice: $order: unexpected argument 'recv'"
done
expect 2 'version of something' sluice --version send
says 'version of something' "^sluice: --version: unexpected argument 'send'"

expect 2 'nothing' sluice
says 'nothing' '^usage: sluice COMMAND'
expect 2 'an unknown command' sluice sned
says 'an unknown command' "unknown command 'sned'"
expect 2 'control characters are not sent on' sluice "$(printf 's\033[31m')"
says 'control characters are not sent on' "'s.x1b\[31m'"

for command in send recv stat dump rm; do
        expect 2 "$command without a name" sluice $command
        says "$command without a name" "^sluice: $command: the NAME of a queue is missing"
        expect 2 "$command with an empty name" sluice $command ''
done
for command in send recv dump; do
        expect 2 "$command with two names" sluice $command a b
        says "$command with two names" "unexpected argument 'b'"
done
expect 2 'ls with a name' sluice ls a

# wrong OPTION VALUE PATTERN
wrong() {
        expect 2 "$1 $2" sluice send --create "$1" "$2" q </dev/null
        says "$1 $2" "^sluice: send: $1: expected $3, got '$2'"
}
for value in '' 0 1 1000 16 2G 4G 1X 1MM -1 0x1000 1.5M 99999999999999999999; do
        wrong --capacity "$value" 'a power of two from 32 to 1G'
done
for value in 4 7 65 256 64x; do
        wrong --align "$value" '8, 16, 32, 64 or 128'
done
for value in '' 0 8 888 1777 rw 0600x 400 200 777 0755 060 611 01600 -600; do
        wrong --mode "$value" 'reading and writing in octal, like 0600, 0640 or 0666'
done
for value in '' x 1s -1 1e3 . 1.2.3 inf; do
        wrong --timeout "$value" 'SECONDS like 5 or 0.25'
done
for value in 0 -5 x 3G 1073741825; do
        wrong --raw "$value" 'a SIZE from 1 to 1G'
done
wrong --wait poll 'futex, fifo or spin'
expect 2 'a small capacity for the alignment' sluice send --create --capacity 256 --align 128 q
says 'a small capacity for the alignment' 'at least 4 times --align'
for option in '--capacity 4K' '--align 8' '--mode 600' --huge; do
        expect 2 "$option without --create" sluice recv $option q
        says "$option without --create" 'need --create'
done
expect 2 'an option without its value' sluice send q --capacity
says 'an option without its value' "option '--capacity' requires an argument"
expect 2 'a letter without its value' sluice recv q -t
says 'a letter without its value' "option '-t' requires an argument"
expect 2 'dump, two forms' sluice dump --json --raw q
expect 2 'a value for an option that takes none' sluice ls --json=yes
says 'a value for an option that takes none' \
        "^sluice: ls: option '--json=yes' takes no argument (see 'sluice ls --help')\$"
for option in --c --=x --j=; do
        expect 2 "the option $option" sluice send $option q
        says "the option $option" "unknown option '$option'"
done

# What is right.
for size in 1k 1K 1KiB 1024; do
        echo x | sluice send --create --capacity $size --align 16 --mode 640 q
        sluice stat q >out
        shows "--capacity $size" 'of 1024 bytes' 'aligned to 16' 'mode 0640' '^longest  *504 '
        sluice rm q
done
for mode in 600 0640 0666 620 606; do
        expect 0 "--mode $mode" sluice send --create --mode $mode q </dev/null
        sluice stat q >out
        shows "--mode $mode" "mode 0${mode#0},"
        sluice rm q
done
echo x | sluice send --create --prefault --timeout 1.5 -q q
expect 0 'options behind the name' sluice recv q --timeout 5 --quiet
expect 0 'a name behind --' sluice send --create -- -dash </dev/null
expect 0 'a name behind --, rm' sluice rm q -- -dash

# --stats and --quiet.
printf 'a\nb\n' | sluice send --create --stats q 2>err
says '--stats of send' '^sluice: send: q: 2 messages, 4 B in '
sluice recv --stats q >out 2>err
says '--stats of recv' '^sluice: recv: q: 2 messages, 4 B in '
# One unit for bytes, powers of 1024, and messages are counted, not scaled.
summary() {
        head -c "$1" /dev/zero | sluice send --create --stats --raw 1000 q 2>err
        says "--stats of $1 bytes" "^sluice: send: q: [0-9]* messages*, $2 in [0-9.]* s"
        verdict "--stats of $1 bytes: one unit" sh -c '! grep -q "[0-9][KMG]\|[KMG]B" err'
        sluice recv -q q >/dev/null
}
summary 0 '0 B'
summary 1000 '1000 B'
summary 1023 '1023 B'
summary 1024 '1\.0 KiB'
summary 10240 '10 KiB'
summary 100000 '98 KiB'
sluice rm q
start recv --create q >/dev/null
receiver=$!
await in_state q consumer asleep
expect 0 '--stats of 32 MiB' sh -c 'head -c 33554432 /dev/zero | timeout 20 "$0" send --stats --raw 1000 q' "$SLUICE"
says '--stats of 32 MiB' ': 33555 messages, 32 MiB in [0-9.]* s ([0-9.]* [KMG]iB/s, [0-9]* messages/s)$'
ends 0 'its receiver' $receiver
printf 'a\n' | sluice send q 2>err
verdict 'no --stats, no terminal: nothing' [ ! -s err ]
sluice rm q
finish
