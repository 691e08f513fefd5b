"""The session's own agent in a role."""

import re
from dataclasses import replace

from autoagent.assembling import Inputs
from autoagent.configuration.settings import Settings
from autoagent.configuration.sources import VARIABLES
from autoagent.errors import ConfigError
from autoagent.events import Started
from autoagent.team.roles import Role, found_roles, role_named


def in_role(inputs: Inputs) -> Inputs:
    """With the role that the settings name, its model and what a person should know of it.

    The role's model counts before those of files, and after the command line's and the
    environment's. ConfigError when there is no such role.
    """
    settings = inputs.settings
    if settings.role is None:
        return inputs
    roles, notices = found_roles(settings)
    role = role_named(settings.role, roles, notices)
    named = f"In the role {role.name} ({role.source})"
    if role.model and not _is_given(settings, "model"):
        sources = {**settings.sources, "model": f"the role {role.name}"}
        settings = replace(settings, model=role.model, sources=sources)
        named += f", with its model {role.model}"
    said = (*settings.notices, *notices, f"{named}.", *role.warnings)
    return replace(inputs, settings=replace(settings, notices=said), role=role)


def role_begun(settings: Settings, started: Started) -> Role | None:
    """The role of a session that goes on, by its journal alone: its file may be another one by
    now, and its words stand in the prompt. ConfigError when another one is typed."""
    before = started.role or None
    if settings.sources["role"].startswith("-") and settings.role != before:
        works = f"in the role {before}" if before else "in no role"
        raise ConfigError(
            f"Session {started.session} works {works}, and that stays: --role is for a new one."
        )
    return role_told(started) if before else None


def role_told(started: Started) -> Role:
    """A role with the commands that the model was told of at the beginning, and no others."""
    tools = tuple(re.findall(r"^(\w+)\(", started.system, re.MULTILINE))
    without = () if "ask_user" in tools else ("ask_user",)
    return Role(started.role, "", tools, None, "", f"session {started.session}", without)


def _is_given(settings: Settings, key: str) -> bool:
    source = settings.sources[key]
    return source.startswith("-") or source in VARIABLES
