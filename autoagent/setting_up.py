"""The questions of a first run: a way to a model asked for at the terminal, tried and kept."""

from dataclasses import dataclass, field

from autoagent.configuration.keeping import keep
from autoagent.configuration.settings import DEFAULTS, Settings
from autoagent.errors import ConfigError
from autoagent.model import ModelFault
from autoagent.models.catalog import OPENAI_URL
from autoagent.models.choosing import NoWay
from autoagent.terminal.escape import escaped
from autoagent.terminal.layout import told
from autoagent.terminal.output import Output
from autoagent.terminal.prompter import Prompter

_TRIES = 3
_NAMED = 5  # other models in a line


class _Leaves(Exception):
    """The person doesn't go on with this."""


@dataclass(frozen=True, slots=True)
class _Typed:
    """What a person typed last; "" where nothing was."""

    choice: str = ""
    address: str = ""
    key: str = field(default="", repr=False)


def set_up(settings: Settings, none: NoWay, out: Output, prompter: Prompter) -> None:
    """Ask for a key or an address, try it, and write what answered to the user's own .env.

    Raises `none` when the person leaves, or after three tries; then nothing was written.
    """
    import termios

    try:
        prompter.keep_early()
        _tell(settings, none, out)
        typed = _Typed()
        for number in range(1, _TRIES + 1):
            if number > 1:
                told(out, f"Try {number} of {_TRIES}:")
            typed = _asked(typed, out, prompter)
            if _kept(settings, typed, out):
                return
    except (_Leaves, KeyboardInterrupt, termios.error):  # the terminal would show the key
        pass
    raise none


def _tell(settings: Settings, none: NoWay, out: Output) -> None:
    ports = ", ".join(map(str, settings.local_ports))
    looked = f"No model server answers on this machine (ports {ports} of 127.0.0.1)."
    if none.server is not None:
        looked = f"{none.server.name} answers at {none.server.base_url}, but has no model yet."
    elif not ports:
        looked = "No model server was looked for on this machine (AUTOAGENT_LOCAL_PORTS=none)."
    told(out, looked, "bold")
    told(out, "No key (OPENAI_API_KEY) and no address (OPENAI_BASE_URL) is set either.", "bold")
    out.line("  1  a key: OpenAI or another provider")
    out.line("  2  a server of mine, without a key")
    out.line("  3  leave, and set it by hand")


def _asked(last: _Typed, out: Output, prompter: Prompter) -> _Typed:
    """An address, and a key where one was said to be there."""
    choice = ""
    while choice not in ("1", "2", "3"):
        choice = _line(prompter, "Which? 1/2/3: ")
    if choice == "3":
        raise _Leaves
    usual = OPENAI_URL if choice == "1" else ""
    if choice == last.choice:
        usual = last.address
    address = _address(usual, out, prompter)
    if choice == "2":
        return _Typed(choice, address)
    key = prompter.unseen_line("Key (isn't shown): ")
    if key is None:
        raise _Leaves
    return _Typed(choice, address, key)


def _address(usual: str, out: Output, prompter: Prompter) -> str:
    from autoagent.models.trying import NO_ADDRESS, may_be_address

    text = f"Address (Enter: {escaped(usual)}): " if usual else "Address: "
    while not may_be_address(address := _line(prompter, text) or usual):
        told(out, NO_ADDRESS, "red")
    return address


def _line(prompter: Prompter, text: str) -> str:
    typed = prompter.line(text, keeps=False)  # a key may be pasted at any of these
    if typed is None:
        raise _Leaves
    return typed


def _kept(settings: Settings, typed: _Typed, out: Output) -> bool:
    """Whether a model answered, and what leads to it was written."""
    from autoagent.models.trying import find_way

    model = settings.model if settings.explicit("model") else None
    out.status("asking for a model…")
    try:
        way = find_way(typed.address, typed.key, model, settings.model)
    except (ModelFault, ConfigError) as fault:
        told(out, str(fault), "red")
        return False
    finally:
        out.write("")  # ends the passing line
    variables = {"OPENAI_API_KEY": typed.key, "OPENAI_BASE_URL": way.base_url}
    if way.base_url == OPENAI_URL:
        del variables["OPENAI_BASE_URL"]
    if way.model not in (model, DEFAULTS["model"]):
        variables["SMART_LLM"] = way.model
    variables = {name: value for name, value in variables.items() if value}
    path = keep(settings.places, variables)
    others = ", ".join(way.others[:_NAMED])
    how = f" (others: {others}; --model or SMART_LLM chooses)" if others else ""
    told(out, f"{way.model} answers at {way.base_url}{how}.")
    told(out, f"{', '.join(variables)}: kept where only you can read it,")
    out.line(escaped(f"  {path}"))  # whole, to be copied
    out.line()
    return True
