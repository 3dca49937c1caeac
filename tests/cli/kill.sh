#!/bin/sh
# SPDX-License-Identifier: MIT
# kill -9 of either side, then a restart: nothing is lost.
. "$(dirname "$0")/lib.sh"

# killed PID: kill -9, and wait for its end.
killed() {
        kill -KILL "$1"
        wait "$1"
}

for how in futex fifo; do
        # The sender: what it had read and sent is there, once.
        rm -f pipe
        mkfifo pipe
        exec 4<>pipe
        start recv --create --wait $how q >got 2>recv.err
        receiver=$!
        start send --wait $how q <pipe
        pid=$!
        seq 1 1000 >&4
        verdict "$how: 1,000 lines are sent" await reached q sent 1000
        killed $pid
        verdict "$how: the receiver tells of the death" await grep -q \
                '^sluice: recv: q: the sender died.*waiting for a successor' recv.err
        verdict "$how: and has all" await reached q received 1000
        seq 1001 2000 >more
        expect 0 "$how: a second sender" sluice send --wait $how q <more
        ends 0 "$how: the receiver, at the end of the second" $receiver
        exec 4>&-
        seq 1 2000 >want
        identical "$how: nothing lost, nothing twice" want got

        # The receiver, with nothing to do: what it wrote does not come again.
        exec 4<>pipe
        start send --wait $how q <pipe
        sender=$!
        start recv --quiet --wait $how q >got
        pid=$!
        seq 1 1000 >&4
        verdict "$how: 1,000 lines are received" await reached q received 3000
        killed $pid
        verdict "$how: seen by others" in_state q consumer died
        seq 1001 2000 >&4
        verdict "$how: the sender goes on" await reached q sent 4000
        start recv --wait $how q >>got
        pid=$!
        exec 4>&-
        ends 0 "$how: the sender" $sender
        ends 0 "$how: a second receiver" $pid
        identical "$how: nothing lost, nothing twice, two receivers" want got
        sluice rm q
done

# The sender, in a line that is longer than the queue: no half of it comes.
head -c 100000 /dev/zero | tr '\0' x >long
start send --create --capacity 4K q <long
sender=$!
await in_state q producer asleep
killed $sender
start send q <want
sender=$!
expect 0 'recv behind half a line' sluice recv q
ends 0 'the second sender' $sender
identical 'only whole lines' want out
expect 0 'stat of it' sluice stat q
shows 'stat of it' '^lost  *0 messages dropped.*, 1 long messages'
sluice rm q

# The receiver, before its reader has taken anything: all comes again.
seq 1 3000 >numbers
sluice send --create --capacity 1M q <numbers
rm pipe
mkfifo pipe
exec 4<>pipe
seq 1 100000 | head -c 65536 >&4 # full
start recv q >pipe
pid=$!
await waits_in writev $pid
killed $pid
exec 4>&-
sluice recv q >got
identical 'what was not written comes again' numbers got

# Both, with messages in the queue.
seq 1 500 >half
exec 4<>pipe
start send q <pipe
pid=$!
cat half >&4
verdict '500 lines are sent' await reached q pending 500
killed $pid
exec 4>&-
expect 4 'a receiver after a crash, --once' sluice recv --once q
says 'a receiver after a crash, --once' 'the sender died; all its messages are received (--once)'
identical 'what the dead had sent' half out

# Killed in the middle, again and again: each line at least once, in order.
# A line is only doubled when its receiver was killed between writing and
# releasing it.
sluice rm q
exec 4<>pipe
start send --create --capacity 32M q <pipe
sender=$!
: >got
round=0
while [ $round -lt 10 ]; do
        seq $((round * 40000 + 1)) $((round * 40000 + 40000)) >&4
        round=$((round + 1))
        : >part
        start recv q >part
        pid=$!
        until [ -s part ]; do :; done
        killed $pid
        cat part >>got
        echo >>got # a line that was cut
done
start recv q >part
pid=$!
exec 4>&-
ends 0 'the sender, through ten receivers' $sender
ends 0 'the last receiver' $pid
cat part >>got
last=$(awk 'BEGIN { want = 1 } $1 == want { want++ } END { print want - 1 }' got)
same 'nothing lost' 400000 "$last"

# A full queue, and its receiver is killed: the sender waits for the next.
sluice rm q
seq 1 2000 >numbers
start send --create --capacity 4K q <numbers 2>send.err
sender=$!
await in_state q producer asleep
exec 4<>pipe
seq 1 100000 | head -c 65536 >&4 # full
start recv q >pipe
pid=$!
await waits_in writev $pid
killed $pid
verdict 'the sender tells of the death' await grep -q \
        '^sluice: send: q: the receiver has died and the queue is full: waiting' send.err
exec 4>&-
sluice recv q >got
ends 0 'it goes on with a successor' $sender
identical 'nothing lost' numbers got
start recv q >/dev/null 2>&1
pid=$!
await in_state q consumer '\(held\|asleep\)'
killed $pid
expect 4 'a sender after a crash, --once' sluice send --once q <numbers
says 'a sender after a crash, --once' 'the receiver has died and the queue is full (--once)'
count=$(number q pending)
sluice recv q >got
head -n "$count" numbers >want
identical 'what it could send' want got

# Killed while it makes the queue, or just after: the next one makes it.
round=0
while [ $round -lt 20 ]; do
        round=$((round + 1))
        start send --create new <numbers
        pid=$!
        kill -KILL $pid 2>/dev/null
        wait $pid
        echo $round | sluice send --create --timeout 5 new
        last=$(sluice recv --timeout 5 new | tail -n 1)
        [ "$last" = $round ] || break
        sluice rm new
done
same 'killed while it makes the queue' 20/20 "$round/$last"
sluice rm q
finish
