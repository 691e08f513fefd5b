"""Where settings stand: the command line, the environment, .env and TOML files, read as layers."""

import argparse
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from autoagent.configuration import secrets, values
from autoagent.configuration.ai_settings import AISettings
from autoagent.configuration.options import OPTIONS
from autoagent.configuration.places import Places, expanded
from autoagent.configuration.trust import LARGEST, is_trusted, read
from autoagent.errors import ConfigError

# Not options: a key must not stand in a process list, and nobody types the others.
_VARIABLES_ONLY: Mapping[str, tuple[str, str]] = {
    "api_key": ("key", "OPENAI_API_KEY"),
    "organization": ("text", "OPENAI_ORGANIZATION"),
    "azure_key": ("key", "AZURE_OPENAI_API_KEY"),
    "azure_version": ("text", "OPENAI_API_VERSION"),
    "azure_deployment": ("text", "AZURE_OPENAI_DEPLOYMENT"),
    "azure_embedding_deployment": ("text", "AZURE_OPENAI_EMBEDDING_DEPLOYMENT"),
    "command_timeout": ("duration", "AUTOAGENT_COMMAND_TIMEOUT"),
    "model_timeout": ("duration", "AUTOAGENT_MODEL_TIMEOUT"),
    "command_cpu": ("duration", "AUTOAGENT_COMMAND_CPU"),
    "command_memory": ("share", "AUTOAGENT_COMMAND_MEMORY"),
    "command_processes": ("count", "AUTOAGENT_COMMAND_PROCESSES"),
    "command_open_files": ("count", "AUTOAGENT_COMMAND_OPEN_FILES"),
    "command_file_size": ("bytes", "AUTOAGENT_COMMAND_FILE_SIZE"),
    "command_output": ("bytes", "AUTOAGENT_COMMAND_OUTPUT"),
    "command_scratch": ("bytes", "AUTOAGENT_COMMAND_SCRATCH"),
    "searxng_url": ("searxng", "SEARXNG_URL"),
    "tavily_key": ("key", "TAVILY_API_KEY"),
    "brave_key": ("key", "BRAVE_API_KEY"),
    "local_ports": ("ports", "AUTOAGENT_LOCAL_PORTS"),
    "max_agents": ("count", "AUTOAGENT_MAX_AGENTS"),
    "agent_depth": ("count", "AUTOAGENT_AGENT_DEPTH"),
    "bell": ("auto|never|always", "AUTOAGENT_BELL"),
    "keep_days": ("days", "AUTOAGENT_KEEP_DAYS"),
    "keep_size": ("size", "AUTOAGENT_KEEP_SIZE"),
}
ALSO_IN_FILES = frozenset(
    {"keep_days", "keep_size", "max_agents", "agent_depth", "bell"}
)  # though not options
_USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "base_url": (
        "OPENAI_BASE_URL",
        "OPENAI_API_BASE_URL",
        "OPENAI_API_BASE",
        "AZURE_OPENAI_ENDPOINT",
    ),
    "model": ("SMART_LLM",),
    "fast_model": ("FAST_LLM",),
    "embedding_model": ("EMBEDDING_MODEL",),
    "temperature": ("TEMPERATURE",),
    "allow_host": ("AUTOAGENT_ALLOW_HOSTS",),
    "azure_version": ("AZURE_OPENAI_API_VERSION",),
    "azure_deployment": ("AZURE_OPENAI_DEPLOYMENT_NAME",),
}
KIND = {key: option.kind for key, option in OPTIONS.items()}
KIND |= {key: kind for key, (kind, _) in _VARIABLES_ONLY.items()}
# What names one run, or decides which files are read, can't stand in such a file.
_NOT_IN_FILES = frozenset(
    {
        *("goal", "goal_file", "resume", "fork", "workspace", "config", "env_file"),
        "ai_settings",
    }
)


def _variables() -> dict[str, str]:
    names = {f"AUTOAGENT_{key.upper()}": key for key in OPTIONS}
    names |= {name: key for key, usual in _USUAL_NAMES.items() for name in usual}
    return names | {name: key for key, (_, name) in _VARIABLES_ONLY.items()}


VARIABLES = _variables()
"""Each variable's setting; where two name the same, the earlier one counts."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value as it was written: by which name, and where, as an error would say it."""

    name: str
    raw: object
    label: str


# By identity: a layer is a place, and two places may hold the same.
@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One place that settings came from. Relative paths in it start at `base`.

    `option` is what the user types to trust it.
    """

    name: str
    form: Literal["typed", "text", "toml"]
    base: Path
    entries: Mapping[str, Entry]
    trusted: bool = True
    option: str = ""
    notices: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def value(self, key: str, home: Path | None) -> Any:
        """The setting's value; ConfigError names the place when it can't be one."""
        entry, kind = self.entries[key], KIND[key]
        match self.form, entry.raw:
            case "typed", list(items):
                value: Any = tuple(values.from_text(kind, item, entry.label) for item in items)
            case "typed", bool(flag):
                value = flag
            case "typed", raw:
                value = values.from_text(kind, str(raw), entry.label)
            case "text", raw:
                value = values.from_environment(kind, str(raw), entry.label)
            case "toml", raw:
                value = values.from_toml(kind, raw, entry.label)
        if kind == "path":
            return self.base / expanded(value, home)
        if kind == "paths":
            return tuple(self.base / expanded(path, home) for path in value)
        return value


def typed(options: argparse.Namespace, *, base: Path) -> Layer:
    """The command line."""
    given = {key: getattr(options, key) for key in OPTIONS}
    flags = {key: f"--{key.replace('_', '-')}" for key in OPTIONS}
    entries = {k: Entry(flags[k], raw, flags[k]) for k, raw in given.items() if raw is not None}
    return Layer("the command line", "typed", base, entries)


def environment(environ: Mapping[str, str], *, base: Path) -> Layer:
    """The variables of the process."""
    notices = tuple(_unknown(name) for name in environ if _is_unknown(name))
    return Layer("the environment", "text", base, _named(environ, ""), notices=notices)


def looked_for(
    places: Places, workspace: Path, *, env_file: Path | None, config: Path | None
) -> tuple[Path, ...]:
    """The files that `files` reads where they exist, strongest first."""
    return (
        env_file or workspace / ".env",
        places.config / ".env",
        config or workspace / "autoagent.toml",
        places.config / "config.toml",
    )


def budget(found: AISettings | None) -> list[Layer]:
    """The budget of an ai_settings.yaml, which counts next after the command line."""
    if found is None or found.budget is None:
        return []
    entry = Entry("api_budget", found.budget, f"api_budget in {str(found.path)!r}")
    return [Layer(str(found.path), "toml", found.path.parent, {"max_cost": entry})]


def files(
    places: Places, workspace: Path, *, env_file: Path | None, config: Path | None
) -> list[Layer]:
    """The files that count here, strongest first.

    Those that the user names take the place of the workspace's own and need no trust.
    """
    own_env, own_toml = workspace / ".env", workspace / "autoagent.toml"
    layers = [
        _dotenv(env_file, named_file(env_file, "--env-file"), name=str(env_file))
        if env_file
        else _workspace_file(own_env, places, workspace),
        _dotenv(places.config / ".env", read(places.config / ".env")),
        _toml(config, named_file(config, "--config"), name=str(config))
        if config
        else _workspace_file(own_toml, places, workspace),
        _toml(places.config / "config.toml", read(places.config / "config.toml")),
    ]
    return [layer for layer in layers if layer is not None]


def _workspace_file(path: Path, places: Places, workspace: Path) -> Layer | None:
    content = read(path)
    trusted = content is not None and is_trusted(places, workspace, path.name, content)
    option, reader = ("--env-file", _dotenv) if path.name == ".env" else ("--config", _toml)
    return reader(path, content, name=path.name, trusted=trusted, option=f"{option} {path.name}")


def named_file(path: Path, option: str) -> bytes:
    """The content of a file that the user named, which may be a pipe from `<(…)`."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{option} {str(path)!r} can't be read: {error.strerror}.") from error
    if len(content) > LARGEST:
        raise ConfigError(f"{option} {str(path)!r} is larger than 1 MB; give a shorter one.")
    return content


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{str(path)!r}, line {line}: not UTF-8; save it as UTF-8.") from None


def _dotenv(
    path: Path,
    content: bytes | None,
    *,
    name: str = "",
    trusted: bool = True,
    option: str = "",
) -> Layer | None:
    if content is None:
        return None
    from dotenv.parser import parse_stream

    variables: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(_decoded(path, content))):
        # Someone else's .env may be in any dialect; ours has to be right.
        if binding.error and trusted:
            raise ConfigError(f"{str(path)!r}, line {binding.original.line}: not NAME=value.")
        if binding.key and binding.value is not None:
            variables[binding.key] = binding.value
    entries = _named(variables, f" in {str(path)!r}")
    lost = [e.name for k, e in entries.items() if k in _NOT_IN_FILES]
    lost += [key for key in variables if key == "AUTOAGENT_HOME"]
    return Layer(
        name or str(path),
        "text",
        path.parent,
        {key: entry for key, entry in entries.items() if key not in _NOT_IN_FILES},
        trusted,
        option,
        (
            *(f"{key} counts in the environment only, not in {str(path)!r}." for key in lost),
            *(f"{_unknown(key)} ({str(path)!r})" for key in variables if _is_unknown(key)),
        ),
        secrets.found_in(variables, drawn=True),
    )


def _toml(
    path: Path,
    content: bytes | None,
    *,
    name: str = "",
    trusted: bool = True,
    option: str = "",
) -> Layer | None:
    if content is None:
        return None
    import tomllib

    try:
        table = tomllib.loads(_decoded(path, content))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{str(path)!r} isn't TOML: {error}.") from None
    known = sorted((OPTIONS.keys() - _NOT_IN_FILES) | ALSO_IN_FILES)
    for key in table:
        if key not in known:
            raise ConfigError(f"{str(path)!r}: {_unknown_key(key, known)}")
    entries = {key: Entry(key, raw, f"{key} in {str(path)!r}") for key, raw in table.items()}
    return Layer(name or str(path), "toml", path.parent, entries, trusted, option)


def _unknown_key(key: str, known: list[str]) -> str:
    if key in OPTIONS:
        return f"{key!r} can't stand in a file; use --{key.replace('_', '-')}."
    if key.upper() in VARIABLES or key in _VARIABLES_ONLY:
        return f"{key!r} can't stand here; put it into .env (see .env.template)."
    near = get_close_matches(key, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else "autoagent --help shows what there is."
    return f"there is no setting {key!r:.80}; {hint}"


def _named(environ: Mapping[str, str], where: str) -> dict[str, Entry]:
    """The variables that are settings. Empty counts as unset."""
    entries: dict[str, Entry] = {}
    for name, key in VARIABLES.items():
        if environ.get(name):
            entries.setdefault(key, Entry(name, environ[name], f"{name}{where}"))
    return entries


def _is_unknown(name: str) -> bool:
    return name.startswith("AUTOAGENT_") and name not in VARIABLES and name != "AUTOAGENT_HOME"


def _unknown(name: str) -> str:
    near = get_close_matches(name, VARIABLES, 1, 0.8)
    hint = f"; did you mean {near[0]}?" if near else "."
    return f"{name!r:.80} is no setting of this version, so it changes nothing{hint}"
