"""The command that reads a page."""

from commands.command import CommandError, CommandSpec, Result, command
from commands.context import Context


@command(
    "reach",
    aliases=("browse_website", "browse_web_page", "open_url", "fetch_url"),
    argument_aliases={
        **dict.fromkeys(("link", "address", "website", "page"), "url"),
        **dict.fromkeys(("query", "what"), "question"),
    },
)
def read_webpage(ctx: Context, url: str, part: int = 1, question: str = "") -> Result:
    """in parts; question puts what matters first"""
    if ctx.web is None:
        raise CommandError("The web is switched off.")
    from commands.web.reading import read

    return read(ctx, ctx.web, url, part, question)


COMMANDS: tuple[CommandSpec, ...] = (read_webpage,)
