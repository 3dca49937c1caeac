#!/bin/sh
# SPDX-License-Identifier: MIT
# What is wrong is said, with an exit code, and nothing is lost by it.
. "$(dirname "$0")/lib.sh"

# The role is taken.
echo line >long
mkfifo pipe
exec 4<>pipe
start send --create q <pipe
sender=$!
await in_state q producer held
start recv q >got
receiver=$!
await in_state q consumer asleep
expect 6 'a second sender' sluice send q <long
says 'a second sender' '^sluice: send: q: another process already sends to this queue'
expect 6 'a second receiver' sluice recv --create q
says 'a second receiver' '^sluice: recv: q: another process already receives from this queue'
exec 4>&-
ends 0 'the first sender' $sender
ends 0 'the first receiver' $receiver

# Nobody reads stdout, or it cannot be written: not lost.
printf 'one\ntwo\n' | sluice send q
expect 1 'a full disk' sh -c 'timeout 20 "$0" recv q >/dev/full' "$SLUICE"
says 'a full disk' '^sluice: recv: q: cannot write to stdout: No space left on device'
expect 141 'no reader' sh -c \
        'exec 4<>pipe 5>pipe 4>&-; timeout 20 "$0" recv q >&5' "$SLUICE"
verdict 'no reader: no words' [ ! -s err ]
verdict 'no reader: left in order' in_state q consumer closed
expect 1 'stdout is closed' sh -c 'timeout 20 "$0" recv q >&-' "$SLUICE"
says 'stdout is closed' 'cannot write to stdout: Bad file descriptor'
expect 1 'stdin and stdout are closed' sh -c 'timeout 20 "$0" recv q <&- >&-' "$SLUICE"
says 'stdin and stdout are closed' 'cannot write to stdout: Bad file descriptor'
same 'all is still there' 'one two ' "$(sluice recv q | tr '\n' ' ')"
seq 1 2000 >numbers
sluice send q <numbers
head -c 100 /dev/zero >limited
expect 1 'a file that may not grow' sh -c 'trap "" XFSZ; ulimit -f 4
        timeout 20 "$0" recv q >part' "$SLUICE"
says 'a file that may not grow' 'cannot write to stdout: File too large'
sluice recv q >rest
sed '$d' part >whole
[ "$(tail -c 1 part | tr '\n' n)" = n ] && cp part whole
verdict 'a part was written' [ -s whole ]
cat whole rest >all
identical 'that part was released, the rest was not' numbers all

# Input that cannot be read.
expect 1 'stdin is a directory' sluice send q <.
says 'stdin is a directory' '^sluice: send: q: cannot read stdin: Is a directory'
expect 1 'stdin is closed' sh -c 'timeout 20 "$0" send q <&-' "$SLUICE"
says 'stdin is closed' 'cannot read stdin: Bad file descriptor'
sluice rm q

# Something else is there.
echo precious >"$work/file"
mkdir "$work/directory"
echo precious >"$work/directory/file"
mkfifo "$work/squat"
ln -s directory "$work/link"
ln -s nowhere "$work/dangling"
for thing in file squat; do
        expect 1 "send --create, $thing" sluice send --create "./$thing" <numbers
        says "send --create, $thing" "^sluice: send: ./$thing: the path is a file, a pipe or"
done
for thing in link dangling; do
        expect 1 "send --create, $thing" sluice send --create "./$thing" <numbers
        says "send --create, $thing" 'the path is a symbolic link'
done
expect 1 'send --create, directory' sluice send --create ./directory <numbers
says 'send --create, directory' 'the directory holds something else'
for thing in file squat link directory; do
        for command in 'send -t 0' 'recv -t 0' stat dump rm 'rm --stale'; do
                sluice $command "./$thing" >out 2>err </dev/null
                code=$?
                verdict "$command, $thing: exit code $code" [ $code -eq 1 -o $code -eq 3 ]
                verdict "$command, $thing" grep -q "^sluice: ${command%% *}: ./$thing: " err
        done
done
verdict 'all is as before' [ -p squat -a -h link -a "$(cat file directory/file)" = 'precious
precious' ]
expect 1 'no directory' sluice send --create ./no/where/q </dev/null
says 'no directory' '^sluice: send: ./no/where/q: no directory ./no (--create creates only'
expect 1 'a long name' sluice send --create "$(head -c 1100 /dev/zero | tr '\0' n)" </dev/null
says 'a long name' 'a component of the name has 1100 bytes'
expect 1 'no such key' sluice stat key:0x51ce0002
expect 2 'no key' sluice send --create key:zero </dev/null
expect 1 'FIFO on a key' sluice send --create --wait fifo key:0x51ce0002 </dev/null
says 'FIFO on a key' 'need a path'
sluice rm key:0x51ce0002 2>/dev/null

# A segment of another program under our key.
id=$(ipcmk -M 4096 | tr -dc 0-9)
key=$(ipcs -m | awk -v id="$id" '$2 == id { print $1 }')
expect 1 'a foreign segment' sluice send --create "key:$key" </dev/null
says 'a foreign segment' "^sluice: send: key:$key: the segment under this key is another program's"
expect 1 'a foreign segment, rm' sluice rm "key:$key"
says 'a foreign segment, rm' "^sluice: rm: key:$key: the segment under this key is another program's"
verdict 'it is still there' sh -c 'ipcs -m -i "$1" | grep -q "^bytes="' - "$id"
ipcrm -m "$id"

# A semaphore set of another program under our key.
id=$(ipcmk -S 1 | tr -dc 0-9)
key=$(ipcs -s | awk -v id="$id" '$2 == id { print $1 }')
expect 1 'a foreign set' sluice send --create "key:$key" </dev/null
says 'a foreign set' "^sluice: send: key:$key: another program uses this System V key: choose another"
verdict 'it is still there' sh -c 'ipcs -s -i "$1" | grep -q "^nsems = "' - "$id"
ipcrm -s "$id"

# Another user.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
        place=$(mktemp -d "${RUNTEST_PRIVATE:-/tmp}/place.XXXXXX") # all may pass
        trap 'rm -rf "$work" "$place"' EXIT
        chmod 711 "$place"
        nobody() {
                timeout 20 setpriv --reuid 65534 --regid 65534 --clear-groups \
                        env SLUICE_DIR="$place" "$place/sluice" "$@"
        }
        cp "$SLUICE" "$place/sluice"
        chmod 755 "$place/sluice"
        echo secret | sluice send --create "$place/private"
        for command in 'recv -t 0' 'send -t 0' stat dump rm; do
                expect 1 "$command as another user" nobody $command "$place/private"
                says "$command as another user" 'no permission\|belongs to another user'
        done
        expect 0 'ls as another user' nobody ls
        verdict 'shows nothing' [ ! -s out ]
        expect 0 'rm --stale as another user' nobody rm --stale
        same 'the message is still there' secret "$(sluice recv "$place/private")"
        sluice rm "$place/private"

        # One that is being made is closed to others until it is complete: they wait.
        nobody recv "$place/appears" >got 2>closed &
        receiver=$!
        sleep 0.2 # it has seen that there is none
        mkdir -m 700 "$place/appears"
        sleep 0.3 # and now that it is closed
        rmdir "$place/appears"
        echo open | sluice send --create --mode 0666 "$place/appears"
        ends 0 'one that is being made' $receiver
        same 'and is there' open "$(cat got closed)"
        sluice rm "$place/appears"
        # Also one whose first look finds it closed.
        mkdir -m 700 "$place/appears"
        nobody recv "$place/appears" >got 2>closed &
        receiver=$!
        sleep 0.3
        rmdir "$place/appears"
        echo open | sluice send --create --mode 0666 "$place/appears"
        ends 0 'one that is half made at the first look' $receiver
        same 'and is there then' open "$(cat got closed)"
        sluice rm "$place/appears"
        nobody recv "$place/stays" >got 2>closed &
        receiver=$!
        sleep 0.2
        mkdir -m 700 "$place/stays"
        ends 1 'one that stays closed' $receiver
        verdict 'and is said to be' grep -q 'no permission' closed
        sleep 1
        expect 1 'one that has been closed for a second' nobody recv "$place/stays"
        says 'one that has been closed for a second' 'no permission'
        rmdir "$place/stays"
else
        skip 'another user'
fi
finish
