"""Words that begin with a slash, at the prompt."""

import json
from pathlib import Path

from tests.program import says
from tests.screens import ASKS, DONE, WRITE, at_terminal


def test_words_with_a_slash_are_answered_and_the_question_stays(tmp_path: Path) -> None:
    plan = json.dumps({"plan": ["look", "mend"], **json.loads(WRITE)})
    with at_terminal(tmp_path, [plan, DONE], "Mend it") as screen:
        screen.answers(ASKS, "/status")
        screen.shows("  1. Mend it", "Step 1 of 100", "Model fake-model, cage bubblewrap.")
        screen.answers(ASKS, "/plan")
        screen.shows("  - look\r\n  - mend\r\n")
        screen.answers(ASKS, "/cost")
        screen.shows(" of $3.00; ")
        screen.answers(ASKS, "/stauts")
        screen.shows("There is no /stauts; did you mean /status?")
        screen.answers(ASKS, "?")
        screen.shows("  y     run it", "/help has what else can be typed.")
        screen.answers(ASKS, "/goal Write a test too")
        screen.answers(ASKS, "y")

        assert screen.ends() == 0
        assert "[the user added a goal]\n2. Write a test too\n[end]" in screen.prompt(1)


def test_a_session_shows_its_difference_and_takes_changes_back_at_the_question(
    tmp_path: Path,
) -> None:
    """The command that waits is asked about again, and the model learns what is gone."""
    esc = says("write_file", path="b.txt", content="\x1b[2J\n")
    with at_terminal(tmp_path, [WRITE, esc, DONE], "Write") as screen:
        screen.answers(ASKS, "/undo")
        screen.shows("There is nothing to take back.")
        screen.answers(ASKS, "y")
        screen.answers(ASKS, "y -2")
        screen.shows("all is done")
        assert screen.ends() == 0
    with at_terminal(
        tmp_path, [WRITE, DONE], "--resume", "--goal", "Go on", "--interactive"
    ) as screen:
        screen.answers(ASKS, "/diff")
        screen.shows("  | +++ b/b.txt", "  | +\\x1b[2J", "  | 2 paths: 2 new, +2 -0 lines")
        screen.answers(ASKS, "/undo 9")
        screen.shows("/undo 9: give a step from 0 (before the first) to 3.")
        screen.answers(ASKS, "/undo 1")
        screen.shows("1 change was taken back: b.txt (removed). /undo again takes this back.")
        screen.answers(ASKS, "n")
        screen.answers("Why not?", "")

        assert screen.ends() == 0
        assert [path.name for path in screen.workspace.iterdir()] == ["a.txt"]
        assert 'as after step 1 are now: "b.txt"]' in screen.prompt(1)


def test_memory_tells_which_memories_the_prompt_holds_and_why(tmp_path: Path) -> None:
    """Raw scores, so that a person can see whether meaning or words brought it."""
    port = says("remember", text="The staging database listens on port 5433.")
    with at_terminal(tmp_path, [port, DONE], "Note it", AUTOAGENT_MEMORY="") as screen:
        assert screen.ends() == 0
    with at_terminal(
        tmp_path, [WRITE, DONE], "Which port has the staging database?", AUTOAGENT_MEMORY=""
    ) as screen:
        screen.shows("recalled (/memory shows which and why).")
        screen.answers(ASKS, "/memory")
        screen.shows("note: The staging database listens on port 5433. (memory ", "words ")
        screen.answers(ASKS, "y")

        assert screen.ends() == 0


def test_compact_takes_the_oldest_steps_out_before_the_next_reply(tmp_path: Path) -> None:
    """The last ones stay whole, and the window wasn't full."""
    looks = [says("search_files", pattern=f"word{n}") for n in range(5)]
    with at_terminal(tmp_path, [*looks, WRITE, DONE], "Look around") as screen:
        screen.answers(ASKS, "/compact")
        screen.answers(ASKS, "y")
        screen.shows("left the prompt; a digest stands for them.")

        assert screen.ends() == 0
        last = "".join(m["content"] for m in screen.server.chats[6]["messages"])
        assert "steps 1-4 have left" in last
        assert "word3" not in last.split("[steps 1-4")[0] and "word4" in last


def test_export_writes_the_session_so_far_into_a_new_file_and_never_over_one(
    tmp_path: Path,
) -> None:
    """Unasked for a name it is the session's, in the current folder."""
    kept = tmp_path / "kept.md"
    with at_terminal(tmp_path, [WRITE, WRITE, DONE], "Write") as screen:
        screen.answers(ASKS, "y")
        screen.answers(ASKS, f"/export {kept}")
        screen.shows(" written, ", " bytes.")
        first = kept.read_text()
        screen.answers(ASKS, f"/export {kept}")
        screen.shows("already", "remove")
        screen.answers(ASKS, "/export")
        screen.shows(".md written, ")
        screen.answers(ASKS, f"/export {tmp_path}/none/x.md")
        screen.shows("can't be written: No such file or directory.")
        screen.answers(ASKS, "n")
        screen.answers("Why not?", "")

        assert screen.ends() == 0
        (session,) = screen.program.home.glob("sessions/*")
        assert kept.read_text() == first == (screen.workspace / f"{session.name}.md").read_text()
        assert first.startswith(f"# Session {session.name}\n")
        assert "## Step 1\n" in first and "## Step 2\n" in first and "> Write\n" in first
