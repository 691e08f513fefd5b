"""Commands on the run itself: its results, several at once, the person, the end."""

from typing import Any

from commands.command import CommandError, CommandSpec, Refusal, Result, Section, command
from commands.context import Context

MOST_AT_ONCE = 8


@command("read")
def read_result(
    ctx: Context, step: int = -1, start_line: int = 1, lines: int = 0, agent: str = ""
) -> Result:
    """a result that was cut"""
    of = f"agent {agent}" if agent else f"step {step}"
    whole = ctx.results.read(step, agent)
    if whole is None:
        raise CommandError(
            f"There is no cut result of {of}; what was not cut stands in this "
            "conversation, and recall(query) finds what has left it."
        )
    found = whole.split("\n")
    if not 1 <= start_line <= len(found):
        raise CommandError(f"start_line must be from 1 to {len(found)}, not {start_line}.")
    last = min(len(found), start_line + lines - 1) if lines > 0 else len(found)
    text = "\n".join(found[start_line - 1 : last])
    note = f"lines {start_line}-{last} of {len(found)} of {of}"
    source = f"agent {agent}" if agent else ctx.results.source(step)
    return Result(text, note=note, source=source)


@command("read", argument_aliases={"calls": "commands"})
def batch(ctx: Context, commands: list[dict[str, Any]]) -> Result:
    """up to 8 reading commands at once: [{"name": …, "args": …}, …]"""
    if not 1 <= len(commands) <= MOST_AT_ONCE:
        raise CommandError(f"batch takes 1 to {MOST_AT_ONCE} commands, not {len(commands)}.")
    checked = [_reading(ctx, call) for call in commands]
    sections: list[Section] = []
    results: list[Result] = []
    for number, (spec, args) in enumerate(checked, 1):
        if ctx.cancel.reason is not None:
            break
        section, result = _one(ctx, number, spec, args)
        sections.append(section)
        results.append(result)
    done = "" if len(sections) == len(checked) else f", {len(checked) - len(sections)} not run"
    return Result(
        note=f"{len(sections)} results{done}",
        refused=any(result.refused for result in results),
        source="web" if any(result.source == "web" for result in results) else "workspace",
        read=tuple(path for result in results for path in result.read),
        sections=tuple(sections),
    )


def _reading(ctx: Context, call: dict[str, Any]) -> tuple[CommandSpec, dict[str, Any]]:
    """One command of a batch, checked before any of them runs."""
    name, args = call.get("name"), call.get("args", {})
    if not isinstance(name, str) or not isinstance(args, dict) or call.keys() - {"name", "args"}:
        raise CommandError(f'Each command of a batch is {{"name": …, "args": …}}, not {call!r:.80}')
    spec = ctx.catalogue.find(name)
    if spec.effect not in ("read", "reach") or spec.name == "batch":
        raise CommandError(
            f"batch takes reading commands, or start_agent alone; {name} is run by itself."
        )
    return spec, spec.checked(args)


def _one(
    ctx: Context, number: int, spec: CommandSpec, args: dict[str, Any]
) -> tuple[Section, Result]:
    try:
        result = spec.run(ctx, **args)
    except Refusal as refusal:
        result = Result(str(refusal), note="refused", ok=False, refused=True)
    except CommandError as error:
        result = Result(str(error), note="failed", ok=False)
    about = f"{number} {spec.name} {about_of(args)}".rstrip()
    return Section(about, result.note, result.text, result.source), result


def about_of(args: dict[str, Any]) -> str:
    """What a head line says of a command's arguments: the path or address it is about."""
    if isinstance(args.get("source"), str) and isinstance(args.get("target"), str):
        return f"{args['source']} -> {args['target']}"
    value = args.get("path", args.get("url", ""))
    text = value if isinstance(value, str) else ""
    return "".join(c if c.isprintable() else "?" for c in text)[:200]


@command("ask", argument_aliases={"prompt": "question", "text": "question"})
def ask_user(ctx: Context, question: str) -> Result:
    """only when you cannot go on without the answer"""
    if ctx.ask is None:
        raise CommandError("There is nobody to ask: decide by yourself or give_up.")
    answer = ctx.ask(question)
    return Result(answer, source="person") if answer else Result(note="no answer", source="person")


@command(
    "end",
    aliases=("task_complete", "goals_accomplished", "complete", "done", "final_answer"),
    argument_aliases={
        "reason": "answer",
        "result": "answer",
        "summary": "answer",
        "text": "answer",
    },
)
def finish(_ctx: Context, answer: str) -> Result:
    """the goals are reached and you checked it; answer is what the user reads"""
    return Result(answer)


@command(
    "end", aliases=("giveup", "abort"), argument_aliases={"text": "reason", "answer": "reason"}
)
def give_up(_ctx: Context, reason: str) -> Result:
    """it cannot be done; say why"""
    return Result(reason)


COMMANDS: tuple[CommandSpec, ...] = (read_result, batch, ask_user, finish, give_up)
