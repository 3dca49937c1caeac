#!/bin/sh
# SPDX-License-Identifier: MIT
#
# layout.sh: the tables of doc/layout.md are those of include/sluice/layout.h.
# From every row of a struct's table a C program is made that compares the
# offset and the width; the rows of a struct leave none of its bytes out; the
# flags have their values and the regions their places. Last line: `N passed, N failed`.
set +e -u
top=$(cd "$(dirname "$0")/../.." && pwd) || exit 2
page=${1:-$top/doc/layout.md}
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

awk -F '|' '
        function trim(text) { gsub(/^[ `]+|[ `]+$/, "", text); return text }
        BEGIN {
                print "#include <stddef.h>\n#include <stdio.h>\n#include <sluice/layout.h>"
                print "#define SIZE(s, f) sizeof(((struct s *)0)->f)"
                print "int main(void)\n{\n        unsigned passed = 0, failed = 0;"
        }
        /^## / {
                end_of_struct()
                if ($0 ~ /^## `struct /) {
                        name = $0
                        gsub(/^## `struct |`$/, "", name)
                        sum = 0
                }
        }
        function end_of_struct() {
                if (name != "")
                        check(name ": all bytes", "sizeof(struct " name ")", sum)
                name = ""
        }
        function check(what, is, said) {
                printf "        if ((%s) == %s)\n                passed++;\n", is, said
                printf "        else\n                failed++, printf(\"%s: is %%llu, the page says %s\\n\", (unsigned long long)(%s));\n",
                        what, said, is
        }
        name != "" && $2 ~ /^ *[0-9]+ *$/ && $3 ~ /^ *[0-9]+ *$/ && $4 ~ /`/ && NF == 8 {
                field = trim($4)
                check(name "." field " offset", "offsetof(struct " name ", " field ")", trim($2))
                check(name "." field " width", "SIZE(" name ", " field ")", trim($3))
                sum += trim($3)
        }
        $4 ~ /`SLUICE_LAYOUT_/ {
                check(trim($4), trim($4), trim($3))
        }
        /^\| [0-9]+ \| 4096 \|/ || /^\| [0-9]+ \| capacity \|/ {
                region = $4 ~ /header/ ? "0" : $4 ~ /consumer/ ? "SLUICE_LAYOUT_CONSUMER" : \
                        $4 ~ /producer/ ? "SLUICE_LAYOUT_PRODUCER" : "SLUICE_LAYOUT_RING"
                check("region" $4, region, trim($2))
        }
        END {
                end_of_struct()
                check("magic", "SLUICE_LAYOUT_MAGIC", "0x00656369756c7300")
                check("version", "SLUICE_LAYOUT_VERSION", "1")
                check("byte order", "SLUICE_LAYOUT_BYTE_ORDER", "0x01020304")
                print "        printf(\"%u passed, %u failed\\n\", passed, failed);"
                # 6 structs: so few checks would mean that the page is not understood.
                print "        return failed != 0 || passed < 90;\n}"
        }
' "$page" >"$work/check.c" || exit 1
"${CC:-cc}" -std=c11 -I"$top/include" "$work/check.c" -o "$work/check" || {
        echo '0 passed, 1 failed' # a name that the header does not know
        exit 1
}
"$work/check"
