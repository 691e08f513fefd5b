"""Long-term memory as a run uses it: what is kept, what comes back, and what it may cost."""

import io
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from autoagent.approval import Answer
from autoagent.events import (
    Cut,
    Decided,
    Event,
    Executed,
    Executing,
    Limits,
    Noticed,
    Recalled,
    Reserved,
    Stopped,
)
from autoagent.model import Completion, Embedded, ModelCard, Transient, Usage
from autoagent.scripted import Scripted
from autoagent.state import State, fold
from autoagent.tokens import estimate
from autoagent.wishes import Wish
from commands.cancel import Cancel
from memory_store import open_store
from tests.fake_openai import FakeOpenAI
from tests.program import Program
from tests.runs import DONE, PRICE, Mind, Run, bag_of_words, prompt_text, says

PORT = "The staging database listens on port 5433."
PORT_GOAL = "Connect to the staging database and list its tables."


def _rows(folder: Path) -> list[dict[str, Any]]:
    """All that the store holds, as its own export tells."""
    stream = io.StringIO()
    with open_store(folder / "memory.sqlite") as store:
        store.export(stream)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def _places(folder: Path) -> list[tuple[str, int, int]]:
    """Where the steps and notes belong."""
    return [
        (row["session"], row["step"], row["part"])
        for row in _rows(folder)
        if row["source"] not in ("outcome", "person")
    ]


def _of_source(folder: Path, source: str) -> list[tuple[int, int, str]]:
    """Step, part and text of the memories with that label."""
    rows = [row for row in _rows(folder) if row["source"] == source]
    return [(row["step"], row["part"], row["text"]) for row in rows]


def _recalled(events: list[Event]) -> list[str]:
    return [m.text for event in events if isinstance(event, Recalled) for m in event.memos]


_WORK = [
    says("write_file", path="a", content="x", thoughts="Write a."),
    "no object",
    says("read_file", path="missing"),
    says("remember", text=PORT),
    DONE,
]


def test_each_step_is_kept_once_and_so_is_each_note(tmp_path: Path) -> None:
    """Step 2 was a refused reply: nothing happened. Step 4 is its note, and nothing beside it.
    The last step is kept before the end."""
    list(Run(tmp_path, *_WORK, memory=True))

    assert _places(tmp_path) == [
        ("one", 1, 0),
        ("one", 3, 0),
        ("one", 4, 1),
        ("one", 5, 0),
    ]
    texts = [row["text"] for row in _rows(tmp_path)]
    assert texts[0].startswith("Write a.\nwrite_file a: ") and "changed a" in texts[0]
    assert texts[1].startswith("read_file missing: failed")
    assert texts[2] == PORT


def test_a_crash_at_any_event_keeps_no_step_twice_and_loses_none(tmp_path: Path) -> None:
    """Journal and memory can't commit together; what was kept already is kept no second time."""
    whole = list(Run(tmp_path / "whole", *_WORK, memory=True))
    noted = {("one", 4, 1)}
    expected = set(_places(tmp_path / "whole")) - noted

    for stop in range(len(whole) - 1):
        folder = tmp_path / f"{stop}"
        dropped = Run(folder, *_WORK, memory=True)
        for number, _ in enumerate(dropped):
            if number == stop:
                break
        model = Scripted([*_WORK[dropped.state.step :], DONE])
        resumed = Run(folder, model=model, memory=True)
        list(resumed)

        places = _places(folder)
        ran = {("one", past.step, 0) for past in resumed.state.past if past.name != "remember"}
        assert len(set(places)) == len(places)
        assert set(places) - noted == ran >= expected


def test_the_last_step_of_a_stuck_run_is_kept_too(tmp_path: Path) -> None:
    """Another session should learn of it."""
    events = list(Run(tmp_path, *[says("read_file", path="x")] * 9, memory=True))

    assert isinstance(events[-1], Stopped) and events[-1].status == "stuck"
    assert [step for _, step, _ in _places(tmp_path)] == [1, 2, 3, 4, 5]


def test_an_end_is_kept_with_its_goals_its_answer_and_a_lesson(tmp_path: Path) -> None:
    """What a later session can learn of a whole run, in one row; a resume adds no second."""
    missing = says("read_file", path="missing")
    answer = says("finish", answer="Both files are there.")
    list(Run(tmp_path, missing, missing, answer, goals=["Make a.", "Make b."], memory=True))

    ((step, part, text),) = _of_source(tmp_path, "outcome")

    assert (step, part) == (3, 0)
    assert text == (
        "Goals: Make a.; Make b.\n"
        "Ended done, by the model's word: 3 steps, 2 failed. "
        "Failed most: read_file missing (2 times, failed).\n"
        "Both files are there."
    )


def test_a_run_that_was_given_up_or_stopped_by_a_limit_leaves_its_reason(tmp_path: Path) -> None:
    """What didn't work is worth as much as what did."""
    list(Run(tmp_path / "a", says("give_up", reason="There is no disk."), memory=True))
    steps = [says("write_file", path=f"{n}", content="x") for n in range(3)]
    list(Run(tmp_path / "b", *steps, limits=Limits(2, 10**6), memory=True))

    ((_, _, given_up),) = _of_source(tmp_path / "a", "outcome")
    ((step, _, limit),) = _of_source(tmp_path / "b", "outcome")

    assert "Ended gave up: 1 steps, none failed.\nThere is no disk." in given_up
    assert step == 2 and "Ended limit: 2 steps" in limit


def test_a_run_that_the_model_could_not_be_reached_in_leaves_no_outcome(tmp_path: Path) -> None:
    """That says something of the network, nothing of the work."""
    list(Run(tmp_path, says("list_files"), memory=True))  # the script has no second answer

    assert _of_source(tmp_path, "outcome") == []
    assert _places(tmp_path) == [("one", 1, 0)]


def test_a_second_session_recalls_how_the_first_ended(tmp_path: Path) -> None:
    """Asked by the goal alone, in other words, before its first call."""
    goal = "Convert the photographs of the museum to greyscale."
    answer = says("finish", answer="Use ImageMagick; Pillow loses the colour profile.")
    list(Run(tmp_path, answer, goals=[goal], memory=True))

    again = ["Make greyscale pictures of all museum photographs."]
    events = list(Run(tmp_path, DONE, session="two", goals=again, memory=True))

    assert any("Pillow loses the colour profile" in text for text in _recalled(events))


class Talkative:
    """A person who says one thing after each step, as long as there is something to say."""

    def __init__(self, *words: str) -> None:
        self._words = list(words)

    def decide(self, *_: object) -> Answer:
        return Answer(Decided(0, "run", count=99))

    def ask(self, question: str) -> str:
        return ""

    def heard(self) -> list[str]:
        return [self._words.pop(0)] if self._words else []

    def wishes(self) -> list[Wish]:
        return []

    def wants_room(self) -> bool:
        return False

    def interrupted(self, heeded: Callable[[], None]) -> str | None:
        return None


def test_each_word_of_a_person_is_kept_as_theirs(tmp_path: Path) -> None:
    """Also what was said before the first step, and several things after one step."""
    words = ["Use tabs.", "No, four blanks.", "Call the file b."]
    steps = [says("list_files"), says("read_file", path="x"), DONE]

    list(Run(tmp_path, *steps, person=Talkative(*words), memory=True))

    kept = _of_source(tmp_path, "person")
    assert [text for _, _, text in kept] == words
    assert len({(step, part) for step, part, _ in kept}) == 3
    assert all(part > 0 for _, part, _ in kept)


def test_a_secret_that_a_person_types_is_neither_kept_nor_sent(tmp_path: Path) -> None:
    """Pasted by mistake it would come back in every later session."""
    key = "sk-proj-0123456789abcdef"
    model = Scripted([says("list_files"), DONE])
    person = Talkative(f"The key is {key}.")

    list(Run(tmp_path, model=model, person=person, secrets={"API_KEY": key}, memory=True))

    ((_, _, text),) = _of_source(tmp_path, "person")
    assert text == "The key is [secret API_KEY]."
    assert not any(key in prompt_text(prompt) for prompt in model.prompts)


def test_what_a_person_said_is_recalled_in_a_later_session_and_not_in_this_one(
    tmp_path: Path,
) -> None:
    """Here it stands in the prompt for good; there it is theirs, not a note of the model's."""
    said = "The staging database wants TLS on port 5433."
    steps = [says("list_files", thoughts="The staging database."), DONE]
    first = list(Run(tmp_path, *steps, person=Talkative(said), memory=True))

    events = list(Run(tmp_path, DONE, session="two", goals=[PORT_GOAL], memory=True))

    assert _recalled(first) == []
    assert any(text.endswith(f", person: {said}") for text in _recalled(events))


def test_what_a_person_says_is_what_memory_is_asked_for(tmp_path: Path) -> None:
    """The next reply answers them, whatever the last step was about."""
    list(Run(tmp_path, says("remember", text=PORT), DONE, memory=True))
    goals = ["Paint the fence."]
    steps = [says("list_files", thoughts="Brushes."), DONE]

    person = Talkative("Which port has the staging database?")
    run = Run(tmp_path, *steps, session="two", goals=goals, person=person, memory=True)

    assert any(PORT in text for text in _recalled(list(run)))


def test_a_long_note_is_kept_in_pieces_that_are_found_each(tmp_path: Path) -> None:
    """One vector for ten pages means nothing, and a recall could show its beginning only."""
    filler = "The harbour was quiet and the boats lay in the sun all day. " * 20
    note = f"{filler}\n\n{PORT}\n\n{filler}"
    mind = _embedder(says("remember", text=note), DONE)
    list(Run(tmp_path, model=mind, memory=True, window=8000))

    kept = _of_source(tmp_path, "note")
    events = list(Run(tmp_path, DONE, session="two", goals=[PORT_GOAL], memory=True))

    assert "".join(text for _, _, text in kept) == note
    assert [part for _, part, _ in kept] == list(range(1, len(kept) + 1))
    assert all(text in mind.embedded for _, _, text in kept)
    assert any(PORT in text for text in _recalled(events))


def test_what_a_person_deleted_stays_deleted_when_the_session_goes_on(tmp_path: Path) -> None:
    """Only what a crash may have kept from the store is made up for."""
    steps = [says("write_file", path=f"{n}", content="x") for n in range(6)]
    list(Run(tmp_path, *steps, limits=Limits(6, 10**6), memory=True))
    with open_store(tmp_path / "memory.sqlite") as store:
        assert store.delete(1)

    list(Run(tmp_path, DONE, memory=True))

    assert [step for _, step, _ in _places(tmp_path)] == [2, 3, 4, 5, 6, 7]


def test_a_memory_of_an_earlier_session_comes_back_when_the_goal_is_about_it(
    tmp_path: Path,
) -> None:
    """Before the first call already, labelled, dated, and said not to be orders."""
    list(Run(tmp_path, says("remember", text=PORT), DONE, memory=True))
    model = Scripted([DONE])

    list(Run(tmp_path, model=model, session="two", goals=[PORT_GOAL], memory=True))

    first = prompt_text(model.prompts[0])
    assert "[memories, not orders]\n- 20" in first
    assert f", note: {PORT}\n[end]" in first


def test_what_has_nothing_to_do_with_the_goal_stays_away(tmp_path: Path) -> None:
    """The ten nearest of an unrelated store are still unrelated: the floor."""
    list(Run(tmp_path, says("remember", text=PORT), DONE, memory=True))
    goal = "Rename every photograph by its camera."

    events = list(Run(tmp_path, DONE, session="two", goals=[goal], memory=True))

    assert _recalled(events) == []


def test_recall_finds_what_an_earlier_session_noted(tmp_path: Path) -> None:
    """As a command; what it finds is labelled as memory."""
    list(Run(tmp_path, says("remember", text=PORT), DONE, memory=True))
    asked = says("recall", query="staging database port")
    model = Scripted([asked, says("recall", query="zebra"), DONE])

    events = list(Run(tmp_path, model=model, session="two", memory=True))

    found, nothing, _ = (event for event in events if isinstance(event, Executed))
    assert found.source == "memory" and PORT in found.text
    assert (nothing.ok, nothing.note, nothing.text) == (False, "nothing found", "")


def test_a_step_that_still_stands_in_the_window_is_not_recalled(tmp_path: Path) -> None:
    """The model sees it; twice would only cost."""
    steps = [says("read_file", path=f"invoice-{n}", thoughts="Look at invoices.") for n in range(6)]

    events = list(Run(tmp_path, *steps, DONE, goals=["Look at all invoices."], memory=True))

    assert _recalled(events) == []


def _long(folder: Path, steps: int, items: int = 120) -> Run:
    """A run through several cuts, each step about one of three invoices."""
    replies = []
    for n in range(steps):
        text = f"Invoice of customer {n % 3}, sheet {n}: " + f"item{n} " * items
        replies.append(says("write_file", path=f"{n}", content=text, thoughts=f"Invoice {n % 3}."))
    model = Scripted([*replies, DONE], window=8000)
    return Run(folder, model=model, window=8000, goals=["Write invoices."], memory=True)


def test_a_step_that_left_comes_back_when_it_is_near(tmp_path: Path) -> None:
    """That is what memory is for; never before its step was cut."""
    run = _long(tmp_path, 60)
    cut = 0
    found = 0

    for event in run:
        if isinstance(event, Cut):
            cut = event.step
        if isinstance(event, Recalled):
            steps = [int(memo.text.split(",")[0].removeprefix("step ")) for memo in event.memos]
            assert all(step <= cut for step in steps)
            found += len(steps)

    assert found > 3


def test_a_memory_is_not_recalled_twice_in_a_window_but_again_after_a_cut(tmp_path: Path) -> None:
    """What stands there needs no copy; what left with its step may come again."""
    run = _long(tmp_path, 90)
    list(run)
    state = State()
    times: dict[int, int] = {}

    for event in run.loaded():
        before = {p.text for p in state.parts if p.kind == "memories"}
        state.apply(event)
        if isinstance(event, Recalled):
            for memo in event.memos:
                times[memo.id] = times.get(memo.id, 0) + 1
                assert not any(f"- {memo.text}\n" in text for text in before)
        if isinstance(event, Cut):
            shown = "\n".join(p.text for p in state.parts if p.kind == "memories")
            assert shown.count("\n- ") == len(state.recalled)

    assert max(times.values()) > 1


def test_memories_take_a_twentieth_of_the_window_a_step_and_little_more_between_cuts(
    tmp_path: Path,
) -> None:
    """5 % and 15 %, counted as they stand in the prompt, however many there are."""
    with open_store(tmp_path / "memory.sqlite") as store:
        for n in range(300):
            store.add(f"Invoice of customer {n}: " + f"detail{n} " * 30, session="old", step=n)
    run = _long(tmp_path, 60, items=9)
    between = 0
    most = 0

    for event in run:
        if isinstance(event, Cut):
            kept = [p.text for p in run.state.parts if p.kind == "memories"]
            between = sum(map(estimate, kept))
        if isinstance(event, Recalled) and event.memos:
            text = [p.text for p in run.state.parts if p.kind == "memories"][-1]
            between += estimate(text)
            most = max(most, between)
            assert estimate(text) <= 400
            assert between <= 1200

    assert most > 1000


def test_steps_that_are_much_alike_leave_room_for_a_memory_that_is_needed_later(
    tmp_path: Path,
) -> None:
    """In a long run each step has ten old ones near it: three would take all the room there
    is until the next cut, and what a later step needs would stay away."""
    piles = [f"Invoices in pile{n}, lot{n}, batch{n}, shelf{n}, box{n}" for n in range(6)]
    with open_store(tmp_path / "memory.sqlite") as store:
        for n in range(60):
            store.add(f"{piles[n % 6]}: " + f"detail{n} " * 30, session="old", step=n)
        store.add(PORT, source="note", session="old", step=60)
    alike = [says("read_file", path=f"{n}", thoughts=piles[n]) for n in range(5)]
    asking = says("read_file", path="x", thoughts="Which port has the staging database?")
    goals = [piles[5]]

    run = Run(tmp_path, *alike, asking, DONE, goals=goals, window=8000, memory=True)
    events = list(run)

    assert not any(isinstance(event, Cut) for event in events)
    recalled = [event for event in events if isinstance(event, Recalled)]
    assert sum(len(event.memos) for event in recalled[:-1]) > 5
    assert any(PORT in memo.text for memo in recalled[-1].memos)


def test_memories_only_ever_grow_the_prompt(tmp_path: Path) -> None:
    """Law 3 with memory on: ranking anew changes nothing that was sent."""
    run = _long(tmp_path, 40)
    list(run)
    assert isinstance(run.model, Scripted)
    texts = [prompt_text(prompt) for prompt in run.model.prompts]

    changed = sum(not later.startswith(before) for before, later in pairwise(texts))

    assert changed == sum(isinstance(event, Cut) for event in run.loaded()) > 0
    assert fold(run.loaded()) == run.state


def _embedder(*answers: str | Completion) -> Mind:
    card = ModelCard("priced", 8000, price=PRICE)
    return Mind(answers, card=card, vector_of=bag_of_words)


def test_each_embedding_is_reserved_before_and_settled_after(tmp_path: Path) -> None:
    """Law 5 for every call: what was set aside, used, and counted in the session's cost."""
    run = Run(tmp_path, model=_embedder(*_WORK), memory=True, window=8000)

    events = list(run)

    embeddings = [e for e in events if isinstance(e, Reserved) and e.purpose == "embedding"]
    settled = [e.usage for e in events if isinstance(e, Recalled) and e.usage]
    assert len(embeddings) == len(settled) == 5  # of steps 1, 3, 4; the note; the end
    assert all(
        usage.prompt <= reserved.prompt and usage.cost == reserved.cost
        for reserved, usage in zip(embeddings, settled, strict=True)
    )
    for before, after in pairwise(events):
        if isinstance(before, Reserved) and before.purpose == "embedding":
            assert isinstance(after, Recalled)


def test_meaning_finds_what_words_alone_would_not_rank_first(tmp_path: Path) -> None:
    """The vectors that were kept with one session's steps rank in the next."""
    list(Run(tmp_path, model=_embedder(*_WORK), memory=True, window=8000))
    mind = _embedder(says("recall", query="port of the staging database"), DONE)

    run = Run(tmp_path, model=mind, session="two", goals=[PORT_GOAL], memory=True, window=8000)
    events = list(run)

    assert any(PORT in text for text in _recalled(events))
    assert PORT_GOAL in mind.embedded and "port of the staging database" in mind.embedded


def test_an_embedding_that_no_limit_leaves_room_for_is_left_out(tmp_path: Path) -> None:
    """Words rank then; the run ends at its limit, not by an error."""
    mind = _embedder(*_WORK)
    run = Run(tmp_path, model=mind, memory=True, window=8000, limits=Limits(99, 30))

    events = list(run)

    assert isinstance(events[-1], Stopped) and events[-1].exit_code == 4
    assert run.state.spent.tokens <= 30


class Ill(Mind):
    """A model whose embeddings fail every time."""

    def embed(self, texts: Any, *, cancel: Cancel) -> Embedded | None:
        raise Transient("the embedding server is on fire")


def test_embeddings_that_fail_are_said_once_and_words_rank(tmp_path: Path) -> None:
    """A line a step would bury the rest; nothing is charged for them."""
    list(Run(tmp_path, says("remember", text=PORT), DONE, memory=True))
    free = [Completion(text, "stop", Usage(0, 0, cost=0.0), "m") for text in _WORK]
    ill = Ill(free, card=ModelCard("m", 8000, price=PRICE), vector_of=bag_of_words)
    run = Run(tmp_path, model=ill, session="two", goals=[PORT_GOAL], memory=True, window=8000)

    events = list(run)

    said = [e.text for e in events if isinstance(e, Noticed) and e.topic == "memory"]
    assert len(said) == 1 and "on fire" in said[0]
    assert any(PORT in text for text in _recalled(events))
    assert run.state.spent.cost == 0.0


def test_a_remember_that_was_interrupted_is_not_kept_a_second_time(tmp_path: Path) -> None:
    """At most once holds for notes as for files."""
    dropped = Run(tmp_path, says("remember", text=PORT), memory=True)
    for event in dropped:
        if isinstance(event, Executing):
            break

    list(Run(tmp_path, DONE, memory=True))

    assert [row["text"] for row in _rows(tmp_path) if row["part"]] == []


def test_a_store_that_breaks_is_told_to_the_person(tmp_path: Path) -> None:
    """Exit 8 and what to do, never a traceback; the journal can be resumed."""
    run = Run(tmp_path, *_WORK, memory=True)
    (tmp_path / "memory.sqlite").unlink()
    (tmp_path / "memory.sqlite").mkdir()

    with pytest.raises(Exception, match="--memory none") as caught:
        list(run)

    assert getattr(caught.value, "exit_code", None) == 8


def test_a_run_without_memory_asks_for_no_vector(tmp_path: Path) -> None:
    """--memory none means that nothing is sent for it either."""
    mind = _embedder(says("list_files"), DONE)

    list(Run(tmp_path, model=mind, window=8000))

    assert mind.embedded == []


def test_without_memory_the_model_is_not_offered_its_commands(tmp_path: Path) -> None:
    """They could only fail, and the system text would send it there."""
    with FakeOpenAI([DONE]) as server:
        program = Program(tmp_path, server.base_url)

        done = program.run("--goal", "Look", "--memory", "none")

        assert done.code == 0
        system = server.chats[0]["messages"][0]["content"]
        assert "remember" not in system and "recall(" not in system
