"""What a person can ask for at the prompt with a word that begins with a slash."""

import re
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import reduce

from autoagent.amounts import money
from autoagent.approval import Undo
from autoagent.checkpoints.objects import CheckpointFault
from autoagent.errors import AutoAgentError, ConfigError
from autoagent.state import State
from autoagent.team.reports import reckoned, rows
from autoagent.terminal.aiming import list_goals, show_goals, wished_goal
from autoagent.terminal.escape import one_line
from autoagent.terminal.layout import fenced, paragraph, told
from autoagent.terminal.limiting import show_limits, wished_limit
from autoagent.terminal.output import Output
from autoagent.terminal.proposal import coloured
from autoagent.terminal.receipt import cached_share, spell_time, spelled
from autoagent.terminal.recollection import recollect
from autoagent.wishes import NewGoal, NewLimit, NewModel, Wish

_WORD = re.compile(r"/[a-z]*\Z", re.IGNORECASE)
_HERE = (
    *("/help", "/status", "/cost", "/goal", "/plan", "/agents", "/diff", "/undo", "/memory"),
    *("/result", "/limit", "/model", "/export", "/compact", "/quit"),
)

_MOST_LINES = 500  # of a difference, or of a result

_HELP = (
    ("y", "run it"),
    ("y -5", "run it and what follows, 5 in all, without asking"),
    ("n", "don't run it; asks why"),
    ("s", "let the model criticise its own step"),
    ("e", "edit the command, then decide"),
    ("d", "show the whole text, or the whole difference"),
    ("a", "run it, and in this session always what stands beside the a"),
    ("q", "leave; the session can be resumed"),
    ("/status", "where it stands: steps, cost, goals"),
    ("/cost", "money and tokens"),
    ("/plan", "the open plan"),
    ("/agents", "the sub-agents: what each does, and what it has cost"),
    ("/goal TEXT", "one goal more; /goal 2 TEXT changes one; /goal lists them"),
    ("/limit", "the limits; /limit steps 200 (tokens, cost, time) changes one"),
    ("/model NAME", "the next replies come from that model of the same server"),
    ("/diff [STEP]", "what this session has changed, or that step alone"),
    ("/undo [STEP]", "take back the newest change, or all after that step"),
    ("/result [AGENT] [STEP]", "the whole text of a result, of the newest one or that step"),
    ("/export [FILE]", "the session so far as Markdown, into a new file (ID.md)"),
    ("/memory", "which memories the prompt holds, and why"),
    ("/compact", "sum up the oldest steps now; the last ones stay whole"),
    ("/quit", "leave; the session can be resumed"),
)
KEYS = max(len(key) for key, _ in _HELP) + 2
WORDS = (
    *((words, meaning) for words, meaning in _HELP if words.startswith("/")),
    ("/help", "what can be typed here"),
)
"""Each such word with what stands behind it, and its meaning."""
_WORDS = "Anything longer goes to the agent as your words, and the command is not run."
_CTRL_C = "Ctrl-C stops what is running and asks what to say to the agent; twice leaves."


class Slash:
    """Answers such words. What is to be another one from now on is kept in `wishes` until it
    is fetched.

    `changes` gives the lines of the difference that the session made, or a step of it, and at
    their end what they come to; `export` writes the session into a new file and says where;
    `results` gives the whole text of a step's result by the agent's name and the step, None
    when it has none; `states` gives where each agent of the session stands, by its name.
    """

    here: Sequence[str] = _HERE

    def __init__(
        self,
        out: Output,
        state: State,
        changes: Callable[[State, int | None], list[str]],
        export: Callable[[State, str], str],
        results: Callable[[str, int], str | None],
        states: Callable[[], Mapping[str, State]] = dict,
    ) -> None:
        self._states = states
        self._out = out
        self._state = state
        self._changes = changes
        self._keep = export
        self._results = results
        self.wishes: list[Wish] = []
        self.compact = False  # wished, and not done yet
        self.began: float | None = None  # as the bar has it

    def knows(self, typed: str) -> bool:
        """Whether it is one of those that work here; a path (/tmp) may stand in an answer."""
        return parted(typed)[0].lower() in _HERE

    def takes(self, typed: str) -> bool:
        """Whether it is one of those words, or is written like one."""
        return bool(_WORD.match(parted(typed)[0]))

    def obeys(self, typed: str) -> bool:
        """Answer what was typed, if it is such a word; /quit is for the caller."""
        word, rest = parted(typed)
        if not _WORD.match(word) or word.lower() == "/quit":
            return False
        match word.lower():
            case "/help":
                self.help()
            case "/status":
                self._status()
            case "/cost":
                told(self._out, _cost(self._state, self._whole()))
            case "/agents":
                self._agents()
            case "/plan":
                self._plan()
            case "/goal":
                self._goal(rest.strip())
            case "/limit":
                self._limit(rest.strip())
            case "/model":
                self._model(rest.strip())
            case "/diff":
                self._diff(rest.strip())
            case "/result":
                self._result(rest.strip())
            case "/export":
                self._export(rest.strip())
            case "/memory":
                self._memory()
            case "/compact":
                self.compact = True
                told(self._out, "Before the next reply the oldest steps leave the prompt.")
            case "/undo":
                told(self._out, "/undo is for the question whether a command shall run.")
            case unknown:
                told(self._out, _unknown(unknown, self.here))
        return True

    def undo(self, rest: str) -> Undo | None:
        """What `/undo REST` wishes; None, and why is said, when that is no step."""
        if not rest:
            return Undo(None)
        if _number(rest) in range(self._state.step):
            return Undo(int(rest))
        last = self._state.step - 1
        told(self._out, f"/undo {rest:.20}: give a step from 0 (before the first) to {last}.")
        return None

    def help(self) -> None:
        for key, meaning in _HELP:
            paragraph(self._out, meaning, mark=f"{key:<{KEYS}}")
        told(self._out, _WORDS)
        told(self._out, _CTRL_C)

    def letters(self) -> None:
        """What answers a question, without the words."""
        for key, meaning in _HELP:
            if not key.startswith("/"):
                paragraph(self._out, meaning, mark=f"{key:<6}")
        told(self._out, f"{_WORDS} /help has what else can be typed.")

    def _plan(self) -> None:
        for item in self._state.plan:
            paragraph(self._out, item, mark="- ")
        if not self._state.plan:
            told(self._out, "There is no open plan.")

    def _whole(self) -> State:
        """With what sub-agents have used that still work, up to now."""
        state = self._state
        if self.began is not None:
            elapsed_s = time.monotonic() - self.began
            state = replace(state, spent=replace(state.spent, elapsed_s=elapsed_s))
        return reckoned(state, self._states(), running=True)

    def _agents(self) -> None:
        for row in rows(self._whole(), self._states(), alive=True):
            told(self._out, spelled(row))
        if not self._state.team.members:
            told(self._out, "There are no sub-agents.")

    def _memory(self) -> None:
        for _, memo in self._state.recalled.values():
            recollect(self._out, memo)
        if not self._state.recalled:
            told(self._out, "Nothing was recalled that the prompt still holds.")

    def _goal(self, text: str) -> None:
        if not text:
            show_goals(self._out, self._aims())
            return
        try:
            self.wishes.append(wished_goal(text, self._aims()))
        except ConfigError as error:
            told(self._out, str(error))
        else:
            told(self._out, "The agent gets it with its next prompt.")

    def _aims(self) -> tuple[str, ...]:
        """The goals, with those that wait to be fetched."""
        wishes = (wish for wish in self.wishes if isinstance(wish, NewGoal))
        return reduce(lambda goals, wish: wish.on(goals), wishes, self._state.goals)

    def _limit(self, text: str) -> None:
        if not text:
            show_limits(self._out, self._state, self._whole())
            return
        try:
            self._wish(wished_limit(text, self._state, self._whole()))
        except ConfigError as error:
            told(self._out, str(error))

    def _model(self, name: str) -> None:
        state = self._state
        if not name or " " in name:
            told(self._out, f"It is {state.model}; write another one behind it: /model NAME")
        elif name == state.model:
            told(self._out, f"It is {name} already.")
        else:
            self._wish(NewModel(name))

    def _wish(self, wish: NewLimit | NewModel) -> None:
        self.wishes.append(wish)
        if isinstance(wish, NewModel):
            told(self._out, "The server is asked for it before the agent's next call.")
        else:
            told(self._out, "It counts from the agent's next call on.")

    def _export(self, target: str) -> None:
        try:
            told(self._out, self._keep(self._state, target))
        except AutoAgentError as error:
            told(self._out, str(error), "magenta")

    def _result(self, rest: str) -> None:
        agent, number = _whose(rest, self._states())
        state = self._states().get(agent, self._state) if agent else self._state
        past = {done.step: done for done in state.past}
        last = max(past, default=0)
        step = last if not number else _number(number)
        done = past.get(step)
        if done is None:
            told(self._out, _no_result(rest, step, last))
            return
        try:
            text = self._results(agent, step)
        except AutoAgentError as error:
            told(self._out, str(error), "magenta")
            return
        which = f"{agent}, step {step}" if agent else f"step {step}"
        head = f"{which}: {f'{done.name} {done.about}'.rstrip()}: {done.note or 'done'}"
        self._out.line(one_line(head, self._out.width - 1), "bold")
        if not text:
            told(self._out, "It has no text.")
        elif left := fenced(self._out, text, _MOST_LINES):
            more = f"{left:,} {'line' if left == 1 else 'lines'} more"
            session = self._state.started.session if self._state.started else ""
            told(self._out, f"{more}: autoagent sessions show {session} -v shows all", "dim")

    def _diff(self, rest: str) -> None:
        step = {str(n): n for n in range(1, self._state.step + 1)}.get(rest)
        if rest and step is None:
            told(self._out, _no_step(rest, self._state.step))
            return
        try:
            lines = self._changes(self._state, step)
        except CheckpointFault as fault:
            told(self._out, str(fault), "magenta")
            return
        if step is not None and len(lines) == 1:
            told(self._out, f"Step {step} has changed nothing.")
            return
        coloured(self._out, lines[:_MOST_LINES])
        if len(lines) > _MOST_LINES and self._state.started:
            more = f"{len(lines) - _MOST_LINES:,} lines more"
            of = "" if step is None else f" --step {step}"
            told(self._out, f"{more}: autoagent diff {self._state.started.session}{of}", "dim")

    def _status(self) -> None:
        state, whole = self._state, self._whole()
        if state.started is None:
            return
        list_goals(self._out, state.goals)
        steps = f"Step {whole.steps} of {state.limits.steps}, {spell_time(whole.spent.elapsed_s)}."
        free = f" {state.free_steps} more without asking." if state.free_steps else ""
        told(self._out, steps + free)
        told(self._out, _cost(state, whole))
        told(self._out, f"Model {state.model}, cage {state.started.cage}.")
        told(self._out, f"Session {state.started.session} in {state.started.workspace}.")


def parted(typed: str) -> tuple[str, str]:
    """The word and what stands behind it, for a word that works here also on further lines."""
    word = re.split(r"\s", typed, maxsplit=1)[0]
    if word.lower() in _HERE:
        return word, typed[len(word) :]
    word, _, rest = typed.partition(" ")
    return word, rest


def _no_step(rest: str, last: int) -> str:
    if not last:
        return f"/diff {rest:.20}: there is no step yet."
    return f"/diff {rest:.20}: give a step from 1 to {last}, or none for all of them."


def _cost(state: State, whole: State) -> str:
    spent, limits = whole.overall, state.limits
    cost = "The price is unknown" if spent.unpriced else money(spent.cost)
    of = f" of {money(limits.cost)}" if limits.cost is not None and not spent.unpriced else ""
    return f"{cost}{of}; {spent.tokens:,} of {limits.tokens:,} tokens{cached_share(spent)}."


def _number(text: str) -> int:
    """-1 where it is none, or far too large to be one here."""
    return int(text) if text.isdecimal() and len(text) < 10 else -1


def _whose(rest: str, agents: Container[str]) -> tuple[str, str]:
    """The sub-agent that is named in front, "" for none, and what stands behind it."""
    name, _, number = rest.partition(" ")
    return (name, number.strip()) if name and name in agents else ("", rest)


def _no_result(rest: str, step: int, last: int) -> str:
    """Why there is none to show."""
    if not last:
        return "There is no result yet."
    if step < 0:
        return f"/result {rest:.20}: give a step from 1 to {last}."
    return f"Step {step} has no result; the newest one is of step {last}."


def _unknown(word: str, here: Sequence[str]) -> str:
    if near := get_close_matches(word, here, 1):
        return f"There is no {word}; did you mean {near[0]}?"
    return f"There is no {word}. There are: {' '.join(here)}"
