"""`autoagent memory` as a person types it: the real program on a real store."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from signal import SIGINT
from threading import Event

import pytest

from autoagent.configuration.places import workspace_name
from autoagent.longterm.reembedding import Purse
from autoagent.model import Price
from memory_store import open_store
from memory_store.sqlite import Store
from tests.fake_openai import Answer, Body, FakeOpenAI, vector
from tests.program import Program, says


def _store(program: Program) -> Store:
    """The long-term memory of the program's workspace."""
    folder = program.home / "memory"
    folder.mkdir(parents=True, exist_ok=True)
    return open_store(folder / f"{workspace_name(program.workspace)}.sqlite")


def _filled(program: Program, texts: Sequence[str] = ("kiwi", "plum", "a pear")) -> None:
    with _store(program) as store:
        for step, text in enumerate(texts, 1):
            store.add(text, source="web", session="s", step=step, time=1_790_000_000.0 + step)


def test_each_memory_is_a_line_with_its_number_label_and_place(tmp_path: Path) -> None:
    """Numbers are what `delete` takes; foreign text stays on its line and moves no cursor."""
    program = Program(tmp_path)
    _filled(program, ["kiwi\nplum \x1b[31m red"])

    done = program.run("memory", "list")

    assert done.out == "1 2026-09-21 web, s step 1: kiwi plum \\x1b[31m red\n"


def test_a_program_gets_memories_as_one_object_or_a_line_each(tmp_path: Path) -> None:
    """Texts are whole there; `--session` picks."""
    program = Program(tmp_path)
    _filled(program)
    program.run("memory", "add", "by hand")

    whole = program.run("memory", "list", "--session", "s", "--output-format", "json").object
    lines = program.run("memory", "list", "--output-format", "stream-json").lines

    assert [m["text"] for m in whole["memories"]] == ["kiwi", "plum", "a pear"]
    assert whole["memories"][1] == {
        "id": 2,
        "text": "plum",
        "source": "web",
        "session": "s",
        "step": 2,
        "part": 0,
        "time": 1_790_000_002.0,
    }
    assert [(m["type"], m["id"], m["source"]) for m in lines][2:] == [
        ("memory", 3, "web"),
        ("memory", 4, "person"),
    ]


def test_a_search_asks_no_server(tmp_path: Path) -> None:
    """It is free, works offline, and sends nothing of what is remembered."""
    with FakeOpenAI() as server:
        program = Program(tmp_path, server.base_url)
        _filled(program)

        found = program.run("memory", "search", "pears")
        nothing = program.run("memory", "search", "zebra")

    assert found.out.endswith("web, s step 3: a pear\n") and found.out.count("\n") == 1
    assert (nothing.code, nothing.out) == (0, "Nothing found by these words.\n")
    assert server.requests == []


def test_an_added_note_is_the_persons_and_a_run_recalls_it(tmp_path: Path) -> None:
    """That is what one adds it for; a key in it is taken out first."""
    with FakeOpenAI([says("finish", answer="ok")], embeds=False) as server:
        program = Program(tmp_path, server.base_url)
        key = program.environment["OPENAI_API_KEY"]

        program.run("memory", "add", f"The staging database listens on port 5433, key {key}.")
        program.run("--goal", "Connect to the staging database.", "--sandbox", "none", "--unsafe")

        prompt = json.dumps(server.chats[0]["messages"])
    assert "person: The staging database listens on port 5433" in prompt
    assert key not in prompt


def test_what_sub_agents_of_a_session_kept_is_of_that_session(tmp_path: Path) -> None:
    """Listed, found and named with it; a session of which nothing is there is said."""
    program = Program(tmp_path)
    _filled(program)
    with _store(program) as store:
        store.add("a plum of a sub-agent", source="note", session="s/a/b", step=1)
        store.add("a plum of another session", source="note", session="sa", step=1)
    (program.home / "sessions" / "s").mkdir(parents=True)

    listed = program.run("memory", "list", "--session", "s").out.splitlines()
    found = program.run("memory", "search", "plum", "--session", "s").out
    nothing = program.run("memory", "list", "--session", "none")
    deleted = program.run("memory", "delete", "4").out

    assert [line.split()[0] for line in listed] == ["1", "2", "3", "4"]
    assert "a sub-agent" in found and "another session" not in found
    assert (nothing.code, nothing.out) == (0, "Nothing of session none is in this memory.\n")
    assert "autoagent sessions delete s\n" in deleted


def test_deleting_says_where_the_text_still_stands(tmp_path: Path) -> None:
    """A journal is a chain and isn't rewritten; the person decides about the session."""
    program = Program(tmp_path)
    _filled(program)
    session = program.home / "sessions" / "s"
    session.mkdir(parents=True)
    with _store(program) as store:
        copy = store.path.with_name(store.path.name + ".damaged-1")
    copy.touch()

    done = program.run("memory", "delete", "3", "1")

    assert done.code == 0
    assert done.out.splitlines()[:2] == [
        "Deleted 1 2026-09-21 web, s step 1: kiwi",
        "Deleted 3 2026-09-21 web, s step 3: a pear",
    ]
    assert f"  {session}\n" in done.out and f"  {copy}\n" in done.out
    with _store(program) as store:
        assert [memory.text for memory in store.every()] == ["plum"]
        assert b"a pear" not in store.path.read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["delete", "2", "9"], "There is no memory 9; nothing was deleted."),
        (["delete", "two"], "'two' is no memory's number; see: autoagent memory list"),
        (["frob"], "ACTION: list, search TEXT, add TEXT, delete ID…"),
        (["search"], "Write `autoagent memory search TEXT`"),
        (["add", "two", "words"], "TEXT in quotes"),
        (["add", " "], "The text is empty"),
        (["add", "x", "--session", "s"], "--session goes with list and search, not with add."),
        (["list", "--memory", "none"], "--memory none has nothing in it"),
        (["import", "missing"], "'missing' can't be read: No such file or directory."),
        (["import", "bad"], "Nothing was imported: line 2 is not a memory"),
        (["export", "no/where"], "'no/where' can't be written: No such file or directory."),
    ],
)
def test_wrong_usage_is_one_line_and_changes_nothing(
    tmp_path: Path, words: list[str], said: str
) -> None:
    """surface.md: exit 2 and never a traceback."""
    program = Program(tmp_path)
    _filled(program)
    (program.workspace / "bad").write_text('{"text": "x", "time": 1}\n{}\n')

    done = program.run("memory", *words)

    assert (done.code, done.out) == (2, "")
    assert said in done.err and done.err.count("\n") == 1
    with _store(program) as store:
        assert len(store) == 3


def test_a_memory_of_the_web_is_trusted_by_hand_and_says_where_it_came_from(
    tmp_path: Path,
) -> None:
    """Else one page read once would make every later session of the folder careful."""
    program = Program(tmp_path)
    _filled(program)
    with _store(program) as store:
        store.add("mine", source="note")

    wrong = program.run("memory", "trust", "1", "4")
    done = program.run("memory", "trust", "1", "3")
    again = program.run("memory", "trust", "1")
    listed = program.run("memory", "list", "--output-format", "json").object["memories"]

    assert wrong.code == 2
    assert "Memory 4 isn't of the web but note; nothing was changed." in wrong.err
    assert again.err == "autoagent: Memory 1 is trusted already; nothing was changed.\n"
    assert done.out.splitlines()[0] == "Trusted 1 2026-09-21 web, trusted, s step 1: kiwi"
    assert [each["source"] for each in listed] == ["web, trusted", "web", "web, trusted", "note"]


def test_what_is_exported_is_imported_elsewhere_and_only_once(tmp_path: Path) -> None:
    """To a file or through a pipe, under another name of memory; the file is the owner's."""
    program = Program(tmp_path)
    _filled(program)
    program.run("memory", "add", "by hand")

    piped = program.run("memory", "export")
    written = program.run("memory", "export", "out.jsonl")
    first = program.run("memory", "import", "out.jsonl", "--memory", "other")
    again = program.run("memory", "import", "-", "--memory", "other", stdin=piped.out.encode())

    file = program.workspace / "out.jsonl"
    assert file.read_text() == piped.out
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(program.workspace.iterdir()) == [file]
    assert written.out == "4 memories written to out.jsonl.\n"
    assert first.out == "4 memories added; there are 4 now.\n"
    assert again.out == "0 memories added; there are 4 now.\n"


def test_no_memory_yet_is_no_error_and_makes_no_file(tmp_path: Path) -> None:
    """Looking must leave nothing behind."""
    program = Program(tmp_path)

    listed = program.run("memory", "list")
    found = program.run("memory", "search", "x", "--output-format", "json")
    deleted = program.run("memory", "delete", "1")

    assert (listed.code, listed.out) == (0, "No memory yet.\n")
    assert found.object["memories"] == []
    assert deleted.code == 2
    assert not (program.home / "memory").exists()


def _vectors(program: Program, model: str) -> list[str]:
    """The texts that have a vector of that model."""
    out = io.StringIO()
    with _store(program) as store:
        store.export(out)
    rows = map(json.loads, out.getvalue().splitlines())
    return [row["text"] for row in rows if model in [v["model"] for v in row["vectors"]]]


def test_reembedding_gives_vectors_to_those_without_and_says_what_it_takes(
    tmp_path: Path,
) -> None:
    """Those of another model stay beside; who has one is not paid for again."""
    with FakeOpenAI() as server:
        program = Program(tmp_path, server.base_url)
        _filled(program)
        with _store(program) as store:
            store.embed({1: [1, 0]}, "old")
            store.embed({2: vector("plum")}, "new")

        done = program.run("memory", "reembed", "--embedding-model", "new")
        again = program.run("memory", "reembed", "--embedding-model", "new")

    first, last = done.out.splitlines()
    assert first.startswith("2 memories have no vector of new: about ")
    assert first.endswith(" tokens, at an unknown price.")
    assert last == "2 of 2 have one now."
    assert again.out == "Every memory has a vector of new.\n"
    assert [body["input"] for body in server.embeddings] == [["kiwi", "a pear"]]
    assert _vectors(program, "new") == ["kiwi", "plum", "a pear"]
    assert _vectors(program, "old") == ["kiwi"]
    assert program.sessions == []


def test_reembedding_stops_at_a_limit_and_goes_on_from_there(tmp_path: Path) -> None:
    """Reserved before each request: what doesn't fit isn't sent."""
    texts = [f"memory number {n}" for n in range(200)]
    with FakeOpenAI() as server:
        program = Program(tmp_path, server.base_url)
        _filled(program, texts)

        tight = program.run("memory", "reembed", "--max-tokens", "600")
        rest = program.run("memory", "reembed")

    assert tight.code == 4
    assert "128 of 200 have one now.\n--max-tokens is reached." in tight.out
    assert rest.out.endswith("72 of 72 have one now.\n")
    assert [len(body["input"]) for body in server.embeddings] == [128, 72]


def test_a_money_limit_counts_where_the_price_is_known() -> None:
    """A dollar per million tokens, half a dollar left: room for 500,000 tokens."""
    purse = Purse(10**9, 0.5, Price(1.0, 1.0, 0.0))

    assert purse.option_against(500_000) == ""
    assert purse.option_against(500_001) == "--max-cost"
    purse.pay(400_000)
    assert purse.option_against(100_001) == "--max-cost"


def test_reembedding_that_fails_midway_keeps_what_it_has(tmp_path: Path) -> None:
    """Each batch was paid for; exit 5 and one line."""
    calls: list[int] = []

    def route(body: Body) -> Answer:
        calls.append(len(body["input"]))
        if len(calls) == 2:
            return Answer(status=401, body={"error": {"message": "key expired"}})
        rows = [{"index": i, "embedding": [1.0, i]} for i, _ in enumerate(body["input"])]
        return Answer(body={"data": rows})

    with FakeOpenAI(routes={"/v1/embeddings": route}) as server:
        program = Program(tmp_path, server.base_url)
        _filled(program, [f"memory number {n}" for n in range(200)])

        done = program.run("memory", "reembed", "--embedding-model", "e")

    assert done.code == 5
    assert "128 vectors were kept; the same command goes on from there." in done.err
    assert calls == [128, 72]
    assert len(_vectors(program, "e")) == 128


def test_reembedding_can_be_interrupted(tmp_path: Path) -> None:
    """Ctrl-C while a request is silent: 130 at once, and what was paid for is kept."""
    second = Event()
    never = Event()  # set when the server is closed

    def route(body: Body) -> Answer:
        if len(body["input"]) < 128:
            second.set()
            return Answer(hold=never, body={})
        rows = [{"index": i, "embedding": [1.0, i]} for i, _ in enumerate(body["input"])]
        return Answer(body={"data": rows})

    with FakeOpenAI(routes={"/v1/embeddings": route}) as server:
        program = Program(tmp_path, server.base_url)
        _filled(program, [f"memory number {n}" for n in range(200)])

        with program.started("memory", "reembed", "--embedding-model", "e") as running:
            assert second.wait(30)
            running.process.send_signal(SIGINT)
            done = running.finish()

    assert (done.code, done.err) == (130, "autoagent: Interrupted.\n")
    assert len(_vectors(program, "e")) == 128


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--max-cost", "1"], 2, "--max-cost can't be kept"),
        ([], 5, "The server has no embeddings"),
    ],
)
def test_reembedding_that_cannot_be_is_one_line(
    tmp_path: Path, options: list[str], code: int, said: str
) -> None:
    """A limit that can't be kept is refused before anything is sent."""
    with FakeOpenAI(embeds=False) as server:
        program = Program(tmp_path, server.base_url)
        _filled(program)

        done = program.run("memory", "reembed", *options)

    assert done.code == code
    assert said in done.err and done.err.count("\n") == 1
    assert len(server.embeddings) == (0 if options else 1)
