"""The values that settings can have, read from text and from TOML."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from autoagent.errors import ConfigError
from autoagent.model import Price

if TYPE_CHECKING:
    from commands.fetch import Host

ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
LISTS = frozenset({"lines", "names", "paths", "inside", "hosts"})


@dataclass(frozen=True, slots=True)
class Kind:
    """How a text becomes a value: `read` raises ValueError, `said` names what is right.

    `toml` are the types that the same value may have in a TOML file.
    """

    read: Callable[[str], Any]
    said: str
    toml: tuple[type, ...] = (str,)


def printable(text: str) -> str:
    """`text` with the bytes that weren't UTF-8 shown as U+FFFD instead of lone surrogates."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def from_text(kind: str, text: str, label: str) -> Any:
    """The value that `text` says; a ConfigError begins with `label`, where it stood."""
    if "|" in kind:
        return _word(text, kind.split("|"), label)
    try:
        return KINDS[kind].read(text)
    except (ValueError, OverflowError):
        raise ConfigError(f"{label}: {_shown(kind, text)} isn't {KINDS[kind].said}.") from None


def from_environment(kind: str, text: str, label: str) -> Any:
    """The same for a variable: lists stand one a line, those of names and paths by comma too."""
    if kind not in LISTS:
        return from_text(kind, text, label)
    items = re.split(r"\n" if kind == "lines" else r"[\n,]", text)
    return tuple(from_text(kind, item.strip(), label) for item in items if item.strip())


def from_toml(kind: str, value: object, label: str) -> Any:
    """The same for a TOML value, which must have the right type already."""
    if kind in LISTS and isinstance(value, list):
        return tuple(from_toml(kind, item, label) for item in value)
    if kind == "price" and isinstance(value, list):
        value = ",".join(map(str, value))
    types = (str,) if "|" in kind else KINDS[kind].toml
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        said = f"one of {kind.replace('|', ', ')}" if "|" in kind else KINDS[kind].said
        quoted = " in quotes" if types == (str,) else ""
        raise ConfigError(f"{label}: {value!r:.80} isn't {said}{quoted}.")
    return from_text(kind, str(value), label)


def _shown(kind: str, text: str) -> str:
    if kind == "key":
        return "this"
    return repr(re.sub("//[^/]*@", "//…@", text) if kind in ("url", "searxng") else text)[:80]


def _word(text: str, words: list[str], label: str) -> str:
    if text in words:
        return text
    near = get_close_matches(text, words, 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ConfigError(f"{label}: {text!r:.80} isn't one of {', '.join(words)}.{hint}")


def _text(text: str) -> str:
    if not text.strip() or "\x00" in text:
        raise ValueError
    return printable(text)


def _key(text: str) -> str:
    # It goes into a header, where nothing else may stand.
    if not re.fullmatch(r"[\x21-\x7e]+", text.strip()):
        raise ValueError
    return text.strip()


def _path(text: str) -> str:
    # Stays as it came: a file's name need not be UTF-8.
    if not text or "\x00" in text:
        raise ValueError
    return text


def _flag(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    if text.lower() not in words:
        raise ValueError
    return words[text.lower()]


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})+|[0-9][0-9_]{0,17}", text):
        raise ValueError
    count = int(text.replace(",", ""))
    if count < 1:
        raise ValueError
    return count


def _amount(text: str) -> float:
    amount = float(text)
    if not math.isfinite(amount) or amount < 0:
        raise ValueError
    return amount


def _temperature(text: str) -> float:
    temperature = _amount(text)
    if temperature > 2:
        raise ValueError
    return temperature


def _duration(text: str) -> float:
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        seconds = float(text)
    else:
        parts = re.fullmatch(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?", text)
        if parts is None:
            raise ValueError
        hours, minutes, rest = (int(part or 0) for part in parts.groups())
        seconds = float(hours * 3600 + minutes * 60 + rest)
    if not 0 < seconds < 1e9:
        raise ValueError
    return seconds


def _share(text: str) -> float:
    share = _amount(text)
    if not 0 < share <= 1:
        raise ValueError
    return share


def _branch(text: str) -> tuple[str, int | None]:
    parts = re.fullmatch(r"([^@]+)(?:@0*([1-9][0-9]{0,8}))?", text)
    if parts is None:
        raise ValueError
    return printable(parts[1]), int(parts[2]) if parts[2] else None


def _bytes(text: str) -> int:
    parts = re.fullmatch(r"([0-9]{1,15})([KMGT]?)", text)
    if parts is None or not int(parts[1]):
        raise ValueError
    return int(parts[1]) << 10 * "_KMGT".index(parts[2] or "_")


def _days(text: str) -> int | None:
    return None if text == "none" else _count(text)


def _size(text: str) -> int | None:
    return None if text == "none" else _bytes(text)


def _price(text: str) -> Price:
    parts = [_amount(part) for part in text.split(",")]
    if len(parts) != 3:
        raise ValueError
    return Price(*parts)


def _url(text: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(text)
    _ = parts.port  # raises ValueError when it is no port
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError
    if parts.fragment or " " in text or not text.isprintable():
        raise ValueError
    return text


def _searxng(text: str) -> str:
    """The address below which /search is; it may have been given with it."""
    from commands.command import CommandError
    from commands.web.address import web_address

    if "?" in text:
        raise ValueError
    try:
        web_address(_url(text))
    except CommandError:  # a name that the fetcher would never take
        raise ValueError from None
    return text.rstrip("/").removesuffix("/search").rstrip("/")


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise ValueError
    return text


def _host(text: str) -> "Host":
    from commands.fetch import host_from

    return host_from(text)


def _memory(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise ValueError
    return text


def _role(text: str) -> str:
    if not ROLE.fullmatch(text):
        raise ValueError
    return text


def _ports(text: str) -> tuple[int, ...]:
    ports = () if text == "none" else tuple(int(port) for port in text.split(","))
    if not all(0 < port < 65536 for port in ports):
        raise ValueError
    return ports


_NUMBER = (int, float)
KINDS: Mapping[str, Kind] = {
    "text": Kind(_text, "a text"),
    "key": Kind(_key, "a key of visible ASCII characters"),
    "lines": Kind(_text, "a text"),
    "resume": Kind(printable, "the name of a session"),
    "branch": Kind(_branch, "a session's ID, or ID@STEP with a step's number from 1 on"),
    "path": Kind(_path, "a path"),
    "paths": Kind(_path, "a path"),
    "inside": Kind(_path, "a path in the workspace"),
    "flag": Kind(_flag, "true or false", (bool,)),
    "count": Kind(_count, "a whole number above 0, like 100", (int,)),
    "usd": Kind(_amount, "an amount in US dollars, like 2.50", _NUMBER),
    "temperature": Kind(_temperature, "a number from 0 to 2", _NUMBER),
    "duration": Kind(_duration, "a time like 90, 90s, 30m, 2h or 1h30m", (str, int, float)),
    "share": Kind(_share, "a share above 0 and up to 1, like 0.5", _NUMBER),
    "bytes": Kind(_bytes, "a size in bytes, or like 500M or 2G", (str, int)),
    "days": Kind(_days, "a whole number of days, like 90, or none", (str, int)),
    "size": Kind(_size, "a size in bytes, or like 500M or 5G, or none", (str, int)),
    "price": Kind(
        _price,
        "three prices in US dollars per million tokens: IN,CACHED,OUT, like 0.25,0.025,2",
    ),
    "url": Kind(_url, "an address like https://api.openai.com/v1 or http://localhost:11434/v1"),
    "searxng": Kind(_searxng, "the address of a SearXNG, like http://localhost:8888"),
    "names": Kind(_name, "a name of letters, digits and _"),
    "hosts": Kind(_host, "a host like example.org, example.org:8080 or [::1]:8080"),
    "memory": Kind(_memory, "a name of up to 64 letters, digits, dots, hyphens and _, or none"),
    "role": Kind(_role, "a name of up to 64 letters, digits, hyphens and _, or none"),
    "ports": Kind(_ports, "a list of ports like 11434,8080, or none"),
}
