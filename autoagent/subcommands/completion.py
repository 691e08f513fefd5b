"""`autoagent completion SHELL`: a script made from the table of options."""

import re

from autoagent.configuration.option import Option
from autoagent.configuration.options import OPTIONS
from autoagent.configuration.usage import ACTIONS, OWN, SUBCOMMANDS
from autoagent.errors import ConfigError

_STANDING = ("--help", "--version")
_SHIPPED_ROLES = "coder researcher reviewer tester none"


def script(shell: str) -> str:
    """The completion script for that shell; ConfigError names the shells there are."""
    match shell:
        case "bash":
            return _BASH.replace("@BODY@", _body())
        case "zsh":
            return _ZSH.replace("@BODY@", _body())
        case "fish":
            return "\n".join([_FISH, *_fish_lines()])
    raise ConfigError(f"There is no completion for {shell!r:.40}; give bash, zsh or fish.")


def _wants(text: str) -> str:
    """What completes a value that is written as `text`: closed words, or a kind of name."""
    if re.search(r"\bID\b", text):
        return "sessions"
    if re.search(r"\b(F|FILE)\b", text):
        return "files"
    if re.search(r"\bDIR\b", text):
        return "folders"
    return "files" if re.search(r"\bPATH\b", text) else ""


def _value(option: Option) -> tuple[str, tuple[str, ...]]:
    """How the option's value is completed, and the words when they are a closed set."""
    if "|" in option.kind:
        return "words", tuple(option.kind.split("|"))
    if option.kind == "role":
        return "roles", ()
    return _wants(option.metavar), ()


def _of(command: str) -> tuple[Option, ...]:
    """The options that go with a subcommand; "" is a run."""
    keys = SUBCOMMANDS[command][2] if command else None
    usual = [each for key, each in OPTIONS.items() if keys is None or key in keys]
    return (*OWN.get(command, ()), *usual)


def _long(option: Option) -> str:
    return next(flag for flag in option.flags if flag.startswith("--"))


def _all_options() -> list[Option]:
    """Each option once: the same name has the same kind of value wherever it stands."""
    own = {_long(each): each for options in OWN.values() for each in options}
    return [*OPTIONS.values(), *own.values()]


def _arguments(command: str, action: str = "") -> tuple[str, tuple[str, ...]]:
    """How a word of a subcommand is completed, as `_value` says it of an option's."""
    usage = ACTIONS[command][action][0] if action else SUBCOMMANDS[command][0]
    closed = re.search(r"\w+(\|\w+)+", usage)
    if closed:
        return "words", tuple(closed[0].split("|"))
    wants = _wants(usage)
    # What `memory delete` takes is a memory's number.
    return ("", ()) if command == "memory" and wants == "sessions" else (wants, ())


def _call(wants: str, words: tuple[str, ...]) -> str:
    return " ".join([f"_autoagent_{wants or 'nothing'}", *words])


def _body() -> str:
    """What bash and zsh share. `before` is the word before the present one, `command` the
    subcommand or "", `action` the word after it."""
    lines = ['case "$before" in']
    for option in _all_options():
        if option.kind not in ("flag", "resume"):
            lines.append(f"    {'|'.join(option.flags)}) {_call(*_value(option))}; return ;;")
    optional = [flag for each in OPTIONS.values() if each.kind == "resume" for flag in each.flags]
    taken = f"    {'|'.join(optional)}) [[ $word == -* ]] || {{ _autoagent_sessions; return; }} ;;"
    lines += [taken, "esac", 'case "$command:$word" in']
    for command in (*SUBCOMMANDS, ""):
        flags = [_long(option) for option in _of(command)]
        lines.append(f"    {command}:-*) {_call('words', (*flags, *_STANDING))}; return ;;")
    lines += ["esac", 'case "$command:$action" in']
    for command in SUBCOMMANDS:
        for action in ACTIONS.get(command, ()):
            lines.append(f"    {command}:{action}) {_call(*_arguments(command, action))} ;;")
        rest = _call("words", tuple(ACTIONS[command])) if command in ACTIONS else ""
        rest = rest or ("_autoagent_files" if command == "sandbox" else _call(*_arguments(command)))
        lines.append(f"    {command}:*) {rest} ;;")
    lines += [f"    :*) [[ -n $first ]] && {_call('words', tuple(SUBCOMMANDS))} ;;", "esac"]
    return "\n".join(f"    {line}" for line in lines)


# Of files' names: what a role's file calls it is known to the program alone.
_ROLES = (
    ".agents/agents",
    "${AUTOAGENT_HOME:-${XDG_CONFIG_HOME:-$HOME/.config}/autoagent}/agents",
)
_FOLDER = """${AUTOAGENT_HOME:-${XDG_STATE_HOME:-$HOME/.local/state}/autoagent}/sessions"""
_NOW = """
    if [[ " @NAMES@ " == *" $command "* ]]; then
        [[ -n $first ]] && command=
    else
        command=
    fi
    [[ -n $command ]] || action=
    # What follows -- is no option of ours.
    if [[ $earlier == *" -- "* ]]; then
        [[ $command != sandbox ]] || _autoagent_files
        return
    fi""".replace("@NAMES@", " ".join(SUBCOMMANDS))

_BASH = (
    """# bash completion for autoagent. In ~/.bashrc:  source <(autoagent completion bash)
_autoagent_words() { mapfile -t COMPREPLY < <(compgen -W "$*" -- "$word"); }
_autoagent_files() { compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word"); }
_autoagent_folders() { compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$word"); }
_autoagent_nothing() { COMPREPLY=(); }
_autoagent_sessions() {
    local each names=()
    for each in """
    + f'"{_FOLDER}"'
    + """/*/; do
        each=${each%/}
        [[ $each == */'*' ]] || names+=("${each##*/}")
    done
    _autoagent_words "${names[@]}"
}
_autoagent_roles() {
    local each names=("""
    + _SHIPPED_ROLES
    + """)
    for each in """
    + f'{_ROLES[0]}/*.md "{_ROLES[1]}"/*.md'
    + """; do
        each=${each##*/}
        each=${each%.md}
        # compgen would run what stands in $( ) in a name.
        [[ $each =~ ^[A-Za-z0-9][A-Za-z0-9_-]*$ ]] && names+=("$each")
    done
    _autoagent_words "${names[@]}"
}
_autoagent() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    local command=${COMP_WORDS[1]} action= first=
    COMPREPLY=()
    (( COMP_CWORD == 1 )) && first=yes
    (( COMP_CWORD > 2 )) && action=${COMP_WORDS[2]}
    local earlier=" ${COMP_WORDS[*]:1:COMP_CWORD-1} "
    # --option=value comes as three words.
    if [[ $word == = ]]; then
        word=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD-2]}
    fi"""
    + _NOW
    + """
@BODY@
}
complete -F _autoagent autoagent"""
)

_ZSH = (
    """#compdef autoagent
# zsh completion for autoagent. In ~/.zshrc, after compinit:  source <(autoagent completion zsh)
_autoagent_words() { compadd -- "$@"; }
_autoagent_files() { _files; }
_autoagent_folders() { _files -/; }
_autoagent_nothing() { return 1; }
_autoagent_sessions() {
    local -a names
    names=("""
    + f'"{_FOLDER}"'
    + """/*(N/:t))
    (( $#names )) && compadd -- $names
}
_autoagent_roles() {
    local -a names
    names=("""
    + f'{_ROLES[0]}/*.md(N:t:r) "{_ROLES[1]}"/*.md(N:t:r)'
    + """)
    compadd -- """
    + _SHIPPED_ROLES
    + """ ${names:#*[^A-Za-z0-9_-]*}
}
_autoagent() {
    local word=$PREFIX before=$words[CURRENT-1] command=$words[2] action= first=
    (( CURRENT == 2 )) && first=yes
    (( CURRENT > 3 )) && action=$words[3]
    local earlier=" $words[2,CURRENT-1] "
    if [[ $word == --*=* ]]; then
        before=${word%%=*}
        compset -P 1 '*='
        word=$PREFIX
    fi"""
    + _NOW
    + """
@BODY@
}
if [[ $funcstack[1] == _autoagent ]]; then _autoagent "$@"; else compdef _autoagent autoagent; fi"""
)

_FISH = (
    """# fish completion for autoagent: autoagent completion fish > \
~/.config/fish/completions/autoagent.fish
function __autoagent_sessions
    set -l folder $AUTOAGENT_HOME
    test -n "$folder"; or set folder (test -n "$XDG_STATE_HOME"; and echo $XDG_STATE_HOME; \
or echo ~/.local/state)/autoagent
    command ls -1r $folder/sessions 2>/dev/null
end
function __autoagent_roles
    set -l folder $AUTOAGENT_HOME
    test -n "$folder"; or set folder (test -n "$XDG_CONFIG_HOME"; and echo $XDG_CONFIG_HOME; \
or echo ~/.config)/autoagent
    for each in """
    + _SHIPPED_ROLES
    + """ .agents/agents/*.md $folder/agents/*.md
        set -l name (string replace -r '.*/' '' -- $each | string replace -r '\\.md$' '')
        string match -rq '^[A-Za-z0-9][A-Za-z0-9_-]*$' -- $name; and echo $name
    end
end
function __autoagent_in
    set -l words (commandline -opc)
    set -l command run
    contains -- "$words[2]" @NAMES@; and set command $words[2]
    test "$command" = "$argv[1]"; or return 1
    test (count $argv) -lt 2; and return 0
    test "$words[3]" = "$argv[2]"
end
function __autoagent_first
    test (count (commandline -opc)) -eq $argv[1]
end
complete -c autoagent -f
complete -c autoagent -l help -s h -d 'this page'
complete -c autoagent -l version -d 'the version'"""
).replace("@NAMES@", " ".join(SUBCOMMANDS))

_FISH_VALUES = {
    "sessions": "-x -a '(__autoagent_sessions)'",
    "roles": "-x -a '(__autoagent_roles)'",
    "files": "-r -F",
    "folders": "-x -a '(__fish_complete_directories)'",
    "": "-x",
}


def _fish_lines() -> list[str]:
    lines = []
    for command, (_, summary, _) in SUBCOMMANDS.items():
        where = "-n '__autoagent_first 1'"
        lines.append(f"complete -c autoagent {where} -a {command} -d {_quoted(summary)}")
    for command in (*SUBCOMMANDS, ""):
        where = f"-n '__autoagent_in {command or 'run'}'"
        lines += [f"complete -c autoagent {where} {_fish_option(each)}" for each in _of(command)]
    for command in SUBCOMMANDS:
        lines += _fish_arguments(command)
    return lines


def _fish_option(option: Option) -> str:
    short = [f"-s {flag[1:]}" for flag in option.flags if not flag.startswith("--")]
    value = ""
    if option.kind != "flag":
        wants, words = _value(option)
        value = f"-x -a '{' '.join(words)}'" if words else _FISH_VALUES[wants]
    parts = (f"-l {_long(option)[2:]}", *short, value, f"-d {_quoted(option.help)}")
    return " ".join(filter(None, parts))


def _fish_arguments(command: str) -> list[str]:
    lines = []
    for action, (_, _, _, told) in ACTIONS.get(command, {}).items():
        here = f"-n '__autoagent_in {command}; and __autoagent_first 2'"
        lines.append(f"complete -c autoagent {here} -a {action} -d {_quoted(told)}")
        lines += _fish_words(f"{command} {action}", _arguments(command, action))
    if command not in ACTIONS:
        lines += _fish_words(command, _arguments(command))
    return lines


def _fish_words(where: str, argument: tuple[str, tuple[str, ...]]) -> list[str]:
    wants, words = argument
    if not wants:
        return []
    value = f"-a '{' '.join(words)}'" if words else _FISH_VALUES[wants].replace("-r ", "")
    return [f"complete -c autoagent -n '__autoagent_in {where}' {value.replace('-x ', '')}"]


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
