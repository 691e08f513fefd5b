"""The session of an earlier run that this one goes on with, or branches off."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autoagent import sessions
from autoagent.configuration import places
from autoagent.configuration.values import from_text
from autoagent.errors import ConfigError
from autoagent.terminal.escape import one_line
from autoagent.terminal.output import Output


@dataclass(frozen=True, slots=True)
class Earlier:
    """The session that a run goes on with, or begins a branch of, after that step."""

    session: sessions.Kept
    is_branched: bool
    step: int | None

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to go on with but one goal more."""
        from autoagent.sessions.summary import summary

        return not self.is_branched and summary(self.session.folder).status == "done"

    def tell(self, out: Output) -> None:
        """What was reached, before one asks for more."""
        from autoagent.sessions.summary import summary

        goals = "; ".join(summary(self.session.folder).goals)
        text = f"Session {self.session.folder.name} is done: {goals}"
        out.line(one_line(text, out.width - 1), "dim")


def earlier(given: argparse.Namespace, environ: Mapping[str, str]) -> Earlier | None:
    """The session of --resume or --fork; it brings its workspace along."""
    meant = _meant(given, environ)
    if meant is None:
        return None
    option, text = meant
    wanted, step = from_text("branch", text, option) if option == "--fork" else (text, None)
    cwd = Path.cwd()
    named = given.workspace or environ.get("AUTOAGENT_WORKSPACE")
    folder = Path(named).resolve() if named else cwd
    found = sessions.find(places.find(environ, cwd=cwd).sessions, wanted, folder)
    if given.workspace and str(folder) != found.started.workspace:
        raise ConfigError(
            f"Session {found.folder.name} works in {found.started.workspace!r}, not in "
            f"{str(folder)!r}; leave --workspace out."
        )
    given.workspace = found.started.workspace
    return Earlier(found, option == "--fork", step)


def _meant(given: argparse.Namespace, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """--resume or --fork with its value, typed rather than of the environment; None: neither."""
    typed = {"--fork": given.fork, "--resume": given.resume}
    variables = {"--fork": "AUTOAGENT_FORK", "--resume": "AUTOAGENT_RESUME"}
    usual = {option: environ.get(name) or None for option, name in variables.items()}
    for values in (typed, usual):
        found = [(option, text) for option, text in values.items() if text is not None]
        if len(found) > 1:
            raise ConfigError("--fork begins a new session, --resume goes on with one: give one.")
        if found:
            return found[0]
    return None
