#!/bin/sh
# SPDX-License-Identifier: MIT
# What is sent is received, byte for byte.
. "$(dirname "$0")/lib.sh"

# round WHAT FILE OPTION-OF-RECV [OPTION-OF-SEND...]: both at once.
round() {
        what=$1 file=$2 framing=$3
        shift 3
        start recv $framing q >got 2>recv.err
        pid=$!
        expect 0 "$what, send" sluice send --create "$@" q <"$file"
        ends 0 "$what, recv" $pid
        identical "$what" "$file" got
        "$SLUICE" rm q
}

# later WHAT FILE OPTION-OF-RECV [OPTION-OF-SEND...]: first one, then the other.
later() {
        what=$1 file=$2 framing=$3
        shift 3
        expect 0 "$what, send" sluice send --create --capacity 4M "$@" q <"$file"
        sluice recv $framing q >got
        identical "$what" "$file" got
        "$SLUICE" rm q
}

head -c 3000000 /dev/urandom >random
seq 1 20000 >numbers
printf 'one\ntwo\nthree' >unfinished
printf '\n\n\n' >newlines
: >empty
printf 'a\0b\nc\0\0\n\0\n' >nuls
printf 'one\0two\nlines\0\0three\0' >separated
printf 'one\0two' >separated_unfinished
i=0
while [ $i -lt 300 ]; do
        printf '%*s\n' $i ''
        i=$((i + 1))
done >lengths

round 'numbers' numbers ''
round 'random bytes as lines' random '' --capacity 256K
round 'random bytes, NUL-separated' random -0 -0
round 'random bytes in large blocks' random --raw --raw 64K
round 'random bytes in small blocks' random --raw --raw 100
round 'no newline at the end' unfinished ''
round 'only newlines' newlines ''
round 'no input' empty ''
round 'NUL bytes in lines' nuls ''
round 'NUL-separated' separated -0 -0
round 'NUL-separated, none at the end' separated_unfinished -0 -0
round 'NUL-separated, long option' separated --null --null
round 'lines of all lengths' lengths ''
round 'lines of all lengths, records aligned to 8' lengths '' --align 8
round 'lines of all lengths, records aligned to 128' lengths '' --align 128
round 'a queue of 1K' lengths '' --capacity 1K --align 8
round 'blocks through a queue of 8K' random --raw --raw 4088 --capacity 8K
for how in futex fifo spin; do
        round "wait by $how" numbers "--wait $how" --wait $how --capacity 4K
done
later 'all before the receiver' numbers ''
later 'blocks before the receiver' random --raw --raw 32K
later 'blocks to a receiver of lines' random '' --raw 1000

# The longest line that fits, and what is around it.
for length in 2039 2040; do
        { echo before; head -c $length /dev/zero | tr '\0' x; echo; echo after; } >longest
        round "a line of $length bytes in a queue of 4K" longest '' --capacity 4K
done
{ echo before; head -c 500000 random | tr -d '\n'; echo; echo after; } >longest
round 'a line longer than any buffer of the command' longest '' --capacity 2M
# Longer than the queue holds at once, and than the queue is: no line is too long.
for length in 2041 2042 4096 100000 1000000; do
        { echo before; head -c $length /dev/zero | tr '\0' x; echo; echo after; echo; } >longest
        round "a line of $length bytes in a queue of 4K" longest '' --capacity 4K
done
{ for i in 1 2 3; do head -c 9999 /dev/zero | tr '\0' x; echo; done; printf last; } >longest
round 'lines longer than the smallest queue' longest '' --capacity 256
round 'blocks longer than the queue' random --raw --raw 30000 --capacity 4K
printf 'a%5000sb\0c' x | sluice send -0 --create --capacity 16K q
same 'a long one, NUL-separated to lines' 5004 "$(sluice recv q | wc -c | tr -d ' ')"
sluice rm q
head -c 2040 /dev/zero | tr '\0' x >longest
round 'the longest line, unfinished' longest '' --capacity 4K

# One framing at one end, another at the other.
printf 'a\0b\0' | sluice send -0 --create q
same 'NUL-separated to lines' 'a
b' "$(sluice recv q)"
printf 'a\nb\n' | sluice send q
same 'lines to bytes' ab "$(sluice recv --raw q)"

# A message is seen when it is sent, not when more come.
mkfifo pipe
exec 4<>pipe
start recv q >got
pid=$!
start send q <pipe
sender=$!
echo first >&4
verdict 'the first message arrives alone' await grep -q first got
printf 'second\nthi' >&4
verdict 'so does the next' await grep -q second got
echo rd >&4
exec 4>&-
ends 0 'the sender ends' $sender
ends 0 'the receiver ends' $pid
same 'all of it' 'first second third' "$(tr '\n' ' ' <got | sed 's/ $//')"

# Two parts of one input, by two senders.
printf '1\n2\n' | sluice send q
printf '3\n' | sluice send q
same 'a second sender goes on' 1,2,3, "$(sluice recv q | tr '\n' ,)"
sluice rm q
finish
