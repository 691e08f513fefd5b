"""The transcripts of docs/first-run.md are what a newcomer sees; `python -m
tests.test_first_run` writes them anew."""

import json
import re
import tempfile
from pathlib import Path

import pytest

from autoagent.models.servers import LOCAL_PORTS
from tests.emulated import CTRL_D, ENTER
from tests.fake_openai import Answer
from tests.machine import Machine, served
from tests.program import KEY, ROOT, says
from tests.transcripts import ENDS, PROMPT, played, put, shown

PAGE = "first-run.md"
NAMES = ("setup", "first", "help", "undo")
_PORTS = ", ".join(map(str, LOCAL_PORTS))
_GOALS = "an empty line ends.\n> "  # without goals it shows a line to type in, too
_SORT = "for f in 20*.txt; do mkdir -p ${f%%-*}; mv $f ${f%%-*}/; done"


def _reply(number: int, thoughts: str, name: str, *plan: str, **args: str) -> Answer:
    """A reply with a bill that is the same on each machine."""
    said = {"thoughts": thoughts, "command": {"name": name, "args": args}}
    said |= {"plan": plan} if plan else {}
    sent = 900 + 200 * number
    bill = {
        "prompt_tokens": sent,
        "completion_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": sent - 200 if number > 1 else 0},
    }
    return Answer(json.dumps(said), usage=bill)


def transcripts(root: Path) -> dict[str, str]:
    """A first session, and what undoes it; from the same screen the explanation of `?`."""
    replies = [
        _reply(1, "First I look at what there is.", "list_files", "sort the notes", "list them"),
        _reply(2, "Each name begins with its year.", "execute_shell", command_line=_SORT),
        _reply(3, "A list may help.", "write_file", path="LIST.md", content="# 2024\n# 2025\n"),
        _reply(4, "Sorted, and no list.", "finish", answer="The notes lie in 2024/ and 2025/."),
    ]
    with served([*replies, replies[1]]) as server:
        machine = Machine(root, server, "notes")
        for day in ("2024-11-02", "2025-01-15", "2025-03-08"):
            (machine.folder / f"{day}.txt").write_text(f"{day}\n")
        run = played(
            machine,
            [
                (PROMPT, "autoagent"),
                (_GOALS, f"Sort the notes into a folder for each year{ENTER}"),
                ("exactly this: ", "y"),
                ("every write_file: ", "No list, please."),
            ],
        )
        undo = played(machine, [(PROMPT, "ls"), (ENDS, "autoagent undo --to 0"), (ENDS, "ls")])
        asked = played(
            machine,
            [(PROMPT, 'autoagent "Sort"'), ("exactly this: ", "?"), ("exactly this: ", "q")],
        )
    explained = re.search(r"exactly this: \?\n(.*?)\nRun it\?", asked, re.DOTALL)
    assert explained is not None
    return {"setup": _set_up(root / "new"), "first": run, "help": explained[1], "undo": undo}


def _set_up(root: Path) -> str:
    """What a machine asks that knows no way to a model, up to the question for the goals."""
    with served(["Hello."], key=KEY) as server:
        machine = Machine(root, server, "notes")
        (machine.home / ".config/autoagent/.env").write_text("AUTOAGENT_LOCAL_PORTS=9\n")
        screen = played(
            machine,
            [
                (PROMPT, "autoagent"),
                ("Which? 1/2/3: ", "1"),
                ("/v1): ", server.base_url),
                ("shown): ", KEY),
                (_GOALS, CTRL_D),
            ],
        )
    asked, _, _ = screen.partition("\n\nWhat shall")
    usual = (server.base_url, "https://api.example.org/v1"), ("ports 9 ", f"ports {_PORTS} ")
    for here, there in usual:
        asked = asked.replace(here, there)
    return asked


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return transcripts(tmp_path_factory.mktemp("machine"))


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_what_a_newcomer_sees(now: dict[str, str], name: str) -> None:
    """Whoever follows it compares it with their own screen."""
    assert shown(PAGE, name) == now[name]


def test_what_the_page_says_of_the_notes_is_so() -> None:
    """The prose names the files and answers of the transcript."""
    page = (ROOT / "docs" / PAGE).read_text("utf-8")

    assert all(f"`{day}.txt`" in page for day in ("2024-11-02", "2025-01-15", "2025-03-08"))
    assert shown(PAGE, "first").count("Run it? ") == 2


def test_the_last_lines_of_the_page_do_what_they_say(tmp_path: Path) -> None:
    """One of them asks for the goal, the others don't."""
    page = (ROOT / "docs" / PAGE).read_text("utf-8")
    lines = re.findall(r"^(autoagent --.*?)  +# ", page, re.MULTILINE)
    with served([says("finish", answer=f"Answer {n}.") for n in range(len(lines))]) as server:
        typed = [said for line in lines for said in ((ENDS, line), *_goals(line))]
        screen = played(Machine(tmp_path, server), [(PROMPT, "ls"), *typed])

    assert [line.partition(" ")[2][:7] for line in lines] == ["--goal ", "--conti", "--dry-r"]
    assert re.findall(r"^Answer \d\.$", screen, re.MULTILINE) == [f"Answer {n}." for n in range(3)]
    assert screen.count("Done by the model's word.") == 3


def _goals(line: str) -> list[tuple[str, str]]:
    """What is typed when it asks for goals."""
    return [(_GOALS, f"Say hello{ENTER}")] if "--continuous" in line else []


def main() -> None:
    """Put the present transcripts into the page."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in transcripts(Path(folder)).items():
            put(PAGE, name, text)


if __name__ == "__main__":
    main()
