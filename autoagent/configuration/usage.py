"""The subcommands: how each is written, and which options go with it."""

from autoagent.configuration.option import Option

_FORCE = Option("--force", "flag", "", "also what was changed since")
OWN: dict[str, tuple[Option, ...]] = {
    "undo": (
        Option("--to", "text", "STEP", "as it was after that step; 0: before the first"),
        _FORCE,
    ),
    "diff": (Option("--step", "text", "N", "what that step changed alone"),),
    "apply": (_FORCE,),
    "sessions": (
        Option("--status", "text", "WORD", "only those: running, done, limit, died, … (list)"),
        Option("--since", "text", "TIME", "used within 90m, 12h, 7d, 4w (list)"),
        Option("--tail", "flag", "", "from the last step on (follow)"),
        Option("--speed", "text", "N", "N times faster (replay)"),
        Option("--at-once", "flag", "", "without pauses (replay)"),
        Option("--run", "flag", "", "its commands again, in a folder of their own (replay)"),
        Option("--into", "text", "DIR", "that folder: new or empty (replay --run)"),
        Option("--copy", "flag", "", "with what the workspace holds now (replay --run)"),
        Option("--format", "markdown|json|chat", "FORM", "markdown, json or chat (export)"),
        Option("-o --output", "text", "FILE", "to a new file (export)"),
        Option("--dry-run", "flag", "", "only say what would leave (prune)"),
    ),
    "memory": (Option("--session", "text", "ID", "of that session only (list, search)"),),
}
"""Of a subcommand alone: what it does, not a setting."""

_SEEN = frozenset({"quiet", "verbose", "color", "plain"})
_DATA = _SEEN | {"output_format"}
_PLAIN = frozenset({"color", "plain"})
SETTINGS = frozenset({"workspace", "config", "env_file"})
CAGE = SETTINGS | {
    "protect",
    "allow_read",
    "allow_write",
    "allow_host",
    "allow_packages",
    "network",
    "pass_env",
    "sandbox",
    "unsafe",
}
_OWN = frozenset({"commands", "role", "disable", "allow_write", "pass_env", "sandbox"})
SUBCOMMANDS: dict[str, tuple[str, str, frozenset[str] | None]] = {
    "demo": (
        "demo",
        "a scripted session with real commands; no key",
        _SEEN | {"sandbox", "unsafe"},
    ),
    "trust": ("trust", "let this folder's .env, autoagent.toml and roles count", SETTINGS | _SEEN),
    "commands": ("commands", "what the agent can do, in which roles", SETTINGS | _DATA | _OWN),
    "sandbox": ("sandbox -- CMD", "run CMD in the cage", CAGE | _SEEN),
    "doctor": (
        "doctor",
        "is everything in place, and what to do",
        CAGE | _SEEN | {"model", "base_url"},
    ),
    "tell": ("tell ID TEXT", "say something to a running agent", _PLAIN),
    "stop": ("stop ID", "end a running session in order", _PLAIN),
    "undo": ("undo [ID]", "take back the last change of a session", SETTINGS | _SEEN),
    "diff": ("diff [ID]", "what a session changed", SETTINGS | _SEEN),
    "apply": ("apply ID", "bring in what a dry run changed", SETTINGS | _SEEN),
    "memory": (
        "memory ACTION",
        "list, search, add, delete, trust, export, import, reembed",
        SETTINGS | _DATA | {"memory", "embedding_model", "base_url", "max_cost", "max_tokens"},
    ),
    "config": ("config", "every setting, its value, where it came from", None),
    "completion": ("completion bash|zsh|fish", "what a shell needs to complete", frozenset()),
    "sessions": ("sessions ACTION", "past and running sessions", CAGE | _DATA),
}
"""By name: how it is written, what it does, the options that go with it; None: all."""

WORDS = {
    "tell": (2, 2),
    "stop": (0, 1),
    "undo": (0, 1),
    "diff": (0, 1),
    "apply": (1, 1),
    "completion": (1, 1),
}
"""How many words may follow one of them; none where it isn't named."""

ACTIONS: dict[str, dict[str, tuple[str, int, int, str]]] = {
    "memory": {
        "list": ("", 0, 0, "all, oldest first"),
        "search": (" TEXT", 1, 1, "what shares words with TEXT; no server is asked"),
        "add": (" TEXT", 1, 1, "a note of yours"),
        "delete": (" ID…", 1, 10_000, "for good; says where the text still stands"),
        "trust": (" ID…", 1, 10_000, "take the label of the web off; you have read them"),
        "export": (" [FILE]", 0, 1, "JSON Lines with vectors, to FILE or standard output"),
        "import": (" FILE", 1, 1, "an export; `-` is standard input"),
        "reembed": ("", 0, 0, "vectors by the present embedding model; costs money"),
    },
    "sessions": {
        "list": ("", 0, 0, "all, newest first; -w DIR: of that folder only"),
        "show": (" [ID]", 0, 1, "one from top to end; -v: whole results"),
        "follow": (" [ID]", 0, 1, "a running one live, until it ends"),
        "replay": (" [ID]", 0, 1, "one again with its timing; --run: its commands"),
        "export": (" [ID]", 0, 1, "one as Markdown, JSON, or chats for training"),
        "delete": (" ID…", 1, 10_000, "for good; says what remains elsewhere"),
        "prune": ("", 0, 0, "removes what is older than keep_days, more than keep_size"),
    },
}
"""What may be done with some of them: its arguments, how many, what it does."""
