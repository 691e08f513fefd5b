"""Agents and their sub-agents against one server: each is answered by its own script.

with Troupe(tmp_path, main=[says("start_agent", name="a", task="a"), …], a=[…]) as troupe:
    session = troupe.run("main")
assert troupe.prompt_of("a", 0)
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from autoagent import sessions
from autoagent.assembling import Inputs
from autoagent.configuration import options
from autoagent.configuration import settings as setting
from autoagent.events import Event
from autoagent.journal import Entry
from autoagent.session import Session
from autoagent.starting import resume, start
from tests.fake_openai import Answer, Body, FakeOpenAI, Scripted, as_answer
from tests.program import KEY, says

__all__ = ["Troupe", "asker", "says"]


Script = Sequence[Scripted] | Callable[[Body], Scripted]
"""Answers in order, or what makes each of the conversation so far."""


def asker(body: Body) -> tuple[str, int]:
    """Who sent that request, by the first word of its goal, and how many replies it had."""
    told = next(m for m in body["messages"] if m["role"] == "user")["content"]
    who = told.split("\n1. ", 1)[1].split()[0]
    return who, sum(m["role"] == "assistant" for m in body["messages"])


class Troupe:
    """A server and a folder; scripts by the first word of the goal or task. The place in a
    script is counted in the conversation itself, so a resumed agent goes on in its own."""

    def __init__(self, folder: Path, **scripts: Script) -> None:
        self.folder = folder
        self.scripts: Mapping[str, Script] = scripts
        self.server = FakeOpenAI(check=self.answer, embeds=False)
        self.workspace = folder / "work"
        self.workspace.mkdir(parents=True, exist_ok=True)
        self.home = folder / "state"
        self.entries: list[Entry] = []  # of the newest run, in the order in which they came
        self.on_entry: Callable[[Entry], object] = lambda _: None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.server)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def answer(self, body: Body) -> Answer:
        """What the one who asks is told."""
        who, at = asker(body)
        script = self.scripts.get(who, ())
        if callable(script):
            return as_answer(script, body)
        if at >= len(script):
            return Answer(status=400, body={"error": {"message": f"no more for {who}"}})
        return as_answer(script[at], body)

    @property
    def environ(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AUTOAGENT_HOME": str(self.home),
            "OPENAI_BASE_URL": self.server.base_url,
            "OPENAI_API_KEY": KEY,
            "SMART_LLM": "fake-model",
            "AUTOAGENT_PRICE": "1,0.1,10",
        }

    def inputs(self, goals: Sequence[str], more: Mapping[str, str], **given: Any) -> Inputs:
        """Settings as of options, `more` variables on top."""
        parsed = options.parse([])
        for key, value in given.items():
            setattr(parsed, key, value)
        parsed.workspace = str(self.workspace)
        parsed.goal = list(goals) or None
        environ = {**self.environ, **more}
        found = setting.load(parsed, environ, cwd=self.workspace)
        return Inputs(found, environ, attended=False)

    def run(self, *goals: str, variables: Mapping[str, str] | None = None, **given: Any) -> Session:
        """A new session, to its end."""
        inputs = self.inputs(goals, variables or {}, **given)
        return self.follow(start(inputs, inputs.settings.goals))

    def resumed(self, *goals: str, **given: Any) -> Session:
        """The newest session again, to its next end."""
        inputs = self.inputs(goals, {}, **given)
        return self.follow(resume(inputs, self.found))

    @property
    def found(self) -> sessions.Kept:
        return sessions.find(self.home / "sessions", "", self.workspace)

    def follow(self, session: Session) -> Session:
        self.entries = []
        with session:
            for item in session.items():
                if isinstance(item, Entry):
                    self.entries.append(item)
                    self.on_entry(item)
                else:
                    item.reply(None)
        return session

    def events(self, agent: str = "") -> list[Event]:
        """Of that agent in the newest run."""
        return [entry.event for entry in self.entries if entry.agent == agent]

    def requests_of(self, who: str) -> list[Body]:
        return [body for body in self.server.chats if asker(body)[0] == who]

    def prompt_of(self, who: str, at: int) -> str:
        """The last message of an agent's call number `at`, counted from 0."""
        found = [body for body in self.requests_of(who) if asker(body)[1] == at]
        text: str = found[-1]["messages"][-1]["content"]
        return text
