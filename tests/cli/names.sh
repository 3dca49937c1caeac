#!/bin/sh
# SPDX-License-Identifier: MIT
# What is wrong with a name, its directory, or the limits of the system: each has
# words of its own, which say what, where, and what to do.
. "$(dirname "$0")/lib.sh"

# all_say CODE WHAT NAME PATTERN: whoever takes a NAME; nothing is made.
all_say() {
        for command in 'send --create' 'recv --create' send recv stat dump rm 'rm --stale'; do
                expect "$1" "$command, $2" sluice $command "$3" </dev/null
                says "$command, $2" "^sluice: ${command%% *}: .*: $4"
                same "$command, $2: a line" 1 "$(grep -c '' err)"
                verdict "$command, $2: no result" [ ! -s out ]
        done
}
# make_say, look_say: those who make a queue, and those who look for one.
make_say() {
        for command in 'send --create' 'recv --create'; do
                expect "$1" "$command, $2" sluice $command "$3" </dev/null
                says "$command, $2" "^sluice: ${command%% *}: .*: $4"
        done
}
look_say() {
        for command in stat dump rm; do
                expect "$1" "$command, $2" sluice $command "$3"
                says "$command, $2" "^sluice: $command: .*: $4"
        done
}

# What is no name.
all_say 2 'no number' key: 'the number of the System V key is missing, as in key:0x2020$'
for key in zz 0 0x 0x0 -1 4294967296 0x100000000 '12 ' 1.5 09; do
        all_say 2 "key $key" "key:$key" "'$key' is not a System V key: give a number from 1 to 0xffffffff"
done
all_say 2 'a hidden key' "key:$(printf '\033[31m')" "'.x1b\[31m' is not a System V key"
for directory in . .. / ///; do
        all_say 2 "$directory" "$directory" 'this names a directory, not a queue: use a bare word, or a path'
done
verdict 'no word of powers of two' sh -c '! grep -q power err'

# How long a name may be.
long() {
        head -c "$1" /dev/zero | tr '\0' n
}
all_say 1 'a part of 256 bytes' "$(long 256)" \
        'a component of the name has 256 bytes, more than the 255 of a file system'
all_say 1 'a part of a path' "./$(long 300)/q" 'a component of the name has 300 bytes'
deep=$SLUICE_DIR/$(long 200)/$(long 200)/$(long 200)/$(long 200)/$(long 200)/$(long 200)
all_say 1 'a long path' "$deep" "the name has ${#deep} bytes with its directory, more than 1023"
expect 1 'a long directory' env SLUICE_DIR="$deep" timeout 20 "$SLUICE" stat q
says 'a long directory' \
        "^sluice: stat: q: the name has $((${#deep} + 2)) bytes with its directory, more than 1023 in /" \
        ' ($SLUICE_DIR)$'

# There is none.
look_say 1 'a word that is none' nope "no such queue in $SLUICE_DIR (.SLUICE_DIR) (see 'sluice ls')\$"
look_say 1 'a path that is none' ./nope "no such queue (see 'sluice ls')\$"
look_say 1 'a key that is none' key:0x51ce0003 "no such queue (see 'sluice ls')\$"
look_say 1 'a directory that is none' ./no/where/q "no such queue: no directory ./no (see 'sluice ls')\$"
make_say 1 'a directory that is none' ./no/where/q \
        'no directory ./no (--create creates only the last component of a path)$'
for command in send recv; do
        expect 3 "$command without a queue" sluice $command -t 0 q </dev/null
        says "$command without a queue" "^sluice: $command: q: timed out waiting for the queue to" \
                " exist in $SLUICE_DIR (.SLUICE_DIR) (--timeout)\$"
        expect 3 "$command without a queue, path" sluice $command -t 0 ./q </dev/null
        says "$command without a queue, path" ' waiting for the queue to exist (--timeout)$'
done

# The directory of bare words.
# sluice_in VARIABLE=VALUE ARGUMENT...
sluice_in() {
        setting=$1
        shift
        env -u SLUICE_DIR -u XDG_RUNTIME_DIR "$setting" timeout -k 1 20 "$SLUICE" "$@"
}
for command in 'send --create' 'recv --create'; do
        expect 1 "$command, no SLUICE_DIR" sluice_in SLUICE_DIR="$work/none" $command q </dev/null
        says "$command, no SLUICE_DIR" ": q: no directory $work/none (.SLUICE_DIR): create it, or set"
        expect 1 "$command, no XDG_RUNTIME_DIR" sluice_in XDG_RUNTIME_DIR="$work/none" $command q </dev/null
        says "$command, no XDG_RUNTIME_DIR" \
                ": q: no directory $work/none (.XDG_RUNTIME_DIR): create it, or set .SLUICE_DIR"
done
for command in stat dump rm; do
        expect 1 "$command, no SLUICE_DIR" sluice_in SLUICE_DIR="$work/none" $command q
        says "$command, no SLUICE_DIR" \
                ": q: no such queue: no directory $work/none (.SLUICE_DIR) (see 'sluice ls')\$"
        expect 1 "$command, no XDG_RUNTIME_DIR" sluice_in XDG_RUNTIME_DIR="$work/none" $command q
        says "$command, no XDG_RUNTIME_DIR" \
                ": q: no such queue: no directory $work/none (.XDG_RUNTIME_DIR) (see 'sluice ls')\$"
        expect 1 "$command, no directory of ours" sluice_in XDG_RUNTIME_DIR="$work" $command q
        says "$command, no directory of ours" \
                ": q: no such queue: no directory $work/sluice (.XDG_RUNTIME_DIR) (see 'sluice ls')\$"
done
expect 1 'the directory without a variable' env -u SLUICE_DIR timeout 20 "$SLUICE" stat no-such-queue
says 'the directory without a variable' "no such queue.* /tmp/sluice-$(id -u) (see 'sluice ls')\$"
: >file
for variable in SLUICE_DIR XDG_RUNTIME_DIR; do
        expect 1 "$variable is a file" sluice_in $variable="$work/file" send --create q </dev/null
        says "$variable is a file" "^sluice: send: q: $work/file (.$variable) is not a directory\$"
done
expect 1 'SLUICE_DIR is hidden text' sluice_in SLUICE_DIR="$(printf '/no\033[31m')" stat q
says 'SLUICE_DIR is hidden text' 'no directory /no.x1b\[31m (.SLUICE_DIR)'
expect 1 'a file on the way' sluice stat "$work/file/q"
says 'a file on the way' "$work/file is not a directory\$"
ln -s "$work" sluice
expect 1 'our directory is a link' sluice_in XDG_RUNTIME_DIR="$work" send --create q </dev/null
says 'our directory is a link' \
        ": q: this directory must not be a symbolic link: $work/sluice (.XDG_RUNTIME_DIR)\$"
rm sluice
ln -s circle circle
expect 1 'a circle of links' sluice stat ./circle/q
says 'a circle of links' ': symbolic links form a loop: ./circle$'
mkdir sluice
chmod 777 sluice
expect 1 'our directory is open to all' sluice_in XDG_RUNTIME_DIR="$work" send --create q </dev/null
says 'our directory is open to all' \
        ": q: the directory $work/sluice (.XDG_RUNTIME_DIR) must belong to you and must not be writable"
rmdir sluice

# Who may not. As root, in the shoes of another.
me='sh -c'
place=$work
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
        place=$(mktemp -d /tmp/sluice-test.XXXXXX)
        trap 'rm -rf "$work" "$place"' EXIT
        chmod 711 "$place"
        cp "$SLUICE" "$place/command"
        chmod 755 "$place/command"
        me="setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all sh -c"
else
        cp "$SLUICE" "$place/command"
fi
# stranger SCRIPT: with the command as $0 and the place as $1.
stranger() {
        timeout 20 $me "$1" "$place/command" "$place"
}
mkdir "$place/shut" "$place/still" "$place/mine"
echo secret | sluice send --create "$place/mine/q"
chmod 555 "$place/still"
chmod 0 "$place/shut"
chmod 755 "$place/mine"
for command in 'send --create' 'recv --create'; do
        expect 1 "$command, SLUICE_DIR may not be written" stranger \
                "SLUICE_DIR=\$1/still \"\$0\" $command q </dev/null"
        says "$command, SLUICE_DIR may not be written" \
                ": q: no permission to create a queue in the directory $place/still (.SLUICE_DIR)\$"
        expect 1 "$command, XDG_RUNTIME_DIR may not be written" stranger \
                "unset SLUICE_DIR; XDG_RUNTIME_DIR=\$1/still \"\$0\" $command q </dev/null"
        says "$command, XDG_RUNTIME_DIR may not be written" \
                ": q: no permission to create a queue in the directory $place/still (.XDG_RUNTIME_DIR)\$"
        expect 1 "$command, a directory that may not be written" stranger "\"\$0\" $command \$1/still/q </dev/null"
        says "$command, a directory that may not be written" \
                ": no permission to create a queue in the directory $place/still\$"
done
for command in 'send --create' stat dump rm; do
        expect 1 "$command, SLUICE_DIR may not be entered" stranger \
                "SLUICE_DIR=\$1/shut \"\$0\" $command q </dev/null"
        says "$command, SLUICE_DIR may not be entered" \
                ": q: no permission to search the directory $place/shut (.SLUICE_DIR)\$"
        expect 1 "$command, below what may not be entered" stranger "\"\$0\" $command \$1/shut/x/q </dev/null"
        says "$command, below what may not be entered" \
                ": no permission to search the directory $place/shut\$"
done
if [ "$place" != "$work" ]; then
        for command in 'send --create' 'recv --create' 'send -t 0' stat dump; do
                expect 1 "$command, another user's" stranger "\"\$0\" $command \$1/mine/q </dev/null"
                says "$command, another user's" \
                        ': no permission: the queue belongs to root, and its mode does not permit this'
        done
        expect 1 "rm, another user's" stranger '"$0" rm $1/mine/q'
        says "rm, another user's" 'the queue belongs to root'
        # Memory of one user behind a directory of another.
        sluice send --create "$place/mine/mixed" </dev/null
        chown 65534 "$place/mine/mixed"
        expect 1 'a directory of another user' sluice stat "$place/mine/mixed"
        says 'a directory of another user' ': the queue belongs to '
        expect 1 'memory of another user' stranger '"$0" stat $1/mine/mixed'
        says 'memory of another user' ': '
        chown 0 "$place/mine/mixed"
        sluice rm "$place/mine/mixed"

        # Limits that root does not have.
        expect 1 '--huge of a user' stranger 'ulimit -l 0; "$0" send --create --huge key:0x51ce0004 </dev/null'
        says '--huge of a user' '^sluice: send: key:0x51ce0004: not permitted: huge pages: for ' \
                '/proc/sys/vm/hugetlb_shm_group$'
        verdict '--huge of a user: nothing of owners' sh -c '! grep -q belongs err'
        if grep -q -e __asan_init -e __tsan_init "$SLUICE"; then
                skip '--lock: a sanitizer does not let mlock through'
        else
                expect 1 '--lock of a user' stranger 'ulimit -l 16; "$0" send --create --lock key:0x51ce0004 </dev/null'
                says '--lock of a user' ': a limit is reached: locked bytes: [0-9]* wanted, at most 16384 in all: ' \
                        ': RLIMIT_MEMLOCK (ulimit -l)$'
                verdict '--lock of a user: one limit' sh -c '! grep -q huge err'
                stranger '"$0" rm key:0x51ce0004'
        fi
fi
sluice rm "$place/mine/q"
chmod 755 "$place/shut"

# One's own, in a directory that may not be written, and one that was shut.
mkdir "$place/his"
[ "$place" = "$work" ] || chown 65534:65534 "$place/his"
expect 0 'of his own' stranger '"$0" send --create $1/his/q </dev/null'
stranger 'chmod 555 $1/his'
expect 1 'rm of his own' stranger '"$0" rm $1/his/q'
says 'rm of his own' ": no permission to remove a queue from the directory $place/his\$"
stranger 'chmod 755 $1/his; "$0" rm $1/his/q; "$0" send --create $1/his/q </dev/null; chmod 0 $1/his/q'
expect 1 'of his own, shut' stranger '"$0" stat $1/his/q'
says 'of his own, shut' ': no permission: see the mode of the queue, and of the directory'
stranger 'chmod 700 $1/his/q; "$0" rm $1/his/q'

# One that somebody is at work on.
if command -v flock >/dev/null; then
        sluice send --create q </dev/null
        expect 6 'rm of what is being removed' flock "$SLUICE_DIR/q/lock" timeout 20 "$SLUICE" rm q
        says 'rm of what is being removed' \
                '^sluice: rm: q: another process is creating or removing this queue: try again$'
        sluice rm q
fi

# Limits of all.
expect 1 'descriptors' sh -c 'ulimit -n 4; "$0" send --create q' "$SLUICE" </dev/null
says 'descriptors' '^sluice: send: q: a limit is reached: descriptors: at most 4: RLIMIT_NOFILE (ulimit -n)$'
sluice send --create q </dev/null
for command in send recv; do
        expect 1 "descriptors, $command" sh -c 'ulimit -n 4; "$0" "$1" q' "$SLUICE" $command </dev/null
        says "descriptors, $command" "^sluice: $command: q: a limit is reached: descriptors: at most 4: "
done
expect 1 'descriptors, bench' sh -c 'ulimit -n 4; "$0" bench -n 0.5' "$SLUICE"
says 'descriptors, bench' '^sluice: bench: cannot make a pipe: Too many open files$'
sluice rm q
# Not where the command takes more for itself, as a sanitizer does.
if sh -c 'ulimit -v 500000; "$0" --version' "$SLUICE" >/dev/null 2>&1; then
        expect 1 'addresses' sh -c 'ulimit -v 500000; "$0" recv --create --capacity 1G q' "$SLUICE"
        says 'addresses' \
                '^sluice: recv: q: out of memory, or of address space: at most 512000000 bytes: RLIMIT_AS (ulimit -v)$'
fi

# limited FILE VALUE COMMAND...: in a System V namespace of its own.
limited() {
        timeout 20 unshare --ipc sh -c 'echo "$2" >/proc/sys/kernel/"$1" && shift 2 && exec "$@"' - "$@"
}
if [ "$(id -u)" -eq 0 ] && limited shmmni 4096 true 2>/dev/null; then
        expect 1 'shmmni' limited shmmni 0 "$SLUICE" send --create q
        says 'shmmni' ': a limit is reached: segments: 0 in use, at most 0: /proc/sys/kernel/shmmni$'
        expect 1 'shmmax' limited shmmax 100000 "$SLUICE" recv --create q
        says 'shmmax' ': a limit is reached: bytes in a segment: [0-9]* wanted, at most 100000: '
        expect 1 'shmall' limited shmall 8 "$SLUICE" send --create q
        says 'shmall' ': a limit is reached: pages in all segments: 0 in use, at most 8: '
        expect 1 'semmni' limited sem '32000 1024000000 500 0' "$SLUICE" send --create q
        says 'semmni' ': a limit is reached: semaphore sets: 0 in use, at most 0: .*, fourth number$'
        expect 1 'semmns' limited sem '32000 1 500 32000' "$SLUICE" send --create q
        says 'semmns' ': a limit is reached: semaphores: 0 in use, at most 1: .*, second number$'
        expect 1 'semmsl' limited sem '1 1024000000 500 32000' "$SLUICE" send --create q
        says 'semmsl' ': a limit is reached: semaphores in a set: [0-9]* wanted, at most 1: .*, first number$'
        expect 1 'semopm' limited sem '32000 1024000000 1 32000' "$SLUICE" send --create q
        says 'semopm' ': a limit is reached: semaphore operations in a call: 11 wanted, at most 1: .*, third number$'
        expect 1 'bench' limited shmmni 0 "$SLUICE" bench -n 0.5
        says 'bench' '^sluice: bench: bench-[0-9-]*: a limit is reached: segments: '
fi

# A file system that is full, or read-only.
if [ "$(id -u)" -eq 0 ] && unshare --mount true 2>/dev/null; then
        mkdir small
        mounted() {
                timeout 20 unshare --mount --ipc sh -c 'mount -t tmpfs -o "$1" none small && shift && exec "$@"' - "$@"
        }
        expect 1 'read-only' mounted ro env SLUICE_DIR="$work/small" "$SLUICE" send --create q
        says 'read-only' ": q: the file system is read-only: .*: $work/small (.SLUICE_DIR)\$"
        expect 1 'full' mounted nr_inodes=1 env SLUICE_DIR="$work/small" "$SLUICE" send --create q
        says 'full' ": q: no space left on the file system of $work/small (.SLUICE_DIR)\$"
        expect 1 'read-only, XDG_RUNTIME_DIR' mounted ro env -u SLUICE_DIR XDG_RUNTIME_DIR="$work/small" \
                "$SLUICE" recv --create q
        says 'read-only, XDG_RUNTIME_DIR' ": $work/small (.XDG_RUNTIME_DIR)\$"
fi
finish
