"""The roles there are, and what an agent in one of them may use."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from autoagent.configuration import role_files, trust
from autoagent.configuration.role_files import LeftOut, RoleFile
from autoagent.configuration.settings import Settings
from autoagent.errors import ConfigError
from autoagent.team.front_matter import Unreadable
from autoagent.team.role_file import Role as Role
from autoagent.team.role_file import read_role
from autoagent.team.role_names import SHIPPED
from autoagent.team.tool_names import is_usual
from commands.command import Catalogue, CommandSpec

BUILT_IN = "built in"
_ALWAYS = frozenset({"finish", "give_up", "read_result", "batch"})
_NAMED = 8  # files in one line


def found_roles(settings: Settings) -> tuple[dict[str, Role], list[str]]:
    """All roles by name, and lines for the person: of files that aren't one, or aren't trusted.

    A workspace's role counts before the user's own of the same name, and that before ours.
    """
    here = trust.roles(settings.places, settings.workspace)
    shipped = [each for each in role_files.of_folder(SHIPPED) if isinstance(each, RoleFile)]
    places: tuple[Sequence[RoleFile | LeftOut], ...] = (
        [RoleFile(BUILT_IN, each.stem, each.content) for each in shipped],
        role_files.of_folder(settings.places.config / "agents"),
        (*here.trusted, *here.left_out),
    )
    roles: dict[str, Role] = {}
    notices = [untrusted_line(here.untrusted)] if here.untrusted else []
    for files in places:
        there, left_out = _read(files)
        roles |= there
        notices += map(str, left_out)
    return dict(sorted(roles.items())), notices


def role_named(name: str, roles: dict[str, Role], notices: Sequence[str]) -> Role:
    """The role of that name; ConfigError names the nearest one, all, and what was left out."""
    if name in roles:
        return roles[name]
    near = get_close_matches(name, roles, 1)
    hint = f"did you mean {near[0]!r}? There are" if near else "there are"
    more = [line for line in notices if name in line]
    raise ConfigError(" ".join([f"There is no role {name!r}; {hint} {', '.join(roles)}.", *more]))


def restricted(catalogue: Catalogue, role: Role) -> Catalogue:
    """Those of these commands that the role may use. The ends of a run, the rest of a result
    and batch (of what is left) always stay, the question to the person if it isn't forbidden."""

    def may_use(spec: CommandSpec) -> bool:
        named = role.tools is None or spec.name in (*role.tools, "ask_user")
        return spec.name in _ALWAYS or (named and spec.name not in role.without)

    return catalogue.only(may_use)


def writes(commands: Iterable[CommandSpec]) -> bool:
    """Whether one of them changes files of the workspace. If none does, the cage should keep
    programs from it, too; the user's own commands run outside of it."""
    return any(spec.effect == "change" and not spec.own for spec in commands)


def unknown_tools(role: Role, catalogue: Catalogue) -> list[str]:
    """A line for the person when the role names what is no command; `catalogue` has all, the
    user's own, too."""
    known = {spec.name for spec in catalogue}
    unknown = [t for t in role.tools or () if t not in known and not is_usual(t)]
    if not unknown:
        return []
    named = ", ".join(each[:40] for each in unknown[:_NAMED]) + ", …" * (len(unknown) > _NAMED)
    return [f"{role.source}: there is nothing here like {named}; left out of its tools."]


def untrusted_line(names: Sequence[str]) -> str:
    """What was ignored, and how to allow it."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    named = f"{', '.join(names[:_NAMED])}{more}"
    return (
        f"Roles of this folder that aren't trusted as they are now are ignored: {named}. "
        "To allow them: autoagent trust"
    )


def _read(files: Iterable[RoleFile | LeftOut]) -> tuple[dict[str, Role], list[LeftOut]]:
    """The roles of one place; of two with the same name the first counts."""
    roles: dict[str, Role] = {}
    left_out = []
    for file in files:
        if isinstance(file, LeftOut):
            left_out.append(file)
            continue
        try:
            role = read_role(file)
        except Unreadable as why:
            left_out.append(LeftOut(file.name, str(why)))
            continue
        if role.name in roles:
            why_not = f"{roles[role.name].source} has the name {role.name!r}, too"
            left_out.append(LeftOut(file.name, why_not))
        else:
            roles[role.name] = role
    return roles, left_out
