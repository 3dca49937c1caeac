#!/bin/sh
# SPDX-License-Identifier: MIT
#
# typed.sh: a typed producer checks no length: max_len of the handle, against
# which sluice_reserve checks a length that is no constant, is not loaded by the
# type's reserve and send; and a value is copied by moves of its own, without a
# call of memcpy. On x86-64. Last line: `N passed, N failed`.
set +e -u
top=$(cd "$(dirname "$0")/../.." && pwd) || exit 2
passed=0 failed=0
if [ "$(uname -m)" != x86_64 ]; then
        echo '0 passed, 0 failed, 1 skipped'
        exit 0
fi
cat >typed.c <<'END'
#include <sluice.h>
struct price { uint64_t number; double bid, ask; };
SLUICE_TYPED(price, struct price);
int typed_reserve(struct sluice_producer *p, struct price **to);
int typed_reserve(struct sluice_producer *p, struct price **to)
{
        return price_reserve(p, to, SLUICE_FOREVER);
}
int typed_send(struct sluice_producer *p, const struct price *value);
int typed_send(struct sluice_producer *p, const struct price *value)
{
        return price_send(p, value, SLUICE_FOREVER);
}
int typed_recv(struct sluice_consumer *c, struct price *value);
int typed_recv(struct sluice_consumer *c, struct price *value)
{
        return price_recv(c, value, SLUICE_FOREVER);
}
ssize_t plain_recv(struct sluice_consumer *c, void *buf, size_t cap);
ssize_t plain_recv(struct sluice_consumer *c, void *buf, size_t cap)
{
        return sluice_recv(c, buf, cap, SLUICE_FOREVER);
}
int plain_reserve(struct sluice_producer *p, size_t len, void **to);
int plain_reserve(struct sluice_producer *p, size_t len, void **to)
{
        return sluice_reserve(p, len, to, SLUICE_FOREVER);
}
END
cat >offset.c <<'END'
#include <sluice.h>
#include <stdio.h>
int main(void)
{
        printf("0x%zx\n", offsetof(struct sluice_producer, max_len));
        return 0;
}
END
"${CC:-cc}" -std=c11 -I"$top/include" offset.c -o offset -pthread || exit 1
offset=$(./offset)

# looks FUNCTION: how often does it load max_len?
looks() {
        objdump -d --no-show-raw-insn --disassemble="$1" typed.o | grep -c "[ ,]$offset(%"
}

# calls_memcpy FUNCTION: how often, at most once.
calls_memcpy() {
        awk -v name="$1" '$1 == name ":" { on = 1 }
                $1 == ".size" && $2 == name "," { on = 0 }
                on && /(call|jmp).*memcpy/ { n = 1 }
                END { print n + 0 }' typed.s
}

# check WHAT HAS WANTED
check() {
        if [ "$2" = "$3" ]; then
                passed=$((passed + 1))
        else
                failed=$((failed + 1))
                echo "FAILED $1: $2 instead of $3"
        fi
}

for cc in gcc clang; do
        command -v $cc >/dev/null || continue
        $cc -std=c11 -O2 -Wall -Wextra -Werror -I"$top/include" -S typed.c -o typed.s || exit 1
        $cc -c typed.s -o typed.o || exit 1
        check "$cc, reserve" "$(looks typed_reserve)" 0
        check "$cc, send" "$(looks typed_send)" 0
        check "$cc, any length" "$(looks plain_reserve)" 1
        check "$cc, send copies by moves" "$(calls_memcpy typed_send)" 0
        check "$cc, recv copies by moves" "$(calls_memcpy typed_recv)" 0
        check "$cc, recv of any length does not" "$(calls_memcpy plain_recv)" 1
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
