"""The pages of docs/ and the README name only what there is: command lines that can be typed,
files, anchors, options, subcommands, variables, settings; and each of these stands on a page.

What a page's own test runs as a whole is parsed here all the same; it costs nothing.
"""

import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoagent.configuration import settings
from autoagent.configuration.options import OPTIONS, parse
from autoagent.configuration.sources import ALSO_IN_FILES, VARIABLES
from autoagent.configuration.usage import ACTIONS, OWN, SUBCOMMANDS
from tests.program import ROOT, Program

DOCS = ROOT / "docs"
PAGES = {path.name: path.read_text("utf-8") for path in sorted(DOCS.glob("*.md"))}
PAGES["../README.md"] = (ROOT / "README.md").read_text("utf-8")
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SHELL = frozenset({"sh", "", "yaml", "crontab", "text"})
_OPERATORS = frozenset("|&;()<>")
_FLAGS = frozenset(
    flag
    for option in (*OPTIONS.values(), *(own for each in OWN.values() for own in each))
    for flag in option.flags
)
# Of every program, and of vllm, curl and bubblewrap.
_OTHER_FLAGS = frozenset(
    {"--help", "--version", "--max-model-len", "--data-binary", "--die-with-parent"}
)
# What the pages' lines name has to be there.
_FILES = {
    "tickets.py": "",
    "a.toml": "",
    ".env": "",
    "verdict.json": "{}",
    "ai_settings.yaml": "ai_goals: [go]\n",
}


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """The language and the lines of each fenced text, and of each indented one."""
    for indent, language, inner in _FENCE.findall(text):
        yield language, re.sub(rf"^{indent}", "", inner, flags=re.MULTILINE)
    for inner in re.findall(r"(?:^    .*\n)+", _FENCE.sub("", text), re.MULTILINE):
        yield "sh", inner


def command_lines(text: str) -> Iterator[list[str]]:
    """The words after each `autoagent` that stands where a shell would run it.

    In a transcript only what is typed at `$ `; three blanks begin what explains a line.
    """
    for language, inner in blocks(text):
        if language not in _SHELL:
            continue
        lines = re.sub(r"\s*\\\n\s*", " ", inner).splitlines()
        typed = [line[2:] for line in lines if line.startswith("$ ")]
        for line in typed if typed or language == "text" else lines:
            if "autoagent" in line:
                yield from _ours(re.split(r"(?<=\S) {3,}", line.strip())[0])


def _ours(line: str) -> Iterator[list[str]]:
    # What leads a stream elsewhere isn't a word of the command.
    lexer = shlex.shlex(re.sub(r" \d*>&?\S+", "", line), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    command: list[str] = []
    for word in [*lexer, ";"]:
        if not set(word) <= _OPERATORS or not word:
            command.append(word)
            continue
        while command and (re.fullmatch(r"[A-Z_]+=.*", command[0]) or command[0] == "nohup"):
            del command[0]
        if command[:1] == ["autoagent"]:
            yield command[1:]
        command = []


def folder(root: Path) -> Path:
    """A workspace with the files that the pages' lines name."""
    work = root / "home" / "work"
    work.mkdir(parents=True)
    for name, text in _FILES.items():
        (work / name).write_text(text)
    return work


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_of_a_page_is_one_that_the_program_takes(
    tmp_path: Path, page: str
) -> None:
    """Words and values, by the program's own reader; what runs then is for other tests."""
    work = folder(tmp_path)
    for words in command_lines(PAGES[page]):
        # Dots hold the place of a goal, which a person fills in.
        filled = ["a goal" if word == "…" else word for word in words]
        given = parse([word for word in filled if word != "$@"])

        if given.command not in ("help", "version", "completion"):
            found = settings.load(given, {"HOME": str(work.parent)}, cwd=work)
            assert found.workspace == work


def test_command_lines_are_found_where_pages_write_them() -> None:
    """A reader that finds nothing would call every page right."""
    page = """
```sh
git diff | autoagent -g "review" - --output-format json
A=b autoagent doctor && autoagent sandbox -- sh x.sh   # a comment
source <(autoagent completion bash) # in a file
autoagent --goal "a" \\
  --on-end 'cat | mail me' 2>~/night.log >&2 &
```

```text
$ autoagent undo --to 0
  autoagent --resume ID
```

    autoagent diff            # what the session changed
"""

    assert [*command_lines(page)] == [
        ["-g", "review", "-", "--output-format", "json"],
        ["doctor"],
        ["sandbox", "--", "sh", "x.sh"],
        ["completion", "bash"],
        ["--goal", "a", "--on-end", "cat | mail me"],
        ["undo", "--to", "0"],
        ["diff"],
    ]


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_the_cage_can_be_tried_as_its_page_says(tmp_path: Path) -> None:
    """Three things that somebody would try first, and what is left of them outside."""
    program = Program(tmp_path)
    (words,) = [each for each in command_lines(PAGES["cage.md"]) if each[0] == "sandbox"]

    done = program.run(*words)

    assert words[4] == "touch ~/x; ls -a ~; curl https://example.org"
    assert "x" in done.out.splitlines()
    assert not (tmp_path / "home" / "x").exists()
    assert (done.code, "Could not resolve host" in done.err) == (6, True)


def anchors(text: str) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    bare = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in bare}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    """To a file of the repository, and there to a heading that exists."""
    for target in re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", PAGES[page])):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (DOCS / page).resolve().parent / name if name else (DOCS / page).resolve()
        assert path.is_file(), target
        assert not anchor or anchor in anchors(path.read_text("utf-8")), target


def test_the_index_names_each_page_once() -> None:
    """What isn't in it isn't found."""
    named = re.findall(r"\]\((\w[\w-]*\.md)\)", PAGES["README.md"])

    assert sorted(named) == sorted(PAGES.keys() - {"README.md", "../README.md"})


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_no_option_subcommand_or_setting_that_does_not_exist(page: str) -> None:
    """In running text as well, and in files that are shown."""
    text = PAGES[page]
    spans = re.findall(r"`autoagent ([^`]+)`", text)
    first = [span.split()[0] for span in spans]
    second = [span.split()[:2] for span in spans if span.split()[0] in ACTIONS]
    keys = set(re.findall(r"`([a-z_]+) = ", text))
    for language, inner in blocks(text):
        if language == "toml":
            keys |= {key for key in tomllib.loads(inner) if key != "project"}

    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= _FLAGS | _OTHER_FLAGS
    assert {word for word in first if re.match(r"[a-z]", word)} <= SUBCOMMANDS.keys()
    assert [words for words in second if words[1:] and words[1] not in ACTIONS[words[0]]] == []
    assert keys <= OPTIONS.keys() | ALSO_IN_FILES


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_no_variable_that_does_not_exist(page: str) -> None:
    """One that is misspelled does nothing, and nothing tells why."""
    named = set(re.findall(r"\b(?:AUTOAGENT|AZURE|OPENAI)_[A-Z_]+\b", PAGES[page]))

    assert named <= {*VARIABLES, "AUTOAGENT_HOME"}


def test_every_subcommand_option_and_variable_stands_on_a_page() -> None:
    """An option counts by a flag of it, or by its key in the table of settings."""
    text = "\n".join(PAGES.values())
    described = {*re.findall(r"(?<![\w-])--?[A-Za-z][a-z-]*", text)}
    keys = {*re.findall(r"^\| `(\w+)` \|", PAGES["settings.md"], re.MULTILINE)}
    every = (*OPTIONS.values(), *(option for own in OWN.values() for option in own))
    actions = [f"{name} {action}" for name, each in ACTIONS.items() for action in each]

    assert [o.key for o in every if not described & {*o.flags} and o.key not in keys] == []
    for words in (*SUBCOMMANDS, *actions):
        assert re.search(rf"autoagent {words}\b", text), words
    assert [name for name in VARIABLES if name not in PAGES["settings.md"]] == []
