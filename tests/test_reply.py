"""The reply reader on replies as models write them: the exact value, or what to mend."""

import json
from typing import Any

import pytest

from autoagent.reply import READING, Command, Reply, ReplyError, excerpt, read_reply, render

READ = Command("read_file", {"path": "a.txt"})
OK = '{"thoughts": "t", "command": {"name": "read_file", "args": {"path": "a.txt"}}}'
WRITE = '{"command": {"name": "write_file", "args": {"path": "a.py", "content": %s}}}'
FILE = WRITE % '{"block": "FILE"}'
CODE = 'print("as it is: \\n stays \\n")\n'


def write(content: str) -> Command:
    return Command("write_file", {"path": "a.py", "content": content})


READABLE: dict[str, tuple[str, str, Command]] = {
    "alone": (OK, "strict", READ),
    "with a byte order mark": ("\ufeff" + OK, "strict", READ),
    "with line breaks around": (f"\r\n\n{OK}\r\n", "strict", READ),
    "in a fence": (f"```json\n{OK}\n```", "embedded", READ),
    "in a fence on one line": (f"```json {OK} ```", "embedded", READ),
    "in a fence that is not closed": (f"```json\n{OK}", "embedded", READ),
    "after prose": (f"Sure! I will read it:\n\n{OK}", "embedded", READ),
    "after prose with braces": (f"With {{x}} and {{}} and [1]: {OK}", "embedded", READ),
    "after another object": (f'It said {{"ok": true}}.\n{OK}', "embedded", READ),
    "after thinking": (f"<think>Shall I?\n{OK}</think>\n{OK}", "embedded", READ),
    "after thinking that began unseen": (f"Perhaps {OK}\n</think>\n{OK}", "embedded", READ),
    "after thinking in brackets": (f"[THINK]hm[/THINK]{OK}", "embedded", READ),
    "in the final channel": (
        f"<|channel|>analysis<|message|>{OK}<|end|><|channel|>final<|message|>{OK}",
        "embedded",
        READ,
    ),
    "as a Python dict": (OK.replace('"', "'"), "tolerant", READ),
    "with typographic quotes": (OK.replace('"t"', "“it’s ‘t’”"), "tolerant", READ),
    "with trailing commas": (OK.replace('"a.txt"}}}', '"a.txt",},},}'), "tolerant", READ),
    "with comments": ("{ // first\n/* then */ # last\n" + OK[1:], "tolerant", READ),
    "with Python's words": (
        '{"command": {"name": "f", "args": {"a": True, "b": None, "c": False}}}',
        "tolerant",
        Command("f", {"a": True, "b": None, "c": False}),
    ),
    "without its last bracket": (OK[:-1], "tolerant", READ),
    "without its last two brackets": (f"```json\n{OK[:-2]}\n```", "tolerant", READ),
    "with raw line breaks": (WRITE % '"a = \\"x\\"\n\tb\n"', "tolerant", write('a = "x"\n\tb\n')),
    "with a regular expression": (WRITE % r'"^\d+\.\w"', "tolerant", write(r"^\d+\.\w")),
    "with a Windows path": (WRITE % r'"C:\Users\me"', "tolerant", write(r"C:\Users\me")),
    "with a Windows path that is JSON": (
        WRITE % r'"C:\temp\new"',
        "strict",
        write("C:\temp\new"),
    ),
    "with single quotes around double ones": (
        WRITE % "'print(\"a, b\")'",
        "tolerant",
        write('print("a, b")'),
    ),
    "reading, without a comma before a brace": (
        OK.replace('"t", "command"', '"t", "a": {} "command"'),
        "repaired",
        READ,
    ),
    "with a block": (f"{FILE}\n<<<FILE\n{CODE}FILE>>>", "strict", write(CODE)),
    "with an empty block": (f"{FILE}\n<<<FILE\nFILE>>>\n", "strict", write("")),
    "with a block with line ends of Windows": (
        f"{FILE}\r\n<<<FILE\r\na\r\nb\r\nFILE>>>\r\n",
        "strict",
        write("a\r\nb\r\n"),
    ),
    "with a block that looks like syntax": (
        f"{FILE}\n<<<FILE\n```\n{OK}\n<<<OTHER\nOTHER>>>\n</think>\n FILE>>>\nFILE>>>",
        "strict",
        write(f"```\n{OK}\n<<<OTHER\nOTHER>>>\n</think>\n FILE>>>\n"),
    ),
    "in a fence, then a block": (
        f"```json\n{FILE}\n```\n\n<<<FILE\n{CODE}FILE>>>\n",
        "embedded",
        write(CODE),
    ),
    "in a fence with its block": (
        f"```\n{FILE}\n<<<FILE\n{CODE}FILE>>>\n```",
        "embedded",
        write(CODE),
    ),
    "with a block, a bracket missing": (
        f"{FILE[:-1]}\n<<<FILE\n{CODE}FILE>>>",
        "tolerant",
        write(CODE),
    ),
    "with a block in a batch": (
        '{"command": {"name": "batch", "args": {"commands": [{"name": "search_files", '
        '"args": {"pattern": {"block": "P"}}}]}}}\n<<<P\n"\\d"\nP>>>',
        "strict",
        Command("batch", {"commands": [{"name": "search_files", "args": {"pattern": '"\\d"\n'}}]}),
    ),
    "without args": ('{"command": {"name": "list_agents"}}', "strict", Command("list_agents", {})),
}

REFUSED: dict[str, tuple[str, str]] = {
    "nothing": ("", "empty"),
    "white space": (" \n\t", "empty"),
    "prose only": ("I am done.", "no JSON object"),
    "a number": ("12", "no JSON object"),
    "prose after it": (f"{OK}\nI hope this helps!", "I hope this helps! stands behind"),
    "a stop sign after it": (f"{OK}<|im_end|>", "stands behind the object"),
    "two commands": (f"{OK}\n{OK.replace('a.txt', 'b.txt')}", "second command"),
    "the same twice": (f"{OK}\n{OK}", "second command"),
    "a bracket too many": (OK + "}", "one } too many"),
    "thinking only": (f"<think>{OK}</think>", "behind the thinking"),
    "thinking not closed": (f"<think>Let me see {OK}", "<think> is never closed"),
    "thinking not closed twice": (f"<think><think>x</think>{OK}", "<think> is never closed"),
    "thinking that ends behind it": (f"{OK}</think>", "no JSON object behind the thinking"),
    "analysis only": (f"<|channel|>analysis<|message|>{OK}", "never closed"),
    "a list": (f"[{OK}]", "stands inside another"),
    "an object in a broken one": (f'{{"a": b, "c": {OK}', "b stands there"),
    "a command behind a broken one": (
        f'{{thoughts": "t", "command": {{"name": "x"}}}}\n{OK}',
        "there are two commands",
    ),
    "unescaped quotes": (
        WRITE % '"print("a")"',
        'the string "print(" ends there and a follows. Inside a JSON string write \\" for each '
        '", or put the text into a block: "content": {"block": "CONTENT"} and after the object '
        "a line <<<CONTENT, the text, a line CONTENT>>>.",
    ),
    "unescaped quotes around a hash": (WRITE % '"grep "#define" f"', 'the string "grep "'),
    "three quotes": (WRITE % '"""a\n"""', 'the string "" ends there and " follows'),
    "a raw line break beside an escaped one": (WRITE % '"a\nb\\nc"', "not clear what is meant"),
    "half a Windows path": (WRITE % r'"C:\Users\new"', "not clear what is meant"),
    "half a regular expression": (WRITE % r'"\d\\."', "not clear what is meant"),
    "an escaped apostrophe": (WRITE % r'"it\'s"', "no escape in JSON"),
    "an escape of Python's": (WRITE % r"'\x41'", "no escape in JSON"),
    "half a code": (WRITE % r'"\u00e"', "four hexadecimal digits"),
    "a raw zero": (WRITE % '"\0"', "\\u0000"),
    "a key twice": (WRITE % '"", "path": "b"', 'the key "path" stands twice'),
    "NaN": (WRITE % "NaN", "NaN stands there"),
    "a number without end": (WRITE % "1e999", "too large"),
    "too many digits": (WRITE % ("1" * 5000), "too many digits"),
    "a lost number": (WRITE % "12,", "behind the number 12 and a comma a value is missing"),
    "a set": (WRITE % "{1, 2}", "a key in double quotes is expected and 1 stands"),
    "a call": (WRITE % 'open("x")', "a value is expected and open stands"),
    "keys without quotes": ("{command: {name: 'read_file', args: {}}}", "c stands there"),
    "mixed quotes of keys": (OK.replace('"command"', "'command'"), 'a key in " quotes'),
    "a comment that may be text": (WRITE % '1, // "x"\n"y": 2', "without comments"),
    "a comment and no end": (OK.replace("{", "{ // x\n", 1)[:-1], "leave out the comments"),
    "cut in a text": (OK[:-6], "never closed"),
    "cut behind a text": (OK[:-3], '"args" is not closed'),
    "cut before the args": (OK[: OK.index(', "args"')], "not closed"),
    "a number in place of a bracket": (
        '{"command": {"name": "f", "args": {"lines": 620}}',
        "something may be missing",
    ),
    "other quotes in a list": (WRITE % """["a", 'b', "c"]""", "same quotes"),
    "cut in a command that is a list": ('{"command": ["ls"', '"command" is not closed'),
    "cut behind a key": (OK[: OK.index(' "t"')], "the end stands there"),
    "too deep": ('{"a":' * 5000 + "1" + "}" * 5000, "levels deep"),
    "too deep in strict JSON": (WRITE % ("[" * 70 + "]" * 70), "levels deep"),
    "brackets only": ("{" * 100_000, "double quotes"),
    "a tool call": (
        '<tool_call>{"name": "read_file", "arguments": {"path": "a"}}</tool_call>',
        "tool call of another form",
    ),
    "a function call": ('{"name": "read_file", "parameters": {"path": "a"}}', "another form"),
    "no command": ('{"thoughts": "t", "action": "read"}', "only thoughts, action"),
    "a command that is a text": ('{"command": "ls -l"}', "must be an object"),
    "no name": ('{"command": {"args": {}}}', 'needs a "name"'),
    "a name that is a number": ('{"command": {"name": 5}}', 'needs a "name"'),
    "args that are a list": ('{"command": {"name": "f", "args": [1]}}', "must be an object"),
    "arguments beside args": (
        '{"command": {"name": "f", "args": {}, "lines": 5}}',
        'holds "lines" besides',
    ),
    "a block without end": (f"{FILE}\n<<<FILE\na\n FILE>>>", "but not alone on its line"),
    "a block that nothing uses": (f"{OK}\n<<<FILE\na\nFILE>>>", "No argument is"),
    "a reference to nothing": (FILE, "there is no block FILE"),
    "a block twice": (f"{FILE}\n<<<FILE\nFILE>>>\n<<<FILE\nFILE>>>", "two blocks FILE"),
    "a reference twice": (
        FILE.replace('"a.py"', '{"block": "FILE"}') + "\n<<<FILE\nFILE>>>",
        'Two arguments are {"block": "FILE"}',
    ),
    "a block before the object": (f"<<<FILE\n{OK}\nFILE>>>", "Blocks go after"),
    "a block on the object's line": (f"{FILE} <<<FILE\nFILE>>>", "A block begins with a line"),
    "a block in small letters": (
        (FILE + "\n<<<file\nfile>>>").replace("FILE", "file"),
        "A block begins with a line",
    ),
    "a name in small letters": (FILE.replace("FILE", "file"), "capital letters"),
    "a reference in a list": (WRITE % '[{"block": "A"}]', "stands inside an argument"),
    "text between blocks": (f"{FILE}\n<<<FILE\nFILE>>>\nand\n", "and\\n stands behind"),
    "changing, without a comma": (
        '{"thoughts": {} "command": {"name": "delete_file", "args": {"path": "a"}}}',
        "stands there",
    ),
    "a batch that changes, without a comma": (
        '{"x": {} "command": {"name": "batch", "args": {"commands": [{"name": "delete_file", '
        '"args": {}}]}}}',
        "stands there",
    ),
    "reading, with a digit beside a bracket": (
        '{"command": {"name": "batch", "args": {"commands": [0{"name": "recall", "args": {}}]}}}',
        "{ stands there",
    ),
    "reading, without a comma between texts": (
        '{"command": {"name": "recall", "args": {"query": "a" "b": "c"}}}',
        'the string "a" ends there',
    ),
    "reading, without a quote": (OK.replace('"a.txt"', '"a.txt'), "never closed"),
}


@pytest.mark.parametrize("case", READABLE.values(), ids=READABLE)
def test_a_reply_is_read_exactly(case: tuple[str, str, Command]) -> None:
    """What the command receives is known beforehand, byte for byte."""
    text, how, command = case

    reply = read_reply(text)

    assert reply.command == command
    assert reply.read_as == how


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_a_reply_is_refused_with_what_to_mend(case: tuple[str, str]) -> None:
    """The model reads the message and nothing else; it says what stands where."""
    text, says = case

    with pytest.raises(ReplyError) as refusal:
        read_reply(text)

    assert says in str(refusal.value)
    assert refusal.value.position is None or 0 <= refusal.value.position <= len(text)


def test_the_message_counts_characters_to_the_fault() -> None:
    """The position is an index, so that the excerpt can be cut around it."""
    text = WRITE % '"print("a")"'

    with pytest.raises(ReplyError, match=r"^Not readable at character 80: ") as refusal:
        read_reply(text)

    assert refusal.value.position == text.index('a")')


@pytest.mark.parametrize("text", [OK, OK[:40], "", "prose"])
def test_a_reply_cut_by_the_length_limit_is_refused(text: str) -> None:
    """Even when it looks whole: blocks may have been meant to follow."""
    with pytest.raises(ReplyError, match="append_file"):
        read_reply(text, cut=True)


def test_the_form_of_auto_gpt_is_read() -> None:
    """Models that know Auto-GPT write thoughts as an object."""
    thoughts = {"text": "t", "reasoning": "r", "plan": "- a\n- b\n", "criticism": "c", "speak": "s"}
    text = json.dumps({"thoughts": thoughts, "command": {"name": "f", "args": {}}})

    reply = read_reply(text)

    assert reply == Reply("t", "r", ("a", "b"), "c", Command("f", {}))


@pytest.mark.parametrize(
    ("plan", "read"),
    [
        (None, None),
        ([], ()),
        (["a", "b"], ("a", "b")),
        ("a\n\n- b", ("a", "b")),
        ([1, {"step": "x"}], ("1", '{"step": "x"}')),
        (3, ("3",)),
    ],
)
def test_a_plan_of_any_form_is_read(plan: Any, read: tuple[str, ...] | None) -> None:
    """It doesn't alter what runs, so it is no reason to refuse."""
    text = json.dumps({"thoughts": None, "plan": plan, "command": {"name": "f"}, "speak": "x"})

    assert read_reply(text) == Reply("", "", read, "", Command("f", {}))


def test_long_texts_are_rendered_as_blocks() -> None:
    """The history shows the model the form that it should write."""
    command = Command("edit_file", {"path": "a", "old": "x\n", "new": 'say "y"\n'})

    text = render(Reply("t", "r", ("p",), "", command))

    assert text == (
        '{"thoughts": "t", "reasoning": "r", "plan": ["p"], "criticism": "", "command": '
        '{"name": "edit_file", "args": {"path": "a", "old": {"block": "OLD"}, '
        '"new": {"block": "NEW"}}}}\n<<<OLD\nx\nOLD>>>\n<<<NEW\nsay "y"\nNEW>>>'
    )


def test_two_halves_of_a_character_become_one() -> None:
    """A stream cut within an emoji leaves two lone surrogates side by side."""
    text = OK.replace("a.txt", "\ud83d\ude00")

    assert read_reply(text).command.args == {"path": "😀"}


@pytest.mark.parametrize(
    ("text", "position", "cut"),
    [
        ("short", 3, "short"),
        ("0123456789" * 3, None, "01234567…"),
        ("0123456789" * 3, 0, "01234567…"),
        ("0123456789" * 3, 15, "…12345678…"),
        ("0123456789" * 3, 30, "…23456789"),
        ("a\ud800", 0, "a\ufffd"),
    ],
)
def test_an_excerpt_holds_the_fault(text: str, position: int | None, cut: str) -> None:
    """A refused reply stays in the prompt, but not all of it."""
    assert excerpt(text, position, 10) == cut


def test_a_huge_reply_is_refused_in_time() -> None:
    """No input takes quadratic time; each of these would take hours if one did."""
    size = 1_000_000
    for sign in ("{", '{"a":', '"', "```\n", "<think>", "<<<A\n", "{'a':1}", '{"a": "\\'):
        with pytest.raises(ReplyError):
            read_reply(sign * (size // len(sign)))


def test_what_only_reads_does_not_change_anything() -> None:
    """Only for these a reply is believed that json-repair mended."""
    assert "read_file" in READING
    assert not READING & {"write_file", "execute_shell", "batch", "finish", "start_agent"}
