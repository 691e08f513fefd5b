"""A person as an agent's thread sees them: each call becomes a question on a queue."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from autoagent.approval import Answer, Concern, Person
from autoagent.reply import Reply
from autoagent.wishes import Wish
from commands.cancel import Cancel


@dataclass(frozen=True, slots=True)
class Question:
    """Something that only the person can answer, in the thread that talks to them.

    `agent` is the name of the sub-agent that asks, "" the session's own agent.
    """

    put: Callable[[Person], object]
    agent: str = ""
    answer: "Future[object]" = field(default_factory=Future)

    def reply(self, value: object) -> None:
        """The first answer counts."""
        with suppress(InvalidStateError):
            self.answer.set_result(value)


class Relay:
    """The `Person` of one agent. Whoever takes a question answers it, at their end with None.

    What a person types unasked, their Ctrl-C and their wishes are for the session's own agent
    alone. A sub-agent that is to end waits for no answer: `cancel` is its own.
    """

    def __init__(
        self, put: Callable[[Question], None], agent: str = "", cancel: Cancel | None = None
    ) -> None:
        self._put = put
        self._agent = agent
        self._cancel = cancel

    def decide(self, step: int, reply: Reply, scope: str, concerns: Sequence[Concern]) -> Answer:
        answer = self._asked(lambda person: person.decide(step, reply, scope, concerns))
        return answer if isinstance(answer, Answer) else Answer(None)

    def ask(self, question: str) -> str:
        answer = self._asked(lambda person: person.ask(question))
        return answer if isinstance(answer, str) else ""

    def heard(self) -> list[str]:
        answer = [] if self._agent else self._asked(lambda person: person.heard())
        return answer if isinstance(answer, list) else []

    def wishes(self) -> list[Wish]:
        answer = [] if self._agent else self._asked(lambda person: person.wishes())
        return answer if isinstance(answer, list) else []

    def wants_room(self) -> bool:
        return not self._agent and self._asked(lambda person: person.wants_room()) is True

    def interrupted(self, heeded: Callable[[], None]) -> str | None:
        answer = None if self._agent else self._asked(lambda person: person.interrupted(heeded))
        return answer if isinstance(answer, str) else None

    def _asked(self, put: Callable[[Person], object]) -> object:
        question = Question(put, self._agent)
        self._put(question)
        with ExitStack() as stack:
            if self._cancel is not None:
                stack.enter_context(self._cancel.calling(lambda: question.reply(None)))
            return question.answer.result()
