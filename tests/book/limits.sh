# SPDX-License-Identifier: MIT
#
# limits.sh: the tables of doc/operation.md are what a queue, its ends and groups
# take of this system, and what a new IPC namespace permits. Last line: `N passed,
# N failed`, skipped where other programs are in the namespace.
set +e -u
page=${1:-$TOP/doc/operation.md}
passed=0 failed=0
if [ -z "${RUNTEST_ALONE-}" ]; then
        echo '0 passed, 0 failed, 1 skipped'
        exit 0
fi

# check WHAT IS SAID
check() {
        if [ "$2" = "$3" ]; then
                passed=$((passed + 1))
        else
                failed=$((failed + 1))
                echo "FAILED $1: is $2, the page says $3"
        fi
}

# cell COLUMN LIMIT: of the row that begins with `LIMIT`, its first word.
cell() {
        awk -F '|' -v column="$1" -v name="$2" '
                index($2, "`" name "`") == 2 {
                        split($(column + 1), word, " ")
                        print word[1]
                }' "$page"
}

"$OUT/tests/cost" >measured || {
        echo '0 passed, 1 failed'
        exit 1
}
grep '^|' measured >rows
awk '/^\| what \| segments/ { on = 1; getline; next } !/^\|/ { on = 0 } on' "$page" >said
check 'rows of the first table' "$(cat rows)" "$(cat said)"

grep -v '^|' measured >limits
check 'limits that were measured' "$(wc -l <limits)" 8
while read -r limit number; do
        check "one queue, $limit" "$number" "$(cell 4 "$limit")"
done <limits
for limit in shmmni shmall shmmax; do
        check "default of $limit" "$(cat /proc/sys/kernel/$limit)" "$(cell 2 kernel.$limit)"
done
set -- $(cat /proc/sys/kernel/sem)
check 'default of kernel.sem' "$*" \
        "$(cell 2 semmsl) $(cell 2 semmns) $(cell 2 semopm) $(cell 2 semmni)"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
