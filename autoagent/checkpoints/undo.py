"""Taking changes back: which paths a session changed, and what they shall be again."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal

from autoagent.checkpoints.checkpoint import Checkpoints
from autoagent.checkpoints.manifest import Node, beneath, innards
from autoagent.checkpoints.objects import Objects, told
from autoagent.checkpoints.restoring import Move, Skipped, restore, sync_paths
from autoagent.checkpoints.timeline import Timeline, from_json, to_json
from autoagent.events import Span, Undone

What = Literal["undo", "apply"]
BETWEEN = "as somebody else changed it between the steps"
CHANGED_SINCE = "it was changed since"
NOT_KEPT_NOW = "its content is not kept, so this could not be taken back"
_KEPT = 200  # paths in an event
_EMPTY = sha256(b"").digest()


@dataclass(frozen=True, slots=True)
class Wish:
    """A path as it was before the changes that are meant, and as they left it."""

    path: str
    before: Node | None
    left: Node | None


@dataclass(frozen=True, slots=True)
class Undoing:
    """An undo that was made, between two checkpoints. To be journaled, then `settled`."""

    what: What
    step: int  # up to which the changes stay
    before: int
    after: int
    paths: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    how: tuple[str, ...]  # of each path: removed, restored, changed back


def meant(spans: Sequence[Span], to: int | None) -> tuple[list[Span], int]:
    """The spans to take back, and the step up to which the changes then stay: all after the
    step `to`, or the newest one."""
    if to is None:
        newest = list(spans[-1:])
        return newest, newest[0].step - (not newest[0].undone) if newest else 0
    stays = [n for n, span in enumerate(spans) if not span.undone and span.step <= to]
    return list(spans[max(stays, default=-1) + 1 :]), to


def makers(timeline: Timeline, spans: Iterable[Span], done: Undoing) -> str:
    """Who made the changes that were taken back, as a sentence; "" where no sub-agent did."""
    paths = set(done.paths)
    names = {
        name
        for span in spans
        if paths.intersection(timeline.changed(span.before, span.after))
        for name in span.agents
    }
    subs = sorted(names - {""})
    also = ["the session's own agent"] if "" in names else []
    return f"Made by {', '.join([*subs, *also])}." if subs else ""


def event_of(done: Undoing, timeline: Timeline, spans: Iterable[Span] = ()) -> Undone:
    """What the journal keeps of it; `spans` are all that the session made in that tree."""
    # What git keeps for itself comes last: the model reads the first few.
    moved = sorted(zip(done.paths, done.how, strict=True), key=lambda each: bool(innards(each[0])))
    paths = tuple(path for path, _ in moved[:_KEPT])
    how = tuple(how for _, how in moved[:_KEPT])
    skipped = tuple(one.path for one in done.skipped)
    counts = (len(moved), len(skipped))
    as_before = _as_before(timeline, spans, paths, done.after)
    named = (paths, skipped[:_KEPT])
    return Undone(done.what, done.step, done.before, done.after, *named, counts, how, as_before)


def _as_before(
    timeline: Timeline, spans: Iterable[Span], paths: Sequence[str], now: int
) -> tuple[str, ...]:
    """Those of the paths that are as they were before the first span that changed them."""
    first: dict[str, int] = {}
    for span in spans:
        for path in timeline.changed(span.before, span.after):
            first.setdefault(path, span.before)
    return tuple(p for p in paths if p in first and timeline.at(p, first[p]) == timeline.at(p, now))


def wishes(
    timeline: Timeline, spans: Iterable[Span], *, whole: bool = True
) -> tuple[list[Wish], list[Skipped]]:
    """Every path that the spans changed, sorted, and those of which that can't be said.

    A path goes back to what it was before the first span that changed it. Unless `whole`
    it goes only as far as nobody else changed it in between, and is named with the others.
    """
    touched: dict[str, list[Span]] = {}
    for span in spans:
        for path in timeline.changed(span.before, span.after):
            touched.setdefault(path, []).append(span)
    first = {
        path: own[0] if whole else _since(timeline, path, own) for path, own in touched.items()
    }
    uncovered = {number: timeline.left_out(number) for number in {s.before for s in first.values()}}
    found: list[Wish] = []
    named: list[Skipped] = []
    for path in sorted(touched):
        span = first[path]
        if beneath(path, uncovered[span.before]):
            named.append(Skipped(path, "no checkpoint covered its folder before"))
            continue
        before = timeline.at(path, span.before)
        left = timeline.at(path, touched[path][-1].after)
        if before != left:
            found.append(Wish(path, before, left))
        if span is not touched[path][0]:
            named.append(Skipped(path, BETWEEN))
    return found, named


def _since(timeline: Timeline, path: str, spans: Sequence[Span]) -> Span:
    """The first of the spans after which nobody else changed the path until the last."""
    *earlier, start = spans
    for span in reversed(earlier):
        if timeline.at(path, span.after) != timeline.at(path, start.before):
            break
        start = span
    return start


def undo(
    checkpoints: Checkpoints,
    objects: Objects,
    session: str,
    spans: Sequence[Span],
    step: int,
    *,
    force: bool = False,
    stop: Callable[[], None] = lambda: None,
) -> Undoing:
    """Take back what these spans changed, where it still is as they left it, and as far as
    nobody else changed it in between.

    `force` takes back the rest, too; either way the state before is kept in
    a checkpoint of its own. An undo that was cut off is completed instead, and given back
    as what it was.
    """
    wanted, unknown = wishes(checkpoints.timeline, spans, whole=force)
    plan = _Plan("undo", step, 0, force, wanted)
    return _carried_out(checkpoints, objects, session, plan, unknown, stop)


def bring_in(
    checkpoints: Checkpoints,
    objects: Objects,
    session: str,
    changes: Sequence[Wish],
    step: int,
    *,
    force: bool = False,
    stop: Callable[[], None] = lambda: None,
) -> Undoing:
    """Make the changes of another tree in this one, where it still is as that one began."""
    turned = [Wish(wish.path, wish.left, wish.before) for wish in changes]
    plan = _Plan("apply", step, 0, force, turned)
    return _carried_out(checkpoints, objects, session, plan, [], stop)


def settled(objects: Objects, session: str) -> None:
    """The undo stands in the journal: nothing is left to be completed."""
    with told("The end of an undo could not be noted"):
        objects.begin()
        objects.connection.execute("DELETE FROM pending WHERE session = ?", (session,))
        objects.commit()


def is_cut_off(objects: Objects, session: str) -> bool:
    """Did an undo of that session begin and not end?"""
    query = "SELECT 1 FROM pending WHERE session = ?"
    return objects.connection.execute(query, (session,)).fetchone() is not None


@dataclass(frozen=True, slots=True)
class _Plan:
    what: What
    step: int
    before: int  # the number of the checkpoint before it
    force: bool
    wishes: list[Wish]


def _carried_out(
    checkpoints: Checkpoints,
    objects: Objects,
    session: str,
    plan: _Plan,
    unknown: list[Skipped],
    stop: Callable[[], None],
) -> Undoing:
    number = checkpoints.take().number
    begun = _pending(objects, session)
    if begun is None:
        plan = replace(plan, before=number)
        _note(objects, session, checkpoints.timeline.tree, plan)
    else:
        plan = begun
    moves, skipped = _moves(checkpoints, plan, again=begun is not None)
    with told("Not everything could be changed back"):
        restored = restore(checkpoints.root, moves, checkpoints.known, objects, stop)
        sync_paths(checkpoints.root, restored.paths)
    after = checkpoints.take().number
    named = sorted([*unknown, *skipped, *restored.skipped], key=lambda one: one.path)
    ways = {move.path: _way(move) for move in moves}
    how = tuple(ways[path] for path in restored.paths)
    paths = tuple(restored.paths)
    return Undoing(plan.what, plan.step, plan.before, after, paths, tuple(named), how)


def _way(move: Move) -> str:
    if move.wanted is None:
        return "removed"
    return "restored" if move.now is None else "changed back"


def _note(objects: Objects, session: str, tree: str, plan: _Plan) -> None:
    """Write down what is going to be done, durably."""
    rows = [[w.path, to_json(w.before), to_json(w.left)] for w in plan.wishes]
    data = {
        "what": plan.what,
        "step": plan.step,
        "before": plan.before,
        "force": plan.force,
        "wishes": rows,
    }
    with told("An undo could not be noted"):
        objects.begin()
        objects.connection.execute(
            "INSERT INTO pending (session, tree, plan) VALUES (?, ?, ?)",
            (session, tree, json.dumps(data)),
        )
        objects.commit()


def _pending(objects: Objects, session: str) -> _Plan | None:
    query = "SELECT plan FROM pending WHERE session = ?"
    row = objects.connection.execute(query, (session,)).fetchone()
    if row is None:
        return None
    data = json.loads(row[0])
    rows = [Wish(path, from_json(b), from_json(left)) for path, b, left in data["wishes"]]
    return _Plan(data["what"], data["step"], data["before"], data["force"], rows)


def _moves(
    checkpoints: Checkpoints, plan: _Plan, *, again: bool
) -> tuple[list[Move], list[Skipped]]:
    """What is to be done, by how things stand at this moment, and what must not be."""
    moves: list[Move] = []
    skipped: list[Skipped] = []
    head = checkpoints.timeline.head
    uncovered = checkpoints.timeline.left_out(head)
    for wish in plan.wishes:
        known = checkpoints.known.get(wish.path)
        now = known.node if known else None
        if now == wish.before:
            continue
        why = "no checkpoint covers its folder" if beneath(wish.path, uncovered) else ""
        why = why or _reason(wish, now, force=plan.force, again=again)
        if why:
            skipped.append(Skipped(wish.path, why))
        else:
            moves.append(Move(wish.path, now, wish.before))
    return moves, skipped


def _reason(wish: Wish, now: Node | None, *, force: bool, again: bool) -> str:
    """Why that path must be left as it is; "" when it need not."""
    if any(node is not None and node.kind == "masked" for node in (wish.before, now)):
        return "it is masked, so no checkpoint holds it"
    if _is_unkept(wish.before):
        return "its content was not kept: too large, or not readable"
    if force:
        return ""
    if _is_unkept(now):
        return NOT_KEPT_NOW
    if now != wish.left and not (again and _is_halfway(wish, now)):
        return CHANGED_SINCE
    return ""


def _is_unkept(node: Node | None) -> bool:
    return node is not None and node.kind == "file" and node.digest is None


def _is_halfway(wish: Wish, now: Node | None) -> bool:
    """Can an undo that was cut off have left it like that?

    Gone, with the mode not yet set, or empty, as some file systems leave after a power
    failure what was not yet on the disk.
    """
    if now is None or now.digest == _EMPTY:
        return True
    kinds = {node.kind for node in (wish.before, wish.left) if node is not None}
    if now.kind == "folder":
        return "folder" in kinds
    wanted = wish.before
    return wanted is not None and now.digest is not None and now.digest == wanted.digest
