#!/bin/sh
# SPDX-License-Identifier: MIT
# Long work shows its progress on a terminal, and only there.
. "$(dirname "$0")/lib.sh"

if ! command -v script >/dev/null; then
        skip 'the terminal: script(1) is not here'
        finish
fi

# terminal COMMAND: with a terminal as stderr; what it shows is in the file screen.
terminal() {
        SHELL=/bin/sh timeout 20 script -qec "$1" /dev/null </dev/null >screen
}

# lines_for SECONDS: a line now and then, for longer than progress waits.
cat >lines_for <<'END'
i=0
while [ $i -lt "$1" ]; do
        echo $i
        sleep 0.1
        i=$((i + 1))
done
END

terminal "sh lines_for 16 | '$SLUICE' send --create q"
verdict 'send draws a line' \
        grep -q 'sluice: send: q: [0-9]* messages, [0-9]* B in 1\.[0-9]* s ([0-9]* B/s, [0-9]* messages/s)' screen
verdict 'again and again, on one line' [ "$(tr '\r' '\n' <screen | grep -c 'send: q:')" -ge 3 ]
same 'and leaves the last one' 1 "$(tr -d '\r' <screen | grep -c '')"
verdict 'with all messages' grep -q 'q: 16 messages, 38 B' screen

terminal "'$SLUICE' recv q >/dev/null"
verdict 'recv, short: nothing' [ ! -s screen ]
mkfifo pipe
exec 4<>pipe
start send --create slow <pipe
pid=$!
sh lines_for 16 >&4 &
feeder=$!
(exec 4>&- && terminal "'$SLUICE' recv slow >got") &
receiver=$!
wait $feeder
exec 4>&-
ends 0 'the sender' $pid
wait $receiver
verdict 'recv draws a line' grep -q 'sluice: recv: slow: [0-9]* messages, ' screen
same 'its output is pure' 16 "$(grep -c '^[0-9]*$' got)"

terminal "sh lines_for 16 | '$SLUICE' send --quiet q"
verdict '--quiet: nothing' [ ! -s screen ]
sh lines_for 16 | sluice send q 2>err
verdict 'no terminal: nothing' [ ! -s err ]
terminal "'$SLUICE' recv q"
same 'output on the terminal is not disturbed' 0 \
        "$(tr -d '\r' <screen | grep -c -v '^[0-9]*$')"
sluice rm q slow
finish
