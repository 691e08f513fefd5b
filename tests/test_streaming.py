"""Reading a reply before it is whole: what is shown of it is never taken back or made up."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autoagent.reply import ReplyError, read_reply
from autoagent.terminal.streaming import Coming, so_far

TEXT = st.text(st.characters(exclude_categories=())) | st.text('\\"{}[]:,u0d8e<think>/ \n😀')
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
COMMANDS = st.fixed_dictionaries(
    {"name": TEXT, "args": st.dictionaries(st.sampled_from(["path", "content", "n"]), JSON)}
)
REPLIES = st.fixed_dictionaries(
    {"thoughts": TEXT},
    optional={"reasoning": TEXT, "plan": JSON, "criticism": JSON, "command": COMMANDS | JSON},
)
WHOLE = {
    "thoughts": 'Look at "a.py" first: π, 😀.\nThen write.',
    "reasoning": "It is small.",
    "plan": ["look {", 'write "}'],
    "criticism": "",
    "command": {"name": "write_file", "args": {"path": "src/a.py", "content": "x = {}\n"}},
}
READ = Coming(WHOLE["thoughts"], "It is small.", "write_file", "src/a.py", 0)  # type: ignore[arg-type]


def _texts(raw: str) -> tuple[str, str, str, str]:
    coming = so_far(raw)
    return coming.thoughts, coming.reasoning, coming.command, coming.path


@given(reply=REPLIES, at=st.floats(0, 1), indent=st.none() | st.just(1), ascii_only=st.booleans())
@example({"thoughts": "\ud83d\ude00 \ud83d"}, 0.6, None, True)
def test_what_is_shown_of_a_reply_is_a_beginning_of_what_it_says(
    reply: dict[str, Any], at: float, indent: int | None, ascii_only: bool
) -> None:
    """What stands on the screen is what the model says, up to some character of it."""
    raw = json.dumps(reply, indent=indent, ensure_ascii=ascii_only)
    said = json.loads(raw)  # two halves of one character, written side by side, are that one

    coming = so_far(raw[: round(at * len(raw))])
    whole = so_far(raw)

    assert said["thoughts"].startswith(coming.thoughts)
    assert said.get("reasoning", "").startswith(coming.reasoning)
    assert (whole.thoughts, whole.reasoning) == (said["thoughts"], said.get("reasoning", ""))
    if isinstance(said.get("command"), dict):
        assert coming.command in ("", said["command"].get("name"))
        assert whole.command == (said["command"].get("name") or "") or not isinstance(
            said["command"].get("name"), str
        )


@given(reply=REPLIES)
def test_each_text_only_grows_while_the_reply_comes(reply: dict[str, Any]) -> None:
    """A line that was drawn once can stay; only its end is drawn anew."""
    raw = json.dumps(reply)

    shown = [so_far(raw[:end]) for end in range(len(raw) + 1)]

    for before, after in pairwise(shown):
        assert after.thoughts.startswith(before.thoughts)
        assert after.reasoning.startswith(before.reasoning)
        assert after.size == before.size + 1


@given(TEXT | st.text('{}[]":,\\ \nthougscmandre<>/ink`') | st.text())
def test_any_text_at_all_can_be_looked_at(raw: str) -> None:
    """A model may stream anything, and a preview must not end the run."""
    assert so_far(raw).size == len(raw)


@pytest.mark.parametrize(
    ("around", "why"),
    [
        ("{}", "alone"),
        ("```json\n{}\n```", "in a fence"),
        ("Here is {{a}} set, and it is {{}} now:\n\n{}\n\nDone.", "after prose"),
        (
            '<think>Say {{"thoughts": "no", "command": {{"name": "n"}}}}</think>\n{}',
            "after thinking",
        ),
        ('{{"thoughts": "no", "command": {{"name": "n"}}}} hm</think>{}', "after half a think"),
        ("<|channel|>analysis maybe {{<|channel|>final<|message|>{}", "in the final channel"),
        ('{{"note": [1, {{"thoughts": "no"}}]}}\n{}', "after another object"),
        ('{}\n<<<A\n{{"thoughts": "no"}}\n<think>\nA>>>', "before a block"),
        ('{{"a" is odd}} {}', "after what is no object"),
        ('{{"a": 1, odd}} {}', "after what is none after a while"),
    ],
)
def test_the_reply_is_found_where_it_stands(around: str, why: str) -> None:
    """Local models wrap what they say, and reasoning is not shown as thoughts."""
    raw = around.format(json.dumps(WHOLE))

    assert _texts(raw) == (READ.thoughts, READ.reasoning, READ.command, READ.path), why


def test_the_examples_are_replies_as_the_agent_reads_them() -> None:
    """The preview and the reader must look at the same object."""
    for raw in (json.dumps(WHOLE), f"<think>{{}}</think>```json\n{json.dumps(WHOLE)}\n```"):
        reply = read_reply(raw)

        assert _texts(raw)[:3] == (reply.thoughts, reply.reasoning, reply.command.name)


@given(reply=REPLIES, head=st.sampled_from(["", "<think>{</think>", "So: ", "```json\n"]))
def test_what_the_agent_reads_is_what_was_shown_last(reply: dict[str, Any], head: str) -> None:
    """Else the thoughts on the screen would change when the event comes."""
    raw = head + json.dumps(reply)

    try:
        read = read_reply(raw)
    except ReplyError:
        return

    # Halves of one character, side by side, are made one when a reply is read.
    joined = [text.encode("utf-16", "surrogatepass") for text in _texts(raw)[:2]]
    assert joined == [t.encode("utf-16", "surrogatepass") for t in (read.thoughts, read.reasoning)]


def test_auto_gpts_nested_form_is_read_as_well() -> None:
    """Surface: the reply."""
    raw = '{"thoughts": {"plan": ["a"], "text": "Hel\\u006co", "reasoning": "So", "speak": "x"}, '

    assert _texts(raw) == ("Hello", "So", "", "")
    assert _texts(raw[: raw.index("006co") + 2])[0] == "Hel"


@pytest.mark.parametrize(
    ("raw", "thoughts"),
    [
        ('{"thoughts": "caf\\u00e', "caf"),
        ('{"thoughts": "caf\\u00e9', "café"),
        ('{"thoughts": "a\\', "a"),
        ('{"thoughts": "a\\\\', "a\\"),
        ('{"thoughts": "\\ud83d', ""),
        ('{"thoughts": "\\ud83d\\ude0', ""),
        ('{"thoughts": "\\ud83d\\ude00', "😀"),
        ('{"thoughts": "\\\\ud83d', "\\ud83d"),
        ('{"thoughts": "C:\\dir \\uzz and\nmore', "C:\\dir \\uzz and\nmore"),
        ('{"thoughts": "a', "a"),
        ('{"thoughts": null, "reason', ""),
        ("I think, therefore", ""),
        ('<think>{"thoughts": "secret', ""),
    ],
)
def test_what_was_cut_in_the_middle_shows_nothing_of_it_yet(raw: str, thoughts: str) -> None:
    """Half an escape would flicker as garbage at the end of the line."""
    assert so_far(raw).thoughts == thoughts


def test_a_command_and_its_path_are_named_when_they_are_whole() -> None:
    """`write_fi` is no command, and half a path is another file."""
    raw = '{"command": {"name": "write_file", "args": {"n": [{"path": "no"}], "filename": "a/b.py"'

    assert _texts(raw[: raw.index("le")]) == ("", "", "", "")
    assert _texts(raw[:-1]) == ("", "", "write_file", "")
    assert _texts(raw) == ("", "", "write_file", "a/b.py")


@pytest.mark.parametrize(
    "unit",
    ["{", '{"', '{"a":', "[", "<think>", "\\", '{"a" ', "`{ ", "<<<A\n", '"\\u0', "x</think>"],
)
def test_no_text_takes_quadratic_time(unit: str) -> None:
    """It is looked at many times a second; were one quadratic, this test would not end."""
    mass = unit * (400_000 // len(unit))

    alone, inside = so_far(mass), so_far('{"thoughts": "Hi", "plan": [' + mass)

    assert (alone.size, inside.thoughts) == (len(mass), "Hi")
