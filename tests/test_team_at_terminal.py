"""Sub-agents at a terminal: who speaks is said, questions come one after the other."""

from pathlib import Path
from threading import Event

from autoagent.events import Reported
from autoagent.journal import load
from autoagent.sessions.watch import Watch
from tests.emulated import ENTER, emulated
from tests.fake_openai import Answer, Body
from tests.screens import LIMIT_S, Screen, at_terminal
from tests.teams import Troupe, asker, says

_ASKS = "a: Run it? y/n/e/d/s/q/?, a = every write_file: "


def _write(name: str) -> str:
    return says("write_file", path=f"{name}.txt", content="text\n")


def test_a_question_names_the_agent_that_asks(tmp_path: Path) -> None:
    """Two of them ask at once: one question after the other, each with its name."""
    troupe = Troupe(
        tmp_path / "unused",
        main=[
            says("start_agent", name="a", task="a"),
            says("start_agent", name="b", task="b"),
            says("wait_for_agents"),
            says("finish", answer="both have asked"),
        ],
        a=[_write("a"), says("finish", answer="one")],
        b=[says("ask_user", question="red or blue?"), says("finish", answer="two")],
    )
    with at_terminal(tmp_path, [troupe.answer] * 8, "main") as screen:
        for _ in range(2):
            shown = screen.child.expect_exact([_ASKS, "Agent b asks:"])
            if shown == 0:
                screen.child.sendline("y")
            else:
                screen.answers("Your answer: ", "blue")
        screen.shows("both have asked", "Done by the model's word.")

        assert screen.ends() == 0
        assert (screen.workspace / "a.txt").read_text() == "text\n"
        told = [m["content"] for body in screen.server.chats for m in body["messages"]]
        assert any("person]\nblue\n" in text for text in told)


def test_leaving_at_a_question_of_a_sub_agent_leaves_the_session(tmp_path: Path) -> None:
    """Resumable, as anywhere."""
    troupe = Troupe(
        tmp_path / "unused",
        main=[says("start_agent", name="a", task="a"), says("wait_for_agents")],
        a=[_write("a")],
    )
    with at_terminal(tmp_path, [troupe.answer] * 8, "main") as screen:
        screen.answers(_ASKS, "q")
        screen.shows("autoagent --resume ")

        assert screen.ends() == 130


def test_a_question_is_asked_also_where_the_agents_folder_is_gone(tmp_path: Path) -> None:
    """Another one may have moved it; what its command would do there can't be shown then."""
    moved: list[bool] = []

    def moves(_: Body) -> str:
        (tmp_path / "work/part").rename(tmp_path / "work/old")
        moved.append(True)
        return _write("a")

    troupe = Troupe(
        tmp_path / "unused",
        main=[
            says("start_agent", name="a", task="a", folder="part"),
            says("wait_for_agents"),
            says("finish", answer="went on"),
        ],
        a=[moves, says("finish", answer="one")],
    )
    (tmp_path / "work/part").mkdir(parents=True)
    with at_terminal(tmp_path, [troupe.answer] * 8, "main") as screen:
        screen.answers(_ASKS, "y")
        screen.shows("went on")

        assert screen.ends() == 0
    assert moved


def test_who_is_left_at_a_question_goes_on_with_the_session(tmp_path: Path) -> None:
    """Also beneath another one, which hears of the end before it is ended itself."""
    troupe = Troupe(
        tmp_path / "unused",
        main=[says("start_agent", name="a", task="a"), says("wait_for_agents")],
        a=[says("start_agent", name="b", task="b"), says("wait_for_agents")],
        b=[_write("b")],
    )
    with at_terminal(tmp_path, [troupe.answer] * 8, "main") as screen:
        screen.answers("a/b: Run it? y/n/e/d/s/q/?, a = every write_file: ", "q")
        screen.shows("autoagent --resume ")

        assert screen.ends() == 130
    (journal,) = tmp_path.rglob("agents/a/journal.jsonl")
    (report,) = (e.event for e in load(journal).entries if isinstance(e.event, Reported))
    assert (report.name, report.paused) == ("b", True)


def test_a_sub_agent_at_whose_question_one_left_goes_on_with_the_session(tmp_path: Path) -> None:
    """The last that works ends by that at the moment in which all end: it must not be taken
    for one that had come to its end."""
    troupe = Troupe(
        tmp_path / "unused",
        main=[
            says("start_agent", name="a", task="a"),
            says("wait_for_agents"),
            says("finish", answer="a has written"),
        ],
        a=[_write("a"), says("finish", answer="one")],
    )
    with at_terminal(tmp_path, [troupe.answer] * 8, "main") as screen:
        screen.answers(_ASKS, "q")
        screen.shows("a pauses, and goes on with this session", "autoagent --resume ")
        assert screen.ends() == 130
    with at_terminal(tmp_path, [troupe.answer] * 8, "--resume") as screen:
        screen.answers(_ASKS, "y")
        screen.shows("a has written", "Done by the model's word.")

        assert screen.ends() == 0
        assert (screen.workspace / "a.txt").read_text() == "text\n"


def test_a_command_at_a_question_stands_behind_its_agent_s_name(tmp_path: Path) -> None:
    """As it was proposed and as the person edited it; what was just answered may have been
    another one's."""
    troupe = Troupe(
        tmp_path / "unused",
        main=[
            says("start_agent", name="a", task="a"),
            says("wait_for_agents"),
            says("finish", answer="a has written"),
        ],
        a=[_write("a"), says("finish", answer="one")],
    )
    with at_terminal(tmp_path, [troupe.answer] * 8, "main") as screen:
        screen.shows("a: write_file\r\n", "a:   a.txt  new, 1 line, 5 bytes\r\n", "a:   | text\r\n")
        screen.answers(_ASKS, "e")
        screen.answers("path (Enter keeps it): ", "b.txt")
        screen.shows("a: write_file\r\n", "a:   b.txt  new, 1 line, 5 bytes\r\n")
        screen.shows("a: Run it? y/n/e/d/s/q/?: ")
        screen.child.sendintr()
        screen.answers("Words for agent a (Enter: back, Ctrl-C: leave): ", "")
        screen.answers("a: Run it? y/n/e/d/s/q/?: ", "y")
        screen.shows("Done by the model's word.")

        assert screen.ends() == 0
        assert (screen.workspace / "b.txt").read_text() == "text\n"


def test_ctrl_c_at_a_sub_agent_s_question_stops_nothing_else(tmp_path: Path) -> None:
    """It is for that question: a call that the session's own agent waits for goes on."""
    called, gate = Event(), Event()

    def slow(_: Body) -> Answer:
        called.set()
        return Answer(says("wait_for_agents"), hold=gate)

    troupe = Troupe(
        tmp_path / "unused",
        main=[
            says("start_agent", name="a", task="a"),
            slow,
            says("finish", answer="a has written"),
        ],
        a=[_write("a"), says("finish", answer="one")],
    )
    with at_terminal(tmp_path, [troupe.answer] * 8, "main") as screen:
        assert called.wait(LIMIT_S)
        screen.shows(_ASKS)
        screen.child.sendintr()
        screen.answers("Words for agent a (Enter: back, Ctrl-C: leave): ", "")
        screen.shows(_ASKS)
        gate.set()
        screen.child.sendline("y")
        screen.shows("a has written", "Done by the model's word.")

        assert screen.ends() == 0
        asked = [asker(body) for body in screen.server.chats]
        assert sorted(asked) == [("a", 0), ("a", 1), ("main", 0), ("main", 1), ("main", 2)]


def test_who_has_left_is_asked_nothing_more(tmp_path: Path) -> None:
    """A sub-agent's question may have come up while they thought of what to say."""
    called, gate = Event(), Event()

    def late(_: Body) -> Answer:
        called.set()
        return Answer(_write("a"), hold=gate)

    troupe = Troupe(
        tmp_path / "unused",
        main=[says("start_agent", name="a", task="a"), says("wait_for_agents")],
        a=[late],
    )
    with at_terminal(tmp_path, [troupe.answer] * 8, "main") as screen:
        screen.shows("I wait_for_agents.")
        assert called.wait(LIMIT_S)
        screen.child.sendintr()
        screen.shows("Stopped. Words for the agent")
        gate.set()
        _is_answered(screen, "a")
        screen.child.sendline("q")

        assert "a.txt  new" not in screen.shows("autoagent --resume ")
        assert screen.ends() == 130


def _is_answered(screen: Screen, agent: str) -> None:
    """Wait until the model's reply stands in the agent's journal."""
    (journal,) = screen.program.home.glob(f"sessions/*/agents/{agent}/journal.jsonl")
    with Watch(journal.parent) as watch:
        while '"type":"Replied"' not in journal.read_text().replace(" ", ""):
            assert watch.wait(LIMIT_S)


def test_a_word_with_a_slash_is_no_answer_to_an_agent_s_question(tmp_path: Path) -> None:
    """One looks at the others first; a path may be the answer all the same."""
    troupe = Troupe(
        tmp_path / "unused",
        main=[
            says("start_agent", name="a", task="a"),
            says("wait_for_agents"),
            says("finish", answer="a has asked"),
        ],
        a=[
            says("ask_user", question="Which folder?"),
            says("ask_user", question="Which file?"),
        ],
    )
    with at_terminal(tmp_path, [troupe.answer] * 8, "main") as screen:
        screen.answers("Your answer: ", "/agents")
        screen.shows("a: working, 1 step")
        screen.answers("Your answer: ", "/tmp")
        screen.shows("Which file?")
        screen.answers("Your answer: ", "/quit")
        screen.shows("autoagent --resume ")

        assert screen.ends() == 130
        told = [m["content"] for body in screen.server.chats for m in body["messages"]]
        assert any("person]\n/tmp\n" in text for text in told)


def test_words_that_are_typed_end_a_wait_for_sub_agents(tmp_path: Path) -> None:
    """The agent hears them before its next call, and the sub-agent works on."""
    gate = Event()
    troupe = Troupe(
        tmp_path / "unused",
        main=[
            says("start_agent", name="a", task="a"),
            says("wait_for_agents"),
            says("wait_for_agents"),
            says("finish", answer="all is told"),
        ],
        a=[Answer(says("finish", answer="one"), hold=gate)],
    )
    with emulated(tmp_path, [troupe.answer] * 8, "main") as seen:
        seen.sees("wait_for_agents…")
        seen.types("Use the other file" + ENTER)
        seen.sees("The agent gets your words: Use the other file", "at work: a; you were told")
        gate.set()
        assert seen.ends() == 0

        bodies = [body for body in seen.server.chats if asker(body) == ("main", 2)]
        told = bodies[0]["messages"][-1]["content"]
        assert "[the user says]\nUse the other file\n[end]" in told
