"""`autoagent doctor`: whether everything is in place, and what to do where it isn't."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from autoagent import __version__, locking
from autoagent.configuration import trust
from autoagent.configuration.folders import check_workspace
from autoagent.configuration.places import private_folder
from autoagent.configuration.secrets import Redactor
from autoagent.configuration.settings import Settings
from autoagent.errors import AutoAgentError
from autoagent.models.catalog import OPENAI_URL
from autoagent.models.choosing import NoWay, chosen
from autoagent.models.faults import Asked
from autoagent.models.learned import Learned
from autoagent.sessions.folders import folders
from autoagent.sizes import spelled, taken
from autoagent.terminal.escape import escaped
from autoagent.terminal.output import Output, Style

Level = Literal["ok", "note", "bad"]
Kind = Literal["bubblewrap", "landlock", "none"]
KINDS: tuple[Kind, ...] = ("bubblewrap", "landlock", "none")

_ASK_S = 5.0
_ROOM = 1_000_000_000  # bytes free, below which a long run may end for want of room
_TRY = "So its models aren't known; a run will show whether it has this one (--model chooses)."
_ASKS = "Or start autoagent at a terminal: it asks for a key or an address, tries it and keeps it."
_LANDLOCK = "It is only needed where bubblewrap doesn't work; newer kernels have it."
_MARKS: Mapping[Level, str] = {"ok": "ok", "note": "--", "bad": "!!"}
_STYLES: Mapping[Level, Style | None] = {"ok": None, "note": "dim", "bad": "red"}


def doctor(settings: Settings, environ: Mapping[str, str], out: Output) -> int:
    """Print what is there, line by line; 0, or the exit code that a run would end with."""
    report = _Report(out, Redactor(settings.secrets))
    report.line("ok", f"autoagent {__version__}, Python {platform.python_version()}")
    usable = _workspace(settings, report)
    _state(settings, report)
    works = _kinds(environ, report)
    if usable:
        _cage(settings, environ, report)
    _guarantees(works, settings, environ, report)
    _memory(settings, report)
    _terminal(report)
    _model(settings, report)
    if report.code:
        report.line("bad", f"A run would end with exit code {report.code}.")
    else:
        report.line("ok", "A run can start.")
    return report.code


@dataclass(slots=True)
class _Report:
    """Lines for the person; `code` is that of the first fault, in the order of a run."""

    out: Output
    redactor: Redactor
    codes: set[int] = field(default_factory=set)

    def line(self, level: Level, text: str, code: int = 0) -> None:
        self.codes |= {code} - {0}
        shown = escaped(self.redactor.clean(text))
        self.out.line(f"{_MARKS[level]}  {shown}", _STYLES[level])

    def fault(self, error: AutoAgentError) -> None:
        self.line("bad", str(error), error.exit_code)

    @property
    def code(self) -> int:
        return next((code for code in (2, 8, 6, 5) if code in self.codes), 0)


def _workspace(settings: Settings, report: _Report) -> bool:
    """Whether it can be one; whose settings count in it."""
    folder = settings.workspace
    try:
        check_workspace(folder, settings.places)
    except AutoAgentError as error:
        report.fault(error)
        return False
    here = [name for name in trust.FILES if (folder / name).exists()]
    count = [name for name in here if name not in settings.untrusted]
    told = f"its {' and '.join(count)} counts" if count else "no settings of its own count"
    report.line("ok", f"Workspace {folder}; {told}")
    for notice in settings.notices:
        report.line("note", notice)
    own = ", ".join(str(path) for path in settings.files if path.exists())
    report.line("ok", f"Settings from {own or 'no file'}; each: autoagent config")
    return True


def _state(settings: Settings, report: _Report) -> None:
    """The state folder: writable, of what size, on what kind of disk."""
    places, limit = settings.places, settings.keep_size
    try:
        state = private_folder(places.state)
        faults = list(_disk_faults(state))
    except AutoAgentError as error:
        report.fault(error)
        return
    for fault in faults:
        report.line("bad", f"{state}: {fault} Set AUTOAGENT_HOME to a folder elsewhere.", 8)
    sizes = {name: taken(state / name) for name in ("sessions", "memory", "checkpoints")}
    count = len(folders(places.sessions))
    told = ", ".join(f"{name} {spelled(size)}" for name, size in sizes.items())
    free = shutil.disk_usage(state).free
    report.line("ok", f"State in {state}: {count} sessions; {told}; {spelled(free)} free")
    if free < _ROOM:
        report.line("note", "That is little: make room there, or set AUTOAGENT_HOME elsewhere.")
    if limit is not None and sizes["sessions"] + sizes["checkpoints"] > limit:
        report.line("note", f"That is more than {spelled(limit)}; autoagent sessions prune")


def _disk_faults(folder: Path) -> Iterator[str]:
    """What this disk can't, of what a journal needs."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix="doctor-") as file:
            file.write(b"x")
            file.flush()
            try:
                os.fsync(file.fileno())
            except OSError as error:
                yield f"files can't be made durable there (fsync: {error.strerror})."
            try:
                locking.take(file.fileno())
            except OSError as error:
                yield f"files can't be locked there ({error.strerror})."
    except OSError as error:
        yield f"nothing can be written there ({error.strerror})."


def _kinds(environ: Mapping[str, str], report: _Report) -> list[Kind]:
    """Which kinds of cage work here, and why others don't."""
    from commands.sandbox.bounds import Bounds, CageFault
    from commands.sandbox.choose import choose
    from commands.sandbox.landlock import abi
    from commands.sandbox.seccomp import program

    named = {"bubblewrap": _bubblewrap(environ), "landlock": f"Landlock (version {abi()})"}
    works: list[Kind] = []
    with tempfile.TemporaryDirectory(prefix="autoagent-") as folder:
        for kind in KINDS[:2]:
            try:
                choose(kind, Bounds(Path(folder)), environ).close()
                works.append(kind)
                report.line("ok", f"{named[kind]} works")
            except CageFault as fault:
                advice = remedy(str(fault)) if kind == "bubblewrap" else _LANDLOCK
                report.line("note", f"{named[kind]} doesn't work: {fault} {advice}".rstrip())
    try:
        report.line(
            "ok",
            f"Filter of system calls for {platform.machine()}: {len(program()) // 8} instructions",
        )
    except CageFault as fault:
        report.line("note", str(fault))
    return works


def _cage(settings: Settings, environ: Mapping[str, str], report: _Report) -> None:
    """The cage that a run gets."""
    from autoagent.caging import make_cage
    from commands.sandbox.choose import describe
    from commands.workspace import Workspace

    try:
        workspace = Workspace(settings.workspace, protected=settings.protect)
        cage = make_cage(settings, workspace, environ, attended=False)
    except AutoAgentError as error:
        report.fault(error)
        return
    report.line("ok" if cage.kind != "none" else "note", describe(cage))
    cage.close()


def _bubblewrap(environ: Mapping[str, str]) -> str:
    """Its name and version; its name alone where it isn't there."""
    path = f"/usr/bin:{environ.get('PATH', os.defpath)}"
    try:
        said = subprocess.run(  # noqa: S603 (the bubblewrap that a run would take)
            [shutil.which("bwrap", path=path) or "/usr/bin/bwrap", "--version"],
            capture_output=True,
            timeout=_ASK_S,
            cwd="/",
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return "bubblewrap"
    return said.decode(errors="replace").strip()[:60] or "bubblewrap"


def remedy(reason: str, kernel: Path = Path("/proc/sys")) -> str:
    """What a person can do when bubblewrap failed with this reason; `kernel` has its settings."""
    if "not installed" in reason:
        return "Install it: apt install bubblewrap (dnf, pacman, zypper, apk: the same name)."
    if _setting(kernel / "user/max_user_namespaces") == "0":
        return "User namespaces are switched off: sudo sysctl -w user.max_user_namespaces=15000"
    if _setting(kernel / "kernel/unprivileged_userns_clone") == "0":
        return "They are root's alone: sudo sysctl -w kernel.unprivileged_userns_clone=1"
    if _setting(kernel / "kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "AppArmor forbids them: give bwrap a profile that allows userns, or "
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        )
    if any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv")):
        return (
            "This seems to be a container, whose engine may forbid it (Docker: --security-opt "
            "seccomp=unconfined --security-opt apparmor=unconfined), or use the container as cage."
        )
    return "The kernel or a security module forbids it; see `dmesg`."


def _setting(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _guarantees(
    works: list[Kind], settings: Settings, environ: Mapping[str, str], report: _Report
) -> None:
    """The table: each guarantee for each kind that --sandbox allows, as it was found by trying."""
    from commands.sandbox.bounds import CageFault
    from commands.sandbox.guarantees import GUARANTEES, kept

    found: dict[str, dict[str, bool]] = {}
    for kind in KINDS:
        if settings.sandbox in ("auto", kind) and kind in (*works, "none"):
            try:
                found[kind] = kept(kind, _stage(settings), environ)
            except (CageFault, OSError) as fault:
                report.line("note", f"{kind}: not tried: {fault}")
    if not found:
        return
    report.out.line()
    report.out.line(f"{'What was tried here':<56}{''.join(f'{kind:<12}' for kind in found)}")
    for name, words in GUARANTEES.items():
        held = "".join(f"{'yes' if each[name] else 'no':<12}" for each in found.values())
        report.out.line(f"{words:<56}{held}".rstrip())
    report.out.line()


def _stage(settings: Settings) -> Path:
    """Where to try: among the user's own files where possible, not in /tmp, which is hidden."""
    state = settings.places.state
    return state if os.access(state, os.W_OK) else Path(tempfile.gettempdir())


def _memory(settings: Settings, report: _Report) -> None:
    """The file that a run would remember in."""
    from memory_store import StoreError, open_store

    if settings.memory is None:
        report.line("note", "No long-term memory (--memory none).")
        return
    path = settings.places.memory(settings.memory)
    if not path.exists():
        report.line("ok", f"Long-term memory {settings.memory}: nothing in it yet")
        return
    try:
        with open_store(path) as store:
            count = f"{len(store):,} {'memory' if len(store) == 1 else 'memories'}"
            report.line("ok", f"Long-term memory {settings.memory}: {count}")
            for notice in store.notices:
                report.line("note", notice)
    except StoreError as error:
        report.line("bad", f"{error} Or run without it: --memory none.", 8)


def _terminal(report: _Report) -> None:
    """Whether a person could be asked here."""
    if sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty():
        report.line("ok", f"Terminal {os.environ.get('TERM', '')}: a session asks before it acts")
    else:
        report.line("note", "No terminal here: a run asks nobody, so give it a --goal.")


def _model(settings: Settings, report: _Report) -> None:
    """What is configured; nobody else is asked."""
    key = f"key from {settings.sources['api_key']}" if settings.api_key else "no key"
    try:
        pick = chosen(settings, Learned(settings.places.state / "servers.json"))
    except AutoAgentError as error:
        report.fault(error)
        if isinstance(error, NoWay):
            report.line("note", _ASKS)
        return
    url = pick.base_url or OPENAI_URL
    report.line("ok", f"Model {pick.model} at {url} ({key}), window {pick.window:,} tokens")
    for notice in pick.notices:
        report.line("note", notice)
    level, text, code = answered(settings, url, pick.model)
    report.line(level, text, code)


def answered(settings: Settings, url: str, model: str) -> tuple[Level, str, int]:
    """What the server says when it is asked for its models, within a few seconds."""
    import urllib.error

    from autoagent.models.listing import listed

    asked = Asked(url, model, azure=settings.azure)
    try:
        names = listed(
            url, settings.api_key, azure_version=settings.azure_version, timeout_s=_ASK_S
        )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (401, 403):
            said = f"{url} refuses the key: HTTP {error.code}. Check {asked.key_name}."
            return "bad", said, 5
        return "note", f"{url} answers with HTTP {error.code} when asked for its models. {_TRY}", 0
    except (ValueError, TypeError, KeyError):
        return "note", f"{url} answers, but doesn't list its models. {_TRY}", 0
    except OSError as error:
        why = getattr(error, "reason", error)
        start = "See the network" if settings.azure else "Start the server"
        said = f"{url} doesn't answer: {why}. {start}, or set {asked.address_name}."
        return "bad", said, 5
    if settings.azure:
        # What Azure lists are the models that there are, not the deployments that were made.
        said = f"{url} answers; whether it has a deployment {model}, a run will show."
        return "ok", said, 0
    if model in names:
        return "ok", f"{url} answers and has {model}.", 0
    some = ", ".join(names[:5]) or "none"
    return "note", f"{url} answers; {model} isn't among its models ({some}; --model).", 0
