"""The user's own commands: from files and packages, each call in a process of its own."""

import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from autoagent.approval import needs_person, scope_of
from autoagent.configuration.options import parse
from autoagent.reply import Command
from autoagent.running import ResultFiles
from autoagent.state import State
from commands.builtin import catalogue
from commands.cancel import Cancel
from commands.command import Catalogue, CommandSpec, Result
from commands.context import Context
from commands.own.entries import Entry, entries
from commands.own.loading import Outside, Own, Source, offered
from commands.sandbox.bounds import Bounds
from commands.sandbox.none import NoCage
from commands.workspace import Workspace
from tests.fake_openai import FakeOpenAI
from tests.program import ROOT, Program, at_once, processes_with, says
from tests.runs import PATH, Forgetful

PAGE = (ROOT / "docs" / "own-commands.md").read_text("utf-8")
TICKETS = '''
import os, sys
from autoagent import command

@command("read")
def ticket(number: int, fields: list[str] | None = None) -> dict:
    """a ticket of the tracker"""
    print("asked for", number)
    return {"number": number, "fields": fields, "where": os.getcwd()}

@command
def seen(name: str) -> str:
    """the value of a variable"""
    return os.environ.get(name, "unset")

@command
def broken() -> None:
    """always fails"""
    raise LookupError("no ticket 7")
'''
ONE = """
from autoagent import command
@command
def {name}() -> str:
    "says {said}"
    return "{said}"
"""


class Bench:
    """A workspace, and what commands of the user's own need around them."""

    def __init__(self, folder: Path, cage: NoCage) -> None:
        self.folder = folder
        self.workspace = folder / "workspace"
        self.cage = cage

    def source(self, text: str, name: str = "own.py") -> Source:
        path = self.folder / name
        path.write_text(text)
        return Source(name, str(path), path.read_bytes())

    def offered(self, *sources: Source, import_s: float = 20.0) -> Own:
        return offered([], sources, Outside(self.cage, [self.workspace], import_s), Cancel())

    def called(
        self,
        spec: CommandSpec,
        *,
        cancel: Cancel | None = None,
        limit_s: float = 20.0,
        **args: object,
    ) -> Result:
        context = Context(
            workspace=Workspace(self.workspace),
            cage=self.cage,
            memories=Forgetful(),
            results=ResultFiles(self.folder),
            catalogue=catalogue(interactive=False),
            cancel=cancel or Cancel(),
            command_timeout_s=limit_s,
            ask=None,
        )
        return spec.run(context, **spec.checked(args))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "workspace").mkdir()
    bounds = Bounds(tmp_path / "workspace")
    with NoCage(bounds, {"PATH": PATH, "HOME": str(tmp_path)}) as cage:
        yield Bench(tmp_path, cage)


@contextmanager
def program(folder: Path, *script: str, **variables: str) -> Iterator[tuple[Program, FakeOpenAI]]:
    """The real program, and a file of commands beside its workspace."""
    with FakeOpenAI(script) as server:
        (folder / "tickets.py").write_text(TICKETS)
        yield Program(folder, server.base_url, variables), server


def results(server: FakeOpenAI) -> list[str]:
    """What the model read after each of its replies, times made equal."""
    told = [m["content"] for m in server.chats[-1]["messages"][2:] if m["role"] == "user"]
    return [re.sub(r"\d+\.\d s", "0.1 s", text) for text in told]


def test_the_model_calls_a_function_and_reads_what_it_returns_and_prints(tmp_path: Path) -> None:
    """In the workspace, with no key in its environment and no program of the workspace on its
    PATH. A faulty file is named and left out: a nightly run shall not stop for one helper."""
    script = (
        says("ticket", number="12", fields=["title", "käse\n"]),
        says("seen", name="OPENAI_API_KEY"),
        says("seen", name="TRACKER"),
        says("seen", name="PATH"),
        says("broken"),
        says("finish", answer="ok"),
    )

    paths = f"{tmp_path / 'work'}/bin:.:/usr/bin::/bin:{tmp_path}/link"
    (tmp_path / "link").symlink_to(tmp_path / "work")
    with program(tmp_path, *script, TRACKER="blue", PATH=paths) as (autoagent, server):
        (tmp_path / "bad.py").write_text("def f(:\n")
        files = ("--commands", "../bad.py", "--commands", "../tickets.py")
        done = autoagent.run("--goal", "go", *files, "--pass-env", "TRACKER")
        read = results(server)

    where = json.dumps(str(autoagent.workspace))
    said = f'{{"number": 12, "fields": ["title", "käse\\n"], "where": {where}}}'
    assert (done.code, done.out) == (0, "ok\n")
    assert read == [
        f"[ticket, command] 0.1 s\n{said}\n[printed]\nasked for 12\n[end]",
        "[seen, command] 0.1 s\nunset\n[end]",
        "[seen, command] 0.1 s\nblue\n[end]",
        "[seen, command] 0.1 s\n/usr/bin:/bin\n[end]",
        "[broken, command] failed, 0.1 s\nLookupError: no ticket 7 (tickets.py, line 19)\n[end]",
    ]
    assert "ticket(number, fields?) - a ticket" in server.chats[0]["messages"][0]["content"]
    assert "run as you and in no cage: ticket, seen, broken." in done.err
    assert f"Left out, {tmp_path}/bad.py: SyntaxError: invalid syntax (bad.py, line 1)." in done.err
    whole = (autoagent.sessions[0] / "results" / "5.txt").read_text()
    assert 'line 19, in broken\n    raise LookupError("no ticket 7")' in whole
    assert "program.py" not in whole


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1 / 0", "own.py: ZeroDivisionError: division by zero (own.py, line 1)"),
        ("import nowhere_at_all", "No module named 'nowhere_at_all' (own.py, line 1)"),
        ("raise SystemExit(3)", "own.py: SystemExit: 3 (own.py, line 1)"),
        ("import os\nos._exit(3)", "own.py: its import ended without an answer (exit 3)"),
        ("def helper(): pass", "there is no command in it; put @command above a function"),
        ("import time\ntime.sleep(600)", "its import was stopped after 1 s; nothing of it runs on"),
        (
            "from autoagent import command\n@command('wipe')\ndef f(): 'f'",
            "@command takes one of read, change, execute, reach, not 'wipe' (own.py, line 2)",
        ),
        (
            "from autoagent import command\n@command\ndef f(x: 'Nope'): 'f'",
            "f (own.py): its type hints can't be read: name 'Nope' is not defined",
        ),
        (
            ONE.format(name="finish", said="x"),
            "finish (own.py): the name means the built-in finish",
        ),
        (ONE.format(name="bash", said="x"), "bash (own.py): the name means the built-in execute_"),
    ],
)
def test_what_cannot_be_offered_says_why_in_a_line(bench: Bench, text: str, why: str) -> None:
    """The user mends it by that line; nothing of it reaches the model."""
    own = bench.offered(bench.source(text), import_s=1 if "sleep" in text else 20)

    assert own.specs == ()
    assert [why in str(each) for each in own.left_out] == [True]
    assert "\n" not in str(own.left_out[0])


def test_of_two_commands_with_one_name_the_first_stays(bench: Bench) -> None:
    """Two files that define the same leave no doubt about which one runs."""
    one, two = (bench.source(ONE.format(name="say", said=n), f"{n}.py") for n in ("one", "two"))

    own = bench.offered(one, two)

    assert bench.called(own.specs[0]).text == "one"
    assert [str(each) for each in own.left_out] == [
        "say (two.py): one.py has a command of that name already"
    ]


ENDINGS = '''
import os, signal, subprocess, sys, time
from autoagent import command

@command
def crash() -> None:
    """dies"""
    os.kill(os.getpid(), signal.SIGSEGV)

@command
def hang(mark: str) -> None:
    """never ends, nor does what it starts"""
    subprocess.Popen(["sh", "-c", f"exec sleep 600 # {mark}", mark])
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", mark])
    open("started", "w").close()
    time.sleep(600)

@command
def waits(mark: str) -> None:
    """says that it has begun, and never ends"""
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", mark])
    open("begun", "w").close()
    time.sleep(600)

@command
def odd() -> object:
    """returns what isn't JSON"""
    return {1, 2}

@command
def much() -> str:
    """prints and returns more than anyone reads"""
    print("p" * 3_000_000)
    return "ü" * 1_000_000

@command
def fine(text: str, number: float, flag: bool) -> list:
    """gives back what it got"""
    return [text, number, flag, sys.stdin.read()]
'''


def test_a_crash_or_an_odd_result_is_the_failed_result_of_one_call(bench: Bench) -> None:
    """What comes next works as if nothing had been."""
    specs = {spec.name: spec for spec in bench.offered(bench.source(ENDINGS)).specs}

    crashed, odd = bench.called(specs["crash"]), bench.called(specs["odd"])
    much = bench.called(specs["much"])
    text = 'quote " back \\ \ud800 line\n\x00 end'
    fine = bench.called(specs["fine"], text=text, number=1, flag=True)

    assert not crashed.ok
    assert "ended without an answer (exit 139 (killed by signal 11, SIGSEGV))" in crashed.text
    assert (odd.ok, odd.text) == (
        False,
        "TypeError: it returned a set; return a text or what JSON can say",
    )
    assert much.ok
    assert len(much.text) < 2_000_000
    assert "[850,000 characters more, cut]" in much.text
    assert (fine.ok, json.loads(fine.text)) == (True, [text, 1.0, True, ""])


def test_at_its_time_limit_it_is_killed_with_all_that_it_started(bench: Bench) -> None:
    """A thread couldn't be stopped; a process and its tree can."""
    specs = {spec.name: spec for spec in bench.offered(bench.source(ENDINGS)).specs}
    mark = f"own-hang-{os.getpid()}"

    result = bench.called(specs["hang"], limit_s=2, mark=mark)

    assert (result.ok, result.text) == (
        False,
        "[it was stopped after 2 s; nothing of it runs on]",
    )
    assert (bench.workspace / "started").exists()
    assert processes_with(mark) == []


def test_a_cancel_ends_it_with_all_that_it_started(bench: Bench) -> None:
    """Ctrl-C reaches what the user wrote as well."""
    specs = {spec.name: spec for spec in bench.offered(bench.source(ENDINGS)).specs}
    mark, cancel = f"own-waits-{os.getpid()}", Cancel()
    os.mkfifo(bench.workspace / "begun")

    def cancel_once_begun() -> None:
        (bench.workspace / "begun").read_bytes()
        cancel.set("interrupt")

    setter = Thread(target=cancel_once_begun)
    setter.start()
    result = bench.called(specs["waits"], cancel=cancel, limit_s=60, mark=mark)
    setter.join(10)

    assert (result.ok, result.text) == (False, "[it was stopped; nothing of it runs on]")
    assert processes_with(mark) == []


def test_nothing_is_imported_that_the_agent_could_have_written(bench: Bench) -> None:
    """It would run outside the cage. What lies beside a file outside is the user's own."""
    (bench.workspace / "planted.py").write_text("print('planted')")
    (bench.workspace / "json.py").write_text("raise SystemExit('shadowed')")
    (bench.folder / "beside.py").write_text("SAID = 'beside'")
    (bench.folder / "linked.py").symlink_to(bench.workspace / "planted.py")
    importing = "import json, {}\n" + ONE.format(name="say", said="hi")

    beside = bench.offered(bench.source(importing.format("beside")))
    planted = [
        bench.offered(bench.source(importing.format(name), path))
        for name, path in (
            ("planted", "workspace/own.py"),
            ("workspace.planted", "own.py"),
            ("linked", "own.py"),
        )
    ]

    assert [spec.name for spec in beside.specs] == ["say"]
    assert [own.specs for own in planted] == [(), (), ()]
    assert all("lies where the agent can change it" in str(own.left_out) for own in planted)


def test_a_file_in_the_workspace_cannot_be_changed_by_the_agent(tmp_path: Path) -> None:
    """Neither by a file command nor by a program, and so not for the next run either."""
    script = (
        says("write_file", path="tools/own.py", content="x"),
        says("execute_shell", command_line="echo x > tools/own.py || mv tools t2 || echo kept"),
        says("say"),
        says("finish", answer="ok"),
    )

    with program(tmp_path, *script) as (autoagent, server):
        own = autoagent.workspace / "tools" / "own.py"
        own.parent.mkdir()
        own.write_text(ONE.format(name="say", said="mine"))
        done = autoagent.run("--goal", "go", "--commands", "tools/own.py")
        read = results(server)

    assert done.code == 0
    assert "is protected from change" in read[0]
    assert "kept" in read[1]
    assert read[2] == "[say, command] 0.1 s\nmine\n[end]"
    assert own.read_text() == ONE.format(name="say", said="mine")


def test_what_the_cage_cannot_keep_from_the_agent_is_left_out(tmp_path: Path) -> None:
    """Beneath --allow-write, in the workspace of a Landlock cage, or by a link in it."""
    with program(tmp_path) as (autoagent, _):
        inside, shared = autoagent.workspace / "own.py", tmp_path / "shared" / "own.py"
        shared.parent.mkdir()
        for path in (inside, shared):
            path.write_text(TICKETS)
        (autoagent.workspace / "link.py").symlink_to("../tickets.py")
        beside, landlock, link = at_once(
            (
                autoagent,
                ["commands", "--commands", "../shared/own.py", "--allow-write", "../shared"],
            ),
            (autoagent, ["commands", "--commands", "own.py", "--sandbox", "landlock"]),
            (autoagent, ["commands", "--commands", "link.py"]),
        )

    assert f"Left out, {shared}: it lies where the agent can change it" in beside.out
    assert f"Left out, {inside}: it lies where the agent can change it" in landlock.out
    assert link.code == 2
    assert "passes a link in the workspace" in link.err


def test_only_a_trusted_folder_brings_commands(tmp_path: Path) -> None:
    """Whoever clones a repository doesn't run its code outside the cage by that."""
    with program(tmp_path) as (autoagent, _):
        (autoagent.workspace / "autoagent.toml").write_text('commands = ["own.py"]\n')
        (autoagent.workspace / ".env").write_text("AUTOAGENT_COMMANDS=own.py\n")
        (autoagent.workspace / "own.py").write_text("open('ran', 'w')\n" + TICKETS)

        before = autoagent.run("commands")
        ran = (autoagent.workspace / "ran").exists()
        autoagent.run("trust")
        after = autoagent.run("commands")

    assert ("ticket" in before.out, ran) == (False, False)
    assert "ticket(number, fields?)" in after.out


def test_a_file_that_is_not_there_is_a_mistake_of_the_command_line(tmp_path: Path) -> None:
    """A typing error must not pass as a run without the command."""
    with program(tmp_path) as (autoagent, _):
        done = autoagent.run("--goal", "go", "--commands", "tickts.py")

    assert (done.code, done.out) == (2, "")
    assert "tickts.py': there is no such file" in done.err
    assert autoagent.sessions == []


def test_a_resumed_session_takes_the_same_files_or_says_what_is_missing(tmp_path: Path) -> None:
    """Also another one, of which its model is told."""
    script = (
        says("seen", name="USER"),
        says("finish", answer="one"),
        says("finish", answer="two"),
        says("say"),
        says("finish", answer="three"),
    )

    with program(tmp_path, *script) as (autoagent, server):
        (tmp_path / "more.py").write_text(ONE.format(name="say", said="more"))
        autoagent.run("--goal", "go", "--commands", "../tickets.py")
        (tmp_path / "tickets.py").unlink()
        missing = autoagent.run("--resume", "--goal", "on")
        other = autoagent.run("--resume", "--goal", "on", "--commands", "../more.py")
        read = results(server)

    assert autoagent.journal()[0]["commands"] == [f"{tmp_path}/tickets.py"]
    assert (missing.code, missing.out) == (0, "two\n")
    assert f"Left out, {tmp_path}/tickets.py: there is no such file any more." in missing.err
    assert (other.code, other.out) == (0, "three\n")
    assert "[one command more: say() - says more]" in "\n".join(read)
    assert "[say, command] 0.1 s\nmore\n[end]" in read


def installed(folder: Path, package: str, module: str, *lines: str) -> None:
    """A package as pip leaves it."""
    information = folder / f"{package}-1.0.dist-info"
    information.mkdir(parents=True)
    points = [
        "[console_scripts]",
        "x = y:z",
        "",
        "[autoagent.commands]",
        "# ours",
        *lines,
        "",
        "[z]",
    ]
    (information / "entry_points.txt").write_text("\n".join([*points, "no = no:no"]))
    (folder / f"{package}.py").write_text(module)


def test_an_installed_package_offers_commands_but_not_one_in_the_workspace(tmp_path: Path) -> None:
    """A whole module, and one plain function; the agent can install into the workspace."""
    plain = TICKETS + '\ndef plain(x: str) -> str:\n    "plain"\n    return x\n'
    installed(tmp_path / "site", "ours", plain, "all = ours", "plain = ours:plain [x]")
    installed(tmp_path / "work" / "site", "theirs", "open('ran', 'w')", "evil = theirs")
    path = f"{ROOT}:{tmp_path / 'site'}:{tmp_path / 'work' / 'site'}"
    script = (says("plain", x="X"), says("ticket", number=1), says("finish", answer="ok"))

    with program(tmp_path, *script, PYTHONPATH=path) as (autoagent, server):
        done = autoagent.run("--goal", "go", "--disable", "seen")
        read = results(server)

    assert done.code == 0
    assert read[0] == "[plain, command] 0.1 s\nX\n[end]"
    assert '{"number": 1' in read[1]
    assert "no cage: ticket, broken, plain." in done.err.replace("seen, ", "")
    assert "Left out, evil (package theirs): it lies where the agent can change it" in done.err
    assert "seen(" not in server.chats[0]["messages"][0]["content"]
    assert not (autoagent.workspace / "ran").exists()


def test_entry_points_are_read_as_installers_write_them(tmp_path: Path) -> None:
    """Of two with one name the first folder's counts, as with imports."""
    installed(tmp_path / "a", "one", "", "b = one:b", "a = one : a.x [extra]")
    installed(tmp_path / "b", "two", "", "b = two:b", "nonsense")
    (tmp_path / "b" / "broken-2.dist-info").write_text("a file where a folder should be")

    found = entries([str(tmp_path / "a"), str(tmp_path / "nowhere"), str(tmp_path / "b")])

    a = str(tmp_path / "a")
    assert found == [Entry("a", "one : a.x", "one", a), Entry("b", "one:b", "one", a)]


def test_the_listing_says_what_there_is_by_which_effect_and_what_is_left_out(
    tmp_path: Path,
) -> None:
    """For people and for programs."""
    (tmp_path / "bad.py").write_text("import nowhere_at_all")
    options = ["--commands", "../tickets.py", "--commands", "../bad.py", "--disable", "seen"]

    with program(tmp_path) as (autoagent, _):
        text, whole, lines, wrong = at_once(
            (autoagent, ["commands", *options]),
            (autoagent, ["commands", *options, "--output-format", "json"]),
            (autoagent, ["commands", *options, "--output-format", "stream-json"]),
            (autoagent, ["commands", *options, "--disable", "tickt"]),
        )

    source = f"{tmp_path}/tickets.py"
    why = "ModuleNotFoundError: No module named 'nowhere_at_all' (bad.py, line 1)"
    assert f"    read: a ticket of the tracker (your own: {source})\n" in text.out
    assert "seen(" not in text.out
    assert f"\nDisabled (--disable): seen\nLeft out, {tmp_path}/bad.py: {why}\n" in text.out
    assert whole.object["left_out"] == [{"name": None, "from": f"{tmp_path}/bad.py", "why": why}]
    rows = {row["name"]: row for row in whole.object["commands"]}
    assert rows["ticket"] == {
        "name": "ticket",
        "signature": "ticket(number, fields?)",
        "summary": "a ticket of the tracker",
        "effect": "read",
        "aliases": [],
        "from": source,
        "disabled": False,
    }
    assert (rows["seen"]["disabled"], rows["write_file"]["from"]) == (True, "built in")
    told = [line for line in lines.lines if line["type"] == "command"]
    assert [{"type": "command", **row} for row in whole.object["commands"]] == told
    assert (wrong.code, "Did you mean 'ticket'?" in wrong.err) == (2, True)


@pytest.mark.parametrize(
    ("effect", "asks", "always"),
    [
        ("read", False, "f"),
        ("change", True, "f"),
        ("reach", True, "f"),
        ("execute", True, 'f {"x": 1}'),
    ],
)
def test_its_effect_decides_whether_a_person_is_asked(
    bench: Bench, effect: str, asks: bool, always: str
) -> None:
    """What doesn't say is taken for the most careful one."""
    text = "from autoagent import command\n@command{}\ndef f(x: int): 'f'\n"
    said = [f"('{effect}')", ""] if effect == "execute" else [f"('{effect}')"]

    for each in said:
        spec = bench.offered(bench.source(text.format(each))).specs[0]
        command = Command("f", {"x": 1})

        assert spec.effect == effect
        assert (
            needs_person(State(), Catalogue([spec]), spec, command, attended=True, caged=True)
            is asks
        )
        assert not needs_person(
            State(), Catalogue([spec]), spec, command, attended=False, caged=True
        )
        assert scope_of(command, spec, caged=True) == always


def test_what_it_changes_is_named_and_can_be_undone(tmp_path: Path) -> None:
    """By the file's checkpoint, as with a program in the cage."""
    text = "from autoagent import command\n@command('change')\ndef note(x: str):\n    'notes'\n"
    (tmp_path / "note.py").write_text(text + "    open('notes', 'a').write(x)\n")

    with program(tmp_path, says("note", x="hi"), says("finish", answer="ok")) as (autoagent, _):
        done = autoagent.run(
            *("--goal", "go", "--commands", "../note.py", "--output-format", "json")
        )
        written = (autoagent.workspace / "notes").read_text()
        autoagent.run("undo")

    assert (done.code, written) == (0, "hi")
    assert done.object["files_changed"] == ["notes"]
    assert not (autoagent.workspace / "notes").exists()


def test_the_examples_of_the_page_are_commands(bench: Bench) -> None:
    """They are copied; the first is the promise of ten lines."""
    examples = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (bench.workspace / "text.txt").write_text("one two three")

    owns = [bench.offered(bench.source(text)) for text in examples]

    assert [spec.signature for own in owns for spec in own.specs] == [
        "ticket(number)",
        "word_count(path)",
    ]
    assert all(len([line for line in text.splitlines() if line]) <= 10 for text in examples)
    count: Callable[[str], Result] = lambda path: bench.called(owns[1].specs[0], path=path)  # noqa: E731
    assert count("text.txt").text == "3"
    assert "ValueError: /etc/passwd lies outside the workspace" in count("/etc/passwd").text


def test_every_command_line_of_the_page_is_understood() -> None:
    """A page that names what isn't there is worse than none."""
    lines = re.findall(r"^autoagent (.*)$", PAGE, re.MULTILINE)

    assert len(lines) == 2
    for line in lines:
        assert parse(shlex.split(line)).commands == ["tickets.py"]
