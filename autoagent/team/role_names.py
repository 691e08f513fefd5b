"""The names of the roles there are, without reading those that everybody has."""

from pathlib import Path

from autoagent.configuration.role_files import FOLDER
from autoagent.configuration.settings import Settings

SHIPPED = Path(__file__).parent.parent / "roles"


def role_names(settings: Settings) -> tuple[list[str], list[str]]:
    """Names, sorted, and lines for the person. A run begins with this, and most users have no
    roles of their own."""
    own = (settings.workspace / FOLDER, settings.places.config / "agents")
    if not any(folder.is_symlink() or folder.exists() for folder in own):
        return sorted(path.stem for path in SHIPPED.glob("*.md")), []
    from autoagent.team.roles import found_roles

    roles, said = found_roles(settings)
    return list(roles), said
