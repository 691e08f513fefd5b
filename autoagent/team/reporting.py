"""What an agent is told of a sub-agent that ended: bounded in size, whole on disk."""

from autoagent.events import Reported, Status
from autoagent.history import RESULT_SHARE, shortened
from autoagent.running import ResultFiles
from autoagent.state import State
from autoagent.team.reports import files_changed, hosts, refused, within
from autoagent.team.worker import Worker
from autoagent.tokens import Counter

_ALL_SHARE = 1 / 4  # of the window, for several reports at once
_KEPT = 200  # paths

ENDED = "The agent that started it ended it."
PAUSED = "It goes on with the run of the agent that started it."


def report_of(
    worker: Worker, state: State, results: ResultFiles, count: Counter, at_once: int, *, pause: bool
) -> Reported:
    """How the worker stands at its end, for the agent of that state; one of `at_once` reports
    in the same prompt. `pause`: it goes on with its agent's next run."""
    status, text = _end(worker, pause=pause)
    text, whole = _in_share(worker, text, state, results, count, at_once)
    theirs, spent = worker.state, worker.purse.used
    folder = worker.spawned.folder
    return Reported(
        step=state.step,
        name=worker.spawned.name,
        status=status,
        text=text,
        whole=whole,
        steps=worker.purse.steps,
        usage=spent.usage,
        unpriced=spent.unpriced,
        elapsed_s=theirs.spent.elapsed_s,
        changed=within(folder, files_changed(theirs))[:_KEPT],
        hosts=tuple(hosts(theirs)),
        refused=tuple(refused(theirs)),
        web=theirs.taint.since is not None,
        addresses=theirs.taint.standing_of(text),
        made=within(folder, sorted(theirs.taint.made))[:_KEPT],
        journal_hash=worker.hash,
        paused=pause,
    )


def _end(worker: Worker, *, pause: bool) -> tuple[Status, str]:
    if pause:
        return "interrupted", PAUSED
    if worker.fault:
        return "error", worker.fault
    stopped = worker.state.stopped
    if stopped is None:
        return "interrupted", ENDED
    return stopped.status, stopped.answer


def _in_share(
    worker: Worker, text: str, state: State, results: ResultFiles, count: Counter, at_once: int
) -> tuple[str, str | None]:
    share = round(state.window * min(RESULT_SHARE, _ALL_SHARE / at_once))
    name = worker.spawned.name
    more = f'[{{lines}} lines more: read_result(agent="{name}", start_line={{start}})]'
    short, cut = shortened(text, share, count, more)
    return short, results.write(0, text, name) if cut else None
