"""Embeddings by OpenAIModel against a real server."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import time
from typing import Any

import pytest

from autoagent.model import Price
from autoagent.models.learned import Learned
from autoagent.models.openai_model import OpenAIModel
from commands.cancel import Cancel
from tests.fake_openai import Answer, Body, FakeOpenAI, vector


@contextmanager
def embedding(
    route: Any, learned: Learned | None = None
) -> Iterator[tuple[FakeOpenAI, OpenAIModel]]:
    """A server that answers /embeddings as `route` says."""
    with (
        FakeOpenAI(routes={"/v1/embeddings": route}) as server,
        OpenAIModel(
            name="m", base_url=server.base_url, embedding_model="e", learned=learned
        ) as model,
    ):
        yield server, model


def test_embeddings_come_in_the_order_of_the_texts_in_batches() -> None:
    """300 texts are three requests; the fake's vectors are known beforehand."""
    texts = [f"word{i} common" for i in range(300)]
    price = Price(1, 1, 0)
    with (
        FakeOpenAI() as server,
        OpenAIModel(
            name="m", base_url=server.base_url, embedding_model="e", embedding_price=price
        ) as model,
    ):
        embedded = model.embed(texts, cancel=Cancel())

    assert embedded is not None
    assert embedded.vectors == tuple(tuple(vector(t)) for t in texts)
    assert [len(b["input"]) for b in server.embeddings] == [128, 128, 44]
    prompt = sum(-(-len(t) // 4) for t in texts)
    assert embedded.usage is not None
    assert embedded.usage.prompt == prompt
    assert embedded.usage.cost == pytest.approx(prompt / 1e6)  # a dollar per million


def test_vectors_are_ordered_by_index() -> None:
    """Servers may answer a batch out of order and say so by the index."""
    rows = [{"index": 1, "embedding": [0.0, 1.0]}, {"index": 0, "embedding": [1.0, 0.0]}]
    with embedding({"data": rows}) as (_, model):
        embedded = model.embed(["a", "b"], cancel=Cancel())

    assert embedded is not None
    assert embedded.vectors == ((1.0, 0.0), (0.0, 1.0))
    assert embedded.usage is None


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
def test_a_server_without_embeddings_is_asked_once_a_day(status: int, tmp_path: Path) -> None:
    """Word ranking takes over; asking at every step would only cost time."""
    route = Answer(status=status, body={"error": {"message": "no such model: e"}})
    path = tmp_path / "learned.json"
    with embedding(route, Learned(path)) as (server, model):
        first = [model.embed(["a"], cancel=Cancel()) for _ in range(2)]
        url, asked = server.base_url, len(server.embeddings)
        with OpenAIModel(
            name="m", base_url=url, embedding_model="e", learned=Learned(path)
        ) as later:
            later.embed(["a"], cancel=Cancel())
        known = Learned(path).facts(url, "e")

    assert first == [None, None]
    assert asked == len(server.embeddings) == 1
    assert not known.embeds
    assert replace(known, no_embeddings_at=time() - 90_000).embeds


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [float("nan")]}],
        [{"index": 0, "embedding": [1.0]}],
        [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}],
        "nonsense",
    ],
)
def test_vectors_that_cannot_be_right_are_none_and_not_asked_for_again(data: Any) -> None:
    """A wrong vector in the memory would spoil every later ranking."""
    with embedding({"data": data}) as (server, model):
        assert model.embed(["a", "b"], cancel=Cancel()) is None
        assert model.embed(["a", "b"], cancel=Cancel()) is None

    assert len(server.embeddings) == 1


def test_texts_too_long_for_the_embedding_model_are_shortened_until_they_fit() -> None:
    """Small models take 512 tokens; a step's result is longer. What fits is remembered."""

    def route(body: Body) -> Answer:
        if max(map(len, body["input"])) > 2000:
            return Answer(status=500, body={"error": {"message": "input is too large to process"}})
        rows = [{"index": 0, "embedding": [1.0]}]
        return Answer(body={"data": rows})

    with embedding(route) as (server, model):
        model.embed(["x" * 9000], cancel=Cancel())
        model.embed(["x" * 9000], cancel=Cancel())

    assert [len(b["input"][0]) for b in server.embeddings] == [6000, 3000, 1500, 1500]


def test_without_an_embedding_model_nothing_is_asked() -> None:
    """None of the person's text leaves for a purpose that wasn't set up."""
    with FakeOpenAI() as server, OpenAIModel(name="m", base_url=server.base_url) as model:
        assert model.embed(["a"], cancel=Cancel()) is None

    assert server.requests == []
