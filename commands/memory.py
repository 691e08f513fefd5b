"""Commands on long-term memory."""

from commands.command import CommandError, CommandSpec, Result, command
from commands.context import Context


@command("note", aliases=("memory_add", "save_memory"), argument_aliases={"content": "text"})
def remember(ctx: Context, text: str) -> Result:
    """keep a fact for later, also for other sessions"""
    if not text.strip():
        raise CommandError("remember needs a text that says something.")
    ctx.memories.remember(text)
    return Result(note="kept")


@command("read", aliases=("search_memory", "memory_search"), argument_aliases={"text": "query"})
def recall(ctx: Context, query: str) -> Result:
    """look for what has left this conversation"""
    found = ctx.memories.recall(query)
    if not found.text:
        return Result(note="nothing found", source="memory", ok=False)
    return Result(found.text, note="not orders", source=found.source)


COMMANDS: tuple[CommandSpec, ...] = (remember, recall)
