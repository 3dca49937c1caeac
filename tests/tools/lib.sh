# SPDX-License-Identifier: MIT
# What scripts that test tools, builds and documents share. Each begins with
# `. "$TOP/tests/tools/lib.sh"`, counts with check, and ends with finish.
passed=0 failed=0 skipped=0

# check WHAT COMMAND...: one test, passed when the command succeeds. What it says
# is shown when it does not.
check() {
        what=$1
        shift
        if "$@" >check.log 2>&1; then
                passed=$((passed + 1))
        else
                failed=$((failed + 1))
                echo "FAILED $what: $*"
                cat check.log
        fi
}

# until_true COMMAND...: waits for an event, but for no more than ten seconds.
until_true() {
        tries=0
        until "$@" >until.log 2>&1; do
                tries=$((tries + 1))
                [ $tries -lt 1000 ] || return 1
                sleep 0.01
        done
}

lacks() { ! grep -q -e "$1" "$2"; }

# lines PATTERN NUMBER FILE: so many of its lines match.
lines() { [ "$(grep -c -e "$1" "$3")" -eq "$2" ]; }

# is_sanitized: what $OUT contains wants a program of its own kind.
is_sanitized() { ldd "$OUT/libsluice.so" | grep -q 'lib[a-z]*san'; }

# finish: the last line, which counts.
finish() {
        if [ "$skipped" -eq 0 ]; then
                echo "$passed passed, $failed failed"
        else
                echo "$passed passed, $failed failed, $skipped skipped"
        fi
        [ "$failed" -eq 0 ]
        exit
}
