"""A session in forms that other people and programs read."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from autoagent.events import (
    Aimed,
    Cut,
    Decided,
    Dismissed,
    Event,
    Executed,
    Fed,
    Messaged,
    Noticed,
    Refused,
    Replied,
    Reported,
    Resumed,
    Spawned,
    Started,
    Stopped,
    Undone,
    Verified,
)
from autoagent.history import messages
from autoagent.journal import Entry
from autoagent.observation import ENDS
from autoagent.prompt import numbered
from autoagent.reply import Command
from autoagent.state import Part, State

Whole = Callable[[str, Executed], str]
"""The text of a result, by the agent and the event."""


# Chat: the conversations as the model saw them.


def as_chats(events: Sequence[Event]) -> Iterator[dict[str, Any]]:
    """One conversation for each stretch between two cuts of the prompt, as {"messages": […]}:
    system, then user and assistant in turns, up to the last reply.

    `"weight": 0` marks replies that are no example to learn from (they were refused) or stood
    in an earlier conversation already; so each good reply counts once.
    """
    state = State()
    bad: set[int] = set()
    for event in events:
        if isinstance(event, Cut):
            yield from _chat(state, bad)
            bad |= {part.step for part in state.parts}
        state.apply(event)
        if isinstance(event, Refused):
            bad.add(event.step)
    yield from _chat(state, bad)


def _chat(state: State, bad: set[int]) -> Iterator[dict[str, Any]]:
    if state.started is None:
        return
    turns = [list(parts) for reply, parts in groupby(state.parts, _is_reply) if reply]
    replies = iter(turns)
    found: list[dict[str, Any]] = []
    for message in messages(state):
        one: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.role == "assistant" and all(part.step in bad for part in next(replies)):
            one["weight"] = 0
        found.append(one)
    while found and found[-1]["role"] != "assistant":
        found.pop()
    if any(one["role"] == "assistant" and "weight" not in one for one in found):
        yield {"messages": found}


def _is_reply(part: Part) -> bool:
    return part.kind == "reply"


# Markdown: to be read.


def as_markdown(entries: Sequence[Entry], facts: dict[str, Any], whole: Whole) -> Iterator[str]:
    """The session as a page; a piece at a time, each with its line breaks."""
    yield f"# Session {facts['session']}\n\n"
    yield from _table(facts)
    speaker = ""
    for entry in entries:
        said = "".join(_piece(entry, whole))
        if said and entry.agent != speaker:
            speaker = entry.agent
            yield f"# {f'Agent {_flat(speaker)}' if speaker else 'The session'}\n\n"
        yield said


def _table(facts: dict[str, Any]) -> Iterator[str]:
    cost = "unknown" if facts["cost_usd"] is None else f"{facts['cost_usd']:.4f} USD"
    used = facts["usage"]
    rows = {
        "status": facts["status"],
        "workspace": facts["workspace"],
        "model": facts["model"],
        "steps": facts["steps"],
        "cost": cost,
        "tokens": f"{used['prompt_tokens'] + used['completion_tokens']:,}",
        "begun": _when(facts["started_at"]),
        "last event": _when(facts["last_at"]),
    }
    yield "| | |\n|---|---|\n"
    for name, value in rows.items():
        yield f"| {name} | {_in_cell(str(value))} |\n"
    yield "\n"


def _piece(entry: Entry, whole: Whole) -> Iterator[str]:
    match entry.event:
        case Started(goals=goals) | Resumed(goals=goals):
            verb = "Started" if isinstance(entry.event, Started) else "Resumed"
            yield f"## {verb} {_when(entry.at)}\n\n"
            yield from (f"{_quoted(goal)}\n" for goal in goals)
        case Replied() as reply:
            yield f"## Step {reply.step}\n\n"
            yield from (f"{_quoted(t)}\n" for t in (reply.thoughts, reply.reasoning) if t.strip())
            yield from _command(Command(reply.name, reply.args))
        case Refused() as refused:
            yield f"## Step {refused.step}\n\nThe reply was refused: {_flat(refused.fault)}\n\n"
            yield _fenced(refused.excerpt)
        case Decided(verdict="edit") as decided:
            yield "Edited by the person:\n\n"
            yield from _command(Command(decided.name, decided.args or {}))
        case Decided(verdict="refuse") as decided:
            yield f"Refused by the person. {_flat(decided.reason)}\n\n"
        case Executed() as done:
            yield f"Result ({done.source}): {_flat(done.note)}\n\n"
            text = whole(entry.agent, done)
            yield _fenced(text) if text.strip("\n") else ""
        case Spawned(name=name, role=role, task=task):
            yield f"The agent {_flat(name)}{f' ({_flat(role)})' if role else ''} starts:\n\n"
            yield f"{_quoted(task)}\n"
        case Messaged(name=name, text=text):
            yield f"The agent {_flat(name)} is told:\n\n{_quoted(text)}\n"
        case Dismissed(name=name):
            yield f"The agent {_flat(name)} is dismissed.\n\n"
        case Reported(paused=False) as report:
            yield f"The agent {_flat(report.name)} {ENDS[report.status]}:\n\n"
            yield f"{_quoted(report.text)}\n"
        case Aimed(goals=goals):
            yield "The person changed the goals; from here on:\n\n"
            yield from (f"{_quoted(goal)}\n" for goal in numbered(goals))
        case Fed(text=text) if text:
            yield f"The person said:\n\n{_quoted(text)}\n"
        case Noticed(text=text):
            yield f"Note: {_flat(text)}\n\n"
        case Verified() as check:
            yield f"Verify, exit {check.exit}:\n\n{_fenced(check.command_line)}"
        case Undone() as undone:
            yield f"{undone.counts[0]} changes: {undone.what} up to step {undone.step}.\n\n"
        case Stopped() as stopped:
            yield f"## Ended {_when(entry.at)}: {stopped.status}, exit code {stopped.exit_code}\n\n"
            yield f"{_quoted(stopped.answer)}\n"
        case _:
            pass  # of no interest to a reader


def _command(command: Command) -> Iterator[str]:
    yield f"Command `{_flat(command.name).replace('`', '')}`\n\n"
    for name, value in command.args.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield f"{_flat(name)}:\n\n{_fenced(text)}"


def _fenced(text: str) -> str:
    """A block that no line of the text can close."""
    longest = max(map(len, re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{text.removesuffix(chr(10))}\n{fence}\n\n"


def _quoted(text: str) -> str:
    return "".join(f"> {line}".rstrip() + "\n" for line in text.strip().split("\n"))


def _flat(text: str) -> str:
    return " ".join(text.split())


def _in_cell(text: str) -> str:
    return _flat(text).replace("|", "\\|")


def _when(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
