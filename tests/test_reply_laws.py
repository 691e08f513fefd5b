"""Laws of the reply reader: what a command receives is what the model wrote, or nothing."""

import json
import re
from dataclasses import replace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from autoagent.reply import Command, Reply, ReplyError, read_reply, render

LAW = settings(deadline=None)
OFTEN = settings(deadline=None, max_examples=400)
SELDOM = settings(deadline=None, max_examples=40)

# Signs that mean something to one of the readers come far more often than in any prose.
SIGNS = st.sampled_from(
    [*"\"'\\{}[]:,#/ \n\t“”‘’`0an", "\\n", "```\n", "\nA>>>\n", "<<<A\n", "é", "🙂"]
)
TEXTS = st.one_of(st.text(max_size=12), st.lists(SIGNS, max_size=12).map("".join))
KEYS = st.sampled_from(["path", "content", "old", "new", "lines", "until", "A", "a b"])
FLAT = st.one_of(
    TEXTS, TEXTS, st.integers(-999, 9999), st.booleans(), st.none(), st.lists(TEXTS, max_size=3)
)
CALLS = st.lists(
    st.fixed_dictionaries(
        {"name": st.just("read_file"), "args": st.dictionaries(KEYS, FLAT, max_size=2)}
    ),
    max_size=3,
)
ARGS = st.one_of(
    st.dictionaries(KEYS, FLAT, max_size=3), st.fixed_dictionaries({"commands": CALLS})
)
NAMES = st.sampled_from(["write_file", "read_file", "batch", "edit_file"])
REPLIES = st.builds(
    Reply,
    TEXTS,
    TEXTS,
    st.none() | st.lists(TEXTS, max_size=3).map(tuple),
    TEXTS,
    st.builds(Command, NAMES, ARGS),
)
SHORT = st.builds(
    Reply, st.just("t"), st.just(""), st.none(), st.just(""), st.builds(Command, NAMES, ARGS)
)
QUOTING = st.builds(
    Reply,
    st.just("t"),
    st.just(""),
    st.none(),
    st.just(""),
    st.builds(
        Command,
        NAMES,
        st.builds(lambda args, a, b: {**args, "z": f'{a}"{b}'}, ARGS, TEXTS, TEXTS),
    ),
)
PROSE = st.sampled_from(
    [
        "",
        "I look at {x} and [1, 2] first. ",
        'The last result was {"ok": true, "command": "ls"}; so:\n',
        "Sure: {}\n\n",
        "It's {'a': 1}, not {\"a\": [{}]}.\n",
        '<think>Perhaps {"command": {"name": "rm", "args": {}}}?</think>\n',
        'No, {"command": {"name": "rm", "args": {}}} is wrong.\n</think>\n\n',
        "Here is my command: ",
        "Use } then { and ]. ",
    ]
)
FENCES = st.sampled_from(
    [("", ""), ("```json\n", "\n```"), ("```\n", "\n```\n"), ("~~~\n", "\n~~~")]
)


def as_dict(reply: Reply) -> dict[str, Any]:
    plan = {} if reply.plan is None else {"plan": list(reply.plan)}
    command = {"name": reply.command.name, "args": reply.command.args}
    said = {"thoughts": reply.thoughts, "reasoning": reply.reasoning, "criticism": reply.criticism}
    return {**said, **plan, "command": command}


def read_or_none(text: str) -> Command | None:
    """The command that is read of text; None when it is refused."""
    try:
        return read_reply(text).command
    except ReplyError:
        return None


def literally(text: str) -> Command | None:
    """What text says as JSON with raw control characters and unknown escapes as they are."""
    known = r'\\(["\\/bfnrt]|u[0-9a-fA-F]{4}|)'
    kept = re.sub(known, lambda m: m[0] if m[1] else "\\\\", text[text.find("{") :])
    try:
        command = json.JSONDecoder(strict=False).raw_decode(kept)[0]["command"]
        return Command(command["name"], command.get("args") or {})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


@st.composite
def dumped(draw: st.DrawFn, replies: st.SearchStrategy[Reply] = SHORT) -> tuple[Reply, str]:
    """A reply and a text of it, its keys in any order, on one line or many."""
    reply = draw(replies)
    form = as_dict(reply)
    keys = draw(st.permutations(list(form)))
    form["command"] = dict(draw(st.permutations(list(form["command"].items()))))
    indent = draw(st.sampled_from([None, 2]))
    ascii_only = draw(st.booleans())
    return reply, json.dumps({k: form[k] for k in keys}, indent=indent, ensure_ascii=ascii_only)


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """text with one character dropped, put in, or replaced."""
    at = draw(st.integers(0, len(text) - 1))
    sign = draw(st.sampled_from(["", *"\"'\\{}[]:,#/ \n\t“”‘’`0a<", '\\"', "//", "/*", "*/"]))
    behind = text[at + draw(st.integers(0, 1)) :]
    return str(text[:at] + sign + behind)


@given(dumped(REPLIES))
@LAW
def test_any_reply_is_read_as_it_was_dumped(case: tuple[Reply, str]) -> None:
    """Strict JSON is taken as written."""
    reply, text = case

    read = read_reply(text)

    assert read == reply
    assert read.read_as == "strict"


@given(dumped(REPLIES), PROSE, FENCES)
@LAW
def test_prose_and_fences_around_a_reply_change_nothing(
    case: tuple[Reply, str], prose: str, fence: tuple[str, str]
) -> None:
    """Braces, other objects and drafts in a think block stand before many a reply."""
    reply, text = case

    assert read_reply(prose + fence[0] + text + fence[1]) == reply


@given(REPLIES)
@LAW
def test_what_is_rendered_reads_back(reply: Reply) -> None:
    """The history keeps the canonical form; the model must see what ran."""
    text = render(reply)

    assert read_reply(text) == reply
    assert text.encode("utf-8").decode("utf-8") == text


@given(
    st.text(st.characters(), max_size=8).filter(
        lambda t: not re.search("[\ud800-\udbff][\udc00-\udfff]", t)
    )
)
@example("\ud800")
@example("a\ud83d\n")
@example("\x00\x1b\u2028\ufeff\r\n")
@example("CONTENT>>>\n")
@example("x\nCONTENT>>>\r\ny\n")
@example("\r\n")
def test_any_text_can_be_an_argument(text: str) -> None:
    """Lone surrogates, closing lines and control characters included."""
    reply = Reply(text, "", (text,), "", Command("write_file", {"content": text, "Content": text}))

    form = render(reply)

    assert read_reply(form) == reply
    form.encode("utf-8")


@given(dumped())
@SELDOM
def test_a_reply_that_ends_anywhere_is_whole_or_refused(case: tuple[Reply, str]) -> None:
    """Closers may be missing at the end, but nothing of the command."""
    reply, text = case

    for end in range(len(text)):
        assert read_or_none(text[:end]) in (None, reply.command)


@given(REPLIES)
@SELDOM
def test_a_rendered_reply_that_ends_anywhere_is_whole_or_refused(reply: Reply) -> None:
    """The same with blocks."""
    text = render(reply)

    for end in range(len(text)):
        assert read_or_none(text[:end]) in (None, reply.command)


@given(dumped(), st.data())
@OFTEN
def test_one_wrong_character_is_refused_harmless_or_taken_as_written(
    case: tuple[Reply, str], data: st.DataObject
) -> None:
    """No repair may alter a value of the command."""
    reply, whole = case
    text = data.draw(damaged(whole))

    command = read_or_none(text)

    assert command in (None, reply.command, literally(text))


@given(dumped(QUOTING), st.data())
@OFTEN
def test_unescaped_quotes_never_shorten_a_text(
    case: tuple[Reply, str], data: st.DataObject
) -> None:
    """The typical slip: quotes in code are written as they are."""
    reply, whole = case
    places = [m.start() for m in re.finditer(r'\\"', whole)]
    wrong = data.draw(st.sets(st.sampled_from(places), min_size=1))
    text = "".join(c for i, c in enumerate(whole) if i not in wrong)

    command = read_or_none(text)

    assert command in (None, reply.command, literally(text))


@given(REPLIES, st.text(max_size=5), st.data())
@OFTEN
def test_damage_to_a_block_is_refused_or_stays_in_its_text(
    reply: Reply, text: str, data: st.DataObject
) -> None:
    """A wrong marker is refused; a wrong character in the text is that character, no more."""
    blocks = {"old": f"{text}\n", "new": "b\n"}
    args = {**reply.command.args, **blocks}
    whole = render(replace(reply, command=Command("edit_file", args)))
    line = whole.index("\n<<<")
    wrong = whole[:line] + data.draw(damaged(whole[line:]))

    command = read_or_none(wrong)

    if command is not None:
        changed = [key for key, value in args.items() if command.args[key] != value]
        assert command.args.keys() == args.keys()
        assert len(changed) <= 1
        assert all(f"\n{command.args[key]}" in wrong for key in changed)


@given(st.text(max_size=60) | st.lists(SIGNS, max_size=40).map("".join), st.booleans())
@OFTEN
def test_any_text_at_all_is_read_or_refused(text: str, cut: bool) -> None:
    """No other exception leaves the reader."""
    start = '{"command": {"name": "x", "args": {"a": '

    for whole in (text, start + text, start + text + "}}}"):
        try:
            reply = read_reply(whole, cut=cut)
        except ReplyError as error:
            str(error).encode("utf-8")  # it goes into the next prompt
        else:
            assert read_reply(render(reply)) == reply
