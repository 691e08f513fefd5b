"""The command line: a table of options, and argv read by it."""

# Standing before every `--help`, so argparse is all that is imported: no dataclasses, no typing.
import argparse

from autoagent.configuration.option import Option
from autoagent.configuration.usage import ACTIONS, OWN, SUBCOMMANDS, WORDS
from autoagent.errors import ConfigError

_MISTYPED = 0.8  # likeness of a word to a subcommand

GROUPS: tuple[tuple[str, tuple[Option, ...]], ...] = (
    (
        "Goals",
        (
            Option("-g --goal", "lines", "TEXT", "a goal; one shot, no questions (repeatable)"),
            Option("--goal-file", "path", "F", "a goal from a file, taken whole"),
            Option("-i --interactive", "flag", "", "ask before each change, also with --goal"),
            Option("-c --continuous", "flag", "", "ask for the goals, then nothing more"),
            Option(
                "--resume", "resume", "[ID]", "go on with a session (the newest of this folder)"
            ),
            Option("--fork", "branch", "ID[@STEP]", "a branch of a session, after its last step"),
            Option("--verify", "lines", "CMD", "only if CMD succeeds, it is done (repeatable)"),
        ),
    ),
    (
        "Model",
        (
            Option("--model", "text", "NAME", "the model that thinks (gpt-5-mini)"),
            Option("--fast-model", "text", "NAME", "sums up what leaves the prompt (by rule)"),
            Option("--embedding-model", "text", "NAME", "for memory (text-embedding-3-small)"),
            Option("--base-url", "url", "URL", "an OpenAI-compatible server"),
            Option("--temperature", "temperature", "T", "0 to 2; the server's own if not given"),
            Option(
                "--effort",
                "none|minimal|low|medium|high|xhigh",
                "WORD",
                "how long it thinks: none, minimal, low, medium, high, xhigh",
            ),
            Option(
                "--window", "count", "TOKENS", "context window to work in (32k, or the model's)"
            ),
            Option("--price", "price", "IN,CACHED,OUT", "US dollars per million tokens"),
        ),
    ),
    (
        "Limits of the whole session",
        (
            Option("-l --max-steps --continuous-limit", "count", "N", "steps (100)"),
            Option("--max-cost", "usd", "USD", "money (3.00)"),
            Option("--max-tokens", "count", "N", "tokens sent and received (2,000,000)"),
            Option("--max-time", "duration", "TIME", "90, 90s, 30m, 2h, 1h30m (no limit)"),
        ),
    ),
    (
        "Cage",
        (
            Option("-w --workspace", "path", "DIR", "where the agent works (the current folder)"),
            Option("--protect", "inside", "PATH", "no command can change it (repeatable)"),
            Option("--allow-read", "paths", "PATH", "commands may also read this (repeatable)"),
            Option("--allow-write", "paths", "PATH", "commands may also write here (repeatable)"),
            Option("--allow-host", "hosts", "H", "commands may reach H or H:PORT (repeatable)"),
            Option("--allow-packages", "flag", "", "commands may reach pip's, uv's, npm's indexes"),
            Option("--network", "flag", "", "commands may reach every host"),
            Option("--pass-env", "names", "NAME", "commands see this variable (repeatable)"),
            Option("--sandbox", "auto|bubblewrap|landlock|none", "", "the kind of cage (auto)"),
            Option("--unsafe", "flag", "", "run even when there is no cage"),
            Option("--dry-run", "flag", "", "work on a copy; ends with the difference"),
        ),
    ),
    (
        "Memory, commands and settings",
        (
            Option("--memory", "memory", "NAME|none", "long-term memory (this folder's own)"),
            Option("--role", "role", "NAME|none", "works in that role (autoagent commands: which)"),
            Option("--commands", "paths", "FILE.py", "commands of your own (repeatable)"),
            Option("--disable", "names", "NAME", "a command to leave out (repeatable)"),
            Option("--env-file", "path", "F", "variables from F, in place of the folder's .env"),
            Option("--config", "path", "F", "settings from F, in place of autoagent.toml"),
            Option("-C --ai-settings", "path", "F", "goals, role, budget: Auto-GPT's own file"),
        ),
    ),
    (
        "Output",
        (
            Option("--output-format", "text|json|stream-json", "", "what stdout gets (text)"),
            Option("--answer-schema", "path", "FILE", "done only with an answer in JSON that fits"),
            Option("-o --output", "path", "FILE", "the answer into FILE, too (json: the object)"),
            Option("--log-file", "path", "F", "what -v shows, with the time, added to F"),
            Option("--on-end", "text", "CMD", "run at the end, the result object on its input"),
            Option("-q --quiet", "flag", "", "no progress on stderr"),
            Option("-v --verbose", "flag", "", "more of it"),
            Option("--color", "auto|always|never", "", "(auto)"),
            Option("--plain", "flag", "", "plain lines, also at a terminal"),
        ),
    ),
)
OPTIONS = {option.key: option for _, group in GROUPS for option in group}


def parse(argv: list[str]) -> argparse.Namespace:
    """What was typed, values still as text; ConfigError in one line when it can't be meant.

    `command` is run, help, version or a key of SUBCOMMANDS (help: `topic` is one of these or
    ""). `text` is TEXT or None, `reads_stdin` whether `-` stood there, `words` what followed a
    subcommand. Each option's key holds None, True, a string, or a list of strings.
    """
    if argv[:1] == ["help"] and (len(argv) == 1 or argv[1] in SUBCOMMANDS):
        return argparse.Namespace(command="help", topic="".join(argv[1:2]))
    command = argv[0] if argv and argv[0] in SUBCOMMANDS else "run"
    typed = argv if command == "run" else argv[1:]
    cut = typed.index("--") if "--" in typed else len(typed)
    try:
        given, loose = _parser(OWN.get(command, ())).parse_known_args(typed[:cut])
    except _Asked as asked:
        topic = command if command != "run" else ""
        return argparse.Namespace(command=asked.args[0], topic=topic)
    except argparse.ArgumentError as error:
        raise ConfigError(_misused(error)) from None
    unknown = [word for word in loose if word.startswith("-") and word != "-"]
    if unknown:
        raise ConfigError(_unknown(unknown[0]))
    given.command = command
    given.words = loose + typed[cut + 1 :]
    given.text, given.reads_stdin = None, False
    if command == "run":
        _read_text(given)
    else:
        _check_subcommand(given, separated=cut < len(typed))
    return given


def help_text(topic: str = "") -> str:
    """The page that `--help` prints, at most 100 columns; of a subcommand when named."""
    if topic:
        usage, summary, keys = SUBCOMMANDS[topic]
        lines = [f"autoagent {usage}: {summary}.", ""]
        if topic in ACTIONS:
            actions = ACTIONS[topic].items()
            lines += [*(f"  {n + a:<35}{what}" for n, (a, _, _, what) in actions), ""]
        keys = frozenset(OPTIONS) if keys is None else keys
    else:
        keys = frozenset(OPTIONS)
        lines = [*_HEAD, *(f"  autoagent {u:<26} {s}" for u, s, _ in SUBCOMMANDS.values()), ""]
    for title, group in (("Its own", OWN.get(topic, ())), *GROUPS):
        shown = [_help_line(o) for o in group if o.key in keys or title == "Its own"]
        lines += [f"{title}:", *shown, ""] if shown else []
    return "\n".join([*lines, *_FOOT])


_HEAD = (
    "Give it a goal, and it works on it by itself until the goal is reached, a limit is hit,",
    "or it says honestly that it can't be done.",
    "",
    "  autoagent [TEXT]                     a session at the prompt; TEXT is the goal (quote it)",
    "  autoagent --goal TEXT                one shot: never asks; `-` adds standard input",
)
_FOOT = (
    "  -h, --help                         this page, or `autoagent demo --help`",
    "  --version                          the version",
    "",
    "Each option is also AUTOAGENT_MAX_STEPS=… in the environment and max_steps = … in",
    "autoagent.toml. Exit codes: 0 done, 1 internal error, 2 usage, 3 gave up, 4 limit,",
    "5 model unreachable, 6 refused, 7 stuck, 8 state, 130 interrupted.",
)


def _help_line(option: Option) -> str:
    # The other names of an option are for those who know them; the page shows one long name.
    short = [flag for flag in option.flags if not flag.startswith("--")]
    long = next(flag for flag in option.flags if flag.startswith("--"))
    shown = f"{', '.join([*short, long])} {option.metavar}".rstrip()
    gap = "\n" + " " * 37 if len(shown) > 34 else " " * (35 - len(shown))
    return f"  {shown}{gap}{option.help}"


class _Asked(Exception):
    """`--help` or `--version` stood there: nothing else matters."""


class _Ask(argparse.Action):
    def __call__(self, *_: object) -> None:
        raise _Asked(self.dest)


def _parser(own: tuple[Option, ...]) -> argparse.ArgumentParser:
    # Without a width argparse imports shutil, only to ask the terminal for one.
    parser = argparse.ArgumentParser(
        add_help=False,
        allow_abbrev=False,
        exit_on_error=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=100),
    )
    parser.add_argument("-h", "--help", nargs=0, action=_Ask)
    parser.add_argument("--version", nargs=0, action=_Ask)
    # What a subcommand calls by the same name takes the place of the setting.
    for option in {**OPTIONS, **{option.key: option for option in own}}.values():
        if option.kind == "flag":
            parser.add_argument(*option.flags, dest=option.key, action="store_true", default=None)
        elif option.kind == "resume":
            parser.add_argument(*option.flags, dest=option.key, nargs="?", const="")
        else:
            repeats = option.kind in {"lines", "names", "paths", "inside", "hosts"}
            action = "append" if repeats else "store"
            parser.add_argument(*option.flags, dest=option.key, action=action)
    return parser


def _read_text(given: argparse.Namespace) -> None:
    if given.resume == "-":
        given.resume = ""
        given.words.append("-")
    given.reads_stdin = "-" in given.words
    texts = [word for word in given.words if word != "-"]
    if len(texts) > 1:
        said = " ".join(texts)[:60]
        raise ConfigError(f"The goal is one argument: put it in quotes, autoagent {said!r}.")
    if texts and texts[0] in SUBCOMMANDS:
        said = texts[0]
        raise ConfigError(
            f"{said!r} comes first (autoagent {said} …); as a goal, use --goal {said}."
        )
    given.text = texts[0] if texts else None
    if texts and texts[0].isalpha():
        _refuse_mistyped(texts[0])


def _refuse_mistyped(word: str) -> None:
    """ConfigError for a single word that is nearly a subcommand; nobody means it as a goal."""
    from difflib import get_close_matches

    near = get_close_matches(word.lower(), SUBCOMMANDS, 1, _MISTYPED)
    if near:
        raise ConfigError(
            f"There is no subcommand {word!r:.60}; did you mean {near[0]!r}? As a goal: "
            f"--goal {word}"
        )


def _check_subcommand(given: argparse.Namespace, *, separated: bool) -> None:
    keys = SUBCOMMANDS[given.command][2]
    own = {option.key for option in OWN.get(given.command, ())}
    for key in sorted(OPTIONS.keys() - own):
        option = OPTIONS[key]
        if keys is not None and getattr(given, key) is not None and key not in keys:
            flag = next(flag for flag in option.flags if flag.startswith("--"))
            page = f"autoagent {given.command} --help"
            raise ConfigError(f"{flag} doesn't go with `autoagent {given.command}`; see {page}.")
    words = given.words
    actions = ACTIONS.get(given.command)
    if given.command == "sandbox":
        wrong = not words or not separated
    elif actions is not None:
        _, least, most, _ = actions.get(words[0] if words else "", ("", 1, 0, ""))
        wrong = not least <= len(words) - 1 <= most
    else:
        least, most = WORDS.get(given.command, (0, 0))
        wrong = not least <= len(words) <= most
    if wrong:
        raise ConfigError(_written(given.command, words))


def _written(command: str, words: list[str]) -> str:
    """How it is written: an action alone where one was named."""
    usage, actions = SUBCOMMANDS[command][0], ACTIONS.get(command, {})
    least = WORDS.get(command, (0, 0))[0]
    if words and words[0] in actions:
        arguments, least, *_ = actions[words[0]]
        usage, actions, words = f"{command} {words[0]}{arguments}", {}, words[1:]
    # With too few words those that stand there aren't wrong.
    said = f", not {' '.join(words)!r:.60}" if len(words) >= max(least, 1) else ""
    forms = ", ".join(name + arguments for name, (arguments, *_) in actions.items())
    quoted = "; TEXT in quotes" if "TEXT" in f"{usage} {forms}" else ""
    more = f". ACTION: {forms}" if actions else ""
    return f"Write `autoagent {usage}`{said}{more}{quoted}."


def _unknown(word: str) -> str:
    from difflib import get_close_matches

    name = word.split("=")[0]
    names = [flag for option in OPTIONS.values() for flag in option.flags]
    near = get_close_matches(name, [*names, "--help", "--version"], 1, 0.75)
    hint = f"did you mean {near[0]}?" if near else "see autoagent --help."
    return f"There is no option {name!r:.80}; {hint}"


def _misused(error: argparse.ArgumentError) -> str:
    names = (error.argument_name or "").split("/")
    flag = next((name for name in names if name.startswith("--")), names[0])
    if "expected one argument" in error.message:
        every = (*OPTIONS.values(), *(option for own in OWN.values() for option in own))
        option = next(o for o in every if flag in o.flags)
        odd = f"{flag}=-x"
        return f"{flag} needs a value: {flag} {option.metavar} (one that starts with -: {odd})."
    if "ignored explicit argument" in error.message:
        return f"{flag} takes no value, but {error.message.split(' ', 3)[3]:.80} was given."
    return f"{flag}: {error.message}."
