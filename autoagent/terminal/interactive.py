"""Questions to a person at a terminal, and what their answers mean."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from autoagent.approval import Answer, Concern
from autoagent.events import Decided
from autoagent.relaying import Question
from autoagent.reply import Reply
from autoagent.state import State
from autoagent.terminal.asked import Asked
from autoagent.terminal.catching import Catching
from autoagent.terminal.editor import EditFailed, as_text, edited_in, editor_of, ends, retyped
from autoagent.terminal.escape import one_line
from autoagent.terminal.keyboard import Interrupted
from autoagent.terminal.layout import fenced, told
from autoagent.terminal.output import Output
from autoagent.terminal.prompter import Keys, Prompter
from autoagent.terminal.proposal import MOST_LINES, propose
from autoagent.terminal.ringing import Ringing
from autoagent.terminal.signals import without_interrupts
from autoagent.terminal.slash import Slash
from autoagent.terminal.unheard import unmet
from autoagent.wishes import Wish
from commands.cancel import Cancel

_LEAVE = Answer(None)
_HOW_TO_EDIT = "(Enter keeps a text, Alt-Enter is a line more, Ctrl-C leaves all as it was.)"
_WORDS_FOR = "Words for {} (Enter: back, Ctrl-C: leave): "
_COUNT = re.compile(r"-?\d{1,9}")
_A_SLIP = 2  # characters: no words to an agent, and a question that stays is no harm


@dataclass(frozen=True, slots=True)
class _Words:
    text: str
    told: bool = False  # that the agent gets them


class Terminal:
    """A `Person` at this terminal. Everything that isn't ours is escaped and indented."""

    def __init__(
        self,
        out: Output,
        keys: Keys,
        prompter: Prompter,
        environ: Mapping[str, str],
        state: State,
        cancel: Cancel,
        changes: Callable[[State, int | None], list[str]],
        export: Callable[[State, str], str],
        results: Callable[[str, int], str | None],
        states: Callable[[], Mapping[str, State]],
        ringing: Ringing,
    ) -> None:
        self._out = out
        self._keys = keys
        self._prompter = prompter
        self._slash = Slash(out, state, changes, export, results, states)
        self._state = state
        self._states = states
        self._environ = environ
        self._ringing = ringing
        self._cancel = cancel
        self._early = [_Words(text) for text in prompter.early()]
        self._leaving = False
        self._catching = Catching(cancel, keys.wake)
        self._explained = False
        self._is_over: Callable[[], bool] = lambda: False  # the question that stands
        self.agent = ""  # the sub-agent that asks, "" the session's own agent

    def answer(self, asked: Question) -> object:
        """What the person says to it; None when it is over before they could."""
        if asked.answer.done():
            return None
        self.agent = asked.agent
        self._is_over = asked.answer.done
        if asked.agent:  # its end may be that of its question
            asked.answer.add_done_callback(lambda _: self._keys.wake())
        with self._out.meanwhile() if asked.agent else nullcontext():
            return asked.put(self)

    @property
    def has_words(self) -> bool:
        """Whether words or wishes wait for the agent."""
        return bool(self._early or self._slash.wishes)

    def decide(self, step: int, reply: Reply, scope: str, concerns: Sequence[Concern]) -> Answer:
        """Ask until the answer is clear. The end of input leaves, and so does Ctrl-C twice."""
        if self._leaving:
            return _LEAVE  # another agent asks, too late
        asked = Asked(step, reply.command, scope, concerns=concerns, agent=self.agent)
        self._propose(asked, MOST_LINES)
        self._explain()
        with self._catching.of(self.agent):
            answer = self._decided(asked)
        if self.agent and answer.decided is None and answer.undo is None:
            self._leave_all()
        return answer

    def _leave_all(self) -> None:
        """The whole session, not the one agent that asked, unless that is what ended it."""
        if self._is_over():
            told(self._out, f"{self.agent} has ended, and its question with it.")
        else:
            self._leave_soon()

    def _decided(self, asked: Asked) -> Answer:
        while True:
            self._set_aside()
            try:
                typed = self._line(asked.question)
                decision = _LEAVE if typed is None else self._read(typed, asked)
            except Interrupted:
                decision = self._words_instead(asked)
            if isinstance(decision, Answer):
                return decision
            asked = decision

    def ask(self, question: str) -> str:
        """The end of input leaves; the words after Ctrl-C are asked for by the agent."""
        if self._leaving:
            return ""
        self._set_aside()
        who = f"Agent {self.agent}" if self.agent else "The agent"
        self._out.line(f"{who} asks:", "bold")
        fenced(self._out, question)
        with self._catching.of(self.agent):
            typed = self._answered()
        if typed is None:
            self._leave_all()
        return typed or ""

    def _answered(self) -> str | None:
        """None to leave, "" where the run was stopped meanwhile."""
        while True:
            try:
                typed = self._line("Your answer: ")
                if typed is None or not self._slash.knows(typed):
                    return typed
                if not self._slash.obeys(typed):
                    return None  # /quit
            except Interrupted:
                if self._is_over():
                    return None
                if not self.agent or not self._heeds_ctrl_c():
                    return ""
                words = self._words(_WORDS_FOR.format(f"agent {self.agent}"))
                if words != "":
                    return words

    def heard(self) -> list[str]:
        """What was typed unasked; a word with a slash is answered at once."""
        self.look()
        early, self._early = self._early, []
        self._out.queued(())
        for words in early:
            if not words.told:
                told(self._out, f"The agent gets your words: {words.text}", "dim")
        return [words.text for words in early]

    def unheard(self) -> list[str]:
        """At the end: what the agent didn't get."""
        for typed in self._keys.lines_ahead():
            if typed.lower() != "/quit":
                self._take(typed)
        early, self._early = [words.text for words in self._early], []
        return [*early, *unmet(self._out, self.wishes())]

    @property
    def begun(self) -> str:
        """At the end: a line that wasn't sent."""
        return self._keys.begun()

    def look(self) -> bool:
        """Answer at once what was typed behind a slash; whether words or wishes wait for the
        agent."""
        with self._out.meanwhile():
            for typed in self._keys.lines_ahead():
                self._take(typed)
        self._out.queued([words.text for words in self._early])
        return self.has_words

    def _take(self, typed: str, *, tells: str = "") -> None:
        """Words that answer nothing; `tells` says why, where that isn't plain."""
        if self._out.lives and self._slash.takes(typed):
            # Nobody else shows it.
            self._out.line(f"> {one_line(typed, self._out.width - 3)}", "dim")
        if typed.lower() == "/quit":
            self._leave_soon()
        elif not self._slash.obeys(typed):
            if tells:
                told(self._out, f"{tells}: {typed}")
            self._early.append(_Words(typed, told=bool(tells)))

    def begins(self, began: float) -> None:
        """When the session would have begun, had it worked in one go, by the monotonic clock."""
        self._slash.began = began

    def wishes(self) -> list[Wish]:
        wishes, self._slash.wishes = self._slash.wishes, []
        return wishes

    def wants_room(self) -> bool:
        wished, self._slash.compact = self._slash.compact, False
        return wished

    def interrupted(self, heeded: Callable[[], None]) -> str | None:
        if self._leaving:
            return None
        heeded()
        self._out.line()
        cut = self._state.reserved
        if cut is not None and cut.purpose == "step":
            most = cut.prompt + cut.completion
            told(self._out, f"The call that was cut counts as the {most:,} tokens it had room for.")
        return self._words("Stopped. Words for the agent (Enter: go on, Ctrl-C: leave): ")

    def leave(self) -> None:
        """No further question; called for a second signal, from its thread."""
        self._leaving = True
        self._keys.wake()

    def catches(self) -> bool:
        """Whether a Ctrl-C is for the question of a sub-agent that stands: the session's own
        agent, and what the others run, go on. Called from the signals' thread."""
        return not self._leaving and self._catching.catches()

    # Reading an answer.

    def _read(self, typed: str, asked: Asked) -> Answer | Asked:
        """The answer, or the question to put next."""
        match typed.lower().split():
            case ["q" | "/quit"]:
                return _LEAVE
            case ["y" | "yes" | "ok" | "okay"]:
                return asked.decided("yes")
            case ["y", number] if _COUNT.fullmatch(number):
                return asked.decided("yes", count=int(number.removeprefix("-")))
            case ["a"] if asked.scope:
                return asked.decided("always", scope=asked.scope)
            case ["n" | "no"]:
                why = self._line("Why not? (Enter for no reason) ") or ""
                if why.lower() == "/quit":
                    return _LEAVE
                return Answer(Decided(asked.step, "refuse", why), why)
            case ["s"]:
                return Answer(Decided(asked.step, "criticise"))
            case ["d"]:
                self._propose(asked, None)
            case ["e"]:
                return self._edited(asked)
            case ["/undo", *_] if asked.agent:
                told(self._out, "/undo works where the agent itself asks, not a sub-agent of it.")
            case ["/undo", *rest]:
                undo = self._slash.undo(" ".join(rest))
                return Answer(None, undo=undo) if undo else asked
            case _ if self._slash.obeys(typed):
                return self._first(asked)
            case []:
                pass
            case [_] if len(typed) <= _A_SLIP and typed.isascii():
                self._slash.letters()
            case _:
                return Answer(Decided(asked.step, "refuse", "feedback instead"), typed)
        return asked

    def _first(self, asked: Asked) -> Answer | Asked:
        """What was typed may be a wish, which comes before the command."""
        if not self._slash.wishes:
            return asked
        if asked.agent:
            told(self._out, "(The session's own agent, once this question is answered.)", "dim")
            return asked
        return Answer(None, wishes=True)

    def _words_instead(self, asked: Asked) -> Answer | Asked:
        """After Ctrl-C at the question: what to say instead of an answer."""
        if not self._heeds_ctrl_c():
            return _LEAVE
        who = f"agent {asked.agent}" if asked.agent else "the agent"
        words = self._words(_WORDS_FOR.format(who))
        if words is None:
            return _LEAVE
        return Answer(Decided(asked.step, "refuse", words), words) if words else asked

    def _heeds_ctrl_c(self) -> bool:
        """Whether nothing but one Ctrl-C ended a wait; it counts as heeded then."""
        if self._leaving or self._is_over():
            return False
        caught = self._catching.taken()
        if not self.agent and self._cancel.reason == "interrupt":
            self._cancel.clear()
            return True
        return caught

    def _words(self, prompt: str) -> str | None:
        """Words, "" for none, None to leave."""
        with suppress(Interrupted):
            while (typed := self._line(prompt, takes_begun=True)) is not None:
                if typed.lower() in ("q", "/quit"):
                    break
                if not self._slash.obeys(typed):
                    return typed
        self._leaving = not self._is_over()  # nor shall any agent ask again
        return None

    def _edited(self, asked: Asked) -> Asked:
        """The question with the command as the person changed it."""
        editor = editor_of(self._environ)
        if not editor and self._out.lives:
            told(self._out, _HOW_TO_EDIT, "dim")
        try:
            if editor:
                with self._prompter.aside(), without_interrupts():
                    text = asked.draft or as_text(asked.command)
                    command = edited_in(editor, text, self._cancel)
            else:
                command = retyped(asked.command, self._prompter.edits, self._retyped)
        except Interrupted:
            if not self._heeds_ctrl_c():
                raise
            told(self._out, "It is as it was.")
            return asked
        except EditFailed as failed:
            if ends(self._cancel):
                self._give_back(failed)
                raise Interrupted from None
            told(self._out, str(failed), "magenta")
            told(self._out, "e opens it again, as you left it.")
            return replace(asked, draft=failed.draft)
        if command == asked.command:
            told(self._out, "It is as it was.")
            return replace(asked, draft="")
        edited = Asked(asked.step, command, "", edited=True, agent=asked.agent)
        self._propose(edited, MOST_LINES)
        return edited

    def _give_back(self, failed: EditFailed) -> None:
        """What was written in an editor that was ended."""
        if failed.draft:
            self._out.line(f"{failed}; what it had saved is kept nowhere else:", "bold")
            fenced(self._out, failed.draft)

    # The terminal.

    def _line(self, prompt: str, *, takes_begun: bool = False) -> str | None:
        """The next line; Interrupted as soon as anything cancels."""
        return self._awaited(lambda: self._prompter.line(prompt, takes_begun=takes_begun))

    def _retyped(self, label: str, value: str) -> str | None:
        return self._awaited(lambda: self._prompter.edited(label, value))

    def _awaited(self, line: Callable[[], str | None]) -> str | None:
        self._keys.forget_wakes()
        if self._leaving or self._catching.caught or self._is_over():
            raise Interrupted
        self._ringing.asks()
        with self._cancel.calling(self._cancelled):
            typed = line()
        self._ringing.typed()
        if typed is None and self._keys.hung_up:
            self._cancel.set("hangup")
        return typed

    def _cancelled(self) -> None:
        # An interruption from before a sub-agent's question is for the session's own agent.
        if not self.agent or self._cancel.reason != "interrupt":
            self._keys.wake()

    def _set_aside(self) -> None:
        """What was typed before a question stands is no answer to it."""
        for typed in self._keys.typed_ahead():
            self._take(typed, tells="Typed before the question, so the agent gets it as words")

    def _leave_soon(self) -> None:
        self._leaving = True
        self._cancel.set("interrupt")

    def _propose(self, asked: Asked, most: int | None) -> None:
        state = self._states().get(asked.agent, self._state)
        assert state.started is not None
        root = Path(state.started.workspace)
        out = self._out.behind(asked.agent) if asked.agent else self._out
        propose(out, root, asked.command, most, asked.concerns)

    def _explain(self) -> None:
        """Once, so that the question itself can be short."""
        if not self._explained:
            told(self._out, "(? explains; longer words go to the agent instead.)", "dim")
        self._explained = True
