"""What a person may type at a question, and what mustn't become of it."""

import json
from pathlib import Path
from threading import Event

import pytest

from autoagent.inbox import INBOX
from autoagent.reply import Command
from autoagent.terminal.editor import as_text, edited_in
from commands.cancel import Cancel
from tests.emulated import CTRL_C, ENTER, UP, emulated
from tests.fake_openai import Answer
from tests.program import says
from tests.screens import ASKS, DONE, WRITE

_KEY = "sk-this-is-nobodys-key-0123456789"
_TEXT = "    indented\n    two\n\n"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("y {}", "step 2, "),
        ("y -{}", "step 2, "),
        ("/undo {}", "give a step from 0"),
        ("/result {}", "There is no result yet."),
        ("/diff {}", "give a step from 1 to 1"),
    ],
)
def test_a_number_of_thousands_of_digits_is_none(tmp_path: Path, typed: str, said: str) -> None:
    """Python refuses to read one; nobody may wait for ever because of that."""
    with emulated(tmp_path, [WRITE, WRITE, DONE], "Write", size=(200, 60)) as seen:
        seen.answers(ASKS, typed.format("9" * 5000))
        seen.sees(said)
        seen.answers(ASKS, "q")
        assert seen.ends() == 130

        assert not (seen.workspace / "a.txt").exists()


def test_an_edit_that_is_left_as_it_was_changes_nothing(tmp_path: Path) -> None:
    """Neither indentation nor empty lines at the end; and it is no edit."""
    write = says("write_file", path="a.py", content=_TEXT)
    with emulated(tmp_path, [write, DONE], "Write") as seen:
        seen.answers(ASKS, "e")
        seen.sees("path: a.py")
        seen.types(ENTER)
        seen.sees("content:     indented")
        seen.types(ENTER)
        seen.sees("It is as it was.")
        seen.answers(ASKS, "y")
        assert seen.ends() == 0

        assert (seen.workspace / "a.py").read_text() == _TEXT


def test_an_edit_keeps_the_blanks_around_the_text(tmp_path: Path) -> None:
    write = says("write_file", path="a.py", content=_TEXT)
    with emulated(tmp_path, [write, DONE], "Write") as seen:
        seen.answers(ASKS, "e")
        seen.sees("path: a.py")
        seen.types(ENTER)
        seen.sees("content:     indented")
        seen.types("# end" + ENTER)
        seen.answers("Run it?", "y")
        assert seen.ends() == 0

        assert (seen.workspace / "a.py").read_text() == f"{_TEXT}# end"


def test_an_interruption_from_before_ends_no_editor() -> None:
    """It was for somebody else: Ctrl-C in an editor is the editor's own."""
    cancel = Cancel()
    cancel.set("interrupt")
    command = Command("write_file", {"path": "a.txt", "content": "text"})

    assert edited_in(["true"], as_text(command), cancel) == command


def test_quit_leaves_wherever_it_is_typed(tmp_path: Path) -> None:
    """In capitals, as the reason for a no, and in the place of a goal."""
    for name, at in (("a", "asked"), ("b", "why"), ("c", "working"), ("d", "goals")):
        (tmp_path / name).mkdir()
        goal = () if at == "goals" else ("Write",)
        reply = Answer(WRITE, hold=Event()) if at == "working" else WRITE
        with emulated(tmp_path / name, [reply], *goal) as seen:
            match at:
                case "asked":
                    seen.answers(ASKS, "/QUIT")
                case "why":
                    seen.answers(ASKS, "n")
                    seen.answers("Why not? (Enter for no reason) ", "/quit")
                case "working":
                    seen.sees("thinking…")
                    seen.types("/Quit" + ENTER)
                case "goals":
                    seen.sees("What shall be reached?")
                    seen.types("/quit" + ENTER + ENTER)

            assert (at, seen.ends()) == (at, 130 if at != "goals" else 2)
            assert at != "goals" or seen.server.chats == []


def test_a_known_secret_is_not_kept_with_the_words_that_wait(tmp_path: Path) -> None:
    with emulated(tmp_path, [Answer(DONE, hold=Event())], "Write") as seen:
        key = seen.program.environment["OPENAI_API_KEY"]
        seen.sees("thinking…")
        seen.types(f"use {key} for it" + ENTER)
        seen.sees("queued: use ")
        seen.types(CTRL_C)
        seen.sees("Stopped. Words for the agent")
        seen.types(CTRL_C)
        assert seen.ends() == 130

        (kept,) = seen.program.home.glob(f"sessions/*/{INBOX}/*")
        assert kept.read_text().startswith("use ") and key not in kept.read_text()


def test_a_key_that_is_pasted_at_a_wrong_question_is_no_history(tmp_path: Path) -> None:
    """Where a way to a model is asked for, any answer may be one."""
    with emulated(
        tmp_path, [], OPENAI_API_KEY="", OPENAI_BASE_URL="", AUTOAGENT_LOCAL_PORTS="9"
    ) as seen:
        seen.sees("Which? 1/2/3:")
        seen.types(_KEY + ENTER)
        seen.waits(lambda rows: sum("Which? 1/2/3:" in row for row in rows) == 2)
        seen.types(UP)
        seen.types("3" + ENTER)
        seen.ends()

        history = seen.program.home / "history"
        assert not history.exists() or _KEY not in history.read_text()


def test_words_for_which_there_is_little_room_are_clipped_while_they_wait(tmp_path: Path) -> None:
    """And reach the agent whole."""
    held = Event()
    words = "Look at ü: " + "one more word " * 4000
    with emulated(tmp_path, [Answer(says("list_files"), hold=held), DONE], "Write") as seen:
        seen.sees("thinking…")
        seen.types(f"\x1b[200~{words}\x1b[201~" + ENTER)
        seen.sees("queued: Look at ü: one more word")
        held.set()
        assert seen.ends() == 0

        told = json.dumps(seen.server.chats[1]["messages"][-1], ensure_ascii=False)
        assert words.strip() in told
