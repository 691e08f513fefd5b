"""The clients of the models that work in a run."""

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, Self

from autoagent.configuration.settings import Settings
from autoagent.events import Limits
from autoagent.model import Model, ModelCard
from autoagent.models.catalog import OPENAI_URL, look_up
from autoagent.models.choosing import Chosen
from autoagent.models.learned import Learned
from commands.command import CommandError

if TYPE_CHECKING:
    from autoagent.models.openai_model import OpenAIModel


class OpenModel(Model, Protocol):
    """A model that is closed with its session."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


def make_model(settings: Settings, pick: Chosen, session: str, learned: Learned) -> "OpenAIModel":
    """The client of the chosen model; its import begins in the background at once."""
    return _client(
        settings,
        pick.model,
        pick.base_url,
        learned,
        embedding_model=settings.embedding_model,
        temperature=settings.temperature,
        effort=settings.effort,
        session=session,
        card=pick.card,
    )


def make_embedder(settings: Settings, base_url: str | None, learned: Learned) -> "OpenAIModel":
    """A client for embeddings alone."""
    model = settings.embedding_model
    return _client(settings, settings.model, base_url, learned, embedding_model=model)


def _client(
    settings: Settings, name: str, base_url: str | None, learned: Learned, **more: Any
) -> "OpenAIModel":
    from autoagent.models.openai_model import OpenAIModel

    return OpenAIModel(
        name=name,
        base_url=base_url,
        api_key=settings.api_key,
        organization=settings.organization,
        timeout_s=settings.model_timeout_s,
        learned=learned,
        azure=settings.azure,
        azure_version=settings.azure_version,
        **more,
    )


def make_fast_model(
    settings: Settings, pick: Chosen, session: str, learned: Learned, stack: ExitStack
) -> tuple[Model | None, list[str]]:
    """The client of the model that sums up, None where none was named, and a line for the
    person where it can't be paid within the limits."""
    name = settings.fast_model
    if name is None:
        return None, []
    card = pick.card if name == pick.model else _card(name, pick, learned)
    if card.price is None and pick.limits.cost is not None:
        return None, [
            f"The price of {name} is unknown, so within a money limit it isn't asked: what "
            "leaves the prompt is summed up by rule."
        ]
    model = _client(settings, name, pick.base_url, learned, session=session, card=card)
    return stack.enter_context(model), []


def make_other_model(
    settings: Settings, pick: Chosen, name: str, session: str, learned: Learned, limits: Limits
) -> "OpenAIModel":
    """The client of the model that a role names; CommandError where it can't be paid within
    the limits."""
    card = _card(name, pick, learned)
    if card.price is None and limits.cost is not None:
        raise CommandError(
            f"The price of {name}, the role's model, is unknown, so within a money limit it "
            "can't be asked: take another role."
        )
    embeds = settings.embedding_model
    return _client(
        *(settings, name, pick.base_url, learned),
        embedding_model=embeds,
        session=session,
        card=card,
    )


def _card(name: str, pick: Chosen, learned: Learned) -> ModelCard:
    facts = learned.facts(pick.base_url or OPENAI_URL, name)
    card = look_up(name, pick.base_url)
    return replace(
        card,
        window=card.window or facts.window,
        max_completion=card.max_completion or facts.max_completion,
    )
