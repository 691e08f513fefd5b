"""What the model gets to read when it runs code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.builtin import catalogue
from commands.cancel import Cancel
from commands.command import CommandError, Result
from commands.context import Context, Recollection
from commands.execution import execute_python, execute_shell, without_overwritten
from commands.sandbox.bounds import Bounds, CageFault
from commands.sandbox.choose import Wanted, choose
from commands.workspace import Workspace


class Nothing:
    """Memories and results that hold nothing, as in a new session."""

    def remember(self, text: str) -> None:
        raise AssertionError(text)

    def recall(self, query: str) -> Recollection:
        return Recollection()

    def read(self, step: int, agent: str = "") -> str | None:
        return None

    def source(self, step: int) -> str:
        return "workspace"


def context(root: Path, *, kind: Wanted = "bubblewrap", cancel: Cancel | None = None) -> Context:
    """What a command of a new session may touch; skipped where the cage can't be."""
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    workspace = Workspace(root)
    bounds = Bounds(workspace.root, workspace.protected_paths, workspace.masked_paths)
    try:
        cage = choose(kind, bounds, {"PATH": path, "HOME": str(root.parent)})
    except CageFault as fault:
        if "CI" in os.environ:
            raise
        pytest.skip(str(fault))
    return Context(
        workspace=workspace,
        cage=cage,
        memories=Nothing(),
        results=Nothing(),
        catalogue=catalogue(interactive=False),
        cancel=cancel or Cancel(),
        command_timeout_s=30,
        ask=None,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "workspace"
    root.mkdir()
    return root


def shell(root: Path, command_line: str, timeout_s: float | None = None) -> Result:
    return execute_shell.run(context(root), command_line, timeout_s)


def python(root: Path, code: str, kind: Wanted = "bubblewrap") -> Result:
    return execute_python.run(context(root, kind=kind), code)


def test_both_outputs_come_apart_and_as_they_are(root: Path) -> None:
    """The model must tell a warning from a result."""
    result = shell(root, "printf 'a\\tb\\n\\nno end'; echo wrong >&2; exit 3")

    assert result.text == "a\tb\n\nno end\n[stderr]\nwrong\n"
    assert result.note.startswith("exit 3, ")
    assert result.note.endswith(" s")
    assert not result.ok


def test_success_is_said_and_no_line_is_added_to_the_output(root: Path) -> None:
    """What a file holds must be seen as it is."""
    result = shell(root, "printf x")

    assert (result.text, result.ok) == ("x", True)


def test_each_shell_is_new_in_the_workspace(root: Path) -> None:
    """The catalogue says so; a model that relies on it must not be wrong."""
    shell(root, "cd /; export A=1")

    assert shell(root, "pwd; echo [$A]").text == f"{root}\n[]\n"


def test_the_shell_is_bash(root: Path) -> None:
    """The catalogue says bash; dash fails on half of what models write."""
    assert shell(root, "[[ ab == a* ]] && echo ${BASH_VERSION:0:1}").ok


def test_any_bytes_are_tolerated(root: Path) -> None:
    """A binary file on the screen must not end the run."""
    result = shell(root, r"printf 'a\377\000\033[31mb'")

    assert result.text == "a\ufffd\0\x1b[31mb"


def test_standard_input_is_empty(root: Path) -> None:
    """A program that asks would wait until the limit."""
    result = shell(root, "cat; read answer || echo nobody answers")

    assert result.text == "nobody answers\n"


def test_a_large_output_keeps_its_ends_and_says_what_is_missing(root: Path) -> None:
    """Errors stand at the end, causes at the start."""
    result = shell(root, "echo first; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last")

    assert result.text.startswith("first\nxxx")
    assert result.text.endswith("xxx\nlast\n")
    assert f"…{3_000_012 - 2 * 512 * 1024:,} bytes left out…" in result.text


def test_a_time_limit_is_told_with_what_came_before(root: Path) -> None:
    """What a server printed before it was stopped is what the model wanted."""
    result = shell(root, "echo listening; sleep 1000", 1)

    assert result.text.startswith("listening\n[nothing of it runs on.")
    assert result.note.startswith("stopped after 1 s (timeout_s), ")
    assert not result.ok


@pytest.mark.parametrize(("asked", "taken"), [(0.0, "1"), (1e9, "3600")])
def test_a_time_limit_out_of_bounds_is_changed_and_said(
    asked: float, taken: str, root: Path
) -> None:
    """A model that asks for a day gets an hour, and knows."""
    result = shell(root, "true", asked)

    assert result.ok
    assert result.note.endswith(f"timeout_s can be 1 to 3600, {taken} was taken")


def test_a_stop_by_the_user_is_told_as_such(root: Path) -> None:
    """Otherwise the model takes it for a fault of its command and tries again."""
    cancel = Cancel()
    cancel.set("interrupt")

    result = execute_shell.run(context(root, cancel=cancel), "sleep 1000")

    assert result.note.startswith("stopped by the user")
    assert not result.ok


def test_a_death_by_signal_is_explained(root: Path) -> None:
    """Exit 137 means nothing to most; too little memory is the usual cause."""
    note = shell(root, "kill -9 $$").note

    assert note.startswith("exit 137 (killed by signal 9, SIGKILL, maybe out of memory), ")


def test_a_missing_network_is_explained(root: Path) -> None:
    """Or the model looks for a mistake in its address."""
    code = "import urllib.request as u; u.urlopen('http://example.org')"

    assert python(root, code).text.endswith(
        "[commands have no network here: do without, or give_up if it can't be done]"
    )


def test_progress_on_stderr_is_shown_as_a_screen_would(root: Path) -> None:
    """A download bar is a thousand lines of nothing; stdout stays exact."""
    result = shell(root, r"printf '1%%\r2%%\r3%%\nend\r\n' >&2; printf 'a\rb'")

    assert result.text == "a\rb\n[stderr]\n3%\nend\r\n"
    assert result.note.endswith("overwritten lines of stderr left out")


@given(st.text(alphabet="ab\r\n"))
def test_what_was_not_overwritten_stays(text: str) -> None:
    """Line ends of Windows are no progress, and a line never loses its last state."""
    shown = without_overwritten(text)

    last = [line.rstrip("\r").split("\r")[-1] for line in text.split("\n")]
    assert [line.rstrip("\r") for line in shown.split("\n")] == last


@pytest.mark.parametrize("kind", ["bubblewrap", "none"])
def test_python_runs_as_a_script_in_the_workspace(kind: Wanted, root: Path) -> None:
    """Imports of the workspace's modules, __main__, and nothing left behind."""
    (root / "tool.py").write_text("value = 42\n")
    code = (
        "import os, sys, tool\n"
        "if __name__ == '__main__':\n"
        "    print(tool.value, os.getcwd() == sys.path[0], sys.stdin.read() == '', sorted(\n"
        "        name for name in globals() if not name.startswith('_')))\n"
    )

    result = python(root, code, kind)

    assert result.text == "42 True True ['os', 'sys', 'tool']\n"
    assert [path.name for path in root.iterdir()] == ["tool.py"]


def test_a_traceback_shows_the_models_lines_and_only_those(root: Path) -> None:
    """It mends what it sees; our own frames would be noise."""
    result = python(root, "def f():\n    return 1 / 0  # here\n\nf()\n")

    assert result.note.startswith("exit 1, ")
    assert result.text == (
        "[stderr]\n"
        "Traceback (most recent call last):\n"
        '  File "/tmp/execute_python.py", line 4, in <module>\n'
        "    f()\n"
        '  File "/tmp/execute_python.py", line 2, in f\n'
        "    return 1 / 0  # here\n"
        "           ~~^~~\n"
        "ZeroDivisionError: division by zero\n"
    )


@pytest.mark.parametrize(("code", "status"), [("import sys; sys.exit(5)", 5), ("def", 1)])
def test_python_ends_with_its_own_status(code: str, status: int, root: Path) -> None:
    """SystemExit is an end, a syntax error is a failure."""
    assert python(root, code).note.startswith(f"exit {status}, ")


def test_functions_of_the_code_reach_other_processes(root: Path) -> None:
    """multiprocessing finds them in the script's file, whatever its way to start."""
    code = (
        "import multiprocessing as m\n"
        "def double(n): return 2 * n\n"
        "if __name__ == '__main__':\n"
        "    with m.get_context('spawn').Pool(1) as pool: print(pool.map(double, [1, 2]))\n"
    )

    assert python(root, code).text == "[2, 4]\n"


def test_code_may_be_larger_than_an_argument_can(root: Path) -> None:
    """Data written out in a script passes 128 KiB soon."""
    result = python(root, f"x = '''{'y' * 300_000}'''\nprint(len(x))")

    assert result.text == "300000\n"


def test_a_too_long_command_line_says_what_to_do(root: Path) -> None:
    """The kernel's own answer would be 'argument list too long'."""
    with pytest.raises(CommandError, match="write_file"):
        shell(root, "true " + "x" * 200_000)


@pytest.mark.parametrize("command_line", ["a\0b", "a\ud800b"])
def test_what_no_shell_takes_is_refused(command_line: str, root: Path) -> None:
    """Neither may end the run as an error of ours."""
    with pytest.raises(CommandError):
        shell(root, command_line)


def test_the_workspaces_own_python_is_used(root: Path) -> None:
    """Its packages are what the code needs."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", root / ".venv"], check=True, timeout=60
    )

    result = python(root, "import sys; print(sys.prefix)")

    assert result.text == f"{root / '.venv'}\n"


def test_a_secret_file_of_the_workspace_is_empty_for_commands(root: Path) -> None:
    """The one list of masked paths holds for files and for the cage."""
    (root / ".env").write_text("KEY=1\n")

    assert shell(root, "cat .env").text == ""


def test_usual_names_are_understood() -> None:
    """Models know these from other agents."""
    commands = catalogue(interactive=False)

    assert commands.find("run_python").checked({"source": "1"}) == {"code": "1"}
    assert commands.find("bash").checked({"cmd": "ls", "timeout": 3}) == {
        "command_line": "ls",
        "timeout_s": 3.0,
    }
