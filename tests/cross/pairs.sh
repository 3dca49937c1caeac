#!/bin/sh
# SPDX-License-Identifier: MIT
#
# One queue between two kinds of processor, each pair in both directions:
# contents, sleeping and waking by futex and FIFO, what an observer of a third
# kind sees, and a death. Needs the command built for all of them.
. "$TOP/tests/cli/lib.sh"

native=$SLUICE
emulated() {
        printf '#!/bin/sh\nexec %s %s "$@"\n' "$1" "$TOP/out/$2/sluice" >"$2"
        chmod +x "$2"
}
printf '#!/bin/sh\nexec %s "$@"\n' "$native" >native
chmod +x native
emulated '' i386
emulated qemu-arm armhf
emulated qemu-aarch64 aarch64
emulated qemu-riscv64 riscv64
all='native i386 armhf aarch64 riscv64'

# Lines of 0 to 1,999 bytes through a ring that holds two: both sides sleep.
awk 'BEGIN {
        for (i = 0; i < 250; i++)
                rest = rest "message-"
        for (i = 0; i < 1500; i++)
                print substr(i rest, 1, i * 37 % 2000)
}' >want

# as KIND ARGUMENT...: that command.
as() {
        kind=$1
        shift
        timeout -k 1 20 "$work/$kind" "$@"
}

# pair SENDER RECEIVER HOW
pair() {
        what="$1 to $2, $3"
        as "$2" recv --create --capacity 4K --wait "$3" q >got 2>recv.err &
        receiver=$!
        as "$1" send --create --capacity 4K --wait "$3" q <want 2>send.err
        verdict "$what: the sender ends" [ $? -eq 0 ]
        wait $receiver
        verdict "$what: the receiver ends" [ $? -eq 0 ]
        identical "$what: all is there, in order" want got
        as "$1" rm q
}

# observed SENDER OBSERVER: what is in a queue, and what is left of it.
observed() {
        seq 1 10 >ten
        as "$1" send --create q <ten
        as "$2" stat --json q >seen
        "$native" stat --json q >expected
        identical "$2 sees what $1 has sent" expected seen
        as "$2" dump --raw q >seen
        tr -d '\n' <ten >expected
        identical "$2 dumps what $1 has sent" expected seen
        as "$2" rm q
        verdict "$2 removes what $1 has made" gone q
}

gone() {
        ! "$native" stat "$1"
}

# death SENDER RECEIVER: reported, after all that was sent.
death() {
        rm -f pipe
        mkfifo pipe
        exec 4<>pipe
        as "$2" recv --create --once q >got 2>recv.err 4>&- &
        receiver=$!
        "$work/$1" send q <pipe 4>&- 2>send.err &
        sender=$!
        seq 1 100 >&4
        await reached q received 100
        kill -KILL $sender
        wait $sender
        wait $receiver
        verdict "$1 dies: $2 tells" [ $? -eq 4 ]
        exec 4>&-
        seq 1 100 >hundred
        identical "$1 dies: $2 has all" hundred got
        as "$1" rm q
}

for a in $all; do
        for b in $all; do
                [ $a != $b ] || continue
                pair $a $b futex
                pair $a $b fifo
        done
        [ $a != native ] || continue
        observed native $a
        observed $a native
        death native $a
        death $a native
done
finish
