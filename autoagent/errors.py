"""What goes to the person: one sentence and an exit code each."""


class AutoAgentError(Exception):
    """Something only the person can mend; `str()` is the line they read.

    `go_on` is a command line that goes on from here, ready to paste; "" when there is none.
    """

    exit_code = 1

    def __init__(self, message: str, *, go_on: str = "") -> None:
        super().__init__(message)
        self.go_on = go_on


class ConfigError(AutoAgentError):
    """Wrong usage or configuration."""

    exit_code = 2


class UnreachableError(AutoAgentError):
    """The model can't be reached or refuses: key, quota, unknown model."""

    exit_code = 5


class RefusedError(AutoAgentError):
    """It needed a person, or there is no sandbox."""

    exit_code = 6


class StateError(AutoAgentError):
    """A lock, a full disk, or damaged state."""

    exit_code = 8
