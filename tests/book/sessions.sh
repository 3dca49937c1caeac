# SPDX-License-Identifier: MIT
#
# sessions.sh [PAGE...]: what a terminal shows in the pages of doc/book, in blocks of
# `console`, is what it shows. All commands of a page are run by one shell, in a
# directory that holds the files that the page shows. The library is installed, cc and
# g++ take every warning for an error, and python3 is the system's, which has the package
# sluice. `...` stands for anything, alone in a line for any lines. A page that says
# <!-- needs COMMAND --> is skipped where that fails. Last line: `N passed, N failed,
# N skipped`, one test for each command.
set +e -u
top=$TOP
passed=0 failed=0 skipped=0
here=$PWD
prefix=$here/usr

(cd "$top" && DESTDIR='' PREFIX="$prefix" LIBDIR="$prefix/lib" \
        tools/install "$OUT") >install.log 2>&1 || {
        cat install.log
        echo '0 passed, 1 failed'
        exit 1
}
mkdir bin
cat >bin/cc <<END
#!/bin/sh
exec ${CC:-gcc} -std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror "\$@"
END
cat >bin/g++ <<END
#!/bin/sh
exec /usr/bin/g++ -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror "\$@"
END
cat >bin/python3 <<END
#!/bin/sh
PYTHONPATH='$top/bindings/python' PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 -W error "\$@"
END
chmod +x bin/cc bin/g++ bin/python3
export PATH="$here/bin:$prefix/bin:$PATH" PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
export LD_LIBRARY_PATH="$prefix/lib" LC_ALL=C
unset XDG_RUNTIME_DIR

# files PAGE: what stands in it as a paragraph that is a link to a file.
files() {
        sed -n 's/^\[[^]]*\](\([^)#:]*\))$/\1/p' "$1" | grep -v '\.md$'
}

# split PAGE: its commands as command.N, what they show as said.N, and `run`, which
# does all of them.
split() {
        awk '
                /^```console$/ { on = 1; next }
                /^```$/ { on = 0 }
                !on { next }
                /^\$ / {
                        n++
                        printf "" >("said." n)
                        print substr($0, 3) >("command." n)
                        next
                }
                /^> / { print substr($0, 3) >("command." n); next }
                { print >("said." n) }
                END {
                        for (i = 1; i <= n; i++)
                                printf "{\n. ./command.%d\n} >shown.%d 2>&1\n", i, i >"run"
                        print n + 0
                }' "$1"
}

# alike SHOWN SAID: equal, but for what `...` stands for.
alike() {
        awk '
                function escaped(text) { gsub(/[][\\.^$*+?(){}|\/]/, "\\\\&", text); return text }
                NR == FNR { shown = shown $0 "\n"; next }
                $0 == "..." { pattern = pattern "(.*\n)?"; next }
                {
                        gsub(/\.\.\./, "\001")
                        line = escaped($0)
                        gsub(/\001/, "[^\n]*", line)
                        pattern = pattern line "\n"
                }
                END { exit shown !~ ("^" pattern "$") }' "$1" "$2"
}

# session PAGE
session() {
        name=$(basename "$1" .md)
        mkdir -p "$here/$name/home" && cd "$here/$name" || return
        count=$(split "$1")
        [ "$count" -gt 0 ] || return
        needs=$(sed -n 's/^<!-- needs \(.*\) -->$/\1/p' "$1")
        if [ -n "$needs" ] && ! sh -c "$needs" 2>/dev/null; then
                skipped=$((skipped + count))
                return
        fi
        files "$1" | while read -r file; do
                cp "$(dirname "$1")/$file" home/ || exit 1
        done || failed=$((failed + 1))
        mv command.* home/
        (cd home && timeout -k 1 60 sh ../run) || echo "$name: exit status $?"
        for i in $(seq "$count"); do
                if [ -f "home/shown.$i" ] && alike "home/shown.$i" "said.$i"; then
                        passed=$((passed + 1))
                else
                        failed=$((failed + 1))
                        echo "FAILED $name: $(cat "home/command.$i"): said, and shown:"
                        diff "said.$i" "home/shown.$i"
                fi
        done
        left=$(ls -A "$SLUICE_DIR")
        if [ -n "$left" ]; then
                failed=$((failed + 1))
                echo "FAILED $name: left $left"
                (cd "$SLUICE_DIR" && for queue in ./*; do sluice rm "$queue"; done)
        fi
}

[ $# -gt 0 ] || set -- "$top"/doc/book/*.md
for page; do
        session "$page"
done
cd "$here" || exit 1
if [ "$passed" -lt 1 ]; then
        failed=$((failed + 1))
        echo 'FAILED: no command was found'
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
