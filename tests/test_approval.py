"""Who must agree to a command: design.md's table, row by row."""

from typing import Any

import pytest

from autoagent.approval import needs_person, scope_of
from autoagent.events import Decided, Executing
from autoagent.reply import Command
from autoagent.state import State
from commands.builtin import catalogue

_COMMANDS = catalogue(interactive=True, disabled=())
_SHELL = {"command_line": "pytest -q"}


def _needs(
    name: str,
    state: State | None = None,
    args: dict[str, Any] | None = None,
    *,
    attended: bool = True,
    caged: bool = True,
) -> bool:
    spec = _COMMANDS.find(name)
    command = Command(name, _SHELL if args is None and spec.effect == "execute" else args or {})
    return needs_person(state or State(), _COMMANDS, spec, command, attended=attended, caged=caged)


@pytest.mark.parametrize(
    "name",
    [
        "read_file",
        "list_files",
        "search_files",
        "read_result",
        "batch",
        "recall",
        "remember",
        "ask_user",
        "start_agent",
        "message_agent",
        "wait_for_agents",
        "list_agents",
        "delete_agent",
        "finish",
        "give_up",
    ],
)
def test_what_only_reads_notes_asks_leads_or_ends_runs_unasked(name: str) -> None:
    assert not _needs(name, args={"commands": []} if name == "batch" else None)


@pytest.mark.parametrize(
    "name",
    [
        "write_file",
        "append_file",
        "edit_file",
        "move_file",
        "delete_file",
        "execute_shell",
        "execute_python",
    ],
)
def test_what_changes_the_workspace_or_runs_code_is_asked_for(name: str) -> None:
    args = {"code": "1"} if name == "execute_python" else None

    assert _needs(name, args=args)


def test_every_effect_of_a_command_is_decided_in_one_of_these_tests() -> None:
    """A new command of a new effect must not slip in unasked."""
    assert {spec.effect for spec in _COMMANDS} <= {
        "read",
        "note",
        "ask",
        "lead",
        "end",
        "change",
        "execute",
        "reach",
    }


@pytest.mark.parametrize("name", [spec.name for spec in _COMMANDS])
def test_unattended_nobody_is_ever_asked(name: str) -> None:
    """There is nobody; what would need a person was refused when the run started."""
    assert not _needs(name, attended=False, args={"code": "1"} if "python" in name else None)


def _after(*events: Decided | Executing) -> State:
    state = State()
    for event in events:
        state.apply(event)
    return state


def test_always_covers_every_command_of_that_name_but_no_other() -> None:
    scope = scope_of(Command("write_file", {}), _COMMANDS.find("write_file"), caged=True)
    state = _after(Decided(1, "run", scope=scope))

    assert scope == "write_file"
    assert not _needs("write_file", state)
    assert _needs("edit_file", state)


def test_always_covers_code_with_exactly_these_arguments() -> None:
    """Two calls that read alike when their arguments are put in a row are two."""
    shell = _COMMANDS.find("execute_shell")
    agreed = {"command_line": "rm -r build 9"}
    scope = scope_of(Command("execute_shell", agreed), shell, caged=True)
    state = _after(Decided(1, "run", scope=scope))

    assert not _needs("execute_shell", state, agreed)
    assert _needs("execute_shell", state, {"command_line": "rm -r build", "timeout_s": 9})
    assert _needs("execute_shell", state, {"command_line": "rm -r build 9 "})


def test_always_covers_the_same_code_under_another_name_of_its_argument() -> None:
    """What is agreed to is what runs, however the model spells it."""
    shell = _COMMANDS.find("execute_shell")
    alias = next(iter(shell.argument_aliases))
    scope = scope_of(Command("execute_shell", {alias: "ls"}), shell, caged=True)

    assert scope == scope_of(Command("execute_shell", {"command_line": "ls"}), shell, caged=True)


def test_code_without_a_cage_is_asked_for_each_time() -> None:
    """No scope is offered, and steps that were let through don't count for it."""
    shell = _COMMANDS.find("execute_shell")
    state = _after(Decided(1, "run", count=9))

    assert scope_of(Command("execute_shell", _SHELL), shell, caged=False) == ""
    assert _needs("execute_shell", state, caged=False)


def test_three_steps_let_through_are_three_and_the_fourth_is_asked_for() -> None:
    """`y -3`: this one and the next two."""
    state = _after(Decided(1, "run", count=3), Executing(1))
    asked = []

    for step in (2, 3, 4):
        asked.append(_needs("write_file", state))
        state.apply(Executing(step))

    assert asked == [False, False, True]
