#!/bin/sh
# SPDX-License-Identifier: MIT
# bench: what it shows, what it refuses, and that nothing stays behind. How
# fast anything is, is not tested.
. "$(dirname "$0")/lib.sh"

# The processors of this shell, one in a line.
cpus=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status | tr , '\n' |
        awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }')
first=$(echo "$cpus" | sed -n 1p)
second=$(echo "$cpus" | sed -n 2p)

for value in '' x 0 0.4 -1 3601 1s; do
        expect 2 "--seconds $value" sluice bench --seconds "$value"
        says "--seconds $value" \
                "^sluice: bench: --seconds: expected SECONDS from 0.5 to 3600, got '$value'"
done
for value in '' 0 0,0 0,1,2 a,b ,1 0, -1,0 '0 1'; do
        expect 2 "--cpus $value" sluice bench --cpus "$value"
        says "--cpus $value" \
                "^sluice: bench: --cpus: expected two processors like 0,1, got '$value'"
done
expect 2 'a processor that is not there' sluice bench --cpus 8000,8001
says 'a processor that is not there' \
        '^sluice: bench: --cpus: this process may not run on processor 8000'
expect 2 'a name' sluice bench q
says 'a name' "unexpected argument 'q'"

if [ -n "$second" ]; then
        expect 0 'the table' sluice bench --seconds 1
        shows 'the table' "^sluice [0-9.]*: 1 s, 3 rounds, processors $first and " \
                '^Round trip, ns' '^  bare lines  *[0-9]' '^Stream through' '^  64 B, pipe ' \
                '^  65536 B  *[0-9]' '^Sleeping, us' '^  futex ' '^  FIFO ' '^  pipe .* 1.00$'
        for size in 8 56 120 248 1016 4088; do
                shows "round trip of $size B" "^  $size B  *[0-9]*  *[0-9]*  *[0-9]*  *[0-9]*  *[0-9.]*$"
        done
        for size in 8 56 64 248 1016 4088; do
                shows "stream of $size B" "^  $size B  *[0-9.]*  *[0-9]*  .* in [0-9.e+]* million$"
        done
        verdict 'fits a terminal' [ -z "$(grep '.\{81\}' out)" ]
        verdict 'no terminal, no talk' [ ! -s err ]

        expect 0 '--json' sluice bench -n 1 --json --cpus "$second,$first"
        json '--json' 'j["processors"] == ['"$second, $first"'] and j["rounds"] == 3 and
                [r["bytes"] for r in j["round_trips"]] == [8, 56, 120, 248, 1016, 4088] and
                [s["through"] for s in j["sleeping"]] == ["futex", "FIFO", "pipe"] and
                len(j["streams"]) == 8 and j["yardstick"]["p50_ns"] > 0'
        json '--json, figures' 'all(r["p50_ns"] <= r["p99_ns"] <= r["p99_9_ns"] <= r["max_ns"] and
                r["turns"] > 0 and r["ratio"] > 0 for r in j["round_trips"] + j["sleeping"]) and
                all(s["messages"] > 0 and s["messages_per_second"] > 0 for s in j["streams"]) and
                all(s["parks"] >= 0 and s["wakes"] >= 0 for s in j["streams"] if s["through"] == "queue")'
fi

# One processor: what can be measured is measured, the rest is reported.
expect 0 'one processor' taskset -c "$first" timeout -k 1 20 "$SLUICE" bench --seconds 0.5
says 'one processor' "^sluice: bench: only processor $first may be used: round trips and streams"
shows 'one processor' "processor $first, the only one" '^  futex ' '^  FIFO ' '^  pipe '
verdict 'one processor: no stream' [ "$(grep -c -e '^Stream' -e '^Round trip' out)" = 0 ]
expect 0 'one processor, --json' taskset -c "$first" timeout -k 1 20 "$SLUICE" bench -q -n 0.5 --json
json 'one processor, --json' 'j["processors"] == ['"$first"'] and j["streams"] == [] and
        j["round_trips"] == [] and len(j["sleeping"]) == 3'
verdict '--quiet' [ ! -s err ]

# Results that cannot be written.
expect 1 'to a full disk' sh -c '"$@" >/dev/full' - "$SLUICE" bench -n 0.5
says 'to a full disk' '^sluice: bench: cannot write.*No space left on device'

# Both sides are at work on all of its queues.
at_work() {
        [ "$("$SLUICE" ls | grep -c '^\(held\|asleep\) *\(held\|asleep\) .*/bench-')" = 6 ]
}
sides_of() {
        pgrep -P "$1" | tr '\n' ' '
}
for pair in INT:130 TERM:143 HUP:129; do
        signal=${pair%:*} want=${pair#*:}
        start bench --seconds 30 >out 2>err
        pid=$!
        await at_work
        kill -$signal $pid
        ends "$want" "SIG$signal" $pid
        verdict "SIG$signal: nothing is left" nothing_left
        verdict "SIG$signal: no result, no talk" [ ! -s out ] && [ ! -s err ]
done

# If a side is killed, that is reported, and the whole ends.
if command -v pgrep >/dev/null; then
        start bench --seconds 30 >out 2>err
        pid=$!
        await at_work
        sides=$(sides_of $pid)
        kill -KILL ${sides% * }
        ends 1 'a killed side' $pid
        says 'a killed side' '^sluice: bench: the process of the [a-z]* side was killed by signal 9'
        verdict 'a killed side: nothing is left' nothing_left

        # Killed itself: its sides die, its queues are stale.
        start bench --seconds 30 >out 2>err
        pid=$!
        await at_work
        sides=$(sides_of $pid)
        kill -KILL $pid
        wait $pid
        for side in $sides; do
                await is_gone "$side"
        done
        expect 0 'rm --stale' sluice rm --stale --force
        same 'all six are stale' 6 "$(wc -l <out | tr -d ' ')"
else
        skip 'a side that is killed: pgrep(1) is not here'
fi

# A queue that is taken away from it.
start bench --seconds 30 >out 2>err
pid=$!
await at_work
name=$("$SLUICE" ls | sed -n 's/.* \([^ ]*bench-[^ ]*\)$/\1/p' | head -n 1)
sluice rm "$name"
ends 5 'a removed queue' $pid
says 'a removed queue' '^sluice: bench: .*: '
finish
