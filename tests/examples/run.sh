#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh [DIRECTORY]: every example does what it says. DIRECTORY holds the built
# programs ($OUT/examples by default). SLUICE_DIR is an existing private
# directory, left as it was found. Last line: `N passed, N failed`.
set +e -u # also when run by sh -e: failures are counted here
bin=$(cd "${1:-${OUT:?}/examples}" && pwd) || exit 2
top=$(cd "$(dirname "$0")/../.." && pwd) || exit 2
: "${SLUICE_DIR:?}"
work=$(mktemp -d) || exit 2
started=
clean_up() {
        for pid in $started; do
                kill -KILL "$pid" 2>/dev/null
        done
        # After a failure; else there is none.
        for queue in hello example lines loop; do
                [ ! -e "$SLUICE_DIR/$queue" ] || "$bin/../sluice" rm "$queue"
        done
        rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP
cd "$work" || exit 2

passed=0 failed=0
# check NAME COMMAND...: passes when the command succeeds.
check() {
        what=$1
        shift
        if "$@"; then
                passed=$((passed + 1))
                echo "ok $what"
        else
                failed=$((failed + 1))
                echo "FAILED $what"
        fi
}

# start COMMAND...: in the background, without input, ended at the latest with
# this script.
start() {
        "$@" &
        started="$started $!"
}

# until_true COMMAND...: waits for an event, but for no more than ten seconds.
until_true() {
        tries=0
        until "$@"; do
                tries=$((tries + 1))
                [ $tries -lt 1000 ] || return 1
                sleep 0.01
        done
}

# prints FILE LINE...: the file consists of these lines.
prints() {
        file=$1
        shift
        printf '%s\n' "$@" | diff - "$file"
}

queue_is_open() {
        [ -e "$SLUICE_DIR/$1" ]
}

is_empty() {
        [ -z "$(ls -A "$1")" ]
}

# ---- all of them
fits() {
        for file in "$top"/examples/*.c; do
                [ "$(wc -l <"$file")" -lt 60 ] || {
                        echo "$file is too long"
                        return 1
                }
        done
}
check 'each is under 60 lines' fits

every_one_is_built() {
        for file in "$top"/examples/*.c; do
                name=$(basename "$file" .c)
                [ -x "$bin/$name" ] || {
                        echo "$bin/$name is not there"
                        return 1
                }
        done
}
check 'each is built' every_one_is_built

check 'ring.c needs no library' \
        "${CC:-cc}" -I"$top/include" "$top/examples/ring.c" -o ring_alone

# ---- readme
# README.md shows it in a column, in shorter lines.
readme_text() {
        awk '/^```c$/ { on = 1; next } /^```$/ { if (on) exit } on' "$top/README.md"
}
same_as_readme() {
        readme_text >text.c && tail -n +2 "$top/examples/readme.c" | tr -d ' \n' >want &&
                tr -d ' \n' <text.c | cmp - want
}
check 'readme.c is the text of README.md' same_as_readme
fits_a_column() {
        "${CC:-cc}" -std=c11 -Wall -Wextra -Werror -I"$top/include" -fsyntax-only text.c &&
                awk 'length > 40 { print; wide = 1 } END { exit wide || NR < 10 }' text.c
}
check '... which compiles, and is no wider than a column' fits_a_column
readme() {
        start "$bin/readme" >out
        consumer=$!
        until_true queue_is_open hello || return 1
        "$bin/readme" 'Hello, world' || return 1
        wait $consumer && prints out 'Hello, world'
}
check 'readme: consumer first' readme
readme_late() {
        "$bin/readme" 'Hello again' && "$bin/readme" >out && prints out 'Hello again'
}
check 'readme: producer first' readme_late

# ---- producer and consumer
producer_first() {
        "$bin/producer" example 3 || return 1
        "$bin/consumer" example >out &&
                prints out 'message 1 of 3' 'message 2 of 3' 'message 3 of 3'
}
check 'producer, then consumer' producer_first
consumer_first() {
        start "$bin/consumer" example >out
        consumer=$!
        until_true queue_is_open example || return 1
        "$bin/producer" example 100000 || return 1
        wait $consumer || return 1
        seq -f 'message %.0f of 100000' 100000 | cmp - out
}
check 'consumer, then producer, many laps of the ring' consumer_first

# ---- rpc_server and rpc_client
rpc() {
        mkdir calls || return 1
        start "$bin/rpc_server" calls
        server=$!
        "$bin/rpc_client" calls/ one two 'and three' >out || return 1
        prints out ONE TWO 'AND THREE' && until_true is_empty calls || return 1
        kill $server
        wait $server
}
check 'rpc: calls and replies' rpc
rpc_many() {
        start "$bin/rpc_server" calls
        server=$!
        clients=
        for i in 1 2 3 4 5 6 7 8; do
                start "$bin/rpc_client" calls/ "one $i" "two $i" >out.$i
                clients="$clients $!"
        done
        for client in $clients; do
                wait "$client" || return 1
        done
        for i in 1 2 3 4 5 6 7 8; do
                prints out.$i "ONE $i" "TWO $i" || return 1
        done
        until_true is_empty calls && kill $server && wait $server
}
check 'rpc: many clients' rpc_many
# A client that waits is killed; another is served by the next server.
rpc_death() {
        start "$bin/rpc_client" calls/ lost 2>err
        lost=$!
        until_true request_is_pending || return 1
        kill -KILL $lost
        wait $lost
        start "$bin/rpc_client" calls/ one >out 2>err
        client=$!
        start "$bin/rpc_server" calls
        server=$!
        wait $client && prints out ONE && until_true is_empty calls || return 1
        kill -KILL $server
        wait $server
        start "$bin/rpc_client" calls/ two >out 2>err
        client=$!
        until_true request_is_pending || return 1
        start "$bin/rpc_server" calls
        server=$!
        wait $client && prints out TWO && until_true is_empty calls || return 1
        kill $server
        wait $server
}
request_is_pending() {
        sluice stat calls/*/request 2>stat.err | grep -q 'pending *1 '
}
check 'rpc: clients and servers that are killed' rpc_death
# ---- libuv, libevent, GLib: sixteen thousand turns, sleeps of the consumer and of
# the producer, then the end
in_the_loop_of() {
        start "$bin/$1" loop >out 2>end
        consumer=$!
        until_true queue_is_open loop || return 1
        "$bin/producer" loop 100000 || return 1
        wait $consumer || return 1
        seq -f 'message %.0f of 100000' 100000 | cmp - out && grep -q 'has closed' end &&
                sluice rm loop
}
for loop in libuv libevent glib; do
        check "$loop: many turns, then the end" in_the_loop_of $loop
done
# It sleeps meanwhile: what it has used of a processor is next to nothing.
sleeps_in_the_loop_of() {
        start "$bin/$1" loop >out 2>end
        consumer=$!
        until_true queue_is_open loop || return 1
        until_true grep -q '^State:.S' /proc/$consumer/status || return 1
        begin=$(awk '{ print $14 + $15 }' /proc/$consumer/stat)
        printf 'one\n' >one
        { sleep 0.5; cat one; sleep 0.5; } | sluice send loop || return 1
        used=$(($(awk '{ print $14 + $15 }' /proc/$consumer/stat) - begin))
        wait $consumer || return 1
        prints out one && [ $used -lt 20 ] && sluice rm loop
}
for loop in libuv libevent glib; do
        check "$loop: asleep while there is nothing" sleeps_in_the_loop_of $loop
done
# ---- epoll
epoll() {
        start "$bin/epoll" example >out 2>err
        consumer=$!
        until_true grep -q tick out || return 1
        "$bin/producer" example 2 || return 1
        wait $consumer || return 1
        grep -v '^tick$' out >messages
        prints messages 'message 1 of 2' 'message 2 of 2'
}
check 'epoll: ticks, then messages' epoll
epoll_many() {
        start "$bin/epoll" example >out 2>err
        consumer=$!
        until_true queue_is_open example || return 1
        "$bin/producer" example 100000 || return 1
        wait $consumer || return 1
        grep -v '^tick$' out >messages
        seq -f 'message %.0f of 100000' 100000 | cmp - messages
}
check 'epoll: many messages' epoll_many

# ---- fork, threads, ring
fork() {
        "$bin/fork" example >out && prints out 'child: one' 'child: two' 'child: three'
}
check 'fork' fork
threads() {
        "$bin/threads" >out && prints out 'sum of 1 to 1000000: 500000500000'
}
check 'threads' threads
ring() {
        "$bin/ring" >out &&
                prints out 'tag 0: two pieces' 'tag 1: all' 'tag 2: or' 'tag 3: nothing'
}
check 'ring' ring

# ---- resume: the consumer's output is a pipe that nobody empties, so the
# producer is stuck somewhere in the middle of the file when it is killed.
resume() {
        seq -f 'line %.0f of the file' 200000 >file
        mkfifo pipe || return 1
        "$bin/consumer" lines >pipe 2>err &
        consumer=$!
        started="$started $consumer"
        exec 3<pipe
        : >out
        for death in 1 2 3; do
                start "$bin/resume" lines file 2>resume.err
                producer=$!
                until_true grep -q 'are there already' resume.err || return 1
                some=0
                while [ $some -lt 100 ] && IFS= read -r line <&3; do
                        printf '%s\n' "$line" >>out
                        some=$((some + 1))
                done
                "$bin/producer" lines 1 2>refused && return 1
                grep -q '^producer: lines: ' refused || return 1
                kill -KILL $producer || return 1
                wait $producer
        done
        cat <&3 >>out &
        reader=$!
        started="$started $reader"
        exec 3<&-
        "$bin/resume" lines file 2>resume.err || return 1
        grep -q '^resume: [1-9][0-9]* lines are there already$' resume.err || return 1
        wait $consumer && wait $reader && cmp file out
}
check 'resume: three times killed, no line lost, none twice' resume 2>/dev/null

# ---- one_buffer
one_buffer() {
        seq 200000 >file
        "$bin/one_buffer" write buffer <file &
        writer=$!
        started="$started $writer"
        "$bin/one_buffer" read buffer >out && wait $writer && cmp file out
}
check 'one_buffer' one_buffer

# ---- logger, feed
logger() {
        mkdir logs || return 1
        "$bin/logger" logs/ first second || return 1
        "$bin/logger" logs/ third || return 1
        printf '%s\n' first second third >wanted
        "$bin/logger" logs >out && cmp wanted out && is_empty logs
}
check 'logger: the lines of programs that have died, by time' logger
feed() {
        "$bin/feed" >out && grep -q '^[0-9]* of 160000 prices were passed over$' out
}
check 'feed' feed
worker_pool() {
        "$bin/worker_pool" >out && prints out '3398664 steps'
}
check 'worker_pool' worker_pool

check 'no queue is left' is_empty "$SLUICE_DIR"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
