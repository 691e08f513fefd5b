"""Eight reports, eight sub-agents and one summary: at once, within its money, killed in between."""

import json
import re
import signal
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Lock

from tests.fake_openai import Answer, Body, FakeOpenAI
from tests.program import Program, says
from tests.teams import asker

_NAMES = [f"r{n}" for n in range(8)]
_MONEY = 0.8  # US dollars; what nine agents may hold aside at once must fit as well


class Office:
    """A model for all of them that reads its conversation. `together` holds each sub-agent's
    first call until all eight have come that far."""

    def __init__(self) -> None:
        self.together: Barrier | None = Barrier(8)
        self.calls: dict[str, int] = {}
        self._lock = Lock()

    def __call__(self, body: Body) -> Answer:
        who, at = asker(body)
        with self._lock:
            self.calls[who] = self.calls.get(who, 0) + 1
        if who != "main" and at == 0 and (met := self.together) is not None:
            try:
                met.wait(20)
            except BrokenBarrierError:
                return Answer(status=500)
        return Answer(self._main(body) if who == "main" else self._reads(who, body))

    def _main(self, body: Body) -> str:
        told = _told(body)
        missing = [n for n in _NAMES if f"agents] {n} works" not in told and f"{n}, " not in told]
        missing = [n for n in missing if f"agents] {n} waits" not in told]
        if missing and "work; of the rest nothing" not in told:
            starts = [{"name": n, "task": f"{n} is your report: sum it up"} for n in missing]
            calls = [{"name": "start_agent", "args": args} for args in starts]
            return says("batch", commands=calls)
        lines = re.findall(r"^The sum of (r\d) is (\d+)\.$", told, re.MULTILINE)
        if len(dict(lines)) < 8:
            return says("wait_for_agents")
        total = sum(int(number) for number in dict(lines).values())
        if "[write_file summary.md" not in told:
            return says("write_file", path="summary.md", content=f"In all {total}.\n")
        return says("finish", answer=f"In all {total}.")

    def _reads(self, who: str, body: Body) -> str:
        told = _told(body)
        if f"[read_file {who}.txt" not in told:
            return says("read_file", path=f"{who}.txt")
        numbers = [int(n) for n in re.findall(r"^value (\d+)$", told, re.MULTILINE)]
        return says("finish", answer=f"The sum of {who} is {sum(numbers)}.")


def _told(body: Body) -> str:
    return "\n".join(m["content"] for m in body["messages"] if m["role"] == "user")


def test_eight_reports_are_read_at_once_and_summed_up_although_it_was_killed(
    tmp_path: Path,
) -> None:
    """All eight have a call open at the same time; the kill comes when all have read."""
    office = Office()
    with FakeOpenAI(check=office, embeds=False) as server:
        program = Program(tmp_path, server.base_url, {"AUTOAGENT_PRICE": "1,0.1,2"})
        total = 0
        for number, name in enumerate(_NAMES):
            values = range(number, number + 50)
            total += sum(values)
            text = "".join(f"value {value}\n" for value in values)
            (program.workspace / f"{name}.txt").write_text(text)
        args = ("--goal", "main", "--max-cost", str(_MONEY), "--output-format", "stream-json")
        with program.started(*args) as running:
            read: set[str] = set()
            while len(read) < 8:
                event = running.until("Executed")
                read |= {event["agent"]} if event["name"] == "read_file" else set()
            running.process.send_signal(signal.SIGKILL)
            killed = running.finish()
        before = dict(office.calls)
        met, office.together = office.together, None
        assert met is not None
        met.abort()

        done = program.run("--resume", "--output-format", "json")

    assert killed.code == -9
    assert done.code == 0, done.err
    result = done.object
    assert result["answer"] == f"In all {total}."
    assert (program.workspace / "summary.md").read_text() == f"In all {total}.\n"
    assert 0 < result["cost_usd"] <= _MONEY
    assert [agent["status"] for agent in result["agents"]] == ["done"] * 8
    assert all(office.calls[name] - before[name] <= 1 for name in _NAMES)  # none began anew
    spawned = [event for event in program.journal() if event["type"] == "Spawned"]
    assert [event["name"] for event in spawned] == _NAMES
    agents = program.sessions[-1] / "agents"
    reads = [
        json.loads(line)
        for name in _NAMES
        for line in (agents / name / "journal.jsonl").read_text().splitlines()
    ]
    assert sum(e["type"] == "Executed" and e["name"] == "read_file" for e in reads) == 8
