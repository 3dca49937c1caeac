#!/bin/sh
# SPDX-License-Identifier: MIT
# A program that runs with another user's rights does not let its caller choose
# where that user's queues are.
. "$(dirname "$0")/lib.sh"

uid=64129
own=/tmp/sluice-$uid
if [ "$(id -u)" -ne 0 ] || [ -e "$own" ]; then
        skip 'a set-user-ID program: needs root, and a user who has no queues'
        finish
fi
place=$(mktemp -d /tmp/sluice-suid.XXXXXX) || exit 2 # where that user can be
trap 'rm -rf "$place" "$work"' EXIT
chmod 711 "$place"
cd "$place" || exit 2
cp "$SLUICE" suid
chown $uid suid
chmod 4755 suid
mkdir chosen runtime
chown $uid chosen runtime
suid() {
        timeout -k 1 20 ./suid "$@"
}
if ! SLUICE_DIR=$PWD/chosen suid send --create q </dev/null 2>err; then
        # Of a sanitizer, perhaps, which wants to trace what may not be traced.
        suid rm q >out 2>&1
        skip 'a set-user-ID program: it does not run here'
        cd "$work" || exit 2
        finish
fi
verdict 'SLUICE_DIR is not followed' [ ! -e chosen/q ]
verdict 'it is the own directory of its user' [ -p "$own/q/readable" ]
expect 0 'XDG_RUNTIME_DIR is not followed' env XDG_RUNTIME_DIR="$PWD/runtime" ./suid stat q
verdict 'nothing is there' [ ! -e runtime/sluice ]
expect 0 'it removes what it has made' ./suid rm q
verdict 'all of it' [ ! -e "$own" ]
cd "$work" || exit 2
finish
