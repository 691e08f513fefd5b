"""What long-term memory brought back, and why."""

from autoagent.events import Memo
from autoagent.terminal.layout import paragraph
from autoagent.terminal.output import Output


def recollect(out: Output, memo: Memo) -> None:
    """The memory as the prompt has it, and behind it what made it near."""
    paragraph(out, f"{memo.text} ({_why(memo)})", "dim", mark="- ")


def _why(memo: Memo) -> str:
    """Raw scores: only they say something between queries."""
    meaning = "" if memo.dense is None else f"meaning {memo.dense:.2f}"
    words = f"words {memo.words:.1f}" if memo.words else ""
    return f"memory {memo.id}: " + (", ".join(filter(None, (meaning, words))) or "near")
