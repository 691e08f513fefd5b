"""A completion made into an event: a reply that can run, or why it can't."""

from collections.abc import Callable

from autoagent.events import Refused, Replied
from autoagent.model import Completion, Usage
from autoagent.reply import ReplyError, excerpt, read_reply

MOST_REFUSALS = 3
"""Unusable replies in a row that end a run."""

_EMPTY = "Your reply was empty. Reply with the JSON object, its command included."
_SPENT = (
    "Your reply was cut by the length limit before any text came. Think more briefly and "
    "reply with the JSON object at once."
)
_FILTERED = (
    "The provider's content filter stopped your reply. Take another way to the goal, or "
    "give_up and say why."
)
_DECLINED = (
    "You declined instead of replying with a command. If the goals can't or shouldn't be "
    'reached, say so: {"command": {"name": "give_up", "args": {"reason": "…"}}, "thoughts": "…"}'
)


def read(
    step: int,
    completion: Completion,
    usage: Usage,
    holds_secret: Callable[[str], str | None],
) -> Replied | Refused:
    """The event of this completion. `holds_secret` names a secret that stands in a text."""
    text = completion.text

    def refused(fault: str, shown: str = "", *, misread: bool = False) -> Refused:
        return Refused(step, text, shown or excerpt(text, 0), fault, misread, usage)

    if completion.finish == "refusal" or (completion.refusal and not text):
        return refused(_DECLINED, excerpt(completion.refusal or text, 0))
    if completion.finish == "filter":
        return refused(_FILTERED)
    if not text.strip():
        return refused(_SPENT if completion.finish == "length" else _EMPTY)
    secret = holds_secret(text)
    if secret is not None:
        withheld = f"(a reply that held the secret {secret})"
        return Refused(step, withheld, withheld, _leaked(secret), False, usage)
    try:
        reply = read_reply(text, cut=completion.finish == "length")
    except ReplyError as error:
        misread = completion.finish != "length"
        return refused(str(error), excerpt(text, error.position or 0), misread=misread)
    return Replied(
        step,
        text,
        reply.thoughts,
        reply.reasoning,
        reply.plan,
        reply.criticism,
        reply.command.name,
        reply.command.args,
        reply.read_as,
        usage,
    )


def _leaked(secret: str) -> str:
    return f"Your reply held the secret value of {secret}. Do the step without writing it down."
