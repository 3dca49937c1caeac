#!/bin/sh
# SPDX-License-Identifier: MIT
# The manual pages of the commands name the arguments, options and exit codes
# that the help names, and no others; sluice(1) all commands and exit codes.
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$(dirname "$0")/lib.sh"
man=$top/doc/man

# Words, one per line, sorted, each once.
words() {
        tr ' ' '\n' | sed '/^$/d' | LC_ALL=C sort -u
}

# section NAME PAGE: its lines, without emphasis.
section() {
        awk -v name="$1" '/^# / { on = substr($0, 3) == name; next } on' "$man/$2.1.scd" |
                sed 's/[*_]//g; s/++$//'
}

sluice help >help
awk '/^  [a-z]+ / { print $1 }' help >commands
{ cat commands; echo help; } | words >wanted
section SYNOPSIS sluice | sed -n 's/^sluice \([a-z]*\).*/\1/p' | words >got
identical 'commands' wanted got
verdict 'there are commands' [ "$(wc -l <commands)" -ge 7 ]
section COMMANDS sluice | sed -n 's/^sluice-\([a-z]*\)(1)$/\1/p' | words >got
words <commands >wanted
identical 'pages of the commands' wanted got
ls "$man" | sed -n 's/^sluice-\([a-z]*\)\.1\.scd$/\1/p' | words >got
identical 'files of the pages' wanted got

# An option stands at the beginning of a line, what it does is indented.
options_of_page() {
        section OPTIONS "$1" | grep '^-' | grep -o -e '--*[0-9a-z][a-z-]*' | words
}
options_of_help() {
        sluice "$1" --help |
                awk '/^ +-/ { for (i = 1; $i ~ /^-/; i++) print $i }' | tr -d , | words
}
exit_codes_of_page() {
        section 'EXIT STATUS' "$1" | grep '^[0-9]' | tr ',' ' ' | words
}
exit_codes_of_help() {
        sed -n '/^Exit codes:/,/^$/p' | grep -o -e '^  [0-9, ]*' | tr ',' ' ' | words
}
# Names of arguments are in capitals in the help.
usage_of_page() {
        section SYNOPSIS "$1" | sed '/^$/d'
}
usage_of_help() {
        sluice "$1" --help | sed -n '1s/^usage: //p' | tr '[:upper:]' '[:lower:]' |
                sed 's/ | rm /\nsluice rm /'
}
while read -r command; do
        options_of_help "$command" >wanted
        options_of_page "sluice-$command" >got
        identical "options of $command" wanted got
        verdict "$command has options" grep -q -e '^--help$' wanted
        sluice "$command" --help | exit_codes_of_help >wanted
        exit_codes_of_page "sluice-$command" >got
        identical "exit codes of $command" wanted got
        verdict "$command has exit codes" grep -q -e '^2$' wanted
        usage_of_help "$command" >wanted
        usage_of_page "sluice-$command" >got
        identical "arguments of $command" wanted got
        usage_of_page sluice | grep "^sluice $command" >got
        identical "arguments of $command, in sluice(1)" wanted got
        verdict "$command has arguments" grep -q "^sluice $command" wanted
done <commands
options_of_page sluice >got
printf '%s\n' --help --version -h | words >wanted
identical 'options without a command' wanted got

# What the lines of stat begin with; the last two are seldom there.
echo x | sluice send --create q
{ sluice stat q | sed -n 's/^\([A-Za-z]*\) .*/\1/p'; echo type; echo lost; } >labels
sluice rm q
section DESCRIPTION sluice-stat | grep '^[A-Za-z, ]*$' >described
while read -r label; do
        verdict "stat: $label" grep -q -w -e "$label" described
done <labels
verdict 'stat has lines' [ "$(wc -l <labels)" -ge 8 ]

exit_codes_of_help <help >wanted
exit_codes_of_page sluice >got
identical 'exit codes' wanted got
verdict 'there are exit codes' grep -q '^141$' wanted
finish
