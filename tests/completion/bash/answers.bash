# SPDX-License-Identifier: MIT
# answers.bash COMPLETIONS LINE...: what the completion offers at the end of each
# LINE, one answer per line. The words are split as bash splits them for it.
# shellcheck source=/dev/null
. "$1" || exit 1
shift
for line; do
        [[ $(complete -p sluice) =~ -F\ ([a-z_]+) ]] || exit 1
        COMP_LINE=$line COMP_POINT=${#line} COMP_WORDS=() word=
        for ((i = 0; i < COMP_POINT; i++)); do
                case ${line:i:1} in
                ' ')
                        [[ -z $word ]] || COMP_WORDS+=("$word")
                        word=
                        ;;
                [:=])
                        [[ -z $word || $word == [:=]* ]] || { COMP_WORDS+=("$word") && word=; }
                        word+=${line:i:1}
                        ;;
                *)
                        [[ $word != [:=]* ]] || { COMP_WORDS+=("$word") && word=; }
                        [[ ${line:i:1} != \\ ]] || word+=${line:i++:1}
                        word+=${line:i:1}
                        ;;
                esac
        done
        COMP_WORDS+=("$word")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        "${BASH_REMATCH[1]}" sluice "$word" "${COMP_WORDS[COMP_CWORD - 1]}"
        [[ ${#COMPREPLY[@]} -eq 0 ]] || printf '%s\n' "${COMPREPLY[@]}"
done
