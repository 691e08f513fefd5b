"""One-shot runs through the real program: what it prints, what it keeps, how it ends."""

import json
import re
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from autoagent import __version__
from tests.fake_openai import Answer, Body, FakeOpenAI
from tests.program import KEY, ROOT, Done, Program, at_once, of_type, says

FIELDS = {  # surface.md, Output
    *("type", "schema_version", "session", "status", "exit_code", "goals", "answer", "verified"),
    *("steps", "duration_s", "usage", "cost_usd", "model", "files_changed", "hosts"),
    *("sources", "refused", "agents", "error", "resume", "journal_hash"),
}
PRICE = "--price=1,0.5,2"  # US dollars per million tokens
JSON = ("--memory", "none", "--output-format", "json")


class Finished:
    """A run that wrote a file, met the key, and ended; what it left."""

    def __init__(self, folder: Path, *args: str) -> None:
        answers: list[str | Answer] = [
            says("write_file", path="a.txt", content="hé\n"),
            says("execute_shell", command_line=f"cat a.txt; echo {KEY[:9]}''{KEY[9:]}"),
            Answer(status=401, body={"error": {"message": f"bad key {KEY}"}}),
        ]
        with FakeOpenAI(answers) as server:
            self.program = Program(folder, server.base_url)
            given = f"the key {KEY} in a long text\n".encode() * 4000
            self.refused = self.program.run("--goal", f"greet {KEY}", "-", *args, stdin=given)
            self.chats = server.chats
        session = self.refused.object["session"]
        with FakeOpenAI([says("finish", answer="grüße")]) as server:
            program = replace(self.program, base_url=server.base_url)
            self.done = program.run("--resume", session, *args)
            self.chats += server.chats


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return Finished(tmp_path_factory.mktemp("finished"), "--output-format", "stream-json")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> tuple[Program, Done]:
    """A run with nothing but a goal."""
    answers = [says("write_file", path="a.txt", content="1"), says("finish", answer="grüße\n42")]
    with FakeOpenAI(answers) as server:
        program = Program(tmp_path_factory.mktemp("text"), server.base_url)
        return program, program.run("--goal", "greet")


def test_standard_output_holds_the_answer_and_nothing_else(text: tuple[Program, Done]) -> None:
    """So that a script can take it as it is."""
    _, done = text

    assert (done.code, done.out) == (0, "grüße\n42\n")


def test_progress_is_one_line_a_step_on_standard_error(text: tuple[Program, Done]) -> None:
    _, done = text

    steps = [line for line in done.err.splitlines() if line.startswith("step")]
    assert len(steps) == 2
    assert steps[0] == "step 1: write_file a.txt: new, 1 line, 1 byte"
    assert steps[1].startswith("step 2: finish")


def test_the_receipt_says_how_it_ended_what_changed_and_how_to_go_on(
    text: tuple[Program, Done],
) -> None:
    program, done = text
    session = program.sessions[-1].name

    receipt = done.err.partition("\n\n")[2]
    assert receipt.startswith("Done by the model's word.\n")
    assert re.search(r"^ *goals? +greet$", receipt, re.M)
    assert re.search(r"^ *files +a\.txt", receipt, re.M)
    assert f"  autoagent --resume {session} --goal '…'\n" in receipt


def test_an_unknown_price_is_said_and_the_token_limit_stands_in_its_place(
    text: tuple[Program, Done],
) -> None:
    _, done = text

    assert "price of fake-model is unknown: no money limit; 2,000,000 tokens at most" in done.err


def test_nothing_but_what_commands_write_is_in_the_workspace(text: tuple[Program, Done]) -> None:
    program, _ = text

    assert [path.name for path in program.workspace.iterdir()] == ["a.txt"]


def test_state_is_readable_by_its_owner_only(finished: Finished) -> None:
    """Journals hold what commands printed."""
    kept = [finished.program.home, *finished.program.home.rglob("*")]

    modes = {stat.S_IMODE(path.stat().st_mode) for path in kept if path.is_file()}
    folders = {stat.S_IMODE(path.stat().st_mode) for path in kept if path.is_dir()}
    assert (modes, folders) == ({0o600}, {0o700})


def test_stream_json_is_the_journal_and_then_the_result(finished: Finished) -> None:
    """Programs read the same dictionaries live and later from disk."""
    *first, refused = finished.refused.lines
    *second, result = finished.done.lines

    assert first + second == finished.program.journal()
    assert (refused["type"], result["type"]) == ("result", "result")


def test_the_result_object_has_each_field_of_the_surface(finished: Finished) -> None:
    result = finished.done.object

    assert result.keys() == FIELDS
    assert result["status"] == "done"
    assert (result["exit_code"], finished.done.code) == (0, 0)
    assert result["answer"] == "grüße"
    assert result["steps"] == 3
    assert result["files_changed"] == ["a.txt"]
    assert (result["error"], result["verified"], result["cost_usd"]) == (None, None, None)
    assert result["resume"] == f"autoagent --resume {result['session']}"


def test_the_key_is_nowhere_even_if_user_server_and_command_say_it(finished: Finished) -> None:
    """Prompt, screen, journal, results, memory and error texts (issue 2, mission 5)."""
    written = [path for path in finished.program.home.rglob("*") if path.is_file()]

    assert finished.refused.code == 5
    assert "[secret OPENAI_API_KEY]" in json.dumps(finished.chats)
    assert KEY not in json.dumps(finished.chats)
    assert [path for path in written if KEY.encode() in path.read_bytes()] == []
    for done in (finished.refused, finished.done):
        assert KEY not in done.out + done.err


def test_json_is_one_object(tmp_path: Path) -> None:
    """With the sums of what the server counted and its price."""
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 400},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }
    answers = [Answer(says("finish", answer="42"), usage=usage)]
    with FakeOpenAI(answers) as server:
        program = Program(tmp_path, server.base_url)
        done = program.run("-g", "one", "-g", "two", PRICE, *JSON)

    assert len(done.lines) == 1
    assert done.object.keys() == FIELDS
    assert done.object["goals"] == ["one", "two"]
    assert done.object["usage"] == {
        "prompt_tokens": 1000,
        "cached_tokens": 400,
        "completion_tokens": 100,
        "reasoning_tokens": 30,
    }
    assert done.object["cost_usd"] == (600 * 1 + 400 * 0.5 + 100 * 2) / 1e6


def test_goals_come_from_options_a_file_and_text_and_context_from_standard_input(
    tmp_path: Path,
) -> None:
    """Large input is cut in the prompt and whole in read_result(step=0)."""
    given = "".join(f"line {number} of the input\n" for number in range(4000))
    answers = [
        says("read_result", step=0, start_line=3000, lines=1),
        says("finish", answer="read"),
    ]
    with FakeOpenAI(answers) as server:
        program = Program(tmp_path, server.base_url)
        (program.workspace / "goal.txt").write_text("second\nof two lines\n")
        args = ("--goal", "first", "--goal-file", "goal.txt", "third", "-", "-q")
        done = program.run(*args, stdin=given.encode())
        opening, last = server.chats[0]["messages"][1], server.chats[1]["messages"][-1]

    assert done.out == "read\n"
    assert done.err.startswith("\nDone by the model's word.")
    assert opening["content"].startswith("Goals\n1. first\n2. second\nof two lines\n3. third\n")
    assert "[standard input, from the user]\nline 0 of the input\n" in opening["content"]
    assert "read_result(step=0, start_line=" in opening["content"]
    assert "line 2999 of the input\n" in last["content"]


def test_options_reach_the_prompt_the_request_and_the_journal(tmp_path: Path) -> None:
    """TEXT without a terminal is a goal; -v shows what the model thinks."""
    answers = [
        says("write_file", path="tests.py", content="changed"),
        says("execute_shell", command_line="ls"),
        says("finish", answer="42"),
    ]
    with FakeOpenAI(answers) as server:
        program = Program(tmp_path, server.base_url)
        (program.workspace / "tests.py").write_text("as it was")
        done = program.run(
            *("go and look", "-v", "--disable", "execute_shell", "--memory", "none"),
            *("--window", "16,000", "--temperature", "0.5", "--effort", "low"),
            *("--model", "other-model", "--protect", "tests.py"),
        )
        chats, asked = server.chats, {r.path for r in server.requests}

    journal = program.journal()
    results = of_type(journal, "Executed")
    assert (done.code, journal[0]["goals"]) == (0, ["go and look"])
    assert "\n  I finish.\n" in done.err
    assert "execute_shell" not in chats[0]["messages"][0]["content"]
    assert (chats[0]["temperature"], chats[0]["reasoning_effort"]) == (0.5, "low")
    assert chats[0]["model"] == "other-model"
    assert chats[0]["max_tokens"] == 4000  # a quarter of the window
    assert (journal[0]["window"], journal[0]["memory"]) == (16_000, "none")
    assert [(each["ok"], each["refused"]) for each in results[:2]] == [
        (False, True),
        (False, False),
    ]
    assert (program.workspace / "tests.py").read_text() == "as it was"
    assert "/v1/embeddings" not in asked
    assert not (program.home / "memory").exists()


def test_a_workspace_that_is_protected_as_a_whole_is_so_from_programs_too(tmp_path: Path) -> None:
    """`--protect .` is how somebody has a project looked at and nothing else."""
    answers = [says("execute_shell", command_line="echo x > new"), says("finish", answer="42")]
    with FakeOpenAI(answers) as server:
        program = Program(tmp_path, server.base_url)
        done = program.run("look", "--protect", ".", "--memory", "none")

    assert done.code == 0
    assert list(program.workspace.iterdir()) == []


def test_money_is_limited_where_the_price_is_given(tmp_path: Path) -> None:
    """The limit counts before the call is made: no request goes out that could pass it."""
    expensive = (*("--goal", "go", "--price", "1000000,1,1"), *("--max-cost", "0.5"))
    with FakeOpenAI() as server:
        done = Program(tmp_path, server.base_url).run(*expensive)

        assert server.chats == []
    assert done.code == 4
    assert re.search(r"autoagent --resume \S+ --max-cost \d+\n", done.err)


def test_what_cannot_be_kept_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    """One line, exit 2, no call, no folder of a session."""
    refusals = {
        ("--max-cost", "1"): "price of fake-model is unknown, so --max-cost can't be kept",
        ("--window", "4000"): "--window is 4,000 tokens; autoagent needs at least 8,000",
        ("--disable", "read_fil"): "Did you mean 'read_file'?",
        ("--verify", "no-program"): "--verify 'no-program' can't be run (exit 127)",
        ("--continuous", "--interactive"): "contradict each other",
    }
    with FakeOpenAI() as server:
        program = Program(tmp_path, server.base_url)
        runs = at_once(*[(program, ["--goal", "go", *args]) for args in refusals])

        assert server.chats == []
    for said, done in zip(refusals.values(), runs, strict=True):
        assert (done.code, done.out) == (2, "")
        assert said in done.err
        assert done.err.count("\n") == 1, done.err
    assert program.sessions == []


def test_continuous_without_goals_and_without_a_terminal_is_refused(tmp_path: Path) -> None:
    done = Program(tmp_path, "http://127.0.0.1:9/v1").run("--continuous")

    assert done.code == 2
    assert done.err == 'autoagent: There is no goal. Say what is to be reached: --goal "…".\n'


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Done, Done, list[Body]]:
    """A run whose proof fails first and then passes; one whose proof passes before."""
    answers = [
        says("finish", answer="too early"),
        says("write_file", path="made", content=""),
        says("finish", answer="made it"),
    ]
    with FakeOpenAI(answers) as one, FakeOpenAI([says("finish", answer="ok")]) as two:
        args = ("--goal", "go", "--output-format", "json", "--verify")
        proven, before = at_once(
            (Program(tmp_path_factory.mktemp("1"), one.base_url), [*args, "test -e made"]),
            (Program(tmp_path_factory.mktemp("2"), two.base_url), [*args, "true"]),
        )
        return proven, before, one.chats + two.chats


def test_only_a_pass_of_the_proof_ends_as_done(verified: tuple[Done, Done, list[Body]]) -> None:
    """A failing proof goes back to the model; a passing one makes the end verified."""
    proven, _, chats = verified

    assert proven.code == 0
    assert (proven.object["verified"], proven.object["answer"]) == (True, "made it")
    assert "not accepted: test -e made exits with 1" in chats[1]["messages"][-1]["content"]
    assert "Done, and verified." in proven.err


def test_a_proof_that_passes_beforehand_is_said(verified: tuple[Done, Done, list[Body]]) -> None:
    """Person and model both: it then proves nothing."""
    _, before, chats = verified

    assert "verification passes already" in before.err
    assert "verification passes already" in chats[-1]["messages"][-1]["content"]


def modules_of(*args: str) -> set[str]:
    """What `autoagent ARGS` imports."""
    code = "import sys; from autoagent.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    line = [sys.executable, "-S", "-c", code, *args]
    env = {"PYTHONPATH": str(ROOT), "HOME": "/nowhere"}
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_version_and_help_import_nothing_heavy() -> None:
    """Each is done before another program would have imported its client."""
    heavy = {"openai", "numpy", "tiktoken", "genai_prices", "json_repair", "dataclasses", "asyncio"}

    assert modules_of("--version") & (heavy | {"argparse", "json", "typing"}) == set()
    assert modules_of("--help") & (heavy | {"json", "typing"}) == set()


def test_version_is_said(tmp_path: Path) -> None:
    done = Program(tmp_path).run("--version")

    assert (done.code, done.out, done.err) == (0, f"autoagent {__version__}\n", "")


def test_sessions_and_commands_are_listed(text: tuple[Program, Done]) -> None:
    program, _ = text

    sessions, commands = at_once((program, ["sessions", "list"]), (program, ["commands"]))

    assert sessions.out.startswith(f"{program.sessions[-1].name}  done ")
    assert sessions.out.endswith("  greet\n")
    assert "edit_file(path, old, new, until?)" in commands.out


def test_the_demonstration_needs_no_key_and_shows_what_it_made(tmp_path: Path) -> None:
    """`make demo` of the README; its folder goes where temporary files go."""
    variables = {"OPENAI_API_KEY": "", "SMART_LLM": "", "TMPDIR": str(tmp_path)}
    done = Program(tmp_path, variables=variables).run("demo")

    assert done.code == 0
    assert "Done, and verified." in done.err
    assert "  | | 2026-03 | 210 |" in done.err.splitlines()


def test_two_programs_may_work_in_one_workspace(tmp_path: Path) -> None:
    """Each has its own session; the long-term memory of the workspace is shared."""
    many = [says("remember", text=f"fact {number}") for number in range(5)]
    with FakeOpenAI(
        [*many, says("finish", answer="a"), *many, says("finish", answer="b")]
    ) as server:
        program = Program(tmp_path, server.base_url)
        runs = at_once(*[(program, ["--goal", f"goal {n}", "--max-steps", "20"]) for n in (1, 2)])

    assert [done.code for done in runs] == [0, 0]
    assert len(program.sessions) == 2


def test_a_folder_or_file_where_it_is_started_is_not_taken_for_a_module(tmp_path: Path) -> None:
    """design.md, Rooms: neither our package names nor the standard library's."""
    with FakeOpenAI([says("finish", answer="ours")] * 2) as server:
        program = Program(tmp_path, server.base_url)
        evil = "raise SystemExit('taken from the current folder')\n"
        for name in ("commands", "memory_store"):
            (program.workspace / name).mkdir()
            (program.workspace / name / "__init__.py").write_text(evil)
        for name in ("json.py", "argparse.py", "openai.py", "numpy.py"):
            (program.workspace / name).write_text(evil)
        module = program.run("--goal", "go")
        (program.workspace / "autoagent").mkdir()
        (program.workspace / "autoagent" / "__init__.py").write_text(evil)
        script = _console_script(tmp_path)
        line = [sys.executable, script, "--goal", "go"]
        env = program.environment
        console = subprocess.run(
            line, cwd=program.workspace, env=env, capture_output=True, text=True, timeout=60
        )

    assert (module.code, module.out) == (0, "ours\n")
    assert (console.returncode, console.stdout) == (0, "ours\n")


def _console_script(folder: Path) -> str:
    """What pip writes for the entry point in pyproject.toml."""
    import tomllib

    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["autoagent"]
    module, _, name = entry.partition(":")
    script = folder / "autoagent-script"
    script.write_text(f"import sys\nfrom {module} import {name}\nsys.exit({name}())\n")
    return str(script)
