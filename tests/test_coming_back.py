"""`--resume` at a terminal: where the session stood, in five lines at most."""

import json
from pathlib import Path

from tests.program import says
from tests.screens import ASKS, DONE, WRITE, at_terminal
from tests.teams import Troupe

_BEGINS = "Resumed after step "


def _between(text: str, begin: str) -> list[str]:
    return [begin + line if n == 0 else line for n, line in enumerate(text.split("\r\n"))]


def test_who_comes_back_reads_where_it_stood_in_five_lines(tmp_path: Path) -> None:
    """However long each thing is: a line each, within the screen."""
    plan = {"plan": ["look", "mend\nall"], "thoughts": "I think " + "long " * 60}
    long = json.dumps(plan | {"command": json.loads(WRITE)["command"]})
    with at_terminal(tmp_path, [WRITE, long], "Write\x07 it down") as screen:
        screen.answers(ASKS, "y")
        screen.answers(ASKS, "q")
        assert screen.ends() == 130
    with at_terminal(tmp_path, [DONE], "--resume", "--max-steps", "9") as screen:
        screen.shows(_BEGINS)
        lines = _between(screen.shows("Cage: "), _BEGINS)
        screen.answers(ASKS, "y")

        assert lines[:4] == [
            "Resumed after step 2: Write\\x07 it down",
            "Plan: look; mend all",
            "Last thought: I think" + " long" * 11 + " l...",
            "Last done: write_file a.txt: new, 1 line, 5 bytes",
        ]
        assert lines[4].startswith("Used so far: $0.00") and "; left: $3.00, 7 steps" in lines[4]
        assert lines[5:] == [""]
        assert screen.ends() == 0


def test_who_comes_back_reads_which_sub_agents_go_on(tmp_path: Path) -> None:
    """They are at work at once, and cost."""
    troupe = Troupe(
        tmp_path / "unused",
        main=[says("start_agent", name="a", task="a"), says("wait_for_agents"), DONE],
        a=[WRITE, DONE],
    )
    asks = "a: Run it? y/n/e/d/s/q/?, a = every write_file: "
    with at_terminal(tmp_path, [troupe.answer] * 8, "main") as screen:
        screen.answers(asks, "q")
        assert screen.ends() == 130
    with at_terminal(tmp_path, [troupe.answer] * 8, "--resume") as screen:
        screen.shows("Used so far: ", "; at work: a\r\n")
        screen.answers(asks, "q")
        assert screen.ends() == 130


def test_who_comes_back_to_what_is_done_is_asked_for_a_goal_and_asked_on(tmp_path: Path) -> None:
    """As the receipt said how; what was done has no open plan."""
    plan = {"plan": ["look", "mend"], "thoughts": "I think"}
    planned = json.dumps(plan | {"command": json.loads(WRITE)["command"]})
    with at_terminal(tmp_path, [planned, DONE], "Write it down") as screen:
        screen.answers(ASKS, "y")
        screen.shows("One goal more, in the same session:\r\n  autoagent --resume ")
        session = screen.shows("\r\n")
        assert screen.ends() == 0
        assert " " not in session
    with at_terminal(tmp_path, [WRITE, DONE], "--resume", session) as screen:
        screen.answers("One goal a line; an empty line ends.", "More")
        screen.answers("> ", "")
        screen.shows(_BEGINS)
        recap = _between(screen.shows("Cage: "), _BEGINS)
        screen.answers(ASKS, "y")

        assert screen.ends() == 0
        assert [line.split(":")[0] for line in recap[1:4]] == [
            "Last thought",
            "Last done",
            "Used so far",
        ]
