"""Long sessions: what was learned early is there when it is needed, at the cost of step 50.

A short version of `bench/thousand.py`, which plays 1,000 steps in a window of 16k.
"""

import io
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import get_args

import pytest

from memory_store import open_store
from tests.fake_openai import FakeOpenAI
from tests.long_session import (
    Asked,
    Place,
    by_line,
    content_words,
    facts,
    played,
    present,
    script,
    vector,
)
from tests.program import Program, says

STEPS = 120
FACTS = 16
WINDOW = 8000
WEEKS_S = 3 * 7 * 86_400
KILLS = 4


@dataclass(frozen=True, slots=True)
class Played:
    """The same script three times: with memory, without, and killed again and again."""

    folder: Path
    whole: list[Asked]
    forgetful: list[Asked]
    killed: list[Asked]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Side by side, in folders whose names are of one length."""
    folder = tmp_path_factory.mktemp("long")
    spoken = script(STEPS, FACTS)
    chosen = random.Random(4)
    lines = sorted(chosen.sample(range(3, STEPS), KILLS))
    places = [get_args(Place)[n % 3] for n in range(KILLS)]
    for name in ("0", "1", "2"):
        (folder / name).mkdir()
    with ThreadPoolExecutor(3) as pool:
        whole = pool.submit(played, folder / "0", spoken, WINDOW)
        forgetful = pool.submit(played, folder / "1", spoken, WINDOW, "--memory", "none")
        kills = list(zip(lines, places, strict=True))
        killed = pool.submit(played, folder / "2", spoken, WINDOW, kills=kills)
        yield Played(folder, whole.result(), forgetful.result(), killed.result())


def test_no_prompt_with_its_answer_is_larger_than_the_window(runs: Played) -> None:
    """By the server's own count, which isn't ours: a strict server would refuse it."""
    sizes = [asked.prompt + asked.cap for asked in (*runs.whole, *runs.forgetful)]

    assert len(sizes) == 2 * STEPS
    assert max(sizes) <= WINDOW


def test_a_late_step_costs_what_an_early_one_of_its_size_did(runs: Played) -> None:
    """Mean prompts of the last third and of steps 20 to 60; both hold several whole windows.
    A tenth more is left for a digest that has more to tell."""
    early = mean(asked.prompt for asked in runs.whole if 20 <= asked.line < 60)
    late = mean(asked.prompt for asked in runs.whole if asked.line >= 80)

    assert late <= 1.1 * early


def test_what_was_learned_early_is_in_the_prompt_when_it_is_asked_for(runs: Played) -> None:
    """In other words, by `recall`: nearly all (16 of 16). By itself, after a thought in passing:
    half at least (10), for it competes with work that is much alike. Without memory hardly any:
    the digest tells of the newest commands that failed, `remember` among them."""
    spoken = script(STEPS, FACTS)

    by_itself, asked_for = present(spoken, runs.whole)

    assert asked_for >= 0.8 * FACTS
    assert by_itself >= 0.5 * FACTS
    assert max(present(spoken, runs.forgetful)) <= FACTS / 8


def test_a_question_shares_no_word_with_its_fact() -> None:
    """Else words would do, and nothing were shown of other words."""
    for fact in facts(100):
        assert not content_words(fact.text) & content_words(fact.question)

    assert len(set(facts(100))) == 100


def test_a_session_that_is_killed_again_and_again_sends_the_same_prompts(runs: Played) -> None:
    """Byte for byte, but for the workspace's path and the day: killed while an answer is
    awaited, comes, or an embedding is made. Only a command that was cut off would differ: it is
    told as such, see `test_resume.py`."""
    whole = by_line(runs.whole, runs.folder / "0")
    killed = by_line(runs.killed, runs.folder / "2")

    assert len(runs.killed) > len(runs.whole)
    assert killed == whole
    assert all(len(prompts) == 1 for prompts in whole.values())


def test_a_session_weeks_later_recalls_the_first(runs: Played, tmp_path: Path) -> None:
    """Before its first call, dated; the rows of the first are made three weeks older."""
    (memory,) = (runs.folder / "0" / "state" / "memory").glob("*.sqlite")
    stream = io.StringIO()
    with open_store(memory) as store:
        store.export(stream)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    for row in rows:
        row["time"] -= WEEKS_S
    fact = facts(1)[0]
    day = datetime.fromtimestamp(rows[0]["time"], UTC).date()
    with FakeOpenAI([says("finish", answer="ok")], vector_of=vector) as server:
        program = Program(tmp_path, server.base_url)
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        program.run("memory", "import", "-", stdin=lines.encode())

        done = program.run("--goal", fact.question)

        assert done.code == 0, done.err
        sent = server.chats[0]["messages"][-1]["content"]
    assert f"\n- {day}, note: {fact.text}\n" in sent
