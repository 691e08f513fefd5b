"""What docs/unattended.md shows is what somebody finds in the morning; `python -m
tests.test_unattended_docs` writes its transcripts anew."""

import json
import re
import subprocess
import tempfile
from pathlib import Path
from threading import Event

import pytest

from tests.fake_openai import Answer, Scripted
from tests.machine import Machine, served
from tests.program import LIMIT_S, ROOT, Program, at_once, says
from tests.program import served as programs
from tests.transcripts import ENDS, PROMPT, played, put, shown

PAGE = "unattended.md"
TEXT = (ROOT / "docs" / PAGE).read_text("utf-8")
BLOCKS: list[str] = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
NAMES = ("meanwhile", "morning")
_PRICES = """\
def total(prices):
    total = 1
    for price in prices:
        total += price
    return total
"""
_TESTS = 'python3 -c "from prices import total; assert total([2, 3]) == 5"\n'
_MEND = {"path": "prices.py", "old": "total = 1", "new": "total = 0"}
_FINISH = says("finish", answer="total() began at 1; it begins at 0 now.")


def _night() -> list[Scripted]:
    """Three steps and the last word, with a bill that is the same on each machine."""
    replies = [
        says("execute_shell", command_line="sh run-tests.sh"),
        says("read_file", path="prices.py"),
        says("edit_file", **_MEND),
        _FINISH,
    ]
    bills: list[dict[str, object]] = [
        {"prompt_tokens": sent, "prompt_tokens_details": {"cached_tokens": cached}}
        for sent, cached in ((1100, 0), (1300, 1000), (1500, 1300), (1700, 1500))
    ]
    return [
        Answer(text, usage={**bill, "completion_tokens": 100})
        for text, bill in zip(replies, bills, strict=True)
    ]


def _shop(machine: Machine) -> None:
    (machine.folder / "prices.py").write_text(_PRICES)
    (machine.folder / "run-tests.sh").write_text(_TESTS)


def _block(word: str) -> str:
    (found,) = [block for block in BLOCKS if word in block]
    return found


def _nightly(options: str = "") -> str:
    """The page's own line, waited for."""
    return f"{_block('nohup').replace('--max-steps 300', options)}wait $!"


def morning(root: Path) -> str:
    """A night that three steps weren't enough for, and what somebody types then."""
    with served(_night()) as server:
        machine = Machine(root, server)
        _shop(machine)
        night = machine.run("bash", "-c", _nightly("--max-steps 3"))
        assert night.code == 4, night.err
        machine.folder = machine.home
        first, *typed = (
            *("cat night.log", "cd shop", "autoagent sessions list", "autoagent diff"),
            "autoagent --resume --max-steps 40 --continuous",
        )
        return played(machine, [(PROMPT, first), *((ENDS, line) for line in typed)])


def meanwhile(root: Path) -> str:
    """A run that waits for its model; it ends by what is typed, and so does who follows it."""
    with served([Answer(_FINISH, hold=Event())]) as server:
        machine = Machine(root, server)
        _shop(machine)
        run = _begun(machine, "bash", "-c", _nightly())
        assert server.wait_for_chats(1)
        follower = _begun(machine, "autoagent", "sessions", "follow")
        (session,) = machine.sessions
        screen = played(
            machine,
            [
                (PROMPT, "autoagent sessions list --status running"),
                (ENDS, f'autoagent tell {session} "Leave the rounding as it is."'),
                (ENDS, f"autoagent stop {session}"),
            ],
        )
        assert [run.wait(LIMIT_S), follower.wait(LIMIT_S)] == [143, 143]
        return screen


def _begun(machine: Machine, *argv: str) -> "subprocess.Popen[bytes]":
    null = subprocess.DEVNULL
    return subprocess.Popen(
        argv, cwd=machine.folder, env=machine.environment, stdin=null, stdout=null, stderr=null
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_what_is_on_the_screen(tmp_path: Path, name: str) -> None:
    """At 2 a.m. somebody compares it with theirs."""
    play = {"morning": morning, "meanwhile": meanwhile}[name]

    assert shown(PAGE, name) == play(tmp_path)


def test_the_night_goes_on_in_the_morning_by_what_the_page_says(tmp_path: Path) -> None:
    """Done within the limits: the answer alone in one file, the receipt at the end of the other."""
    with served(_night()) as server:
        machine = Machine(tmp_path, server)
        _shop(machine)
        done = machine.run("bash", "-c", _nightly())

    assert done.code == 0
    assert (machine.home / "night.out").read_text() == json.loads(_FINISH)["command"]["args"][
        "answer"
    ] + "\n"
    assert "\nDone, and verified.\n" in (machine.home / "night.log").read_text()


def test_the_look_before_going_to_bed_says_whether_the_check_can_run(tmp_path: Path) -> None:
    """A check that finds nothing in the cage would spoil the night."""
    with served([says("finish", answer="ready")]) as server:
        machine = Machine(tmp_path, server)
        _shop(machine)
        looked = machine.run("bash", "-c", _block("doctor"))

    assert "\nok  Cage: " in looked.out
    assert (looked.code, "AssertionError" in looked.err) == (1, True)


def test_a_mail_at_the_end_says_the_status(tmp_path: Path) -> None:
    """What the page pipes into mail."""
    with served(_night()) as server:
        machine = Machine(tmp_path, server)
        _shop(machine)
        machine.tool("mail", f'echo "$@" >{tmp_path}/mail; cat >>{tmp_path}/mail')
        done = machine.run("bash", "-c", _block("--on-end"))

    assert done.code == 0, done.err
    assert (tmp_path / "mail").read_text() == "-s autoagent me@example.org\ndone\n"


def _rows() -> list[tuple[int, str, str]]:
    """Exit code, the receipt's first line, and its last, as the page's table has them."""
    found = re.findall(r"^\| (\d+) \| (.+?) \| `(autoagent --resume.*?)` \|$", TEXT, re.MULTILINE)
    return [(int(code), first, last) for code, first, last in found]


def test_each_ending_has_the_lines_that_the_table_says(tmp_path: Path) -> None:
    """By the real program, one run for each row but the one that `stop` ends."""
    refused = Answer(status=401, body={"error": {"message": "no such key"}})
    write = says("write_file", path=".env", content="")
    give_up = says("give_up", reason="It can't be.")
    long = [says("execute_shell", command_line=f"seq {n}00000 {n}03000") for n in range(1, 9)]
    ways: list[tuple[list[Scripted], list[str]]] = [
        ([_FINISH], ["--verify", "true"]),
        ([_FINISH], []),
        ([give_up], []),
        ([says("list_files"), says("list_files", path=".")], ["--max-steps", "2"]),
        ([refused], []),
        ([write, give_up], []),
        ([says("read_file", path="nothing.txt")] * 9, []),
        ([*long, _FINISH], []),
    ]
    plain = {"AUTOAGENT_MEMORY": "none", "AUTOAGENT_PRICE": "1,1,1"}
    with programs(tmp_path, *(script for script, _ in ways), variables=plain) as pairs:
        each = [program for program, _ in pairs]
        # A disk that takes no more: at so many blocks of a file.
        full = ("bash", "-c", 'ulimit -f 40; exec "$@"', "bash")
        each[-1] = Program(each[-1].folder, each[-1].base_url, plain, full)
        goal = ("--goal", "go")
        ended = at_once(
            *((program, [*goal, *more]) for program, (_, more) in zip(each, ways, strict=True))
        )

    found = []
    for done in ended:
        lines = done.err.rstrip().split("\n")
        first = lines.index("", lines.index("goal     go") - 4)
        last = re.sub(r"\d{8}-\d{6}-\w{4}", "ID", lines[-1].strip())
        found.append((done.code, lines[first + 1], last))
    assert found == [row for row in _rows() if row[0] != 143]


def test_an_ending_by_a_signal_has_the_lines_that_the_table_says(tmp_path: Path) -> None:
    """The last row."""
    with served([Answer(_FINISH, hold=Event())]) as server:
        machine = Machine(tmp_path, server)
        _shop(machine)
        run = _begun(machine, "bash", "-c", _nightly())
        assert server.wait_for_chats(1)
        (session,) = machine.sessions
        machine.run("autoagent", "stop", session)
        code = run.wait(LIMIT_S)

    log = (machine.home / "night.log").read_text()
    (row,) = [row for row in _rows() if row[0] == 143]
    assert code == row[0]
    assert f"\n\n{row[1]}\n" in log
    assert log.endswith(f"  {row[2].replace('ID', session)}\n")


def test_every_block_of_the_page_is_one_that_a_test_runs() -> None:
    """A line that was never run is a claim."""
    assert [_block("nohup"), _block("doctor"), _block("--on-end")] == BLOCKS


def main() -> None:
    """Put the present transcripts into the page."""
    for name, play in (("meanwhile", meanwhile), ("morning", morning)):
        with tempfile.TemporaryDirectory() as folder:
            put(PAGE, name, play(Path(folder)))


if __name__ == "__main__":
    main()
