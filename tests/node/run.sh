#!/bin/sh
# SPDX-License-Identifier: MIT
# The addon of examples/node in the node of this system: what its users meet, and what
# happens to them when callbacks throw, close, or end their thread.
set +e -u
: "${TOP:?}" "${OUT:?}" "${SLUICE_DIR:?}"
. "$TOP/tests/tools/lib.sh"
SLUICE_NODE=$OUT/examples/sluice.node
export SLUICE_NODE
if ! command -v node >/dev/null; then
        echo 'FAILED: there is no node in PATH; tools/deps ci installs it'
        echo '0 passed, 1 failed'
        exit 1
fi
started=
clean_up() {
        for pid in $started; do
                kill -KILL "$pid" 2>/dev/null
        done
        # After a failure; else there is none.
        for queue in q prices; do
                [ ! -e "$SLUICE_DIR/$queue" ] || sluice rm $queue
        done
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

start() {
        "$@" &
        started="$started $!"
}
run() { timeout 60 node --expose-gc "$TOP/tests/node/cases.js" "$@"; }
# try WHAT COMMAND...: a check that uses the queue `q`, which is gone after it.
try() {
        check "$@"
        [ ! -e "$SLUICE_DIR/q" ] || sluice rm q
}
said() { grep -qx "$1" said; }

# create: the queue, without a producer so far
create() {
        sluice recv --create --timeout 0 -q q
        [ $? -eq 3 ]
}

# full N CASE: N messages are there before it begins.
full() {
        producer q "$1" && run "$2" q && sluice rm q
}
# beside N CASE: it begins before.
beside() {
        : >said
        create || return 1
        start run "$2" q >said
        reader=$!
        until_true said open && producer q "$1" && wait $reader && sluice rm q
}
try '100,000 messages, in order, each a copy' beside 100000 order
try 'who drops the answer goes on reading' beside 1000 collected
try 'at most 64 messages a turn' full 1000 turns
try 'what callbacks throw is uncaught, and no message is lost' full 1000 thrown
try 'close in a callback' full 1000 close
try 'nextTick, promises and AsyncLocalStorage' full 3 ticks

idle() {
        : >said
        create || return 1
        mkfifo idle.in || return 1
        sluice send q <idle.in &
        started="$started $!"
        exec 3>idle.in
        start run idle q >said
        reader=$!
        until_true said idle && echo one >&3 && wait $reader
        status=$?
        exec 3>&-
        [ $status -eq 0 ] && until_true sluice rm q
}
try 'idle, it takes nothing of a processor' idle

killed() {
        : >said
        create || return 1
        mkfifo killed.in || return 1
        sluice send q <killed.in &
        sender=$!
        started="$started $sender"
        exec 3>killed.in
        start run killed q >said
        reader=$!
        printf 'one\ntwo\n' >&3
        until_true said two && kill -KILL $sender && wait $reader
        status=$?
        exec 3>&-
        [ $status -eq 0 ] && sluice rm q
}
try 'a killed producer is told of once' killed

uncaught() {
        producer q 3 || return 1
        run uncaught q >out 2>err
        [ $? -eq 1 ] && grep -q 'Error: thrown by a callback' err && sluice rm q
}
try 'an exception that nobody catches ends the program' uncaught
exited() {
        producer q 3 && run exit q && run exit q || return 1
        sluice recv --once q >out && printf 'message %s of 3\n' 1 2 3 | cmp - out && sluice rm q
}
try 'process.exit in a callback is a death, and the message stays' exited
try 'wrong arguments, missing queues' run arguments
leaks() { create && run leaks q && sluice rm q; }
try 'what is closed leaves nothing' leaks

worker() {
        : >said
        create || return 1
        start run worker q >said
        reader=$!
        until_true said 'after wait' || return 1
        # Not `producer`, which ends with its consumer.
        seq -f 'message %.0f of 100000' 100000 | sluice send -q q && wait $reader && sluice rm q
}
try 'threads that are ended' worker

# ---- the example, and what the page shows of it
cp "$TOP/examples/node/read.js" .
ln -s "$SLUICE_NODE" sluice.node
example() {
        producer q 3 || return 1
        node read.js q >out 2>err || return 1
        printf 'message %s of 3\n' 1 2 3 | cmp - out &&
                grep -q '^EPIPE: q: the other side has closed' err && sluice rm q
}
try 'read.js' example
interrupted() {
        create || return 1
        start node read.js q >out 2>err
        reader=$!
        until_true grep -qx tick err && kill -INT $reader && wait $reader && sluice rm q
}
try 'read.js: interrupted, it closes' interrupted
shown() {
        sed -n '/^```js$/,/^```$/{//!p}' "$TOP/doc/building.md" >shown.js
        [ -s shown.js ] && producer prices 3 || return 1
        node shown.js >out || return 1
        printf 'message %s of 3\n' 1 2 3 | cmp - out && sluice rm prices
}
try 'doc/building.md: what it shows' shown
under() { [ "$(wc -l <"$TOP/examples/node/sluice.c")" -lt 200 ]; }
check 'under 200 lines' under
check 'no queue is left' sh -c '[ -z "$(ls -A "$SLUICE_DIR")" ]'
finish
