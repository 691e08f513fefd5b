"""A hint that what was just written doesn't parse; nothing of it is run."""

import json

from commands.apart import python_apart
from commands.cancel import Cancel

LONGEST = 200_000  # characters; more takes too long for a hint
TIMEOUT_S = 2.0

# 0x400 is ast.PyCF_ONLY_AST: a tree is built, no code.
_PARSE = """
import sys, warnings
warnings.simplefilter("ignore")
try:
    compile(sys.stdin.buffer.read(), "", "exec", 0x400)
except SyntaxError as error:
    sys.stdout.buffer.write(f"line {error.lineno}: {error.msg}".encode())
"""


def syntax_hint(path: str, text: str, cancel: Cancel) -> str:
    """Where a .py or .json file doesn't parse: "line 3: …"; "" when it does or isn't one."""
    if len(text) > LONGEST or not text.strip():
        return ""
    if path.endswith(".json"):
        return _json_fault(text)
    return _python_fault(text, cancel) if path.endswith((".py", ".pyi")) else ""


def _json_fault(text: str) -> str:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}: {error.msg}"
    except (RecursionError, ValueError):
        return ""
    return ""


def _python_fault(text: str, cancel: Cancel) -> str:
    # Apart: on some texts the parser ends the whole process.
    with python_apart("-c", _PARSE, timeout_s=TIMEOUT_S, cancel=cancel) as process:
        said, _ = process.communicate(text.encode())
        return said.decode()
