"""Sub-agents: they work beside the agent, and what they come to reaches it once."""

import re
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Event

from autoagent.events import Executed, Replied, Reported, Spawned, Stopped, Told
from tests.fake_openai import Answer, Body
from tests.program import Program
from tests.teams import Troupe, says


def test_what_a_sub_agent_answers_stands_in_the_next_prompt_with_its_cost(tmp_path: Path) -> None:
    """The agent is told without asking, in the first prompt after the end."""
    ended = Event()

    def waits(_: Body) -> Answer:
        return Answer(says("list_files"), hold=ended)

    with Troupe(
        tmp_path,
        main=[says("start_agent", name="a", task="a"), waits, says("finish", answer="all done")],
        a=[says("finish", answer="seven lines")],
    ) as troupe:
        troupe.on_entry = lambda entry: (
            ended.set() if entry.agent and isinstance(entry.event, Stopped) else None
        )
        session = troupe.run("main")

        prompt = troupe.prompt_of("main", 2)
    assert "[agent a] is done, 1 step, $0.0" in prompt
    assert "seven lines\n[end]" in prompt
    assert session.state.stopped is not None and session.state.stopped.status == "done"


def test_two_sub_agents_work_at_the_same_time(tmp_path: Path) -> None:
    """Each of their calls comes only when the other's has come as well."""
    both = Barrier(2)

    def together(_: Body) -> str:
        both.wait(20)
        return says("finish", answer="met")

    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a"),
            says("start_agent", name="b", task="b"),
            says("wait_for_agents"),
            says("finish", answer="ok"),
        ],
        a=[together],
        b=[together],
    ) as troupe:
        session = troupe.run("main")

        prompt = troupe.prompt_of("main", 3)
    assert prompt.count("met\n[end]") == 2
    assert "[wait_for_agents, agents] a, b ended" in prompt
    assert session.state.steps == 6


def test_a_sub_agent_that_fails_is_a_result_and_the_run_goes_on(tmp_path: Path) -> None:
    """Gave up, a model that refuses, circles, its share used up: each is told in a word."""
    circle = [says("list_files")] * 9
    with Troupe(
        tmp_path,
        main=[
            *(says("start_agent", name=n, task=n) for n in ("gives", "refuses", "circles", "uses")),
            says("wait_for_agents"),
            says("finish", answer="went on"),
        ],
        gives=[says("give_up", reason="no such file")],
        refuses=[Answer(status=401, body={"error": {"message": "no"}})],
        circles=circle,
        uses=[says("execute_shell", command_line=f"echo {n}") for n in range(40)],
    ) as troupe:
        session = troupe.run("main", max_steps="20")

        prompt = "\n".join(troupe.prompt_of("main", at) for at in range(1, 6))
    assert "[agent gives] gave up, 1 step" in prompt
    assert "no such file" in prompt
    assert "[agent refuses] stopped: its model can't be reached or refuses" in prompt
    assert "[agent circles] " in prompt
    assert "[agent uses] reached a limit" in prompt
    assert session.state.stopped is not None and session.state.stopped.answer == "went on"


def test_words_to_a_sub_agent_stand_in_its_next_prompt_once(tmp_path: Path) -> None:
    """Given while it works; it can't end before it has heard them."""
    asked, heard = Event(), Event()

    def finishes(_: Body) -> Answer:
        asked.set()
        return Answer(says("finish", answer="first"), hold=heard)

    def sent(_: Body) -> str:
        heard.set()
        return says("wait_for_agents")

    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a"),
            Answer(says("message_agent", name="a", message="count the words too"), hold=asked),
            sent,
            says("finish", answer="ok"),
        ],
        a=[finishes, says("finish", answer="second")],
    ) as troupe:
        troupe.run("main")

        prompt = troupe.prompt_of("a", 1)
        told = [event for event in troupe.events("a") if isinstance(event, Told)]
    assert prompt.count("count the words too") == 1
    assert "not accepted" in prompt
    assert [event.text for event in told] == ["count the words too"]
    assert "second\n[end]" in troupe.prompt_of("main", 3)


def test_a_long_answer_is_cut_for_the_prompt_and_whole_on_disk(tmp_path: Path) -> None:
    """`read_result` with the agent's name gives the rest."""
    long = "\n".join(f"line {n}" for n in range(3000))
    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a"),
            says("wait_for_agents", names=["a"]),
            says("read_result", agent="a", start_line=1500, lines=2),
            says("finish", answer="ok"),
        ],
        a=[says("finish", answer=long)],
    ) as troupe:
        session = troupe.run("main")

        prompt = troupe.prompt_of("main", 2)
    assert 'lines more: read_result(agent="a", start_line=' in prompt
    assert len(prompt) < 12_000
    assert "line 1499\nline 1500" in troupe.prompt_of("main", 3)
    report = next(e for e in session.state.team.reports)
    assert report.whole == "agent-a.txt"


def test_a_wrong_name_task_or_folder_is_answered_with_what_would_be_right(tmp_path: Path) -> None:
    """None of them starts anything, and none ends the run."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "file").write_text("x")
    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a"),
            says("start_agent", name="a", task="again"),
            says("start_agent", name="???", task="b"),
            says("start_agent", name="b", task="  "),
            says("start_agent", name="b", task="b", folder="../outside"),
            says("start_agent", name="b", task="b", folder="file"),
            says("start_agent", name="b", task="b", role="king"),
            says("message_agent", name="aa", message="hi"),
            says("wait_for_agents", names=["nobody"]),
            says("wait_for_agents"),
            says("message_agent", name="a", message="hi"),
            says("finish", answer="ok"),
        ],
        a=[says("finish", answer="one")],
    ) as troupe:
        session = troupe.run("main")

    notes = [(e.name, e.ok, e.text) for e in troupe.events() if isinstance(e, Executed)]
    assert [ok for _, ok, _ in notes] == [True, *[False] * 8, True, False, True]
    texts = [text for _, ok, text in notes if not ok]
    for text, word in zip(
        texts,
        ("another name", "letters", "empty", "outside", "no folder", "king", "a?", "nobody", "has"),
        strict=True,
    ):
        assert word in text
    assert len([e for e in troupe.events() if isinstance(e, Spawned)]) == 1
    assert session.state.stopped is not None and session.state.stopped.status == "done"


def test_the_ninth_waits_until_one_of_the_eight_ends(tmp_path: Path) -> None:
    """Here of two: the third begins when the first has ended."""
    go_on = Event()
    first = Answer(says("finish", answer="done"), hold=go_on)

    def sees(body: Body) -> Answer:
        go_on.set()
        return Answer(says("wait_for_agents"))

    with Troupe(
        tmp_path,
        main=[
            *(says("start_agent", name=n, task=n) for n in "abc"),
            says("list_agents"),
            sees,
            says("finish", answer="ok"),
        ],
        a=[first],
        b=[first],
        c=[says("finish", answer="third")],
    ) as troupe:
        troupe.run("main", variables={"AUTOAGENT_MAX_AGENTS": "2"})

        started = troupe.prompt_of("main", 3)
        listed = troupe.prompt_of("main", 4)
    assert "[start_agent, agents] c waits" in started
    assert "c: waits for its turn" in listed
    assert "third" in troupe.prompt_of("main", 5)


def test_a_sub_agent_beneath_another_is_the_last(tmp_path: Path) -> None:
    """Two deep by default: the second has no command to start a third."""
    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a"),
            says("wait_for_agents"),
            says("finish", answer="ok"),
        ],
        a=[
            says("start_agent", name="b", task="b"),
            says("wait_for_agents"),
            says("finish", answer="from b"),
        ],
        b=[says("start_agent", name="c", task="c"), says("finish", answer="alone")],
    ) as troupe:
        session = troupe.run("main")

        refused = troupe.prompt_of("b", 1)
    assert "You may not use 'start_agent'" in refused
    assert "start_agent(" not in troupe.requests_of("b")[0]["messages"][0]["content"]
    assert {entry.agent for entry in troupe.entries} == {"", "a", "a/b"}
    replies = [e.event for e in troupe.entries if isinstance(e.event, Replied)]
    assert session.state.overall.prompt == sum(reply.usage.prompt for reply in replies)


def test_the_end_of_the_agent_ends_those_that_work_for_it(tmp_path: Path) -> None:
    """Said in its journal, and what they used counts."""
    never = Event()
    with Troupe(
        tmp_path,
        main=[says("start_agent", name="a", task="a"), says("finish", answer="ok")],
        a=[Answer(says("finish", answer="never"), hold=never)],
    ) as troupe:
        session = troupe.run("main")

    reports = [event for event in troupe.events() if isinstance(event, Reported)]
    assert [(report.status, report.paused) for report in reports] == [("interrupted", False)]
    assert session.state.stopped is not None and session.state.stopped.status == "done"


def test_a_deleted_agent_stops_at_once_and_is_gone_from_the_list(tmp_path: Path) -> None:
    """Its work stays, nobody waits for it."""
    never = Event()
    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a"),
            says("delete_agent", name="a"),
            says("list_agents"),
            says("finish", answer="ok"),
        ],
        a=[Answer(says("finish", answer="never"), hold=never)],
    ) as troupe:
        troupe.run("main")

        deleted, listed = troupe.prompt_of("main", 2), troupe.prompt_of("main", 3)
    assert "[agent a] was ended" in deleted
    assert "[delete_agent, agents] a is deleted; it has ended" in deleted
    assert "no agents" in listed or "0 at work" in listed


def test_a_batch_starts_several_in_one_step(tmp_path: Path) -> None:
    """Eight starts in eight calls would take as long as the work; each has a line of its own."""
    starts = [{"name": "start_agent", "args": {"name": n, "task": n}} for n in "ab"]
    wrong = {"name": "start_agent", "args": {"name": "a", "task": "again"}}
    mixed = [*starts, {"name": "list_files", "args": {}}]
    with Troupe(
        tmp_path,
        main=[
            says("batch", commands=mixed),
            says("batch", commands=[*starts, wrong]),
            says("wait_for_agents"),
            says("finish", answer="ok"),
        ],
        a=[says("finish", answer="one")],
        b=[says("finish", answer="two")],
    ) as troupe:
        session = troupe.run("main")

        refused, started = troupe.prompt_of("main", 1), troupe.prompt_of("main", 2)
    assert "list_files is run by itself" in refused
    assert "[1 start_agent, agents] a works" in started
    assert "[2 start_agent, agents] b works" in started
    assert "[3 start_agent, agents] failed\nThere was an agent a" in started
    assert [e.step for e in troupe.events() if isinstance(e, Spawned)] == [2, 2]
    assert session.state.stopped is not None and session.state.stopped.status == "done"


def test_what_an_agent_of_the_session_did_is_no_memory_to_the_others_but_what_it_remembered(
    tmp_path: Path,
) -> None:
    """Its report tells of it; steps of those that work beside would be noise in each prompt."""
    both = Barrier(2)

    def together(reply: str) -> Callable[[Body], str]:
        def answer(_: Body) -> str:
            both.wait(20)
            return reply

        return answer

    done = says("finish", answer="the colour of the whale is white")
    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a whale colour"),
            says("start_agent", name="b", task="b whale colour"),
            says("wait_for_agents"),
            says("recall", query="colour of the whale"),
            done,
        ],
        a=[
            says("execute_shell", command_line="echo the colour of the whale"),
            says("remember", text="whale colour note of a"),
            together(done),
        ],
        b=[
            says("execute_shell", command_line="echo whale colour"),
            together(says("execute_shell", command_line="echo whale colour again")),
            done,
        ],
    ) as troupe:
        troupe.run("main")

        of_b = troupe.prompt_of("b", 1) + troupe.prompt_of("b", 2)
        found = troupe.prompt_of("main", 4)
        main = troupe.prompt_of("main", 3)
    assert "whale colour note of a" in of_b
    assert "echo the colour of the whale" not in of_b
    assert "echo" not in main
    assert "agent a, " in found and "agent b, " in found


def test_who_works_and_what_was_answered_stays_in_the_prompt_when_the_steps_leave(
    tmp_path: Path,
) -> None:
    """Else the agent would forget those it started, and start them again."""
    never, ended = Event(), Event()
    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a works for long"),
            says("start_agent", name="b", task="b"),
            Answer(says("list_agents"), hold=ended),
            *(says("execute_shell", command_line=f"seq {n} {n + 900}") for n in range(22)),
            says("finish", answer="ok"),
        ],
        a=[Answer("x", hold=never)],
        b=[says("finish", answer="the whale is white")],
    ) as troupe:
        troupe.on_entry = lambda entry: (
            ended.set() if entry.agent == "b" and isinstance(entry.event, Stopped) else None
        )
        session = troupe.run("main", window="8000", memory="none")

        last = [m["content"] for m in troupe.requests_of("main")[-1]["messages"]]
    assert session.state.cut_step > 3
    assert not any("[start_agent, agents]" in text for text in last)
    (digest,) = (text for text in last if "have left this conversation" in text)
    assert "- a works or waits: a works for long" in digest
    assert "- b ended (done): the whale is white" in digest


def test_who_reads_a_log_sees_why_a_sub_agent_came_to_no_end(tmp_path: Path) -> None:
    """A line a step has no place for answers, but a failure without its reason can't be
    mended: an empty share, a key that is wrong."""
    with Troupe(
        tmp_path,
        main=[
            says("start_agent", name="a", task="a"),
            says("wait_for_agents"),
            says("finish", answer="without it"),
        ],
        a=[says("give_up", reason="There is no disk.")],
    ) as troupe:
        done = Program(tmp_path, troupe.server.base_url).run("--goal", "main")

    assert done.code == 0
    assert re.search(r"^a gave up: 1 step, .*\. There is no disk\.$", done.err, re.M)


def test_a_batch_says_how_many_of_its_agents_could_not_be_started(tmp_path: Path) -> None:
    """In a log nothing else tells of one that is missing."""
    calls = [
        {"name": "start_agent", "args": {"name": name, "task": name, "role": role}}
        for name, role in (("a", ""), ("b", "nobody"))
    ]
    with Troupe(
        tmp_path,
        main=[says("batch", commands=calls), says("wait_for_agents"), says("finish", answer="x")],
        a=[says("finish", answer="one")],
    ) as troupe:
        troupe.run("main")

    done = [event for event in troupe.events() if isinstance(event, Executed)]
    assert done[0].note == "2 results, 1 failed"
