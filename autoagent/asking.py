"""What a person is asked before a run begins: to trust a folder, for a way to a model."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from autoagent.configuration import settings as setting
from autoagent.configuration import trust
from autoagent.configuration.settings import Settings
from autoagent.terminal.escape import escaped
from autoagent.terminal.output import Output
from autoagent.terminal.prompter import Prompter

_NAMED = 8  # roles in a question


def trust_question(settings: Settings) -> str:
    """What is asked about files of this folder that nobody trusted as they are; "": nothing."""
    roles = trust.roles(settings.places, settings.workspace).untrusted
    more = f" and {len(roles) - _NAMED} more" if len(roles) > _NAMED else ""
    has = [f"{' and '.join(settings.untrusted)} with settings"] if settings.untrusted else []
    has += [f"roles ({', '.join(roles[:_NAMED])}{more})"] if roles else []
    whole = " and ".join(has)
    return f"{settings.workspace} has {whole}. Do you trust this folder?" if has else ""


def after_trust(
    given: argparse.Namespace,
    environ: Mapping[str, str],
    settings: Settings,
    prompter: Prompter,
    question: str,
) -> Settings:
    """Ask once whether this folder's settings and roles count; the answer yes is kept."""
    if not prompter.agrees(escaped(question)):
        return settings
    trust.grant(settings.places, settings.workspace)
    return setting.load(given, environ, cwd=Path.cwd())


def with_way(
    given: argparse.Namespace,
    environ: Mapping[str, str],
    settings: Settings,
    out: Output,
    prompter: Prompter,
) -> Settings:
    """Where there is no way to a model, the person is asked for one; NoWay when they leave."""
    from autoagent.models.choosing import NoWay, address

    try:
        address(settings)
    except NoWay as none:
        from autoagent.setting_up import set_up

        set_up(settings, none, out, prompter)
        return setting.load(given, environ, cwd=Path.cwd())
    return settings
