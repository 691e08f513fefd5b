"""Masked and protected paths with a person: named before the command, opened to it alone."""

import os
from pathlib import Path

import pytest

from autoagent.approval import Answer
from autoagent.events import Decided, Event, Executed
from autoagent.scripted import Scripted
from commands.builtin import catalogue
from commands.command import CommandError
from commands.guard import ForbiddenPath
from commands.sandbox.bounds import Bounds
from commands.sandbox.choose import Wanted
from commands.touching import touched
from commands.workspace import Touch, Workspace
from tests.caged import KINDS, bash, cage
from tests.runs import DONE, Run, prompt_text, says
from tests.test_attended import Reader

_COMMANDS = catalogue(interactive=True)
_RUN = Answer(Decided(0, "run"))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """With a repository, secrets, protected tests, and links that lead to each of them."""
    root = tmp_path / "root"
    for folder in (".git/hooks", "tests", "a"):
        (root / folder).mkdir(parents=True)
    for name in (".git/config", "tests/t.py", "a/f", ".env", "free"):
        (root / name).write_text("as it was\n")
    for name, leads in {"g": ".git", "t": "tests", "e": ".env"}.items():
        (root / name).symlink_to(leads)
    return Workspace(root, protected=["tests"])


def _do(workspace: Workspace, touch: Touch, *paths: str) -> None:
    match touch:
        case "read":
            workspace.read(paths[0], 100)
        case "write":
            workspace.write(paths[0], b"changed")
        case "delete":
            workspace.delete(paths[0])
        case "move":
            workspace.move(*paths)


TOUCHES: list[tuple[Touch, tuple[str, ...], list[str]]] = [
    ("read", (".env",), [".env"]),
    ("read", ("e",), [".env"]),
    ("read", ("a/../.env",), ["a/../.env", ".env"]),
    ("read", (".git/config",), []),
    ("read", ("free",), []),
    ("write", (".env",), [".env"]),
    ("write", ("g/config",), [".git/config"]),
    ("write", (".git/hooks/pre-commit",), [".git/hooks/pre-commit"]),
    ("write", (".vscode/new",), [".vscode/new"]),
    ("write", ("t/new.py",), ["tests/new.py"]),
    ("write", ("free",), []),
    ("delete", ("tests/t.py",), ["tests/t.py"]),
    ("delete", ("e",), []),
    ("delete", ("a/f",), []),
    ("move", ("tests/t.py", ".git/hooks/t"), ["tests/t.py", ".git/hooks/t"]),
    ("move", ("tests", "moved"), ["tests"]),
    ("move", ("a", "b"), []),
]


@pytest.mark.parametrize(("touch", "paths", "places"), TOUCHES)
def test_what_would_be_refused_is_named_before_and_opened_it_works(
    workspace: Workspace, touch: Touch, paths: tuple[str, ...], places: list[str]
) -> None:
    """Exactly what the command meets: a person must not agree to less than what happens."""
    found = workspace.forbidden(touch, *paths)
    if places:
        with pytest.raises(ForbiddenPath):
            _do(workspace, touch, *paths)

    with workspace.permitting(refusal.place for refusal in found):
        _do(workspace, touch, *paths)

    assert [refusal.place for refusal in found] == places


@pytest.mark.parametrize(("touch", "paths", "places"), [t for t in TOUCHES if t[2]])
def test_each_place_has_to_be_opened_and_afterwards_all_are_closed(
    workspace: Workspace, touch: Touch, paths: tuple[str, ...], places: list[str]
) -> None:
    """A yes for one path is none for another, nor for the next command."""
    for missing in places:
        others = [place for place in places if place != missing]
        with workspace.permitting([*others, "free"]), pytest.raises(ForbiddenPath):
            _do(workspace, touch, *paths)
    with workspace.permitting(places):
        pass

    with pytest.raises(ForbiddenPath):
        _do(workspace, touch, *paths)


def test_a_link_that_is_swapped_after_the_yes_leads_nowhere_new(workspace: Workspace) -> None:
    """A process beside the question may do that."""
    (workspace.root / "x").symlink_to("tests/t.py")
    places = [refusal.place for refusal in workspace.forbidden("write", "x")]
    (workspace.root / "x").unlink()
    (workspace.root / "x").symlink_to(".git/config")

    with workspace.permitting(places), pytest.raises(ForbiddenPath):
        workspace.write("x", b"changed")


@pytest.mark.parametrize("path", ["", "no/such", "../out", "\0", "free/f", "a"])
def test_what_fails_otherwise_needs_nobody(workspace: Workspace, path: str) -> None:
    """It is asked for when it can work, and its error reaches the model as always."""
    assert workspace.forbidden("read", path) == []
    with pytest.raises(CommandError):
        workspace.read(path, 10)


@pytest.mark.parametrize(
    ("name", "args", "places"),
    [
        ("read_file", {"path": ".env"}, [".env"]),
        ("search_files", {"pattern": "x", "path": "e"}, [".env"]),
        ("search_files", {"pattern": "x"}, []),
        ("list_files", {"path": "."}, []),
        ("write_file", {"path": "tests/n", "content": ""}, ["tests/n"]),
        ("append_file", {"path": "tests/t.py", "content": "x"}, ["tests/t.py"]),
        ("edit_file", {"path": "tests/t.py", "old": "a", "new": "b"}, ["tests/t.py"]),
        ("move_file", {"source": "free", "target": "tests/n"}, ["tests/n"]),
        ("delete_file", {"path": "tests/t.py"}, ["tests/t.py"]),
        ("execute_shell", {"command_line": "cat .env"}, []),
    ],
)
def test_each_command_on_files_is_looked_at_alone_and_in_a_batch(
    workspace: Workspace, name: str, args: dict[str, object], places: list[str]
) -> None:
    """What a shell touches, the cage decides."""
    spec = _COMMANDS.find(name)
    call = {"name": name, "args": args}
    batch = _COMMANDS.find("batch")

    alone = touched(workspace, _COMMANDS, spec, spec.checked(args))
    together = touched(workspace, _COMMANDS, batch, {"commands": [call, {"name": 1}, {}]})

    assert [refusal.place for refusal in alone] == places
    assert [refusal.place for refusal in together] == places


def _decided(events: list[Event]) -> list[Decided]:
    return [event for event in events if isinstance(event, Decided)]


def _ok(events: list[Event]) -> list[bool]:
    return [event.ok for event in events if isinstance(event, Executed)]


_HOOK = says("write_file", path=".git/hooks/pre-commit", content="x")


def test_neither_free_steps_nor_always_answer_for_a_protected_path(tmp_path: Path) -> None:
    """design.md's table; and "always" isn't offered there."""
    answers = (Answer(Decided(1, "run", count=9, scope="write_file")), _RUN, _RUN)
    person = Reader(*answers)
    free = says("write_file", path="free", content="x")
    run = Run(tmp_path, free, _HOOK, free, _HOOK, DONE, person=person)

    events = list(run)

    said = "'.git/hooks/pre-commit' is protected: only git changes git's own files"
    assert person.asked == [(1, "write_file"), (2, "write_file"), (4, "write_file")]
    assert (person.warned, person.scopes) == ([said, said], ["write_file", "", ""])
    assert [event.paths for event in _decided(events)][1:] == [(".git/hooks/pre-commit",)] * 2
    assert _ok(events) == [True] * 5
    assert (run.workspace / ".git/hooks/pre-commit").read_text() == "x"


def test_reading_a_masked_file_is_asked_for_and_works_once(tmp_path: Path) -> None:
    """Reading runs unasked otherwise."""
    person = Reader(_RUN)
    model = Scripted([says("read_file", path=".env"), says("list_files"), DONE])
    run = Run(tmp_path, model=model, person=person)
    (run.workspace / ".env").write_text("PORT=8080\n")

    list(run)

    assert person.asked == [(1, "read_file")]
    assert "PORT=8080" in prompt_text(model.prompts[-1])


def test_unattended_it_is_refused_and_final(tmp_path: Path) -> None:
    """Nobody is there to be asked."""
    run = Run(tmp_path, _HOOK, says("give_up", reason="refused"))

    events = list(run)

    refused = next(event for event in events if isinstance(event, Executed))
    assert (refused.refused, _decided(events)) == (True, [])
    assert "This refusal is final" in refused.text
    assert not (run.workspace / ".git").exists()


def test_a_command_that_was_edited_into_a_protected_path_is_asked_for_again(
    tmp_path: Path,
) -> None:
    """Whoever typed it has not been told the reason yet."""
    args = {"path": ".bashrc", "content": "y"}
    edited = Answer(Decided(1, "edit", "yes", "write_file", args))
    person = Reader(edited, _RUN)
    run = Run(tmp_path, says("write_file", path="a", content="x"), DONE, person=person)

    list(run)

    assert person.warned == ["'.bashrc' is protected from change"]
    assert (run.workspace / ".bashrc").read_text() == "y"


def test_a_yes_that_was_cut_off_before_the_command_ran_still_opens_it(tmp_path: Path) -> None:
    """The journal holds what was agreed to; nobody is asked twice."""
    first = Run(tmp_path, _HOOK, person=Reader(_RUN))
    for event in first:
        if isinstance(event, Decided):
            break
    resumed = Run(tmp_path, DONE, person=Reader())

    events = list(resumed)

    assert _ok(events) == [True, True]
    assert (resumed.workspace / ".git/hooks/pre-commit").read_text() == "x"


@KINDS
def test_what_a_person_let_be_made_stays_and_is_kept_from_then_on(
    kind: Wanted, tmp_path: Path
) -> None:
    """The look after the next command took it for a command's work and moved it away."""
    root = tmp_path / "home/project"
    (root / ".git/hooks").mkdir(parents=True)
    workspace = Workspace(root)
    bounds = Bounds(
        workspace.root,
        workspace.protected_paths,
        workspace.masked_paths,
        quarantine=tmp_path / "quarantine",
    )
    made = cage(kind, bounds, tmp_path / "home")
    bash(made, "true")
    paths = (".bashrc", ".vscode/tasks.json", ".git/hooks/pre-commit", ".env")
    with workspace.permitting(paths):
        for path in paths:
            workspace.write(path, b"theirs")
    made.accept(paths)

    said = bash(made, "echo worse > .bashrc; cat .env; rm -rf .vscode")
    made.close()

    left = [path for path in paths if (root / path).exists()]
    if kind == "bubblewrap":
        assert (left, (root / ".bashrc").read_text()) == (list(paths), "theirs")
        assert "theirs" not in said
    else:
        assert left == [".bashrc", ".git/hooks/pre-commit", ".env"]
    assert not os.path.lexists(tmp_path / "quarantine")
