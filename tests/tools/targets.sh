#!/bin/sh
# SPDX-License-Identifier: MIT
# The table of targets is what the suites' files say, placement by placement.
set -eu
: "${TOP:?}"
passed=0 failed=0

# row METRIC YARDSTICK CONTENDER AT NS RATIO OF: on standard output
row() {
        bytes=$4
        case $1 in *,*B*) bytes=$(echo "$1" | sed 's/.*, \([0-9]*\) B.*/\1/') ;; esac
        printf '%s\t1\t%s\t%s\t%s\t%s\tns\t%s\t%s\t%s\t%s\t%s\t%s\t40\t%s\t%s\n' "$1" "$3" "$4" \
                "$4" "$bytes" "$5" "$5" "$5" "$6" "$6" "$6" "$7" "$2"
}

# says WHAT PATTERN: exactly one line of the table matches
says() {
        if [ "$(grep -c -e "$2" table)" -eq 1 ]; then
                passed=$((passed + 1))
        else
                failed=$((failed + 1))
                echo "FAILED $1: $2"
        fi
}

# Two placements in one suite, the farther one alone in another, and a third.
{
        row 'roundtrip / best' 130 sluice 8 150 1.01 'flag in slot'
        row 'roundtrip / best' 500 sluice 8 450 0.99 'flag in slot'
        row 'roundtrip / best' 130 'flag in slot' 8 140 1 'flag in slot'
        row roundtrip 130 sluice 56 116 0.9 yardstick
        row roundtrip 130 'sluice, waiting' 120 151 1.16 yardstick
        row 'roundtrip / best' 130 sluice mix 150 1.5 'flag in slot'
        row 'roundtrip / model' 130 sluice 8 150 1.15 'quarter page, touch'
} >roundtrip.tsv
{
        row stream 520 'quarter page, touch' 8 4 nan index
        row stream 520 'quarter page, stamp' 8 6 nan index
        row stream 520 'quarter page, touch' 56 6 nan index
        row stream 520 'quarter page, stamp' 56 6 nan index
        row 'stream / best' 520 sluice 8 4 1.9 'flag in slot'
        row 'stream / best' 520 sluice 56 6 1.4 'flag in slot'
        row 'stream / best' 2000 sluice 56 6 nan 'flag in slot'
} >stream.tsv
row 'batch, 24 B / best' 130 sluice 16 5 1.6 rte_ring >batch.tsv
{
        row 'burst, 56 B / best' 130 sluice 32 5 0.9 'flag in slot'
        row 'burst, 56 B / best' 130 sluice 64 5 0.9 'flag in slot'
} >burst.tsv
{
        row 'producers / best' 130 'sluice group' 1 30 0.9 concurrentqueue
        row 'producers / best' 130 'sluice group' 2 30 1.4 concurrentqueue
        row 'producers / best' 130 'sluice group, runs' 2 30 0.7 concurrentqueue
        row 'members, one busy' 130 'sluice group' 64 30 1.2 'one ring'
        row 'idle rings' 130 'sluice group' 0 30 1 'sluice group'
        row 'idle rings' 130 'sluice group' 1024 30 1.04 'sluice group'
} >many.tsv

"$TOP/bench/targets" . >table
says 'near' '^placement: ping-pong 130 ns'
says 'far, in both suites' '^placement: ping-pong 510 ns'
says 'above the most' 'round trip / best  *8  *sluice .*<= 1.00 .* 1.01 .* 40  flag in slot  *missed'
says 'below it' 'round trip / best  *8  *sluice .* 0.99 .*met'
says 'as much' 'round trip / bare  *56  *sluice .*<= 0.90 .*met'
says 'waiting in the call' 'round trip / bare  *120  *sluice, waiting .*<= 1.15 .*missed'
says 'the model' 'round trip / model  *8 .*<= 1.15 .*quarter page, touch  *met'
says 'where taking lines over pays' 'stream / best  *8 .*>= 2.00 .*missed'
says 'where it does not' 'stream / best  *56 .*>= 1.30 .*met'
says 'a batch' 'batch, 24 B / best  *16 .*>= 1.50 .*met'
says 'a burst' 'burst, 56 B / best  *32 .*>= 1.00 .*missed'
says 'several producers' 'producers / best  *2  *sluice group  *>= 1.00 .*met'
says 'busy members' 'members, one busy  *64  *sluice group  *<= 1.15 .*missed'
says 'idle members' 'idle rings  *1024  *sluice group  *<= 1.05 .*met'
says 'counts, near' '^sluice: 3 met, 2 missed'
says 'counts, far' '^sluice: 2 met, 1 missed'
for other in '2000 ns' ' mix ' 'burst.* 64 ' 'producers.* 1 ' 'group, runs' 'idle.* 0 '; do
        if grep -q -e "$other" table; then
                failed=$((failed + 1))
                echo "FAILED in the table: $other"
        else
                passed=$((passed + 1))
        fi
done
mkdir empty
if [ -z "$("$TOP/bench/targets" empty)" ]; then
        passed=$((passed + 1))
else
        failed=$((failed + 1))
        echo 'FAILED nothing from nothing'
fi
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
