"""`actors completion bash|zsh|fish`: what a shell needs to complete the command's words.

The shell's part is a few lines: it hands the words of the line to `actors _complete`, which answers with candidates. So
there is one table of commands, and names of nodes, engines and messages are those of clusters that run. The parser's
own generator writes scripts of a thousand lines for each shell, which know nothing of clusters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

Shell = Literal["bash", "zsh", "fish"]

_BASH = """\
# In ~/.bashrc:  eval "$(actors completion bash)"
_actors() {
    local word rest
    COMPREPLY=()
    while IFS=$'\\t' read -r word rest; do
        case $word in
            :files) compopt -o filenames 2>/dev/null
                    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$2") ;;
            */ | *,) compopt -o nospace 2>/dev/null; COMPREPLY+=("$word") ;;
            ?*) COMPREPLY+=("$word") ;;
        esac
    done < <("$1" _complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _actors actors
"""
_ZSH = """\
# In ~/.zshrc, after compinit:  eval "$(actors completion zsh)"
_actors() {
    local line
    local -a found more
    for line in "${(@f)$("${words[1]}" _complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        case $line in
            (:files*) _files; return ;;
            (*/$'\\t'* | *,$'\\t'*) more+=("${line%%$'\\t'*}") ;;
            (?*) found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}") ;;
        esac
    done
    (( $#more )) && compadd -S '' -- $more
    (( $#found )) && _describe actors found
}
compdef _actors actors
"""
_FISH = """\
# In ~/.config/fish/config.fish:  actors completion fish | source
function __actors_complete
    set -l words (commandline -opc)
    for line in ($words[1] _complete $words[2..-1] (commandline -ct | string collect --allow-empty) 2>/dev/null)
        if string match -q ':files*' -- $line
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c actors -f -a '(__actors_complete)'
"""
SCRIPTS: dict[str, str] = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
_COMPLETE = "_complete"


def completion(shell: Annotated[Shell, Parameter(help="Which shell.")], /) -> None:
    """Print what a shell runs to complete words of this command; the first line says where to put it."""
    from actors.console.words import write

    write(SCRIPTS[shell].encode())


def answer(words: Sequence[str]) -> int:
    """Print the candidates for the last of these words, a line each: the word, a tab, what it is.

    Never an error: a shell has nowhere to show one.
    """
    from contextlib import suppress

    from actors.console.candidates import candidates
    from actors.console.words import write

    with suppress(Exception):
        write("".join(f"{one.word}\t{one.words}\n" for one in candidates(words)).encode())
    return 0
