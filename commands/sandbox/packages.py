"""The package indexes that pip, uv and npm are set up for, told by these tools themselves."""

import ast
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from commands.fetch import WEB_PORTS, Host, host_from
from commands.sandbox.toolchains import search_path

_ASK_S = 30.0
_PIP_DEFAULT = re.compile(r"--index-url.*?\(default:?\s+<?(https?://[^\s>)]+)", re.DOTALL)
_UV_DEFAULT = re.compile(r"--default-index.*?default:?\s+<?(https?://[^\s>)\]]+)", re.DOTALL)
# A dry run of what every index has tells where its files lie.
_PIP_TRY = (
    *("install", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary=:all:"),
    *("--quiet", "--disable-pip-version-check", "--no-input", "--retries=1", "--timeout=10"),
    *("--report=-", "pip"),
)


@dataclass(frozen=True, slots=True)
class Packages:
    """Where packages come from.

    `named` are the hosts of the indexes, `learned` those where the indexes say that their
    files lie. `env` leads the tools there; no password is in it. `notices` are lines for
    the person.
    """

    named: tuple[Host, ...] = ()
    learned: tuple[Host, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


def packages(env: Mapping[str, str], root: Path) -> Packages:
    """Ask the tools on PATH, none of which may come from the workspace `root`.

    Takes some seconds, and asks the indexes where their files lie.
    """
    asking = _Asking(env, root)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda ask: ask(asking), (_of_pip, _of_uv, _of_npm)))
    tools = [each for each in found if each is not None]
    if not tools:
        line = "--allow-packages: none of pip, uv and npm is on PATH, so no index is known."
        return Packages(notices=(line,))
    urls = [url for tool in tools for url in tool.urls]
    bare = [url for url in urls if url.username or url.password]
    notices = [
        f"The index at {host} needs a password, which commands don't get; --pass-env hands "
        "a variable on to them."
        for host in dict.fromkeys(url.hostname for url in bare)
    ]
    notices += [line for tool in tools for line in tool.notices]
    named = tuple(dict.fromkeys(host for url in urls if (host := _host(url))))
    learned = (host for tool in tools for url in tool.files if (host := _host(url)))
    settings = {name: value for tool in tools for name, value in tool.env.items() if value}
    only_learned = tuple(host for host in dict.fromkeys(learned) if host not in named)
    return Packages(named, only_learned, settings, tuple(notices))


@dataclass(frozen=True, slots=True)
class _Tool:
    urls: Sequence[SplitResult]
    files: Sequence[SplitResult]
    env: Mapping[str, str]
    notices: Sequence[str] = ()


class _Asking:
    """Runs the user's own tools as the user does, but away from the workspace."""

    def __init__(self, env: Mapping[str, str], root: Path) -> None:
        folders = (p for p in search_path(env.get("PATH", "")) if not p.is_relative_to(root))
        self.env = {**env, "PATH": os.pathsep.join(map(str, folders))}

    def has(self, name: str) -> bool:
        return shutil.which(name, path=self.env["PATH"]) is not None

    def told(self, *argv: str) -> str:
        """What it says on stdout; "" when it fails."""
        program = shutil.which(argv[0], path=self.env["PATH"]) or argv[0]
        try:
            done = subprocess.run(  # noqa: S603 (a program of the user's)
                [program, *argv[1:]],
                cwd="/",
                env=self.env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_ASK_S,
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def _of_pip(asking: _Asking) -> _Tool | None:
    name = next((name for name in ("pip", "pip3") if asking.has(name)), None)
    if name is None:
        return None
    settings = _pip_settings(asking.told(name, "config", "list"))
    # Its page of help names the default, or what is set in its place.
    found = _PIP_DEFAULT.search(asking.told(name, "install", "--help"))
    index = _urls([*settings.get("index-url", ())[-1:], *([found[1]] if found else [])])[:1]
    extra, links = (_urls(settings.get(key, ())) for key in ("extra-index-url", "find-links"))
    with suppress(ValueError, LookupError, TypeError):
        report: Any = json.loads(asking.told(name, *_PIP_TRY))
        files = _urls([report["install"][0]["download_info"]["url"]])
        return _Tool([*index, *extra, *links], files, _pip_env(settings, index, extra, links))
    notice = "pip's index did not tell where its files lie; if not there, --allow-host that host."
    urls = [*index, *extra, *links]
    return _Tool(urls, [], _pip_env(settings, index, extra, links), [notice])


def _pip_env(
    settings: Mapping[str, Sequence[str]],
    index: Iterable[SplitResult],
    extra: Iterable[SplitResult],
    links: Iterable[SplitResult],
) -> dict[str, str]:
    return {
        "PIP_INDEX_URL": _joined(index),
        "PIP_EXTRA_INDEX_URL": _joined(extra),
        "PIP_FIND_LINKS": _joined(links),
        "PIP_TRUSTED_HOST": " ".join(settings.get("trusted-host", ())),
        "PIP_CERT": next(iter(settings.get("cert", ())), ""),
        # The page that tells of a new version would be one more question to the index.
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def _pip_settings(listed: str) -> dict[str, list[str]]:
    """By key, each value of `section.key='value'` in any section, in order."""
    found: dict[str, list[str]] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        with suppress(ValueError, SyntaxError):
            found.setdefault(name.rpartition(".")[2], []).extend(ast.literal_eval(value).split())
    return found


def _of_uv(asking: _Asking) -> _Tool | None:
    if not asking.has("uv"):
        return None
    env = asking.env
    default = env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL") or ""
    others = [env.get(name, "") for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")]
    words = [word for each in others for word in each.split()]
    extra = [re.sub(r"^[\w.-]+=(?=https?:)", "", word) for word in words]  # NAME=URL
    for table in _uv_tables(env):
        default = default or next(iter(_uv_indexes(table, default=True)), "")
        extra += _uv_indexes(table, default=False)
    if not default:
        found = _UV_DEFAULT.search(asking.told("uv", "pip", "install", "--help"))
        default = found[1] if found else ""
    index, extras = _urls([default]), _urls(extra)
    settings = {"UV_DEFAULT_INDEX": _joined(index), "UV_INDEX": _joined(extras)}
    return _Tool([*index, *extras], [], settings)


def _uv_tables(env: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """uv's own settings, those of the user before the machine's."""
    config = env.get("XDG_CONFIG_HOME") or str(Path(env.get("HOME", "/")) / ".config")
    for folder in (Path(config), Path("/etc")):
        with suppress(OSError, tomllib.TOMLDecodeError):
            yield tomllib.loads((folder / "uv/uv.toml").read_text())


def _uv_indexes(table: Mapping[str, Any], *, default: bool) -> list[str]:
    indexes = [each for each in table.get("index", []) if bool(each.get("default")) is default]
    found = [str(each.get("url", "")) for each in indexes]
    for each in (table, table.get("pip", {})):
        value = each.get("index-url" if default else "extra-index-url", [])
        found += [value] if isinstance(value, str) else list(value)
    return found


def _of_npm(asking: _Asking) -> _Tool | None:
    if not asking.has("npm"):
        return None
    settings: dict[str, Any] = {}
    with suppress(ValueError):
        settings = json.loads(asking.told("npm", "config", "list", "--json") or "{}")
    registry = _urls([str(settings.get("registry") or "")])
    scoped = _urls(str(v) for name, v in settings.items() if name.endswith(":registry"))
    files = _urls([asking.told("npm", "view", "npm", "dist.tarball").strip()])
    env = {"npm_config_registry": _joined(registry)}
    env["npm_config_cafile"] = str(settings.get("cafile") or "")
    return _Tool([*registry, *scoped], files, env)


def _urls(texts: Iterable[str]) -> list[SplitResult]:
    """Those that are addresses of the web."""
    found = []
    for text in texts:
        with suppress(ValueError):
            parts = urlsplit(text)
            if parts.scheme in ("http", "https") and _host(parts):
                found.append(parts)
    return found


def _host(url: SplitResult) -> Host | None:
    with suppress(ValueError):
        name = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or ""
        host = host_from(name)
        usual = url.port is None or url.port in WEB_PORTS
        return host if usual else Host(host.name, url.port)
    return None


def _joined(urls: Iterable[SplitResult]) -> str:
    """As a variable holds them, without names and passwords."""
    return " ".join(url._replace(netloc=url.netloc.rpartition("@")[2]).geturl() for url in urls)
