"""What the agents of one session have in common: memory, the model, what was learned of it."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import pytest

from autoagent.model import Cancelled, Completion, Message
from autoagent.models.learned import Learned
from autoagent.models.openai_model import OpenAIModel
from commands.cancel import Cancel
from memory_store import open_store
from tests.fake_openai import Answer, Body, FakeOpenAI

AGENTS = 8
EACH = 20


def test_one_memory_for_agents_that_add_and_search_at_once_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    """Each keeps its own steps; a step that two of them keep is kept once; each finds at once
    what it added, whatever the others do."""
    barrier = Barrier(AGENTS)
    with open_store(tmp_path / "m.sqlite") as store:

        def work(agent: int) -> tuple[list[int | None], list[int | None]]:
            own, common = [], []
            barrier.wait(30)
            for step in range(EACH):
                text = f"kiwi word{agent}x{step}"
                vector = [1.0, float(agent)]
                own.append(
                    store.add(text, session=f"s{agent}", step=step, vector=vector, model="m")
                )
                common.append(store.add("plum", session="all", step=step))
                found = store.nearest(f"word{agent}x{step}", k=3)
                assert found[0].memory.text == text
                dense = store.nearest("kiwi", vector=vector, model="m", k=AGENTS * EACH)
                assert own[-1] in {hit.memory.id for hit in dense}
            return own, common

        with ThreadPoolExecutor(AGENTS) as pool:
            kept = list(pool.map(work, range(AGENTS)))
        all_of_it = list(store.every())

    own = [row for rows, _ in kept for row in rows]
    common = [row for _, rows in kept for row in rows if row is not None]
    assert sorted([*map(int, filter(None, own)), *common]) == [memory.id for memory in all_of_it]
    assert (len(set(own)), len(common)) == (AGENTS * EACH, EACH)
    places = {(memory.session, memory.step) for memory in all_of_it}
    assert len(places) == len(all_of_it) == (AGENTS + 1) * EACH


def test_of_many_calls_at_once_through_one_client_the_cut_one_alone_ends() -> None:
    """A sub-agent that is ended must not take the answers of the others with it."""
    hold, cut = Event(), Cancel()

    def answer(body: Body) -> Answer:
        said = body["messages"][-1]["content"]
        return Answer(text=f"to {said}", hold=hold)

    with (
        FakeOpenAI([answer] * AGENTS) as server,
        OpenAIModel(name="m", base_url=server.base_url, api_key="sk-test-0123456789") as model,
        ThreadPoolExecutor(AGENTS) as pool,
    ):

        def ask(agent: int) -> Completion:
            words = [Message("user", f"agent {agent}")]
            return model.complete(words, cap=50, cancel=cut if agent == 3 else Cancel())

        calls = [pool.submit(ask, agent) for agent in range(AGENTS)]
        assert server.wait_for_chats(AGENTS)
        cut.set("terminate")
        with pytest.raises(Cancelled):
            calls[3].result(30)
        others = [call for agent, call in enumerate(calls) if agent != 3]
        still_waiting = not any(call.done() for call in others)
        hold.set()
        texts = [call.result(30).text for call in others]

    assert still_waiting
    assert texts == [f"to agent {agent}" for agent in range(AGENTS) if agent != 3]


def test_what_agents_learn_at_once_is_all_known_and_all_on_disk(tmp_path: Path) -> None:
    """Of several models, and several things of one: no agent's news takes away another's."""
    path = tmp_path / "servers.json"
    learned = Learned(path)
    barrier = Barrier(AGENTS)
    of_one = ({"window": 5}, {"max_completion": 6}, {"embed_characters": 7}, {"streams": False})

    def learn(agent: int) -> None:
        barrier.wait(30)
        for n in range(EACH):
            learned.learn("u", f"m{agent}-{n}", window=agent + 1)
        learned.learn("u", "common", **of_one[agent % len(of_one)])

    with ThreadPoolExecutor(AGENTS) as pool:
        list(pool.map(learn, range(AGENTS)))

    for known in (learned, Learned(path)):
        windows = {(a, n): known.facts("u", f"m{a}-{n}").window for a, n in _all()}
        common = known.facts("u", "common")
        assert windows == {(a, n): a + 1 for a, n in _all()}
        assert (common.window, common.max_completion, common.embed_characters) == (5, 6, 7)
        assert not common.streams
    assert len(json.loads(path.read_text())) == AGENTS * EACH + 1
    assert list(tmp_path.iterdir()) == [path]


def _all() -> list[tuple[int, int]]:
    return [(agent, n) for agent in range(AGENTS) for n in range(EACH)]
