"""Folders outside the system that the programs on PATH need, and none that could hold a key."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

SYSTEM = tuple(
    Path(path)
    for path in (
        *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt"),
        *("/nix/store", "/gnu/store", "/run/current-system"),
    )
)
_NEVER = tuple(Path(path) for path in ("/dev", "/media", "/mnt", "/proc", "/run", "/srv", "/sys"))
# What stands beside the bin folder of something installed.
_MARKS = ("pyvenv.cfg", "conda-meta", "lib/node_modules", "lib/rustlib", "lib/jvm.cfg", "pkg/tool")
# Settings that may hold a password or a token, seen from the root of a toolchain.
_CREDENTIALS = (".env", ".npmrc", ".netrc", ".condarc", "condarc", "etc/npmrc", "pip.conf")
_ENVIRONMENTS = (".venv", "venv")
_MOST_LINKS = 20


def beneath_any(path: Path, folders: Sequence[Path]) -> bool:
    """Whether path is one of the folders or lies in one."""
    above = {path, *path.parents}
    return any(folder in above for folder in folders)


def search_path(path: str) -> list[Path]:
    """The folders of a PATH variable that are absolute and readable, each once."""
    folders = (Path(os.path.normpath(p)) for p in path.split(os.pathsep) if p.startswith("/"))
    return [p for p in dict.fromkeys(folders) if os.access(p, os.R_OK | os.X_OK) and p.is_dir()]


def workspace_python(root: Path) -> Path | None:
    """The interpreter of the workspace's own environment, if it has one."""
    pythons = (root / name / "bin/python" for name in _ENVIRONMENTS)
    return next((python for python in pythons if os.access(python, os.X_OK)), None)


def toolchains(path: Sequence[Path], home: Path, env: Mapping[str, str]) -> set[Path]:
    """What to show of the machine besides the system, so that the programs in `path` run."""
    shown: set[Path] = set()
    installed = cache(lambda folder: _installed(folder, home))
    for folder in path:
        if beneath_any(folder, (*SYSTEM, *_NEVER)):
            continue
        shown.add(_whole(folder, home))
        with os.scandir(folder) as programs:
            links = [folder / program.name for program in programs if program.is_symlink()]
        for link in links:
            shown.update(_behind(link, installed))
        if os.access(folder / "rustup", os.X_OK):
            shown.add(Path(env.get("RUSTUP_HOME", home / ".rustup")))
        if folder == home / ".local/bin":
            shown.add(home / ".local/lib")
    outermost = {folder for folder in shown if not shown.intersection(folder.parents)}
    return {folder for folder in outermost if os.access(folder, os.R_OK | os.X_OK)}


def behind_environment(root: Path, home: Path) -> set[Path]:
    """The Python installation that the workspace's own environment stands on.

    Its links are the workspace's, so a stranger's: they show an installation or nothing.
    """
    python = workspace_python(root)
    return set(_behind(python, lambda found: _python(found, home))) if python else set()


def our_python(home: Path) -> tuple[Path, list[Path]]:
    """The interpreter that runs us, outside of any environment, and what it needs to run."""
    base = Path(sys.base_prefix)
    version = "python{}.{}".format(*sys.version_info)
    program = base / "bin" / version
    if not os.access(program, os.X_OK):
        program = Path(sys.executable).resolve()
    if _python(base / "bin", home):
        return program, [base]
    libraries = (base / "lib").glob(f"lib{version}*.so*")
    return program, [program, Path(os.__file__).parent, *libraries]


def credentials(folder: Path) -> Iterator[Path]:
    """Files of a toolchain that commands must not read."""
    return (folder / name for name in _CREDENTIALS if os.access(folder / name, os.F_OK))


def _behind(program: Path, accepted: Callable[[Path], bool]) -> Iterator[Path]:
    """The installations that the links of a program lead through."""
    for _ in range(_MOST_LINKS):
        try:
            target = program.readlink()
        except OSError:  # no link: the end of the chain
            return
        program = Path(os.path.normpath(program.parent / target))
        if accepted(program.parent):
            yield program.parent.parent


def _whole(folder: Path, home: Path) -> Path:
    """The toolchain that a folder of PATH belongs to, or just the folder."""
    if folder.name == "shims" and not _keeps_things(folder.parent, home):
        return folder.parent
    return folder.parent if _installed(folder, home) else folder


def _installed(folder: Path, home: Path) -> bool:
    """Whether this is the bin folder of something installed."""
    if folder.name not in ("bin", "condabin") or _keeps_things(folder.parent, home):
        return False
    return _python(folder, home) or any(os.access(folder.parent / mark, os.F_OK) for mark in _MARKS)


def _python(folder: Path, home: Path) -> bool:
    """Whether this is the bin folder of a whole Python."""
    if folder.name != "bin" or _keeps_things(folder.parent, home):
        return False
    with suppress(OSError):
        return any(folder.parent.glob("lib/python3*/os.py"))
    return False


def _keeps_things(folder: Path, home: Path) -> bool:
    """Whether people keep more there than a toolchain, or the system is there anyway."""
    if beneath_any(folder, (*SYSTEM, *_NEVER)) or folder == home / ".local":
        return True
    return home.is_relative_to(folder) or home.resolve().is_relative_to(folder.resolve())
