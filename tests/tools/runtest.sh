#!/bin/sh
# SPDX-License-Identifier: MIT
# tools/runtest counts right, and does no harm where no namespace can be had:
# there it removes what its program has made, and nothing else.
set +e -u
: "${OUT:?}" "${TOP:?}"
work=$(mktemp -d) || exit 2
foreign=
clean_up() {
        for each in $foreign; do
                ipcrm ${each%=*} ${each#*=}
        done
        rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP
cd "$work" || exit 2

passed=0 failed=0
# check WHAT COMMAND...: passes when the command succeeds.
check() {
        what=$1
        shift
        if "$@" >check.log 2>&1; then
                passed=$((passed + 1))
        else
                failed=$((failed + 1))
                echo "FAILED $what: $*"
                cat check.log out
        fi
}

# program NAME LINE...: a script to run
program() {
        name=$1
        shift
        {
                echo '#!/bin/sh'
                printf '%s\n' "$@"
        } >"$name"
        chmod +x "$name"
}

# runtest PROGRAM...: what it prints is in out
mkdir bin
limit=
runtest() {
        rm -f stamp*
        PATH=$work/bin:$PATH timeout 100 sh "$TOP/tools/runtest" $limit stamp "$@" >out 2>&1
}

says() {
        grep -q -e "$1" out
}

# counts PASSED FAILED SKIPPED
counts() {
        name=stamp
        [ "$2" -eq 0 ] || name=stamp.failed
        [ "$(cat stamp stamp.failed 2>/dev/null)" = "$*" ] && [ -f $name ]
}

# ---- It counts -------------------------------------------------------------
program silent 'exit 0'
runtest ./silent
check 'a silent program is one test' counts 1 0 0
program broken 'exit 3'
runtest ./broken
check 'and fails when it does' counts 0 1 0
program counting 'echo 7 passed, 0 failed'
runtest ./counting
check 'a closing line' counts 7 0 0
program skipping 'echo 7 passed, 0 failed, 3 skipped'
runtest ./skipping
check 'skipped is not passed' counts 7 0 3
program skipping_all 'echo 0 passed, 0 failed, 2 skipped'
runtest ./skipping_all
check 'all skipped' counts 0 0 2
program none 'echo 0 passed, 0 failed'
runtest ./none
check 'no test at all is a failure' counts 0 1 0
program criterion 'echo "[SKIP] a::b: needs root"
        echo "[====] Synthesis: Tested: 5 | Passing: 4 | Failing: 1 | Crashing: 0"'
runtest ./criterion
check 'what Criterion says' counts 4 1 1

tally() {
        mkdir tally
        while [ $# -gt 0 ]; do
                echo "$1" >tally/$#.stamp
                shift
        done
        "$TOP/tools/tally" tally >out 2>&1
        code=$?
        rm -r tally
}
tally '3 0 2' '4 0'
check 'the sum' [ "$code $(cat out)" = '0 7 passed, 0 failed, 2 skipped' ]
tally '4 0 0' '4 0 0'
check 'the sum without skipped ones' [ "$code $(cat out)" = '0 8 passed, 0 failed' ]
tally '0 0 5'
check 'nothing passed is a failure' [ "$code $(cat out)" = '1 0 passed, 0 failed, 5 skipped' ]

# ---- Without namespaces ----------------------------------------------------
program bin/unshare 'exit 1'
shm=$(ipcmk -M 4096 | tr -dc 0-9) && foreign="-m=$shm"
sem=$(ipcmk -S 1 | tr -dc 0-9) && foreign="$foreign -s=$sem"
msg=$(ipcmk -Q | tr -dc 0-9) && foreign="$foreign -q=$msg"
untouched() {
        ipcs -m -i "$shm" | grep -q '^bytes=4096' && ipcs -q -i "$msg" | grep -q qnum=0 &&
                ipcs -s -i "$sem" | grep -q '^0 *0 *0 *0 *0'
}

# left FILE: it names what the leaver has made: is all of it removed?
left() {
        set -- $(sed -n 's/^made //p' "$1")
        [ $# -eq 4 ] && ! ipcs -m -i "$1" | grep -q bytes && ! ipcs -s -i "$2" | grep -q nsems &&
                [ ! -e "$3" ] && [ ! -e "$4" ]
}
# await COMMAND...: for 10 s at most
await() {
        tries=0
        until "$@" 2>/dev/null || [ $tries -ge 500 ]; do
                tries=$((tries + 1))
                sleep 0.02
        done
}
leaver="$OUT/tests/leaver --jobs 1 --filter leaver"

program alone '[ -z "${RUNTEST_ALONE-}" ] && [ "$RUNTEST_PRIVATE/tmp" = "$TMPDIR" ]'
runtest ./alone
check 'a test knows that it is not alone' counts 1 0 0
runtest "$OUT/tests/test_descriptor" --jobs 1
check 'a test that passes' [ -s stamp ]
check 'strangers of a test that passes' untouched

runtest $leaver/fails
check 'a test that fails' counts 0 2 0
check 'its segment is named' says '^shared memory segment [0-9]'
check 'its set is named' says '^semaphore set [0-9]'
check 'all that it made is gone' left stamp.log
check 'strangers of a test that fails' untouched

limit='-t 1'
runtest $leaver/hangs
limit=
check 'a test that hangs' counts 0 2 0
check 'is named' says 'over its 1 seconds'
check 'all that it made is gone, too' left stamp.log
check 'strangers of a test that hangs' untouched

for signal in INT TERM HUP; do
        rm -f stamp*
        PATH=$work/bin:$PATH env --default-signal=INT,TERM,HUP \
                sh "$TOP/tools/runtest" stamp $leaver/hangs >out 2>&1 &
        await grep -q ^made stamp.log
        kill -$signal $!
        wait $!
        check "it ends at SIG$signal" [ $? -eq 130 ]
        check "all is gone after SIG$signal" left stamp.log
        check "strangers after SIG$signal" untouched
done

# Somebody else makes an object meanwhile.
program maker 'ipcmk -M 4096'
runtest ./maker
check 'a program without a record' counts 1 0 0
id=$(tr -dc 0-9 <stamp.log) && foreign="$foreign -m=$id"
check 'what it made stays' sh -c 'ipcs -m -i "$1" | grep -q bytes=' - "$id"
check 'and is named' says "^shared memory segment $id\$"

# ---- By hand ---------------------------------------------------------------
by_hand() {
        exec env -u RUNTEST_PRIVATE -u RUNTEST_MADE -u RUNTEST_ALONE SLUICE_DIR="$work/mine" \
                TMPDIR="$work/mine" "$@"
}
mkdir -m 755 mine
touch mine/precious
modes() {
        stat -c '%a %u %n' /tmp . mine mine/* /proc/sys/kernel/shmmni
        cat /proc/sys/kernel/shmmni /proc/sys/kernel/sem
}
before=$(modes)
for topic in permission name errors; do
        (by_hand "$OUT/tests/test_$topic") >out 2>&1
        check "test_$topic by hand" [ $? -eq 0 ]
        check 'modes and limits are as before' [ "$(modes)" = "$before" ]
        check 'in my directories is what was there' [ "$(ls -A mine)" = precious ]
        check 'strangers of a test by hand' untouched
done

(by_hand $leaver/fails) >by_hand.log 2>&1
check 'a test by hand that fails' [ $? -eq 1 ]
check 'all that it made by hand is gone' left by_hand.log
by_hand $leaver/hangs >by_hand.log 2>&1 &
await grep -q ^made by_hand.log
kill -KILL $!
wait $! 2>/dev/null
await left by_hand.log
check 'all is gone after SIGKILL' left by_hand.log
check 'strangers after SIGKILL' untouched

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
