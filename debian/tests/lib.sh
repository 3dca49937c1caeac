# SPDX-License-Identifier: MIT
# What the tests of the installed packages share: a directory to work in and one
# for queues, which the test has to leave empty.
LC_ALL=C.UTF-8
work=$(mktemp -d "${AUTOPKGTEST_TMP:-/tmp}/sluice.XXXXXX")
SLUICE_DIR=$work/queues
export LC_ALL SLUICE_DIR
mkdir -m 700 "$SLUICE_DIR"
cd "$work"
trap 'rm -rf "$work"' EXIT

fail() {
        echo "FAILED: $*" >&2
        exit 1
}

# same WHAT WANTED GOT
same() {
        [ "$2" = "$3" ] || fail "$1: wanted '$2', got '$3'"
        echo "ok: $1"
}

# await COMMAND...: until it succeeds, for 20 s at most.
await() {
        for _ in $(seq 400); do
                ! "$@" >/dev/null 2>&1 || return 0
                sleep 0.05
        done
        fail "waited in vain: $*"
}

# pending NAME; received NAME: messages of a queue, as its details have them.
pending() {
        sluice stat "$1" | awk '$1 == "pending" { print $2 }'
}
received() {
        sluice stat "$1" | awk '$1 == "consumer" { print $3 }'
}

finish() {
        [ -z "$(ls "$SLUICE_DIR")" ] || fail "left behind: $(ls "$SLUICE_DIR")"
        echo 'all passed'
}
