"""The program at a real terminal: what it asks, what each answer means, how it ends."""

import json
import os
import select
import shlex
import signal
from pathlib import Path
from threading import Event

import pytest

from autoagent.terminal.output import output_to
from tests.fake_openai import Answer, Scripted
from tests.program import says
from tests.screens import ASKS, ASKS_CODE, DONE, LIMIT_S, WRITE, Silent, at_terminal


def _shell(command_line: str) -> str:
    return says("execute_shell", command_line=command_line)


def test_goals_are_asked_for_one_a_line_and_an_empty_line_ends(tmp_path: Path) -> None:
    """Surface: `autoagent` alone asks. The answer stands on the screen, the receipt ends it."""
    with at_terminal(tmp_path, [DONE]) as screen:
        screen.answers("One goal a line; an empty line ends.", "First goal")
        screen.answers("> ", "Second goal")
        screen.answers("> ", "")
        screen.shows("step 1", "finish: done", "all is done", "Done by the model's word.")

        assert screen.ends() == 0
        assert "Goals\n1. First goal\n2. Second goal\n" in screen.prompt(0)


def test_a_goal_that_only_holds_its_place_is_not_worked_on(tmp_path: Path) -> None:
    """It came along with a command line that was copied."""
    with at_terminal(tmp_path, [DONE]) as screen:
        screen.answers("> ", "…")
        screen.answers("> ", "")
        screen.shows("The goal is '…', which only holds its place: put there what is to")

        assert screen.ends() == 2
        assert screen.server.chats == []


def test_each_answer_does_what_it_says_and_the_model_is_told(tmp_path: Path) -> None:
    """y, n with its reason, s, a longer text; and an answer to the agent's own question."""
    asks = says("ask_user", question="red?\nor blue?")
    replies = [WRITE, _shell("touch b"), asks, _shell("touch c"), _shell("touch c"), DONE]
    with at_terminal(tmp_path, replies, "Write") as screen:
        screen.answers(ASKS, "y")
        screen.answers(ASKS_CODE, "N")
        screen.answers("Why not? (Enter for no reason) ", "b is taken")
        screen.shows("execute_shell touch b: not run")
        screen.answers("The agent asks:\r\n  | red?\r\n  | or blue?\r\nYour answer: ", "blue")
        screen.answers(ASKS_CODE, "s")
        screen.answers(ASKS_CODE, "call it d, please")

        assert screen.ends() == 0
        assert [path.name for path in screen.workspace.iterdir()] == ["a.txt"]
        assert "not run: the user refused it\n[the user says]\nb is taken\n" in screen.prompt(2)
        assert "person]\nblue\n" in screen.prompt(3)
        assert "asks you to criticise this step" in screen.prompt(4)
        assert "[the user says]\ncall it d, please\n[end]" in screen.prompt(5)


def test_some_steps_run_unasked_and_then_it_asks_again(tmp_path: Path) -> None:
    """`y -2` is this one and the next; `a` is all that is shown beside it, nothing more."""
    replies = [_shell(f"echo {n} >> n") for n in (1, 2, 3, 3, 4)]
    with at_terminal(tmp_path, [*replies, DONE], "Count") as screen:
        screen.answers(ASKS_CODE, "y -2")
        screen.shows("echo 1 >> n: exit 0", "echo 2 >> n: exit 0", "command_line: echo 3 >> n")
        screen.answers(ASKS_CODE, "a")
        screen.shows("echo 3 >> n: exit 0", "echo 3 >> n: exit 0", "command_line: echo 4 >> n")
        screen.answers(ASKS_CODE, "n")
        screen.answers("Why not?", "")

        assert screen.ends() == 0
        assert (screen.workspace / "n").read_text() == "1\n2\n3\n3\n"


def test_how_much_is_hidden_is_said_and_d_shows_it(tmp_path: Path) -> None:
    """Nobody agrees to what they were not shown without being told so."""
    content = "".join(f"line {number}\n" for number in range(1, 41))
    write = says("write_file", path="a.txt", content=content)
    with at_terminal(tmp_path, [write, DONE], "Write") as screen:
        screen.shows("write_file\r\n  a.txt  new, 40 lines, 311 bytes\r\n  | line 1\r\n")
        hidden = screen.shows("(28 lines more: d shows all)")
        screen.answers(ASKS, "d")
        whole = screen.shows(ASKS)
        screen.child.sendline("q")

        assert "line 12\r\n" in hidden
        assert "line 13\r\n" not in hidden
        assert [f"  | line {n}" in whole.split("\r\n") for n in range(1, 41)] == [True] * 40
        assert screen.ends() == 130


def test_a_change_of_a_file_is_shown_as_the_difference_it_makes(tmp_path: Path) -> None:
    """Two edits read alike that differ in what stands around them in the file."""
    edit = says("edit_file", path="a.txt", old="seven", new="SEVEN")
    write = says("write_to_file", file="a.txt", text="one\n")
    lines = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\neleven\ntwelve\n"
    with at_terminal(tmp_path, [edit, write, edit, DONE], "Edit") as screen:
        (screen.workspace / "a.txt").write_text(lines)
        shown = screen.shows("Run it? ")
        screen.answers("edit_file: ", "y")
        replaced = screen.shows("Run it? ")
        screen.answers(": ", "y")
        screen.shows("It will fail as things are: old stands nowhere in it.", "Run it? ")
        screen.child.sendline("q")
        screen.ends()

    assert (
        "edit_file\r\n  a.txt  +1 -1 lines\r\n  | @@ -4,7 +4,7 @@\r\n  |  four\r\n  |  five\r\n"
        "  |  six\r\n  | -seven\r\n  | +SEVEN\r\n  |  eight\r\n  |  nine\r\n  |  ten\r\n"
    ) in shown
    assert (
        "  a.txt  replaces 12 lines by 1\r\n  | @@ -1,13 +1,2 @@\r\n  |  one\r\n  | -two\r\n"
        in replaced
    )


def _editor(folder: Path, *edits: str) -> str:
    """An editor that makes one of these sed edits each time it is opened."""
    editor = folder / "editor"
    lines = [f'{n}) sed -i {shlex.quote(edit)} "$1";;' for n, edit in enumerate(edits)]
    count = shlex.quote(str(folder / "count"))
    editor.write_text(
        f"#!/bin/sh\nn=$(cat {count} 2>/dev/null || echo 0); echo $((n + 1)) > {count}\n"
        f"case $n in {' '.join(lines)} esac\n"
    )
    editor.chmod(0o700)
    return str(editor)


def test_an_edited_command_is_shown_and_asked_for_again(tmp_path: Path) -> None:
    """An editor that is closed by mistake runs nothing; what can't be read isn't lost."""
    replies = [_shell("echo wrong > out"), DONE]
    editor = _editor(tmp_path, "s/wrong/right/; s/}$/!/", "s/!$/}/")
    with at_terminal(tmp_path, replies, "Run", VISUAL=editor) as screen:
        screen.answers(ASKS_CODE, "e")
        screen.shows("That can't be read: ", "e opens it again")
        screen.answers(ASKS_CODE, "e")
        screen.shows("command_line: echo right > out")
        screen.answers("Run it? y/n/e/d/s/q/?: ", "y")

        assert screen.ends() == 0
        assert (screen.workspace / "out").read_text() == "right\n"
        assert "the user changed the command; this is what runs" in screen.prompt(1)


def test_without_an_editor_each_line_is_typed_anew(tmp_path: Path) -> None:
    with at_terminal(tmp_path, [WRITE, DONE], "Write") as screen:
        screen.answers(ASKS, "e")
        screen.answers("  path: a.txt\r\n  path (Enter keeps it): ", "b.txt")
        screen.answers("Run it? y/n/e/d/s/q/?: ", "y")

        assert screen.ends() == 0
        assert [path.name for path in screen.workspace.iterdir()] == ["b.txt"]


def test_what_is_typed_before_the_question_is_no_answer(tmp_path: Path) -> None:
    """A whole line and a begun one: an Enter that comes too late must not run anything."""
    silent = Event()
    replies: list[Scripted] = [Answer(WRITE, hold=silent), DONE]
    with at_terminal(tmp_path, replies, "Write") as screen:
        screen.shows("step 1: thinking...")
        screen.child.send("yes\ny")
        screen.shows("yes\r\ny")  # the terminal's echo: it has arrived
        silent.set()
        screen.shows("The agent gets your words: yes", "the agent gets it as words: y\r\n")
        screen.answers(ASKS, "")
        screen.answers(ASKS, "n")
        screen.answers("Why not?", "")

        assert screen.ends() == 0
        assert list(screen.workspace.iterdir()) == []
        assert "[the user says]\nyes\n[end]\n" in screen.prompt(1)
        assert screen.prompt(1).endswith("[the user says]\ny\n[end]")


def test_a_protected_path_is_asked_about_with_the_reason(tmp_path: Path) -> None:
    """design.md's table; neither `a` nor free steps answer for it."""
    write = says("write_file", path=".bashrc", content="new\n")
    with at_terminal(tmp_path, [WRITE, write, DONE], "Write") as screen:
        (screen.workspace / ".bashrc").write_text("old\n")
        screen.answers(ASKS, "y -9")
        screen.shows("'.bashrc' is protected from change.", "y opens it to this command alone")
        screen.shows("  | -old", "  | +new")
        screen.answers("Run it this once? y/n/e/d/s/q/?: ", "y")

        assert screen.ends() == 0
        assert (screen.workspace / ".bashrc").read_text() == "new\n"


def test_a_masked_file_is_asked_about_and_not_shown(tmp_path: Path) -> None:
    """The question itself must not put a secret on the screen."""
    read = says("write_file", path=".env", content="KEY=new\n")
    with at_terminal(tmp_path, [read, DONE], "Write") as screen:
        (screen.workspace / ".env").write_text("KEY=hidden-so-far\n")
        screen.shows("'.env' is masked: it holds secrets")
        before = screen.shows("Run it this once? y/n/e/d/s/q/?: ")
        screen.child.sendline("n")
        screen.answers("Why not?", "")

        assert screen.ends() == 0
        assert "hidden-so-far" not in before
        assert (screen.workspace / ".env").read_text() == "KEY=hidden-so-far\n"


def test_the_end_of_input_leaves_and_the_session_asks_again_when_resumed(tmp_path: Path) -> None:
    """Nothing that waits for a yes takes silence for one."""
    with at_terminal(tmp_path, [WRITE], "Write") as screen:
        screen.shows(ASKS)
        screen.child.sendeof()
        resume = screen.shows("All is kept. To go on where it stopped:\r\n", "\r\n")

        assert screen.ends() == 130
        assert list(screen.workspace.iterdir()) == []
    with at_terminal(tmp_path, [DONE], *shlex.split(resume)[1:]) as screen:
        screen.shows(
            "Resumed after step 1: Write\r\n",
            "Last thought: I write_file.",
            "  a.txt  new, 1 line, ",
        )
        screen.answers(ASKS, "y")

        assert screen.ends() == 0
        assert (screen.workspace / "a.txt").read_text() == "text\n"


def test_ctrl_c_at_the_question_asks_what_to_say_and_twice_leaves(tmp_path: Path) -> None:
    with at_terminal(tmp_path, [WRITE, WRITE], "Write") as screen:
        screen.shows(ASKS)
        screen.child.sendintr()
        screen.answers("Words for the agent (Enter: back, Ctrl-C: leave): ", "")
        screen.shows(ASKS)
        screen.child.sendintr()
        screen.answers("Words for the agent ", "not a.txt")
        screen.shows("step 2", ASKS)
        screen.child.sendintr()
        screen.shows("Words for the agent ")
        screen.child.sendintr()
        screen.shows("Stopped before the end:", "autoagent --resume ")

        assert screen.ends() == 130
        assert "[the user says]\nnot a.txt\n" in screen.prompt(1)


def test_ctrl_c_stops_what_is_running_and_asks_what_to_say(tmp_path: Path) -> None:
    """A command and a silent model end at once; the words stand in the next prompt."""
    first, second = Silent(), Silent()
    replies: list[Scripted] = [_shell("echo begun; sleep 60"), first, second]
    with at_terminal(tmp_path, replies, "Run") as screen:
        screen.answers(ASKS_CODE, "y")
        screen.shows("execute_shell echo begun; sleep 60...")
        screen.child.sendintr()
        screen.answers("Words for the agent (Enter: go on, Ctrl-C: leave): ", "without the sleep")
        assert first.asked.wait(LIMIT_S)
        screen.child.sendintr()
        screen.answers("Words for the agent (Enter: go on, Ctrl-C: leave): ", "be brief")
        assert second.asked.wait(LIMIT_S)
        screen.child.sendintr()
        screen.shows("Words for the agent ")
        screen.child.sendintr()

        assert screen.ends() == 130
        assert screen.prompt(1).startswith("[execute_shell, workspace] stopped by the user")
        assert screen.prompt(1).endswith("[the user says]\nwithout the sleep\n[end]")
        assert screen.prompt(2).endswith("[the user says]\nbe brief\n[end]")


def test_ctrl_c_twice_in_a_row_leaves_without_a_question(tmp_path: Path) -> None:
    """Who presses it twice doesn't want to be asked anything."""
    with at_terminal(tmp_path, [_shell("trap '' INT TERM; sleep 60")], "Run") as screen:
        screen.answers(ASKS_CODE, "y")
        screen.shows("execute_shell trap '' INT TERM; sleep 60...")
        os.kill(screen.child.pid, signal.SIGINT)
        os.kill(screen.child.pid, signal.SIGINT)
        screen.child.expect_exact(["Stopped before the end:", "Words for the agent"])
        if screen.child.after != "Stopped before the end:":  # the kernel made them one
            screen.child.sendintr()

        assert screen.ends() == 130


@pytest.mark.parametrize("silent", [True, False], ids=["in a call", "at a question"])
def test_a_terminal_that_goes_away_ends_the_run_as_hung_up(tmp_path: Path, silent: bool) -> None:
    """Closing the window is no yes, and no Ctrl-C either."""
    reply: Scripted = Silent() if silent else WRITE
    with at_terminal(tmp_path, [reply], "Write") as screen:
        screen.shows("step 1: thinking..." if silent else ASKS)
        ended = os.pidfd_open(screen.child.pid)
        screen.child.ptyproc.fileobj.close()

        assert select.select([ended], [], [], LIMIT_S)[0]
        assert screen.child.wait() == 129
        assert screen.stopped()["exit_code"] == 129
        assert list(screen.workspace.iterdir()) == []


def test_a_terminate_signal_ends_the_question(tmp_path: Path) -> None:
    """A service manager doesn't type."""
    with at_terminal(tmp_path, [WRITE], "Write") as screen:
        screen.shows(ASKS)
        screen.child.kill(signal.SIGTERM)

        assert screen.ends() == 143


def test_lines_fit_a_terminal_that_was_made_narrower(tmp_path: Path) -> None:
    """A line that the terminal breaks begins at the margin, where only ours may begin."""
    write = says("write_file", path="a.txt", content="漢字 and words " * 40)
    with at_terminal(tmp_path, [write], "Write", columns=100) as screen:
        wide = screen.shows(ASKS)
        screen.child.setwinsize(40, 40)
        screen.child.sendline("d")
        narrow = screen.shows("Run it? ")
        screen.child.sendline("q")
        screen.ends()

    fenced = [line for line in narrow.split("\r\n") if line.startswith("  | ")]
    assert max(map(_cells, fenced)) <= 40
    assert 90 <= max(_cells(line) for line in wide.split("\r\n") if "  | " in line) <= 100


def _cells(line: str) -> int:
    return sum(2 if character in "漢字" else 1 for character in line)


def test_continuous_asks_for_goals_and_then_nothing_more(tmp_path: Path) -> None:
    with at_terminal(tmp_path, [WRITE, DONE], "--continuous") as screen:
        screen.answers("> ", "Write")
        screen.answers("> ", "")

        screen.shows("step 1: write_file a.txt: new", "Done by the model's word.")

        assert screen.ends() == 0


@pytest.mark.parametrize("pipe", ['"$@" | cat', 'true | "$@"'], ids=["output", "input"])
def test_no_question_appears_when_input_or_output_is_a_pipe(tmp_path: Path, pipe: str) -> None:
    """Without a terminal on both sides TEXT is --goal."""
    with at_terminal(tmp_path, [WRITE, DONE], "Write", shell=pipe) as screen:
        screen.shows("step 1: write_file a.txt: new", "step 2: finish: done")
        screen.shows("Done by the model's word.")

        assert screen.ends() == 0


def test_one_shot_at_a_terminal_never_asks_and_shows_a_sign_of_life(tmp_path: Path) -> None:
    """ask_user isn't offered: a script that has a terminal has nobody there. The passing line
    leaves no trace: it is cleared, then the line of the step stands in its place."""
    replies = [WRITE, _shell("cat a.txt"), DONE]
    with at_terminal(tmp_path, replies, "--goal", "Write", TERM="xterm", NO_COLOR="") as screen:
        screen.shows("\x1b[2mstep 1: thinking…\x1b[0m\r\x1b[2K\x1b[2m  I write_file.\x1b[0m\r\n")
        screen.shows("step 1: write_file a.txt…\x1b[0m\r\x1b[2Kstep 1: write_file a.txt: new")
        screen.shows("\r\x1b[2Kstep 2: execute_shell cat a.txt: exit 0", "step 3: finish: done")
        screen.shows("\x1b[32mDone by the model's word.")

        assert screen.ends() == 0
        assert "ask_user" not in json.dumps(screen.server.chats)


def test_a_plain_terminal_gets_nothing_that_it_would_obey(tmp_path: Path) -> None:
    """Neither colour nor redrawn lines of ours, nor anything that the model sends."""
    hostile = says("write_file", path="a\x1b[2J.txt", content="\x9b31m\u202e\r\ntext…\n")
    with at_terminal(tmp_path, [hostile, DONE], "Write", "--plain", NO_COLOR="") as screen:
        screen.shows("step 1: thinking...\r\n")
        shown = screen.shows(ASKS)
        screen.child.sendline("y")
        shown += screen.shows("Done by the model's word.")

        assert screen.ends() == 0
        assert "  a\\x1b[2J.txt  new, 2 lines, " in shown
        assert "  | \\x9b31m\\u{202e}\\x0d\r\n" in shown
        assert not {"\x1b", "\x9b", "\u202e", "…"} & set(shown)


@pytest.mark.parametrize(
    ("color", "environ", "plain", "coloured", "redraws"),
    [
        ("auto", {"TERM": "xterm"}, False, True, True),
        ("auto", {"TERM": "xterm", "NO_COLOR": "1"}, False, False, True),
        ("auto", {"TERM": "xterm", "NO_COLOR": ""}, False, True, True),
        ("auto", {"TERM": "dumb"}, False, False, False),
        ("auto", {"TERM": "dumb", "CLICOLOR_FORCE": "1"}, False, True, False),
        ("auto", {"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False, False, True),
        ("auto", {"TERM": "xterm"}, True, False, False),
        ("always", {"TERM": "dumb", "NO_COLOR": "1"}, True, True, False),
        ("never", {"TERM": "xterm", "CLICOLOR_FORCE": "1"}, False, False, True),
    ],
)
def test_who_decides_about_colour_and_redrawing(
    color: str, environ: dict[str, str], plain: bool, coloured: bool, redraws: bool
) -> None:
    """NO_COLOR counts when it isn't empty (no-color.org); an option counts before it."""
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb"), os.fdopen(theirs, "w") as terminal:
        out = output_to(terminal, color, environ, plain=plain)

        assert (out.styled("a", "red") != "a", out.redraws) == (coloured, redraws)


def test_a_pipe_gets_colour_only_when_it_is_forced(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        forced = output_to(log, "auto", {"CLICOLOR_FORCE": "1"})
        usual = output_to(log, "auto", {"TERM": "xterm"})

        assert forced.styled("a", "red") == "\x1b[31ma\x1b[0m"
        assert usual.styled("a", "red") == "a"
        assert not forced.redraws
