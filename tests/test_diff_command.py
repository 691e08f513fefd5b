"""`/diff STEP`: what one step of a session changed."""

from pathlib import Path

from autoagent.journal import load
from autoagent.sessions.spans import step_spans
from autoagent.state import fold
from autoagent.subcommands.taking_back import difference_of
from tests.program import says
from tests.screens import ASKS, DONE, WRITE, at_terminal
from tests.test_tree_undo import Worked


def test_a_step_shows_its_own_difference_and_others_say_why_there_is_none(tmp_path: Path) -> None:
    """A person looks for the step that broke it."""
    more = says("append_file", path="a.txt", content="more\n")
    with at_terminal(tmp_path, [says("list_files"), WRITE, more, WRITE, DONE], "Write") as screen:
        screen.answers(ASKS, "y")
        screen.answers("Run it? y/n/e/d/s/q/?, a = every append_file: ", "y")
        screen.answers(ASKS, "/diff 2")
        screen.shows("  | +++ b/a.txt", "  | +text", "  | 1 path: 1 new, +1 -0 lines")
        screen.answers(ASKS, "/diff 3")
        screen.shows("  |  text", "  | +more", "  | 1 path: 1 changed, +1 -0 lines")
        screen.answers(ASKS, "/diff")
        screen.shows("  | +more", "  | 1 path: 1 new, +2 -0 lines")
        for step in (1, 4):  # it only looked; it isn't decided yet
            screen.answers(ASKS, f"/diff {step}")
            screen.shows(f"Step {step} has changed nothing.")
        for none in ("0", "5", "two", "1 2"):
            screen.answers(ASKS, f"/diff {none}")
            screen.shows(f"/diff {none}: give a step from 1 to 4, or none for all of them.")
        screen.answers(ASKS, "n")
        screen.answers("Why not?", "")

        assert screen.ends() == 0


def test_what_was_taken_back_is_shown_still_as_that_steps(tmp_path: Path) -> None:
    """The step did it; that it is gone the undo says."""
    with at_terminal(tmp_path, [WRITE, WRITE, DONE], "Write") as screen:
        screen.answers(ASKS, "y")
        screen.answers(ASKS, "/undo")
        screen.shows("1 change was taken back: a.txt (removed).")
        screen.answers(ASKS, "/diff 1")
        screen.shows("  | +text", "  | 1 path: 1 new, +1 -0 lines")
        screen.answers(ASKS, "y")

        assert screen.ends() == 0


def test_what_sub_agents_changed_belongs_to_the_step_in_which_they_did(tmp_path: Path) -> None:
    """A command of one that runs over the ends of two steps is cut there, as for an undo."""
    made = Worked(tmp_path)
    made.team.begin("tests", "Test.")
    made.kept.before("tests", 1)
    made.kept.write("tests", "early")
    made.kept.change("", 1, "a")
    made.kept.write("tests", "in-between")
    made.kept.change("", 2, "b")
    made.kept.write("tests", "late")
    made.kept.change("", 3, "c")
    made.kept.after("tests", 1)
    made.end()
    state = fold([entry.event for entry in load(made.team.path("")).entries])

    changed = [
        [line for line in difference_of(made.places, state, step) if line.startswith("+++ ")]
        for step in (1, 2, 3, 4)
    ]

    assert changed == [
        ["+++ b/a", "+++ b/early"],
        ["+++ b/b", "+++ b/in-between"],
        ["+++ b/c", "+++ b/late"],
        [],
    ]
    assert [s.agents for s in step_spans(made.team.folder, state, 2)] == [("", "tests")]


def test_the_command_line_shows_the_difference_of_one_step_too(tmp_path: Path) -> None:
    """For a program, or a person who wasn't there; a step that is none is wrong usage."""
    made = Worked(tmp_path)
    made.kept.change("", 1, "a")
    made.kept.change("", 2, "b")
    made.end()

    one = made.program.run("diff", "--step", "2")
    none = [made.program.run("diff", "--step", step) for step in ("0", "3", "two")]

    assert (one.code, one.out) == (
        0,
        "--- /dev/null\n+++ b/b\n@@ -0,0 +1 @@\n+\n1 path: 1 new, +1 -0 lines\n",
    )
    assert [done.code for done in none] == [2, 2, 2]
    assert "--step '3' isn't a step of this session: it made 2." in none[1].err
