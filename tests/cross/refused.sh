#!/bin/sh
# SPDX-License-Identifier: MIT
# A processor of the other byte order, or without accesses of 64 bits, is
# refused by the compiler with a sentence.
. "$TOP/tests/cli/lib.sh"

echo '#include <sluice.h>' >program.c

# refused SENTENCE COMPILER...
refused() {
        sentence=$1
        shift
        expect 1 "$*" "$@" -std=c11 -I"$TOP/include" -fsyntax-only program.c
        says "$*" "error: .*$sentence"
}

refused 'sluice queues are little-endian' s390x-linux-gnu-gcc
refused 'cannot load and store 64 bits at once' i686-linux-gnu-gcc -march=i386
expect 0 'i686 is taken' i686-linux-gnu-gcc -std=c11 -I"$TOP/include" -fsyntax-only program.c
finish
