#!/bin/sh
# SPDX-License-Identifier: MIT
# torture.sh COUNT: sends COUNT readings, and kills both programs all the time. A
# program has a little longer at each try, so that any machine gets there.
until_done() {
        tries=0
        until timeout -s KILL "$(printf 0.%02d $((tries + 2)))" "$@"; do
                tries=$((tries + 1))
                echo "$1" >>kills
        done
}
: >kills
{
        until_done ./source "$1" &
        until_done ./sink readings.txt
        wait
} 2>/dev/null
[ -s kills ] && echo 'some were killed'
