"""A team that was killed goes on where its journals ended, whichever line was the last."""

import re
import shutil
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag
from typing import Any

import pytest

from autoagent.events import (
    Dismissed,
    Event,
    Executed,
    Limits,
    Messaged,
    Reported,
    Spawned,
    Stopped,
    Told,
)
from autoagent.journal import Entry, load
from autoagent.sessions.folders import JOURNAL
from tests.fake_openai import Answer, Body
from tests.past import step
from tests.past_teams import Team, reported, spawned
from tests.program import Program
from tests.teams import Script, Troupe, asker, says

PLAIN: dict[str, Any] = {"sandbox": "none", "unsafe": True, "memory": "none"}


def _told(body: Body) -> str:
    return "\n".join(m["content"] for m in body["messages"] if m["role"] == "user")


def _main(body: Body) -> str:
    """Works on what isn't done yet, as a model does that reads its conversation."""
    told = _told(body)
    steps = {
        "start_agent, agents\\] a": says("start_agent", name="a", task="a"),
        "start_agent, agents\\] b": says("start_agent", name="b", task="b"),
        "message_agent, agents\\] b": says("message_agent", name="b", message="be quick"),
    }
    for head, command in steps.items():
        if not re.search(rf"\[{head} ", told):
            return command
    if "[agent a] is done" not in told or "[agent b] is done" not in told:
        return says("wait_for_agents")
    return says("finish", answer="summed up")


def _a(body: Body) -> str:
    if "[write_file" not in _told(body):
        return says("write_file", path="a.txt", content="1")
    return says("finish", answer="one")


def _b(body: Body) -> str:
    told = _told(body)
    if not re.search(r"\[start_agent, agents\] c ", told):
        return says("start_agent", name="c", task="c")
    if "[agent c] is done" not in told:
        return says("wait_for_agents")
    return says("finish", answer="two")


def _c(body: Body) -> str:
    if "[list_files" not in _told(body):
        return says("list_files")
    return says("finish", answer="three")


SCRIPTS: dict[str, Script] = {"main": _main, "a": _a, "b": _b, "c": _c}


def _journal(session: Path, agent: str) -> Path:
    parts = [part for name in filter(None, agent.split("/")) for part in ("agents", name)]
    return session.joinpath(*parts, JOURNAL)


def _killed_after(count: int, entries: list[Entry], session: Path) -> None:
    """Cut every journal of the tree to what stood there after so many entries."""
    lines = Counter(entry.agent for entry in entries[:count])
    for agent in {entry.agent for entry in entries}:
        path = _journal(session, agent)
        kept = path.read_bytes().splitlines(keepends=True)[: lines[agent]]
        if kept:
            path.write_bytes(b"".join(kept))
        else:
            path.unlink()


def _whole(session: Path) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for path in sorted(session.rglob(JOURNAL)):
        names = path.parent.relative_to(session).parts[1::2]
        found["/".join(names)] = [entry.event for entry in load(path).entries]
    return found


def test_wherever_it_was_killed_nothing_is_lost_or_done_twice(tmp_path: Path) -> None:
    """Every agent ends once, every word is heard once, every file is written once."""
    with Troupe(tmp_path, **SCRIPTS) as troupe:
        troupe.run("main", **PLAIN)
        entries, session = troupe.entries, troupe.found.folder
        kept = tmp_path / "kept"
        shutil.copytree(session, kept)

        for count in range(2, len(entries), 4):
            shutil.rmtree(session)
            shutil.copytree(kept, session)
            _killed_after(count, entries, session)

            again = troupe.resumed(**PLAIN)

            stopped = again.state.stopped
            assert stopped is not None, count
            assert (stopped.status, stopped.answer) == ("done", "summed up"), count
            events = _whole(session)
            assert set(events) == {"", "a", "b", "b/c"}
            for agent, all_events in events.items():
                ends = [e for e in all_events if isinstance(e, Stopped) and e.status == "done"]
                assert len(ends) == 1, (count, agent)
                done = [e for e in all_events if isinstance(e, Executed) and e.name == "finish"]
                assert [e.note for e in done][-1:] == ["done"], (count, agent)
            reports = [e.name for e in events[""] if isinstance(e, Reported) and not e.paused]
            assert sorted(reports) == ["a", "b"], count
            begun = [e.name for e in events[""] if isinstance(e, Spawned)]
            assert sorted(begun) == ["a", "b"], count
            sent = [e for e in events[""] if isinstance(e, Messaged)]
            heard = [e.number for e in events["b"] if isinstance(e, Told)]
            arrived = [e for e in sent if e.number in heard]
            assert len(arrived) == len(heard), count
            undelivered = [e for e in events[""] if isinstance(e, Executed) and "before" in e.note]
            assert len(sent) == len(heard) + len(
                [e for e in undelivered if " ended before" in e.note]
            ), count


def test_those_that_an_end_cut_off_go_on_with_the_next_run(tmp_path: Path) -> None:
    """At a limit, say; what they used until then stays counted."""
    until, never = {"hold": True}, Flag()

    def b_waits(body: Body) -> str | Answer:
        return Answer("x", hold=never) if until["hold"] else says("finish", answer="two")

    scripts: dict[str, Script] = {
        "main": [
            says("start_agent", name="b", task="b"),
            *(says("execute_shell", command_line=f"echo {n}") for n in range(11)),
            says("wait_for_agents"),
            says("finish", answer="ok"),
        ],
        "b": [says("list_files"), b_waits],
    }
    with Troupe(tmp_path, **scripts) as troupe:
        first = troupe.run("main", max_steps="12", **PLAIN)
        until["hold"] = False

        second = troupe.resumed(max_steps="30", **PLAIN)

    assert first.state.stopped is not None and first.state.stopped.status == "limit"
    paused = [report for report in first.state.team.reports if report.paused]
    assert [report.name for report in paused] == ["b"]
    assert second.state.stopped is not None and second.state.stopped.status == "done"
    assert [report.paused for report in second.state.team.reports] == [False]
    last = troupe.requests_of("main")[-1]["messages"]
    assert sum("two\n[end]" in message["content"] for message in last) == 1


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_program_leaves_no_sub_agent_running_and_resumes(
    tmp_path: Path, sign: signal.Signals
) -> None:
    """With the real program, while two of them run commands."""
    sleeping = says("execute_shell", command_line="touch $$.pid; sleep 300", timeout_s=400)

    def main(body: Body) -> str:
        told = _told(body)
        starts = [n for n in "ab" if f"[start_agent, agents] {n} " not in told]
        if starts:
            return says("start_agent", name=starts[0], task=starts[0])
        if all(f"[agent {n}] is done" in told for n in "ab"):
            return says("finish", answer="ok")
        return says("wait_for_agents")

    scripts: dict[str, Script] = {
        "main": main,
        "a": [sleeping, says("finish", answer="one")],
        "b": [sleeping, says("finish", answer="two")],
    }
    with Troupe(tmp_path, **scripts) as troupe:
        program = Program(tmp_path, troupe.server.base_url)
        with program.started("--goal", "main", "--output-format", "stream-json") as running:
            executing = 0
            while executing < 2:
                event = running.until("Executing")
                executing += event.get("agent") in ("a", "b")
            running.process.send_signal(sign)
            done = running.finish(limit_s=10.0)

        again = program.run("--resume", "--output-format", "json")

    assert done.code == (143 if sign == signal.SIGTERM else -9)
    assert again.code == 0, again.err
    assert again.object["answer"] == "ok"
    interrupted = troupe.prompt_of("a", 1)
    assert "execute_shell" in interrupted
    assert {asker(body)[0] for body in troupe.server.chats} == {"main", "a", "b"}


def _past(troupe: Troupe) -> Team:
    """A session that was killed after the first step of its own agent, whose goal is Reach."""
    team = Team(troupe.home, troupe.workspace)
    team.add("", *step(1, text="begun"))
    return team


def test_one_whose_time_is_over_is_told_of_like_any_other_end(tmp_path: Path) -> None:
    """Its own clock ends it, not the agent that started it."""
    never = Flag()
    with Troupe(
        tmp_path,
        Reach=["", says("wait_for_agents"), says("finish", answer="ok")],
        a=[Answer("x", hold=never)],
    ) as troupe:
        short = Limits(steps=20, tokens=100_000, cost=1.0, time_s=0.3)
        _past(troupe).add("", replace(spawned("a", "a"), limits=short))

        session = troupe.resumed(**PLAIN)

        prompt = troupe.prompt_of("Reach", 2)
    assert "[agent a] reached a limit" in prompt
    assert [report.status for report in session.state.team.reports] == ["limit"]


def test_what_those_beneath_one_that_had_ended_used_counts_after_a_kill(tmp_path: Path) -> None:
    """It ended by itself, and its agent was killed before it could note that."""
    with Troupe(tmp_path, Reach=["", says("finish", answer="ok")]) as troupe:
        team = _past(troupe)
        team.begin("a", "a")
        team.add("a", *step(1))
        team.begin("a/b", "b")
        team.end("a/b", "two", reported("b", "two", steps=2, cost=0.02))
        team.add("a", Stopped("done", 0, "one", elapsed_s=3.0))

        session = troupe.resumed(**PLAIN)

    (report,) = session.state.team.reports
    assert (report.status, report.text, report.steps) == ("done", "one", 3)
    assert report.usage.cost == pytest.approx(0.03)


def test_what_one_used_that_was_deleted_counts_after_a_kill(tmp_path: Path) -> None:
    """Killed before its end was noted; it isn't taken up again for that."""
    with Troupe(tmp_path, Reach=["", says("finish", answer="ok")]) as troupe:
        team = _past(troupe)
        team.begin("a", "a")
        team.add("a", *step(1), *step(2))
        team.add("", Dismissed(1, "a"))

        session = troupe.resumed(**PLAIN)

    assert {asker(body)[0] for body in troupe.server.chats} == {"Reach"}
    (report,) = session.state.team.reports
    assert (report.status, report.steps, report.paused) == ("interrupted", 2, False)
    assert session.state.overall.cost >= 0.03


def test_one_whose_folder_or_role_is_gone_says_so_in_a_sentence(tmp_path: Path) -> None:
    """The agent can do something about it: it is no bug of ours."""
    with Troupe(
        tmp_path, Reach=["", says("wait_for_agents"), says("finish", answer="ok")]
    ) as troupe:
        past = _past(troupe)
        past.add("", spawned("a", "a", folder="gone"), spawned("b", "b", role="gone"))

        session = troupe.resumed(**PLAIN)

    texts = {report.name: report.text for report in session.state.team.reports}
    assert texts["a"].startswith("There is no 'gone'.")
    assert texts["b"].startswith("There is no role 'gone'")


def test_with_another_model_those_that_go_on_have_it_too(tmp_path: Path) -> None:
    """Who resumes with another one has a reason: the first is down, or too dear."""
    with Troupe(
        tmp_path,
        Reach=["", says("wait_for_agents"), says("finish", answer="ok")],
        a=["", says("finish", answer="one")],
        b=["", says("finish", answer="two")],
        c=[says("finish", answer="three")],
    ) as troupe:
        team = _past(troupe)
        team.begin("a", "a")
        team.begin("b", "b", role="coder")
        team.add("", spawned("c", "c"))
        for name in "ab":
            team.add(name, *step(1))

        session = troupe.resumed(model="other-model", max_cost="5", price="1,1,1", **PLAIN)

    assert {report.status for report in session.state.team.reports} == {"done"}
    assert {body["model"] for body in troupe.server.chats} == {"other-model"}
