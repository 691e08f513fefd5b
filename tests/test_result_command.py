"""/result: what was folded, whole."""

from pathlib import Path

from autoagent.subcommands.showing import result_of
from tests.program import says
from tests.runs import Run
from tests.screens import ASKS, DONE, WRITE, at_terminal
from tests.teams import Troupe

_LINES = "".join(f"line {n}\n" for n in range(1, 21))
_READ = says("read_file", path="long.txt")


def _many(lines: int) -> str:
    return "".join(f"{n} of many lines that fill the window\n" for n in range(1, lines + 1))


def test_a_folded_result_says_how_to_see_it_and_is_shown_whole(tmp_path: Path) -> None:
    with at_terminal(tmp_path, [_READ, WRITE, WRITE, DONE], "Read") as screen:
        (screen.workspace / "long.txt").write_text(_LINES)
        screen.shows("  | line 3\r\n(12 lines more: /result 1)\r\n  | line 16\r\n")
        screen.answers(ASKS, "/result 1")
        screen.shows("step 1: read_file long.txt: 20 lines\r\n")
        whole = screen.shows(ASKS)
        screen.child.sendline("y")
        screen.answers(ASKS, "/result")
        screen.shows("step 2: write_file a.txt: new, 1 line, 5 bytes\r\n", "It has no text.\r\n")
        screen.answers(ASKS, "/result 3")
        screen.shows("Step 3 has no result; the newest one is of step 2.")
        screen.answers(ASKS, "/result x")
        screen.shows("/result x: give a step from 1 to 2.")
        screen.answers(ASKS, "y")

        assert screen.ends() == 0
    assert whole.split("\r\n")[:20] == [f"  | line {n}" for n in range(1, 21)]


def test_a_very_long_result_ends_with_the_way_to_all_of_it(tmp_path: Path) -> None:
    """It was cut for the window, and is whole on disk."""
    with at_terminal(tmp_path, [WRITE, _READ, WRITE, DONE], "Read") as screen:
        (screen.workspace / "long.txt").write_text(_many(700))
        screen.answers(ASKS, "/result")
        screen.shows("There is no result yet.")
        screen.answers(ASKS, "y")
        screen.answers(ASKS, "/result")
        shown = screen.shows("200 lines more: autoagent sessions show ")
        session = screen.shows(" -v shows all")
        screen.answers(ASKS, "q")
        screen.ends()
        told = screen.program.run("sessions", "show", session, "-v")

    assert [f"  | {n} of many lines" in shown for n in (1, 250, 500, 501)] == [*[True] * 3, False]
    assert "  | 501 of many lines" in told.out and "  | 700 of many lines" in told.out


def test_nobody_is_told_of_a_prompt_who_has_none(tmp_path: Path) -> None:
    with at_terminal(tmp_path, [_READ, DONE], "--goal", "Read", "-v") as screen:
        (screen.workspace / "long.txt").write_text(_LINES)
        screen.shows("  | line 3\r\n(12 lines more)\r\n  | line 16\r\n")

        assert screen.ends() == 0


def test_a_result_is_read_from_the_journal_or_where_it_was_cut_from_its_file(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path, says("read_file", path="a"), says("read_file", path="b"), DONE)
    for name, text in (("a", "short\n"), ("b", _many(700))):
        (run.workspace / name).write_text(text)

    list(run)

    assert result_of(run.folder, 1) == "short\n"
    assert result_of(run.folder, 2) == _many(700)
    assert result_of(run.folder, 9) is None


def test_a_folded_result_of_a_sub_agent_says_how_to_see_it(tmp_path: Path) -> None:
    """Its steps have numbers of their own."""
    troupe = Troupe(
        tmp_path / "unused",
        main=[
            says("start_agent", name="a", task="a"),
            says("wait_for_agents"),
            WRITE,
            DONE,
        ],
        a=[_READ, says("finish", answer=_LINES)],
    )
    (tmp_path / "work").mkdir()
    (tmp_path / "work/long.txt").write_text(_LINES)
    with at_terminal(tmp_path, [troupe.answer] * 8, "main") as screen:
        screen.shows("a:   | line 3\r\n", "a: (12 lines more: /result a 1)\r\n")
        screen.shows("a is done: ", "(12 lines more: /result a)\r\n")
        screen.answers(ASKS, "/result a 1")
        screen.shows("a, step 1: read_file long.txt: 20 lines\r\n", "  | line 10\r\n")
        screen.answers(ASKS, "/result a")
        screen.shows("a, step 2: finish line 1: done\r\n", "  | line 10\r\n")
        screen.answers(ASKS, "/result a 7")
        screen.shows("Step 7 has no result; the newest one is of step 2.")
        screen.answers(ASKS, "y")

        assert screen.ends() == 0
