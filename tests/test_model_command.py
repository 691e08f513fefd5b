"""`/model`: the next replies come from another model of the same server."""

import json
from contextlib import AbstractContextManager
from pathlib import Path

from tests.screens import ASKS, DONE, WRITE, Screen, at_terminal

_PRICE = {"prompt": "0.000001", "completion": "0.000002"}
_MODELS = (
    {"id": "fake-model", "context_length": 32_000, "pricing": _PRICE},
    {"id": "other-model", "context_length": 20_000, "pricing": _PRICE},
    {"id": "unpriced-model", "context_length": 32_000},
    {"id": "small-model", "context_length": 6_000, "pricing": _PRICE},
)


def _at_these(folder: Path, replies: list[str], *args: str) -> AbstractContextManager[Screen]:
    """At a server with these models, whose prices and windows it tells."""
    unset = {"AUTOAGENT_WINDOW": "", "AUTOAGENT_PRICE": ""}
    return at_terminal(folder, replies, *args, columns=80, shell="", models=_MODELS, **unset)


def _asked(screen: Screen) -> list[str]:
    """Which model each call asked for."""
    return [str(chat["model"]) for chat in screen.server.chats]


def _events(screen: Screen, kind: str) -> list[dict[str, object]]:
    (journal,) = screen.program.home.glob("sessions/*/journal.jsonl")
    events = map(json.loads, journal.read_text().splitlines())
    return [event for event in events if event["type"] == kind]


def test_the_next_step_comes_from_the_other_model_and_a_resume_goes_on_with_it(
    tmp_path: Path,
) -> None:
    """In its own window; what was said stays said."""
    with _at_these(tmp_path, [WRITE, WRITE, DONE], "Write") as screen:
        screen.answers(ASKS, "/model")
        screen.shows("It is fake-model; write another one behind it: /model NAME")
        screen.answers(ASKS, "/model other-model")
        screen.shows(
            "Model other-model, window 20,000 tokens, from now on.", "  a.txt  new, 1 line, "
        )
        screen.answers(ASKS, "y -2")

        assert screen.ends() == 0
        assert _asked(screen) == ["fake-model", "other-model", "other-model"]
        price = {"prompt": 1.0, "cached": 1.0, "completion": 2.0}
        switched = {"model": "other-model", "window": 20_000, "price": price}
        assert [{k: e[k] for k in switched} for e in _events(screen, "Switched")] == [switched]
        first, second = (screen.server.chats[n]["messages"] for n in (0, 1))
        assert second[: len(first)] == first
    with _at_these(tmp_path, [DONE], "--resume", "--goal", "Go on") as screen:
        assert screen.ends() == 0
        assert _asked(screen) == ["other-model"]


def test_a_model_that_cannot_be_had_is_said_and_the_old_one_goes_on(tmp_path: Path) -> None:
    """A name that isn't there would end the run with its next call; a sum that nobody can
    reckon would break the money limit; a small window would cut the prompt away."""
    with _at_these(tmp_path, [WRITE, DONE], "Write") as screen:
        screen.answers(ASKS, "/model othr-model")
        screen.shows("The server has no model 'othr-model'; it has other-model")
        screen.answers(ASKS, "/model unpriced-model")
        screen.shows("The price of unpriced-model is unknown, so within the money limit")
        screen.answers(ASKS, "/model small-model")
        screen.shows("The window of small-model is 6,000 tokens; autoagent needs at least 8,000.")
        screen.answers(ASKS, "/model fake-model")
        screen.shows("It is fake-model already.")
        screen.answers(ASKS, "y")

        assert screen.ends() == 0
        assert _asked(screen) == ["fake-model", "fake-model"]
        assert _events(screen, "Switched") == []
