"""Roles as Markdown files: those that other agents write, and whatever else stands there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoagent.configuration.role_files import RoleFile
from autoagent.team.front_matter import Unreadable
from autoagent.team.role_file import Role, read_role
from autoagent.team.roles import (
    restricted,
)
from commands.builtin import catalogue
from commands.command import Argument, CommandSpec, Result

ALL = catalogue(interactive=True)
ALWAYS = {"read_result", "batch", "ask_user", "finish", "give_up"}
AGENTS = {"start_agent", "message_agent", "wait_for_agents", "list_agents", "delete_agent"}
CHANGES = {"write_file", "append_file", "edit_file", "move_file", "delete_file"}
TICKET = CommandSpec(
    "ticket", "", (Argument("number", "int", True),), "change", lambda _: Result(), own=True
)


def role(head: str, body: str = "You look.", stem: str = "audit") -> Role:
    """The role of a file with these fields."""
    return read_role(RoleFile("audit.md", stem, f"---\n{head}\n---\n{body}\n".encode()))


def may(head: str) -> set[str]:
    """What an agent in such a role has beyond what always stays."""
    return {spec.name for spec in restricted(ALL, role(head))} - ALWAYS


def refusal(content: bytes) -> str:
    """Why that can't be a role."""
    with pytest.raises(Unreadable) as refused:
        read_role(RoleFile("audit.md", "audit", content))
    return str(refused.value)


def test_a_file_of_claude_code_becomes_a_role() -> None:
    """Names of its tools, its words for models, a description over lines, fields of its own."""
    found = role(
        "name: security\ndescription: >-\n  Looks for holes\n  in changes.\n"
        "tools: Read, Grep, WebFetch\nmodel: opus\ncolor: red\nskills: [a, b]",
        "You look.\n\nMore.",
    )

    assert found == Role(
        "security",
        "Looks for holes in changes.",
        ("read_file", "search_files", "read_webpage"),
        None,
        "You look.\n\nMore.",
        "audit.md",
        (),
        (
            "audit.md: not read here: color, skills.",
            "audit.md: the model 'opus' is another program's word; the session's own is used.",
        ),
    )


def test_a_file_without_a_name_is_called_as_its_file() -> None:
    """OpenCode's have none."""
    found = role("description: looks\nmode: subagent\nmodel: openai/gpt-5", stem="look-2")

    assert (found.name, found.model, found.tools) == ("look-2", "openai/gpt-5", None)
    assert role("name:\nmodel: inherit", stem="a").warnings == ()


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("tools: Read, Grep", {"read_file", "search_files"}),
        ("tools: [Glob, LS, Write]", {"list_files", "write_file"}),
        ("tools:\n  - Edit\n  - WebSearch", {"edit_file", "web_search"}),
        ("tools: google, write_to_file, read_file", {"web_search", "write_file", "read_file"}),
        ("tools: Bash", {"execute_shell", "start_process", "read_process", "stop_process"}),
        ("tools: search", {"search_files"}),
        ("tools: mcp__github__search, TodoWrite", set()),
        ("tools: Agent", AGENTS),
        ("tools: Read, Bash(git diff *, git log *)", {"read_file"}),
        ("tools: Read, Bash(git log", {"read_file"}),
        ("tools: [Bash(ls, cat), Read]", {"read_file"}),
        ("tools: []", set()),
        ("tools:", set()),
        ("tools: '*'", {spec.name for spec in ALL} - ALWAYS),
        ("tools: *", {spec.name for spec in ALL} - ALWAYS),
        ("description: all", {spec.name for spec in ALL} - ALWAYS),
        ("tools: Read, Write\ndisallowedTools: Write, Edit", {"read_file"}),
        ("tools: {'*': false, read: true}", {"read_file"}),
        ("tools: Read, Bash\npermission: {'*': deny, read: allow}", {"read_file"}),
    ],
)
def test_a_role_has_what_its_tools_mean(head: str, expected: set[str]) -> None:
    """In each form that files out there have."""
    assert may(head) == expected


@pytest.mark.parametrize(
    "head",
    [
        "disallowedTools: Write, Edit",
        "disallowedTools: [NotebookEdit]",
        "tools:\n  write: false\n  edit: false",
        "permission:\n  edit: deny\n  bash: allow",
        "permission:\n  edit:\n    '*': ask\n    'secret/*': deny",
        "readonly: true",
        "readOnly: true",
    ],
)
def test_what_a_role_forbids_it_has_not_whatever_the_command_is_called(head: str) -> None:
    """Who forbids writing means appending and deleting, too."""
    assert may(head) == {spec.name for spec in ALL} - ALWAYS - CHANGES


def test_who_forbids_the_shell_forbids_every_way_to_run_code() -> None:
    """Python runs a shell."""
    gone = {"execute_shell", "execute_python", "start_process", "read_process", "stop_process"}

    assert may("disallowedTools: Bash") == {spec.name for spec in ALL} - ALWAYS - gone


def test_a_head_that_is_no_yaml_is_read_as_its_writer_meant_it() -> None:
    """The files that Claude Code writes itself have colons, quotes and dialogues in theirs."""
    found = role(
        "name: helper\ndescription: Use this when: needed. Examples:\\n\\n<example>\n"
        'Context: a change\nuser: "Look"\n</example>\ntools: Read,\n  - Grep\nmodel: "small"\n'
        "color: blue"
    )

    assert (found.name, found.model) == ("helper", "small")
    assert found.tools == ("read_file", "search_files")
    assert found.description.startswith("Use this when: needed. Examples: <example> Context: a ch")
    assert found.warnings[0].endswith(
        "(line 3: mapping values are not allowed here) and was read line by line."
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"Just text.\n", "it doesn't begin with fields between two lines of ---"),
        (b"---\nname: a\nNo end.\n", "it doesn't begin with fields between two lines of ---"),
        (b"---\nname: a\n---\n \n", "there is no text below its fields"),
        (b"---\nname: a b\n---\nx\n", "'a b' can't be a role's name"),
        (b"---\nname: [a]\n---\nx\n", "['a'] can't be a role's name"),
        (b"---\nname: none\n---\nx\n", "'none' can't be a role's name"),
        (b"---\nname: a\ntools: Read\ntools: Bash\n---\nx\n", "line 4: 'tools' stands there twice"),
        (b"---\nname: a\nx: b: c\nname: d\n---\nx\n", "line 4: 'name' stands there twice"),
        (b"---\n- a\n---\nx\n", "stand no fields"),
        (b"---\nname: \xff\n---\nx\n", "line 2: it isn't UTF-8"),
        (b"---\nname: \x07\n---\nx\n", "a character that YAML doesn't allow"),
        (b"---\nx: b: c\npermission:\n  edit: deny\n---\nx\n", "its permissions can't be read"),
        (b"---\na: " + b"[" * 5000 + b"]" * 5000 + b"\n---\nx\n", "without end"),
        (b"---\n? [a]\n: b\n---\nx\n", "line 2: the name of a field is a word"),
    ],
)
def test_what_can_not_be_a_role_is_said_in_a_sentence(content: bytes, why: str) -> None:
    """The person sees what to mend."""
    assert why in refusal(content)


def test_references_of_yaml_grow_into_nothing() -> None:
    """Nine lines of them are a gigabyte to a reader that follows them."""
    bomb = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )

    found = role(f"{bomb}tools: *i")

    assert found.tools == ("*i",)
    assert "refers to another place" in found.warnings[0]


WORDS = ["Read", "Write", "Bash", "Edit(x)", "*", "mcp__a", "finish", "web_search", "Task", ""]


@given(
    tools=st.lists(st.sampled_from(WORDS)),
    off=st.lists(st.sampled_from(WORDS)),
    own=st.booleans(),
)
def test_a_role_never_has_more_than_the_agent_above_it(
    tools: list[str], off: list[str], own: bool
) -> None:
    """And an agent in a role that starts another in any role gives no more than it has."""
    above = catalogue(interactive=False, own=[TICKET] if own else [], disabled=["web_search"])
    one = restricted(above, role(f"tools: {', '.join(tools)!r}"))
    two = restricted(one, role(f"disallowedTools: {', '.join(off)!r}"))

    assert {s.name for s in two} <= {s.name for s in one} <= {s.name for s in above}
    assert {s.name for s in above} & ALWAYS <= {s.name for s in two}


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), st.binary(max_size=20))
def test_any_file_is_a_role_or_a_sentence(head: bytes, body: bytes) -> None:
    """Whatever stands there; never a traceback."""
    try:
        found = read_role(RoleFile("a.md", "a", b"---\n" + head + b"\n---\n" + body))
    except Unreadable as why:
        said = str(why)
    else:
        said = found.prompt if found.name.isascii() else ""

    assert said
