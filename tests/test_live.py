"""The live screen: what is going on, the line that is typed, and what stays above them."""

import json
import os
import re
import signal
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.emulated import ALT_ENTER, CTRL_C, CTRL_D, ENTER, LIMIT_S, TAB, UP, emulated, pasted
from tests.fake_openai import Answer, Scripted
from tests.program import says
from tests.screens import ASKS, DONE, WRITE, Silent

_FREE = "> words for the agent, or /help"


def test_what_is_thought_is_seen_as_it_comes_and_stays_once_it_is_whole(tmp_path: Path) -> None:
    """The preview is words, not raw JSON; when the reply is whole, it stands there once."""
    held = Event()
    text = json.dumps({"thoughts": "First I look around.", "command": {"name": "x", "args": {}}})
    held_at = text.index("around")
    replies: list[Scripted] = [Answer(text, piece=held_at, hold=held, hold_after=2), DONE]
    with emulated(tmp_path, replies, "Look") as seen:
        rows = seen.sees("First I look", "step 1: thinking…")
        assert not any("thoughts" in row for row in rows)

        held.set()
        assert seen.ends() == 0
        assert [row.strip() for row in seen.scrolled].count("First I look around.") == 1


def test_a_question_its_answer_and_what_comes_of_it_stay_on_the_screen(tmp_path: Path) -> None:
    with emulated(tmp_path, [WRITE, DONE], "Write") as seen:
        seen.answers(ASKS, "y")
        assert seen.ends() == 0

        rows = seen.scrolled
        assert f"{ASKS}y" in rows
        assert "write_file a.txt: new, 1 line, 5 bytes" in rows
        assert not any(row.startswith((">", "step 2 of")) for row in rows)


def test_goals_are_edited_in_several_lines_and_end_with_an_empty_one(tmp_path: Path) -> None:
    with emulated(tmp_path, [DONE]) as seen:
        seen.sees("What shall be reached?")
        seen.types("First" + ENTER)
        seen.sees("> First", "> one more, or Enter to begin")
        seen.types("Seconb\x7fd" + ENTER + ENTER)
        assert seen.ends() == 0

        assert seen.scrolled[1:3] == ["> First", "  Second"]
        assert "1. First\n2. Second\n" in seen.server.chats[0]["messages"][1]["content"]


def test_a_pasted_text_of_several_lines_is_one_goal(tmp_path: Path) -> None:
    """It stands in the line as a word, and the model gets all of it."""
    with emulated(tmp_path, [DONE]) as seen:
        seen.sees("What shall be reached?")
        seen.types("Mend this: " + pasted("one\n\ntwo\nthree"))
        seen.sees("> Mend this: [pasted text 1, 4 lines]")
        seen.types(ENTER + ENTER)
        assert seen.ends() == 0

        assert "1. Mend this: one\n\ntwo\nthree\n" in seen.server.chats[0]["messages"][1]["content"]


def test_what_was_typed_in_an_earlier_session_comes_back_with_the_arrow(tmp_path: Path) -> None:
    with emulated(tmp_path, [DONE]) as seen:
        seen.sees("What shall be reached?")
        seen.types("Add it all up" + ENTER + ENTER)
        assert seen.ends() == 0
    with emulated(tmp_path, [DONE]) as seen:
        seen.sees("What shall be reached?")
        seen.types(UP)
        seen.sees("> Add it all up")
        seen.types(ENTER + ENTER)
        assert seen.ends() == 0

        assert oct((seen.program.home / "history").stat().st_mode)[-3:] == "600"


def test_words_typed_while_it_works_are_queued_and_reach_the_next_prompt(tmp_path: Path) -> None:
    held = Event()
    replies: list[Scripted] = [Answer(says("list_files"), hold=held), DONE]
    with emulated(tmp_path, replies, "Write") as seen:
        seen.sees("step 1: thinking…", _FREE)
        seen.types("Use the other file" + ENTER)
        seen.sees("queued: Use the other file", _FREE)
        held.set()
        assert seen.ends() == 0

        assert (
            "[the user says]\nUse the other file\n[end]"
            in seen.server.chats[1]["messages"][-1]["content"]
        )
        assert not any("queued" in row for row in seen.scrolled)


def test_a_word_with_a_slash_is_answered_at_once_while_it_works(tmp_path: Path) -> None:
    held = Event()
    with emulated(tmp_path, [Answer(DONE, hold=held)], "Write") as seen:
        seen.sees("step 1: thinking…")
        seen.types("/pl")
        seen.sees("/plan", "the open plan")
        seen.types(TAB + ENTER)
        seen.sees("> /plan", "There is no open plan.", "step 1: thinking…")
        seen.types("/agents" + ENTER)  # and again, when that was answered
        seen.sees("There are no sub-agents.", "step 1: thinking…")
        held.set()
        assert seen.ends() == 0


def test_a_line_begun_before_the_question_goes_to_the_agent_first(tmp_path: Path) -> None:
    """It is no answer, and it isn't torn: an Enter that comes too late runs nothing."""
    held = Event()
    with emulated(tmp_path, [Answer(WRITE, hold=held), DONE], "Write") as seen:
        seen.sees("step 1: thinking…")
        seen.types("ye")
        seen.sees("> ye")
        held.set()
        seen.sees("First your words to the agent, then the question: ye")
        seen.types("s, and a test" + ENTER)
        seen.answers(ASKS, "n")
        seen.answers("Why not? (Enter for no reason)", "")
        assert seen.ends() == 0

        assert list(seen.workspace.iterdir()) == []
        assert "yes, and a test" in seen.server.chats[1]["messages"][-1]["content"]


def test_words_sent_before_a_question_are_seen_to_wait_while_it_stands(tmp_path: Path) -> None:
    """A line that was begun when it came is sent first; nobody takes it before the answer."""
    held = Event()
    with emulated(tmp_path, [Answer(WRITE, hold=held), DONE], "Write") as seen:
        seen.sees("step 1: thinking…")
        seen.types("half a li")
        seen.sees("> half a li")
        held.set()
        seen.sees("First your words to the agent, then the question: half a li")
        seen.types(ENTER)
        seen.sees("queued: half a li", ASKS.rstrip())
        seen.types("y" + ENTER)
        seen.sees("The agent gets your words: half a li")
        assert seen.ends() == 0

        assert not any("queued" in row for row in seen.scrolled)


def test_a_session_begins_with_two_lines_also_where_no_price_is_known(tmp_path: Path) -> None:
    with emulated(tmp_path, [WRITE], "Write", size=(200, 30), AUTOAGENT_PRICE="") as seen:
        seen.sees(ASKS.rstrip())
        rows = seen.scrolled
        model, *session = rows[: rows.index("")]
        assert model.startswith("Model fake-model, price unknown, window 32,000 tokens; at most")
        assert session[0].startswith("Session ") and session[-1].endswith("without memory.")
        assert "The price" not in "".join(session)
        assert "$" not in seen.rows[-1]


def test_a_call_that_was_stopped_says_what_it_counts_as(tmp_path: Path) -> None:
    silent = Silent()
    with emulated(tmp_path, [silent], "Write") as seen:
        assert silent.asked.wait(LIMIT_S)
        seen.types(CTRL_C)
        seen.sees("The call that was cut counts as the ", "Stopped. Words for the agent")


def test_the_clock_goes_on_while_a_question_stands(tmp_path: Path) -> None:
    with emulated(tmp_path, [WRITE, DONE], "Write") as seen:
        seen.sees(ASKS.rstrip())
        first = seen.rows[-1]
        seen.waits(lambda rows: rows[-1] != first and rows[-1].startswith("step 1 of 100, "))
        seen.types("/status" + ENTER)
        seen.sees("Step 1 of 100, ")
        seen.types("q" + ENTER)
        assert seen.ends() == 130


def test_ctrl_c_stops_the_command_and_asks_for_words_and_twice_leaves(tmp_path: Path) -> None:
    run = says("execute_shell", command_line="echo begun; sleep 60")
    with emulated(tmp_path, [run, run], "Run") as seen:
        seen.answers("Run it?", "y")
        seen.sees("  | begun")
        seen.types("Not so" + CTRL_C)
        seen.sees("Stopped. Words for the agent (Enter: go on, Ctrl-C: leave): Not so")
        seen.types(" slow" + ENTER)
        seen.waits(lambda rows: rows[-2].startswith("Run it?"))
        assert "Not so slow" in seen.server.chats[1]["messages"][-1]["content"]
        seen.types(CTRL_C)
        seen.sees("Words for the agent (Enter: back, Ctrl-C: leave):")
        seen.types(CTRL_C)

        assert seen.ends() == 130
        assert any("autoagent --resume" in row for row in seen.scrolled)


def test_the_end_of_input_at_a_question_leaves(tmp_path: Path) -> None:
    with emulated(tmp_path, [WRITE], "Write") as seen:
        seen.sees(ASKS.rstrip())
        seen.types(CTRL_D)

        assert seen.ends() == 130


def test_words_of_several_lines_are_written_with_alt_enter(tmp_path: Path) -> None:
    with emulated(tmp_path, [WRITE, DONE], "Write") as seen:
        seen.sees(ASKS.rstrip())
        seen.types("one" + ALT_ENTER + "two" + ENTER)
        assert seen.ends() == 0

        assert "one\ntwo" in seen.server.chats[1]["messages"][-1]["content"]


def test_a_running_command_shows_its_last_lines(tmp_path: Path) -> None:
    line = "for n in $(seq 30); do echo line $n; done; while [ ! -e go ]; do sleep 0.1; done"
    with emulated(tmp_path, [says("execute_shell", command_line=line), DONE], "Run") as seen:
        seen.answers("Run it?", "y")
        rows = seen.sees("  | line 30")
        assert "  | line 1" not in rows
        (seen.workspace / "go").touch()
        assert seen.ends() == 0


def test_e_puts_each_text_into_the_line_to_be_edited(tmp_path: Path) -> None:
    """Those of several lines, too; Enter keeps what stands there."""
    with emulated(tmp_path, [WRITE, DONE], "Write") as seen:
        seen.answers(ASKS, "e")
        seen.sees("path: a.txt")
        seen.types("\x7f\x7f\x7fmd" + ENTER)
        seen.sees("content: text")
        seen.types("more" + ENTER)
        seen.answers("Run it?", "y")
        assert seen.ends() == 0

        assert (seen.workspace / "a.md").read_text() == "text\nmore"


def test_an_editor_has_the_terminal_to_itself(tmp_path: Path) -> None:
    """It sees what is typed to it, and afterwards the line is there again."""
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nread -r word </dev/tty\nsed -i "s/a.txt/$word/" "$1"\n')
    editor.chmod(0o700)
    with emulated(tmp_path, [WRITE, DONE], "Write", EDITOR=str(editor)) as seen:
        seen.answers(ASKS, "e")
        seen.waits(lambda rows: not any(row.startswith("step 1 of") for row in rows))
        seen.types("b.txt\n")
        seen.sees("  b.txt  new, 1 line, 5 bytes")
        seen.answers("Run it?", "y")
        assert seen.ends() == 0

        assert (seen.workspace / "b.txt").read_text() == "text\n"


def test_ctrl_c_in_an_editor_is_the_editors_own(tmp_path: Path) -> None:
    """In some it is a key like any other; pressed twice it would leave the session."""
    editor = tmp_path / "editor"
    editor.write_text(
        "#!/bin/sh\ntrap 'echo heard >/dev/tty' INT\necho ready >/dev/tty\n"
        "read -r a </dev/tty || read -r a </dev/tty"
        ' || read -r a </dev/tty\nsed -i "s/a.txt/$a/" "$1"\n'
    )
    editor.chmod(0o700)
    with emulated(tmp_path, [WRITE, DONE], "Write", EDITOR=str(editor)) as seen:
        seen.answers(ASKS, "e")
        seen.sees("ready")
        seen.types(CTRL_C)
        seen.sees("heard")
        seen.types("b.txt\n")
        seen.sees("  b.txt  new, 1 line, 5 bytes")
        seen.answers("Run it?", "y")
        assert seen.ends() == 0


def test_what_ends_the_run_ends_an_open_editor_and_what_it_had_saved_is_said(
    tmp_path: Path,
) -> None:
    """Also one that doesn't mind being told to end."""
    editor = tmp_path / "editor"
    editor.write_text(
        "#!/bin/sh\ntrap 'echo told >/dev/tty' TERM\necho 'half of it' >\"$1\"\n"
        "echo ready >/dev/tty\nwhile :; do read -r a </dev/tty; done\n"
    )
    editor.chmod(0o700)
    with emulated(tmp_path, [WRITE, DONE], "Write", EDITOR=str(editor)) as seen:
        seen.answers(ASKS, "e")
        seen.sees("ready")
        os.kill(seen.child.pid, signal.SIGTERM)
        assert seen.ends() == 143

        draft = seen.scrolled.index("The editor was ended; what it had saved is kept nowhere else:")
        assert seen.scrolled[draft + 1] == "  | half of it"


def test_a_terminal_that_goes_away_ends_the_run_as_hung_up(tmp_path: Path) -> None:
    with emulated(tmp_path, [WRITE], "Write") as seen:
        seen.sees(ASKS.rstrip())
        assert seen.hangs_up() == 129
        (journal,) = seen.program.home.glob("sessions/*/journal.jsonl")
        last = json.loads(journal.read_text().splitlines()[-1])

    assert (last["type"], last["exit_code"]) == ("Stopped", 129)


def test_a_terminal_that_goes_away_after_ctrl_c_ends_the_run_as_hung_up(tmp_path: Path) -> None:
    with emulated(tmp_path, [Answer(WRITE, hold=Event())], "Write") as seen:
        seen.sees("step 1: thinking…")
        seen.types(CTRL_C)
        seen.sees("Stopped. Words for the agent")
        assert seen.hangs_up() == 129
        (journal,) = seen.program.home.glob("sessions/*/journal.jsonl")
        last = json.loads(journal.read_text().splitlines()[-1])

    assert (last["type"], last["exit_code"]) == ("Stopped", 129)


def test_without_colour_no_style_is_written_and_nothing_of_the_text_differs(
    tmp_path: Path,
) -> None:
    """NO_COLOR: weights, too."""
    texts = []
    for name, variables in (("a", {}), ("b", {"NO_COLOR": "1"})):
        (tmp_path / name).mkdir()
        with emulated(tmp_path / name, [WRITE, DONE], "Write", size=(80, 30), **variables) as seen:
            seen.answers(ASKS, "y")
            assert seen.ends() == 0
            texts.append(seen.scrolled[seen.scrolled.index("step 1, $0.0010 so far") :][:12])
            styles = set(re.findall(rb"\x1b\[([\d;]*)m", seen.sent)) - {b"0", b""}

    assert texts[0] == texts[1]
    assert styles == set()


@pytest.mark.parametrize(
    ("args", "variables"),
    [(("--plain",), {}), ((), {"TERM": "dumb"}), ((), {"PYTHONIOENCODING": "latin-1"})],
    ids=["plain", "dumb", "no UTF-8"],
)
def test_where_nothing_may_be_redrawn_it_goes_by_lines(
    args: tuple[str, ...], variables: dict[str, str], tmp_path: Path
) -> None:
    """Screen readers read what is written, as it is written: no cursor moves back."""
    with emulated(tmp_path, [WRITE, DONE], *args, "Write", size=(80, 30), **variables) as seen:
        seen.answers(ASKS, "y")
        assert seen.ends() == 0

        moved = re.findall(rb"\x1b\[[\d;?]*[A-HJKhlrsu]|\r(?!\n)", seen.sent)
        assert moved == [b"\r", b"\x1b[2K"] * (len(moved) // 2)
        assert not moved or "PYTHONIOENCODING" in variables


def test_nothing_that_a_model_writes_moves_the_cursor_or_the_bar(tmp_path: Path) -> None:
    """Streamed or printed: what isn't ours is written out."""
    hostile = json.dumps(
        {
            "thoughts": "a\x1b[2Jb\x1b]0;title\x07c\u202ed\re",
            "command": {"name": "write_file", "args": {"path": "p\x1b[H", "content": "x\x9b1A\n"}},
        }
    )
    held = Event()
    replies: list[Scripted] = [Answer(hostile, hold=held, hold_after=20), DONE]
    with emulated(tmp_path, replies, "Write") as seen:
        seen.sees("a\\x1b[2Jb\\x1b]0;title\\x07c\\u{202e}d", "step 1: thinking…")
        held.set()
        seen.answers("Run it?", "n")
        seen.answers("Why not?", "")
        assert seen.ends() == 0

        sent = seen.sent.decode()
        assert not {"\x1b[2Jb", "\x1b]", "\x07c", "\u202e", "\x9b"} & set(sent)
        assert "\x1b[2J" not in sent and "\x1b]0" not in sent and "\x9b" not in sent


def test_sub_agents_at_work_stand_in_the_bar(tmp_path: Path) -> None:
    held = Event()
    replies: list[Scripted] = []
    start = says("start_agent", name="helper", task="Help")

    def answer(body: dict[str, Any]) -> Answer:
        text = json.dumps(body["messages"])
        if "gave you your task" in text:
            return Answer(says("finish", answer="helped"), hold=held)
        if "start_agent" in body["messages"][-1]["content"]:
            return Answer(says("wait_for_agents"))
        return Answer(DONE if "helped" in text else start)

    replies = [answer] * 6
    with emulated(tmp_path, replies, "Write", size=(100, 30)) as seen:
        seen.waits(lambda rows: rows and ", 1 agent, " in rows[-1])
        held.set()
        assert seen.ends() == 0


def test_ok_is_a_yes_and_a_slip_of_the_finger_is_asked_about_again(tmp_path: Path) -> None:
    """Two letters are no words to an agent; the letters are explained."""
    second = says("write_file", path="b.txt", content="text")
    with emulated(tmp_path, [WRITE, second, DONE], "Write") as seen:
        seen.answers(ASKS, "yy")
        seen.sees("y     run it", ASKS.rstrip())
        seen.answers(ASKS, "ok")
        seen.sees("a.txt: new, 1 line, 5 bytes")
        seen.answers("Run it?", "q")
        assert seen.ends() == 130

        assert "  You left." in seen.scrolled
        assert [path.name for path in seen.workspace.iterdir()] == ["a.txt"]


def test_an_edit_of_what_is_not_there_is_said_before_it_is_agreed_to(tmp_path: Path) -> None:
    edit = says("edit_file", path="no.txt", old="a", new="b")
    with emulated(tmp_path, [edit, DONE], "Write") as seen:
        seen.answers("Run it?", "n")
        seen.answers("Why not?", "")
        assert seen.ends() == 0

        assert any(row.startswith("It will fail as things are: ") for row in seen.scrolled)


def test_who_resumes_a_session_that_is_done_is_asked_for_one_goal_more(tmp_path: Path) -> None:
    with emulated(tmp_path, [DONE], "Write") as seen:
        assert seen.ends() == 0
    with emulated(tmp_path, [DONE], "--resume") as seen:
        seen.sees("What shall be reached?")
        seen.types("Write more" + ENTER + ENTER)
        assert seen.ends() == 0

        assert "2. Write more" in seen.server.chats[0]["messages"][-1]["content"]


def test_ctrl_c_in_a_text_that_is_edited_leaves_the_command_as_it_was(tmp_path: Path) -> None:
    """The text is no words for the agent; Up brings it back."""
    with emulated(tmp_path, [WRITE, DONE], "Write") as seen:
        seen.answers(ASKS, "e")
        seen.sees("path: a.txt")
        seen.types("-other" + CTRL_C)
        seen.sees("It is as it was.")
        seen.waits(lambda rows: rows[-2] == ASKS.rstrip())
        seen.types(UP)
        seen.sees(f"{ASKS}a.txt-other")
        seen.types("\x15" + "y" + ENTER)
        assert seen.ends() == 0

        assert (seen.workspace / "a.txt").read_text() == "text\n"
