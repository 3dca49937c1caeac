#!/bin/sh
# SPDX-License-Identifier: MIT
# Ctrl-C and its relatives: leave in order, lose nothing.
. "$(dirname "$0")/lib.sh"

seq 1 5000 >numbers

# Waiting for what does not come.
for pair in INT:130 TERM:143 HUP:129; do
        signal=${pair%:*} want=${pair#*:}
        for how in futex fifo spin; do
                start recv --create --wait $how q
                pid=$!
                await in_state q consumer '\(held\|asleep\)'
                kill -$signal $pid
                ends "$want" "recv, SIG$signal, $how" $pid
                verdict "recv, SIG$signal, $how: closed" in_state q consumer closed
        done
done
start recv nowhere 2>recv.err
pid=$!
verdict 'no queue yet' kill -0 $pid
await waits_in nanosleep $pid
kill -INT $pid
ends 130 'recv, waiting for the queue' $pid

# The sender waits for input: what it has read is sent, or reported.
mkfifo pipe
exec 4<>pipe
start send q <pipe 2>send.err
pid=$!
printf '1\n2\nhal' >&4
verdict 'two lines are sent' await reached q sent 2
kill -INT $pid
ends 130 'send, waiting for input' $pid
exec 4>&-
verdict 'it tells what it had read' grep -q '2 messages were sent; 3 bytes of input' send.err
same 'both lines are there' '1 2 ' "$(sluice recv q | tr '\n' ' ')"
exec 4<>pipe
start send --raw 4096 q <pipe 2>send.err
pid=$!
verdict 'it is there' await in_state q producer held
printf 'part' >&4
await waits_in read $pid
kill -TERM $pid
ends 143 'send --raw, waiting for input' $pid
exec 4>&-
same 'a part of a block is sent' part "$(sluice recv --raw q)"
sluice rm q

# The sender waits for room: the rest of the file is for the next reader.
{
        start send --create --capacity 16K q
        pid=$!
        await in_state q producer asleep
        kill -INT $pid
        ends 130 'send, waiting for room' $pid
        cat >rest
} <numbers
sluice recv q >got
verdict 'some lines were sent' [ -s got ]
verdict 'some were not' [ -s rest ]
cat got rest >all
identical 'sent and given back, that is all' numbers all
sluice rm q

# The receiver waits for its reader: what was written is released.
sluice send --create --capacity 1M q <numbers
rm pipe
mkfifo pipe
exec 4<>pipe
seq 1 100000 | head -c 60000 >&4 # hardly any room in the pipe
start recv q >pipe 2>recv.err
pid=$!
await waits_in writev $pid
kill -INT $pid
ends 130 'recv, waiting for its reader' $pid
timeout 20 cat <pipe >got 4>&- &
reader=$!
exec 4>&-
wait $reader
tail -c +60001 got >begun
sluice recv q >rest
sed '$d' begun >whole # the last may be a part; it comes again
[ "$(tail -c 1 begun | tr '\n' n)" = n ] && cp begun whole
verdict 'some lines were written' [ -s whole ]
verdict 'some were not' [ -s rest ]
cat whole rest >all
identical 'written and kept, that is all' numbers all
sluice rm q

# Signals that were ignored at the start stay so: nohup.
{ env --ignore-signal=HUP "$SLUICE" recv --create q >got & }
pid=$!
await in_state q consumer asleep
kill -HUP $pid
echo still | sluice send q
ends 0 'recv with SIGHUP ignored' $pid
same 'it went on' still "$(cat got)"
sluice rm q
finish
