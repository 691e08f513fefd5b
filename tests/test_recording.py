"""docs/session.svg in the README: what the program shows, made by running it.

`python -m tests.test_recording` makes it anew.
"""

import json
import tempfile
from pathlib import Path
from threading import Event

from tests.emulated import ENTER, emulated
from tests.fake_openai import Answer, Scripted
from tests.program import ROOT
from tests.recording import picture, text_of

_PICTURE = ROOT / "docs" / "session.svg"
_SIZE = (96, 70)
_CART = '''"""A shopping cart."""


def total(items):
    """Price times quantity, less 10 % from 100 on."""
    amount = sum(price * quantity for price, quantity in items)
    if amount > 100:
        amount *= 0.9
    return amount
'''
_TEST = """import time
from cart import total

print("a small cart", flush=True)
assert total([(10, 2)]) == 20
print("a cart of exactly 100", flush=True)
assert total([(50, 2)]) == 90
while True:
    time.sleep(1)
"""


def _reply(thoughts: str, plan: list[str], name: str, **args: str) -> str:
    command = {"name": name, "args": args}
    return json.dumps({"thoughts": thoughts, "plan": plan, "command": command})


_REPLIES: list[Scripted] = [
    _reply(
        "I read the code before I change it.",
        ["read cart.py", "mend the discount", "run the test"],
        "read_file",
        path="cart.py",
    ),
    _reply(
        "`> 100` leaves out 100 itself.",
        ["mend the discount", "run the test"],
        "edit_file",
        path="cart.py",
        old="amount > 100:",
        new="amount >= 100:",
    ),
    _reply(
        "The edit is in; now I run the test.",
        ["run the test"],
        "execute_shell",
        command_line="python3 test_cart.py",
    ),
    Answer("", hold=Event()),
]


def recorded(folder: Path) -> str:
    """A goal, a difference that is agreed to, a test that runs, words that wait."""
    home = str(folder)
    with emulated(folder, _REPLIES, size=_SIZE, HOME=home) as seen:
        (seen.workspace / "cart.py").write_text(_CART)
        (seen.workspace / "test_cart.py").write_text(_TEST)
        seen.sees("What shall be reached?")
        seen.types("Make test_cart.py pass without changing it." + ENTER + ENTER)
        seen.answers("Run it?", "y")
        seen.answers("Run it? y/n/e/d/s/q/?, a = exactly this", "y -5")
        seen.sees("  | a cart of exactly 100")
        seen.types("Add a test for an empty cart, too." + ENTER)
        seen.sees("queued: ")
        seen.types("And then")
        seen.sees("> And then")
        return picture(seen, "What shall be reached?")


def test_the_picture_in_the_readme_is_what_the_program_shows(tmp_path: Path) -> None:
    """But for numbers, which differ from run to run."""
    assert text_of(recorded(tmp_path)) == text_of(_PICTURE.read_text())
    assert "(docs/session.svg)" in (ROOT / "README.md").read_text()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        _PICTURE.write_text(recorded(Path(folder)))
