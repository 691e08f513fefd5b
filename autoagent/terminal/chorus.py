"""The agents of a session on one screen, each with its own voice."""

from collections.abc import Callable
from typing import Generic, TypeVar

from autoagent.terminal.escape import one_line
from autoagent.terminal.output import Output

Voice = TypeVar("Voice")

_LONGEST_NAME = 70  # columns; of one beneath another


class Chorus(Generic[Voice]):
    """A voice for each agent, made when it is first heard. That of the session's own agent
    stands at the margin, each line of a sub-agent's behind its name."""

    def __init__(self, out: Output, voice: Callable[[Output, str], Voice]) -> None:
        self._out = out
        self._voice = voice
        self._voices = {"": voice(out, "")}

    @property
    def main(self) -> Voice:
        """That of the session's own agent."""
        return self._voices[""]

    def of(self, agent: str) -> Voice:
        if agent not in self._voices:
            out = self._out.behind(one_line(agent, _LONGEST_NAME))
            self._voices[agent] = self._voice(out, agent)
        return self._voices[agent]

    @property
    def voices(self) -> dict[str, Voice]:
        """By the agent."""
        return dict(self._voices)
