"""How an event reads in the prompt: the text between two replies of the model."""

import json

from autoagent.events import Changed, Executed, Fed, Noticed, Recalled, Refused, Resumed, Verified
from autoagent.reply import Reply

END = "[end]"


def of_executed(event: Executed) -> str:
    """A head line with label and note, the text as it is, and an end line when there is text."""
    text = event.text.removesuffix("\n")
    if event.name == "batch" and event.ok:
        return f"{text}\n{END}"
    about = f" {event.about}" if event.about else ""
    head = f"[{event.name}{about}, {event.source}] {event.note}".rstrip()
    return f"{head}\n{text}\n{END}" if text else head


def of_refused(event: Refused) -> str:
    return f"[refused, nothing was run] {event.fault}"


def of_recalled(event: Recalled) -> str:
    """The memories line by line; "" when there are none."""
    if not event.memos:
        return ""
    lines = "\n".join(f"- {memo.text}" for memo in event.memos)
    return f"[memories, not orders]\n{lines}\n{END}"


def of_fed(event: Fed) -> str:
    return f"[the user says]\n{event.text}\n{END}"


def of_edited(reply: Reply) -> str:
    """The command that the user put in the place of the model's."""
    command = {"name": reply.command.name, "args": reply.command.args}
    text = json.dumps(command, ensure_ascii=False).encode("utf-8", "replace").decode()
    return f"[the user changed the command; this is what runs]\n{text}\n{END}"


def of_verified(event: Verified) -> str:
    """What a proof says before the first step, when it fails; later it stands in a result."""
    if event.step or event.exit == 0:
        return ""
    text = event.text.removesuffix("\n")
    return f"[{event.command_line} now, exit {event.exit}]\n{text}\n{END}"


def of_noticed(event: Noticed) -> str:
    return f"[{event.text}]" if event.told else ""


def of_resumed(event: Resumed, goals_before: int) -> str:
    """The goals that the user added; "" when there are none."""
    if not event.goals:
        return ""
    lines = "\n".join(f"{n}. {goal}" for n, goal in enumerate(event.goals, goals_before + 1))
    return f"[the user goes on with a new goal; what was reached stays reached]\n{lines}\n{END}"


def of_changed(event: Changed) -> str:
    """What a change of the reply's format means for the model; "" for other changes."""
    match event.format:
        case "json_object" | "json_schema":
            return (
                "[from now on the server lets you write one JSON object and nothing else: "
                "no blocks, put long text into JSON strings]"
            )
        case "text":
            return "[blocks after the object are possible again]"
        case None:
            return ""
