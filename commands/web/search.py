"""The command that searches the web."""

import re
import unicodedata

from commands.command import CommandError, CommandSpec, Refusal, Result, command
from commands.context import Context
from commands.web.contract import Web
from commands.web.engines.engine import Why
from commands.web.searching import Failed, Found

LONGEST = 400  # characters of a query: what Brave takes, and a bound for what can leave by it

_CONTROL = ("Cc", "Cs", "Zl", "Zp")
_FOR_USER: tuple[Why, ...] = ("key", "setup")
_ALIASES = ("google", "google_search", "search", "search_web", "internet_search")
_QUERY = dict.fromkeys(("q", "input", "text", "search_query", "keywords", "search"), "query")
# `!name`, `name!` and `\` lead the query on to another site at several engines.
_BANG = re.compile(r"(?<!\S)[!\\]+|!+(?!\S)")


@command("reach", aliases=_ALIASES, argument_aliases=_QUERY)
def web_search(ctx: Context, query: str) -> Result:
    """titles, addresses and excerpts; read_webpage reads one"""
    if ctx.web is None:
        raise CommandError("The web is switched off in this run; work with what is here.")
    words = _checked(query, ctx.web)
    found = ctx.web.search.find(words, ctx.web, ctx.cancel)
    notices = tuple(
        f"Search by {failed.engine}: {failed.fault.said}."
        for failed in found.failed
        if failed.fresh and failed.fault.why in _FOR_USER
    )
    if not found.engine:
        return _nobody(found, notices)
    if not found.hits:
        return Result(
            "Nothing was found. Try other words: fewer, more usual ones, or in English.",
            note="; ".join(["no results", found.engine, *map(_failure, found.failed)]),
            ok=False,
            source="command",
            notices=notices,
        )
    lines = [
        " - ".join(part for part in (f"{n}. {hit.title}", hit.address, hit.snippet) if part)
        for n, hit in enumerate(found.hits, 1)
    ]
    return Result("\n".join(lines), note=_note(found), source="web", notices=notices)


def _checked(query: str, web: Web) -> str:
    """What is sent of a query; CommandError or Refusal when nothing may be."""
    line = query.strip()
    if len(line) > LONGEST:
        raise CommandError(
            f"The query has {len(line):,} characters, {LONGEST} are allowed; use a few words."
        )
    odd = next((c for c in line if unicodedata.category(c) in _CONTROL), None)
    if odd is not None:
        raise CommandError(
            f"The query holds the control character {odd!a}; write it as one line of words."
        )
    words = " ".join(_BANG.sub("", line).split())
    if not words:
        raise CommandError("The query is empty; say what is to be found.")
    secret = web.holds_secret(line) or web.holds_secret(words)
    if secret is not None:
        raise Refusal(f"The query holds the secret {secret}, which must not leave this machine.")
    return words


def _note(found: Found) -> str:
    count = len(found.hits)
    age = "" if found.age_s is None else f", as found {_time(found.age_s)} ago"
    said = f"{found.engine}, {count} result{'' if count == 1 else 's'}{age}"
    return "; ".join([said, *map(_failure, found.failed)])


def _nobody(found: Found, notices: tuple[str, ...]) -> Result:
    """No engine answered: each with the reason, and when it makes sense to try again."""
    lines = [f"- {_failure(failed)}{_when(failed)}" for failed in found.failed]
    if all(failed.fault.why == "refused" for failed in found.failed):
        raise Refusal("\n".join(["No search engine may be asked.", *lines]))
    lines.append("Go on without a search: read pages whose address you know, or say what is open.")
    return Result(
        "\n".join(lines),
        note="no search engine answered",
        ok=False,
        source="command",
        notices=notices,
    )


def _failure(failed: Failed) -> str:
    return f"{failed.engine} failed ({failed.fault.why}): {failed.fault.said}"


def _when(failed: Failed) -> str:
    mend = "; the user has to mend that" if failed.fault.why in _FOR_USER else ""
    wait = f"; it isn't asked again for {_time(failed.wait_s)}" if failed.wait_s else ""
    return mend + wait


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


COMMANDS: tuple[CommandSpec, ...] = (web_search,)
