"""What the README shows is what the program prints."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
_VARIES = (
    (r"/\S*?autoagent-demo-\w+", "/tmp/autoagent-demo"),
    (r"\d{8}-\d{6}-[0-9a-f]{4}", "20261120-231800-5f3a"),
    (r"\d+\.\d s\b", "0.1 s"),
    (r"steps, \d+ s;", "steps, 1 s;"),
    (r"[\d,]+ tokens \(", "9,000 tokens ("),
    (r"(?m)^Cage: .*$", "Cage: …"),
)


def demo() -> str:
    """What `make demo` prints, with what differs from run to run made equal."""
    return settled(said("demo"))


def said(*words: str) -> str:
    """All that the program prints."""
    run = subprocess.run(
        [sys.executable, "-m", "autoagent", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=True,
    )
    return run.stdout


def settled(text: str) -> str:
    for pattern, same in _VARIES:
        text = re.sub(pattern, same, text)
    return text.strip()


def shown() -> str:
    readme = (ROOT / "README.md").read_text("utf-8")
    found = re.search(r"<!-- demo -->\n```text\n(.*?)\n```\n<!-- /demo -->", readme, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_readme_shows_what_the_demo_prints() -> None:
    """A transcript that was typed by hand rots; `python tests/test_readme.py` writes it anew."""
    assert settled(shown()) == demo()


def main() -> None:
    """Put the demo's present transcript into the README."""
    path = ROOT / "README.md"
    begin, end = "<!-- demo -->\n```text\n", "\n```\n<!-- /demo -->"
    readme = path.read_text("utf-8")
    head, rest = readme.split(begin)
    path.write_text(f"{head}{begin}{demo()}{end}{rest.split(end, 1)[1]}", "utf-8")


if __name__ == "__main__":
    main()
