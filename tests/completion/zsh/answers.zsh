# SPDX-License-Identifier: MIT
# answers.zsh COMPLETIONS LINE...: of each LINE, what pressing TAB at its end in
# an interactive shell makes of it, and below that, indented, all that was
# offered. A newline is shown as \n.
zmodload zsh/zpty zsh/zselect
completions=$1
shift
export answers=$PWD/answers
>setup <<'SETUP'
PS1=
fpath=($completions $fpath)
autoload -U compinit && compinit -D -u
zstyle ':completion:*' list-prompt ''
LISTMAX=-1
compadd() {
        local -a offered
        if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
                builtin compadd -O offered "$@"
                (( ! $#offered )) || print -rl -- "    "${^offered//$'\n'/\\n} >>$answers.offered
        fi
        builtin compadd "$@"
}
probe() {
        : >$answers.offered
        zle complete-word
        print -r -- "${BUFFER//$'\n'/\\n}|" >$answers.new
        sort -u $answers.offered >>$answers.new
        BUFFER=
        mv $answers.new $answers
}
zle -N probe
bindkey '^T' probe
: >$answers
SETUP

# await: until the shell inside has answered.
await() {
        local -i tries
        local output
        until [[ -e $answers ]]; do
                zpty -r -t shell output # so that it never waits for a reader
                zselect -t 2
                ((++tries < 1000)) || return 1
        done
}

zpty shell "completions=${(q)completions} zsh -f -i" || exit 1
zpty -w shell 'source ./setup'
await || exit 1
for line; do
        rm -f $answers
        zpty -w -n shell "$line"$'\x14'
        await || exit 1
        cat $answers
done
zpty -d shell
