"""The agent's own process: closed to the user's other processes, and still able to make cages."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from commands.sandbox.choose import Wanted
from tests.caged import needs
from tests.fake_openai import Answer, FakeOpenAI
from tests.program import KEY, Program, says

# An ordinary user's rights when we are root, who else reads everything. Root needs this one
# capability to make a user namespace in which it is root.
FRONT = ("setpriv", "--bounding-set=-all,+setfcap", "--inh-caps=-all") if os.getuid() == 0 else ()
USUAL = ("--price", "1,1,1", "--memory", "none")
DONE = says("finish", answer="over")
_GET_DUMPABLE = 3
# Prints what an ordinary process of the same user gets of process $1.
LOOK = """
import ctypes, json, os, sys
pid, found = int(sys.argv[1]), {}
for name in ("environ", "mem", "maps", "auxv", "stack"):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            found[name] = bool(file.read(1)) or name == "mem"
    except OSError as error:
        found[name] = name == "mem" and error.errno == 5  # opened, but nothing is at 0
found["fd"] = os.access(f"/proc/{pid}/fd/0", os.F_OK)
found["trace"] = ctypes.CDLL(None).ptrace(0x4206, pid, None, None) == 0
print(json.dumps(found))
"""


@contextmanager
def thinking(folder: Path) -> Iterator[int]:
    """The process of an agent that waits for its model."""
    hold = Event()
    with FakeOpenAI([Answer(DONE, hold=hold)]) as server:
        program = Program(folder, server.base_url, front=FRONT)
        with program.started("--goal", "go", *USUAL) as running:
            assert server.wait_for_chats(1)
            yield running.process.pid
            hold.set()
            assert running.finish().code == 0


def looked_at(pid: int) -> dict[str, bool]:
    argv = [*FRONT, sys.executable, "-c", LOOK, str(pid)]
    said = subprocess.run(argv, check=True, capture_output=True, timeout=30).stdout
    found: dict[str, bool] = json.loads(said)
    return found


def test_no_other_process_of_the_user_reads_or_traces_the_agent(tmp_path: Path) -> None:
    """A command without a cage is such a process, and the key is in the agent's variables."""
    with thinking(tmp_path) as agent:
        found = looked_at(agent)

    assert not [name for name, readable in found.items() if readable]


def test_the_same_look_finds_everything_in_an_ordinary_process() -> None:
    """Else the test above would prove nothing."""
    argv = [*FRONT, "sh", "-c", "echo ready; read line"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as ordinary:
        assert ordinary.stdout is not None
        try:
            assert ordinary.stdout.readline() == b"ready\n"
            found = looked_at(ordinary.pid)
        finally:
            ordinary.kill()

    assert {"environ", "mem", "maps", "fd", "trace"} <= {name for name, can in found.items() if can}


def test_the_agent_leaves_no_core_file(tmp_path: Path) -> None:
    """It would hold the key, the prompts and everything read."""
    with thinking(tmp_path) as agent:
        limits = Path(f"/proc/{agent}/limits").read_text().splitlines()

    (core,) = [line.split() for line in limits if line.startswith("Max core file size")]
    assert core[4] == "0"


@pytest.mark.parametrize("kind", ["bubblewrap", "landlock", "none"])
def test_cages_are_made_and_commands_are_ordinary_processes(tmp_path: Path, kind: Wanted) -> None:
    """A process that can't be dumped may not write its own uid_map; a program it starts may."""
    needs(kind, tmp_path)
    code = f"import ctypes; print('dumpable', ctypes.CDLL(None).prctl({_GET_DUMPABLE}, 0, 0, 0, 0))"
    replies = [
        says("execute_python", code=code),
        says("execute_shell", command_line="cat /proc/$PPID/environ /proc/self/environ; echo"),
        says("write_file", path="a/b", content="x"),
        says("edit_file", path="a/b", old="x", new="y"),
        DONE,
    ]
    with FakeOpenAI(replies) as server:
        program = Program(tmp_path, server.base_url, front=FRONT)
        done = program.run("--goal", "go", "--unsafe", "--sandbox", kind, *USUAL)
        told = json.dumps(server.chats[-1]["messages"])

    assert (done.code, done.out) == (0, "over\n")
    assert f"Cage: {kind}" in done.err
    assert "dumpable 1" in told
    assert KEY not in told
    assert (program.workspace / "a/b").read_text() == "y"


def test_help_and_version_need_no_closing() -> None:
    """They read no key, and ctypes would cost a third of their time."""
    code = "import sys; from autoagent.cli import main; main(['--help']);"
    code += " print('ctypes' in sys.modules)"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30).stdout

    assert said.decode().splitlines()[-1] == "False"
