"""A model that plays a script, for the demonstration and for tests."""

from collections.abc import Callable, Iterable, Sequence
from typing import Self

from autoagent.model import (
    Cancelled,
    Completion,
    Embedded,
    Finish,
    Format,
    Message,
    ModelCard,
    Rejected,
    Usage,
)
from autoagent.tokens import estimate
from commands.cancel import Cancel


class Scripted:
    """Answers with the given texts in order, whatever it is asked; then it refuses.

    `prompts` keeps what it was asked. Its tokens are our own count and cost nothing.
    """

    embeds = False

    def __init__(self, answers: Iterable[str], *, window: int = 32_000) -> None:
        self._answers = list(answers)
        self._window = window
        self.prompts: list[tuple[Message, ...]] = []

    @property
    def card(self) -> ModelCard:
        return ModelCard("scripted", window=self._window)

    def complete(
        self,
        messages: Sequence[Message],
        *,
        cap: int,
        cancel: Cancel,
        format: Format = "text",
        hear: Callable[[str], None] | None = None,
    ) -> Completion:
        """The next text, heard in one piece; Rejected when there is none left."""
        if cancel.reason is not None:
            raise Cancelled("cancelled")
        self.prompts.append(tuple(messages))
        if len(self.prompts) > len(self._answers):
            raise Rejected("The script has no more answers.")
        text = self._answers[len(self.prompts) - 1]
        if hear is not None:
            hear(text)
        prompt = sum(estimate(message.content) for message in messages)
        usage = Usage(prompt, estimate(text), cost=0.0, estimated=True)
        finish: Finish = "length" if usage.completion > cap else "stop"
        return Completion(text, finish, usage, "scripted")

    def embed(self, texts: Sequence[str], *, cancel: Cancel) -> Embedded | None:
        """None: a script has no embeddings."""
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""
