"""The variables that a command gets: a short list, so that no key is among them."""

from collections.abc import Iterable, Mapping

_KEPT = ("LANG", "LANGUAGE", "LOGNAME", "TZ", "USER")
# Where a tool on PATH looks for the rest of itself.
_TOOLS = ("PYENV_ROOT", "PYENV_VERSION", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "JAVA_HOME", "GOROOT")


def scrubbed(
    source: Mapping[str, str], *, home: str, path: str, scratch: str, passed: Iterable[str] = ()
) -> dict[str, str]:
    """The environment for a command; `scratch` is its folder for temporary files."""
    names = {*_KEPT, *_TOOLS, *passed, *(name for name in source if name.startswith("LC_"))}
    return {
        "LANG": "C.UTF-8",
        **{name: source[name] for name in sorted(names) if name in source},
        "HOME": home,
        "PATH": path,
        "TERM": "dumb",
        "TMPDIR": scratch,
        # No __pycache__ among the user's files, and a stopped program's output isn't lost.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
