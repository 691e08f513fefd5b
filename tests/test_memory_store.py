"""The store: durable, shared, searched by meaning and by words, and mended when broken."""

import io
import json
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_store import Hit, Memory, StoreError, open_store
from memory_store.sqlite import Store

_ANY_TEXT = st.text(alphabet=st.characters(codec=None, exclude_categories=[]), max_size=40)


def _texts(hits: list[Hit]) -> list[str]:
    return [hit.memory.text for hit in hits]


def _python(code: str, *arguments: object) -> list[str]:
    """The command line of another process that works on the same file."""
    return [sys.executable, "-c", code, *map(str, arguments)]


def test_importing_the_package_does_not_import_numpy() -> None:
    """`--help` and `sessions` must not pay 0.1 s for it; nor must a store without vectors."""
    code = (
        "import sys, memory_store, tempfile\n"
        "with tempfile.TemporaryDirectory() as d, memory_store.open_store(d + '/m') as s:\n"
        "    s.add('a kiwi'); s.nearest('kiwi')\n"
        "print('numpy' in sys.modules)"
    )

    found = subprocess.run(_python(code), capture_output=True, text=True, check=True)

    assert found.stdout == "False\n"


def test_a_memory_comes_back_whole(tmp_path: Path) -> None:
    """Labels, origin and time stay with the text."""
    with open_store(tmp_path / "m.sqlite") as store:
        store.add("kiwi", source="agent Ada", session="s1", step=3, part=2, time=12.5)

        (hit,) = store.nearest("kiwi")

    assert hit.memory == Memory(1, "kiwi", "agent Ada", "s1", 3, 2, 12.5)
    assert hit.score == 1.0
    assert hit.dense is None
    assert hit.words > 0


def test_the_same_step_is_kept_once(tmp_path: Path) -> None:
    """Journal and store can't commit together, so a resumed run adds its last step again."""
    with open_store(tmp_path / "m.sqlite") as store:
        first = store.add("as it was", session="s", step=1)
        again = store.add("something else", session="s", step=1)
        notes = [store.add("note"), store.add("note")]

        assert (first, again) == (1, None)
        assert None not in notes
        assert len(store) == 3
        assert _texts(store.nearest("something else")) == []


def test_a_step_may_have_a_result_a_note_and_a_persons_word(tmp_path: Path) -> None:
    """They have one place and different sources, and none may push out another."""
    with open_store(tmp_path / "m.sqlite") as store:
        for source in ("workspace", "person", "outcome", "person"):
            store.add("kiwi", source=source, session="s", step=1)

        assert [memory.source for memory in store.every()] == ["workspace", "person", "outcome"]


def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    """Memories hold what was read in private work; the log beside the file too."""
    with open_store(tmp_path / "m.sqlite") as store:
        store.add("kiwi")

        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}

    assert modes == {"m.sqlite": 0o600, "m.sqlite-wal": 0o600, "m.sqlite-shm": 0o600}


def test_meaning_finds_what_shares_no_word(tmp_path: Path) -> None:
    """That is what vectors are for; a row opposite in meaning stays out."""
    with open_store(tmp_path / "m.sqlite") as store:
        store.add("lunch is at noon", vector=[3, 0.3], model="m")
        store.add("the opposite", vector=[-3, -0.3], model="m")

        (hit,) = store.nearest("when do we eat", vector=[1, 0], model="m")

    assert hit.memory.id == 1
    assert hit.dense == pytest.approx(0.99504, abs=1e-5)  # 3 / sqrt(9.09)
    assert (hit.score, hit.words) == (0.5, 0.0)


def test_words_and_meaning_together_beat_each_alone(tmp_path: Path) -> None:
    """The half-half mix is the best that was measured."""
    with open_store(tmp_path / "m.sqlite") as store:
        store.add("kiwi by word only")
        store.add("by meaning only", vector=[1, 0.1], model="m")
        store.add("kiwi and meaning", vector=[1, 0.2], model="m")

        hits = store.nearest("kiwi", vector=[1, 0], model="m")

    assert hits[0].memory.id == 3
    assert {hit.memory.id for hit in hits} == {1, 2, 3}


_MEMORIES = [
    "execute_shell: .venv/bin/pytest -q failed: 2 tests of slugs.py, the hyphens at the ends",
    "The staging database listens on port 5433 and wants TLS.",
    "read_file report/2024.csv: 1,204 lines, columns region, month, revenue",
    "The person wants amounts in euros with a comma as decimal sign.",
    "web: rate limits of the invoice API are 60 requests a minute",
    "write_file src/slugs.py: strip the hyphens at both ends",
]


@pytest.mark.parametrize(
    "query",
    [
        "How long should I bake sourdough bread in the oven?",
        "What is the capital of the country in which he was born?",
        "the and of to is",
        "",
        "?!\0\ud800",
        "写一首关于春天的诗",
    ],
)
def test_an_unrelated_query_finds_nothing(tmp_path: Path, query: str) -> None:
    """Scores divided by their maximum would give the least bad row a 1.0."""
    with open_store(tmp_path / "m.sqlite") as store:
        for memory in _MEMORIES:
            store.add(memory, vector=[1, 0, 0.2], model="m")

        assert store.nearest(query) == []
        assert store.nearest(query, vector=[-0.1, 1, 0], model="m") == []


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("Which port has the staging database?", 1),
        ("why did the tests fail", 0),
        ("revenue by region", 2),
        ("decimal comma or point for amounts?", 3),
        ("may I send 100 requests each minute to the API", 4),
    ],
)
def test_a_question_in_related_words_finds_its_memory(
    tmp_path: Path, query: str, best: int
) -> None:
    """The floor must let through what shares stems and only a part of the words."""
    with open_store(tmp_path / "m.sqlite") as store:
        for memory in _MEMORIES:
            store.add(memory)

        assert _texts(store.nearest(query))[:1] == [_MEMORIES[best]]


@pytest.mark.parametrize("query", ["数据库", "端口是多少", "库", "口"])
def test_chinese_is_found_by_any_of_its_words(tmp_path: Path, query: str) -> None:
    """There are no spaces to tell words by; single characters count too, at any place."""
    with open_store(tmp_path / "m.sqlite") as store:
        store.add("天气很好")
        store.add("数据库的端口")

        assert [hit.memory.id for hit in store.nearest(query)] == [2]


def test_ties_keep_the_older_first(tmp_path: Path) -> None:
    """The same prompt must come of the same journal."""
    with open_store(tmp_path / "m.sqlite") as store:
        for _ in range(30):
            store.add("kiwi", vector=[1, 0], model="m")

        by_words = [hit.memory.id for hit in store.nearest("kiwi", k=5)]
        mixed = [hit.memory.id for hit in store.nearest("kiwi", vector=[1, 0], model="m", k=5)]

    assert by_words == mixed == [1, 2, 3, 4, 5]


def test_rows_that_stand_in_the_window_are_left_out(tmp_path: Path) -> None:
    """They would push out what the model can't see; other sessions' steps stay."""
    with open_store(tmp_path / "m.sqlite") as store:
        for session, step in (("now", 1), ("now", 2), ("now", 3), ("old", 9)):
            store.add("kiwi", session=session, step=step, vector=[1, 0], model="m")
        store.add("kiwi note")

        by_words = store.nearest("kiwi", hidden=("now", 2))
        mixed = store.nearest("kiwi", hidden=("now", 2), vector=[1, 0], model="m")

    for hits in (by_words, mixed):
        assert sorted(hit.memory.id for hit in hits) == [1, 4, 5]


def test_filters_keep_what_they_name(tmp_path: Path) -> None:
    """By session, by whose words, by time, each alone and together."""
    with open_store(tmp_path / "m.sqlite") as store:
        for session, source, time in (("a", "web", 10), ("a", "note", 20), ("b", "web", 30)):
            store.add("kiwi", session=session, source=source, time=time, step=time)

        def ids(**filters: object) -> list[int]:
            return [hit.memory.id for hit in store.nearest("kiwi", **filters)]  # type: ignore[arg-type]

        assert ids(sessions=["a"]) == [1, 2]
        assert ids(sources={"web"}) == [1, 3]
        assert ids(since=20) == [2, 3]
        assert ids(sessions=["a", "b"], sources=["web"], since=11) == [3]
        assert ids(sessions=[]) == []


def test_rows_of_another_model_are_found_by_words_alone(tmp_path: Path) -> None:
    """Vectors of two models don't compare, not even when they are of one dimension."""
    with open_store(tmp_path / "m.sqlite") as store:
        store.add("kiwi of old", vector=[1, 0], model="old")
        store.add("plum of old", vector=[1, 0], model="old")
        store.add("peach of new", vector=[1, 0], model="new")

        hits = store.nearest("kiwi", vector=[1, 0], model="new")

        assert {hit.memory.id: hit.dense for hit in hits} == {1: None, 3: 1.0}
        assert [hit.memory.id for hit in store.nearest("", vector=[1, 0], model="old")] == [1, 2]
        assert store.nearest("", vector=[1, 0, 0], model="old") == []


@pytest.mark.parametrize("vector", [[0.0, 0.0], [float("nan"), 1.0]])
def test_a_vector_without_direction_counts_as_none(tmp_path: Path, vector: list[float]) -> None:
    """Model servers send such; the text must be kept and found by words."""
    with open_store(tmp_path / "m.sqlite") as store:
        store.add("kiwi", vector=vector, model="m")

        hits = store.nearest("kiwi", vector=vector, model="m")

    assert [(hit.memory.id, hit.score, hit.dense) for hit in hits] == [(1, 1.0, None)]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(_ANY_TEXT, max_size=4))
def test_any_text_is_kept_and_may_be_asked(tmp_path: Path, texts: list[str]) -> None:
    """Quotes, operators, NUL and lone surrogates: SQLite and FTS5 take none of them as they are."""
    path = tmp_path / "m.sqlite"
    path.unlink(missing_ok=True)
    with open_store(path) as store:
        for text in texts:
            store.add(text, source=text, session="s" + text, vector=[1], model=text)
            store.nearest(text, vector=[1], model=text, hidden=(text, 0), sources=[text])

        out = io.StringIO()
        store.export(out)

    kept = [json.loads(line)["text"] for line in out.getvalue().splitlines()]
    # What JSON itself makes of a text: a surrogate pair is one character.
    assert kept == list({text: json.loads(json.dumps(text)) for text in texts}.values())


@pytest.mark.parametrize(
    "query", ['kiwi" OR "', "kiwi* NEAR(", "kiwi AND NOT text:", "\ud800kiwi\0"]
)
def test_a_query_is_words_and_never_syntax(tmp_path: Path, query: str) -> None:
    """It is foreign text, and an FTS5 error would end the run."""
    with open_store(tmp_path / "m.sqlite") as store:
        store.add("kiwi \udfff surrogate")

        assert _texts(store.nearest(query)) == ["kiwi \udfff surrogate"]


def test_a_megabyte_may_be_kept_and_asked(tmp_path: Path) -> None:
    """A query is as long as the result that it is made of."""
    long = " ".join(f"word{i}" for i in range(100_000))
    with open_store(tmp_path / "m.sqlite") as store:
        store.add(long)

        assert _texts(store.nearest(long)) == [long]


def test_what_is_deleted_is_found_no_more(tmp_path: Path) -> None:
    """Neither by words nor by its vector, and its id is never given again."""
    with open_store(tmp_path / "m.sqlite") as store:
        for _ in range(3):
            store.add("kiwi", vector=[1, 0], model="m")
        store.nearest("kiwi", vector=[1, 0], model="m")

        assert [store.delete(3), store.delete(3), store.delete(99)] == [True, False, False]
        assert store.add("kiwi", vector=[1, 0], model="m") == 4

        hits = store.nearest("kiwi", vector=[1, 0], model="m")
        assert [hit.memory.id for hit in hits] == [1, 2, 4]
        assert [hit.memory.id for hit in store.nearest("kiwi")] == [1, 2, 4]
        assert len(store) == 3


def test_a_label_is_changed_where_its_place_is_free(tmp_path: Path) -> None:
    """Two rows of one place and source would be one fact kept twice."""
    with open_store(tmp_path / "m.sqlite") as store:
        for source in ("web", "note"):
            store.add(source, source=source, session="s", step=1)

        done = [store.relabel(1, "read"), store.relabel(2, "read"), store.relabel(9, "x")]

        assert done == [True, False, False]
        assert [memory.source for memory in store.every()] == ["read", "note"]
        assert [hit.memory.source for hit in store.nearest("web")] == ["read"]


_ORIGINS = st.tuples(st.sampled_from(["", "s", "t"]), st.integers(0, 3), st.integers(0, 1))
_ADDED = st.tuples(
    _ANY_TEXT,
    _ORIGINS,
    st.floats(allow_nan=False),
    st.none() | st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=3),
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(_ADDED, max_size=5))
def test_an_export_imports_to_the_same_export(
    tmp_path: Path,
    added: list[tuple[str, tuple[str, int, int], float, list[float] | None]],
) -> None:
    """Texts, labels, origins, times and vectors, to the last bit."""
    first, second = io.StringIO(), io.StringIO()
    for name in ("a", "b"):
        (tmp_path / name).unlink(missing_ok=True)
    with open_store(tmp_path / "a") as one, open_store(tmp_path / "b") as two:
        for text, (session, step, part), time, vector in added:
            one.add(
                text, session=session, step=step, part=part, time=time, vector=vector, model="m"
            )

        count = one.export(first)

        assert two.import_(io.StringIO(first.getvalue())) == count == len(one)
        two.export(second)
        assert second.getvalue() == first.getvalue()


def test_an_export_of_many_has_each_once_and_in_order(tmp_path: Path) -> None:
    """It is written in pieces."""
    lines = [json.dumps({"text": str(i), "time": i}) + "\n" for i in range(1, 1203)]
    out = io.StringIO()
    with open_store(tmp_path / "m.sqlite") as store:
        assert store.import_(lines) == 1202
        store.delete(601)

        assert store.export(out) == 1201

    kept = [int(json.loads(line)["text"]) for line in out.getvalue().splitlines()]
    assert kept == [i for i in range(1, 1203) if i != 601]


def test_the_same_notes_imported_twice_stand_once(tmp_path: Path) -> None:
    """Notes of no session have no place to be known by; what they say and when must do."""
    out = io.StringIO()
    with open_store(tmp_path / "a") as one, open_store(tmp_path / "b") as two:
        for time in (1, 1, 2):
            one.add("kiwi", source="person", time=time)
        one.add("plum", session="s", step=1, time=3)
        one.export(out)
        two.add("kiwi", source="person", time=1)

        counts = [two.import_(io.StringIO(out.getvalue())) for _ in range(2)]

        assert counts == [3, 0]
        assert sorted((m.text, m.time) for m in two.every()) == [
            ("kiwi", 1.0),
            ("kiwi", 1.0),
            ("kiwi", 2.0),
            ("plum", 3.0),
        ]


def test_a_vector_may_come_later_than_its_text(tmp_path: Path) -> None:
    """After a change of model; what another query has loaded must follow."""
    with open_store(tmp_path / "m.sqlite") as store:
        store.add("kiwi", vector=[1, 0], model="old")
        store.add("plum")
        store.add("pear", vector=[0, 1], model="new")
        store.nearest("", vector=[0, 1], model="new")
        before = [memory.text for memory in store.unembedded("new")]

        given = store.embed({1: [2, 0], 2: [0, 0], 9: [1, 1]}, "new")
        hits = store.nearest("", vector=[1, 0], model="new")

        assert before == ["kiwi", "plum"]
        assert given == 1
        assert [memory.text for memory in store.unembedded("new")] == ["plum"]
        assert [(hit.memory.text, hit.dense) for hit in hits] == [("kiwi", 1.0)]
        assert len(store.nearest("", vector=[1, 0], model="old")) == 1


def test_what_is_scrubbed_leaves_no_byte_in_the_files(tmp_path: Path) -> None:
    """Whoever deletes a password means the file, its log and the word index too."""
    path = tmp_path / "m.sqlite"
    with open_store(path) as store:
        for number in range(50):
            store.add(f"number {number} of many")
        store.add("the password is Zanzibarbarossa")
        store.nearest("password")
        assert b"zanzibarbarossa" in b"".join(p.read_bytes() for p in tmp_path.iterdir()).lower()

        store.delete(51)
        store.scrub()

        left = b"".join(p.read_bytes() for p in tmp_path.iterdir()).lower()
        assert b"zanzibar" not in left and b"many" in left
        assert len(store.nearest("number", k=99)) == 50


_SCHEMA_1 = """
PRAGMA journal_mode = WAL;
CREATE TABLE memories (
    id INTEGER PRIMARY KEY AUTOINCREMENT, text NOT NULL, source NOT NULL, session NOT NULL,
    step INTEGER NOT NULL, part INTEGER NOT NULL, time REAL NOT NULL);
CREATE UNIQUE INDEX origin ON memories (session, step, part) WHERE session <> '';
CREATE TABLE vectors (
    row INTEGER NOT NULL, model NOT NULL, dimension INTEGER NOT NULL, vector BLOB NOT NULL,
    UNIQUE (row, model, dimension));
CREATE TABLE state (deletions INTEGER NOT NULL, indexed INTEGER NOT NULL);
INSERT INTO state VALUES (0, -1);
PRAGMA application_id = 0x4D656D53;
PRAGMA user_version = 1;
INSERT INTO memories VALUES (1, 'kiwi', 'workspace', 's', 1, 0, 12.5);
INSERT INTO memories VALUES (3, 'plum', 'note', '', 0, 0, 13.5);
INSERT INTO vectors VALUES (1, 'm', 2, x'0000803f00000000');
"""


def _of_schema_1(path: Path) -> None:
    """A file as the first version of this program made it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_SCHEMA_1)


def test_a_file_of_an_older_schema_is_migrated_and_the_old_one_kept(tmp_path: Path) -> None:
    """All that stood in it is found; whoever wants to go back has the file as it was."""
    path = tmp_path / "m.sqlite"
    _of_schema_1(path)

    with open_store(path) as store:
        (notice,) = store.notices
        (hit,) = store.nearest("kiwi", vector=[1, 0], model="m")
        person = store.add("more", source="person", session="s", step=1)
        again = store.add("more", source="workspace", session="s", step=1)

    kept = tmp_path / "m.sqlite.schema-1"
    assert "from schema 1 to 2" in notice and kept.name in notice
    assert hit.memory == Memory(1, "kiwi", "workspace", "s", 1, 0, 12.5)
    assert hit.dense == 1.0
    assert (person, again) == (4, None)
    assert kept.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(kept)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT text FROM memories").fetchall() == [("kiwi",), ("plum",)]
    with open_store(path) as store:
        assert (len(store), store.notices) == (3, [])


def test_a_migration_writes_over_no_file_that_was_kept_before(tmp_path: Path) -> None:
    """Somebody went back to the old file, and comes again."""
    path = tmp_path / "m.sqlite"
    for _ in range(2):
        path.unlink(missing_ok=True)
        _of_schema_1(path)
        open_store(path).close()

    kept = sorted(each.name for each in tmp_path.glob("*schema-1*"))
    assert kept == ["m.sqlite.schema-1", "m.sqlite.schema-1-2"]


def test_processes_that_open_an_old_file_at_once_migrate_it_once(tmp_path: Path) -> None:
    """Two sessions are started by one script after an update."""
    path = tmp_path / "m.sqlite"
    _of_schema_1(path)

    others = [
        subprocess.Popen(_python(_WRITER, path, name, 5), stdout=subprocess.DEVNULL)
        for name in ("p1", "p2", "p3")
    ]

    assert [process.wait(60) for process in others] == [0, 0, 0]
    assert [each.name for each in tmp_path.glob("*schema-1*")] == ["m.sqlite.schema-1"]
    with open_store(path) as store:
        assert len(store) == 17


def test_an_old_file_that_is_damaged_is_recovered(tmp_path: Path) -> None:
    """Both at once: what can be read comes into a new file, which has the present schema."""
    path = tmp_path / "m.sqlite"
    _of_schema_1(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 4096)

    with open_store(path) as store:
        assert [memory.text for memory in store.every()] == ["kiwi", "plum"]
        assert any("damaged" in notice for notice in store.notices)
        assert store.add("goes on") == 4


@pytest.mark.parametrize(
    "line",
    ["{", "[]", '{"text": 1, "time": 0}', '{"text": "a"}', '{"text": "a", "time": "x"}']
    + [
        json.dumps({"text": "a", "time": 0, "vectors": [{"model": "m", "float32": bad}]})
        for bad in ("!", "AAA=", "AAAAAA==", "AACAPwAAgD8=")
    ],
)
def test_a_line_that_cannot_be_imported_is_named_and_nothing_is_added(
    tmp_path: Path, line: str
) -> None:
    """Half an import would have to be told from the other half by hand."""
    good = '{"text": "kiwi", "time": 0}\n'
    with open_store(tmp_path / "m.sqlite") as store:
        with pytest.raises(StoreError, match=r"^line 2 "):
            store.import_([good, line])

        assert len(store) == 0


_WRITER = """
import sys, memory_store
path, name, count = sys.argv[1:]
with memory_store.open_store(path) as store:
    for step in range(int(count)):
        row = store.add("kiwi", session=name, step=step, vector=[1, 0], model="m")
        print(row, flush=True)
"""


def test_processes_and_threads_write_and_see_each_other(tmp_path: Path) -> None:
    """Sub-agents are threads; a second session is a process. All open the file at once."""
    path = tmp_path / "m.sqlite"
    others = [
        subprocess.Popen(_python(_WRITER, path, name, 40), stdout=subprocess.DEVNULL)
        for name in ("p1", "p2")
    ]
    with open_store(path) as store, ThreadPoolExecutor() as pool:

        def add(step: int) -> int | None:
            row = store.add("kiwi", session="here", step=step, vector=[1, 0], model="m")
            store.nearest("kiwi", vector=[1, 0], model="m")
            return row

        mine = list(pool.map(add, range(40)))
        assert [process.wait(60) for process in others] == [0, 0]

        hits = store.nearest("kiwi", vector=[1, 0], model="m", k=200)

    assert len(set(mine)) == 40
    assert [hit.memory.id for hit in hits] == list(range(1, 121))
    assert {hit.dense for hit in hits} == {1.0}


def test_what_another_process_deleted_is_found_no_more(tmp_path: Path) -> None:
    """The array in memory must follow the file."""
    path = tmp_path / "m.sqlite"
    code = "import sys, memory_store as m; s = m.open_store(sys.argv[1]); s.delete(1); s.close()"
    with open_store(path) as store:
        store.add("plum", vector=[1, 0], model="m")
        store.add("pear", vector=[1, 0], model="m")
        assert len(store.nearest("", vector=[1, 0], model="m")) == 2

        subprocess.run(_python(code, path), check=True)

        assert _texts(store.nearest("", vector=[1, 0], model="m")) == ["pear"]


def test_what_add_returned_survives_a_kill(tmp_path: Path) -> None:
    """Durable on return: the agent counts on it as soon as it has the id."""
    path = tmp_path / "m.sqlite"
    with subprocess.Popen(_python(_WRITER, path, "s", 10**6), stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(50)]
        writer.kill()
        told += writer.stdout.readlines()

    ids = [int(line) for line in told if line.endswith(b"\n")]
    with open_store(path) as store:
        found = {hit.memory.id for hit in store.nearest("kiwi", vector=[1, 0], model="m", k=10**6)}
        assert store.notices == []
    assert len(ids) >= 50
    assert set(ids) <= found


def _filled(path: Path, count: int = 300) -> None:
    with open_store(path) as store:
        for i in range(count):
            store.add(f"kiwi number {i} " + "x" * 200, vector=[1, i], model="m")


def test_a_file_cut_short_is_set_aside_and_its_rows_recovered(tmp_path: Path) -> None:
    """A full disk or a copy that broke off; what is whole must not be lost with the rest."""
    path = tmp_path / "m.sqlite"
    _filled(path)
    size = path.stat().st_size
    os.truncate(path, size * 2 // 3)

    with open_store(path) as store:
        kept = len(store)
        (notice,) = store.notices
        hits = store.nearest("kiwi number 5", vector=[1, 5], model="m")
        store.add("goes on")

    assert 0 < kept < 300
    assert hits[0].memory.text.startswith("kiwi number 5 ")
    assert hits[0].memory.id == 6
    assert f"{kept} memories" in notice
    assert (tmp_path / "m.sqlite.damaged-1").stat().st_size == size * 2 // 3
    with open_store(path) as store:
        assert (len(store), store.notices) == (kept + 1, [])


@pytest.mark.parametrize(
    "garbage", [b"not a database at all" * 300, b"\0" * 100, b"SQLite format 3\0?"]
)
def test_a_file_of_garbage_is_set_aside_each_under_its_own_name(
    tmp_path: Path, garbage: bytes
) -> None:
    """The run goes on with an empty memory and says so; nothing of the person's is deleted."""
    path = tmp_path / "m.sqlite"
    for number in (1, 2):
        path.write_bytes(garbage)

        with open_store(path) as store:
            assert f"m.sqlite.damaged-{number}; 0 memories" in store.notices[0]
            assert store.add("goes on") == 1

        assert (tmp_path / f"m.sqlite.damaged-{number}").read_bytes() == garbage


def test_damage_inside_the_file_is_mended_when_it_is_met(tmp_path: Path) -> None:
    """SQLite looks at a page only when it needs it, so opening sees nothing."""
    path = tmp_path / "m.sqlite"
    _filled(path)
    pages = path.stat().st_size // 4096
    with path.open("r+b") as file:
        for page in range(pages // 2, pages):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)

    with open_store(path) as store:
        assert store.nearest("kiwi", vector=[1, 0], model="m", k=5) != []
        assert 0 < len(store) < 300
        assert len(store.notices) == 1


def test_a_broken_word_index_is_made_anew_and_no_file_set_aside(tmp_path: Path) -> None:
    """The texts are whole, and the index can be had from them."""
    path = tmp_path / "m.sqlite"
    _filled(path, 20)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE words_data SET block = x'ffffffffffffffff' WHERE id > 10")

    with open_store(path) as store:
        assert len(store.nearest("kiwi", k=50)) == 20
    assert sorted(tmp_path.glob("*.damaged*")) == []


def test_a_mended_file_is_taken_up_by_those_who_had_the_old_one_open(tmp_path: Path) -> None:
    """Else they would go on writing into the file that was set aside."""
    path = tmp_path / "m.sqlite"
    with open_store(path) as here:
        here.add("kiwi")
        path.rename(tmp_path / "aside")
        with open_store(path) as there:
            there.add("plum")

            assert here.add("pear") == 2

            assert _texts(there.nearest("pear")) == ["pear"]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("PRAGMA user_version = 9", "schema 9.*newer.*Update"),
        ("PRAGMA application_id = 7", "another program"),
    ],
)
def test_a_file_that_is_not_ours_to_change_is_refused(
    tmp_path: Path, statement: str, said: str
) -> None:
    """A newer version's rows or another program's tables would be spoilt by writing."""
    path = tmp_path / "m.sqlite"
    open_store(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)

    with pytest.raises(StoreError, match=f"m.sqlite.*{said}"):
        open_store(path)


def test_another_programs_database_is_left_as_it_is(tmp_path: Path) -> None:
    """`--memory` may be given any name."""
    path = tmp_path / "m.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")

    with pytest.raises(StoreError, match="another program"):
        open_store(path)

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_place_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    """A folder that isn't there, or a folder in place of the file."""
    for path in (tmp_path / "missing" / "m.sqlite", tmp_path):
        with pytest.raises(StoreError, match=str(path)):
            open_store(path)


def test_without_fts5_words_are_counted_and_the_notices_say_so(tmp_path: Path) -> None:
    """Some Pythons come without it; the index is made when one with it opens the file."""
    path = tmp_path / "m.sqlite"
    with open_store(path) as store:
        store.add("plum")
    with Store(path, full_text=False) as store:
        store.add("the kiwi is a kiwi")
        store.add("one kiwi")
        store.add("数据库的端口")
        assert store.delete(1)

        assert [(h.memory.id, h.words) for h in store.nearest("kiwi")] == [(2, 2.0), (3, 1.0)]
        assert [hit.memory.id for hit in store.nearest("口")] == [4]
        assert store.nearest("bread") == []
        assert "FTS5" in store.notices[0]

    with open_store(path) as store:
        assert {hit.memory.id for hit in store.nearest("kiwis")} == {2, 3}
        assert store.nearest("plum") == []
        assert store.notices == []


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    """Its file may be gone, and must not be made anew."""
    store = open_store(tmp_path / "m.sqlite")
    store.close()
    store.close()

    with pytest.raises(ValueError, match="closed"):
        store.add("kiwi")
