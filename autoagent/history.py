"""What of a run the model sees: messages, their size, results in share, and the cut."""

from collections.abc import Iterator

from autoagent.events import Changed, Cut
from autoagent.marks import web_framed
from autoagent.model import Message, Role
from autoagent.observation import END, of_changed
from autoagent.state import Part, State
from autoagent.tokens import MESSAGE_OVERHEAD, Counter

CUT_TO = 0.4
"""Share of the window that a cut leaves: rare, large cuts keep the provider's cache."""

RESULT_SHARE = 1 / 16
"""Share of the window that one result may take."""

DIGEST_SHARE = RESULT_SHARE / 2
"""Share of the window that a model's summary may take of a digest."""

_RECALL = "; recall(query) finds them"
_KEPT_STEPS = 2
_LISTED = 12


def messages(state: State) -> list[Message]:
    """The next prompt, from the state alone: system, then user and assistant in turns."""
    assert state.started is not None
    found = [Message("system", state.started.system)]
    texts: list[str] = []
    role: Role = "user"
    for part in state.parts:
        side: Role = "assistant" if part.kind == "reply" else "user"
        if side != role:
            found.append(Message(role, "\n".join(texts)))
            texts, role = [], side
        texts.append(part.text)
    if texts:
        found.append(Message(role, "\n".join(texts)))
    return found


def size(state: State, count: Counter) -> int:
    """Tokens of the next prompt by our count, calibrated by the server's own."""
    assert state.started is not None
    raw = count(state.started.system) + MESSAGE_OVERHEAD + _size(state.parts, count)
    return round(raw * state.calibration)


def standing(state: State, count: Counter) -> int:
    """Tokens of what never leaves the prompt, calibrated: system, opening, a person's words."""
    assert state.started is not None
    parts = [part for part in state.parts if part.kind in ("opening", "words")]
    return round((count(state.started.system) + _size(parts, count)) * state.calibration)


def _size(parts: list[Part], count: Counter) -> int:
    return sum(count(part.text) + MESSAGE_OVERHEAD for part in parts)


def shortened(
    text: str, share: int, count: Counter, more: str, lines_before: int = 0
) -> tuple[str, bool]:
    """Head and tail of text within `share` tokens, and whether anything was left out.

    `more` is a format string for the line between the two; {lines} is how many lines it
    stands for and {start} the number of the first of them, counted from 1 in a text that
    has `lines_before` lines before this one.
    """
    if _fits(text, share, count):
        return text, False
    share -= count(more) + 8  # the line between, its numbers written out
    lines = text.split("\n")
    head = _fitting(lines, share * 2 // 3, count)
    tail = _fitting(lines[len(head) :][::-1], share - share * 2 // 3, count)[::-1]
    left_out = len(lines) - len(head) - len(tail)
    if left_out <= 0 or not (head or tail):
        return _shortened_line(text, share, count), True
    between = more.format(lines=left_out, start=lines_before + len(head) + 1)
    return "\n".join([*head, between, *tail]), True


def _fits(text: str, share: int, count: Counter) -> bool:
    # Counting megabytes only to learn that they are too many takes longer than a step.
    return len(text) <= share * 16 and count(text) <= share


def _fitting(lines: list[str], share: int, count: Counter) -> list[str]:
    """As many of the first lines as fit into so many tokens."""
    kept: list[str] = []
    for line in lines:
        if not _fits(line, share - 1, count):
            break
        share -= count(line) + 1
        kept.append(line)
    return kept


def _shortened_line(text: str, share: int, count: Counter) -> str:
    """Head and tail of a text whose lines are too long to keep any, by characters."""
    length = len(text)
    keep = max(share, 0) * 3
    while True:
        head, tail = text[: keep * 2 // 3], text[length - keep // 3 :]
        left_out = length - len(head) - len(tail)
        cut = f"{head}\n… {left_out:,} characters left out …\n{tail}"
        if count(cut) <= share or keep < 30:
            return cut
        keep = keep * 3 // 4


def cut(
    state: State, count: Counter, window: int | None = None, *, to: float = CUT_TO
) -> Cut | None:
    """The cut that brings the prompt to that share of the window; None when nothing can leave.

    The opening, the user's words and the last steps stay. The digest is made by rule from
    what the steps did, so that it needs no model.
    """
    assert state.started is not None
    steps = sorted({p.step for p in state.parts if p.step > state.cut_step})
    candidates = steps[:-_KEPT_STEPS] or steps[:-1]
    if not candidates:
        return None
    target = (window or state.window) * to / state.calibration
    fixed = count(state.started.system) + round((window or state.window) * RESULT_SHARE)
    sizes = _sizes_by_step(state, count)
    total = fixed + sum(sizes.values())
    upto = candidates[0]
    for upto in candidates:
        total -= sizes.get(upto, 0)
        if total <= target:
            break
    return Cut(upto, digest(state, upto, round((window or state.window) * RESULT_SHARE), count))


def _sizes_by_step(state: State, count: Counter) -> dict[int, int]:
    """Tokens of each step's parts; what never leaves stands under -1."""
    sizes: dict[int, int] = {}
    for part in state.parts:
        stays = part.kind in ("opening", "words")
        if part.kind != "digest":
            key = -1 if stays else part.step
            sizes[key] = sizes.get(key, 0) + count(part.text) + MESSAGE_OVERHEAD
    return sizes


def digest(state: State, upto: int, share: int, count: Counter, summary: str = "") -> str:
    """What the steps up to `upto` came to, in about `share` tokens at most.

    A model's `summary` of them, at most half of that, stands in the place of their thoughts.
    """
    if summary:
        short, _ = shortened(summary, share // 2, count, "({lines} lines left out)")
        # Behind a dash no line of it can pass for one of ours.
        lines = (line.strip().removeprefix("- ") for line in short.splitlines())
        summary = _labelled(state, upto, "\n".join(f"- {line}" for line in lines if line))
    listed = _LISTED
    form = None if state.format == "text" else state.format  # what the model must not forget
    while True:
        body = "\n".join(filter(None, _sections(state, upto, listed, summary)))
        found = "" if state.started and state.started.memory == "none" else _RECALL
        head = f"[steps 1-{upto} have left this conversation{found}]"
        text = "\n".join(filter(None, [of_changed(Changed(format=form)), head, body, END]))
        if count(text) <= share or listed == 1:
            return text
        listed = max(1, listed // 2)


def _labelled(state: State, upto: int, summary: str) -> str:
    """A model's summary; one of steps with web text is web text, whoever put it in words."""
    if state.taint.label("", upto):
        return web_framed("Summary, by a model", "not orders", summary, state.secret)
    return f"Summary, by a model:\n{summary}"


def _sections(state: State, upto: int, listed: int, summary: str) -> Iterator[str]:
    past = [p for p in state.past if p.step <= upto]
    files: dict[str, int] = {}
    for step in past:
        files |= dict.fromkeys(step.changed, step.step)
    failed = [p for p in past if not p.ok]
    yield _section("Open plan", list(state.plan), listed)
    yield _section("Files changed", [f"{f} (step {n})" for f, n in files.items()], listed)
    yield _section("Agents", list(_agents(state, upto)), listed)
    yield _section("Failed", [f"{p.step} {p.name} {p.about}: {p.note}" for p in failed], listed)
    thoughts = [f"{p.step} {p.thoughts}" for p in past if p.thoughts]
    yield summary or _section("Thoughts", thoughts, listed)


def _agents(state: State, upto: int) -> Iterator[str]:
    """How each sub-agent stands of which nothing else tells any more."""
    for name, member in state.team.members.items():
        report = member.reported
        if member.open and member.spawned.step <= upto:
            yield f"{name} works or waits: {member.spawned.task}"
        elif report is not None and not member.dismissed and report.step <= upto:
            yield f"{name} ended ({report.status}): {report.text}"


def _section(title: str, items: list[str], listed: int) -> str:
    """The newest items, each cut to one short line."""
    if not items:
        return ""
    lines = (" ".join(item.split())[:200] for item in items[-listed:])
    older = f" (the newest {listed} of {len(items)})" if len(items) > listed else ""
    return f"{title}{older}:\n" + "\n".join(f"- {line}" for line in lines)
