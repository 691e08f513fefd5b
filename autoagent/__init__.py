"""autoagent: an autonomous agent for the terminal, on any OpenAI-compatible model."""

TYPE_CHECKING = False  # typing itself takes longer to import than `--version` may
if TYPE_CHECKING:
    from autoagent.errors import AutoAgentError
    from autoagent.library import Outcome, open_session, outcome_of, run
    from commands.own.declaring import command

__all__ = ["AutoAgentError", "Outcome", "command", "open_session", "outcome_of", "run"]
__version__ = "0.1.0"

_PLACES = dict.fromkeys(("Outcome", "open_session", "outcome_of", "run"), "autoagent.library")
_PLACES |= {"AutoAgentError": "autoagent.errors", "command": "commands.own.declaring"}


def __getattr__(name: str) -> object:
    # Only when asked for: `autoagent --help` has no use for it.
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)
