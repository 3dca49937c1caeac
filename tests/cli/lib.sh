# SPDX-License-Identifier: MIT
# What the tests of the command share; each begins with `. lib.sh` and ends
# with `finish`. $SLUICE is the command (the one in PATH if not set),
# $SLUICE_DIR an empty directory where bare-word queues live.
#
# Nothing here sleeps for a guessed time: await looks again and again until
# what it waits for has happened, and gives up after 20 s.
set +e
set -u
LC_ALL=C
export LC_ALL
unset XDG_RUNTIME_DIR
SLUICE=$(command -v "${SLUICE:-sluice}") || exit 2
: "${SLUICE_DIR:?}"
case $SLUICE in
/*) ;;
*) SLUICE=$PWD/$SLUICE ;;
esac
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
ipcs -m -s | grep ^0x >ipcs.before
passed=0 failed=0 skipped=0

# sluice ARGUMENT...: the command, for at most 20 s.
sluice() {
        timeout -k 1 20 "$SLUICE" "$@"
}

# start ARGUMENT...: the command in the background, its process id in $!.
# It keeps stdin, has no descriptor 4 (the end of a pipe that the test holds),
# and minds the signals that a shell makes background jobs ignore.
start() {
        { env --default-signal=INT,HUP,TERM,PIPE "$SLUICE" "$@" <&3 3<&- 4>&- & } 3<&0
}

# await COMMAND...: until it succeeds; that it never does is a failure.
await() {
        tries=0
        until "$@" >/dev/null 2>&1; do
                tries=$((tries + 1))
                if [ $tries -ge 1000 ]; then
                        failed=$((failed + 1))
                        echo "FAILED: waited in vain: $*"
                        return 1
                fi
                sleep 0.02
        done
}

# skip WHAT: what cannot be tested here is one test that was not made.
skip() {
        skipped=$((skipped + 1))
        echo "SKIPPED: $1"
}

# What all users' queues are looked at for, and what removes stale ones, is not
# for a place where others have theirs: the whole script is skipped there.
only_alone() {
        if [ -z "${RUNTEST_ALONE-}" ]; then
                skip "$0: needs a System V namespace of its own"
                echo "$passed passed, $failed failed, $skipped skipped"
                exit
        fi
}

# verdict WHAT COMMAND...: one test, passed when the command succeeds.
verdict() {
        what=$1
        shift
        if "$@" >verdict.log 2>&1; then
                passed=$((passed + 1))
        else
                failed=$((failed + 1))
                printf 'FAILED: %s: %s\n' "$what" "$*"
                for file in verdict.log out err; do
                        [ ! -s $file ] || head -c 1000 $file | sed "s/^/    $file: /"
                done
        fi
}

# expect CODE WHAT COMMAND...: one test, passed when it exits with CODE;
# output goes to the files out and err.
expect() {
        want=$1 what=$2
        shift 2
        "$@" >out 2>err
        verdict "$what: exit code $? is $want" [ $? -eq "$want" ]
}

# ends CODE WHAT PID: the same for what was started.
ends() {
        await is_gone "$3" || kill -KILL "$3"
        wait "$3"
        code=$?
        verdict "$2: exit code $code is $1" [ $code -eq "$1" ]
}

is_gone() {
        ! kill -0 "$1" || grep -q '^State:.Z' "/proc/$1/status"
}

# same WHAT WANTED GOT: two texts; identical: two files.
same() {
        [ "$2" = "$3" ] || echo "wanted '$2', got '$3'" >err
        verdict "$1" [ "$2" = "$3" ]
}

identical() {
        verdict "$1" cmp "$2" "$3"
}

# says WHAT PATTERN...: each pattern is in err.
says() {
        what=$1
        shift
        for pattern; do
                verdict "$what" grep -q -e "$pattern" err
        done
}

shows() {
        what=$1
        shift
        for pattern; do
                verdict "$what" grep -q -e "$pattern" out
        done
}

# number NAME FIELD: of sluice stat: pending, sent, received.
number() {
        "$SLUICE" stat "$1" 2>/dev/null | awk -v field="$2" '
                $1 == "pending" && field == "pending" { print $2 }
                $1 == "producer" && field == "sent" { print $3 }
                $1 == "consumer" && field == "received" { print $3 }'
}

reached() {
        [ "$(number "$1" "$2")" = "$3" ]
}

# state NAME ROLE STATE
in_state() {
        "$SLUICE" stat "$1" | grep -q "^$2 *$3,"
}

# waits_in CALL PID: the process sleeps in such a system call.
case $(uname -m)-$(od -An -tu1 -j4 -N1 "$SLUICE" | tr -d ' ') in
x86_64-1) read=3 writev=146 nanosleep='(162|267|407)' poll=168 ;; # i386: a file of 32 bits
x86_64-2) read=0 writev=20 nanosleep='(35|230)' poll=7 ;;
*) read=63 writev=66 nanosleep='(101|115)' poll=73 ;;
esac
waits_in() {
        eval "call=\$$1"
        grep -q -E "^$call " "/proc/$2/syscall"
}

# System V objects: where nobody else makes any.
nothing_left() {
        [ -z "$(ls -A "$SLUICE_DIR")" ] || return 1
        [ -z "${RUNTEST_ALONE-}" ] || ipcs -m -s | grep ^0x | diff ipcs.before -
}

finish() {
        verdict 'nothing is left behind' nothing_left
        if [ $skipped -eq 0 ]; then
                echo "$passed passed, $failed failed"
        else
                echo "$passed passed, $failed failed, $skipped skipped"
        fi
        [ $failed -eq 0 ]
        exit
}

# json WHAT PYTHON: out is JSON, and the expression on j holds (or, without
# Python, it looks like JSON).
json() {
        if command -v python3 >/dev/null; then
                verdict "$1" python3 -c 'import json, sys
j = json.load(open("out", encoding="utf-8"))
sys.exit(not eval("(" + sys.argv[1] + ")"))' "$2"
        else
                verdict "$1" grep -q '^ *[[{]' out
        fi
}

! grep -q -e --stale -e 'sluice ls' "$0" || only_alone
