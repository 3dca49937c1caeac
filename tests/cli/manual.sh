#!/bin/sh
# SPDX-License-Identifier: MIT
# The manual page names the commands, options and exit codes that the help
# names, and no others.
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$(dirname "$0")/lib.sh"
sed 's/\\-/-/g' "$top/doc/man/sluice.1" >page

# Words, one per line, sorted, each once.
words() {
        tr ' ' '\n' | sed '/^$/d' | LC_ALL=C sort -u
}

sluice help >help
awk '/^  [a-z]+ / { print $1 }' help >commands
{ cat commands; echo help; } | words >wanted
sed -n 's/^\.B sluice \([a-z]*\).*/\1/p' page | words >got
identical 'commands' wanted got
verdict 'there are commands' [ "$(wc -l <commands)" -ge 7 ]

# options_of_page COMMAND: an option stands behind .TP, in a subsection of
# OPTIONS that names the command or All; "(recv)" on the next line restricts
# it to one command.
options_of_page() {
        awk -v command="$1" '
                /^\.S[HS] / {
                        if ($1 == ".SH")
                                section = $2
                        names = " " $0 " "
                        gsub(/[",]/, " ", names)
                        ours = section == "OPTIONS" && (names ~ " " command " " || names ~ / All /)
                }
                restricted { restricted = 0; if ($1 !~ /^\(/ || $1 == "(" command ")") print tag }
                tagged { tagged = 0; tag = $0; restricted = ours }
                /^\.TP/ { tagged = 1 }
        ' page | grep -o -e '--*[0-9a-z][a-z-]*' | grep -v -e '^--version$' | words
}
options_of_help() {
        sluice "$1" --help |
                awk '/^ +-/ { for (i = 1; $i ~ /^-/; i++) print $i }' | tr -d , | words
}
while read -r command; do
        options_of_help "$command" >wanted
        options_of_page "$command" >got
        identical "options of $command" wanted got
        verdict "$command has options" grep -q -e '^--help$' wanted
done <commands
verdict 'options without a command' grep -q -e '--version' page

# What the lines of stat begin with; the last two are seldom there.
echo x | sluice send --create q
{ sluice stat q | sed -n 's/^\([A-Za-z]*\) .*/\1/p'; echo type; echo lost; } >labels
sluice rm q
sed -n '/^\.B stat$/,/^\.TP/p' page | grep '^\.I' >described
while read -r label; do
        verdict "stat: $label" grep -q -w -e "$label" described
done <labels
verdict 'stat has lines' [ "$(wc -l <labels)" -ge 8 ]

sed -n '/^Exit codes:/,/^$/p' help | grep -o -e '^  [0-9, ]*' | tr -d , | words >wanted
sed -n '/^\.SH EXIT STATUS/,/^\.SH ENV/p' page | sed -n 's/^\.BR* \([0-9].*\)/\1/p' |
        tr -d '",' | words >got
identical 'exit codes' wanted got
verdict 'there are exit codes' grep -q '^141$' wanted
finish
