"""The settings of one run, each with where it came from."""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autoagent.configuration import ai_settings as auto_gpt
from autoagent.configuration import azure, secrets, sources
from autoagent.configuration.ai_settings import AISettings
from autoagent.configuration.folders import (
    beside,
    check_workspace,
    commands_file,
    existing_folder,
    inside,
)
from autoagent.configuration.places import Places, find, workspace_name
from autoagent.configuration.sources import Layer
from autoagent.configuration.values import printable
from autoagent.errors import ConfigError
from autoagent.model import Price
from commands.sandbox.bounds import Limits as CommandLimits

if TYPE_CHECKING:
    from commands.fetch import Host

Origin = Mapping[str, str]

DEFAULTS: Mapping[str, Any] = {
    "model": "gpt-5-mini",
    "fast_model": None,
    "embedding_model": "text-embedding-3-small",
    "base_url": None,
    "api_key": None,
    "organization": None,
    "azure_key": None,
    "azure_version": None,
    "azure_deployment": None,
    "azure_embedding_deployment": None,
    "temperature": None,
    "effort": None,
    "window": None,
    "price": None,
    "max_steps": 100,
    "max_cost": 3.0,
    "max_tokens": 2_000_000,
    "max_time": None,
    "max_agents": 8,
    "agent_depth": 2,
    "verify": (),
    "protect": (),
    "allow_read": (),
    "allow_write": (),
    "allow_host": (),
    "allow_packages": False,
    "network": False,
    "pass_env": (),
    "sandbox": "auto",
    "unsafe": False,
    "dry_run": False,
    "memory": None,
    "role": None,
    "disable": (),
    "commands": (),
    "output_format": "text",
    "answer_schema": None,
    "output": None,
    "log_file": None,
    "on_end": None,
    "quiet": False,
    "verbose": False,
    "color": "auto",
    "plain": False,
    "bell": "auto",
    "interactive": False,
    "continuous": False,
    "resume": None,
    "command_timeout": 120.0,
    "command_cpu": 3600.0,
    "command_memory": 0.8,
    "command_processes": 2048,
    "command_open_files": 4096,
    "command_file_size": 8 << 30,
    "command_output": 64 << 20,
    "command_scratch": 1 << 30,
    "model_timeout": 300.0,
    "keep_days": 90,
    "keep_size": 5_000_000_000,
    "searxng_url": None,
    "tavily_key": None,
    "brave_key": None,
    "local_ports": (11434, 1234, 8080, 8000),  # Ollama, LM Studio, llama.cpp, vLLM
}
_IN_SECONDS = ("max_time", "command_timeout", "model_timeout")
_LIMITS = frozenset(
    {"max_steps", "max_cost", "max_tokens", "max_time", "max_agents", "agent_depth"}
)
_OUTPUT = frozenset({"output_format", "quiet", "verbose", "color", "plain", "bell"})
_WITHOUT_FILES = frozenset({"sessions", "tell", "stop"})
# These subcommands change nothing in the current folder, so it may be any.
_ANYWHERE = frozenset(
    {
        *("demo", "commands", "sessions", "undo", "diff", "apply", "doctor", "config"),
        *("tell", "stop"),
    }
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run goes by. Paths are absolute; `protect` is relative to the workspace.

    `sources` has, by a setting's key in config.toml, the option, the variable or the file it
    came from, or "default". `notices` are lines for the person; `untrusted` names the
    workspace's files whose settings were left out for want of trust. `secrets` are all values
    that must never be shown, by name. `given` has every value as it was set, by key; `files`
    are those that were looked for, strongest first.
    """

    workspace: Path
    goals: tuple[str, ...]
    one_shot: bool  # goals came by --goal or --goal-file
    reads_stdin: bool
    interactive: bool
    continuous: bool
    resume: str | None  # a session's ID; "" is the newest
    model: str
    fast_model: str | None
    embedding_model: str
    base_url: str | None
    api_key: str | None = field(repr=False)
    organization: str | None
    azure: bool  # base_url is Azure's: model and embedding_model are names of deployments
    azure_version: str | None  # None: the interface without versions
    temperature: float | None
    effort: str | None
    window: int | None  # tokens; None: chosen by the model
    price: Price | None
    max_steps: int
    max_cost: float  # US dollars
    max_tokens: int
    max_time_s: float | None
    max_agents: int  # sub-agents that work at once
    agent_depth: int  # how deep they may stand beneath each other
    verify: tuple[str, ...]
    protect: tuple[str, ...]
    allow_read: tuple[Path, ...]
    allow_write: tuple[Path, ...]
    allow_host: tuple["Host", ...]
    allow_packages: bool
    network: bool
    pass_env: tuple[str, ...]
    sandbox: Literal["auto", "bubblewrap", "landlock", "none"]
    unsafe: bool
    dry_run: bool
    memory: str | None  # a name for `places.memory`; None: no long-term memory
    role: str | None  # a name; None: none
    disable: tuple[str, ...]
    commands: tuple[Path, ...]  # real paths of files
    output_format: Literal["text", "json", "stream-json"]
    answer_schema: Path | None
    output: Path | None
    log_file: Path | None
    on_end: str | None  # a command line of the user's
    quiet: bool
    verbose: bool
    color: Literal["auto", "always", "never"]
    plain: bool
    bell: Literal["auto", "never", "always"]
    command_timeout_s: float
    command_limits: CommandLimits
    model_timeout_s: float
    searxng_url: str | None  # without a slash at its end
    tavily_key: str | None = field(repr=False)
    brave_key: str | None = field(repr=False)
    local_ports: tuple[int, ...]
    keep_days: int | None  # of sessions that nobody worked on; None: without end
    keep_size: int | None  # bytes of sessions and checkpoints
    places: Places
    sources: Origin
    notices: tuple[str, ...]
    untrusted: tuple[str, ...]
    ai_settings: AISettings | None
    files: tuple[Path, ...]
    secrets: Mapping[str, str] = field(repr=False)
    given: Mapping[str, Any] = field(repr=False)

    @property
    def persona(self) -> str:
        """Who the agent is to be, by --ai-settings; "" is itself."""
        return self.ai_settings.persona if self.ai_settings else ""

    def explicit(self, key: str) -> bool:
        """Whether anyone asked for this value, the same as the default or not."""
        return self.sources[key] != "default"


def load(options: argparse.Namespace, environ: Mapping[str, str], *, cwd: Path) -> Settings:
    """The settings by `options.parse`, `environ` and the files they lead to.

    ConfigError says what can't be meant, where it stands, and what would be right. A broken
    file keeps nobody from looking at a running session, speaking to it or ending it.
    """
    try:
        return _load(options, environ, cwd, sources.files)
    except ConfigError:
        if options.command not in _WITHOUT_FILES:
            raise
        return _load(options, environ, cwd, lambda *_, **__: [])


def _load(
    options: argparse.Namespace,
    environ: Mapping[str, str],
    cwd: Path,
    files: Callable[..., list[Layer]],
) -> Settings:
    places = find(environ, cwd=cwd)
    typed = sources.typed(options, base=cwd)
    shell = sources.environment(environ, base=cwd)
    workspace = existing_folder(_first("workspace", [typed, shell], places), cwd)
    if options.command not in _ANYWHERE:
        check_workspace(workspace, places)
    named = {key: _first(key, [typed, shell], places) for key in ("config", "env_file")}
    profile = _ai_settings(_first("ai_settings", [typed, shell], places))
    layers = [typed, *sources.budget(profile), shell]
    layers += files(places, workspace, **named)
    choice = _Choice(layers, places)
    values = {key: choice.value(key) for key in DEFAULTS}
    _settle(values, choice.sources)
    azure.settle(values, choice.sources)
    given = {key: values[key] for key in DEFAULTS}
    for key in azure.SETTLED:
        del values[key]
    goals, one_shot = _goals(typed, shell, options.text, places)
    goals = checked_goals((*(profile.goals if profile else ()), *goals))
    values["protect"] = tuple(inside(path, workspace) for path in values["protect"])
    for key in ("allow_read", "allow_write"):
        values[key] = tuple(beside(path, places, key) for path in values[key])
    values["commands"] = tuple(commands_file(path, workspace) for path in values["commands"])
    values["command_limits"] = CommandLimits(
        processes=values.pop("command_processes"),
        memory_share=values.pop("command_memory"),
        cpu_s=math.ceil(values.pop("command_cpu")),
        file_bytes=values.pop("command_file_size"),
        open_files=values.pop("command_open_files"),
        output_bytes=values.pop("command_output"),
        scratch_bytes=values.pop("command_scratch"),
    )
    for key in _IN_SECONDS:
        values[f"{key}_s"] = values.pop(key)
    memory = values["memory"] or workspace_name(workspace)
    values["memory"] = None if memory == "none" else memory
    values["role"] = None if values["role"] == "none" else values["role"]
    return Settings(
        **values,
        workspace=workspace,
        goals=goals,
        one_shot=one_shot,
        reads_stdin=options.reads_stdin,
        places=places,
        sources=choice.sources,
        notices=(
            *(line for layer in layers for line in layer.notices),
            *(profile.notices if profile else ()),
            *choice.left_out(),
        ),
        ai_settings=profile,
        files=sources.looked_for(places, workspace, **named),
        given=given,
        untrusted=tuple(layer.name for layer in layers if layer in choice.ignored),
        secrets=_secrets(layers, environ),
    )


class _Choice:
    """Takes each value from the strongest layer that may set it."""

    def __init__(self, layers: Sequence[Layer], places: Places) -> None:
        self._layers = layers
        self._home = places.home
        self.sources: dict[str, str] = {}
        self.ignored: dict[Layer, list[str]] = {}

    def value(self, key: str) -> Any:
        value, self.sources[key] = self._from(key, self._layers)
        return value

    def _from(self, key: str, layers: Sequence[Layer]) -> tuple[Any, str]:
        if not layers:
            return DEFAULTS[key], "default"
        layer, *weaker = layers
        if key not in layer.entries:
            return self._from(key, weaker)
        if layer.trusted or key in _OUTPUT:
            return layer.value(key, self._home), layer.entries[key].label
        usual, source = self._from(key, weaker)
        if key in _LIMITS:
            value = layer.value(key, self._home)
            if usual is None or value < usual:
                return value, layer.entries[key].label
        self.ignored.setdefault(layer, []).append(layer.entries[key].name)
        return usual, source

    def left_out(self) -> list[str]:
        """A line for each file that nobody trusted: what was ignored, how to allow it."""
        return [
            f"{layer.name} of this folder isn't trusted, so it may only lower limits; ignored: "
            f"{', '.join(sorted(names))}. To allow it: autoagent trust (or {layer.option})"
            for layer, names in self.ignored.items()
        ]


def _first(key: str, layers: Sequence[Layer], places: Places) -> Any:
    found = [layer for layer in layers if key in layer.entries]
    return found[0].value(key, places.home) if found else None


def _settle(values: dict[str, Any], sources: Origin) -> None:
    """Of two words that contradict each other, the one on the command line counts."""
    for one, other in (("interactive", "continuous"), ("quiet", "verbose")):
        if values[one] and values[other]:
            typed = [key for key in (one, other) if sources[key].startswith("-")]
            if len(typed) != 1:
                said = f"{sources[one]} and {sources[other]}"
                raise ConfigError(f"{said} contradict each other; give one of them.")
            values[other if typed == [one] else one] = False


def _goals(
    typed: Layer, shell: Layer, text: str | None, places: Places
) -> tuple[tuple[str, ...], bool]:
    """The goals, and whether they are to be worked on without a question."""
    goals = list(_first("goal", [typed, shell], places) or ())
    file = _first("goal_file", [typed, shell], places)
    if file is not None:
        goals.append(_goal_from(file))
    one_shot = bool(goals)
    if text is not None:
        if not text.strip():
            raise ConfigError("The goal is empty; say what is to be reached.")
        goals.append(printable(text))
    return tuple(goals), one_shot


def checked_goals(goals: tuple[str, ...]) -> tuple[str, ...]:
    """These goals; ConfigError where one is only the dots of a command line that was copied."""
    for goal in goals:
        if goal.strip() in ("…", "..."):
            raise ConfigError(
                f"The goal is {goal.strip()!r}, which only holds its place: put there what is to "
                "be reached, as in --goal 'Write a test for each function.'"
            )
    return goals


def _ai_settings(file: Path | None) -> AISettings | None:
    if file is None:
        return None
    return auto_gpt.parse(file, sources.named_file(file, "--ai-settings"))


def _goal_from(file: Path) -> str:
    goal = sources.named_file(file, "--goal-file").decode("utf-8-sig", "replace").strip()
    if not goal:
        raise ConfigError(f"--goal-file {str(file)!r} is empty; say what is to be reached.")
    return goal


def _secrets(layers: Sequence[Layer], environ: Mapping[str, str]) -> dict[str, str]:
    found = secrets.found_in(environ)
    for layer in layers:
        for name, value in layer.secrets.items():
            known = name in found and found[name] != value
            found[f"{name} in {layer.name}" if known else name] = value
    return found
