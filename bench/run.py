"""The figures of a session, each as a ratio to a yardstick of the same run, in under a minute.

python bench/run.py, with the Python that autoagent is installed for; the targets beside the
figures stand in docs/architecture.md. Nothing here fails: a figure is to be looked at.
"""

import re
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import startup
import steps
from yardstick import ROOT, figure

PACKAGES = ("autoagent", "commands", "memory_store")


def main() -> None:
    """Print one line a figure."""
    startup.main()
    steps.main()
    report_size()


def report_size() -> None:
    """What an environment has to hold besides Python itself, compiled files included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    sizes = {found.name: size_of(found) for found in closure(project["dependencies"])}
    own = sum(p.stat().st_size for name in PACKAGES for p in (ROOT / name).rglob("*.py")) / 1e6
    largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
    named = ", ".join(f"{name} {sizes[name]:.0f}" for name in largest)
    figure(f"installed, {len(sizes)} packages ({named})", f"{sum(sizes.values()) + own:.0f} MB")


def closure(requirements: list[str]) -> list[Distribution]:
    """The distributions that these need here, each once; what isn't installed needs none."""
    found: dict[str, Distribution] = {}
    wanted = list(requirements)
    while wanted:
        name, *conditions = re.split(r"[\s<>=!~;\[(]", wanted.pop(), maxsplit=1)
        if name in found or "extra ==" in "".join(conditions):
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        wanted += found[name].requires or []
    return list(found.values())


def size_of(found: Distribution) -> float:
    """MB of its files."""
    paths = (Path(str(file.locate())) for file in found.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


if __name__ == "__main__":
    main()
