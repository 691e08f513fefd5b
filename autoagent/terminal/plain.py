"""A run in plain lines: one a step for logs, more for someone who watches."""

from collections.abc import Callable, Sequence

from autoagent.amounts import money
from autoagent.events import (
    Aimed,
    Changed,
    Checkpointed,
    Cut,
    Decided,
    Dismissed,
    Event,
    Executed,
    Executing,
    Fed,
    Forked,
    Inherited,
    Limited,
    Memo,
    Messaged,
    Noticed,
    Recalled,
    Refused,
    Replied,
    Reported,
    Reserved,
    Resumed,
    Retried,
    Spawned,
    Started,
    Stopped,
    Switched,
    Told,
    Undone,
    Verified,
    Visited,
)
from autoagent.observation import ENDS, new_goals
from autoagent.sessions.tree import beneath
from autoagent.state import State, gist_of
from autoagent.terminal.beginning import first_lines, is_plain_by_then, listed
from autoagent.terminal.chorus import Chorus
from autoagent.terminal.columns import clipped
from autoagent.terminal.escape import escaped, one_line
from autoagent.terminal.layout import barred, fenced, paragraph, told
from autoagent.terminal.output import Output
from autoagent.terminal.planning import GONE, plan_lines
from autoagent.terminal.recap import recap
from autoagent.terminal.recollection import recollect
from commands.control import about_of

_FIRST_LINES, _LAST_LINES = 3, 5
_LONGEST_LINE = 1_000
_NAMED = 5  # paths of an undo
_LOG_WIDTH = 200


class Plain:
    """Shows events as they come, live or from a journal; keeps a state of its own.

    `watched`: thoughts, plan and results whole, for someone who decides about each step. Else
    a line a step, and at a terminal the thought before it. `quiet`: only what ends the run.
    `verbose`: which memories were recalled, and why. `whole` gives the text of a result that
    is to be shown as a whole; else its two ends are. `recaps`: a session that goes on is
    told of, for somebody who comes back to it. `attended`: that somebody has a prompt, where
    what was left out can be asked for.
    """

    def __init__(
        self,
        out: Output,
        *,
        watched: bool,
        quiet: bool = False,
        verbose: bool = False,
        whole: Callable[[Executed], str] | None = None,
        recaps: bool = False,
        attended: bool = False,
    ) -> None:
        self._out = out
        self._attended = attended
        self._watched = watched
        self._verbose = verbose
        self._quiet = quiet
        self._whole = whole
        self._recaps = recaps
        self._failed = (0, "")  # the last failed attempt: of which step, and why
        self.state = State()

    def show(self, event: Event) -> None:
        """Fold the event in and write what a person wants to know of it."""
        plan_before, goals_before = self.state.plan, self.state.goals
        self.state.apply(event)
        if self._quiet:
            return
        match event:
            case Started():
                self._started(event)
            case Resumed():
                self._resumed()
            case Reserved(purpose="step"):
                self._out.status(f"step {event.step}: thinking…", "reply")
            case Replied():
                self._replied(event, plan_before)
            case Executing():
                self._out.status(f"{self._label(event.step)}{self._running()}…", "output")
            case Executed():
                self._executed(event)
            case Refused():
                self._warn(f"step {event.step}: reply refused: {event.fault}")
            case Retried():
                self._retried(event)
            case Noticed():
                self._noticed(event)
            case Verified():
                self._verified(event)
            case Cut():
                by = f"summed up by {event.by}" if event.by else "a digest stands for them"
                self._note(f"Steps up to {event.step} left the prompt; {by}.")
            case Changed():
                self._changed(event)
            case Limited() | Switched() | Aimed():
                self._granted(event, goals_before)
            case Recalled(memos=memos) if memos and self._watched and self._tells_memories:
                self._recalled(memos)
            case Stopped():
                self._out.write("")  # ends the passing line
            case Undone():
                self._undone(event)
            case Fed(told=told_by) if told_by:
                self._fed(event)
            case Spawned() | Messaged() | Dismissed() | Reported():
                self._of_team(event)
            case Recalled() | Reserved() | Decided() | Fed() | Checkpointed() | Forked():
                pass  # of no interest, or typed by the person
            case Visited() | Told() | Inherited():
                pass  # the result tells of it, or the agent who said it

    @property
    def _tells_memories(self) -> bool:
        """In a log, or when asked for: where a person sits, /memory has them."""
        return self._verbose or not self._out.lives

    @property
    def _beside_prompt(self) -> bool:
        """Whether it begins in few words, for somebody who is there; logs have all of them."""
        return self._attended and self._out.lives

    def _note(self, text: str) -> None:
        told(self._out, text, "dim")

    def _warn(self, text: str) -> None:
        told(self._out, one_line(text, 400), "magenta")

    def _started(self, event: Started) -> None:
        if event.sub_agent:
            if self._watched and event.role:  # which may name one; the rest is said above
                self._note(f"Model {event.model}.")
            return
        for line in first_lines(event, lives=self._beside_prompt):
            self._note(line)

    def _resumed(self) -> None:
        state = self.state
        if self._recaps:
            recap(self._out, state)
            return
        self._note(f"Resumed after step {state.step}: {one_line('; '.join(state.goals), 200)}")
        if self._watched and state.pending is not None:
            paragraph(self._out, state.pending.reply.thoughts)

    def _replied(self, event: Replied, plan_before: tuple[str, ...]) -> None:
        if not self._watched:
            if self._out.redraws and event.thoughts.strip():
                self._out.line(f"  {one_line(event.thoughts, self._out.width - 3)}", "dim")
            return
        spent = self.state.overall
        cost = "" if spent.unpriced else f", {money(spent.cost)} so far"
        cached = f", {100 * spent.cached // spent.prompt} % cached" if spent.cached else ""
        self._out.line()
        self._out.line(f"step {event.step}{cost}{cached}", "bold")
        for text in filter(str.strip, (event.thoughts, event.reasoning)):
            paragraph(self._out, text)
        for mark, item in plan_lines(plan_before, self.state.plan):
            paragraph(self._out, item, "dim" if mark == GONE else None, mark=mark)
        if event.criticism.strip():
            paragraph(self._out, event.criticism, "dim")

    def _label(self, step: int) -> str:
        return "" if self._watched else f"step {step}: "

    def _running(self) -> str:
        """What is about to run, in a line."""
        assert self.state.pending is not None
        command = self.state.pending.reply.command
        if command.name == "finish":
            return "verifying" if self.state.verify else "finish"
        about = about_of(command.args) or gist_of(self.state.pending.reply)
        return one_line(f"{command.name} {about}", _LOG_WIDTH)

    def _executed(self, event: Executed) -> None:
        ends = event.name in ("finish", "give_up")
        about = f" {self.state.past[-1].about}" if self.state.past[-1].about and not ends else ""
        note = event.note or ("done" if event.ok else "failed")
        told_width = self._out.width - 1 if self._out.is_terminal else _LOG_WIDTH
        head = f"{self._label(event.step)}{event.name}{about}"
        # The note tells how it went, so it is the last to give way.
        room = max(20, told_width - len(note) - 2)
        line = one_line(f"{one_line(head, room)}: {note}", told_width)
        self._out.line(line, None if event.ok else "magenta")
        if self._watched and event.source != "person" and not (ends and event.ok):
            if self._whole is None:
                self._excerpt(event.text, f"{self._agent} {event.step}".lstrip())
            elif text := self._whole(event):
                fenced(self._out, text, style="dim")

    def _excerpt(self, text: str, whole: str = "") -> None:
        """The beginning and the end, where verdicts stand; of that step's result, or of what
        else was said."""
        lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
        if lines == [""]:
            return
        if len(lines) <= _FIRST_LINES + _LAST_LINES + 1:
            self._fence(lines)
            return
        self._fence(lines[:_FIRST_LINES])
        ask = f": /result {whole}" if whole and self._attended else ""
        self._note(f"({len(lines) - _FIRST_LINES - _LAST_LINES} lines more{ask})")
        self._fence(lines[-_LAST_LINES:])

    def _fence(self, lines: list[str]) -> None:
        room = self._out.width - 5
        # A single line may be a whole file.
        short = (clipped(escaped(line[:_LONGEST_LINE]).expandtabs(), room) for line in lines)
        barred(self._out, ([(line, "dim")] for line in short))

    def _of_team(self, event: Spawned | Messaged | Dismissed | Reported) -> None:
        """What an agent does with its sub-agents, and what comes of them."""
        match event:
            case Spawned():
                role = f" ({event.role})" if event.role else ""
                where = f" in {event.folder}/" if event.folder else ""
                self._note(f"{event.name} starts{role}{where}: {one_line(event.task, _LOG_WIDTH)}")
            case Messaged():
                self._note(f"{event.name} is told: {one_line(event.text, _LOG_WIDTH)}")
            case Dismissed():
                self._note(f"{event.name} is dismissed.")
            case Reported(paused=True):
                self._note(f"{event.name} pauses, and goes on with this session: {_came_to(event)}")
            case Reported():
                text = f"{event.name} {ENDS[event.status]}: {_came_to(event)}"
                if event.status != "done" and not self._watched:
                    text += f". {event.text}"  # why, which is shown below to whoever watches
                told(self._out, one_line(text, 400), None if event.status == "done" else "magenta")
                if self._watched:
                    done = event.status == "done"  # else it is why, not its last result
                    self._excerpt(event.text, beneath(self._agent, event.name) if done else "")

    @property
    def _is_main(self) -> bool:
        """Whether it is the session's own agent, the one that the prompt is of."""
        return not self._agent

    @property
    def _agent(self) -> str:
        """The name of the sub-agent whose voice this is, "" of the session's own."""
        return self.state.started.sub_agent if self.state.started else ""

    def _recalled(self, memos: Sequence[Memo]) -> None:
        ask = " (/memory shows which and why)" if self._is_main and not self._verbose else ""
        self._note(f"{len(memos)} {'memories' if len(memos) > 1 else 'memory'} recalled{ask}.")
        for memo in memos if self._verbose else ():
            recollect(self._out, memo)

    def _retried(self, event: Retried) -> None:
        wait = f"; again in {event.wait_s:.0f} s" if event.wait_s >= 1 else "; again at once"
        same = (event.step, event.reason) == self._failed
        self._failed = (event.step, event.reason)
        if same and event.wait_s < 1:
            return  # the next line says that, and more
        how = "failed the same way" if same else f"failed: {event.reason.rstrip('.')}"
        self._warn(f"step {event.step}: attempt {event.attempt} {how}{wait}")
        if event.wait_s >= 1 and self._out.lives:
            self._out.status(f"step {event.step}: waiting {event.wait_s:.0f} s…")

    def _noticed(self, event: Noticed) -> None:
        is_plain = self._beside_prompt and not self._verbose
        if is_plain and is_plain_by_then(self.state, event.text):
            return
        if event.topic == "stuck":
            self._warn(f"The agent was told: {event.text}.")
        else:
            self._note(event.text)

    def _fed(self, event: Fed) -> None:
        """Words that came by `autoagent tell`, or were typed where no question is asked."""
        self._note("The agent is told:")
        self._excerpt(event.text)

    def _changed(self, event: Changed) -> None:
        if event.window is not None:
            self._note(f"The model's window is {event.window:,} tokens.")
        if event.format is not None:
            self._note(f"Replies are asked for as {event.format} from now on.")

    def _granted(self, event: Limited | Switched | Aimed, goals_before: tuple[str, ...]) -> None:
        """A person's wish that holds from here on."""
        match event:
            case Limited(limits=limits):
                self._note(f"At most {listed(limits)} from now on.")
            case Switched(model=model, window=window):
                self._note(f"Model {model}, window {window:,} tokens, from now on.")
            case Aimed(goals=goals):
                for number, goal in new_goals(goals_before, goals):
                    self._note(f"Goal {number} from now on: {one_line(goal, _LOG_WIDTH)}")

    def _undone(self, event: Undone) -> None:
        verb = "brought in" if event.what == "apply" else "taken back"
        count = event.counts[0]
        more = f" and {count - _NAMED} more" if count > _NAMED else ""
        how = event.how if event.what == "undo" else ()
        ways = [f" ({way})" for way in how] or [""] * len(event.paths)
        moved = zip(event.paths[:_NAMED], ways, strict=False)
        names = ", ".join(f"{one_line(path, 80)}{way}" for path, way in moved)
        changes = f"{count} {'change was' if count == 1 else 'changes were'} {verb}"
        again = " /undo again takes this back." if self._attended else ""
        self._note(f"{changes}{': ' if names else ''}{names}{more}.{again}")

    def _verified(self, event: Verified) -> None:
        verdict = "passes" if event.exit == 0 else f"exits with {event.exit}"
        text = f"verify: {one_line(event.command_line, 120)} {verdict}, {event.seconds:.1f} s"
        told(self._out, text, None if event.exit == 0 else "magenta")


Voices = Chorus[Plain]


def _came_to(event: Reported) -> str:
    """ "4 steps, $0.12, changed a.py, b.py and 3 more"."""
    steps = f"{event.steps} step{'' if event.steps == 1 else 's'}"
    cost = "price unknown" if event.unpriced else money(event.usage.cost or 0.0)
    more = f" and {len(event.changed) - _NAMED} more" if len(event.changed) > _NAMED else ""
    changed = f", changed {', '.join(event.changed[:_NAMED])}{more}" if event.changed else ""
    return f"{steps}, {cost}{changed}"


def voices(
    out: Output,
    *,
    watched: bool,
    quiet: bool = False,
    verbose: bool = False,
    attended: bool = False,
) -> Voices:
    """A `Plain` for each agent of a session."""

    def voice(out: Output, agent: str) -> Plain:
        recaps = out.is_terminal and not agent
        return Plain(
            out,
            watched=watched,
            quiet=quiet,
            verbose=verbose,
            recaps=recaps,
            attended=attended,
        )

    return Chorus(out, voice)


def states_of(view: Voices) -> dict[str, State]:
    """Where each agent stands of which something was shown, by its name."""
    return {agent: voice.state for agent, voice in view.voices.items()}
