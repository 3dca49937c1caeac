#!/bin/sh
# SPDX-License-Identifier: MIT
# Results that cannot be written: every command says so, and why.
. "$(dirname "$0")/lib.sh"

seq 1 3000 | sluice send --create q
head -c 20000 /dev/zero | sluice send --create --raw 20000 long
mkfifo pipe

# Processes of bench: both sides, and none any more.
measures() {
        [ "$(wc -w <"/proc/$1/task/$1/children")" -eq 2 ]
}
waits_for_reader() {
        [ "$(wc -w <"/proc/$1/task/$1/children")" -eq 0 ] && waits_in poll "$1"
}

# unwritten ARGUMENT...: with stdout on a full disk, closed, and a pipe
# that nobody reads.
unwritten() {
        expect 1 "'$*' to a full disk" sh -c 'timeout 20 "$@" >/dev/full' - "$SLUICE" "$@"
        says "'$*' to a full disk" "^sluice: .*cannot write to stdout: No space left on device"
        same "'$*' to a full disk: reported once" 1 "$(grep -c '' err)"
        expect 1 "'$*' to a closed stdout" sh -c 'timeout 20 "$@" >&-' - "$SLUICE" "$@"
        says "'$*' to a closed stdout" "^sluice: .*cannot write to stdout: Bad file descriptor"
        expect 141 "'$*' to nobody" sh -c 'exec 4<>pipe 5>pipe 4>&-; timeout 20 "$@" >&5' - \
                "$SLUICE" "$@"
        verdict "'$*' to nobody: no words" [ ! -s err ]
}

unwritten --version
unwritten --help
unwritten -h
unwritten help
for command in send recv ls stat dump rm bench; do
        unwritten $command --help
done
unwritten ls
unwritten ls --json
for queue in q long; do
        unwritten stat $queue
        unwritten stat --json $queue
        unwritten dump $queue
        unwritten dump --json $queue
        unwritten dump --raw $queue
done
unwritten stat q long
unwritten recv q

# More than the buffer of stdout, and names are looked up between the rows.
for i in 1 2 3 4 5 6 7 8 9; do
        for j in 1 2 3 4 5 6 7 8 9; do
                sluice send --create "$i$j" </dev/null
        done
done
unwritten ls
unwritten ls --json
expect 1 'rm --stale to a full disk' sh -c '"$@" >/dev/full' - "$SLUICE" rm --stale --force
says 'rm --stale to a full disk' '^sluice: rm: cannot write to stdout: No space left on device'

# One that does not block and is full for a while is no error.
sluice recv -q q >/dev/null 2>&1
head -c 20000 /dev/zero | tr '\0' x | sluice send --create --raw 20000 q
exec 4<>pipe 5>pipe
dd if=/dev/zero bs=4096 count=1000 oflag=nonblock >&5 2>err # makes it so, and fills it
says 'the pipe is full' 'Resource temporarily unavailable'
start dump --raw q >&5 2>err
pid=$!
await waits_in poll $pid
head -c 65536 <&4 >/dev/null
head -c 20000 <&4 >got
ends 0 'dump to a full pipe that does not block' $pid
head -c 20000 /dev/zero | tr '\0' x >whole
identical 'all is written' whole got

# A signal ends what waits for a reader that does not read.
dd if=/dev/zero bs=4096 count=1000 >&5 oflag=nonblock 2>err
start bench -q -n 0.5 >&5 2>err
pid=$!
await measures $pid
await waits_for_reader $pid
kill -TERM $pid
ends 143 'bench to a full pipe, ended by a signal' $pid
verdict 'it needs no words' [ ! -s err ]
exec 4>&- 5>&-
sluice rm q
finish
