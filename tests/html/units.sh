# SPDX-License-Identifier: MIT
#
# units.sh: the files of examples/ for services are accepted by the tools that read
# them, and what they set up works: the two commands, as the two users, in the directory
# that systemd-tmpfiles has made, one killed in between; and they make no system call
# that the units' filter forbids. Last line: `N passed, N failed, N skipped`.
set +e -u
. "$TOP/tests/tools/lib.sh"
units=$TOP/examples/systemd
unset XDG_RUNTIME_DIR

# ---- What their readers say
mkdir etc
for unit in sluice-load sluice-load-log; do
        sed "s|/usr/bin/sluice|$OUT/sluice|" "$units/$unit.service" >etc/$unit.service
done
check 'units' systemd-analyze verify --man=no etc/sluice-load.service etc/sluice-load-log.service
for unit in etc/*.service; do
        check "$unit is hardened" systemd-analyze security --offline=true --threshold=11 "$unit"
done
broken() {
        sed 's/^ProtectHome=yes/ProtectHome=perhaps/' etc/sluice-load.service >etc/broken.service
        systemd-analyze verify --man=no etc/broken.service 2>&1 | grep -q perhaps
}
check 'a wrong setting would be found' broken
# Outside of what is for this test's user alone: others have to get there.
root=$(mktemp -d /tmp/sluice-root.XXXXXX) || exit 1
trap 'rm -rf "$root"' EXIT
trap 'exit 130' INT TERM HUP
chmod 755 "$root"
mkdir -p "$root/etc" "$root/run" "$root/usr/lib/sysusers.d" "$root/usr/lib/tmpfiles.d"
cp "$units/sysusers.conf" "$root/usr/lib/sysusers.d/sluice-load.conf"
cp "$units/tmpfiles.conf" "$root/usr/lib/tmpfiles.d/sluice-load.conf"
check 'profile of AppArmor' apparmor_parser -Q -K "$TOP/examples/apparmor/sluice-load"
policy() {
        checkmodule -M -m -o sluice_load.mod "$TOP/examples/selinux/sluice_load.te" &&
                semodule_package -o sluice_load.pp -m sluice_load.mod
}
check 'policy of SELinux' policy
settings() {
        awk '!/^#/ { print $1 }' "$units/sysctl.conf" | while read -r name; do
                [ -e "/proc/sys/$(echo "$name" | tr . /)" ] || exit 1
        done
}
check 'each sysctl is one' settings

# ---- System calls
# expanded: the calls of the set, and of the sets in it.
expanded() {
        systemd-analyze syscall-filter >all_sets
        awk '
                /^@/ { set = $1; next }
                /^ +[@a-z]/ { of[set] = of[set] " " $1 }
                function show(name, parts, n, i) {
                        n = split(of[name], parts, " ")
                        for (i = 1; i <= n; i++)
                                if (parts[i] ~ /^@/)
                                        show(parts[i])
                                else
                                        print parts[i]
                }
                END { show("@system-service") }' all_sets | sort -u
}
calls() {
        expanded >permitted
        [ "$(wc -l <permitted)" -gt 200 ] || return 1
        echo hello | strace -f -qq -o sent "$OUT/sluice" send --create --wait fifo --lock traced &&
                strace -f -qq -o received "$OUT/sluice" recv --lock traced &&
                strace -f -qq -o removed "$OUT/sluice" rm traced || return 1
        sed -n 's/^[0-9]* *\([a-z_0-9]*\)(.*/\1/p' sent received removed | sort -u >made
        for call in 'semop\|semtimedop' shmat membarrier; do
                grep -qx "$call" made || return 1
        done
        [ -z "$(comm -23 made permitted | tee /dev/stderr)" ]
}
if strace -o /dev/null true 2>/dev/null; then
        check 'system calls are those of the filter' calls
else
        skipped=$((skipped + 1))
fi

# ---- Both sides, as the users that they are for
# as USER COMMAND...: with the ids that systemd-sysusers gave.
as() {
        id=$(awk -F : -v name="$1" '$1 == name { print $3 ":" $4 }' "$root/etc/passwd")
        group=$(awk -F : '$1 == "sluice" { print $3 }' "$root/etc/group")
        shift
        # As User= and Group= of the units: the group is the first one.
        exec setpriv --reuid "${id%:*}" --regid "$group" --clear-groups "$@"
}
# is_received N LINE: and so many are released. Between writing and releasing it, a kill
# makes a line come again.
is_received() {
        grep -qx "$2" received.txt &&
                [ "$("$OUT/sluice" stat "$queue" | awk '$1 == "consumer" { print $3 }')" = "$1" ]
}
pair() {
        systemd-sysusers --root="$root" sluice-load.conf &&
                systemd-tmpfiles --root="$root" --create sluice-load.conf || return 1
        [ "$(stat -c %a "$root/run/sluice")" = 2750 ] || return 1
        queue=$root/run/sluice/load
        : >received.txt
        (as sluice-log "$OUT/sluice" recv --quiet "$queue") >>received.txt &
        receiver=$!
        mkfifo lines
        (as sluice-load "$OUT/sluice" send --quiet --create --mode 0660 "$queue") <lines &
        exec 5>lines
        echo one >&5
        until_true is_received 1 one || return 1
        kill -KILL $receiver
        wait $receiver
        echo two >&5
        (as sluice-log "$OUT/sluice" recv --quiet "$queue") 5>&- >>received.txt &
        until_true is_received 2 two || return 1
        [ "$(stat -c %g "$queue")" = "$(stat -c %g "$root/run/sluice")" ] || return 1
        exec 5>&-
        wait
        printf 'one\ntwo\n' | cmp - received.txt || return 1
        # Another user has no business here, and the receiver may not remove.
        ! (as sluice-log "$OUT/sluice" rm "$queue") || return 1
        (as sluice-load "$OUT/sluice" rm "$queue")
}
if [ "$(id -u)" -eq 0 ]; then
        check 'two users, one killed' pair
else
        skipped=$((skipped + 1))
fi
finish
