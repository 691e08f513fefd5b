"""What a person at the prompt looks up: the changes so far, a result, the session as a file."""

from collections.abc import Mapping
from dataclasses import dataclass

from autoagent.configuration.secrets import Redactor
from autoagent.configuration.settings import Settings
from autoagent.state import State
from autoagent.terminal.plain import Voices, states_of


@dataclass(frozen=True, slots=True)
class Lookups:
    """Of the session that `view` shows."""

    settings: Settings
    view: Voices

    def changes(self, state: State, step: int | None) -> list[str]:
        """The difference that the session has made so far, or that step, and what it comes to."""
        from autoagent.subcommands.taking_back import difference_of

        clean = Redactor(self.settings.secrets).clean
        return [clean(line) for line in difference_of(self.settings.places, state, step)]

    def export(self, state: State, target: str) -> str:
        """The session so far in a new file; where."""
        from autoagent.subcommands.exporting import to_new_file

        assert state.started is not None
        return to_new_file(self.settings, state.started.session, target)

    def result(self, agent: str, step: int) -> str | None:
        """The whole text of what that step of an agent of the session brought."""
        from autoagent.sessions.tree import folder_of
        from autoagent.subcommands.showing import result_of

        started = self.view.main.state.started
        assert started is not None
        return result_of(folder_of(self.settings.places.sessions / started.session, agent), step)

    def states(self) -> Mapping[str, State]:
        """Where each agent stands, by its name."""
        return states_of(self.view)
