"""The scripts by which shells ask `jobkeep __complete`: what they have in common is on its side."""

from __future__ import annotations

BASH = r"""# bash completion of jobkeep (bash 4.4 or newer)
_jobkeep() {
    local words=() at=() i word glue rest=$COMP_LINE
    # Readline also cuts words at = : and @, where the shell will not.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        glue=
        if [[ $i -gt 0 && $rest != [[:space:]]* ]]; then
            if [[ $word == [=:@]* || ${COMP_WORDS[i-1]} == *[=:@] ]]; then glue=1; fi
        fi
        rest=${rest#"${rest%%[![:space:]]*}"}
        rest=${rest#"$word"}
        if [[ $glue ]]; then words[-1]+=$word; else words+=("$word"); at+=("$i"); fi
    done
    local typed=${words[-1]} value about cut
    cut=${typed%"${COMP_WORDS[COMP_CWORD]##[=:@]}"}
    COMPREPLY=()
    while IFS=$'\t' read -r value about; do
        case $value in
            :files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "${typed#"$cut"}") ;;
            :folders) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "${typed#"$cut"}") ;;
            :command*) _jobkeep_command "${value#:command }" ;;
            *) COMPREPLY+=("${value#"$cut"}") ;;
        esac
    done < <("${1/#\~/$HOME}" __complete "${words[@]:1}" 2>/dev/null)
}
_jobkeep_command() {
    local first=${at[$1]:-$COMP_CWORD}
    if declare -F _comp_command_offset >/dev/null; then _comp_command_offset "$first"
    elif declare -F _command_offset >/dev/null; then _command_offset "$first"
    elif ((first == COMP_CWORD)); then mapfile -t COMPREPLY < <(compgen -c -- "$typed")
    else compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$typed")
    fi
}
complete -o nosort -F _jobkeep jobkeep
"""

ZSH = r"""#compdef jobkeep
# zsh completion of jobkeep
_jobkeep() {
    local -a lines found
    local line
    lines=("${(@f)$(${(Q)words[1]/#\~/$HOME} __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    case $lines[1] in
        (:files) [[ $PREFIX == --*=* ]] && compset -P 1 '*='; _files; return ;;
        (:folders) [[ $PREFIX == --*=* ]] && compset -P 1 '*='; _files -/; return ;;
        (:command*) shift ${lines[1]#:command } words; (( CURRENT -= ${lines[1]#:command } )); _normal; return ;;
    esac
    for line in $lines; do
        [[ -n $line ]] && found+=("${${line%%$'\t'*}//:/\\:}${${(M)line:#*$'\t'*}:+:${line#*$'\t'}}")
    done
    _describe -V jobkeep found
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _jobkeep "$@"; else compdef _jobkeep jobkeep; fi
"""

FISH = r"""# fish completion of jobkeep
function __jobkeep_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines ($words[1] __complete $words[2..] 2>/dev/null)
    set -l option (string match -r -- '^--[^=]*=' $words[-1])
    set -l path (string replace -- "$option" '' $words[-1])
    switch "$lines[1]"
        case :files
            printf "$option%s\n" (__fish_complete_path $path)
        case :folders
            printf "$option%s\n" (__fish_complete_directories $path)
        case ':command *'
            set -l begin (math (string replace ':command ' '' -- $lines[1]) + 1)
            complete -C (string join ' ' -- (string escape -- $words[$begin..-2]) $words[-1])
        case '*'
            printf '%s\n' $lines
    end
end
complete -c jobkeep -f -k -a '(__jobkeep_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
