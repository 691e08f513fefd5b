"""One option of the command line."""


class Option:
    """One option. `kind` names its values (see `values.py`); "a|b" is a closed set of words.

    `key` is its name in TOML files, and in the environment with AUTOAGENT_ before it.
    """

    __slots__ = ("flags", "help", "key", "kind", "metavar")

    def __init__(self, flags: str, kind: str, metavar: str, help: str) -> None:
        self.flags = flags.split()
        self.key = next(f for f in self.flags if f.startswith("--"))[2:].replace("-", "_")
        self.kind = kind
        self.metavar = metavar or (kind if "|" in kind else "")
        self.help = help
