#!/bin/sh
# SPDX-License-Identifier: MIT
#
# examples.sh: each example in C++ is short, and does what it says.
# Last line: `N passed, N failed`.
set +e -u
. "$TOP/tests/tools/lib.sh"
: "${TOP:?}" "${OUT:?}" "${SLUICE_DIR:?}"
bin=$(dirname "$OUT")/cpp/examples
started=
clean_up() {
        for pid in $started; do
                kill -KILL "$pid" 2>/dev/null
        done
}
trap clean_up EXIT

# start COMMAND...: in the background, ended at the latest with this script.
start() {
        "$@" &
        started="$started $!"
}

# prints FILE LINE...: the file consists of these lines.
prints() {
        file=$1
        shift
        printf '%s\n' "$@" | diff - "$file"
}

fits() {
        for file in "$TOP"/examples/*.cpp; do
                if [ "$(wc -l <"$file")" -ge 60 ] || [ ! -x "$bin/$(basename "$file" .cpp)" ]; then
                        echo "$file is too long, or not built"
                        return 1
                fi
        done
}
check 'each is under 60 lines, and is built' fits

is_there() {
        [ -e "$SLUICE_DIR/$1/readable" ]
}
hello() {
        start "$bin/hello" >out
        until_true is_there hello || return 1
        "$bin/hello" 'Hello, world' || return 1
        wait && prints out 'Hello, world'
}
check 'hello: the receiver first' hello
hello_late() {
        "$bin/hello" 'Hello again' && "$bin/hello" >out && prints out 'Hello again'
}
check 'hello: the sender first' hello_late
ticker() {
        "$bin/ticker" send 3 && "$bin/ticker" >out && prints out '1 1' '2 2' '3 3'
}
check 'ticker' ticker
ticker_death() {
        start "$bin/ticker" send 1000000 2>err
        sender=$!
        until_true is_there prices || return 1
        kill -KILL $sender
        wait $sender 2>err
        "$bin/ticker" >out 2>err
        [ $? -eq 1 ] && grep -qx 'the sender died' err
}
check 'ticker: a sender that dies' ticker_death
server() {
        mkdir calls || return 1
        start "$bin/server" calls
        server=$!
        "$bin/server" calls/ one 'and two' >out || return 1
        prints out ONE 'AND TWO' || return 1
        until_true rmdir calls 2>err || return 1
        kill $server && wait $server
}
check 'server' server
no_server() {
        "$bin/server" nowhere/ one 2>err
        [ $? -eq 1 ] && grep -q 'sluice_channel_open nowhere/: no such queue' err
}
check 'server: a client without a directory' no_server

# first_block FILE: its first block in C++
first_block() {
        awk '/^```cpp$/ { on = 1; next } /^```$/ { if (on) exit } on' "$1"
}
same_text() {
        sed '/^\/\//d' "$TOP/examples/hello.cpp" >text
        first_block "$TOP/doc/cpp.md" | diff - text
}
check 'hello.cpp is what doc/cpp.md shows' same_text
# README.md has it in a column, in shorter lines.
in_a_column() {
        first_block "$TOP/README.md" >column.cpp
        tr -d ' \n' <text >want
        tr -d ' \n' <column.cpp | cmp - want || return 1
        g++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only "-I$TOP/include" column.cpp &&
                awk 'length > 40 { print; wide = 1 } END { exit wide || NR < 10 }' column.cpp
}
check '... and README.md, in a column' in_a_column

# The other blocks, as one function, with what they take for granted.
compiles() {
        {
                echo '#include <iostream>'
                echo '#include <sluice.hpp>'
                echo 'using namespace std::chrono_literals;'
                echo 'struct price { std::uint64_t instrument; double bid, ask; };'
                echo 'SLUICE_TYPE(struct price);'
                echo 'int main() {'
                awk '/^```cpp$/ { on = ++block > 1; next } /^```$/ { on = 0 } on' "$TOP/doc/cpp.md"
                echo '}'
        } >blocks.cpp
        g++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only "-I$TOP/include" blocks.cpp
}
check 'what doc/cpp.md shows compiles' compiles

# Every call in its table is there.
exists() {
        # Words are what is wanted. shellcheck disable=SC2013
        for name in $(sed -n '/^## Which call/,$s/^| \(.*\) | .*/\1/p' "$TOP/doc/cpp.md" |
                grep -o 'sluice_[a-z_]*[a-z]' | sort -u); do
                grep -q "\<$name\>" "$TOP"/include/*.h "$TOP"/include/sluice/*.h || {
                        echo "$name is no call"
                        return 1
                }
        done
}
check 'what doc/cpp.md calls a call is one' exists
finish
