"""The model of a session, in whose place a person may put another one of the same server."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from queue import SimpleQueue
from threading import Thread
from typing import Self

from autoagent.errors import AutoAgentError, ConfigError
from autoagent.events import Limits
from autoagent.model import Cancelled, Completion, Embedded, Format, Message, Model, ModelCard
from autoagent.models.choosing import Chosen
from autoagent.models.making import OpenModel
from commands.cancel import Cancel


class Switching:
    """An `OpenModel` that passes each call on to the client `now`.

    `choose` looks another model up by its name, within these limits, and says in a ConfigError
    why it can't be had; `make` makes its client. Clients stay open until this is closed: a
    sub-agent that began with one goes on with it.
    """

    def __init__(
        self,
        client: OpenModel,
        choose: Callable[[str, Limits], Chosen],
        make: Callable[[Chosen], OpenModel],
    ) -> None:
        self.now: Model = client
        self._client = client
        self._choose = choose
        self._make = make
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self._client)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def card(self) -> ModelCard:
        return self.now.card

    @property
    def embeds(self) -> bool:
        return self._client.embeds

    def complete(
        self,
        messages: Sequence[Message],
        *,
        cap: int,
        cancel: Cancel,
        format: Format = "text",
        hear: Callable[[str], None] | None = None,
    ) -> Completion:
        return self.now.complete(messages, cap=cap, cancel=cancel, format=format, hear=hear)

    def embed(self, texts: Sequence[str], *, cancel: Cancel) -> Embedded | None:
        return self._client.embed(texts, cancel=cancel)

    def chosen(self, name: str, limits: Limits, cancel: Cancel) -> Chosen:
        """What is known of that model; ConfigError when it can't be had, Cancelled when that
        takes longer than somebody waits: its server may have to load it."""
        found: SimpleQueue[Chosen | AutoAgentError | None] = SimpleQueue()

        def look_up() -> None:
            try:
                found.put(self._choose(name, limits))
            except AutoAgentError as error:
                found.put(error)
            finally:
                found.put(None)  # whatever happened, nobody waits for ever

        Thread(target=look_up, name=f"looks {name} up", daemon=True).start()
        with cancel.calling(lambda: found.put(None)):
            outcome = found.get()
        if outcome is None:
            raise Cancelled("cancelled")
        if isinstance(outcome, AutoAgentError):
            raise outcome
        return outcome

    def put(self, chosen: Chosen) -> None:
        """It answers from now on."""
        self.now = self._stack.enter_context(self._make(chosen))


def fixed(model: Model) -> Model:
    """The client that answers now, whatever is put in its place later."""
    return model.now if isinstance(model, Switching) else model


def another(model: Model, name: str, limits: Limits, least: int, cancel: Cancel) -> Chosen:
    """Put the model of that name in the place of the one that answers now.

    ConfigError, and nothing changes, where it can't be had or can't hold `least` tokens.
    """
    if not isinstance(model, Switching):
        raise ConfigError("The model of this run was given to it and can't be changed.")
    chosen = model.chosen(name, limits, cancel)
    if chosen.window < least:
        raise ConfigError(
            f"The window of {name} is {chosen.window:,} tokens, and what must stay in the prompt "
            f"needs {least:,}; the model stays {model.card.name}."
        )
    model.put(chosen)
    return chosen
