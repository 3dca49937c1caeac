#!/bin/sh
# SPDX-License-Identifier: MIT
# ls, stat and dump, for people and for programs.
. "$(dirname "$0")/lib.sh"

expect 0 'ls of nothing' sluice ls
verdict 'ls of nothing says nothing' [ ! -s out ]
expect 0 'ls --json of nothing' sluice ls --json
json 'ls --json of nothing' 'j == []'
for command in stat dump; do
        expect 1 "$command of nothing" sluice $command q
        says "$command of nothing" "^sluice: $command: q: no such queue"
        verdict "$command of nothing has no result" [ ! -s out ]
done

printf 'hello\nw\303\266rld\n' | sluice send --create --capacity 8K --mode 640 q
expect 0 'stat' sluice stat q
shows 'stat' "^name *$SLUICE_DIR/q\$" '^pending *2 messages, 128 of 8192 bytes' \
        '^producer *closed, 2 messages, position 128' '^consumer *never, 0 messages' \
        '^longest *4088 bytes' 'mode 0640' 'key 0x[0-9a-f]'
expect 0 'stat --json' sluice stat --json q
json 'stat --json' 'j["pending"] == 2 and j["used"] == 128 and j["capacity"] == 8192 and
        j["mode"] == "0640" and j["producer"]["state"] == "closed" and
        j["consumer"]["state"] == "never" and j["producer"]["messages"] == 2 and
        j["high_water"] == 128 and j["longest"] == 4088 and j["name"].endswith("/q")'
expect 0 'ls' sluice ls
shows 'ls' '^PRODUCER  CONSUMER' "^closed    never  *2  *128  *8.0K  .*0640  $SLUICE_DIR/q\$"

expect 0 'dump' sluice dump q
shows 'dump' '^ *0  *5  0x00000000  whole   hello$' '^ *64  *6  0x00000000  whole   w'
expect 0 'dump again: it takes nothing' sluice dump q
shows 'dump again' hello
expect 0 'dump --json' sluice dump --json q
json 'dump --json' '[m["text"] for m in j] == ["hello", "w\u00f6rld"] and j[1]["position"] == 64 and j[0]["kind"] == "whole"
        and j[0]["length"] == 5 and j[0]["tag"] == 0'
expect 0 'dump --raw' sluice dump --raw q
same 'dump --raw' "$(printf 'hellow\303\266rld')" "$(cat out)"

# A channel: both its queues, or what is there of it.
mkdir "$SLUICE_DIR/ch"
expect 1 'stat of a directory' sluice stat ch
says 'stat of a directory' '^sluice: stat: ch: no such queue'
sluice send --create "$SLUICE_DIR/ch/reply" </dev/null
expect 1 'stat of half a channel' sluice stat --json ch
says 'stat of half a channel' "^sluice: stat: $SLUICE_DIR/ch/request: no such queue"
json 'stat of half a channel' 'j["name"].endswith("/ch/reply")'
echo hello | sluice send --create "$SLUICE_DIR/ch/request"
expect 0 'stat of a channel' sluice stat ch
shows 'stat of a channel' "^name *$SLUICE_DIR/ch/request\$" "^name *$SLUICE_DIR/ch/reply\$" \
        '^pending *1 messages' '^pending *0 messages'
for name in ch "$SLUICE_DIR/ch" "$SLUICE_DIR/ch/"; do
        expect 0 'stat --json of a channel' sluice stat --json "$name"
        json 'stat --json of a channel' '[(q["name"].rsplit("/", 2)[1:], q["pending"]) for q in j] ==
                [(["ch", "request"], 1), (["ch", "reply"], 0)]'
done
expect 0 'stat of a channel and a queue' sluice stat --json ch q
json 'stat of a channel and a queue' 'len(j) == 3 and j[2]["name"].endswith("/q")'
sluice rm ch

# While it is in use, and after a crash.
start recv --create busy
pid=$!
await in_state busy consumer asleep
expect 0 'two queues' sluice ls
shows 'two queues' '^never     asleep ' '/busy$' '/q$'
expect 0 'ls --json' sluice ls --json
json 'ls --json' 'len(j) == 2 and j[0]["consumer"]["held"] and j[0]["consumer"]["asleep"] and
        not j[1]["consumer"]["held"] and j[0]["consumer"]["pid"] == '$pid
kill -KILL $pid
wait $pid
expect 0 'after kill -9' sluice ls --json
json 'after kill -9' 'j[0]["consumer"]["state"] == "died" and not j[0]["consumer"]["held"]'
expect 0 'stat of two' sluice stat --json q busy
json 'stat of two' 'len(j) == 2 and j[0]["name"].endswith("/q")'
expect 1 'stat of one that is not there and one that is' sluice stat --json nothing q
json 'is still JSON' 'len(j) == 1'
sluice rm q busy

# Messages of all kinds.
{ printf 'a\033[31mred\007\\\n\0\001\n\377\376\n\n'
  head -c 100 /dev/zero | tr '\0' x; echo
  printf '\342\200\256evil\n\330\234mark\n\302\2335m\nlast'; } | sluice send --create q
expect 0 'dump of binary' sluice dump q
shows 'dump of binary' '  a.x1b\[31mred.x07..$' '  hex 0001$' '  hex fffe$' '  x\{60\}\.\.\.$' \
        '  .xe2.x80.xaeevil$' '  .xd8.x9cmark$' '  .xc2.x9b5m$' '0x45524142  whole   last$'
verdict 'no control character comes through' [ -z "$(tr -d '\n -~' <out)" ]
expect 0 'dump --json of binary' sluice dump --json q
json 'dump --json of binary' 'j[0]["text"] == "a\x1b[31mred\x07\\" and j[1]["text"] == "\0\1" and
        j[2]["hex"] == "fffe" and j[3]["text"] == "" and j[8]["tag"] == 0x45524142'
sluice rm q

# Names of all kinds.
for name in 'two words' 'quote"' "$(printf 'esc\033[31m')" "$(printf 'new\nline')" \
        "$(printf 'not\377utf8')" "$(printf '\303\274')" 'back\slash'; do
        sluice send --create "$name" </dev/null
done
expect 0 'ls of names' sluice ls
shows 'ls of names' '/two words$' '/quote"$' '/esc.x1b\[31m$' '/new.x0aline$' '/not.xffutf8$' \
        '/back..slash$'
same 'a line each' 8 "$(wc -l <out | tr -d ' ')"
expect 0 'ls --json of names' sluice ls --json
json 'ls --json of names' '{"two words", "quote\"", "esc\x1b[31m", "new\nline", "not\ufffdutf8",
        "\u00fc", "back\\slash"} == {q["name"].split("/")[-1] for q in j}'
json 'what is no UTF-8 is there in hex' '[bytes.fromhex(q["name_hex"])[-8:] for q in j
        if "name_hex" in q] == [b"not\xffutf8"]'
expect 1 'errors too' sluice stat "$(printf 'x\033[31m')"
says 'errors too' '^sluice: stat: x.x1b\[31m: '

# Results that cannot be written.
for option in '' --json; do
        expect 1 "ls $option to a full disk" sh -c '"$@" >/dev/full' - "$SLUICE" ls $option
        says "ls $option to a full disk" '^sluice: ls: cannot write.*No space left on device'
        expect 1 "stat $option to a full disk" sh -c '"$@" >/dev/full' - \
                "$SLUICE" stat $option 'two words'
        says "stat $option to a full disk" '^sluice: stat: two words: cannot write.*No space left'
done
expect 0 'rm --stale of names' sluice rm --stale
same 'it tells all' 7 "$(wc -l <out | tr -d ' ')"
finish
