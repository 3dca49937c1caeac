# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Completion of the command sluice for bash 4.4 and later, with or without the
# package bash-completion: commands, options, their values, and the names of
# queues that are there. Source this, or install it as
# share/bash-completion/completions/sluice.

# The words up to the cursor, in `words`. COMP_WORDS has them in pieces, for
# readline also breaks at the characters : and =, of which names and options
# consist, too. `kept` is what stands before the last piece: readline inserts
# the answer behind that.
_sluice_words() {
        local line=${COMP_LINE:0:COMP_POINT} rest piece i
        words=()
        for ((i = 0; i <= COMP_CWORD; i++)); do
                rest=${line#"${line%%[![:space:]]*}"}
                piece=${COMP_WORDS[i]}
                [[ $i -lt $COMP_CWORD ]] || piece=$rest
                if [[ $i -gt 0 && $rest == "$line" && -n $piece ]]; then
                        kept=${words[-1]}
                        words[-1]+=$piece
                else
                        kept=
                        words+=("$piece")
                fi
                line=${rest#"$piece"}
        done
        [[ $piece != [:=]* ]] || kept=${words[-1]}
}

# The text that a word on the command line stands for, in `text`, and the quote
# that it has opened, in `quote`.
_sluice_unquote() {
        local rest=$1 next
        quote='' text=''
        case $rest in
        [\'\"]*)
                quote=${rest:0:1}
                rest=${rest:1}
                ;;
        esac
        while [[ $quote != \' && $rest == *\\* ]]; do
                text+=${rest%%\\*}
                rest=${rest#*\\}
                next=${rest:0:1}
                [[ -z $quote || $next == [\"\\\$\`] ]] || text+=\\
                text+=$next
                rest=${rest:1}
        done
        text+=$rest
}

# The same the other way round: $1 as it has to be written, in `text`. What & is
# in ${//} depends on the version of bash.
# shellcheck disable=SC2001
_sluice_quote() {
        case $quote in
        \') text=${1//\'/\'\\\'\'} ;;
        \") text=$(sed 's/["\\$`]/\\&/g' <<<"$1") ;;
        *)
                text=$1
                [[ $1 =~ ^[A-Za-z0-9_./:=,@%+-]*$ ]] || printf -v text %q "$1"
                [[ $1 != \~*/* ]] || text=${text#\\}
                ;;
        esac
}

# The names of all queues, in `all`. What has no name any more is left out, and
# \xNN and \\ in names are what they stand for.
_sluice_all() {
        local line
        all=()
        while IFS= read -r line; do
                [[ $line =~ ^([^ ]+\ +){6}[0-7]{4}\ \ (.+)$ ]] || continue
                line=${BASH_REMATCH[2]}
                case $line in
                *'  (incomplete)' | *'  (its directory was removed or moved elsewhere)')
                        continue
                        ;;
                esac
                line=${line%  (inconsistent contents)}
                line=${line%  (changing too fast to be read)}
                printf -v line %b "$line"
                all+=("$line")
        done < <("$command" ls 2>/dev/null)
}

# The directory where bare words are, as queues know it.
_sluice_home() {
        local dir=/tmp/sluice-$UID
        [[ -z ${XDG_RUNTIME_DIR-} ]] || dir=$XDG_RUNTIME_DIR/sluice
        [[ -z ${SLUICE_DIR-} ]] || dir=$SLUICE_DIR
        (CDPATH='' cd -P -- "$dir" 2>/dev/null && pwd)
}

# The path that $1 is, its ~ expanded, in `real`.
_sluice_expand() {
        real=$1
        [[ $1 != \~/* ]] || real=$HOME/${1#\~/}
}

# Directories that begin with $text and are not themselves queues, in COMPREPLY.
_sluice_directories() {
        local dir real
        while IFS= read -r dir; do
                _sluice_expand "$dir"
                [[ -p $real/readable && -L $real/memory ]] || COMPREPLY+=("$dir/")
        done < <(compgen -d -- "$text")
}

# Queues that begin with $text, in COMPREPLY: as a bare word, as they call
# themselves, or by the way to their directory that the word begins with.
_sluice_queues() {
        local all name home dir real
        _sluice_all
        if [[ $text == */* ]]; then
                dir=${text%/*}/
                _sluice_expand "$dir"
                real=$(CDPATH='' cd -P -- "$real" 2>/dev/null && pwd) || return
                real=${real%/}/
                for name in "${all[@]}"; do
                        [[ $name == "$real"* && ${name#"$real"} != */* ]] || continue
                        name=$dir${name#"$real"}
                        [[ $name != "$text"* ]] || COMPREPLY+=("$name")
                done
                return
        fi
        home=$(_sluice_home)
        for name in "${all[@]}"; do
                [[ -z $home || ${name#"$home"/} == */* ]] || name=${name#"$home"/}
                [[ $name != "$text"* ]] || COMPREPLY+=("$name")
        done
}

# Each option of a command, and what follows it.
_sluice_options() {
        local side='--null --create --capacity= --align= --mode= --huge --prefault --lock --wait=
                --timeout= --once --stats --quiet --help -0 -t -q -h'
        case $1 in
        send) echo "--raw= $side" ;;
        recv) echo "--raw $side" ;;
        gather) echo '--null --follow --source --keep --quiet --help -0 -q -h' ;;
        ls | stat) echo '--json --help -h' ;;
        dump) echo '--raw --json --help -h' ;;
        rm) echo '--stale --dry-run --force --all-users --help -h' ;;
        bench) echo '--seconds= --cpus= --json --quiet --help -n -q -h' ;;
        esac
}

_sluice_cpus() {
        local cpu first=${text%"${text##*,}"}
        for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
                cpu=${cpu##*/cpu}
                [[ $first == "$cpu", ]] || echo "$first$cpu"
        done
}

# What option $1 may be followed by; where that is any number, nothing.
_sluice_values() {
        case $1 in
        --raw) echo '4K 16K 64K' ;;
        --capacity) echo '4K 16K 64K 256K 1M 4M 16M 64M 256M 1G' ;;
        --align) echo '8 16 32 64 128' ;;
        --mode) echo '0600 0640 0660 0644 0664 0666' ;;
        --wait) echo 'futex fifo spin' ;;
        --cpus) _sluice_cpus ;;
        esac
}

# Does option $1 of the sub-command have a value of its own?
_sluice_takes() {
        [[ $1 == -[tn] || " $(_sluice_options "$sub" | tr -s '\n ' '  ') " == *" $1= "* ]]
}

# What stands before the word at the cursor: `sub`, the command; `before`, the
# option whose value the word is; how many names there are; whether there are
# `options` still.
_sluice_parse() {
        local word
        for word in "${words[@]:1:${#words[@]}-2}"; do
                if [[ -n $before ]]; then
                        before=
                elif [[ $word == -- ]]; then
                        options=
                elif [[ -n $options && $word == -?* ]]; then
                        ! _sluice_takes "$word" || before=$word
                elif [[ -z $sub ]]; then
                        sub=$word
                else
                        names=$((names + 1))
                fi
        done
}

# Completions of a word that is no option and no value.
_sluice_name() {
        case $sub:$names in
        help:0) mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$text") ;;
        gather:0) _sluice_directories ;;
        send:0 | recv:0 | dump:0 | stat:* | rm:*)
                _sluice_queues
                [[ $text != */* ]] || _sluice_directories
                ;;
        esac
}

# COMPREPLY as readline needs it: quoted, and without what it keeps. It puts a
# blank behind the only answer; not where the word goes on.
_sluice_answer() {
        local answer=() reply
        for reply in "${COMPREPLY[@]}"; do
                if [[ $reply == */ || $reply == --*= || ($before == --cpus && $reply != *,*) ]]; then
                        # Tests call this while nothing is being completed.
                        compopt -o nospace 2>/dev/null
                fi
                _sluice_quote "$reply"
                [[ $text != "$kept"* ]] || answer+=("${text#"$kept"}")
        done
        COMPREPLY=("${answer[@]}")
}

_sluice() {
        local commands='send recv gather ls stat dump rm bench help'
        local command=$1 words kept text quote sub='' before='' names=0 options=yes
        _sluice_words
        _sluice_parse
        _sluice_unquote "${words[-1]}"
        COMPREPLY=()
        if [[ -z $before && -n $options && $text == --*=* ]]; then
                before=${text%%=*}
                text=${text#*=}
                mapfile -t COMPREPLY < <(compgen -P "$before=" -W "$(_sluice_values "$before")" -- "$text")
        elif [[ -n $before ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$(_sluice_values "$before")" -- "$text")
        elif [[ -z $sub && $text == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W '--help --version -h' -- "$text")
        elif [[ -z $sub ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$text")
        elif [[ -n $options && $text == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "$(_sluice_options "$sub")" -- "$text")
        else
                _sluice_name
        fi
        _sluice_answer
}
complete -F _sluice sluice
