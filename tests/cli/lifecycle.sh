#!/bin/sh
# SPDX-License-Identifier: MIT
# Either side first, one stream after another, time-outs, removal.
. "$(dirname "$0")/lib.sh"

# The receiver first, and the queue is made by the sender.
start recv q >got 2>recv.err
pid=$!
verdict 'the receiver makes no queue' [ ! -e "$SLUICE_DIR/q" ]
printf 'a\nb\n' | sluice send --create q
ends 0 'a receiver that came before the queue' $pid
same 'it got all' 'a b ' "$(tr '\n' ' ' <got)"
verdict 'and said nothing' [ ! -s recv.err ]

# The queue is still there: a second receiver waits for a second sender.
start recv q >got 2>recv.err
pid=$!
verdict 'a second receiver says that it waits' await grep -q 'waiting for the next sender' recv.err
echo c | sluice send q
ends 0 'a second receiver' $pid
same 'it got the second stream' c "$(cat got)"
expect 0 'with --once there is nothing more' sluice recv --once q
same 'and nothing comes' '' "$(cat out)"

# Again and again: its sender may have closed, and not yet ended.
i=0
while [ $i -lt 20 ]; do
        start recv --quiet q >got 2>recv.err
        pid=$!
        await in_state q consumer held
        sluice send q </dev/null
        ends 0 'an empty stream ends a waiting receiver' $pid
        verdict 'which was --quiet' [ ! -s recv.err ]
        i=$((i + 1))
done
rm -f got
sluice rm q

# The sender first, without --create.
echo early >one
start send q <one
pid=$!
start recv --create q >got
receiver=$!
ends 0 'a sender that came before the queue' $pid
ends 0 'its receiver, which made the queue' $receiver
same 'the message' early "$(cat got)"
sluice rm q

# An empty stream, received when it is over.
sluice send --create q </dev/null
expect 0 'an empty stream ends' sluice recv q
sluice rm q

# An existing queue is used as it is.
echo x | sluice send --create --capacity 8K q
echo y | sluice send --create --capacity 64K q
sluice stat q >out
shows 'a second --create changes nothing' 'of 8192 bytes'
same 'both are there' 'x y ' "$(sluice recv q | tr '\n' ' ')"
sluice rm q

# Time-outs.
expect 3 'no queue, receiver' sluice recv --timeout 0.05 q
says 'no queue, receiver' '^sluice: recv: q: timed out waiting for the queue to exist'
expect 3 'no queue, receiver, do not wait' sluice recv --timeout 0 q
expect 3 'no queue, sender' sluice send -t 0 q </dev/null
says 'no queue, sender' '^sluice: send: q: timed out waiting for the queue'
expect 3 'no sender' sluice recv --create --timeout 0.05 q
says 'no sender' 'timed out waiting for a message'
expect 3 'no sender, do not wait' sluice recv --timeout 0 q
seq 1 1000 >numbers
sluice rm q
expect 3 'full' sluice send --create --capacity 4K --timeout 0.05 q <numbers
says 'full' '^sluice: send: q: timed out waiting for room'
count=$(number q pending)
verdict 'what fits is sent' [ "$count" -gt 10 ]
expect 0 'and can be received' sluice recv q
head -n "$count" numbers | cmp -s - out
same 'in order' 0 $?
expect 3 'a receiver of a stream that was received' sluice recv --timeout 0 q
says 'a receiver of a stream that was received' 'timed out waiting for a sender'
sluice rm q

# Time is counted for each wait, not for all of them.
mkfifo pipe
exec 4<>pipe
start send --create q <pipe
sender=$!
start recv --timeout 10 q >got
pid=$!
for i in 1 2 3; do
        echo $i >&4
        await grep -q $i got
done
exec 4>&-
ends 0 'a slow sender' $sender
ends 0 'a patient receiver' $pid
sluice rm q

# The next receiver when the first has left, and the queue is full.
echo 1 | sluice send --create --capacity 4K q
sluice recv q >got
start send q <numbers 2>send.err
pid=$!
verdict 'the sender says that nobody receives' await grep -q 'the receiver has closed' send.err
sluice recv q >got
ends 0 'the sender goes on with a successor' $pid
identical 'all of it' numbers got
expect 4 'with --once it ends' sluice send --once q <numbers
expect 3 'nobody comes' sluice send --timeout 0.05 q <numbers
says 'nobody comes' 'timed out waiting for a receiver (--timeout)'
expect 4 'with --once it ends' sluice send --once q <numbers
says 'with --once it ends' 'the receiver has closed and the queue is full (--once)'
count=$(number q pending)
sluice recv q >got
head -n "$count" numbers | cmp -s - got
same 'what fits is sent before' 0 $?
sluice rm q

# Removed while in use.
start recv --create q 2>recv.err
pid=$!
await in_state q consumer asleep
expect 0 'rm while a receiver waits' sluice rm q
ends 5 'the receiver' $pid
verdict 'it says so' grep -q '^sluice: recv: q: the queue was removed' recv.err
start send --create --capacity 4K q <numbers 2>send.err
pid=$!
await in_state q producer asleep
expect 0 'rm while a sender waits for room' sluice rm q
ends 5 'the sender' $pid
verdict 'it says so too' grep -q '^sluice: send: q: the queue was removed' send.err

# rm.
expect 1 'rm of nothing' sluice rm q
says 'rm of nothing' '^sluice: rm: q: no such queue'
sluice send --create a </dev/null
sluice send --create b </dev/null
expect 1 'rm of three, one is not there' sluice rm a q b
verdict 'the others are gone' nothing_left

# rm --stale.
sluice send --create gone </dev/null
sluice send --create full <numbers
start recv --create busy
pid=$!
await in_state busy consumer asleep
expect 6 'rm --stale of one that is held' sluice rm --stale busy
says 'rm --stale of one that is held' '^sluice: rm: busy: is in use'
expect 0 'rm --stale --dry-run' sluice rm --stale --dry-run
same 'it tells what it would remove' "$SLUICE_DIR/gone" "$(cat out)"
says 'messages wait' '^sluice: rm: .*/full: kept: [0-9]* messages are pending (--force'
expect 0 'nothing is gone' sluice stat gone
expect 0 'rm --stale' sluice rm --stale
same 'it tells what it removed' "$SLUICE_DIR/gone" "$(cat out)"
expect 0 'messages are kept' sluice stat full
expect 1 'rm --stale of one with messages' sluice rm --stale full
says 'rm --stale of one with messages' '^sluice: rm: full: kept: [0-9]* messages are pending'
expect 0 'rm --stale --force' sluice rm --stale --force
same 'it tells that, too' "$SLUICE_DIR/full" "$(cat out)"
for option in --dry-run --force --all-users; do
        expect 2 "$option alone" sluice rm $option busy
        says "$option alone" '--dry-run, --force and --all-users need --stale'
done

# A channel: two queues in one directory, removed with it, both or none.
ch=$SLUICE_DIR/ch
channel() {
        mkdir "$ch"
        sluice send --create "$ch/reply" <"$1"
        sluice send --create "$ch/request" </dev/null
}
channel /dev/null
expect 0 'rm --stale --dry-run of a channel' sluice rm --stale --dry-run
same 'it tells both queues' "$ch/reply $ch/request " "$(sort out | tr '\n' ' ')"
verdict 'both are there' [ -d "$ch/reply" -a -d "$ch/request" ]
expect 0 'rm --stale of a channel' sluice rm --stale
same 'it tells both queues' "$ch/reply $ch/request " "$(sort out | tr '\n' ' ')"
verdict 'its directory is gone' [ ! -e "$ch" ]
channel numbers
expect 0 'rm --stale of a channel with a message' sluice rm --stale
says 'of which it tells' 'ch/reply: kept: 1* *[0-9]* messages are pending'
same 'nothing is removed' '' "$(cat out)"
verdict 'it is whole' [ -d "$ch/reply" -a -d "$ch/request" ]
expect 1 'rm --stale of its name' sluice rm --stale ch
says 'rm --stale of its name' 'ch/reply: kept: '
sluice rm "$ch/request"
start recv --create "$ch/request"
receiver=$!
await in_state "$ch/request" consumer asleep
expect 6 'rm --stale of a channel in use' sluice rm --stale --force ch
says 'rm --stale of a channel in use' 'ch/request: is in use'
expect 0 'rm --stale --force does not remove its other queue' sluice rm --stale --force
verdict 'it is whole' [ -d "$ch/reply" -a -d "$ch/request" ]
kill -KILL $receiver
wait $receiver 2>/dev/null
mkdir "$ch/mine"
expect 0 'rm --stale of its name' sluice rm --stale --force ch
verdict 'what else is in there stays' [ "$(ls "$ch")" = mine ]
rmdir "$ch/mine" "$ch"
# What is left of a channel when its maker died, or its remover: by its name, and of a
# client, whose channel has a name that the library has made.
for queue in reply request; do
        mkdir "$ch"
        sluice send --create "$ch/$queue" <numbers
        expect 1 "rm --stale of $queue, with messages" sluice rm --stale ch
        says "rm --stale of $queue, with messages" "ch/$queue: kept: "
        expect 0 "rm --stale --dry-run of $queue" sluice rm --stale --dry-run --force ch
        verdict "$queue is there" [ -d "$ch/$queue" ]
        expect 0 "rm --stale of $queue" sluice rm --stale --force ch
        verdict 'its directory is gone' [ ! -e "$ch" ]

        mkdir "$SLUICE_DIR/41-0123abcd" "$SLUICE_DIR/41-0123abcde"
        sluice send --create "$SLUICE_DIR/41-0123abcd/$queue" </dev/null
        sluice send --create "$SLUICE_DIR/41-0123abcde/$queue" </dev/null
        expect 0 "rm --stale of a client's $queue" sluice rm --stale
        verdict 'its directory is gone' [ ! -e "$SLUICE_DIR/41-0123abcd" ]
        verdict "somebody's directory stays" rmdir "$SLUICE_DIR/41-0123abcde"
done
# Queues that are called so, and are none.
sluice send --create request </dev/null
expect 0 'rm --stale of a queue called request' sluice rm --stale
same 'it tells its name' "$SLUICE_DIR/request" "$(cat out)"
verdict 'the directory of all is there' [ -d "$SLUICE_DIR" ]

# A directory that is removed by hand.
sluice send --create lost <numbers
rm -r "$SLUICE_DIR/lost"
expect 1 'it has no name' sluice stat lost
expect 0 'ls shows it' sluice ls
shows 'ls shows it' 'lost  (its directory was removed or moved elsewhere)$'
expect 0 'ls --json shows it' sluice ls --json
json 'ls --json shows it' '[q["orphan"] for q in j if q["name"].endswith("/lost")] == [True]'
expect 0 'rm --stale keeps its messages' sluice rm --stale
says 'rm --stale keeps its messages' 'lost: kept: '
expect 0 'rm --stale --force of a lost one' sluice rm --stale --force
verdict 'it is gone' [ "$(sluice ls | grep -c lost)" -eq 0 ]
printf 'again\n' | sluice send --create lost
same 'its name is free' again "$(sluice recv lost)"
sluice rm lost

# A semaphore set without a segment, as a creator leaves it that is killed early.
id=$(ipcmk -S 11 -p 0611 | tr -dc 0-9)
key=key:$(ipcs -s | awk -v id="$id" '$2 == id { sub(/0x0*/, "0x", $1); print $1 }')
expect 0 'ls shows a lone set' sluice ls
shows 'ls shows a lone set' "  $key  (incomplete)\$"
expect 0 'rm --stale --dry-run of a lone set' sluice rm --stale --dry-run
shows 'rm --stale --dry-run of a lone set' "^$key\$"
expect 0 'rm --stale of a lone set' sluice rm --stale
same 'it prints its key' "$key" "$(cat out)"
verdict 'it is gone' sh -c '! ipcs -s | grep -q " $1 "' - "$id"

# One whose contents a peer has spoiled.
if command -v python3 >/dev/null; then
        sluice send --create broken </dev/null
        sluice send --create whole </dev/null
        shmid=$(sluice stat --json broken | sed -n 's/.*"shmid": \([0-9]*\).*/\1/p')
        python3 -c 'import ctypes, sys
c = ctypes.CDLL(None)
c.shmat.restype = ctypes.c_void_p
m = c.shmat(int(sys.argv[1]), None, 0)
ctypes.memset(m + 16, 0x5a, 8)' "$shmid"
        expect 1 'stat of it' sluice stat broken
        expect 0 'ls shows it, and the rest' sluice ls
        shows 'ls marks it' 'broken  (inconsistent contents)$'
        shows 'ls shows the rest' '/whole$'
        expect 0 'rm of it' sluice rm broken whole
fi
verdict 'not what is held' in_state busy consumer asleep
kill -KILL $pid
wait $pid 2>/dev/null
expect 0 'rm --stale of one whose holder was killed' sluice rm --stale busy
expect 0 'rm --stale with nothing to do' sluice rm --stale
verdict 'says nothing' [ ! -s out ]
expect 1 'rm --stale of nothing' sluice rm --stale busy

# A bare System V key, a path, a relative path.
printf 'k\n' | sluice send --create key:0x51ce0001
same 'a key' k "$(sluice recv key:0x51ce0001)"
sluice rm key:0x51ce0001
printf 'p\n' | sluice send --create "$work/path"
same 'a path' p "$(sluice recv ./path)"
sluice rm ./path
finish
