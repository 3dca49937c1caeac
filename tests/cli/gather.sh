#!/bin/sh
# SPDX-License-Identifier: MIT
# sluice gather: all queues of a directory; sluice send --create DIR/
. "$(dirname "$0")/lib.sh"

mkdir logs
if sluice gather logs 2>&1 | grep -q 'not built in'; then
        skip 'sluice gather, which is not built in here'
        finish
fi
verdict 'a directory without queues is done' sluice gather logs

# Each sender has a queue of its own, and none is left.
for i in 1 2 3; do
        printf "$i a\n$i b\n" | sluice send --create logs/ || failed=$((failed + 1))
done
verdict 'three queues' [ "$(ls logs | wc -l)" -eq 3 ]
sluice gather logs | sort >got
printf '%s\n' '1 a' '1 b' '2 a' '2 b' '3 a' '3 b' >wanted
identical 'all messages of all senders' wanted got
verdict 'their queues are removed' [ -z "$(ls logs)" ]

# The source; NULs; --keep.
printf 'x' | sluice send --create logs/one
sluice gather --source --keep logs >got
echo 'one: x' >wanted
identical 'the source before the message' wanted got
verdict 'the queue is kept' [ "$(ls logs)" = one ]
printf 'y\0' | sluice send -0 --create logs/one
sluice gather -0 logs >got
printf 'y\0' >wanted
identical 'NULs' wanted got

# Lines longer than a ring are whole, before and behind short ones.
{
        echo short
        head -c 3000000 /dev/zero | tr '\0' x
        printf '\nlast\n'
} >lines
start send --create logs/ <lines
sender=$!
start gather --follow logs >got 2>notes
reader=$!
await cmp -s lines got
wait $sender
kill -TERM $reader
wait $reader
identical 'lines longer than a ring' lines got
verdict 'leave nothing' [ -z "$(ls logs)" ]
printf 'a\nb\n' | sluice send --create logs/
verdict 'and others' [ "$(sluice gather logs | wc -l)" -eq 2 ]

# Followed: senders come, die, and are told of; a signal ends it.
start gather --follow logs >got 2>notes
reader=$!
mkfifo input
exec 4<>input # open for both, so that nobody waits for the other
start send --create logs/ <input
sender=$!
echo alive >&4
await grep -q alive got
kill -KILL $sender
exec 4>&-
await grep -q 'died; all its messages are received' notes
echo next | sluice send --create logs/
await grep -q next got
all_gone() {
        [ -z "$(ls logs)" ]
}
await all_gone
kill -TERM $reader
wait $reader
verdict 'SIGTERM ends it' [ $? -eq 143 ]

# What it says when it cannot.
sluice gather none 2>said
verdict 'no directory' [ $? -eq 1 ]
verdict 'and says so' grep -q 'cannot watch the directory' said
echo a | sluice send --create none/ 2>said
verdict 'a directory to send to is not made' [ ! -e none ]
verdict 'and that is said' grep -q 'no such directory' said
echo a | sluice send --create logs/
sluice gather logs >/dev/full 2>said
verdict 'stdout is full' [ $? -eq 1 ]
verdict 'the message stays' [ "$(sluice gather logs)" = a ]
finish
