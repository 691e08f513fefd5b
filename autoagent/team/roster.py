"""The names of sub-agents, and how they stand as their agent reads it."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from autoagent.amounts import duration, money
from autoagent.events import Limits
from autoagent.team.standing import Member
from autoagent.team.worker import Worker
from commands.command import CommandError

_LONGEST_NAME = 32
_TASK = 80  # characters of it in a line

Members = Mapping[str, Member]


def new_name(members: Members, name: str) -> str:
    """The name that a new one has, with hyphens for what no name may have."""
    short = _plain(name)
    if not 0 < len(short) <= _LONGEST_NAME:
        raise CommandError(
            f"An agent's name has 1 to {_LONGEST_NAME} letters, digits and hyphens, not "
            f"{name!r:.60}."
        )
    if short in members:
        raise CommandError(
            f"There was an agent {short} in this session already; take another name."
        )
    return short


def member_of(members: Members, name: str) -> Member:
    """The sub-agent of that name, also one that ended; CommandError names the nearest."""
    short = _plain(name)
    if short in members and not members[short].dismissed:
        return members[short]
    there = [each for each, member in members.items() if not member.dismissed]
    if not there:
        raise CommandError("There are no agents; start_agent(name, task) starts one.")
    near = get_close_matches(short, there, 1)
    hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(there)}."
    raise CommandError(f"There is no agent {name!r:.60}. {hint}")


def listed(members: Members, workers: Mapping[str, Worker]) -> tuple[str, str]:
    """How many there are and work, and a line for each; `workers` are not reported yet."""
    known = {name: member for name, member in members.items() if not member.dismissed}
    working = sum(1 for each in workers.values() if not each.ended)
    count = f"{len(known)} agents, {working} at work" if known else "no agents"
    return count, "\n".join(_lines(known, workers))


def _lines(members: Members, workers: Mapping[str, Worker]) -> Iterator[str]:
    for name, member in members.items():
        role = f" ({member.spawned.role})" if member.spawned.role else ""
        task = " ".join(member.spawned.task.split())
        short = task if len(task) <= _TASK else f"{task[: _TASK - 1]}…"
        yield f"{name}{role}: {_at(member, workers.get(name))}; {short}"


def _at(member: Member, worker: Worker | None) -> str:
    if worker is None:
        report = member.reported
        return "ended" if report is None else f"ended: {report.status}, {report.steps} steps"
    if not worker.works:
        return "waits for its turn"
    used = worker.purse.used
    cost = "" if used.unpriced else f", {money(used.cost)}"
    return f"works, {worker.purse.steps} of {member.spawned.limits.steps} steps{cost}"


def spelled(limits: Limits) -> str:
    """What an agent may use, as another one reads it."""
    parts = [f"{limits.steps} steps", f"{limits.tokens:,} tokens"]
    parts += [money(limits.cost)] if limits.cost is not None else []
    parts += [duration(limits.time_s)] if limits.time_s is not None else []
    return ", ".join(parts)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
