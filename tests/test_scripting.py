"""What a script relies on: an answer that fits, files for it, a log, a command at the end."""

import json
import os
import signal
import stat
from collections.abc import Mapping
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as law
from hypothesis import strategies as st

from autoagent.answer_schema import read_schema
from autoagent.answering import Fits, held, with_text
from autoagent.configuration import options, settings
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError
from autoagent.model import Cancelled
from autoagent.on_end import run_at_end
from autoagent.outlets import Outlets
from autoagent.strict_json import STRICT, compact
from autoagent.terminal.output import Output
from commands.cancel import Cancel
from commands.command import Result
from tests.fake_openai import Answer, FakeOpenAI, Scripted
from tests.program import KEY, Event, Program, at_once, of_type, processes_with, says, served

COUNT = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
DONE = says("finish", answer="42")
JSON = ("--output-format", "json")


def written(folder: Path, schema: object) -> Path:
    """A file with that schema, or that text."""
    path = folder / "schema.json"
    path.write_text(schema if isinstance(schema, str) else json.dumps(schema))
    return path


def judged(schema: Mapping[str, Any], answer: str) -> Fits | Result:
    return held(dict(schema), answer, Cancel(), timeout_s=30.0)


# The schema.


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ('{"type":\n  integer}', "isn't JSON, line 2, column 3"),
        ('{"type": "a", "type": "b"}', "isn't JSON: a key stands twice"),
        ('{"minimum": NaN}', "isn't JSON: NaN is not JSON"),
        ("", "isn't JSON, line 1, column 1"),
        ("[]", "isn't a JSON Schema: it must be an object"),
        ("true", "isn't a JSON Schema: it must be an object"),
        ({"type": "whole"}, r"isn't a JSON Schema, \$.type: 'whole'"),
        ({"properties": {"a": {"minimum": "1"}}}, r"\$.properties.a.minimum: '1'"),
        ({"pattern": "("}, r"\$.pattern: '\(' is not a 'regex'"),
        ({"$schema": "http://example.org/own"}, r"\$schema is 'http://example.org/own', no draft"),
        ({"$schema": 7}, r"\$schema is 7, no draft"),
        ({"$ref": "http://example.org/a.json"}, "refers to 'http://example.org/a.json'"),
        ({"items": {"$ref": "other.json"}}, "refers to 'other.json', which isn't in it"),
        ({"$ref": "#/$defs/no"}, r"refers to '#/\$defs/no'"),
        ({"$ref": "#no"}, "refers to '#no'"),
        ({"x": {"$ref": "no.json"}, "$ref": "#/x"}, "refers to 'no.json'"),
        ({"x": {"type": 5}, "items": {"$ref": "#/x"}}, r"isn't a JSON Schema, \$.type: 5"),
        ({"$ref": "#"}, "the schema at '#' is its own part"),
        ({"items": {"anyOf": [{"$ref": "#/items"}]}}, "the schema at '#/items' is its own part"),
        ("[" * 100_000, "nested too deep"),
        ('{"not":' * 800 + "{}" + "}" * 800, "nested too deep"),
    ],
)
def test_what_is_no_schema_is_told_with_its_place(
    tmp_path: Path, schema: object, said: str
) -> None:
    """At the start, not after an hour of work whose end can't be judged."""
    with pytest.raises(ConfigError, match=said) as refused:
        read_schema(written(tmp_path, schema))

    assert "schema.json" in str(refused.value)


@pytest.mark.parametrize(
    "schema",
    [
        COUNT,
        {"$defs": {"t": {"items": {"$ref": "#/$defs/t"}}}, "$ref": "#/$defs/t"},
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": True}},
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        {"$id": "https://example.org/a", "$defs": {"b": {"$id": "b", "type": "null"}}, "$ref": "b"},
        {"properties": {"$ref": {"type": "string"}}, "const": {"$ref": "http://example.org/"}},
        {"$dynamicAnchor": "node", "items": {"$dynamicRef": "#node"}},
    ],
)
def test_a_schema_that_holds_all_it_refers_to_is_taken(
    tmp_path: Path, schema: dict[str, Any]
) -> None:
    """Recursion that a value ends is no circle, and data isn't a reference."""
    assert read_schema(written(tmp_path, schema)) == schema


def test_nothing_is_fetched_for_a_schema(tmp_path: Path) -> None:
    """No contact with any host but the model's, also where the library would make one."""
    with FakeOpenAI(routes={"/s.json": {"type": "integer"}}) as server:
        remote = {"$ref": server.base_url.removesuffix("/v1") + "/s.json"}
        with pytest.raises(ConfigError, match="Nothing is fetched"):
            read_schema(written(tmp_path, remote))

        assert server.requests == []


# The answer.


@pytest.mark.parametrize(
    ("schema", "answer", "text"),
    [
        (COUNT, ' {"n" : 1}\n', '{"n": 1}'),
        (COUNT, '{"n": 2, "o": "\\ud800 \\u00fc"}', '{"n": 2, "o": "\\ud800 ü"}'),
        ({"enum": ["pass", "fail"]}, "pass", '"pass"'),
        ({"type": "string"}, '"42"', '"42"'),
        ({"type": "integer"}, "42", "42"),
        ({"format": "date"}, '"no date"', '"no date"'),
    ],
)
def test_an_answer_that_fits_is_given_in_one_line_of_json(
    schema: dict[str, Any], answer: str, text: str
) -> None:
    assert judged(schema, answer) == Fits(text)


@pytest.mark.parametrize(
    ("schema", "answer", "said"),
    [
        (COUNT, "forty-two", "It isn't JSON: Expecting value: line 1 column 1 (char 0). As a"),
        (COUNT, '{"n": 1', "It isn't JSON: Expecting ',' delimiter"),
        (COUNT, '{"n": 1, "n": 2}', "It isn't JSON: a key stands twice"),
        (COUNT, '{"n": NaN}', "It isn't JSON: NaN is not JSON"),
        (COUNT, '{"n": 1e999}', "It isn't JSON: too large"),
        (COUNT, "[" * 100_000, "It isn't JSON: "),
        (COUNT, '{"n": "x"}', "$.n: 'x' is not of type 'integer'"),
        (COUNT, "{}", "$: 'n' is a required property"),
        ({"type": "string"}, "42", "$: 42 is not of type 'string'"),
        ({"anyOf": [{"type": "null"}, COUNT]}, '{"n": "x"}', "$.n: 'x' is not of type 'integer'"),
        ({"multipleOf": 0.1}, "9" * 4000, "$: can't be judged: "),
        ({"$ref": "#/$defs/t", "$defs": {"t": {"items": {"$ref": "#/$defs/t"}}}}, "[" * 300
         + "]" * 300, "$: can't be judged: "),
        ({"items": {"type": "null"}}, json.dumps(["x" * 999] * 9), "and 4 more"),
        (COUNT, " " * 1_000_001, "It has 1,000,001 characters"),
    ],
)  # fmt: skip
def test_an_answer_that_does_not_fit_is_told_where_and_why(
    schema: dict[str, Any], answer: str, said: str
) -> None:
    """In few words, however long the answer is."""
    result = judged(schema, answer)

    assert isinstance(result, Result)
    assert said in result.text
    assert (result.ok, len(result.text) < 3_000) == (False, True)


def test_a_pattern_that_never_ends_is_stopped() -> None:
    """The schema is the user's, the text is the model's; a thread could not be stopped."""
    schema = {"pattern": "^(a+)+$"}
    text = json.dumps("a" * 60 + "b")
    cancel = Cancel()
    cancel.set("terminate")

    result = held(schema, text, Cancel(), timeout_s=0.5)

    assert isinstance(result, Result) and result.text.startswith("It took over 0.5 s")
    with pytest.raises(Cancelled):
        held(schema, text, cancel)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=9,
)  # fmt: skip


@law(deadline=None, max_examples=60)
@given(_VALUES)
def test_the_one_line_says_the_same_value_and_can_be_written(value: object) -> None:
    """A program reads what the model meant; lone surrogates are no reason for a loss."""
    line = compact(value)

    assert STRICT.decode(line.encode().decode()) == value or "\\ud" in line
    assert "\n" not in line
    assert with_text({"answer": value}) == {"answer": value if isinstance(value, str) else line}


class Judged:
    """A run whose first two answers don't fit, with all that goes beside the screen, in a
    folder whose own settings ask for more; then one goal more, twice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        written(folder, COUNT)
        (folder / "text.json").write_text('{"type": "string"}')
        answers = [
            says("finish", answer="forty-two"),
            says("finish", answer='{"n": "x"}'),
            says("finish", answer={"n": 3}),
            says("finish", answer="four"),
            says("finish", answer='{"n":4}'),
            says("finish", answer="five"),
        ]
        (folder / "log").write_text("an older line\n")
        end = "cat > ../given; printf '\\033[2J %s' ${OPENAI_API_KEY:+key}; pwd; exit 3"
        with FakeOpenAI(answers) as server:
            self.program = Program(folder, server.base_url)
            hostile = (
                'on_end = "touch ../planted"\noutput = "../planted"\nlog_file = "../planted"\n'
            )
            (self.program.workspace / "autoagent.toml").write_text(hostile)
            (self.program.workspace / ".env").write_text("AUTOAGENT_ON_END='touch ../planted'\n")
            files = ("-o", "../r.json", "--log-file", "../log", "--on-end", end)
            check = ("--verify", "echo x >> ran; test $(wc -l < ran) = 2")
            schema = ("--answer-schema", "../schema.json")
            self.done = self.program.run("-g", "count", *schema, *files, *check, *JSON)
            self.kept = (folder / "r.json").read_text()
            session = self.done.object["session"]
            more = ("--resume", session, "--verify", "true", "-g")
            (folder / "r.txt").touch(0o640)
            new = ("-o", "../r.txt", "--log-file", "../new.log")
            self.also = self.program.run(*more, "also", *new)
            self.other = self.program.run(*more, "say", "--answer-schema", "../text.json", *JSON)
            self.prompts = [chat["messages"][-1]["content"] for chat in server.chats]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    return Judged(tmp_path_factory.mktemp("judged"))


def test_only_an_answer_that_fits_ends_as_done(run: Judged) -> None:
    """The others go back to the model with the reason, and the run goes on."""
    told = of_type(run.program.journal(), "Executed")

    assert [event["ok"] for event in told] == [False, False, True, False, True, True]
    assert f"must be JSON that fits this JSON Schema: {json.dumps(COUNT)}" in run.prompts[0]
    assert "$: 'forty-two' is not of type 'object'" in run.prompts[1]
    assert "$.n: 'x' is not of type 'integer'" in run.prompts[2]
    assert (run.done.code, run.done.object["verified"]) == (0, True)


def test_an_answer_is_held_against_the_schema_before_it_is_verified(run: Judged) -> None:
    """A test suite need not run for an answer that can't count: once before, once at the end."""
    checks = of_type(run.program.journal(), "Verified")

    assert [event["step"] for event in checks if "ran" in event["command_line"]] == [0, 3]


def test_with_a_schema_the_objects_answer_is_the_value_itself(run: Judged) -> None:
    """A script that reads the object need not parse a second time."""
    assert run.done.object["answer"] == {"n": 3}
    assert of_type(run.program.journal(), "Stopped")[0]["answer"] == '{"n": 3}'


def test_a_goal_more_is_held_against_the_schema_of_the_session(run: Judged) -> None:
    """--resume ID --goal, after done: the schema need not be named again."""
    assert (run.also.code, run.also.out) == (0, '{"n": 4}\n')
    assert (run.folder / "r.txt").read_text() == run.also.out
    assert "$: 'four' is not of type 'object'" in run.prompts[4]
    assert "from now on" not in run.prompts[3]


def test_a_goal_more_may_bring_another_schema(run: Judged) -> None:
    """The newest word counts, and the model is told of it."""
    told = '[from now on the answer given to finish must be JSON that fits this JSON Schema: {"type'

    assert told in run.prompts[5]
    assert (run.other.code, run.other.object["answer"]) == (0, "five")


def test_the_file_of_o_holds_what_standard_output_got(run: Judged) -> None:
    """A new one with the mode of any new file; one that was there keeps its own."""
    mode = stat.S_IMODE((run.folder / "r.json").stat().st_mode)
    mask = os.umask(0o022)
    os.umask(mask)

    assert run.kept == run.done.out
    assert mode == 0o666 & ~mask
    assert stat.S_IMODE((run.folder / "r.txt").stat().st_mode) == 0o640 & ~mask


def test_the_log_holds_the_run_line_by_line_with_the_time(run: Judged) -> None:
    """What a person finds in the morning: the thoughts, the results, the end."""
    old, *lines = (run.folder / "log").read_text().splitlines()
    times, texts = zip(*(line.split(" ", 1) for line in lines), strict=True)

    assert old == "an older line"
    assert all(len(time) == 25 and time[10] == "T" for time in times)
    for text in ("  I finish.", "finish: done", "Done, and verified.", "  | $.n: 'x' is not of"):
        assert [line for line in texts if line.startswith(text)], text
    assert texts[-1] == "autoagent: --on-end exits with 3."


def test_a_new_log_is_its_owners_only(run: Judged) -> None:
    """It holds what commands printed."""
    assert stat.S_IMODE((run.folder / "new.log").stat().st_mode) == 0o600


def test_the_command_at_the_end_reads_the_result_object(run: Judged) -> None:
    assert (run.folder / "given").read_text() == run.done.out


def test_the_command_at_the_end_is_the_users_own(run: Judged) -> None:
    """In the workspace, with the user's variables; what it prints can't touch the terminal, and
    how it ends changes nothing."""
    workspace = run.program.workspace

    assert f"\n  \\x1b[2J key{workspace}\n" in run.done.err
    assert run.done.err.endswith("autoagent: --on-end exits with 3.\n")
    assert run.done.code == 0


def test_no_file_of_the_workspace_sets_a_command_or_a_file(run: Judged) -> None:
    """A cloned repository would run its own program outside the cage."""
    assert not (run.folder / "planted").exists()
    assert "ignored: AUTOAGENT_ON_END. To allow it" in run.other.err
    assert "ignored: log_file, on_end, output. To allow it" in run.other.err


# Where the answer and the log may go.


def loaded(folder: Path, *argv: str) -> Settings:
    """The settings of a run started in `folder`/work."""
    (folder / "work").mkdir(exist_ok=True)
    environ = {"HOME": str(folder), "AUTOAGENT_HOME": str(folder / "state")}
    given = options.parse(["-g", "x", *argv])
    return settings.load(given, environ, cwd=folder / "work")


def test_the_answer_does_not_take_the_place_of_the_log(tmp_path: Path) -> None:
    """-o puts its file in place as a whole: the night's log would be gone at the end."""
    for name in ("log", "link"):
        found = loaded(tmp_path, "--output", "../log", "--log-file", f"../{name}")
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to("log")

        with pytest.raises(ConfigError, match="are the same file"):
            Outlets({}).open(found)


@pytest.mark.parametrize("option", ["--output", "--log-file"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no/r", "its folder can't be opened: No such file or directory; make it first"),
        ("file/r", "its folder can't be opened: Not a directory"),
        ("circle/r", "its folder can't be opened"),
        (".", "is a folder"),
        ("pipe", "is no regular file"),
        ("link", "leads out of the workspace by a link"),
        ("folder/r", "leads out of the workspace by a link"),
        ("../state/sessions", "lies in autoagent's own folder"),
        (".git/hooks/post-commit", "only git changes git's own files"),
        (".env", "masked: it holds secrets"),
        ("autoagent.toml", "protected from change"),
        ("tests/r", "protected from change"),
    ],
)
def test_a_file_that_can_not_be_written_is_told_at_the_start(
    tmp_path: Path, option: str, name: str, said: str
) -> None:
    """Not after the work is done; and a link that a command planted opens nothing."""
    found = loaded(tmp_path, option, name, "--protect", "tests")
    work = tmp_path / "work"
    for folder in (".git/hooks", "tests", "../state", "../elsewhere"):
        (work / folder).mkdir(parents=True)
    (work / "file").touch()
    os.mkfifo(work / "pipe")
    for link, target in (("circle", "circle"), ("link", "../.bashrc"), ("folder", "../elsewhere")):
        (work / link).symlink_to(target)

    with ExitStack() as stack:
        outlets = Outlets({})
        stack.callback(outlets.close)
        with pytest.raises(ConfigError, match=said):
            outlets.open(found)

    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_without_an_answer_yesterdays_file_stays_and_an_object_tells_of_every_end(
    tmp_path: Path,
) -> None:
    """Whoever reads a text must not take a reason for an answer."""
    scripts = [[says("give_up", reason="no")], [says("give_up", reason="no")]]
    with served(tmp_path, *scripts) as pairs:
        programs = [program for program, _ in pairs]
        for program in programs:
            (program.folder / "r").write_text("yesterday\n")
        args = ("-g", "x", "-o", "../r", "--memory", "none")
        done = at_once(*zip(programs, (args, (*args, *JSON)), strict=True))

    texts = [(program.folder / "r").read_text() for program in programs]
    assert [each.code for each in done] == [3, 3]
    assert texts[0] == "yesterday\n"
    assert json.loads(texts[1])["status"] == "gave_up"


def test_what_a_command_puts_in_the_folders_place_is_not_followed(tmp_path: Path) -> None:
    """The answer is the model's text: by a link it could become any file of the user's."""
    line = "mv out away; ln -s ../secret out; ln -s ../../secret/r away/r"
    (tmp_path / "secret").mkdir()
    with FakeOpenAI([says("execute_shell", command_line=line), DONE]) as server:
        program = Program(tmp_path, server.base_url)
        (program.workspace / "out").mkdir()
        done = program.run("-g", "x", "-o", "out/r")

    away = program.workspace / "away" / "r"
    assert (done.code, away.read_text(), away.is_symlink()) == (0, "42\n", False)
    assert list((tmp_path / "secret").iterdir()) == []


def test_an_answer_that_can_not_be_kept_is_no_success(tmp_path: Path) -> None:
    """The folder was deleted in the meantime: exit code 8, and the answer is on standard output."""
    with FakeOpenAI([says("execute_shell", command_line="rmdir out"), DONE]) as server:
        program = Program(tmp_path, server.base_url)
        (program.workspace / "out").mkdir()
        done = program.run("-g", "x", "-o", "out/r")

    assert (done.code, done.out) == (8, "42\n")
    assert "--output '" in done.err and "can't be written: No such file or directory." in done.err


def test_a_log_that_fails_is_told_once_and_the_run_goes_on(tmp_path: Path) -> None:
    """A full disk, here a file that may not grow: the work is worth more than its log."""
    most = 50_000_000
    with (tmp_path / "log").open("wb") as log:
        log.truncate(most)
    with FakeOpenAI([says("list_files"), DONE]) as server:
        program = Program(tmp_path, server.base_url, front=("prlimit", f"--fsize={most}"))
        done = program.run("-g", "x", "--log-file", "../log", "--memory", "none")

    assert (done.code, done.out) == (0, "42\n")
    assert done.err.count("can't be written: File too large; the run goes on without it.") == 1


# The command at the end.


def given_at_end(program: Program) -> Event:
    """What the command of `--on-end 'cat > ../given'` was given."""
    result: Event = json.loads((program.folder / "given").read_text())
    return result


def test_the_command_runs_at_every_end(tmp_path: Path) -> None:
    """A notification is wanted above all when it did not go well."""
    refused = Answer(status=401, body={"error": {"message": "bad key"}})
    scripts: list[list[Scripted]] = [[says("list_files"), says("list_files")], [refused], []]
    end = ("--on-end", "cat > ../given", "--memory", "none")
    with served(tmp_path, *scripts) as pairs:
        programs = [program for program, _ in pairs]
        argv = [("-g", "x", "-l", "1", *end), ("-g", "x", *end), ("-g", "x", "-o", "no/r", *end)]
        done = at_once(*zip(programs, argv, strict=True))

    results = [given_at_end(program) for program in programs]
    assert [each.code for each in done] == [4, 5, 2]
    assert [result["exit_code"] for result in results] == [4, 5, 2]
    assert [result["status"] for result in results] == ["limit", "unreachable", "error"]
    assert [result["session"] is None for result in results] == [False, False, True]


def test_after_a_signal_the_command_still_runs(tmp_path: Path) -> None:
    """A shutdown in the night is an end that somebody wants to hear of."""
    with FakeOpenAI([lambda _: Answer(DONE, hold=_never())]) as server:
        program = Program(tmp_path, server.base_url)
        with program.started("-g", "x", "--on-end", "cat > ../given") as running:
            assert server.wait_for_chats(1)
            running.process.send_signal(signal.SIGTERM)
            done = running.finish()

    assert done.code == 143
    assert given_at_end(program)["status"] == "interrupted"


def test_a_signal_ends_the_command(tmp_path: Path) -> None:
    """Within seconds, with all that it started; the run's exit code stays."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    words = [f"ending-{os.getpid()}-{number.value}" for number in numbers]
    with served(tmp_path, [DONE], [DONE]) as pairs, ExitStack() as stack:
        started = []
        for (program, _), word in zip(pairs, words, strict=True):
            os.mkfifo(program.folder / "begun")
            hard = f"(trap '' TERM HUP; exec setsid bash -c 'exec -a {word} sleep 300') &"
            end = ("--on-end", f"{hard} echo > ../begun; sleep 300", "--memory", "none")
            started.append(stack.enter_context(program.started("-g", "x", *end, *JSON)))
        for (program, _), running, number in zip(pairs, started, numbers, strict=True):
            assert (program.folder / "begun").read_text() == "\n"
            running.process.send_signal(number)
        done = [running.finish(20) for running in started]

    assert [each.code for each in done] == [0, 0]
    for each in done:
        assert each.err.endswith("autoagent: --on-end was stopped by a signal.\n")
    assert [processes_with(word) for word in words] == [[], []]


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    word = f"hanging-{os.getpid()}"
    line = f"echo begun; setsid bash -c 'exec -a {word} sleep 300' & sleep 300"
    screen = StringIO()

    said = run_at_end(line, {}, tmp_path, os.environ, Output(screen), timeout_s=0.5)

    assert said == "--on-end was stopped after 0.5 s, the most it may take."
    assert screen.getvalue() == "  begun\n"
    assert processes_with(word) == []


def test_a_command_that_reads_nothing_and_prints_much_ends_as_it_would(tmp_path: Path) -> None:
    """Neither a full pipe nor a closed one is a fault of the run."""
    result = {"answer": "x" * 1_000_000}

    said = run_at_end("exec <&-; yes | head -c 3000000", result, tmp_path, os.environ, Output(None))

    assert said == ""


# Limits of the schema.


def test_a_schema_that_leaves_no_room_or_holds_a_secret_is_refused(tmp_path: Path) -> None:
    """It would stand in each prompt of the session."""
    large = {"enum": [f"a value of many words, number {n}" for n in range(2_000)]}
    with served(tmp_path, [], []) as pairs:
        programs = [program for program, _ in pairs]
        for program, schema in zip(programs, (large, {"const": KEY}), strict=True):
            written(program.folder, schema)
        args = ("-g", "x", "--answer-schema", "../schema.json")
        done = at_once(*((program, args) for program in programs))

        assert [server.chats for _, server in pairs] == [[], []]
    assert [each.code for each in done] == [2, 2]
    assert "tokens of a window of" in done[0].err
    assert "holds the value of OPENAI_API_KEY" in done[1].err
    assert [program.sessions for program in programs] == [[], []]


def _never() -> Any:
    from threading import Event as Flag

    return Flag()
