"""Killed at any instant and resumed: nothing is lost, nothing runs twice, the prompt goes on."""

import csv
import json
import random
import signal
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.fake_openai import Body, FakeOpenAI
from tests.program import Event, Program, at_once, of_type, says

GOAL = ("--goal", "go", "--output-format", "stream-json")
FINISH = says("finish", answer="42")


def continues(earlier: Body, later: Body) -> bool:
    """Whether each message of a prompt stands at the head of a later one, byte for byte.

    The last one may have grown: what reaches the model between two replies is one message.
    """
    *before, last = earlier["messages"]
    after = later["messages"]
    same, grown = after[: len(before)], after[len(before)]
    head = grown["content"][: len(last["content"])]
    return bool(same == before and grown["role"] == last["role"] and head == last["content"])


class Killed:
    """A session of ten steps that is killed twelve times, then finished: after a random number
    of events, and each fourth time while a command runs."""

    def __init__(self, folder: Path) -> None:
        lines = [f"echo {n} >> ran; sleep 0.0{n}" for n in range(1, 10)]
        self.answers = {n: says("execute_shell", command_line=line) for n, line in enumerate(lines)}
        self.acknowledged: list[Event] = []
        with FakeOpenAI([self.next] * 99) as server:
            self.program = Program(folder, server.base_url)
            chance = random.Random(20261120)
            args = list(GOAL)
            for number in range(12):
                events = chance.randrange(1, 12) if number % 4 else 0
                self.acknowledged += self._kill(args, events)
                args = ["--resume", "--output-format", "stream-json"]
            self.done = self.program.run(*args)
            self.chats = server.chats

    def next(self, body: Body) -> str:
        """What comes after the steps that stand in the prompt, as a model would see them."""
        replies = sum(message["role"] == "assistant" for message in body["messages"])
        return self.answers.get(replies, FINISH)

    def _kill(self, args: list[str], events: int) -> list[Event]:
        """Start, read so many events, or up to a command that runs; kill; what was read."""
        with self.program.started(*args) as running:
            seen = [running.until() for _ in range(events)]
            while not events and (not seen or seen[-1]["type"] != "Executing"):
                seen.append(running.until())
            running.process.send_signal(signal.SIGKILL)
            running.finish()
        return seen


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    return Killed(tmp_path_factory.mktemp("killed"))


def test_what_was_shown_before_a_kill_stands_in_the_journal(killed: Killed) -> None:
    """Law 1: an event is on disk before anyone sees it."""
    journal = killed.program.journal()

    assert killed.done.code == 0
    assert len(of_type(journal, "Resumed")) == 12
    assert [event for event in killed.acknowledged if event not in journal] == []


def test_no_command_ran_twice_over_all_kills(killed: Killed) -> None:
    """Law 2: each line was written by at most one run of its command."""
    ran = (killed.program.workspace / "ran").read_text().split()
    journal = killed.program.journal()

    assert len(ran) == len(set(ran))
    for kind in ("Replied", "Executing", "Executed"):
        steps = [event["step"] for event in of_type(journal, kind)]
        assert steps == list(range(1, 11))


def test_an_interrupted_command_is_told_as_such(killed: Killed) -> None:
    """What the model is told to have run did run; the rest is announced as uncertain."""
    ran = set((killed.program.workspace / "ran").read_text().split())
    results = of_type(killed.program.journal(), "Executed")[:9]

    sure = {str(event["step"]) for event in results if event["note"] != "interrupted"}
    assert sure <= ran
    assert 3 <= len(results) - len(sure) < 9


def test_each_prompt_continues_the_one_before_it_byte_for_byte(killed: Killed) -> None:
    """Law 3, over all resumes: providers' caches hold and the model sees one conversation."""
    pairs = zip(killed.chats, killed.chats[1:], strict=False)

    assert [continues(earlier, later) for earlier, later in pairs] == [True] * (
        len(killed.chats) - 1
    )


REGIONS = 11
MONTHS = 12


class Clerk:
    """Plays a model that sums a folder of CSV files into a report, two steps a file."""

    def __init__(self, workspace: Path) -> None:
        self.report = workspace / "report.md"
        self.totals: dict[str, int] = {}
        for region in range(REGIONS):
            rows = [(f"2026-{n:02}", 100 * region + 7 * n) for n in range(1, MONTHS + 1)]
            with (workspace / f"region{region:02}.csv").open("w", newline="") as file:
                csv.writer(file).writerows([("month", "amount"), *rows])
            self.totals[f"region{region:02}"] = sum(amount for _, amount in rows)
        self._steps = self._planned()
        self._said = ""
        self._seen = -1

    def _planned(self) -> Iterator[str]:
        yield says("list_files")
        yield says("write_file", path="report.md", content="| region | total |\n|---|---|\n")
        for name in self.totals:
            yield says("read_file", path=f"{name}.csv")
            yield self._summing(name)
        yield says("read_file", path="report.md")
        yield says("finish", answer=f"report.md has {REGIONS} totals.")

    def _summing(self, name: str) -> str:
        code = (
            "import csv, time\n"
            f"total = sum(int(row['amount']) for row in csv.DictReader(open('{name}.csv')))\n"
            f"open('report.md', 'a').write(f'| {name} | {{total}} |\\n')\n"
        )
        head = {"thoughts": f"{name} next.", "plan": [f"sum {name}", "go on", "finish"]}
        command: dict[str, Any] = {"name": "execute_python", "args": {"code": {"block": "CODE"}}}
        return f"{json.dumps({**head, 'command': command})}\n<<<CODE\n{code}CODE>>>"

    def __call__(self, body: Body) -> str:
        """The next step; the same again when the reply was lost, or the step had no effect."""
        replies = sum(message["role"] == "assistant" for message in body["messages"])
        lost, self._seen = replies == self._seen, replies
        uncertain = "may or may not have taken effect" in body["messages"][-1]["content"]
        if not (lost or (uncertain and not self._took_effect())):
            self._said = next(self._steps)
        return self._said

    def _took_effect(self) -> bool:
        names = [name for name in self.totals if f"sum {name}" in self._said]
        return all(f"| {name} |" in self.report.read_text() for name in names)


def test_a_long_session_on_real_files_survives_two_kills(tmp_path: Path) -> None:
    """Issue 2, shown by: at least 25 steps on real input over HTTP, killed twice and resumed."""
    program = Program(tmp_path)
    clerk = Clerk(program.workspace)
    with FakeOpenAI([clerk] * 50) as server:
        program = replace(program, base_url=server.base_url)
        args = [*GOAL, "--verify", f"test $(wc -l < report.md) -eq {REGIONS + 2}"]
        for kind, step in (("Executed", 9), ("Executing", 18)):
            with program.started(*args) as running:
                while running.until(kind)["step"] < step:
                    pass
                running.process.send_signal(signal.SIGKILL)
                running.finish()
            args = ["--resume", "--output-format", "stream-json"]
        done = program.run(*args)
        chats = server.chats

    report = clerk.report.read_text().splitlines()[2:]
    assert (done.code, done.object["verified"]) == (0, True)
    assert done.object["steps"] >= 26
    assert report == [f"| {name} | {total} |" for name, total in clerk.totals.items()]
    assert len(of_type(program.journal(), "Resumed")) == 2
    assert all(continues(one, two) for one, two in pairwise(chats))


class Chosen:
    """Two sessions in one workspace, and what --resume makes of them."""

    def __init__(self, folder: Path) -> None:
        shell = says("execute_shell", command_line="echo > made")
        with FakeOpenAI(
            [says("list_files"), FINISH, shell, FINISH, says("finish", answer="more")]
        ) as server:
            self.program = Program(folder, server.base_url)
            self.limited = self.program.run(
                *("--goal", "first", "--max-steps", "1", "--max-time", "1h"),
                *("--price", "1,1,1", "--disable", "execute_shell", "--protect", "kept"),
                *("--memory", "none", "--window", "20000"),
            )
            self.first = self.program.sessions[0].name
            self.program.run("--goal", "second")
            self.second = self.program.sessions[1].name
            near = self.first[:-1] + "x"
            elsewhere = folder / "elsewhere"
            elsewhere.mkdir()
            self.unknown, self.nowhere, self.moved, self.done_before = at_once(
                (self.program, ["--resume", near]),
                (self.program, ["--resume", "--workspace", str(elsewhere)]),
                (self.program, ["--resume", self.first, "--workspace", str(elsewhere)]),
                (self.program, ["--resume"]),
            )
            elsewhere_program = replace(self.program, front=["env", "-C", str(elsewhere)])
            self.raised = elsewhere_program.run("--resume", self.first, "--max-steps", "7")
            self.more = self.program.run("--resume", "--goal", "third", "--output-format", "json")
            self.chats = server.chats


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Chosen:
    return Chosen(tmp_path_factory.mktemp("chosen"))


def test_an_unknown_id_names_the_nearest(chosen: Chosen) -> None:
    assert chosen.unknown.code == 2
    assert f"Did you mean {chosen.first}?" in chosen.unknown.err


def test_a_folder_without_a_session_is_said(chosen: Chosen) -> None:
    assert chosen.nowhere.code == 2
    assert "No session was run in" in chosen.nowhere.err


def test_a_session_stays_in_its_workspace(chosen: Chosen) -> None:
    """Its conversation is about those files; another folder by option is a contradiction."""
    assert chosen.moved.code == 2
    assert f"Session {chosen.first} works in" in chosen.moved.err


def test_a_session_that_is_done_wants_one_goal_more(chosen: Chosen) -> None:
    """Without ID it is the newest of this workspace."""
    assert chosen.done_before.code == 2
    assert f"Session {chosen.second} is done." in chosen.done_before.err
    assert f"autoagent --resume {chosen.second} --goal" in chosen.done_before.err


def test_one_goal_more_goes_on_in_the_same_conversation(chosen: Chosen) -> None:
    assert (chosen.more.code, chosen.more.object["session"]) == (0, chosen.second)
    assert chosen.more.object["goals"] == ["second", "third"]
    assert "2. third" in chosen.chats[-1]["messages"][-1]["content"]


def test_a_session_keeps_its_own_settings_unless_new_ones_are_given(chosen: Chosen) -> None:
    """Started from anywhere, in its own workspace (surface.md, --resume)."""
    journal = chosen.program.journal(chosen.first)
    started, resumed = journal[0], of_type(journal, "Resumed")[0]

    assert (chosen.limited.code, chosen.raised.code) == (4, 0)
    assert started["limits"] == {"steps": 1, "tokens": 2_000_000, "cost": 3.0, "time_s": 3600.0}
    assert resumed["limits"] == {**started["limits"], "steps": 7}
    assert (resumed["window"], resumed["price"]) == (20_000, started["price"])
    assert [event["ok"] for event in of_type(journal, "Executed")] == [True, False, True]
    assert not (chosen.program.workspace / "made").exists()
