"""`/limit`: what the session may use and has used, and a person's wish for more or less."""

from typing import get_args

from autoagent.amounts import money
from autoagent.budget import Resource, spelled
from autoagent.configuration.values import from_text
from autoagent.errors import ConfigError
from autoagent.state import State
from autoagent.terminal.layout import told
from autoagent.terminal.output import Output
from autoagent.terminal.receipt import spell_time
from autoagent.wishes import NewLimit

_KINDS: dict[Resource, str] = {
    "steps": "count",
    "tokens": "count",
    "cost": "usd",
    "time": "duration",
}
_LIKE: dict[Resource, str] = {"steps": "200", "tokens": "3,000,000", "cost": "6", "time": "2h"}


def show_limits(out: Output, state: State, whole: State) -> None:
    """Each limit with what of it is used, by sub-agents too: `whole` counts theirs."""
    for resource, limit in spelled(state.limits).items():
        used, _ = _used(resource, whole)
        told(out, f"{used} of {limit}" if limit else f"{used}, no limit", mark=f"  {resource:<7}")
    told(out, "To change one: /limit steps 200, /limit cost 6, /limit time 2h", "dim")


def wished_limit(text: str, state: State, whole: State) -> NewLimit:
    """What `/limit TEXT` wishes; ConfigError when that is no limit, or can't be one."""
    word, _, rest = text.strip().partition(" ")
    resource = next((each for each in get_args(Resource) if each == word.lower()), None)
    if resource is None:
        raise ConfigError(f"/limit {word:.20}: give one of {', '.join(get_args(Resource))}.")
    label = f"/limit {resource}"
    if not rest.strip():
        raise ConfigError(f"Write the new limit behind it: {label} {_LIKE[resource]}")
    value = float(from_text(_KINDS[resource], rest.strip().removeprefix("$"), label))
    if resource == "cost" and state.price is None:
        raise ConfigError(
            f"The price of {state.model} is unknown, so no sum can be kept; /limit tokens can."
        )
    used, least = _used(resource, whole)
    if value < least:
        raise ConfigError(f"{label} {rest.strip():.20}: {used} are used already.")
    return NewLimit(resource, value)


def _used(resource: Resource, whole: State) -> tuple[str, float]:
    """How much, as a person writes it and as a number."""
    spent = whole.overall
    match resource:
        case "steps":
            return f"{whole.steps}", whole.steps
        case "tokens":
            return f"{spent.tokens:,}", spent.tokens
        case "cost":
            return "an unknown sum" if spent.unpriced else money(spent.cost), spent.cost
        case "time":
            return spell_time(spent.elapsed_s), spent.elapsed_s
