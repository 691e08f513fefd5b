"""From settings to a session: the model, the cage, the limits, the first event."""

import datetime
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from autoagent import __version__, prompt, sessions
from autoagent.answer_schema import Schema, check_size
from autoagent.assembling import Inputs, assembled, with_fast
from autoagent.building import Parts
from autoagent.caging import network_of, reachable, tools_in
from autoagent.configuration import azure
from autoagent.configuration.settings import Settings
from autoagent.ending import Proof, first_checks
from autoagent.errors import ConfigError
from autoagent.events import Changed, Event, Limits, Noticed, Resumed, Started, Switched
from autoagent.history import shortened
from autoagent.journal import Journal, load
from autoagent.models.catalog import OPENAI_URL
from autoagent.models.choosing import Chosen, chosen, chosen_instead
from autoagent.models.learned import Learned
from autoagent.models.making import OpenModel, make_model, make_other_model
from autoagent.models.switching import Switching
from autoagent.owning import guarded, new_to
from autoagent.running import ResultFiles
from autoagent.session import Session
from autoagent.state import State, fold
from autoagent.strict_json import compact
from autoagent.team.acting import in_role, role_begun
from autoagent.team.place import Place
from autoagent.tokens import Counter, counter_for

_CONTEXT_SHARE = 1 / 4


def start(inputs: Inputs, goals: Sequence[str]) -> Session:
    """A new session on these goals, its first events ready to be recorded."""
    inputs = in_role(inputs)
    learned = _learned(inputs.settings)
    pick = chosen(inputs.settings, learned)
    return begin(
        inputs,
        goals,
        pick,
        lambda session: _model(inputs.settings, pick, session, learned),
        learned,
    )


def begin(
    inputs: Inputs,
    goals: Sequence[str],
    pick: Chosen,
    model_of: Callable[[str], OpenModel],
    learned: Learned | None = None,
) -> Session:
    """A new session with the model that `model_of` makes for its ID."""
    settings = guarded(inputs.settings)
    inputs = replace(inputs, settings=settings)
    learned = learned or Learned()
    folder = sessions.new_folder(settings.places.sessions)
    with _removed_unless_begun(folder), ExitStack() as stack:
        lock = sessions.Lock(folder)
        stack.callback(lock.release)
        model = stack.enter_context(model_of(folder.name))
        count = counter_for(pick.model, inputs.environ)
        parts, notices = assembled(inputs, folder.name, model, count, inputs.attended, lock, stack)
        parts, notices = with_fast(parts, notices, settings, pick, folder.name, learned, stack)
        notices = [*pick.notices, *settings.notices, *notices]
        context = _context(parts.redactor.clean(inputs.context), folder, pick.window, count)
        _check_schema(inputs.answer_schema, parts, pick.window)
        secret = secrets.token_hex(16)
        tools = _tools(parts)
        started = Started(
            session=folder.name,
            version=__version__,
            goals=tuple(parts.redactor.clean(goal) for goal in goals),
            system=prompt.system_text(
                parts.catalogue,
                interactive=inputs.attended,
                network=network_of(parts.cage, parts.catalogue),
                read_only=parts.read_only,
            ),
            opening=parts.redactor.clean(
                prompt.opening_text(
                    goals,
                    settings.workspace,
                    tools=tools(),
                    today=datetime.datetime.now().astimezone().date(),
                    secret=secret,
                    verify=settings.verify,
                    protect=settings.protect,
                    answer_schema=inputs.answer_schema,
                    context=context,
                    persona=_persona(inputs),
                )
            ),
            workspace=str(settings.workspace),
            model=pick.model,
            base_url=pick.base_url or "",
            window=pick.window,
            limits=pick.limits,
            interactive=inputs.attended,
            price=pick.card.price,
            cage=parts.cage.kind,
            memory=settings.memory or "none",
            verify=settings.verify,
            protect=settings.protect,
            disable=settings.disable,
            commands=tuple(map(str, settings.commands)),
            dry_run=settings.dry_run,
            answer_schema=inputs.answer_schema,
            secret=secret,
            role=inputs.role.name if inputs.role else "",
        )
        first: list[Event] = [started, *_noticed(notices), *reachable(parts.way, parts.cage)]
        rung = learned.facts(pick.base_url or OPENAI_URL, pick.model).format
        first += [Changed(format=rung)] if rung != "text" else []
        if settings.verify:
            proof = Proof(settings.verify, parts.cage, parts.cancel, 600.0, parts.redactor.clean)
            first += first_checks(proof, pick.window, count)
        journal = Journal(folder / sessions.JOURNAL)
        stack.callback(journal.close)
        return Session(
            *(folder, journal, State(), parts, first, _noting(learned, pick), stack.pop_all()),
            _place(inputs, folder.name, tools, pick, learned),
        )


@contextmanager
def _removed_unless_begun(folder: Path) -> Iterator[None]:
    """No trace of a session that could not be started."""
    try:
        yield
    except BaseException:
        if not (folder / sessions.JOURNAL).exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise


def resume(inputs: Inputs, found: sessions.Kept, said: Sequence[str] = ()) -> Session:
    """A session that goes on: its journal's fold, and this run's news, with lines for a person."""
    settings = inputs.settings
    learned = _learned(settings)
    with ExitStack() as stack:
        lock = sessions.Lock(found.folder)
        stack.callback(lock.release)
        loaded = load(found.journal)
        state = fold([entry.event for entry in loaded.entries])
        if state.stopped and state.stopped.status == "done" and not settings.goals:
            raise ConfigError(
                f"Session {found.folder.name} is done. Give it one goal more: "
                f"autoagent --resume {found.folder.name} --goal '…'"
            )
        inputs = replace(inputs, role=role_begun(settings, found.started))
        settings = guarded(_as_before(settings, state))
        pick = chosen(settings, learned)
        # The provider's cache knows a branch's beginning by the session that made it.
        model = stack.enter_context(_model(settings, pick, state.maker(1), learned))
        count = counter_for(pick.model, inputs.environ)
        if settings.sources["answer_schema"] != "--answer-schema":
            inputs = replace(inputs, answer_schema=state.answer_schema)
        inputs = replace(inputs, settings=settings)
        before = found.started.interactive
        parts, notices = assembled(inputs, found.folder.name, model, count, before, lock, stack)
        if loaded.torn_bytes:
            torn = f"The journal's last line was unfinished; {loaded.torn_bytes} bytes were cut."
            notices.append(torn)
        if inputs.answer_schema != state.answer_schema:
            _check_schema(inputs.answer_schema, parts, pick.window)
        session = found.folder.name
        parts, notices = with_fast(parts, notices, settings, pick, session, learned, stack)
        resumed = Resumed(
            limits=pick.limits,
            model=pick.model,
            window=pick.window,
            price=pick.card.price,
            verify=settings.verify,
            goals=tuple(parts.redactor.clean(goal) for goal in settings.goals),
            answer_schema=inputs.answer_schema,
            version=__version__,
        )
        notices = [*said, *pick.notices, *settings.notices, *notices]
        hosts = reachable(parts.way, parts.cage, before=state.noticed)
        more = new_to(state, parts.catalogue)
        first: list[Event] = [resumed, *_noticed(notices), *hosts, *more]
        journal = Journal(found.journal, loaded)
        stack.callback(journal.close)
        place = _place(inputs, session, _tools(parts), pick, learned)
        own = (found.folder, journal, state, parts, first, _noting(learned, pick))
        return Session(*own, stack.pop_all(), place, loaded.entries)


def _as_before(settings: Settings, state: State) -> Settings:
    """The session's own limits, model and proofs, but for what this command line changes."""
    assert state.started is not None

    def typed(key: str) -> bool:
        return settings.sources[key].startswith("-")

    if settings.dry_run and typed("dry_run") and not state.started.dry_run:
        raise ConfigError(
            f"Session {state.started.session} works in the workspace itself: --dry-run is for "
            "a new one."
        )
    limits = state.limits
    kept: dict[str, object] = {"dry_run": state.started.dry_run}
    if not typed("max_steps"):
        kept["max_steps"] = limits.steps
    if not typed("max_tokens"):
        kept["max_tokens"] = limits.tokens
    if not typed("max_cost") and limits.cost is not None:
        kept["max_cost"] = limits.cost
    if not typed("max_time"):
        kept["max_time_s"] = limits.time_s
    if not typed("model"):
        kept["model"] = state.model
    if not settings.explicit("base_url") and state.started.base_url:
        kept |= azure.server(state.started.base_url, "", settings.given)
    if not typed("price") and not typed("model"):
        kept["price"] = state.price or settings.price
    if not typed("window") and not typed("model"):
        kept["window"] = state.window
    if not typed("verify"):
        kept["verify"] = state.verify
    if not typed("protect"):
        kept["protect"] = state.started.protect
    if not typed("disable"):
        kept["disable"] = state.started.disable
    if not typed("commands"):
        kept["commands"] = tuple(map(Path, state.started.commands))
    if not typed("memory"):
        name = state.started.memory
        kept["memory"] = None if name == "none" else name
    return replace(settings, **kept)  # type: ignore[arg-type]


def _model(settings: Settings, pick: Chosen, session: str, learned: Learned) -> Switching:
    """The client of the chosen model, and a way to another one of the same server."""

    def choose(name: str, limits: Limits) -> Chosen:
        return chosen_instead(settings, name, pick.base_url, limits, learned)

    def make(pick: Chosen) -> OpenModel:
        return make_model(settings, pick, session, learned)

    return Switching(make(pick), choose, make)


def _learned(settings: Settings) -> Learned:
    return Learned(settings.places.state / "servers.json")


def _place(
    inputs: Inputs, session: str, tools: Callable[[], str], pick: Chosen, learned: Learned
) -> Place:
    """Where the session's sub-agents work."""

    def model_of(name: str, of: str, limits: Limits) -> OpenModel:
        return make_other_model(inputs.settings, pick, name, of, learned, limits)

    return Place(inputs, session, tools, model_of)


def _tools(parts: Parts) -> Callable[[], str]:
    """What the cage says of itself, asked when somebody must know, once."""
    return cache(lambda: tools_in(parts.cage, parts.cancel))


def _noting(learned: Learned, pick: Chosen) -> Callable[[Event], None]:
    """Keeps for later sessions what a run learns of its model."""

    model = pick.model

    def note(event: Event) -> None:
        nonlocal model
        if isinstance(event, Switched):
            model = event.model
        if isinstance(event, Changed):
            new = {"window": event.window, "format": event.format}
            changes = {key: value for key, value in new.items() if value is not None}
            learned.learn(pick.base_url or OPENAI_URL, model, **changes)

    return note


def _persona(inputs: Inputs) -> str:
    """Who the agent is to be: by --ai-settings, by its role."""
    role = inputs.role.prompt if inputs.role else ""
    return "\n\n".join(filter(None, (inputs.settings.persona, role)))


def _context(text: str, folder: Path, window: int, count: Counter) -> str:
    """Standard input in its share of the window; the whole of it on disk as step 0."""
    more = "[{lines} lines more: read_result(step=0, start_line={start})]"
    short, cut = shortened(text, round(window * _CONTEXT_SHARE), count, more)
    if cut:
        ResultFiles(folder / "results").write(0, text)
    return short


def _check_schema(schema: Schema | None, parts: Parts, window: int) -> None:
    """ConfigError when the model can't be told of it."""
    if schema is not None:
        secret = parts.redactor.holds(text := compact(schema))
        if secret is not None:
            raise ConfigError(f"--answer-schema holds the value of {secret}; take it out.")
        check_size(parts.count(text), window)


def _noticed(lines: Sequence[str]) -> list[Noticed]:
    return [Noticed("place", line) for line in lines]
