"""Which roles there are, whom they come from, and what an agent in one may use."""

import os
from pathlib import Path

import pytest

from autoagent.assembling import Inputs
from autoagent.configuration import options, settings, trust
from autoagent.configuration.role_files import RoleFile, of_folder, of_workspace
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError
from autoagent.subcommands.completion import script
from autoagent.team.acting import in_role
from autoagent.team.role_file import Role, read_role
from autoagent.team.role_names import SHIPPED
from autoagent.team.roles import (
    found_roles,
    restricted,
    role_named,
    unknown_tools,
    writes,
)
from autoagent.team.tool_names import is_usual
from autoagent.tokens import estimate
from commands.builtin import catalogue
from commands.command import Argument, CommandError, CommandSpec, Result

ALL = catalogue(interactive=True)
TICKET = CommandSpec(
    "ticket", "", (Argument("number", "int", True),), "change", lambda _: Result(), own=True
)


def role(head: str, body: str = "You look.", stem: str = "audit") -> Role:
    """The role of a file with these fields."""
    return read_role(RoleFile("audit.md", stem, f"---\n{head}\n---\n{body}\n".encode()))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "work"
    (folder / ".agents" / "agents").mkdir(parents=True)
    return folder


def loaded(workspace: Path, *argv: str) -> Settings:
    environ = {"HOME": str(workspace.parent)}
    return settings.load(options.parse(["-g", "x", *argv]), environ, cwd=workspace)


def put(folder: Path, name: str, head: str = "", body: str = "You look.") -> Path:
    """A role's file in that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"---\n{head}\n---\n{body}\n")
    return folder / name


def test_a_command_that_a_role_has_not_is_answered_with_what_it_has() -> None:
    """By its alias, too; the nearest name would send a small model in circles."""
    few = restricted(ALL, role("tools: Read, Grep"))

    for name in ("write_file", "write_to_file"):
        with pytest.raises(CommandError) as refused:
            few.find(name)
        assert str(refused.value) == (
            f"You may not use {name!r}. You have: read_file, search_files, read_result, batch, "
            "ask_user, finish, give_up."
        )
    with pytest.raises(CommandError, match="Did you mean read_file"):
        few.find("read_fil")


def test_only_a_command_that_changes_files_opens_the_workspace() -> None:
    """Programs in the cage may write only where the agent may; one's own run outside of it."""
    with_own = catalogue(interactive=False, own=[TICKET])

    assert writes(restricted(ALL, role("tools: Read, Write")))
    assert not writes(restricted(ALL, role("tools: Read, Bash, WebFetch")))
    assert not writes(restricted(with_own, role("tools: ticket, Bash")))


def test_tools_that_nothing_here_is_like_are_said_once_the_commands_are_known() -> None:
    """A command of the user's own is one; what another program lacks here is not."""
    found = role("tools: Read, ticket, TodoWrite, mcp__x__y, remember")
    here = catalogue(interactive=False, own=[TICKET], remembers=False)

    assert unknown_tools(found, here) == [
        "audit.md: there is nothing here like TodoWrite, mcp__x__y; left out of its tools."
    ]
    assert "ticket" in {spec.name for spec in restricted(here, found)}


def test_the_shipped_roles_are_short_and_name_what_there_is() -> None:
    """150 tokens are what a small model follows; each may do what its description says."""
    roles = {f.stem: read_role(f) for f in of_folder(SHIPPED) if isinstance(f, RoleFile)}

    assert sorted(roles) == ["coder", "researcher", "reviewer", "tester"]
    for name, each in roles.items():
        assert (each.name, each.warnings, each.model) == (name, (), None)
        assert estimate(each.prompt) < 150
        assert each.tools is not None and all(map(is_usual, each.tools))
    writing = {name for name, each in roles.items() if writes(restricted(ALL, each))}
    assert writing == {"coder", "tester"}
    running = {name for name, each in roles.items() if "execute_shell" in (each.tools or ())}
    assert running == {"coder", "tester", "reviewer"}
    for shell in ("bash", "zsh", "fish"):
        assert " ".join(sorted(roles)) in script(shell)


def test_a_trusted_workspace_counts_before_the_user_and_the_user_before_us(workspace: Path) -> None:
    """The nearest knows best; one that nobody trusted doesn't count at all, and is named."""
    own = workspace.parent / ".config" / "autoagent" / "agents"
    put(own, "mine.md", "name: reviewer", "Mine.")
    put(own, "tester.md", "", "Mine.")
    put(workspace / ".agents" / "agents", "a.md", "name: reviewer", "Theirs.")
    before, said = found_roles(loaded(workspace))

    trust.grant(loaded(workspace).places, workspace)
    after, nothing = found_roles(loaded(workspace))

    assert [before[name].prompt for name in ("reviewer", "tester")] == ["Mine.", "Mine."]
    assert said == [
        "Roles of this folder that aren't trusted as they are now are ignored: "
        ".agents/agents/a.md. To allow them: autoagent trust"
    ]
    assert [after[name].prompt for name in ("reviewer", "tester")] == ["Theirs.", "Mine."]
    assert after["reviewer"].source == ".agents/agents/a.md"
    assert after["coder"].source == "built in"
    assert nothing == []


def test_trust_in_a_role_ends_with_any_change_of_its_file(workspace: Path) -> None:
    """A new file, one with a new word, one with the content of another."""
    folder = workspace / ".agents" / "agents"
    put(folder, "a.md", "", "One.")
    put(folder, "b.md", "", "Two.")
    places = loaded(workspace).places

    assert trust.grant(places, workspace) == (".agents/agents/a.md", ".agents/agents/b.md")
    assert trust.roles(places, workspace).untrusted == ()
    put(folder, "a.md", "", "Two.")
    put(folder, "c.md", "", "One.")
    assert trust.roles(places, workspace).untrusted == (
        ".agents/agents/a.md",
        ".agents/agents/c.md",
    )


def test_links_and_other_things_in_place_of_a_role_are_not_read(workspace: Path) -> None:
    """A link leads to whatever somebody else chose; a pipe hangs; a device never ends."""
    folder = workspace / ".agents" / "agents"
    real = put(workspace, "real.md", "", "Secret.")
    (folder / "link.md").symlink_to(real)
    (folder / "folder.md").mkdir()
    os.mkfifo(folder / "pipe.md")
    (folder / "huge.md").write_bytes(b"x" * 64_001)

    names = trust.grant(loaded(workspace).places, workspace)
    _, said = found_roles(loaded(workspace))

    assert names == ()
    assert said == [
        ".agents/agents/folder.md is left out: it isn't a regular file.",
        ".agents/agents/huge.md is left out: it is larger than 64 kB.",
        ".agents/agents/link.md is left out: it is a link.",
        ".agents/agents/pipe.md is left out: it isn't a regular file.",
    ]


@pytest.mark.parametrize("linked", [".agents", ".agents/agents"])
def test_a_link_in_place_of_the_folder_is_said_and_not_followed(
    workspace: Path, linked: str
) -> None:
    """The way to a role passes nothing that leads elsewhere."""
    elsewhere = workspace.parent / "elsewhere"
    put(elsewhere / "agents", "a.md")
    (workspace / ".agents" / "agents").rmdir()
    if linked == ".agents":
        (workspace / ".agents").rmdir()
    target = elsewhere if linked == ".agents" else elsewhere / "agents"
    (workspace / linked).symlink_to(target)

    (found,) = of_workspace(workspace)

    assert str(found) == f"{linked} is left out: it is a link or no folder."


def test_a_link_in_the_users_own_folder_is_theirs(workspace: Path) -> None:
    """Dotfiles are often kept elsewhere and linked."""
    real = put(workspace.parent / "dotfiles", "x.md", "", "Linked.")
    own = workspace.parent / ".config" / "autoagent" / "agents"
    own.mkdir(parents=True)
    (own / "linked.md").symlink_to(real)

    assert found_roles(loaded(workspace))[0]["linked"].prompt == "Linked."


def test_two_files_with_one_name_are_said(workspace: Path) -> None:
    """The first by the name of its file counts, and nobody wonders."""
    own = workspace.parent / ".config" / "autoagent" / "agents"
    put(own, "a.md", "name: twin", "First.")
    put(own, "b.md", "name: twin", "Second.")

    roles, said = found_roles(loaded(workspace))

    assert roles["twin"].prompt == "First."
    assert said == [f"{own}/b.md is left out: {own}/a.md has the name 'twin', too."]


def test_an_unknown_role_is_answered_with_the_nearest_and_with_what_keeps_it_out(
    workspace: Path,
) -> None:
    """A file that nobody trusted is there for who looks into the folder."""
    put(workspace / ".agents" / "agents", "audit.md")
    roles, notices = found_roles(loaded(workspace))

    with pytest.raises(ConfigError) as near:
        role_named("reviwer", roles, notices)
    with pytest.raises(ConfigError, match=r"There is no role 'audit'.*autoagent trust"):
        role_named("audit", roles, notices)
    assert str(near.value) == (
        "There is no role 'reviwer'; did you mean 'reviewer'? "
        "There are coder, researcher, reviewer, tester."
    )


def test_a_role_of_the_settings_is_taken_off_by_a_word(workspace: Path) -> None:
    """Who has one in config.toml must get rid of it for a run."""
    config = workspace.parent / ".config" / "autoagent"
    config.mkdir(parents=True)
    (config / "config.toml").write_text('role = "coder"\n')

    assert loaded(workspace).role == "coder"
    assert loaded(workspace, "--role", "none").role is None
    with pytest.raises(ConfigError, match="'a b' isn't a name of up to 64 letters"):
        loaded(workspace, "--role", "a b")


@pytest.mark.parametrize(
    ("argv", "environ", "model"),
    [
        ([], {}, "theirs"),
        (["--model", "typed"], {}, "typed"),
        ([], {"SMART_LLM": "of-the-shell"}, "of-the-shell"),
    ],
)
def test_a_roles_model_counts_before_files_and_after_what_was_said_for_the_run(
    workspace: Path, argv: list[str], environ: dict[str, str], model: str
) -> None:
    """config.toml has the usual model; a role has its reason to name another. It is said."""
    config = workspace.parent / ".config" / "autoagent"
    put(config / "agents", "big.md", "model: theirs", "Think.")
    (config / "config.toml").write_text('model = "usual"\n')
    variables = {"HOME": str(workspace.parent), **environ}
    given = options.parse(["-g", "x", "--role", "big", *argv])
    found = settings.load(given, variables, cwd=workspace)

    taken = in_role(Inputs(found, variables, attended=False))

    more = ", with its model theirs" if model == "theirs" else ""
    assert taken.settings.model == model
    assert taken.settings.notices == (f"In the role big ({config}/agents/big.md){more}.",)
    assert taken.role == found_roles(found)[0]["big"]
